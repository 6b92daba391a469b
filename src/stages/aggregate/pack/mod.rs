//! The package of an export, made in as many invocations as it takes.
//!
//! First one pass over the hits sorts the log rows out by folder ([`spread`]). Then files go into segments, each a zip
//! of its own with what is said of its files beside it, until time is up ([`segment`]). At the end the segments become
//! the package as they are, with the pages and the manifest. How far it got stands in the slice; whatever an invocation
//! did not save is done again, with the same result, and the package's bytes do not depend on where it was interrupted.

mod rows;
mod segment;
mod spread;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use self::segment::{Place, Side};
use self::spread::Spread;
use super::missing_tests;
use super::outcomes::Outcomes;
use crate::domain::AppRef;
use crate::domain::plan::{Action, Plan};
use crate::package::{self, Installation, LeftOut, MAX_FILES, Meta, PackageWriter, Summary};
use crate::stages::setup::{self, AppSetup};
use crate::stages::{Context, StageError, inventory};
use crate::storage::{BlockingReader, BlockingWriter};
use crate::work::{Error, Slice, names};
use crate::workflow::record::PackageRef;
use crate::workflow::{Record, Step};

/// What is said of an app whose search was limited.
const NOT_WHOLE: &str = "there may be more about you than was found";

/// What is said of a list that App Center itself calls limited.
const LIMITED: &str = "App Center says that its list of crashes is not whole";

/// A package that was stored.
#[derive(Debug)]
pub(super) struct Packed {
    /// The package.
    pub(super) package: PackageRef,
    /// Items whose content is in it.
    pub(super) exported: Vec<String>,
    /// What is not in it.
    pub(super) unavailable: Vec<LeftOut>,
}

/// How far it got, as the slice holds it.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// The log rows, sorted out.
    #[serde(default)]
    spread: Spread,
    /// The next file to write.
    #[serde(default)]
    place: Place,
    /// The segments so far.
    #[serde(default)]
    segments: Vec<String>,
    /// Files in them.
    #[serde(default)]
    files: usize,
    /// Whether every file is in a segment.
    #[serde(default)]
    is_written: bool,
    /// The package, once it is stored.
    #[serde(default)]
    package: Option<PackageRef>,
}

type Zip = PackageWriter<BlockingWriter>;

/// Works on the package until it is stored, or time is up: then `None`, and the slice holds how far it got.
pub(super) async fn pack(
    cx: Context<'_>,
    record: &Record,
    plan: &Plan,
    outcomes: &Outcomes,
    slice: &mut Slice,
) -> Result<Option<Packed>, StageError> {
    let mut progress: Progress = slice.body()?;
    while !progress.spread.is_done {
        Box::pin(spread::spread(cx, record, plan, &mut progress.spread)).await?;
        save(cx, slice, &progress).await?;
        if cx.is_out_of_time() {
            return Ok(None);
        }
    }
    let units = units::units(plan, &progress.spread, outcomes);
    while !progress.is_written {
        let written = segment::write(cx, record, &units, outcomes, &progress);
        let written = Box::pin(written).await?;
        progress.place = written.place;
        progress.is_written = written.is_last;
        progress.files += written.files;
        progress.segments.push(written.name);
        if progress.files > MAX_FILES {
            let limit = MAX_FILES;
            return Err(package_error(package::Error::TooManyFiles { limit }));
        }
        save(cx, slice, &progress).await?;
        // What is left is one piece of work; it begins with its time whole.
        if cx.is_out_of_time() {
            return Ok(None);
        }
    }
    let mut missing = missing_tests(outcomes);
    missing.extend(&progress.spread.missing);
    let mut exported: BTreeSet<String> = plan
        .rows
        .iter()
        .filter(|it| it.action == Action::Act)
        .map(|it| it.id.clone())
        .collect();
    let mut sides = Vec::with_capacity(progress.segments.len());
    for segment in &progress.segments {
        let mut side = side(cx, record, segment).await?;
        missing.extend(&side.missing);
        exported.append(&mut side.exported);
        sides.push(side);
    }
    let unavailable = missing.into_list();
    let package = match progress.package.clone() {
        Some(package) => package,
        None => {
            let summary = summary(cx, record, plan, unavailable.clone()).await?;
            let package = Box::pin(merge(cx, record, &progress, sides, summary)).await?;
            progress.package = Some(package.clone());
            save(cx, slice, &progress).await?;
            package
        }
    };
    Ok(Some(Packed {
        package,
        exported: exported.into_iter().collect(),
        unavailable,
    }))
}

async fn save(cx: Context<'_>, slice: &mut Slice, progress: &Progress) -> Result<(), StageError> {
    slice.set_body(progress)?;
    slice.state.forget_tries();
    cx.app.store.save_slice(slice).await?;
    Ok(())
}

/// What is said of the files of a segment.
async fn side(cx: Context<'_>, record: &Record, segment: &str) -> Result<Side, StageError> {
    let name = names::package_segment(&record.id, record.run, segment, "json");
    let read = cx.app.store.read_json(&name, "a segment's files").await?;
    let (side, _etag) = read.ok_or(Error::Corrupt {
        what: "a segment's files",
        reason: "they are missing".to_owned(),
    })?;
    Ok(side)
}

/// Makes the package of its segments.
async fn merge(
    cx: Context<'_>,
    record: &Record,
    progress: &Progress,
    sides: Vec<Side>,
    summary: Summary,
) -> Result<PackageRef, StageError> {
    let name = names::package(&record.id, record.run);
    let container = cx.app.store.container().clone();
    let writer = container.writer(&name, "application/zip").blocking();
    let mut zip = PackageWriter::new(writer, meta(cx, record));
    for (segment, side) in progress.segments.iter().zip(sides) {
        let name = names::package_segment(&record.id, record.run, segment, "zip");
        let reader = BlockingReader::open(container.clone(), &name).await;
        let reader = reader.map_err(Error::from)?.ok_or(Error::Corrupt {
            what: "a segment of the package",
            reason: "it is missing".to_owned(),
        })?;
        zip = blocking(move || {
            zip.merge(reader, side.files).map_err(package_error)?;
            Ok(zip)
        })
        .await?;
    }
    let (writer, finished) = blocking(move || zip.finish(&summary).map_err(package_error)).await?;
    let store = &cx.app.store;
    store.commit(writer.into_inner(), "the package").await?;
    Ok(PackageRef {
        sha256: finished.sha256,
        size: finished.size,
        deleted_at: None,
    })
}

fn meta(cx: Context<'_>, record: &Record) -> Meta {
    Meta {
        request: record.id.clone(),
        reference: record.reference.clone(),
        jurisdiction: record.jurisdiction,
        created_at: super::concluded_at(cx, record),
        apps: record.apps.clone(),
    }
}

async fn summary(
    cx: Context<'_>,
    record: &Record,
    plan: &Plan,
    mut unavailable: Vec<LeftOut>,
) -> Result<Summary, StageError> {
    let setups = setup::load(cx.app, record).await?;
    unavailable.splice(0..0, limits(cx, record, &setups).await?);
    Ok(Summary {
        counts: plan.counts,
        include: record.include.clone(),
        window: record.window,
        installations: plan
            .installs
            .iter()
            .filter(|it| it.action == Action::Act)
            .map(|it| Installation {
                app: it.app.clone(),
                install_id: it.install_id,
                reason: it.reason.clone(),
                found_in: it.provenance.clone(),
            })
            .collect(),
        coverage: plan.coverage.clone(),
        held: held(plan),
        unavailable,
        excluded: Vec::new(),
        diagnostics_days: setups
            .iter()
            .filter_map(|setup| Some((setup.app.as_ref()?.to_string(), setup.retention_days?)))
            .collect(),
        recipients: Vec::new(),
        collected_days: whole_days(cx.app.config.limits.collected),
        package_days: whole_days(cx.app.config.limits.package),
    })
}

/// What kept the search from being whole, whatever was found: of setting up each app and of its lists.
async fn limits(
    cx: Context<'_>,
    record: &Record,
    setups: &[AppSetup],
) -> Result<Vec<LeftOut>, StageError> {
    let mut limits = Vec::new();
    let mut add = |app: &Option<AppRef>, text: &str| {
        let app = app.as_ref().map(ToString::to_string).unwrap_or_default();
        limits.push(LeftOut {
            what: format!("{app}: {NOT_WHOLE}"),
            reason: text.to_owned(),
            count: 1,
        });
    };
    for setup in setups {
        for text in &setup.exceptions {
            add(&setup.app, text);
        }
    }
    for listed in inventory::load(cx, record, Step::Inventory).await? {
        for text in &listed.exceptions {
            add(&listed.app, text);
        }
        if listed.summary.is_limited {
            add(&listed.app, LIMITED);
        }
    }
    Ok(limits)
}

fn held(plan: &Plan) -> BTreeMap<String, u64> {
    let mut held = BTreeMap::new();
    let reasons = plan
        .installs
        .iter()
        .map(|it| (it.action, &it.reason, 1))
        .chain(plan.reports.iter().map(|it| (it.action, &it.reason, 1)))
        .chain(plan.rows.iter().map(|it| (it.action, &it.reason, it.rows)))
        .chain(plan.test_runs.iter().map(|it| (it.action, &it.reason, 1)));
    for (action, reason, count) in reasons {
        if action == Action::Hold {
            *held.entry(reason.clone()).or_default() += count;
        }
    }
    held
}

fn whole_days(time: std::time::Duration) -> Option<u32> {
    u32::try_from(time.as_secs() / 86_400).ok()
}

/// Runs blocking work, such as writing to the zip, off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StageError> + Send + 'static,
) -> Result<T, StageError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_error| StageError::retry("the package's writer broke off"))?
}

fn package_error(error: package::Error) -> StageError {
    match error {
        package::Error::TooManyFiles { .. } => StageError::permanent(error.to_string()),
        error => StageError::retry(error.to_string()),
    }
}
