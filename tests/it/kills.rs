//! Every write of a request is a place to be killed: before it, and after it. Each ends as the undisturbed run does.

use std::sync::Arc;

use appcenter_dsr::workflow::{Record, Status};
use appcenter_sim::World;
use futures::StreamExt as _;

use crate::pump::{Disturb, KillAt, Pump};

const SMALL: &str = include_str!("../scenarios/small.toml");
/// Runs at once.
const PARALLEL: usize = 6;
/// Of so many places one is tried in a test run; 1 tries them all, in about ten minutes.
const STRIDE: usize = 11;

/// Runs a request of the small world under a disturbance and holds it against what the world expects.
async fn run(name: &str, disturb: &Disturb) -> anyhow::Result<(Pump, Record)> {
    let pump = Pump::start(World::parse(SMALL)?).await?;
    let request = pump.sim.world(|world| world.request(name).cloned());
    let request = request.expect("the world has it");
    let record = pump.run(&request.document, disturb).await?;
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

/// Kills a run at writes in turn, before and after each; every `stride`-th of them, beginning at a place that the
/// number of writes decides, so that all are tried as the code changes.
async fn killed_everywhere(
    name: &'static str,
    expected: Status,
    stride: usize,
) -> anyhow::Result<()> {
    let undisturbed = Disturb::nothing();
    let (_pump, record) = run(name, &undisturbed).await?;
    assert_eq!(record.status, expected, "{:?}", record.exceptions);
    let exceptions = record.exceptions;
    let writes = undisturbed.probe.names();
    assert!(writes.len() > 40, "only {} writes", writes.len());
    let places = (0..writes.len() * 2)
        .skip(writes.len() % stride)
        .step_by(stride)
        .map(|place| (place / 2, place % 2 == 1));
    let runs = places.map(|(nth, done)| {
        let exceptions = exceptions.clone();
        async move {
            let disturb = Disturb {
                deliveries: 1,
                probe: KillAt::new(Some(nth), done),
            };
            let end = run(name, &disturb).await;
            let fault = match end {
                Ok((_pump, record))
                    if record.status == expected && record.exceptions == exceptions =>
                {
                    return None;
                }
                Ok((_pump, record)) => format!("{:?} {:?}", record.status, record.exceptions),
                Err(error) => format!("{error:#}"),
            };
            let what = disturb.probe.names().get(nth).cloned().unwrap_or_default();
            Some(format!(
                "killed {} write {nth} ({what}): {fault}",
                if done { "after" } else { "before" }
            ))
        }
    });
    let faults: Vec<String> = futures::stream::iter(runs)
        .buffer_unordered(PARALLEL)
        .filter_map(|fault| async { fault })
        .collect()
        .await;
    assert!(
        faults.is_empty(),
        "{} of {} kills:\n{}",
        faults.len(),
        writes.len() * 2,
        faults.join("\n")
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_killed_at_every_write() -> anyhow::Result<()> {
    killed_everywhere("delete", Status::CompletedWithExceptions, STRIDE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_killed_at_every_write() -> anyhow::Result<()> {
    killed_everywhere("export", Status::Completed, STRIDE).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_message_delivered_twice() -> anyhow::Result<()> {
    for name in ["delete", "known", "export"] {
        let disturb = Disturb {
            deliveries: 2,
            ..Disturb::nothing()
        };
        let (pump, _record) = run(name, &disturb).await?;
        drop(Arc::new(pump));
    }
    Ok(())
}
