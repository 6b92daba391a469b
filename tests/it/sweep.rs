//! What a timer does: it wakes what stands still, sends poison again, and removes what is kept no longer.

use std::time::Duration;

use anyhow::Context as _;
use appcenter_dsr::domain::RequestId;
use appcenter_dsr::host::dispatch;
use appcenter_dsr::stages::{Context, intake, setup, sweep};
use appcenter_dsr::workflow::{Event, Message, Record, Status, Step};
use appcenter_sim::{ExpectedRequest, World};
use serde_json::Value;

use crate::pump::{Disturb, Pump};

const SMALL: &str = include_str!("../scenarios/small.toml");
const DAY: Duration = Duration::from_secs(24 * 3600);

async fn start(name: &str) -> anyhow::Result<(Pump, ExpectedRequest)> {
    let pump = Pump::start(World::parse(SMALL)?).await?;
    let request = pump.sim.world(|world| world.request(name).cloned());
    Ok((pump, request.expect("the world has it")))
}

/// Runs the timer once, as its function does.
async fn sweep_once(pump: &Pump) -> anyhow::Result<usize> {
    let app = pump.app(Disturb::nothing().probe)?;
    let cx = Context::new(&app);
    let swept = sweep::run(cx).await?;
    let did = swept.messages.len() + swept.start.len() + swept.give_up.len();
    dispatch::after_sweep(cx, swept).await?;
    Ok(did)
}

/// Sends a text to a queue, as a person or another system would.
async fn send(pump: &Pump, queue: &str, text: &str) -> anyhow::Result<()> {
    let app = pump.app(Disturb::nothing().probe)?;
    let queue = app.store.queue(queue);
    queue.create_if_missing().await?;
    queue.send(text, Duration::ZERO).await?;
    Ok(())
}

/// Takes away every message of a queue.
async fn clear(pump: &Pump, queue: &str) -> anyhow::Result<()> {
    pump.account.queue(queue)?.clear(None).await?;
    Ok(())
}

/// Accepts and starts a request; nothing works on it yet.
async fn submitted(pump: &Pump, document: &Value) -> anyhow::Result<RequestId> {
    pump.submit(document, &Disturb::nothing()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_message_was_lost_is_woken() -> anyhow::Result<()> {
    let (pump, request) = start("known").await?;
    let id = submitted(&pump, &request.document).await?;
    clear(&pump, "export-configure").await?;
    assert_eq!(
        sweep_once(&pump).await?,
        0,
        "it has not stood still for long"
    );
    pump.clock.advance(Duration::from_secs(3600));
    assert_eq!(sweep_once(&pump).await?, 1);
    let record = pump.drive(&id, &Disturb::nothing()).await?;
    assert_eq!(record.status, Status::AwaitingApproval);
    // A person who does not decide is not woken.
    pump.clock.advance(DAY);
    assert_eq!(sweep_once(&pump).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_stored_and_never_started_is_started() -> anyhow::Result<()> {
    let (pump, request) = start("known").await?;
    let app = pump.app(Disturb::nothing().probe)?;
    let body = request.document.to_string();
    let accepted = intake::run(Context::new(&app), body.as_bytes()).await;
    let id = accepted.expect("it is accepted").record().id.clone();
    assert_eq!(pump.record(&id).await?.status, Status::Received);
    pump.clock.advance(Duration::from_secs(3600));
    assert_eq!(sweep_once(&pump).await?, 1);
    assert_eq!(pump.record(&id).await?.status, Status::Running);
    let record = pump.drive(&id, &Disturb::nothing()).await?;
    assert_eq!(record.status, Status::AwaitingApproval);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_sent_again_three_times_then_given_up() -> anyhow::Result<()> {
    let (pump, request) = start("known").await?;
    let id = submitted(&pump, &request.document).await?;
    clear(&pump, "export-configure").await?;
    let text = Message::step(&id, 1, Step::Configure, None).text();
    for time in 0..4 {
        send(&pump, "export-configure-poison", &text).await?;
        assert_eq!(sweep_once(&pump).await?, 1);
        let status = pump.record(&id).await?.status;
        let is_given_up = time == 3;
        assert_eq!(status == Status::Failed, is_given_up, "{time}: {status:?}");
        if !is_given_up {
            clear(&pump, "export-configure").await?;
        }
    }
    let record = pump.record(&id).await?;
    let why = record.exceptions.join("\n");
    assert!(why.contains("failed again and again"), "{why}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_that_works_the_second_time_changes_nothing() -> anyhow::Result<()> {
    let (pump, request) = start("known").await?;
    let id = submitted(&pump, &request.document).await?;
    clear(&pump, "export-configure").await?;
    let text = Message::step(&id, 1, Step::Configure, None).text();
    send(&pump, "export-configure-poison", &text).await?;
    assert_eq!(sweep_once(&pump).await?, 1);
    let record = pump.drive(&id, &Disturb::nothing()).await?;
    assert_eq!(record.status, Status::AwaitingApproval);
    // A late one of a step that is over.
    send(&pump, "export-configure-poison", &text).await?;
    assert_eq!(sweep_once(&pump).await?, 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_that_cannot_be_read_becomes_a_refused_record() -> anyhow::Result<()> {
    let (pump, _) = start("known").await?;
    let app = pump.app(Disturb::nothing().probe)?;
    app.store.prepare().await?;
    send(&pump, "delete-poison", "ana@example.com is no message").await?;
    assert_eq!(sweep_once(&pump).await?, 0);
    let refused = pump.blobs("refused/").await?;
    assert_eq!(refused.len(), 1);
    let stored = app.store.container().read(&refused[0], 64 * 1024).await?;
    let text = String::from_utf8(stored.expect("it is stored").bytes.to_vec())?;
    assert!(text.contains("queue delete"), "{text}");
    assert!(!text.contains("ana@"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_date_that_comes_near_changes_nothing() -> anyhow::Result<()> {
    let (pump, request) = start("known").await?;
    let id = submitted(&pump, &request.document).await?;
    let before = pump.drive(&id, &Disturb::nothing()).await?;
    for days in [25, 10] {
        pump.clock.advance(DAY * days);
        assert_eq!(sweep_once(&pump).await?, 0);
        assert_eq!(pump.record(&id).await?, before, "{days}");
    }
    Ok(())
}

/// Whether anything that was found of the person is in the reports.
async fn named(
    pump: &Pump,
    record: &Record,
    identifiers: &[String],
) -> anyhow::Result<Vec<String>> {
    let app = pump.app(Disturb::nothing().probe)?;
    let mut found = Vec::new();
    for name in pump.blobs(&format!("reports/{}/", record.id)).await? {
        let stored = app.store.container().read(&name, 1 << 24).await?;
        let text = String::from_utf8(stored.expect("it is listed").bytes.to_vec())?;
        found.extend(
            identifiers
                .iter()
                .filter(|it| text.contains(it.as_str()))
                .map(|it| format!("{it} in {name}")),
        );
    }
    Ok(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_of_ours_are_kept_as_long_as_said() -> anyhow::Result<()> {
    let (pump, export) = start("export").await?;
    let delete = pump.sim.world(|world| world.request("delete").cloned());
    let delete = delete.expect("the world has it");
    let disturb = Disturb::nothing();
    let exported = pump.run(&export.document, &disturb).await?;
    assert_eq!(exported.status, Status::Completed, "{exported:#?}");
    let erased = pump.run(&delete.document, &disturb).await?;
    assert!(
        erased.subject.is_none(),
        "identifiers leave with completion"
    );
    let installs = export.expected.installs.iter().map(|it| it.install.clone());
    let reports = export.expected.reports.iter().map(|it| it.error.clone());
    let identifiers: Vec<String> = installs.chain(reports).collect();
    let full = pump.report(&exported).await?;
    assert_eq!(full["form"], "full");
    assert!(!named(&pump, &exported, &identifiers).await?.is_empty());
    let left = pump.blobs("collected/").await?;
    assert!(left.is_empty(), "it goes with what is erased: {left:?}");
    let somebody_elses = "collected/contoso/shop/2026/01/01/errors/x.json";
    let app = pump.app(disturb.probe.clone())?;
    let store = &app.store;
    store
        .put(
            somebody_elses,
            "collected data",
            b"{}".to_vec(),
            "application/json",
        )
        .await?;
    let prefixes = ["packages/", "collected/", "plans/", "reports/", "records/"];
    let mut kept = Vec::new();
    // Days since the end, and what is kept then.
    for (days, expected) in [
        (6, [true, true, true, true, true]),
        (8, [true, false, true, true, true]),
        (29, [true, false, true, true, true]),
        (31, [false, false, false, true, true]),
        (700, [false, false, false, true, true]),
        (740, [false, false, false, false, false]),
    ] {
        let passed = kept.last().map_or(0, |(days, _)| *days);
        pump.clock.advance(DAY * (days - passed));
        sweep_once(&pump).await?;
        let mut now = [false; 5];
        for (is_kept, prefix) in now.iter_mut().zip(prefixes) {
            *is_kept = !pump.blobs(prefix).await?.is_empty();
        }
        assert_eq!(now, expected, "after {days} days: {prefixes:?}");
        kept.push((days, now));
        if days == 31 {
            for record in [&exported, &erased] {
                let found = named(&pump, record, &identifiers).await?;
                assert!(found.is_empty(), "{found:?}");
                let stored = pump.record(&record.id).await?;
                assert!(stored.subject.is_none() && stored.plan.is_none());
                let report = pump.report(&stored).await?;
                assert_eq!(report["form"], "archive");
                assert_eq!(
                    report["full_sha256"].as_str(),
                    record.report_sha256.as_deref()
                );
                assert_eq!(report["tallies"], expected_tallies(&full, &report));
            }
        }
    }
    Ok(())
}

/// The tallies that a report must have: those of the full one, if it is the same request's.
fn expected_tallies(full: &Value, report: &Value) -> Value {
    let is_same = full["request"] == report["request"];
    let of = if is_same { full } else { report };
    of["tallies"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_request_keeps_what_was_collected() -> anyhow::Result<()> {
    let (pump, export) = start("export").await?;
    let known = pump.sim.world(|world| world.request("known").cloned());
    let known = known.expect("the world has it");
    let disturb = Disturb::nothing();
    pump.run(&export.document, &disturb).await?;
    let id = pump.submit(&known.document, &disturb).await?;
    let record = pump.drive(&id, &disturb).await?;
    assert_eq!(record.status, Status::AwaitingApproval);
    let app = pump.app(Disturb::nothing().probe)?;
    let cx = Context::new(&app);
    // As on the API path: listed, and never fetched.
    let known = setup::recall(cx, &record.apps[0]).await?.app_id;
    let table = setup::ledger_id(&known.context("the app's ID is remembered")?)?;
    let listed = "1000000001u/2518291138564839999-00000000-0000-4000-8000-000000000001".parse()?;
    app.ledger.insert(table, &[listed]).await?;
    pump.clock.advance(DAY * 20);
    sweep_once(&pump).await?;
    assert!(!pump.blobs("collected/").await?.is_empty());
    assert_eq!(app.ledger.counts(table).await?.total, 1);
    dispatch::advance(cx, &id, record.run, Event::Rejected).await?;
    // Nothing that was fetched is left: the rows go all the same.
    app.store
        .delete_under("collected/", "collected data")
        .await?;
    pump.clock.advance(DAY * 8);
    sweep_once(&pump).await?;
    assert_eq!(app.ledger.counts(table).await?.total, 0);
    Ok(())
}
