//! Lists: pages, links, cursors, the search.

use jiff::Timestamp;

use super::{Exchange, app, error_id, group, json, status};
use crate::appcenter::{Client, Cursor, Error, ErrorKind, GroupState};

fn start() -> Timestamp {
    "2026-10-24T00:00:00.75Z".parse().expect("a time")
}

const A: &str = "/v0.1/apps/contoso/shop-android";
const OWN: &str = "start=2026-10-24T00%3A00%3A00Z&%24top=100";

fn errors(ids: &[u32], next: &str) -> String {
    let items: Vec<_> = ids
        .iter()
        .map(|id| serde_json::json!({ "errorId": format!("{id}"), "userId": "canary" }))
        .collect();
    serde_json::json!({ "errors": items, "nextLink": next }).to_string()
}

#[tokio::test]
async fn groups_are_followed_through_the_wrong_links() {
    let group = |id: &str, next: serde_json::Value| {
        serde_json::json!({
            "errorGroups": [{ "errorGroupId": id, "state": "Open", "count": 3, "exceptionMessage": "canary", "lastOccurrence": "2026-11-01T00:00:00.1234567" }],
            "nextLink": next,
        })
        .to_string()
    };
    let exchange = Exchange::start([
        json(200, &group("1u", serde_json::json!("/api/v0.1/apps//errors/errorGroups?$token=a%2Bb"))),
        json(200, &group("2", serde_json::json!("/api/v0.1/apps/contoso/shop-android/errors/errorGroups?start=x&%24top=100&errorType=all&$token=c"))),
        json(200, &group("3u", serde_json::Value::Null)),
    ])
    .await;
    let pages = exchange
        .client()
        .error_groups(&app(), start(), ErrorKind::All)
        .expect("a list");
    let groups = pages.all(10).await.expect("groups");
    let ids: Vec<_> = groups
        .iter()
        .filter_map(|group| Some(group.id.as_ref()?.as_str()))
        .collect();
    assert_eq!(ids, ["1u", "2", "3u"]);
    assert_eq!(groups[0].state, Some(GroupState::Open));
    assert!(groups[0].last_occurrence.is_some());
    assert!(!format!("{groups:?}").contains("canary"));
    assert_eq!(
        exchange.lines(),
        [
            format!("GET {A}/errors/errorGroups?{OWN}&errorType=all"),
            format!("GET {A}/errors/errorGroups?$token=a%2Bb&{OWN}&errorType=all"),
            format!("GET {A}/errors/errorGroups?start=x&%24top=100&errorType=all&$token=c"),
        ]
    );
}

#[tokio::test]
async fn a_list_resumes_in_another_process() {
    let exchange = Exchange::start([
        json(200, &errors(&[1, 2], "?$token=2")),
        json(200, &errors(&[3], "?$token=3")),
        json(200, &errors(&[], "?$token=4")),
        json(200, &errors(&[4], "")),
    ])
    .await;
    let list = |client: &Client| client.errors_in_group(&app(), &group(), start());
    let mut pages = list(&exchange.client()).expect("a list");
    let first = pages.next().await.expect("a page").expect("the first page");
    assert_eq!((first.number, first.items.len()), (1, 2));
    let saved = serde_json::to_string(pages.cursor().expect("a cursor")).expect("serializes");
    drop(pages);
    let cursor: Cursor = serde_json::from_str(&saved).expect("deserializes");
    let rest = list(&exchange.client()).expect("a list").resume(cursor);
    let ids: Vec<_> = rest.all(10).await.expect("the rest");
    let ids: Vec<_> = ids.iter().filter_map(|item| item.id.as_ref()).collect();
    assert_eq!(
        ids.iter().map(|id| id.as_str()).collect::<Vec<_>>(),
        ["3", "4"]
    );
    assert_eq!(
        exchange.lines()[0],
        format!("GET {A}/errors/errorGroups/4107427461u/errors?{OWN}")
    );
}

#[tokio::test]
async fn an_error_leaves_the_list_where_it_is() {
    let exchange = Exchange::start([
        json(200, &errors(&[1], "?$token=2")),
        status(403),
        json(200, &errors(&[2], "")),
    ])
    .await;
    let mut pages = exchange
        .client()
        .errors_in_group(&app(), &group(), start())
        .expect("a list");
    pages.next().await.expect("a page").expect("the first page");
    assert!(pages.next().await.is_err());
    let second = pages
        .next()
        .await
        .expect("a page")
        .expect("the second page");
    assert_eq!(second.number, 2);
    assert!(pages.next().await.expect("the end").is_none());
    let lines = exchange.lines();
    assert_eq!(lines[1], lines[2]);
}

#[tokio::test]
async fn lists_that_cannot_be_right_are_errors() {
    let cases: &[&[(&[u32], &str)]] = &[
        // The same page again, the same link again, a cycle, a link elsewhere, one without a token.
        &[(&[1, 2], "?$token=2"), (&[1, 2], "?$token=3")],
        &[(&[1], "?$token=2"), (&[], "?$token=2")],
        &[
            (&[1], "?$token=2"),
            (&[2], "?$token=1"),
            (&[1], "?$token=2"),
        ],
        &[(&[1], "https://evil.com/?$token=2")],
        &[(&[1], "/v0.1/apps/contoso/shop-android")],
    ];
    for case in cases {
        let script = case.iter().map(|(ids, next)| json(200, &errors(ids, next)));
        let exchange = Exchange::start(script).await;
        let pages = exchange
            .client()
            .errors_in_group(&app(), &group(), start())
            .expect("a list");
        let error = pages.all(100).await.expect_err("an error");
        assert!(matches!(error, Error::Protocol { .. }), "{case:?}: {error}");
        assert_eq!(exchange.asked().len(), case.len(), "{case:?}");
    }
}

#[tokio::test]
async fn pages_have_a_limit() {
    let script = (0..20).map(|n| json(200, &errors(&[n], &format!("?$token={n}"))));
    let exchange = Exchange::start(script).await;
    let mut options = exchange.options();
    options.limits.pages = 3;
    let client = Client::new(options).expect("options are right");
    let pages = client
        .errors_in_group(&app(), &group(), start())
        .expect("a list");
    assert!(pages.all(100).await.is_err());
    assert_eq!(exchange.asked().len(), 3);
}

#[tokio::test]
async fn an_answer_without_the_list_is_not_an_empty_one() {
    for body in [
        "{}",
        "[]",
        "null",
        "\"\"",
        r#"{"errorGroups":[]}"#,
        r#"{"errors":[1]}"#,
        r#"[[], null]"#,
        r#"{"errors":[],"error":"x"}"#,
        r#"{"errors":[],"message":"x","statusCode":401}"#,
    ] {
        let exchange = Exchange::start(vec![json(200, body); 3]).await;
        let pages = exchange
            .client()
            .errors_in_group(&app(), &group(), start())
            .expect("a list");
        let error = pages.all(100).await.expect_err("an error");
        assert!(matches!(error, Error::Protocol { .. }), "{body}: {error}");
    }
}

#[tokio::test]
async fn unusable_ids_are_kept_as_entries_without_one() {
    let body = r#"{"errors":[{"errorId":"../x"},{"errorId":""},{},{"errorId":"1-2"}]}"#;
    let exchange = Exchange::start([json(200, body)]).await;
    let pages = exchange
        .client()
        .errors_in_group(&app(), &group(), start())
        .expect("a list");
    let items = pages.all(100).await.expect("entries");
    assert_eq!(items.iter().filter(|item| item.id.is_none()).count(), 3);
    assert_eq!(items.len(), 4);
}

#[tokio::test]
async fn the_search_goes_on_while_there_is_more() {
    let id = error_id();
    let hit = format!(r#"{{"errorId":"{id}","errorGroupId":"7u","userId":"canary"}}"#);
    let exchange = Exchange::start([
        json(
            200,
            &format!(r#"{{"hasMoreResults":true,"errors":[{hit}]}}"#),
        ),
        json(
            200,
            r#"{"hasMoreResults":false,"errors":[{"errorId":"2"}]}"#,
        ),
        // A service that ignores `$skip`.
        json(
            200,
            &format!(r#"{{"hasMoreResults":true,"errors":[{hit}]}}"#),
        ),
        json(
            200,
            &format!(r#"{{"hasMoreResults":true,"errors":[{hit}]}}"#),
        ),
    ])
    .await;
    let client = exchange.client();
    let found = client.error_search(&app(), "a b&c").await.expect("hits");
    assert!(found.is_complete && found.hits.len() == 2);
    assert_eq!(
        found.hits[0].group_id.as_ref().map(|id| id.as_str()),
        Some("7u")
    );
    assert!(!format!("{found:?}").contains("canary"));
    let found = client.error_search(&app(), "x").await.expect("hits");
    assert!(!found.is_complete && found.hits.len() == 1);
    let lines = exchange.lines();
    assert_eq!(
        lines[0],
        format!("GET {A}/errors/search?q=a+b%26c&%24top=100&%24skip=0")
    );
    assert!(lines[1].ends_with("skip=1"));
}

#[tokio::test]
async fn legacy_groups_by_token_and_crashes_as_a_bare_array() {
    let exchange = Exchange::start([
        json(200, r#"{"limited_result_set":true,"continuation_token":"t+1","crash_groups":[{"crash_group_id":"7e9f64b9","new_crash_group_id":"1u","fatal":true}]}"#),
        json(200, r#"{"limited_result_set":false,"crash_groups":[{"crash_group_id":"8e9f64b9"}]}"#),
        json(200, r#"[{"crash_id":"a","new_crash_id":"1-a","user_name":"canary","timestamp":"2026-11-01T00:00:00Z"},{"crash_id":"b"}]"#),
        json(200, "[]"),
        json(201, r#"{"crash_id":"a","user_email":"canary@example.com"}"#),
    ])
    .await;
    let client = exchange.client();
    let mut pages = client.crash_groups(&app()).expect("a list");
    let first = pages.next().await.expect("a page").expect("the first");
    assert!(first.is_limited && first.items[0].fatal == Some(true));
    let second = pages.next().await.expect("a page").expect("the second");
    assert!(!second.is_limited && second.next.is_none());
    let legacy = "7e9f64b9".parse().expect("a group");
    let crashes = client
        .crashes_in_group(&app(), &legacy, ErrorKind::All)
        .await;
    assert_eq!(crashes.expect("crashes").len(), 2);
    let crashes = client
        .crashes_in_group(&app(), &legacy, ErrorKind::Handled)
        .await;
    assert_eq!(crashes.expect("crashes").len(), 0);
    let id = "a".parse().expect("a crash");
    let crash = client
        .crash(&app(), &legacy, &id)
        .await
        .expect("201 is fine");
    assert!(crash.value.user_email.is_some() && !format!("{crash:?}").contains("canary"));
    let lines = exchange.lines();
    assert_eq!(
        lines[1],
        format!("GET {A}/crash_groups?continuation_token=t%2B1")
    );
    assert_eq!(
        lines[3],
        format!("GET {A}/crash_groups/7e9f64b9/crashes?error_type=HandledErrors")
    );
}
