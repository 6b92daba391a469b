//! The package is made in as many invocations as it takes, and is the same wherever it was interrupted.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use appcenter_dsr::stages::{self, Context, Outcome, StageError};
use appcenter_dsr::work::{Error, names};
use appcenter_dsr::workflow::join::Root;
use appcenter_dsr::workflow::{Function, Record, Step};
use appcenter_sim::World;
use serde_json::Value;
use zip::ZipArchive;

use crate::kill_at::KillAt;
use crate::pump::{Disturb, Pump};

const SMALL: &str = include_str!("../scenarios/small.toml");
/// Largest package of these tests.
const MAX_PACKAGE: usize = 64 * 1024 * 1024;
/// Of so many places one is killed at.
const STRIDE: usize = 5;

/// An export of which everything but the package is done.
async fn before_the_package() -> anyhow::Result<(Pump, Record)> {
    let pump = Pump::start(World::parse(SMALL)?).await?;
    let request = pump.sim.world(|world| world.request("export").cloned());
    let request = request.expect("the world has it");
    let disturb = Disturb::nothing();
    let id = pump.submit(&request.document, &disturb).await?;
    let mut app = Arc::new(pump.app(Arc::clone(&disturb.probe))?);
    for _ in 0..500 {
        let record = pump.record(&id).await?;
        if record.step == Some(Step::Aggregate) {
            return Ok((pump, record));
        }
        for (function, queue) in &pump.queues {
            if *function != Function::Aggregate {
                Box::pin(pump.work_on(&mut app, queue, &disturb)).await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bail!("the request does not get to its last step")
}

/// Makes the package from the beginning; gives its bytes and how many invocations it took.
async fn make(
    pump: &Pump,
    record: &Record,
    probe: &Arc<KillAt>,
) -> anyhow::Result<(Vec<u8>, usize)> {
    let mut app = pump.app(Arc::clone(probe))?;
    let root = Root::new(1, 1, record.created_at, Value::Null);
    let mut invocations = 0;
    loop {
        invocations += 1;
        anyhow::ensure!(invocations < 500, "it does not move on");
        let mut slice = app
            .store
            .slice(&record.id, record.run, Step::Aggregate, 0)
            .await?;
        match Box::pin(stages::run(Context::new(&app), record, &root, &mut slice)).await {
            Ok(Outcome::Continue) => {}
            Ok(Outcome::Over(_)) => break,
            // A new process goes on.
            Err(StageError::Work(Error::Killed)) => app = pump.app(Arc::clone(probe))?,
            other => bail!("{other:?}"),
        }
    }
    let name = names::package(&record.id, record.run);
    let stored = app.store.container().read(&name, MAX_PACKAGE).await?;
    let bytes = stored.expect("the package is stored").bytes.to_vec();
    let app = pump.app(KillAt::never())?;
    let prefix = names::step_prefix(&record.id, record.run, Step::Aggregate);
    app.store.delete_under(&prefix, "work of a test").await?;
    app.store.delete(&name, "the package").await?;
    Ok((bytes, invocations))
}

fn count(probe: &KillAt, name: &str) -> usize {
    let names = probe.names();
    let is_it = |write: &&String| write.rsplit(": ").next() == Some(name);
    names.iter().filter(is_it).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_is_the_same_wherever_it_is_interrupted() -> anyhow::Result<()> {
    let (mut pump, record) = before_the_package().await?;
    let probe = KillAt::never();
    let (whole, invocations) = make(&pump, &record, &probe).await?;
    assert_eq!(invocations, 1);
    assert_eq!(count(&probe, "rows of the package"), 1);
    assert_eq!(count(&probe, "a segment of the package"), 1);
    let archive = ZipArchive::new(Cursor::new(whole.as_slice()))?;
    let files: BTreeSet<String> = archive
        .file_names()
        .map(|name| name.map(std::borrow::Cow::into_owned))
        .collect::<Result<_, _>>()?;
    assert!(files.len() > 12, "{files:?}");

    // Invocations without any time: each does the least there is, one row or one file.
    pump.invocation = Some(Duration::ZERO);
    let probe = KillAt::never();
    let (cut, invocations) = make(&pump, &record, &probe).await?;
    let pages = ["index.html", "README.txt", "manifest.json"].len();
    let segments = count(&probe, "a segment of the package");
    assert_eq!(segments, files.len() - pages, "a file each");
    let parts = count(&probe, "rows of the package");
    assert!(parts > 3, "{parts} parts: a row each");
    assert!(invocations > segments + parts, "{invocations}");
    assert!(cut == whole, "not the same bytes");

    // And each of its writes is a place to be killed: before it, and after it.
    let writes = probe.names();
    let places = (0..writes.len() * 2)
        .skip(writes.len() % STRIDE)
        .step_by(STRIDE);
    let mut killed = 0;
    for place in places {
        let (nth, done) = (place / 2, place % 2 == 1);
        let probe = KillAt::each([(nth, done)]);
        let (bytes, _invocations) = make(&pump, &record, &probe).await?;
        let what = &writes[nth];
        assert!(bytes == whole, "killed at write {nth} ({what}), {done}");
        killed += 1;
    }
    assert!(writes.len() > 40, "only {} writes", writes.len());
    assert_eq!(
        killed,
        (writes.len() * 2 - writes.len() % STRIDE).div_ceil(STRIDE)
    );
    Ok(())
}
