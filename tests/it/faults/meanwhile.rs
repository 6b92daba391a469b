//! What others do meanwhile: they delete, cancel, and send new reports.

use std::sync::LazyLock;
use std::time::Duration;

use appcenter_dsr::stages::decide::Decision;
use appcenter_dsr::workflow::{Status, Step};
use appcenter_sim::{ExpectedRequest, World};
use serde_json::json;

use super::{SMALL, outcomes};
use crate::pump::{Disturb, Pump};

static AGAIN: LazyLock<serde_json::Value> = LazyLock::new(|| json!({ "by": "a tester" }));

async fn start(name: &str) -> anyhow::Result<(Pump, ExpectedRequest)> {
    let mut pump = Pump::start(World::parse(SMALL)?).await?;
    pump.set("SLICE_ITEMS", "1");
    let request = pump.sim.world(|world| world.request(name).cloned());
    Ok((pump, request.expect("the world has it")))
}

fn irreversible(pump: &Pump) -> usize {
    let audit = pump.sim.audit();
    let is_one = |method: &str| matches!(method, "DELETE" | "PUT");
    audit.calls.iter().filter(|it| is_one(&it.method)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_somebody_else_deleted_is_already_gone() -> anyhow::Result<()> {
    let (pump, request) = start("known").await?;
    let disturb = Disturb::nothing();
    let id = pump.submit(&request.document, &disturb).await?;
    pump.drive(&id, &disturb).await?;
    let gone = request.expected.reports.first().expect("there is one");
    let url = format!(
        "{}/v0.1/apps/{}/errors/errorGroups/{}/errors/{}",
        pump.sim.url(),
        gone.app,
        gone.group,
        gone.error
    );
    let reply = reqwest::Client::builder()
        .build()?
        .delete(url)
        .header("X-API-Token", pump.sim.token())
        .send()
        .await?;
    assert!(reply.status().is_success());
    pump.approve(&id, &disturb).await?;
    let record = pump.drive(&id, &disturb).await?;
    let report = pump.report(&record).await?;
    assert_eq!(
        report["tallies"]["reports"]["already_gone"], 1,
        "{report:#}"
    );
    assert_eq!(report["tallies"]["reports"]["deleted"], 2, "{report:#}");
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_deleted_once_a_cancellation_is_answered() -> anyhow::Result<()> {
    let (pump, request) = start("known").await?;
    let disturb = Disturb::nothing();
    let id = pump.submit(&request.document, &disturb).await?;
    pump.drive(&id, &disturb).await?;
    pump.approve(&id, &disturb).await?;
    // Deletions begin, and the decision comes between two of them.
    let cancel = async {
        while pump.sim.audit().calls_of("Errors_DeleteError").is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let body = json!({ "by": "a tester", "reason": "it was the wrong person" });
        pump.decide(&id, Decision::Cancel, &body, &disturb).await?;
        anyhow::Ok(irreversible(&pump))
    };
    let (driven, cancelled) = tokio::join!(pump.drive(&id, &disturb), cancel);
    let (record, calls) = (driven?, cancelled?);
    assert_eq!(record.status, Status::Cancelled);
    // What was still in flight, and what waits in a queue, has time to come.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    pump.drive(&id, &disturb).await?;
    let late = irreversible(&pump) - calls;
    assert_eq!(late, 0, "{late} calls came after the cancellation");
    pump.decide(&id, Decision::Retry, &json!({ "by": "a tester" }), &disturb)
        .await?;
    let planned = pump.drive(&id, &disturb).await?;
    assert_eq!(planned.status, Status::AwaitingApproval, "{planned:#?}");
    assert_eq!(planned.run, 2);
    pump.approve(&id, &disturb).await?;
    let record = pump.drive(&id, &disturb).await?;
    assert_eq!(
        record.status,
        Status::CompletedWithExceptions,
        "{record:#?}"
    );
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_after_the_approval_is_listed_and_left_for_a_retry() -> anyhow::Result<()> {
    let (pump, request) = start("known").await?;
    let disturb = Disturb::nothing();
    let id = pump.submit(&request.document, &disturb).await?;
    pump.drive(&id, &disturb).await?;
    let install = &request.expected.installs.first().expect("one").install;
    let now = pump.sim.clock().now();
    let crash = json!([{
        "type": "handledError",
        "id": "7d0c6c1e-3f8a-4b52-9a55-0d2f9a5c4e01",
        "timestamp": now.to_string(),
        "userId": "u-20417",
        "device": { "appVersion": "1.0.0", "appBuild": "1", "model": "Pixel 7", "osName": "Android" },
        "exception": {
            "type": "SyncError",
            "message": "the basket could not be merged",
            "frames": [{ "className": "com.contoso.shop.Sync", "methodName": "merge", "fileName": "Sync.kt", "lineNumber": 57 }]
        }
    }]);
    assert_eq!(pump.sim.ingest("shop", install.parse()?, &crash)?, 1);
    pump.sim.clock().advance(Duration::from_secs(600));
    pump.sim.tick().await;
    pump.approve(&id, &disturb).await?;
    let record = pump.drive(&id, &disturb).await?;
    let report = pump.report(&record).await?;
    assert_eq!(report["arrived_after_approval"]["total"], 1, "{report:#}");
    // Its row ages out last.
    let last = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    let gone_by = last.saturating_add(jiff::ToSpan::days(28)).to_string();
    assert_eq!(report["ageing_rows"]["gone_by"], gone_by, "{report:#}");
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    pump.decide(&id, Decision::Retry, &json!({ "by": "a tester" }), &disturb)
        .await?;
    pump.drive(&id, &disturb).await?;
    pump.approve(&id, &disturb).await?;
    let record = pump.drive(&id, &disturb).await?;
    let report = pump.report(&record).await?;
    assert_eq!(report["arrived_after_approval"]["total"], 0, "{report:#}");
    assert_eq!(pump.sim.audit().deleted.len(), 4, "{report:#}");
    assert!(!outcomes(&report).values().any(|it| it == "failed"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_in_the_middle_loses_nothing_of_what_was_done() -> anyhow::Result<()> {
    let (pump, request) = start("known").await?;
    let disturb = Disturb::nothing();
    let id = pump.submit(&request.document, &disturb).await?;
    let retry = || pump.decide(&id, Decision::Retry, &AGAIN, &disturb);
    let meanwhile = async {
        while pump.record(&id).await?.step != Some(Step::Find) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        retry().await
    };
    let (planned, retried) = tokio::join!(pump.drive(&id, &disturb), meanwhile);
    retried?;
    assert_eq!(planned?.run, 2, "there is a plan of the second run");
    // Blocks begin, then (in the next run) deletions; each time somebody asks for another run.
    for (run, call) in [(3, "Devices_BlockLogs"), (4, "Errors_DeleteError")] {
        pump.approve(&id, &disturb).await?;
        let meanwhile = async {
            while pump.sim.audit().calls_of(call).is_empty() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            retry().await
        };
        let (planned, retried) = tokio::join!(pump.drive(&id, &disturb), meanwhile);
        retried?;
        let planned = planned?;
        assert_eq!(planned.status, Status::AwaitingApproval, "{planned:#?}");
        assert_eq!(planned.run, run);
    }
    let deleted_before = pump.sim.audit().deleted.len();
    assert!(deleted_before > 0);
    pump.approve(&id, &disturb).await?;
    let record = pump.drive(&id, &disturb).await?;
    assert!(record.left.is_empty());
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");

    // The last run deleted the rest, and tells what earlier ones deleted as ours.
    let report = pump.report(&record).await?;
    assert_eq!(
        report["tallies"]["reports"],
        json!({ "deleted": 3 }),
        "{report:#}"
    );
    // What the others did stands in their own reports.
    let blocked = pump.report_of_run(&record, Some(2)).await?;
    assert_eq!(blocked["status"], "cancelled");
    assert!(blocked["approval"].is_object());
    let installs = &blocked["tallies"]["installs"];
    assert!(installs["blocked"].as_u64() > Some(0), "{blocked:#}");
    let deleted = pump.report_of_run(&record, Some(3)).await?;
    let tally = &deleted["tallies"]["reports"];
    let known = tally["deleted"].as_u64().unwrap_or(0) + tally["failed"].as_u64().unwrap_or(0);
    assert!(known >= deleted_before as u64, "{deleted:#}");
    // A run that was retried before its plan was approved did nothing.
    assert!(pump.report_of_run(&record, Some(1)).await.is_err());
    Ok(())
}
