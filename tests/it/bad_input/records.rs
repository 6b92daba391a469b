//! Records that cannot be read: theirs is the failure, not the others'.

use appcenter_sim::{Fault, FaultKind, World};
use reqwest::Method;
use serde_json::{Value, json};

use super::{container, until};
use crate::api::{SMALL, call, document, get, post};
use crate::harness::{LIMIT, settings, start};

const MAX: usize = 1024 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_cannot_be_read_is_left_as_it_is_and_the_others_go_on() -> anyhow::Result<()>
{
    let stack = start(World::parse(SMALL)?, settings()).await?;
    let api = &stack.api;
    let work = container(&stack, "dsr")?;
    // All of them wait for a plan's approval, under way, when their records go bad.
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(api.submit(&document("known", &format!("BAD-{n}"))?).await?);
    }
    let good = api.submit(&document("delete", "GOOD-1")?).await?;
    for id in ids.iter().chain([&good]) {
        let planned = api.wait_planned(id, LIMIT).await?;
        assert_eq!(planned["status"], "awaiting_approval", "{planned:#}");
    }
    let name = |id: &str| format!("records/{id}.json");
    let stored = work.read(&name(&ids[0]), MAX).await?.expect("it is there");
    let mut newer: Value = serde_json::from_slice(&stored.bytes)?;
    newer["schema"] = json!(99);
    newer["what_we_do_not_know"] = json!({ "a": [1, 2] });
    newer["status"] = json!("paused");
    let newer = serde_json::to_vec_pretty(&newer)?;
    let half = stored.bytes[..stored.bytes.len() / 2].to_vec();
    let bad: [&[u8]; 4] = [&newer, &half, b"", b"\xff\xfe\x00{}"];
    for (id, bytes) in ids.iter().zip(bad) {
        work.put(&name(id), bytes.to_vec(), "application/json")
            .await?;
    }

    // Its own status and decisions fail, in words, and its messages do.
    for id in &ids {
        let of = format!("/api/requests/{id}");
        get(api, &of).await?.expect(500, "a status");
        get(api, &format!("{of}/plan")).await?.expect(500, "a plan");
        let reason = json!({ "by": "a tester", "reason": "it is bad" });
        for action in ["cancel", "reject", "extend"] {
            post(api, &format!("{of}/{action}"), &reason)
                .await?
                .expect(500, action);
        }
        let retry = json!({ "by": "a tester" });
        post(api, &format!("{of}/retry"), &retry)
            .await?
            .expect(500, "retry");
    }
    let again = document("known", "BAD-1")?;
    post(api, "/api/requests", &again)
        .await?
        .expect(500, "filed again");
    let failed = stack.host().failed();
    let message = json!({ "v": 1, "request": ids[1], "run": 1, "step": "block" });
    let input = json!({ "input": message.to_string() });
    let sent = post(api, "/admin/functions/block", &input).await?;
    assert_eq!(sent.status, 202, "{}", sent.text);
    until("its message fails", || async {
        Ok(stack.host().failed() > failed)
    })
    .await?;

    // Listed by what is wrong with them, beside the others.
    let listed = get(api, "/api/requests").await?;
    assert_eq!(listed.status, 200, "{}", listed.text);
    let values = listed.body["values"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert_eq!(values.len(), 5, "{}", listed.text);
    for it in &values {
        let id = it["id"].as_str().unwrap_or_default();
        let expected = if id == good {
            "awaiting_approval"
        } else {
            "unreadable"
        };
        assert_eq!(it["status"], expected, "{it:#}");
        let next = it["next_action"].as_str().unwrap_or_default();
        assert_eq!(next.contains("newer version"), id == ids[0], "{it:#}");
    }
    let only = get(api, "/api/requests?status=awaiting_approval").await?;
    let shown = only.body["values"].as_array().cloned().unwrap_or_default();
    assert!(
        shown.iter().any(|it| it["id"] == good.as_str()),
        "{}",
        only.text
    );

    // The others go on to their ends: an erasure past its look for overlapping exports, a search of the same days.
    api.approve(&good, &[]).await?;
    let export = api.submit(&document("export", "GOOD-2")?).await?;
    let swept = call(api, Method::POST, "/admin/functions/sweep", None).await?;
    assert_eq!(swept.status, 202);
    let ended = api.wait_ended(&export, LIMIT).await?;
    assert!(ended["has_report"] == true, "{ended:#}");
    let ended = api.wait_ended(&good, LIMIT).await?;
    assert_eq!(ended["status"], "completed_with_exceptions", "{ended:#}");
    let request = stack.sim.world(|world| world.request("delete").cloned());
    let request = request.expect("the world has it");
    let differences = stack::audit::differences(&stack.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");

    for (id, bytes) in ids.iter().zip(bad) {
        let now = work.read(&name(id), MAX).await?.expect("it is there");
        assert_eq!(now.bytes, bytes, "byte for byte as it was");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_waits_for_an_open_export_of_the_same_person() -> anyhow::Result<()> {
    let stack = start(World::parse(SMALL)?, settings()).await?;
    let api = &stack.api;
    // The export cannot be collected for a while.
    stack.sim.faults().add(Fault {
        operation: Some("Errors_ErrorAttachments".to_owned()),
        skip: 0,
        count: 1000,
        kind: FaultKind::Status { status: 503 },
    });
    let export = api.submit(&document("export", "OVERLAP-1")?).await?;
    // It shares one identifier of several, and the app.
    let mut erasure = document("delete", "OVERLAP-2")?;
    erasure["subject"] = json!({ "emails": ["ANA@example.com"], "user_ids": ["u-99999"] });
    let erasure = api.submit(&erasure).await?;
    let mut other = document("delete", "OVERLAP-3")?;
    other["subject"] = json!({ "user_ids": ["u-30001"] });
    let other = api.submit(&other).await?;
    for id in [&erasure, &other] {
        let planned = api.wait_planned(id, LIMIT).await?;
        assert_eq!(planned["status"], "awaiting_approval", "{planned:#}");
        api.approve(id, &[]).await?;
    }
    // Somebody else's erasure does not wait.
    let ended = api.wait_ended(&other, LIMIT).await?;
    assert_eq!(ended["status"], "completed_with_exceptions", "{ended:#}");
    let blocked = stack.sim.audit().blocked().len();
    assert_eq!(blocked, 1, "somebody else's alone");

    until("the status says for what it waits", || async {
        let status = api.status(&erasure).await?;
        let next = status["next_action"].as_str().unwrap_or_default();
        let stage = &status["stages"]["block"];
        Ok(status["step"] == "block"
            && next.contains(&export)
            && stage["waiting"] == 1
            && stage["waiting_until"].is_string())
    })
    .await?;
    assert_eq!(api.status(&export).await?["status"], "running");
    assert_eq!(stack.sim.audit().blocked().len(), blocked);
    assert_eq!(
        stack.sim.audit().deleted().len(),
        1,
        "somebody else's alone"
    );

    stack.sim.faults().clear();
    let ended = api.wait_ended(&export, LIMIT).await?;
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let report = get(api, &format!("/api/requests/{export}/report"))
        .await?
        .body;
    assert_eq!(report["tallies"]["reports"]["exported"], 3, "{report:#}");
    let ended = api.wait_ended(&erasure, LIMIT).await?;
    assert_eq!(ended["status"], "completed_with_exceptions", "{ended:#}");
    assert!(stack.sim.audit().blocked().len() > blocked);
    Ok(())
}
