//! Each alert over recorded telemetry: it fires when it should, and not before.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use appcenter_dsr::workflow::{Message, Step};
use appcenter_sim::{ExportState, Fault, FaultKind};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::kql;
use super::observed::Observed;
use crate::tidy::root;

#[tokio::test(flavor = "multi_thread")]
async fn each_alert_fires_when_it_should_and_not_before() -> anyhow::Result<()> {
    let mut run = Observed::start(&[]).await?;
    let mut expected: BTreeSet<String> = BTreeSet::new();
    run.sweep().await?;
    assert_eq!(run.firing(0).await?, expected, "nothing has happened");
    assert_eq!(
        run.firing(28).await?,
        expected,
        "the sweep is seen for half an hour"
    );
    let silent = BTreeSet::from(["silent".to_owned()]);
    assert_eq!(run.firing(31).await?, silent, "no sweep for half an hour");

    run.poison("delete", "not one of ours").await?;
    run.sweep().await?;
    expected.insert("poison".to_owned());
    assert_eq!(run.firing(0).await?, expected);

    // Found standing still once is no alert: to wake it may have helped.
    let id = run.file("known", json!({})).await?;
    for is_again in [false, true] {
        run.lose("export-configure").await?;
        run.pump.clock.advance(Duration::from_secs(3600));
        run.sweep().await?;
        if is_again {
            expected.insert("standing-still".to_owned());
        }
        assert_eq!(run.firing(0).await?, expected, "again: {is_again}");
    }

    // An invocation that fails comes again; the third is an alert.
    for n in 1..=3 {
        let status = run.deliver("block", "no message").await?;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        if n == 3 {
            expected.insert("stage-failing".to_owned());
        }
        if n > 1 {
            assert_eq!(run.firing(0).await?, expected, "{n}");
        }
    }

    // A disabled export that nobody may enable.
    run.pump.sim.set_export_state("shop", ExportState::Disabled);
    let configure = Message::step(&id, 1, Step::Configure, None).text();
    let delivered = run.deliver("export-configure", &configure).await?;
    assert_eq!(delivered, StatusCode::OK);
    expected.insert("export-disabled".to_owned());
    assert_eq!(run.firing(0).await?, expected);

    run.pump.clock.advance(Duration::from_secs(25 * 24 * 3600));
    run.sweep().await?;
    expected.insert("due-soon".to_owned());
    assert_eq!(run.firing(0).await?, expected);

    // Each looks back as far as it says.
    let later = ["export-disabled", "silent", "standing-still"].map(str::to_owned);
    assert_eq!(run.firing(32).await?, BTreeSet::from(later));
    let later = ["export-disabled", "silent"].map(str::to_owned);
    assert_eq!(run.firing(45).await?, BTreeSet::from(later));
    assert_eq!(run.firing(65).await?, silent);
    Ok(())
}

/// A token that is refused waits for a person, which is an alert at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_waits_for_a_person_is_an_alert() -> anyhow::Result<()> {
    let mut run = Observed::start(&[]).await?;
    let id = run.file("known", json!({})).await?;
    run.pump.sim.faults().add(Fault {
        operation: None,
        skip: 0,
        count: 3,
        kind: FaultKind::Status { status: 401 },
    });
    let configure = Message::step(&id, 1, Step::Configure, None).text();
    run.deliver("export-configure", &configure).await?;
    // The slice itself: the host logs with its invocation what it came to, and why.
    let slice = Message::step(&id, 1, Step::Configure, Some(0)).text();
    let logs = run.logs("export-configure", &slice).await?;
    let told = format!(
        "export-configure: retried, request.id {id}, request.run 1, step configure, slice 0"
    );
    assert_eq!(logs[0], told.as_str(), "{logs}");
    let why = logs[1].as_str().unwrap_or_default();
    assert!(why.starts_with("a slice is tried again, "), "{logs}");
    assert!(why.contains("APPCENTER_API_TOKEN"), "{logs}");
    run.sweep().await?;
    let expected = BTreeSet::from(["stage-failing".to_owned()]);
    assert_eq!(run.firing(0).await?, expected);
    let rows = run.sink.received().rows;
    let retried = rows.iter().find(|(table, row)| {
        *table == "AppTraces" && row["Properties"]["event.name"] == "dsr.slice.retried"
    });
    let (_, retried) = retried.context("it is told")?;
    assert_eq!(retried["Properties"]["dsr.wait"], "person");
    assert_eq!(retried["Properties"]["dsr.request.id"], id.as_str());
    let calls = rows.iter().filter(|(table, row)| {
        *table == "AppDependencies" && row["Properties"]["dsr.api.outcome"] == "unauthorized"
    });
    let calls: Vec<_> = calls.collect();
    assert!(!calls.is_empty(), "the call is told");
    for (_, call) in calls {
        assert_eq!(call["Success"], false);
        assert_eq!(call["ResultCode"], "401");
        assert_eq!(call["Data"], "", "no address");
    }
    Ok(())
}

/// Before anything was ever sent there is no table to look into: that is silence, too.
#[tokio::test]
async fn silence_is_told_of_where_nothing_was_ever_sent() -> anyhow::Result<()> {
    let now: Timestamp = "2026-11-20T12:00:00Z".parse()?;
    let silent = [root().join("infra/queries/alerts/silent.kql")];
    let metric = |at: &str, name: &str| -> Value {
        let properties = json!({ "dsr.outcome": "over" });
        json!({ "TimeGenerated": at, "Name": name, "Sum": 0.1, "ItemCount": 1, "Properties": properties })
    };
    let fresh = metric("2026-11-20T11:59:00Z", "dsr.sweep.duration");
    let old = metric("2026-11-20T11:29:00Z", "dsr.sweep.duration");
    let other = metric("2026-11-20T11:59:00Z", "dsr.stage.duration");
    for (what, tables, fires) in [
        ("no table at all", json!({}), true),
        (
            "other tables only",
            json!({ "AppTraces": [], "AppRequests": [] }),
            true,
        ),
        ("an empty table", json!({ "AppMetrics": [] }), true),
        (
            "other metrics",
            json!({ "AppMetrics": [other.clone()] }),
            true,
        ),
        (
            "an old sweep",
            json!({ "AppMetrics": [old.clone(), other.clone()] }),
            true,
        ),
        (
            "a fresh sweep",
            json!({ "AppMetrics": [fresh, old, other] }),
            false,
        ),
    ] {
        let found = kql::evaluate(&tables, now, &silent).await?;
        let rows: Vec<Value> = found["silent"].iter().cloned().map(Value::Object).collect();
        let expected = if fires {
            vec![json!({ "Sweeps": 0 })]
        } else {
            Vec::new()
        };
        assert_eq!(rows, expected, "{what}");
    }
    Ok(())
}
