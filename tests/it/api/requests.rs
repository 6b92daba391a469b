//! `GET /api/requests…`: list, status, plan, report, package.

use std::collections::BTreeSet;
use std::time::Duration;

use appcenter_dsr::stages::planned::sha256;
use appcenter_sim::World;
use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};
use stack::{Api, Stack};

use super::{SMALL, document, get, post};
use crate::harness::{LIMIT, settings, start};

#[tokio::test(flavor = "multi_thread")]
async fn everything_of_a_request_can_be_read() -> anyhow::Result<()> {
    let stack = start(World::parse(SMALL)?, settings()).await?;
    let api = &stack.api;
    let unknown = "0123456789abcdef0123456789abcdef";
    let export = api.submit(&document("export", "READ-1")?).await?;
    let early = get(api, &format!("/api/requests/{export}/plan")).await?;
    early.expect(404, "a plan that is not made yet");
    let erasure = api.submit(&document("delete", "READ-2")?).await?;
    for path in ["", "/plan", "/report", "/package", "/package?link=72h"] {
        for id in [
            unknown,
            "0123",
            "..",
            &export.to_uppercase(),
            "%2e%2e%2fkeys",
        ] {
            let answer = get(api, &format!("/api/requests/{id}{path}")).await?;
            // The host itself folds `..` away and knows no such route.
            if !answer.text.is_empty() || answer.status != 404 {
                answer.expect(404, &format!("{id}{path}"));
            }
        }
    }
    get(api, &format!("/api/requests/{export}/else"))
        .await?
        .expect(404, "a part that there is not");

    let ended = api.wait_ended(&export, LIMIT).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let planned = api.wait_planned(&erasure, LIMIT).await?;
    assert_eq!(planned["status"], "awaiting_approval", "{planned:#}");
    for (id, status) in [(&export, &ended), (&erasure, &planned)] {
        status_and_plan(api, id, status).await?;
    }
    reports(api, &export, &erasure).await?;
    package(&stack, &export, &ended).await?;
    links(&stack, &export, &erasure).await?;
    list(api, &export, &erasure).await?;
    Ok(())
}

async fn status_and_plan(api: &Api, id: &str, status: &Value) -> anyhow::Result<()> {
    let response = api
        .send(Method::GET, &format!("/api/requests/{id}/plan"), None)
        .await?;
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(text(&response, "content-type"), "application/json");
    let named = text(&response, "plan-sha256");
    let bytes = response.bytes().await?;
    assert_eq!(
        sha256(&bytes),
        status["plan"]["plan_sha256"].as_str().unwrap_or_default()
    );
    assert_eq!(sha256(&bytes), named);
    let plan: Value = serde_json::from_slice(&bytes)?;
    assert_eq!(
        plan["reports"].as_array().map(Vec::len),
        Some(3),
        "{plan:#}"
    );

    // Each stage that is over tells how much there was and what became of it.
    let stages = status["stages"].as_object().expect("stages");
    for (name, stage) in stages.iter().filter(|(_, it)| it.get("ended_at").is_some()) {
        let count = |key: &str| stage[key].as_u64();
        assert_eq!(count("done"), count("planned"), "{name}: {stage}");
        assert_eq!(count("failed"), Some(0), "{name}: {stage}");
        assert_eq!(count("waiting"), Some(0), "{name}: {stage}");
    }
    assert!(stages.len() > 3, "{stages:#?}");
    assert!(
        status["days_left"]
            .as_i64()
            .is_some_and(|days| (27..=31).contains(&days))
    );
    assert!(
        status["next_action"]
            .as_str()
            .is_some_and(|it| !it.is_empty())
    );
    Ok(())
}

async fn reports(api: &Api, export: &str, erasure: &str) -> anyhow::Result<()> {
    get(api, &format!("/api/requests/{erasure}/report"))
        .await?
        .expect(404, "a report that is not made yet");
    let of = format!("/api/requests/{export}/report");
    let json = get(api, &of).await?;
    assert_eq!((json.status, json.kind.as_str()), (200, "application/json"));
    assert_eq!(
        json.body["tallies"]["reports"]["exported"], 3,
        "{}",
        json.text
    );
    let markdown = get(api, &format!("{of}?format=md")).await?;
    assert_eq!(markdown.status, 200);
    assert_eq!(markdown.kind, "text/markdown; charset=utf-8");
    assert!(markdown.text.starts_with("# "), "{}", markdown.text);
    for report in [&json.text, &markdown.text] {
        assert!(!report.contains("ana@example.com"), "{report}");
    }
    Ok(())
}

fn text(response: &Response, name: &str) -> String {
    let value = response.headers().get(name);
    let value = value.and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

async fn ranged(stack: &Stack, url: &str, range: &str) -> anyhow::Result<Response> {
    // The stack's client sends no headers of a test's choice.
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()?;
    let base = stack.host().url();
    let call = http
        .get(format!("{base}{url}"))
        .header(header::RANGE, range);
    Ok(call.send().await?)
}

async fn package(stack: &Stack, id: &str, status: &Value) -> anyhow::Result<()> {
    let url = format!("/api/requests/{id}/package");
    let whole = stack.api.send(Method::GET, &url, None).await?;
    assert_eq!(whole.status(), StatusCode::OK);
    let hash = text(&whole, "x-content-sha256");
    assert_eq!(hash, status["package_sha256"].as_str().unwrap_or_default());
    assert_eq!(text(&whole, "accept-ranges"), "bytes");
    assert_eq!(text(&whole, "content-type"), "application/zip");
    assert_eq!(text(&whole, "etag"), format!("\"{hash}\""));
    assert!(text(&whole, "content-disposition").contains(&format!("{id}.zip")));
    let whole = whole.bytes().await?;
    assert_eq!(sha256(&whole), hash);
    let size = whole.len();

    let mut joined = Vec::new();
    while joined.len() < size {
        let first = joined.len();
        let part = ranged(stack, &url, &format!("bytes={first}-{}", first + 999)).await?;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
        let last = (first + 999).min(size - 1);
        assert_eq!(
            text(&part, "content-range"),
            format!("bytes {first}-{last}/{size}")
        );
        assert_eq!(
            text(&part, "etag"),
            format!("\"{hash}\""),
            "parts of one file"
        );
        let bytes = part.bytes().await?;
        assert_eq!(bytes.len(), last - first + 1);
        joined.extend_from_slice(&bytes);
    }
    assert_eq!(sha256(&joined), hash);

    for (range, expected) in [
        ("bytes=0-0", &whole[..1]),
        ("bytes=-10", &whole[size - 10..]),
        (&format!("bytes={}-", size - 5), &whole[size - 5..]),
        (&format!("bytes=0-{}", size * 2), &whole[..]),
    ] {
        let part = ranged(stack, &url, range).await?;
        assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT, "{range}");
        assert_eq!(part.bytes().await?, expected, "{range}");
    }
    for range in [&format!("bytes={size}-"), "bytes=-0", "bytes=9-3"] {
        let refused = ranged(stack, &url, range).await?;
        assert_eq!(
            refused.status(),
            StatusCode::RANGE_NOT_SATISFIABLE,
            "{range}"
        );
        assert_eq!(text(&refused, "content-type"), "application/problem+json");
        assert_eq!(
            text(&refused, "content-range"),
            format!("bytes */{size}"),
            "{range}"
        );
    }
    Ok(())
}

async fn links(stack: &Stack, export: &str, erasure: &str) -> anyhow::Result<()> {
    let api = &stack.api;
    let url = format!("/api/requests/{export}/package");
    for link in [
        "", "72", "h", "0h", "8d", "169h", "-1h", "1.5h", "72h;d", "forever",
    ] {
        let refused = get(api, &format!("{url}?link={link}")).await?;
        refused.expect(400, link);
    }
    get(api, &format!("/api/requests/{erasure}/package?link=72h"))
        .await?
        .expect(404, "an erasure has no package");
    let link = get(api, &format!("{url}?link=72h")).await?;
    assert_eq!(link.status, 200, "{}", link.text);
    let address = link.body["url"].as_str().expect("an address").to_owned();
    let query: BTreeSet<(String, String)> = reqwest::Url::parse(&address)?
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    assert!(
        query.contains(&("sp".to_owned(), "r".to_owned())),
        "read, nothing else"
    );
    assert!(
        query.contains(&("sr".to_owned(), "b".to_owned())),
        "this blob, no other"
    );
    let expires = query.iter().find(|(name, _)| name == "se").expect("an end");
    let expires: jiff::Timestamp = expires.1.parse()?;
    let stated: jiff::Timestamp = link.body["expires_at"]
        .as_str()
        .unwrap_or_default()
        .parse()?;
    assert!(expires.duration_since(stated).as_secs().abs() <= 1);
    let hours = expires.duration_since(stack.sim.clock().now()).as_hours();
    assert!((71..=72).contains(&hours), "{hours} hours");

    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(30))
        .build()?;
    let read = http.get(&address).send().await?;
    assert_eq!(read.status(), StatusCode::OK);
    let whole = api.send(Method::GET, &url, None).await?.bytes().await?;
    assert_eq!(read.bytes().await?, whole);
    let other = address
        .replace("packages/", "plans/")
        .replace(".zip", ".json");
    let elsewhere = http.get(&other).send().await?.status();
    assert!([403, 404].contains(&elsewhere.as_u16()), "{elsewhere}");
    assert_eq!(
        http.get(&other).send().await?.status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        http.delete(&address).send().await?.status(),
        StatusCode::FORBIDDEN
    );
    let put = http.put(&address).header("x-ms-blob-type", "BlockBlob");
    assert_eq!(put.body("x").send().await?.status(), StatusCode::FORBIDDEN);
    let tampered = address.replace("sp=r", "sp=rw");
    assert_eq!(
        http.get(tampered).send().await?.status(),
        StatusCode::FORBIDDEN
    );
    Ok(())
}

async fn list(api: &Api, export: &str, erasure: &str) -> anyhow::Result<()> {
    let mut all = BTreeSet::from([export.to_owned(), erasure.to_owned()]);
    for n in 0..3 {
        let id = api
            .submit(&document("known", &format!("LIST-{n}"))?)
            .await?;
        let body = json!({ "by": "a tester", "reason": "to be listed" });
        api.decide(&id, "cancel", &body).await?;
        all.insert(id);
    }
    let ids = |page: &Value| -> Vec<String> {
        let values = page["values"].as_array().cloned().unwrap_or_default();
        values
            .iter()
            .filter_map(|it| it["id"].as_str().map(str::to_owned))
            .collect()
    };
    // Page by page everything comes once.
    let mut seen = Vec::new();
    let mut after = String::new();
    for _ in 0..10 {
        let page = get(api, &format!("/api/requests?limit=2{after}")).await?;
        assert_eq!(page.status, 200, "{}", page.text);
        let listed = ids(&page.body);
        assert!(listed.len() <= 2);
        seen.extend(listed);
        let Some(next) = page.body["next"].as_str() else {
            break;
        };
        let next: String = url::form_urlencoded::byte_serialize(next.as_bytes()).collect();
        after = format!("&after={next}");
    }
    assert_eq!(seen.len(), all.len());
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), all);

    for (status, expected) in [
        ("completed", 1),
        ("awaiting_approval", 1),
        ("cancelled", 3),
        ("failed", 0),
        ("refused", 0),
    ] {
        let page = get(api, &format!("/api/requests?status={status}")).await?;
        assert_eq!(ids(&page.body).len(), expected, "{status}: {}", page.text);
    }
    for query in [
        "status=done",
        "status=",
        "limit=0",
        "limit=x",
        "limit=1000",
        "limit=-1",
    ] {
        get(api, &format!("/api/requests?{query}"))
            .await?
            .expect(400, query);
    }
    let listed = get(api, "/api/requests").await?;
    for value in ["u-20417", "ana@example.com"] {
        assert!(!listed.text.contains(value));
    }
    post(api, "/api/requests/LIST-1/approve", &json!({}))
        .await?
        .expect(404, "a reference is no ID");
    Ok(())
}
