//! Apps that are not there, and tokens that are not accepted.

use appcenter_sim::World;
use serde_json::json;

use super::until;
use crate::api::{SMALL, document, get};
use crate::harness::{LIMIT, settings, start};

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_unknown_is_an_exception_and_the_rest_goes_on() -> anyhow::Result<()> {
    let stack = start(World::parse(SMALL)?, settings()).await?;
    let api = &stack.api;
    let mut both = document("export", "APPS-1")?;
    let shop = both["apps"][0].clone();
    both["apps"] = json!([shop, { "owner": "contoso", "name": "no-such-app" }]);
    let mut neither = document("delete", "APPS-2")?;
    neither["apps"] = json!([{ "owner": "fabrikam", "name": "no-such-app" }]);
    let both = api.submit(&both).await?;
    let neither = api.submit(&neither).await?;

    let ended = api.wait_ended(&both, LIMIT).await?;
    assert_eq!(ended["status"], "completed_with_exceptions", "{ended:#}");
    assert!(ended["package_sha256"].is_string(), "{ended:#}");
    let report = get(api, &format!("/api/requests/{both}/report")).await?;
    assert_eq!(
        report.body["tallies"]["reports"]["exported"], 3,
        "{}",
        report.text
    );
    let lines = ended["exceptions"].to_string();
    assert!(lines.contains("contoso/no-such-app"), "{lines}");
    assert!(!lines.contains("(contoso/shop)"), "{lines}");

    // Nothing could be searched: that is no answer, and it says so.
    let ended = api.wait_ended(&neither, LIMIT).await?;
    assert!(
        ["completed_with_exceptions", "failed"]
            .contains(&ended["status"].as_str().unwrap_or_default()),
        "{ended:#}"
    );
    let lines = ended["exceptions"].to_string();
    assert!(lines.contains("fabrikam/no-such-app"), "{lines}");
    assert!(lines.contains("does not know the app"), "{lines}");
    assert!(stack.sim.audit().blocked().is_empty());
    assert!(stack.sim.audit().deleted().is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_not_accepted_waits_for_a_person() -> anyhow::Result<()> {
    let stack = start(World::parse(SMALL)?, settings()).await?;
    let api = &stack.api;
    stack.sim.set_user_token_invalid(true);
    let id = api.submit(&document("export", "TOKEN-1")?).await?;
    let mut shown = String::new();
    until("the status tells what a person must do", || async {
        let status = api.status(&id).await?;
        let next = status["next_action"].as_str().unwrap_or_default();
        Ok(next.contains("APPCENTER_API_TOKEN"))
    })
    .await?;
    let status = api.status(&id).await?;
    shown.push_str(&status.to_string());
    assert_eq!(status["status"], "running", "{status:#}");
    let stage = &status["stages"]["configure"];
    assert_eq!(stage["waiting"], 1, "{status:#}");
    assert!(stage["waiting_until"].is_string(), "{status:#}");
    assert!(!shown.contains(stack.sim.token()), "{shown}");

    stack.sim.set_user_token_invalid(false);
    let ended = api.wait_ended(&id, LIMIT).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let log = stack.host().log().lines().join("\n");
    assert!(!log.contains(stack.sim.token()), "the token is in the log");
    Ok(())
}
