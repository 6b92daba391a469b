//! Every write of a request is a place to be killed: before it, and after it. Each ends as the undisturbed run does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use appcenter_dsr::workflow::{Record, Status};
use futures::StreamExt as _;

use crate::faults::{LEGACY, world};
use crate::kill_at::{KillAt, Place};
use crate::paths::without_current;
use crate::pump::{Disturb, Pump};

const SMALL: &str = include_str!("../scenarios/small.toml");
/// Runs at once.
const PARALLEL: usize = 6;
/// Kills in one run.
const KILLS: usize = 4;
/// Of so many places one is tried in a test run, beside one of each kind; 1 tries them all, in about ten minutes.
const STRIDE: usize = 11;
/// The steps that only a run by API takes, and what they store.
const API_STEPS: &[&str] = &[
    "inventory",
    "gather",
    "relist",
    "regather",
    "collected data",
];
/// The steps in which a report that the legacy API alone lists goes another way than by API, and what they store.
const LEGACY_STEPS: &[&str] = &[
    "inventory",
    "gather",
    "resolve",
    "plan",
    "delete",
    "relist",
    "regather",
    "collected data",
];
/// The steps that only an export takes.
const EXPORT_STEPS: &[&str] = &["collect", "aggregate"];
/// The steps in which test data is got, packed and deleted.
const TEST_STEPS: &[&str] = &["tests", "delete", "aggregate"];

/// Where the data of a run is got from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    /// From what App Center exported.
    Archive,
    /// By API: App Center exported nothing.
    Api,
    /// The same, of reports that the legacy API alone lists.
    Legacy,
}

/// Runs a request of a small world under a disturbance and holds it against what the world expects.
async fn run(name: &str, source: Source, disturb: &Disturb) -> anyhow::Result<(Pump, Record)> {
    // All runs in the same minute of the world: which rows share a blob depends on it.
    let pump = match source {
        Source::Archive => Pump::start(world(SMALL)?).await?,
        Source::Api => Pump::start_without_export(world(SMALL)?).await?,
        Source::Legacy => Pump::start_without_export(world(LEGACY)?).await?,
    };
    let (request, released) = pump.asked(name);
    let record = pump.run_with(&request.document, &released, disturb).await?;
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    anyhow::ensure!(differences.is_empty(), "{differences:#?}");
    let open = pump.blobs("open/").await?;
    let work = pump.blobs("work/").await?;
    let waiting = pump.blobs("waiting/").await?;
    anyhow::ensure!(
        open.is_empty() && work.is_empty() && waiting.is_empty(),
        "left behind: {open:?} {work:?} {waiting:?}"
    );
    Ok((pump, record))
}

/// Where to kill: which write, and whether it still happens.
///
/// Every `stride`-th place, beginning at one that the number of writes decides, so that all are tried as the code
/// changes; each kind of write, before it and after it; and of each step each kind, before it or after it in turn: after a
/// write is for most of them before the next.
fn places(writes: &[String], stride: usize) -> BTreeSet<Place> {
    let all = (0..writes.len()).flat_map(|nth| [(nth, false), (nth, true)]);
    let mut places: BTreeSet<_> = all.skip(writes.len() % stride).step_by(stride).collect();
    let kinds = |kind: fn(&str) -> &str| {
        let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (nth, write) in writes.iter().enumerate() {
            kinds.entry(kind(write)).or_default().push(nth);
        }
        kinds
    };
    let mut add = |alike: &[usize], done: bool| {
        if !alike.iter().any(|nth| places.contains(&(*nth, done))) {
            places.insert((alike[alike.len() / 2], done));
        }
    };
    for (n, alike) in kinds(|write| write).values().enumerate() {
        add(alike, n % 2 == 1);
    }
    let of_any_step = kinds(|write| write.rsplit(": ").next().unwrap_or(write));
    for alike in of_any_step.values() {
        add(alike, false);
        add(alike, true);
    }
    places
}

/// Kills a run at writes in turn, before and after each.
async fn killed_everywhere(
    name: &'static str,
    source: Source,
    expected: Status,
    (stride, steps): (usize, &[&str]),
) -> anyhow::Result<()> {
    let undisturbed = Disturb::nothing();
    let (_pump, record) = Box::pin(run(name, source, &undisturbed)).await?;
    assert_eq!(record.status, expected, "{:?}", record.exceptions);
    let end = (expected, record.exceptions);
    let writes = undisturbed.probe.names();
    assert!(writes.len() > 40, "only {} writes", writes.len());
    let mut places = places(&writes, stride);
    if !steps.is_empty() {
        let is_its_own = |write: &str| steps.iter().any(|step| write.starts_with(step));
        places.retain(|(nth, _)| is_its_own(&writes[*nth]));
    }
    assert!(places.len() > 8, "only {} places", places.len());
    let number = places.len();
    let named = |(nth, done): &Place| (writes[*nth].clone(), *done);
    let mut left: BTreeSet<(String, bool)> = places.iter().map(named).collect();

    // Several kills a run, far from each other.
    let places: Vec<Place> = places.into_iter().collect();
    let runs = places.len().div_ceil(KILLS);
    let groups = (0..runs).map(|first| places.iter().copied().skip(first).step_by(runs).collect());
    let (mut faults, killed) = kill_all(name, source, &end, groups).await;
    for what in &killed {
        left.remove(what);
    }
    // A kill moves what comes after it: what was missed is killed by itself.
    let missed = places.iter().filter(|place| left.contains(&named(place)));
    let alone: Vec<Vec<Place>> = missed.map(|place| vec![*place]).collect();
    let (more, killed_alone) = kill_all(name, source, &end, alone.into_iter()).await;
    faults.extend(more);
    assert!(
        faults.is_empty(),
        "{} of {number} kills:\n{}",
        faults.len(),
        faults.join("\n")
    );
    for what in &killed_alone {
        left.remove(what);
    }
    // What a run writes, and in which order, depends a little on what it meets.
    assert!(left.len() * 10 <= number, "never killed: {left:?}");
    let kills = killed.len() + killed_alone.len();
    assert!(kills * 10 >= number * 9, "{kills} of {number} kills");
    Ok(())
}

/// Kills a run at each group of places. What went wrong, and at which writes runs were killed.
async fn kill_all(
    name: &'static str,
    source: Source,
    end: &(Status, Vec<String>),
    groups: impl Iterator<Item = Vec<Place>>,
) -> (Vec<String>, Vec<(String, bool)>) {
    let runs = groups.map(|places| async move {
        let disturb = Disturb {
            deliveries: 1,
            probe: KillAt::each(places),
        };
        let fault = match Box::pin(run(name, source, &disturb)).await {
            Ok((_pump, record)) if (record.status, &record.exceptions) == (end.0, &end.1) => None,
            Ok((_pump, record)) => Some(format!("{:?} {:?}", record.status, record.exceptions)),
            Err(error) => Some(format!("{error:#}")),
        };
        let killed = disturb.probe.killed();
        (
            fault.map(|fault| format!("killed at {killed:?}: {fault}")),
            killed,
        )
    });
    let ended: Vec<_> = futures::stream::iter(runs)
        .buffer_unordered(PARALLEL)
        .collect()
        .await;
    let (faults, killed): (Vec<_>, Vec<_>) = ended.into_iter().unzip();
    (
        faults.into_iter().flatten().collect(),
        killed.into_iter().flatten().collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_killed_at_every_write() -> anyhow::Result<()> {
    let ends = Status::CompletedWithExceptions;
    killed_everywhere("delete", Source::Archive, ends, (STRIDE, &[])).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_killed_at_every_write() -> anyhow::Result<()> {
    // Up to there it goes the way of an erasure.
    let places = (STRIDE, EXPORT_STEPS);
    killed_everywhere("export", Source::Archive, Status::Completed, places).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_by_api_killed_at_every_write() -> anyhow::Result<()> {
    let ends = Status::CompletedWithExceptions;
    // The rest is as it is with an archive.
    killed_everywhere("delete", Source::Api, ends, (3 * STRIDE, API_STEPS)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_by_the_legacy_api_killed_at_every_write() -> anyhow::Result<()> {
    let ends = Status::CompletedWithExceptions;
    let places = (3 * STRIDE, LEGACY_STEPS);
    killed_everywhere("delete", Source::Legacy, ends, places).await
}

/// Also where the ID of a report does not tell the day under which its document lies.
#[tokio::test(flavor = "multi_thread")]
async fn a_report_whose_document_is_stored_is_not_asked_for_again() -> anyhow::Result<()> {
    for with_bridges in [true, false] {
        let options = || appcenter_sim::Options {
            quirks: appcenter_sim::Quirks {
                legacy_bridges: with_bridges,
                ..appcenter_sim::Quirks::default()
            },
            ..appcenter_sim::Options::default()
        };
        let mut places = Vec::new();
        // Undisturbed, then killed between each document and its mark.
        for _ in 0..2 {
            let mut pump = Pump::start_with(world(SMALL)?, options()).await?;
            without_current(&pump);
            pump.set("SLICE_ITEMS", "1");
            let disturb = Disturb {
                deliveries: 1,
                probe: KillAt::each(std::mem::take(&mut places)),
            };
            let (request, released) = pump.asked("export");
            pump.run_with(&request.document, &released, &disturb)
                .await?;
            let mut asked: BTreeMap<String, usize> = BTreeMap::new();
            for call in pump.sim.audit().calls {
                if call.operation_id == "crashes_get" {
                    *asked.entry(call.path).or_default() += 1;
                }
            }
            assert_eq!(asked.len(), 4, "{asked:?}");
            assert!(asked.values().all(|times| *times == 1), "{asked:?}");
            let writes = disturb.probe.names();
            let documents = writes.iter().enumerate().filter(|(nth, write)| {
                let next = writes.get(nth + 1);
                write.starts_with("gather")
                    && write.ends_with("collected data")
                    && next.is_some_and(|next| !next.ends_with("collected data"))
            });
            places = documents.map(|(nth, _)| (nth, true)).take(1).collect();
            assert!(!places.is_empty(), "{writes:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_and_files_of_tests_with_kills() -> anyhow::Result<()> {
    // The runs are held in an export, and released in the erasure.
    for (name, ends) in [
        ("export-tests", Status::CompletedWithExceptions),
        ("delete-tests", Status::Completed),
    ] {
        killed_everywhere(name, Source::Archive, ends, (3 * STRIDE, TEST_STEPS)).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_delivered_twice() -> anyhow::Result<()> {
    for (name, source) in [
        ("delete", Source::Archive),
        ("known", Source::Archive),
        ("export", Source::Archive),
        ("delete", Source::Api),
        ("export", Source::Api),
        ("delete", Source::Legacy),
        ("export", Source::Legacy),
    ] {
        let disturb = Disturb {
            deliveries: 2,
            ..Disturb::nothing()
        };
        let (pump, _record) = Box::pin(run(name, source, &disturb)).await?;
        drop(Arc::new(pump));
    }
    Ok(())
}
