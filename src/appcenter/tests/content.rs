//! Raw logs, attachments and session logs, with the places they are looked for in.

use super::{Exchange, app, error_id, group, json, status};
use crate::appcenter::{Error, PathId, RawSource};
use crate::domain::AppRef;

const MIB: u64 = 1024 * 1024;

fn attachment() -> PathId {
    "a1".parse().expect("an ID")
}

/// A `location` answer that points to another server.
fn link(to: &Exchange) -> super::Answer {
    json(
        200,
        &format!(
            r#"{{"uri":"http://127.0.0.1:{}/c/raw.json?sig=canary"}}"#,
            to.port
        ),
    )
}

#[tokio::test]
async fn the_raw_log_is_behind_its_location() {
    let files = Exchange::start([json(200, "{\"installID\":1}")]).await;
    let exchange = Exchange::start([link(&files)]).await;
    let log = exchange
        .client()
        .raw_log(&app(), &group(), &error_id(), MIB)
        .await
        .expect("a log");
    assert_eq!(log.source, RawSource::Location);
    assert_eq!(log.bytes.expose().as_ref(), b"{\"installID\":1}");
    assert!(!format!("{log:?}").contains("installID"));
    let asked = files.asked().remove(0);
    assert!(!asked.headers.contains_key("x-api-token"), "{asked:?}");
    assert_eq!(asked.line, "GET /c/raw.json?sig=canary");
}

#[tokio::test]
async fn an_expired_link_is_asked_for_once_more() {
    let files = Exchange::start([status(403), json(200, "log")]).await;
    let exchange = Exchange::start([link(&files), link(&files)]).await;
    let log = exchange
        .client()
        .raw_log(&app(), &group(), &error_id(), MIB)
        .await
        .expect("a log");
    assert_eq!(log.source, RawSource::Location);
    assert_eq!(exchange.asked().len(), 2);
}

#[tokio::test]
async fn what_passes_is_asked_for_once_more() {
    let page = || json(200, "<html>").header("content-type", "text/html; charset=utf-8");
    for (first, files) in [
        (status(404), vec![json(200, "log")]),
        (status(302), vec![json(200, "log")]),
        (
            json(200, r#"{"uri":"https://evil.com/x"}"#),
            vec![json(200, "log")],
        ),
    ] {
        let files = Exchange::start(files).await;
        let exchange = Exchange::start([first, link(&files)]).await;
        let client = exchange.client();
        let (app, group, error) = (app(), group(), error_id());
        let log = client.raw_log(&app, &group, &error, MIB);
        assert_eq!(log.await.expect("a log").bytes.expose().as_ref(), b"log");
    }
    // A page in place of a file is a proxy's; a file that is a page is one twice.
    for (files, expected) in [
        (vec![page(), json(200, "log")], "log"),
        (vec![page(), page()], "<html>"),
    ] {
        let files = Exchange::start(files).await;
        let exchange = Exchange::start([link(&files), link(&files)]).await;
        let client = exchange.client();
        let (app, group, error) = (app(), group(), error_id());
        let log = client.raw_log(&app, &group, &error, MIB);
        let log = log.await.expect("a log");
        assert_eq!(log.bytes.expose().as_ref(), expected.as_bytes());
    }
}

#[tokio::test]
async fn the_raw_log_is_looked_for_in_other_places() {
    let no_uri = json(200, "{}");
    let elsewhere = json(200, r#"{"uri":"https://evil.com/x"}"#);
    let text = json(200, "Incident Identifier: x").header("content-type", "text/plain");
    let cases = [
        (
            vec![no_uri.clone(), no_uri.clone(), json(200, "{}")],
            Some(RawSource::Json),
        ),
        (
            vec![elsewhere.clone(), elsewhere, json(200, "{}")],
            Some(RawSource::Json),
        ),
        (
            vec![status(404), status(404), status(400), text.clone()],
            Some(RawSource::Text),
        ),
        (
            vec![status(404), status(404), status(404), status(400), text],
            Some(RawSource::Text),
        ),
        (vec![status(404); 5], None),
        (vec![status(401)], None),
        (vec![no_uri, status(429)], None),
    ];
    for (script, expected) in cases {
        let exchange = Exchange::start(script.clone()).await;
        let log = exchange
            .client()
            .raw_log(&app(), &group(), &error_id(), MIB)
            .await;
        assert_eq!(log.ok().map(|log| log.source), expected, "{script:?}");
        assert_eq!(exchange.asked().len(), script.len(), "{script:?}");
    }
}

#[tokio::test]
async fn attachments_from_their_file_or_their_text() {
    let files = Exchange::start([json(200, "file\0bytes")]).await;
    let exchange = Exchange::start([
        json(
            200,
            r#"[{"attachmentId":"a1","fileName":"canary.txt","size":3}]"#,
        ),
        link(&files),
        json(200, r#"{"uri":null}"#),
        json(200, r#"{"uri":null}"#),
        json(200, r#"{"content":"text"}"#),
        json(200, "\"bare\""),
    ])
    .await;
    let client = exchange.client();
    let (a, e, id) = (app(), error_id(), attachment());
    let list = client.attachments(&a, &e).await.expect("a list");
    assert_eq!(list[0].id.as_ref(), Some(&id));
    assert!(!format!("{list:?}").contains("canary"));
    let file = client
        .attachment_bytes(&a, &e, &id, MIB)
        .await
        .expect("bytes");
    assert_eq!(file.expose().as_ref(), b"file\0bytes");
    let text = client
        .attachment_bytes(&a, &e, &id, MIB)
        .await
        .expect("bytes");
    assert_eq!(text.expose().as_ref(), b"text");
    let bare = client
        .crash_attachment_text(&a, &e, &id)
        .await
        .expect("text");
    assert_eq!(bare.expose(), "bare");
    let lines = exchange.lines();
    assert!(lines[4].ends_with(&format!("/errors/{e}/attachments/a1/text")));
    assert!(lines[5].ends_with(&format!("/crashes/{e}/attachments/a1/text")));
}

#[tokio::test]
async fn legacy_locations_need_an_address_too() {
    let files = Exchange::start([json(200, "log")]).await;
    let exchange =
        Exchange::start([link(&files), json(200, "{}"), json(200, r#"{"uri":"x"}"#)]).await;
    let client = exchange.client();
    let (a, g, e) = (app(), group(), error_id());
    let log = client.crash_raw_log(&a, &g, &e, MIB).await.expect("a log");
    assert_eq!(log.expose().as_ref(), b"log");
    let none = client.crash_location(&a, &g, &e).await;
    assert!(matches!(none, Err(Error::Protocol { .. })));
    let odd = client.crash_location(&a, &g, &e).await;
    assert!(matches!(odd, Err(Error::Address { .. })));
    assert!(exchange.lines()[0].ends_with("/raw/location"));
}

const LOGS: &str = r#"{"exceeded_max_limit":false,"logs":[{"type":"event","timestamp":"2026-11-01T00:00:00Z","install_id":"E589A371-EA0C-4479-9A7B-9F834ADEC040","properties":{"canary":"x"},"device":{}}]}"#;

#[tokio::test]
async fn session_logs_are_found_on_any_of_their_paths_and_it_is_remembered() {
    let exchange = Exchange::start([
        status(404),
        status(404),
        json(200, LOGS),
        // The third path is known now, so the others are still tried before it: a report may be on any.
        status(404),
        json(200, LOGS),
        // The second one is known now: a 404 there is final.
        status(404),
        status(404),
    ])
    .await;
    let client = exchange.client();
    let first = client
        .session_logs(&app(), &error_id(), None)
        .await
        .expect("logs");
    assert_eq!(
        first.value.logs[0]
            .install_id
            .map(|id| id.to_string())
            .as_deref(),
        Some("e589a371-ea0c-4479-9a7b-9f834adec040")
    );
    assert!(!format!("{first:?}").contains("canary"));
    assert!(!format!("{first:?}").to_lowercase().contains("e589a371"));
    assert_eq!(first.json.as_ref(), LOGS.as_bytes());
    client
        .session_logs(&app(), &error_id(), None)
        .await
        .expect("logs");
    let none = client.session_logs(&app(), &error_id(), None).await;
    assert!(matches!(none, Err(Error::NotFound(_))));
    let lines = exchange.lines();
    assert_eq!(lines.len(), 7);
    assert!(lines[0].ends_with("/sessionLogs"));
    assert!(lines[1].contains("/errors/") && lines[1].ends_with("/session_logs"));
    assert!(lines[2].contains("/crashes/") && lines[2].ends_with("/session_logs"));
}

#[tokio::test]
async fn what_one_app_answers_says_nothing_of_another_or_of_the_crash_api() {
    let exchange = Exchange::start([
        json(200, LOGS),
        // Another app, which only the crash API serves.
        status(404),
        status(404),
        json(200, LOGS),
        // A report of the first app by what the crash API calls it.
        json(200, LOGS),
    ])
    .await;
    let client = exchange.client();
    let other = AppRef::new("contoso", "old").expect("valid");
    for app in [app(), other] {
        let logs = client.session_logs(&app, &error_id(), None).await;
        logs.expect("logs");
    }
    let logs = client.all_crash_session_logs(&app(), &error_id()).await;
    logs.expect("logs");
    let lines = exchange.lines();
    assert_eq!(lines.len(), 5);
    assert!(lines[3].contains("/crashes/") && lines[3].ends_with("/session_logs"));
    assert!(lines[4].contains("/crashes/") && lines[4].ends_with("/session_logs"));
}

#[tokio::test]
async fn session_logs_are_followed_by_date() {
    let more = |last: &str| {
        let body = format!(
            r#"{{"exceeded_max_limit":true,"last_received_log_timestamp":"{last}","logs":[]}}"#
        );
        json(200, &body)
    };
    let exchange = Exchange::start([
        more("2026-11-01T00:00:00.1234567Z"),
        json(200, LOGS),
        more("2026-11-01T00:00:00Z"),
        more("2026-11-01T00:00:00Z"),
    ])
    .await;
    let client = exchange.client();
    let (logs, is_complete) = client
        .all_session_logs(&app(), &error_id())
        .await
        .expect("logs");
    assert!(is_complete && logs.len() == 2);
    assert!(exchange.lines()[1].ends_with("?date=2026-11-01T00%3A00%3A00.1234567Z"));
    // A date that does not move would bring the same page for ever.
    let (logs, is_complete) = client
        .all_session_logs(&app(), &error_id())
        .await
        .expect("logs");
    assert!(!is_complete && logs.len() == 2);
}
