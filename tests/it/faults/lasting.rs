//! What does not pass: a token that is taken back, a service that is retired, an app that is not known.

use std::time::Duration;

use appcenter_dsr::stages::{self, Context};
use appcenter_dsr::workflow::{Record, Status};
use appcenter_sim::{Fault, FaultKind, Retirement, World};
use serde_json::Value;

use super::{SMALL, outcomes};
use crate::kill_at::KillAt;
use crate::pump::{Disturb, Pump};

async fn start() -> anyhow::Result<(Pump, Value, Value)> {
    start_over(Pump::start(World::parse(SMALL)?).await?)
}

fn start_over(mut pump: Pump) -> anyhow::Result<(Pump, Value, Value)> {
    // A person is waited for as long as retries may last; an hour is enough for a test.
    pump.set("RETRY_HOURS", "1");
    pump.set("RETRY_LONGEST_SECONDS", "3600");
    pump.set("RETRY_TRIES", "2");
    let document = |name: &str| pump.sim.world(|world| world.request(name).cloned());
    let delete = document("delete").expect("the world has it").document;
    let export = document("export").expect("the world has it").document;
    Ok((pump, delete, export))
}

/// What of a report says that App Center could not be asked.
fn says(record: &Record, report: &Value, what: &str) -> bool {
    record.exceptions.iter().any(|it| it.contains(what)) || report.to_string().contains(what)
}

/// Runs an erasure whose token is spoilt once its plan is approved.
async fn spoilt_after_the_plan(
    spoil: impl Fn(&Pump),
    names: &str,
) -> anyhow::Result<(Pump, Record, Value)> {
    let (pump, delete, _) = start().await?;
    let disturb = Disturb::nothing();
    let id = pump.submit(&delete, &disturb).await?;
    let planned = pump.drive(&id, &disturb).await?;
    assert_eq!(planned.status, Status::AwaitingApproval);
    spoil(&pump);
    pump.approve(&id, &disturb).await?;
    let record = pump.drive(&id, &disturb).await?;
    let audit = pump.sim.audit();
    assert!(audit.blocked.is_empty() && audit.deleted.is_empty());
    let report = pump.report(&record).await?;
    assert!(says(&record, &report, names), "{record:#?}");
    let acted = outcomes(&report);
    assert!(
        acted
            .values()
            .all(|it| !matches!(it.as_str(), "blocked" | "deleted" | "already_gone")),
        "{acted:?}"
    );
    Ok((pump, record, report))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_taken_back_waits_for_a_person_then_fails_its_items() -> anyhow::Result<()>
{
    let spoil = |pump: &Pump| pump.sim.set_user_token_invalid(true);
    let (pump, record, report) = spoilt_after_the_plan(spoil, "APPCENTER_API_TOKEN").await?;
    assert!(
        matches!(
            record.status,
            Status::Failed | Status::CompletedWithExceptions
        ),
        "{record:#?}"
    );
    assert!(outcomes(&report).values().any(|it| it == "failed"));
    // The person's identifiers stay, so that it can be done once the token is good again.
    assert!(record.subject.is_some());
    pump.sim.set_user_token_invalid(false);
    let disturb = Disturb::nothing();
    let again = serde_json::json!({ "by": "a tester" });
    let retry = appcenter_dsr::stages::decide::Decision::Retry;
    pump.decide(&record.id, retry, &again, &disturb).await?;
    pump.drive(&record.id, &disturb).await?;
    pump.approve(&record.id, &disturb).await?;
    let record = pump.drive(&record.id, &disturb).await?;
    assert_eq!(record.status, Status::CompletedWithExceptions);
    let request = pump.sim.world(|world| world.request("delete").cloned());
    let request = request.expect("the world has it");
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_mended_in_time_costs_nothing_but_time() -> anyhow::Result<()> {
    let (mut pump, delete, _) = start().await?;
    pump.set("RETRY_LONGEST_SECONDS", "1");
    pump.set("RETRY_HOURS", "24");
    let pump = pump.patient();
    let disturb = Disturb::nothing();
    let id = pump.submit(&delete, &disturb).await?;
    pump.drive(&id, &disturb).await?;
    pump.sim.set_user_token_invalid(true);
    pump.approve(&id, &disturb).await?;
    let refused = || {
        let calls = pump.sim.audit().calls;
        calls.iter().filter(|call| call.status == 401).count()
    };
    let mend = async {
        // More often than what fails may be tried.
        while refused() < 12 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let app = pump.app(KillAt::never())?;
        let status = stages::requests::status(Context::new(&app), &id).await?;
        pump.sim.set_user_token_invalid(false);
        anyhow::Ok(status)
    };
    let (status, record) = tokio::join!(mend, pump.drive(&id, &disturb));
    let next = status?.next_action;
    assert!(
        next.starts_with("block waits") && next.contains("a person must check"),
        "{next}"
    );
    let record = record?;
    assert_eq!(record.run, 1, "no retry was needed");
    assert_eq!(record.status, Status::CompletedWithExceptions);
    let report = pump.report(&record).await?;
    assert!(!outcomes(&report).values().any(|it| it == "failed"));
    let request = pump.sim.world(|world| world.request("delete").cloned());
    let request = request.expect("the world has it");
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_the_token_may_not_see_is_replaced_by_the_api() -> anyhow::Result<()> {
    let bare = Pump::start_without_export(World::parse(SMALL)?).await?;
    let (mut pump, delete, _) = start_over(bare)?;
    pump.set("EXPORT_TYPE", "custom");
    let archive = pump.account.connection_string();
    pump.set("EXPORT_CONNECTION_STRING", &archive);
    pump.sim.faults().add(Fault {
        operation: Some("ExportConfigurations_List".to_owned()),
        skip: 0,
        count: usize::MAX,
        kind: FaultKind::Status { status: 403 },
    });
    let record = pump.run(&delete, &Disturb::nothing()).await?;
    let report = pump.report(&record).await?;
    assert!(says(&record, &report, "are got by API"), "{report:#}");
    assert!(says(&record, &report, "APPCENTER_API_TOKEN"), "{report:#}");
    let request = pump.sim.world(|world| world.request("delete").cloned());
    let request = request.expect("the world has it");
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_404_on_everything_never_counts_as_gone() -> anyhow::Result<()> {
    let spoil = |pump: &Pump| pump.sim.set_retirement(Some(Retirement::NotFound));
    spoilt_after_the_plan(spoil, "token").await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_service_still_has_its_archive_searched() -> anyhow::Result<()> {
    for is_set in [false, true] {
        let (mut pump, _, export) = start().await?;
        // An earlier request learned the app's ID, by which the archive names its data.
        let mut earlier = export.clone();
        earlier["reference"] = "SMALL-0".into();
        pump.run(&earlier, &Disturb::nothing()).await?;
        let asked = pump.sim.audit().calls.len();
        pump.sim.set_retired(true);
        if is_set {
            pump.set("APPCENTER_RETIRED", "true");
        }
        let record = pump.run(&export, &Disturb::nothing()).await?;
        assert_eq!(
            record.status,
            Status::CompletedWithExceptions,
            "{record:#?}"
        );
        let report = pump.report(&record).await?;
        assert!(says(&record, &report, "retired"), "{report:#}");
        assert!(
            report["searched"]["contoso/shop"]["records"]
                .as_u64()
                .unwrap_or(0)
                > 0,
            "{report:#}"
        );
        assert!(
            record.package.is_some(),
            "the archive's copies are exported"
        );
        if is_set {
            assert_eq!(
                pump.sim.audit().calls.len(),
                asked,
                "it was not to be asked"
            );
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_under_a_retired_service_claims_nothing() -> anyhow::Result<()> {
    for is_set in [false, true] {
        let (mut pump, delete, export) = start().await?;
        // An earlier request learned the app's ID, by which the archive names its data.
        pump.run(&export, &Disturb::nothing()).await?;
        let asked = pump.sim.audit().calls.len();
        pump.sim.set_retired(true);
        if is_set {
            pump.set("APPCENTER_RETIRED", "true");
        }
        let record = pump.run(&delete, &Disturb::nothing()).await?;
        // Nothing of what was approved was done.
        assert_eq!(record.status, Status::Failed, "{record:#?}");
        let report = pump.report(&record).await?;
        assert!(says(&record, &report, "retired"), "{report:#}");
        // Nothing was blocked or deleted, and no item says that it was.
        let audit = pump.sim.audit();
        assert!(audit.blocked().is_empty() && audit.deleted().is_empty());
        assert_eq!(audit.calls.len() == asked, is_set);
        let text = report.to_string();
        assert!(
            !text.contains("\"deleted\"") && !text.contains("already_gone"),
            "{report:#}"
        );
        // And nobody is sent to repair or retry what is gone.
        let exceptions = report["exceptions"].as_array().expect("a list");
        let retired = exceptions.iter().filter(|it| it["code"] == "retired");
        let retired: Vec<_> = retired.map(|it| &it["text"]).collect();
        for of in ["1 install failed", "3 reports failed"] {
            let is_of = |text: &&&serde_json::Value| text.as_str().unwrap_or("").starts_with(of);
            assert!(retired.iter().find(is_of).is_some(), "{retired:#?}");
        }
        assert!(!text.contains("item_failed"), "{report:#}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_was_retired_before_the_first_request_is_said() -> anyhow::Result<()> {
    let (pump, _, export) = start().await?;
    pump.sim.set_retired(true);
    let record = pump.run(&export, &Disturb::nothing()).await?;
    assert!(
        matches!(
            record.status,
            Status::Failed | Status::CompletedWithExceptions
        ),
        "{record:#?}"
    );
    let why = record.exceptions.join("\n");
    assert!(why.contains("never told the app's ID"), "{why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_not_known_is_an_exception() -> anyhow::Result<()> {
    let (pump, mut delete, _) = start().await?;
    delete["apps"] = serde_json::json!([
        { "owner": "contoso", "name": "shop" },
        { "owner": "contoso", "name": "nowhere" }
    ]);
    let record = pump.run(&delete, &Disturb::nothing()).await?;
    assert_eq!(
        record.status,
        Status::CompletedWithExceptions,
        "{record:#?}"
    );
    let names = record.exceptions.join("\n");
    assert!(names.contains("does not know the app"), "{names}");
    let request = pump.sim.world(|world| world.request("delete").cloned());
    let request = request.expect("the world has it");
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_silence_counts_as_retired_and_one_answer_does_not() -> anyhow::Result<()> {
    for how in [Retirement::Silent, Retirement::NotFound] {
        let (pump, _, export) = start().await?;
        let run = async |n: u32| {
            let mut document = export.clone();
            document["reference"] = format!("SMALL-{how:?}-{n}").into();
            pump.run(&document, &Disturb::nothing()).await
        };
        let is_concluded = |record: &Record| {
            let mut exceptions = record.exceptions.iter();
            exceptions.any(|it| it.contains("App Center counts as retired: since"))
        };
        // The first learns the app's ID, by which the archive names its data.
        assert_eq!(run(1).await?.status, Status::Completed);
        pump.sim.set_retirement(Some(how));
        let early = run(2).await?;
        assert!(!is_concluded(&early), "{:?}", early.exceptions);
        // An answer in between forgets the silence before it.
        pump.clock.advance(Duration::from_hours(20));
        pump.sim.set_retirement(None);
        run(3).await?;
        pump.sim.set_retirement(Some(how));
        pump.clock.advance(Duration::from_hours(20));
        let again = run(4).await?;
        assert!(!is_concluded(&again), "{:?}", again.exceptions);
        pump.clock.advance(Duration::from_hours(25));
        let record = run(5).await?;
        assert!(is_concluded(&record), "{how:?}: {:?}", record.exceptions);
        assert_eq!(record.status, Status::CompletedWithExceptions);
        let report = pump.report(&record).await?;
        let records = report["searched"]["contoso/shop"]["records"].as_u64();
        assert!(records > Some(0), "{report:#}");
        assert!(
            record.package.is_some(),
            "the archive's copies are exported"
        );
    }
    Ok(())
}
