//! Keys: each HTTP function has its own, and the one that files requests can do nothing else.

use appcenter_sim::World;
use reqwest::Method;
use serde_json::json;
use stack::Settings;

use super::{SMALL, call, document, get, post};
use crate::harness::{settings, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_its_own_function_only() -> anyhow::Result<()> {
    let settings = Settings {
        is_exported: false,
        enable_auth: true,
        ..settings()
    };
    let stack = start(World::parse(SMALL)?, settings).await?;
    let key = |function: &str| {
        let key = stack.host().function_key(function);
        key.expect("it has a key").to_owned()
    };
    let files = stack.api.with_key(&key("intake"));
    let reads = stack.api.with_key(&key("requests"));
    let decides = stack.api.with_key(&key("decide"));
    let wrong = stack.api.with_key("no-such-key");

    let document = document("export", "KEYS-1")?;
    for api in [&stack.api, &wrong, &reads, &decides] {
        assert_eq!(post(api, "/api/requests", &document).await?.status, 401);
    }
    let filed = post(&files, "/api/requests", &document).await?;
    assert_eq!(filed.status, 202, "{}", filed.text);
    let id = filed.body["id"].as_str().expect("an ID");
    let of = format!("/api/requests/{id}");
    for path in [
        "/api/requests".to_owned(),
        "/api/requests?status=refused".to_owned(),
        of.clone(),
        format!("{of}/plan"),
        format!("{of}/report"),
        format!("{of}/package"),
        format!("{of}/package?link=72h"),
    ] {
        for api in [&stack.api, &wrong, &files, &decides] {
            let answer = get(api, &path).await?;
            assert_eq!(answer.status, 401, "{path}");
            assert_eq!(answer.text, "", "{path}");
        }
        let status = get(&reads, &path).await?.status;
        assert!([200, 404].contains(&status), "{path}: {status}");
    }
    let body = json!({ "by": "a tester", "reason": "no more" });
    for action in ["approve", "reject", "cancel", "extend", "retry"] {
        for api in [&stack.api, &wrong, &files, &reads] {
            let answer = post(api, &format!("{of}/{action}"), &body).await?;
            assert_eq!(answer.status, 401, "{action}");
        }
    }
    assert_ne!(get(&reads, &of).await?.body["status"], "cancelled");
    let cancelled = post(&decides, &format!("{of}/cancel"), &body).await?;
    assert_eq!(cancelled.status, 200, "{}", cancelled.text);

    // Running a function by hand is for the master key alone.
    for api in [&stack.api, &files, &reads, &decides] {
        let answer = call(api, Method::POST, "/admin/functions/sweep", None).await?;
        assert_eq!(answer.status, 401);
    }
    Ok(())
}
