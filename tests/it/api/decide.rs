//! `POST /api/requests/{id}/{action}`: every decision where it fits, and everything that it is refused for.

use std::collections::BTreeSet;
use std::time::Duration;

use appcenter_sim::{Fault, FaultKind, World};
use jiff::{Timestamp, ToSpan as _};
use reqwest::Method;
use serde_json::{Value, json};
use stack::{Api, Stack};

use super::{Answer, SMALL, call, document, get, post};
use crate::harness::{LIMIT, settings, start};

async fn decide(api: &Api, id: &str, action: &str, body: &Value) -> anyhow::Result<Answer> {
    post(api, &format!("/api/requests/{id}/{action}"), body).await
}

/// Decides and holds that the answer is the request's status.
async fn decided(api: &Api, id: &str, action: &str, body: &Value) -> anyhow::Result<Value> {
    let answer = decide(api, id, action, body).await?;
    assert_eq!(answer.status, 200, "{action}: {}", answer.text);
    assert_eq!(answer.body["id"], id, "{}", answer.text);
    Ok(answer.body)
}

fn reason() -> Value {
    json!({ "by": "a tester", "reason": "because of a test" })
}

fn by() -> Value {
    json!({ "by": "a tester" })
}

/// What App Center did that cannot be undone.
fn irreversible(stack: &Stack) -> (usize, usize) {
    let audit = stack.sim.audit();
    let called = |operation| audit.calls_of(operation).len();
    (called("Devices_BlockLogs"), called("Errors_DeleteError"))
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_are_taken_where_they_fit() -> anyhow::Result<()> {
    // The person has three reports: with this setting the plan is a large one.
    let stack = start(
        World::parse(SMALL)?,
        settings().with("PLAN_MAX_REPORTS", "2"),
    )
    .await?;
    let api = &stack.api;
    let id = api.submit(&document("delete", "DECIDE-1")?).await?;
    let midway = api.submit(&document("known", "DECIDE-2")?).await?;
    let hash = "0".repeat(64);
    let early = json!({ "plan_sha256": hash, "approver": "a tester" });
    decide(api, &id, "approve", &early)
        .await?
        .expect(409, "before there is a plan");
    decide(api, &id, "reject", &reason())
        .await?
        .expect(409, "before there is a plan");
    let planned = api.wait_planned(&id, LIMIT).await?;
    assert_eq!(planned["status"], "awaiting_approval", "{planned:#}");
    let (plan, hash) = api.plan(&id).await?;
    faulty_bodies(api, &id, &plan, &hash).await?;
    extend(api, &id).await?;
    cancel_midway(&stack, &midway).await?;
    let before = irreversible(&stack);
    ended_and_retried(api, &id).await?;
    assert_eq!(irreversible(&stack), before, "nothing was approved");
    approve(&stack, &id).await?;
    Ok(())
}

async fn faulty_bodies(api: &Api, id: &str, plan: &Value, hash: &str) -> anyhow::Result<()> {
    let act = plan["reports"][0]["id"].clone();
    assert_eq!(plan["reports"][0]["action"], "act", "{plan:#}");
    let approval = |name: &str, value: Value| {
        let mut body = json!({ "plan_sha256": hash, "approver": "a tester", "confirm_large": 3 });
        body[name] = value;
        body
    };
    let without = json!({ "plan_sha256": hash, "approver": "a tester" });
    for (body, status, pointers) in [
        (json!({}), 400, &["/approver", "/plan_sha256"][..]),
        (json!([]), 400, &[""]),
        (approval("approver", json!(" ")), 400, &["/approver"]),
        (
            approval("approver", json!("x".repeat(501))),
            400,
            &["/approver"],
        ),
        (approval("comment", json!("x")), 400, &["/comment"]),
        (approval("also", json!("x")), 400, &["/also"]),
        (approval("also", json!([1])), 400, &["/also"]),
        (approval("also", json!(["no-such-item"])), 400, &["/also/0"]),
        (approval("also", json!([act])), 400, &["/also/0"]),
        (
            approval("confirm_large", json!("3")),
            400,
            &["/confirm_large"],
        ),
        (
            approval("confirm_large", json!(2)),
            400,
            &["/confirm_large"],
        ),
        (without, 400, &["/confirm_large"]),
        (approval("plan_sha256", json!("0".repeat(64))), 412, &[]),
        (approval("plan_sha256", json!(&hash[..63])), 412, &[]),
    ] {
        let answer = decide(api, id, "approve", &body).await?;
        answer.expect(status, &body.to_string());
        let mut found = answer.pointers();
        found.sort_unstable();
        assert_eq!(found, pointers, "{body}: {}", answer.text);
    }
    for action in ["reject", "cancel", "extend", "retry"] {
        let answer = decide(api, id, action, &json!({ "who": "x" })).await?;
        answer.expect(400, action);
        assert!(answer.pointers().contains(&"/who"), "{}", answer.text);
        assert!(answer.pointers().contains(&"/by"), "{}", answer.text);
    }
    let of = format!("/api/requests/{id}/cancel");
    let body = reason().to_string().into_bytes();
    call(api, Method::POST, &of, Some(("text/plain", body)))
        .await?
        .expect(415, "not JSON by type");
    for (body, status) in [
        (b"{\"by\":".to_vec(), 400),
        (vec![b'['; 100_000], 400),
        (vec![b' '; 1024 * 1024 + 1], 413),
        (vec![b' '; 3 * 1024 * 1024], 413),
    ] {
        let body = Some(("application/json", body));
        let answer = call(api, Method::POST, &of, body).await?;
        answer.expect(status, "a body that cannot be read");
    }
    decide(api, id, "purge", &reason())
        .await?
        .expect(404, "no such action");
    decide(api, &"0".repeat(32), "cancel", &reason())
        .await?
        .expect(404, "no such request");
    let status = api.status(id).await?;
    assert_eq!(status["status"], "awaiting_approval", "nothing was decided");
    Ok(())
}

async fn extend(api: &Api, id: &str) -> anyhow::Result<()> {
    let due = |status: &Value| -> anyhow::Result<jiff::civil::Date> {
        Ok(status["due"].as_str().unwrap_or_default().parse()?)
    };
    let before = api.status(id).await?;
    let received: Timestamp = before["received_at"].as_str().unwrap_or_default().parse()?;
    let day = received.to_zoned(jiff::tz::TimeZone::UTC).date();
    assert_eq!(due(&before)?, day.saturating_add(1.month()));
    decide(api, id, "extend", &by())
        .await?
        .expect(400, "without a reason");
    let after = decided(api, id, "extend", &reason()).await?;
    assert_eq!(due(&after)?, day.saturating_add(3.months()));
    assert_eq!(after["extended"], true);
    assert_eq!(after["status"], "awaiting_approval");
    let noted = after["history"]
        .as_array()
        .and_then(|it| it.last())
        .cloned();
    let noted = noted.unwrap_or_default();
    assert_eq!(noted["what"], "extended");
    assert_eq!(
        (&noted["by"], &noted["reason"]),
        (&reason()["by"], &reason()["reason"])
    );
    decide(api, id, "extend", &reason())
        .await?
        .expect(409, "a second time");

    // Received so long ago that its due date is over.
    let mut late = document("known", "DECIDE-LATE")?;
    let received = Timestamp::from_second(received.as_second() - 60 * 24 * 3600)?;
    late["received_at"] = json!(received.to_string());
    late["jurisdiction"] = json!("us-ca");
    let late = api.submit(&late).await?;
    let status = api.status(&late).await?;
    assert_eq!(status["days_left"], -15, "{status:#}");
    decide(api, &late, "extend", &reason())
        .await?
        .expect(409, "too late");
    decided(api, &late, "cancel", &reason()).await?;
    decide(api, &late, "extend", &reason())
        .await?
        .expect(409, "ended");
    Ok(())
}

/// Cancelled while the first irreversible call is under way: no other follows it.
async fn cancel_midway(stack: &Stack, id: &str) -> anyhow::Result<()> {
    let api = &stack.api;
    let planned = api.wait_planned(id, LIMIT).await?;
    assert_eq!(planned["status"], "awaiting_approval", "{planned:#}");
    let delay = FaultKind::Delay { millis: 2500 };
    stack
        .sim
        .faults()
        .add(Fault::once("Devices_BlockLogs", delay));
    api.approve(id, &[]).await?;
    let end = tokio::time::Instant::now() + LIMIT;
    while stack.sim.faults().hits() == 0 {
        assert!(tokio::time::Instant::now() < end, "nothing is blocked");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let cancelled = decided(api, id, "cancel", &reason()).await?;
    assert_eq!(cancelled["status"], "cancelled");
    for action in ["cancel", "reject"] {
        decide(api, id, action, &reason())
            .await?
            .expect(409, "ended already");
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(
        irreversible(stack),
        (1, 0),
        "one block was under way, nothing follows"
    );
    let status = api.status(id).await?;
    assert_eq!(status["status"], "cancelled", "{status:#}");
    assert!(status["step"].is_null(), "{status:#}");
    assert!(status["ended_at"].is_string(), "{status:#}");
    Ok(())
}

/// Rejected, planned anew, cancelled, planned anew; each plan stands for itself.
async fn ended_and_retried(api: &Api, id: &str) -> anyhow::Result<()> {
    let (_plan, first) = api.plan(id).await?;
    let mut hashes = BTreeSet::from([first.clone()]);
    for (run, action, status) in [(1, "reject", "rejected"), (2, "cancel", "cancelled")] {
        let ended = decided(api, id, action, &reason()).await?;
        assert_eq!(ended["status"], status);
        assert_eq!(ended["run"], run);
        let approval = json!({ "plan_sha256": first, "approver": "x", "confirm_large": 3 });
        decide(api, id, "approve", &approval)
            .await?
            .expect(409, status);
        let again = decided(api, id, "retry", &by()).await?;
        assert_eq!(
            (&again["status"], &again["run"]),
            (&json!("running"), &json!(run + 1))
        );
        assert!(
            again.get("plan").is_none(),
            "the old plan is void: {again:#}"
        );
        get(api, &format!("/api/requests/{id}/plan"))
            .await?
            .expect(404, "void");
        let planned = api.wait_planned(id, LIMIT).await?;
        assert_eq!(planned["status"], "awaiting_approval", "{planned:#}");
        assert_eq!(
            planned["extended"], true,
            "an extension holds for the request"
        );
        hashes.insert(api.plan(id).await?.1);
    }
    assert_eq!(hashes.len(), 3, "each run has a plan of its own");
    let approval = json!({ "plan_sha256": first, "approver": "x", "confirm_large": 3 });
    decide(api, id, "approve", &approval)
        .await?
        .expect(412, "an older plan");
    Ok(())
}

async fn approve(stack: &Stack, id: &str) -> anyhow::Result<()> {
    let api = &stack.api;
    let (_plan, hash) = api.plan(id).await?;
    let approval = json!({
        "plan_sha256": hash.to_uppercase(),
        "approver": "a tester",
        "also": [],
        "confirm_large": 3,
    });
    let approved = decided(api, id, "approve", &approval).await?;
    assert_eq!(approved["status"], "running", "{approved:#}");
    // The caller did not see the answer and approves once more; somebody else does too.
    let again = decide(api, id, "approve", &approval).await?;
    assert!([200, 409].contains(&again.status), "{}", again.text);
    let mut other = approval.clone();
    other["approver"] = json!("somebody else");
    decide(api, id, "approve", &other)
        .await?
        .expect(409, "approved already");
    let ended = api.wait_ended(id, LIMIT).await?;
    assert_eq!(ended["status"], "completed_with_exceptions", "{ended:#}");
    let request = stack.sim.world(|world| world.request("delete").cloned());
    let request = request.expect("the world has it");
    let differences = stack::audit::differences(&stack.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    // Done: the identifiers have left the record, and nothing can be planned anew.
    decide(api, id, "retry", &by())
        .await?
        .expect(409, "no identifiers");
    for action in ["cancel", "reject", "extend"] {
        decide(api, id, action, &reason())
            .await?
            .expect(409, action);
    }
    decide(api, id, "approve", &approval)
        .await?
        .expect(409, "done");
    let known = post(api, "/api/requests", &document("delete", "DECIDE-1")?).await?;
    assert_eq!((known.status, &known.body["id"]), (200, &json!(id)));
    Ok(())
}

/// What fails is an exception that a retry mends: the identifiers stay until then.
#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_failed_is_mended_by_a_retry() -> anyhow::Result<()> {
    let stack = start(World::parse(SMALL)?, settings()).await?;
    let api = &stack.api;
    let forbidden = FaultKind::Status { status: 400 };
    stack
        .sim
        .faults()
        .add(Fault::once("Errors_DeleteError", forbidden));
    let (id, ended) = api.run(&document("delete", "MEND-1")?, &[], LIMIT).await?;
    assert_eq!(ended["status"], "completed_with_exceptions", "{ended:#}");
    let lines = ended["exceptions"].to_string();
    assert!(lines.contains("item_failed"), "{lines}");
    assert_eq!(stack.sim.audit().deleted().len(), 2);
    decided(api, &id, "retry", &by()).await?;
    let planned = api.wait_planned(&id, LIMIT).await?;
    assert_eq!(planned["run"], 2);
    if planned["status"] == "awaiting_approval" {
        api.approve(&id, &[]).await?;
    }
    let ended = api.wait_ended(&id, LIMIT).await?;
    let lines = ended["exceptions"].to_string();
    assert!(!lines.contains("item_failed"), "{lines}");
    let request = stack.sim.world(|world| world.request("delete").cloned());
    let request = request.expect("the world has it");
    let differences = stack::audit::differences(&stack.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

/// Held items are acted on when their IDs stand in `also`, and no others with them.
#[tokio::test(flavor = "multi_thread")]
async fn held_items_are_released_one_by_one() -> anyhow::Result<()> {
    let world = World::demo()?;
    let requests: Vec<_> = world
        .requests()
        .iter()
        .filter(|it| !it.also.is_empty())
        .cloned()
        .collect();
    assert_eq!(requests.len(), 4, "the demo world has four");
    let stack = start(world, settings()).await?;
    let api = &stack.api;
    // All plans are made before anything is done, so that none sees what another did.
    let mut ids = Vec::new();
    for request in &requests {
        ids.push(api.submit(&request.document).await?);
    }
    for id in &ids {
        let planned = api.wait_planned(id, LIMIT).await?;
        assert_eq!(planned["status"], "awaiting_approval", "{planned:#}");
    }
    let mut expected = Vec::new();
    for (request, id) in requests.iter().zip(&ids) {
        let [variant] = request.also.as_slice() else {
            panic!("one variant");
        };
        let (plan, _hash) = api.plan(id).await?;
        let differences = stack::audit::plan_differences(&plan, &request.expected);
        assert!(differences.is_empty(), "{}: {differences:#?}", request.name);
        let also = stack::audit::item_ids(&plan, &variant.include);
        assert_eq!(also.len(), variant.include.len(), "{}", request.name);
        api.approve(id, &also).await?;
        expected.push((request.with(variant), also));
    }
    for (id, (request, also)) in ids.iter().zip(&expected) {
        let ended = api.wait_ended(id, LIMIT).await?;
        assert_eq!(ended["status"], "completed_with_exceptions", "{ended:#}");
        let report = get(api, &format!("/api/requests/{id}/report")).await?.body;
        let mut found = 0;
        for (key, done) in [("installs", "blocked"), ("reports", "deleted")] {
            for item in report[key].as_array().into_iter().flatten() {
                if also.iter().any(|id| item["id"] == id.as_str()) {
                    found += 1;
                    assert_eq!(item["outcome"], done, "{}: {item:#}", request.name);
                }
            }
        }
        assert_eq!(found, also.len(), "{}", request.name);
    }
    let expected = expected.iter().map(|(request, _also)| request);
    let differences = stack::audit::differences(&stack.sim.audit(), expected);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}
