//! What a timer does: it wakes what stands still, sends poison again, and removes what is kept no longer.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use appcenter_dsr::app::App;
use appcenter_dsr::clock::Clock as _;
use appcenter_dsr::domain::RequestId;
use appcenter_dsr::host::dispatch;
use appcenter_dsr::stages::{Context, blob_search, intake, intake_queue, setup, sweep};
use appcenter_dsr::work::{Cut, Error, Finished, SliceEnd, SliceInput};
use appcenter_dsr::workflow::{Event, Function, Message, Record, Status, Step};
use appcenter_sim::{ExpectedRequest, World};
use futures::future::join_all;
use jiff::civil::date;
use serde_json::Value;

use crate::kill_at::KillAt;
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

/// Drives a request until it searches, and gives one of the days that it waits for; that day's message is not worked on.
pub(crate) async fn searching(
    pump: &Pump,
    document: &Value,
) -> anyhow::Result<(RequestId, Message)> {
    let disturb = Disturb::nothing();
    let id = submitted(pump, document).await?;
    let mut app = std::sync::Arc::new(pump.app(disturb.probe.clone())?);
    let end = std::time::Instant::now() + Duration::from_secs(60);
    while std::time::Instant::now() < end {
        for (_, queue) in &pump.queues {
            pump.work_on(&mut app, queue, &disturb).await?;
            // The search is cut, and its days have been sent.
            if let Some(root) = app.store.root(&id, 1, Step::Find).await? {
                let memo: blob_search::Memo = serde_json::from_value(root.memo)?;
                let (of, day) = memo.keys().next().expect("there is data");
                return Ok((id, Message::day(&of, day)));
            }
        }
    }
    anyhow::bail!("it does not come to search")
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_of_a_day_is_counted_for_each_who_waits() -> anyhow::Result<()> {
    let (pump, known) = start("known").await?;
    let export = pump.sim.world(|world| world.request("export").cloned());
    let poison = async |message: &Message| {
        send(&pump, "blob-search-poison", &message.text()).await?;
        let app = pump.app(Disturb::nothing().probe)?;
        let cx = Context::new(&app);
        let swept = sweep::run(cx).await?;
        let found = (swept.messages.len(), swept.give_up.len());
        dispatch::after_sweep(cx, swept).await?;
        anyhow::Ok(found)
    };
    let (id, message) = searching(&pump, &known.document).await?;
    for _ in 0..3 {
        assert_eq!(poison(&message).await?, (1, 0));
    }
    let record = pump.drive(&id, &Disturb::nothing()).await?;
    assert_eq!(record.status, Status::AwaitingApproval);
    assert_eq!(poison(&message).await?, (0, 0), "nobody waits for it");
    let document = export.expect("the world has it").document;
    let (id, message) = searching(&pump, &document).await?;
    for _ in 0..3 {
        assert_eq!(poison(&message).await?, (1, 0));
    }
    assert_eq!(poison(&message).await?, (0, 1));
    let record = pump.drive(&id, &Disturb::nothing()).await?;
    let why = record.exceptions.join("\n");
    assert!(why.contains("failed again and again"), "{why}");
    Ok(())
}

/// What a slice of one item ends with.
fn one_done() -> SliceEnd {
    SliceEnd {
        done: 1,
        ..SliceEnd::default()
    }
}

/// Every slice of a search is over, but whoever should have told the root of the first bin died, and its message with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_bin_that_the_root_does_not_know_is_closed() -> anyhow::Result<()> {
    let (pump, request) = start("known").await?;
    let id = submitted(&pump, &request.document).await?;
    let disturb = Disturb::nothing();
    let mut app = Arc::new(pump.app(disturb.probe.clone())?);
    while pump.record(&id).await?.step != Some(Step::Find) {
        for (function, queue) in &pump.queues {
            if *function != Function::BlobSearch {
                pump.work_on(&mut app, queue, &disturb).await?;
            }
        }
    }
    let record = pump.record(&id).await?;
    // More days than a bin has slices.
    let memo = blob_search::Memo {
        apps: vec![blob_search::AppDays {
            app: record.apps.first().cloned(),
            spans: vec![(date(2026, 1, 1), date(2026, 5, 20))],
            ..blob_search::AppDays::default()
        }],
        ..blob_search::Memo::default()
    };
    let slices = memo.slices();
    assert_eq!(slices, 140);
    let cut = Cut {
        slices: vec![SliceInput::default(); 140],
        memo: serde_json::to_value(&memo)?,
        ..Cut::default()
    };
    let root = app.store.cut(&record, Step::Find, cut, pump.clock.now());
    let root = root.await?;
    let finish = async |app: &App, number| {
        let mut slice = app.store.slice(&id, 1, Step::Find, number).await?;
        app.store.finish_slice(&mut slice, &root, one_done()).await
    };
    for others in [1..128, 128..slices] {
        for ended in join_all(others.map(|number| finish(&app, number))).await {
            assert_eq!(ended?, Finished::OthersOpen);
        }
    }
    // The slice and its mark are written, the root is not.
    let probe = KillAt::each([(2, false)]);
    let killed = finish(&pump.app(probe)?, 0).await;
    assert!(matches!(killed, Err(Error::Killed)), "{killed:?}");
    let stored = app.store.root(&id, 1, Step::Find).await?;
    let known: Vec<u32> = stored.context("a root")?.bins.into_keys().collect();
    assert_eq!(known, [1]);

    clear(&pump, "blob-search").await?;
    pump.clock.advance(Duration::from_secs(3600));
    assert_eq!(sweep_once(&pump).await?, 1);
    let record = pump.drive(&id, &Disturb::nothing()).await?;
    assert_eq!(record.status, Status::AwaitingApproval);
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
    send(&pump, "delete-poison", "ana@example.com is no message").await?;
    let intake = pump.account.queue("intake-queue")?;
    assert!(intake.get_properties(None).await.is_err());
    assert_eq!(sweep_once(&pump).await?, 0);
    // We never send to it, other systems do.
    intake.get_properties(None).await?;
    let refused = pump.blobs("refused/").await?;
    assert_eq!(refused.len(), 1);
    let stored = app.store.container().read(&refused[0], 64 * 1024).await?;
    let text = String::from_utf8(stored.expect("it is stored").bytes.to_vec())?;
    assert!(text.contains("queue delete"), "{text}");
    assert!(!text.contains("ana@"), "{text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_date_that_comes_near_is_said_and_changes_nothing() -> anyhow::Result<()> {
    let (pump, request) = start("known").await?;
    let mut document = request.document.clone();
    document["jurisdiction"] = "us-ca".into();
    let id = submitted(&pump, &document).await?;
    let before = pump.drive(&id, &Disturb::nothing()).await?;
    // An orphan's mark beside it stays for an hour: its record may be about to be stored.
    let orphan = "open/00000000000000000000000000000000";
    let app = pump.app(Disturb::nothing().probe)?;
    let store = &app.store;
    store
        .put(orphan, "a mark", b"{}".to_vec(), "application/json")
        .await?;
    let mut passed = 0;
    // Days since it was received; it is due after 45.
    for (days, left) in [
        (0, None),
        (37, None),
        (38, Some(7)),
        (45, Some(0)),
        (50, Some(-5)),
    ] {
        pump.clock.advance(DAY * (days - passed));
        passed = days;
        let app = pump.app(Disturb::nothing().probe)?;
        let swept = sweep::run(Context::new(&app)).await?;
        let expected: Vec<_> = left.map(|left| (id.clone(), left)).into_iter().collect();
        assert_eq!(swept.due_soon, expected, "after {days} days");
        assert!(swept.messages.is_empty() && swept.start.is_empty() && swept.give_up.is_empty());
        assert_eq!(pump.record(&id).await?, before, "{days}");
        let is_marked = pump.blobs("open/").await?.iter().any(|it| it == orphan);
        assert_eq!(is_marked, days == 0, "after {days} days");
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
    let refused = intake_queue::run(Context::new(&app), "no document").await?;
    assert!(refused.is_none());
    let prefixes = [
        "packages/",
        "collected/",
        "plans/",
        "reports/",
        "records/",
        "refused/",
    ];
    let mut kept = Vec::new();
    // Days since the end, and what is kept then.
    for (days, expected) in [
        (6, [true, true, true, true, true, true]),
        (8, [true, false, true, true, true, true]),
        (29, [true, false, true, true, true, true]),
        (31, [false, false, false, true, true, true]),
        (700, [false, false, false, true, true, true]),
        (740, [false, false, false, false, false, false]),
    ] {
        let passed = kept.last().map_or(0, |(days, _)| *days);
        pump.clock.advance(DAY * (days - passed));
        sweep_once(&pump).await?;
        let mut now = [false; 6];
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
