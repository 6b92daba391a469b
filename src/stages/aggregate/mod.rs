//! `aggregate`: what became of every item of the plan, as a report and (of an export) a package.

mod outcomes;
mod pack;
mod rows;

use std::collections::BTreeMap;

use self::outcomes::Outcomes;
use super::install_id_resolve::settle;
use super::inventory;
use super::planned::{read_plan, sha256};
use super::setup;
use super::{Context, Outcome, StageError};
use crate::domain::Kind;
use crate::package::LeftOut;
use crate::report::{self, Arrived, ArrivedItem, Inputs, Report, SetupException};
use crate::work::{Error, Slice, SliceEnd, names};
use crate::workflow::record::PackageRef;
use crate::workflow::{Event, Record, Step};

/// Concludes the request.
pub(super) async fn run(
    cx: Context<'_>,
    record: &Record,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    let (plan, _bytes) = read_plan(cx, record).await?;
    let mut outcomes = outcomes::load(cx, record).await?;
    let rows = rows::survey(cx, record, &plan).await?;
    let mut unavailable = missing_tests(&outcomes).into_list();
    let mut package = None;
    if record.kind == Kind::Export {
        let packed = Box::pin(pack::pack(cx, record, &plan, &outcomes, slice)).await?;
        let Some(packed) = packed else {
            return Ok(Outcome::Continue);
        };
        for id in packed.exported {
            outcomes.items.insert(id, report::Outcome::Exported.into());
        }
        unavailable = packed.unavailable;
        package = Some(packed.package);
    }
    let arrived = arrived(cx, record).await?;
    let setup = exceptions(cx, record).await?;
    let report = Report::compose(Inputs {
        record,
        plan: Some(&plan),
        outcomes: &outcomes.items,
        arrived: &arrived,
        setup: &setup,
        unavailable: &unavailable,
        log_copies: &rows.copies,
        last_row: rows.last,
        package: package.as_ref(),
        concluded_at: concluded_at(cx, record),
    });
    conclude(cx, record, &report, package).await
}

/// Reports what was done by a request that was cancelled, or failed, after its plan was approved: once its work is
/// removed nobody could tell any more.
///
/// # Errors
/// When stored state cannot be read or written.
pub async fn report_ended(cx: Context<'_>, record: &Record) -> Result<(), StageError> {
    let report = compose_ended(cx, record).await?;
    let hash = sha256(&store_report(cx, record, &report).await?);
    let update = cx.app.store.update_record(&record.id, |stored| {
        if stored.run != record.run || !stored.status.is_ended() {
            return Err(());
        }
        stored.report_sha256 = Some(hash.clone());
        Ok(())
    });
    update.await?;
    Ok(())
}

/// Reports what was done by the runs that a retry ended while their plan was carried out.
///
/// It comes from their work, which is removed with that of the run which ends. Until then their calls in flight have
/// time to be noted.
/// A report that is there stays: it was made of the same work, which may be gone meanwhile.
///
/// # Errors
/// When stored state cannot be read or written.
pub async fn report_left(cx: Context<'_>, record: &Record) -> Result<(), StageError> {
    let store = &cx.app.store;
    for left in &record.left {
        let of_run = record.as_left(left);
        let report = match compose_ended(cx, &of_run).await {
            Ok(report) => report,
            Err(error @ StageError::Work(Error::Storage(_) | Error::Killed)) => return Err(error),
            Err(error) => {
                tracing::error!(request = %record.id, run = left.run, "no report of what was done: {error}");
                continue;
            }
        };
        let (_bytes, forms) = forms(&report)?;
        for (extension, content, kind) in forms {
            let name = names::report(&record.id, left.run, extension);
            store.create(&name, "the report", content, kind).await?;
        }
    }
    let update = store.update_record(&record.id, |stored| {
        if stored.run != record.run || stored.left.is_empty() {
            return Err(());
        }
        stored.left.clear();
        Ok(())
    });
    update.await?;
    Ok(())
}

async fn compose_ended(cx: Context<'_>, record: &Record) -> Result<Report, StageError> {
    let (plan, _bytes) = read_plan(cx, record).await?;
    let outcomes = outcomes::load(cx, record).await?;
    let rows = rows::survey(cx, record, &plan).await?;
    let setup = exceptions(cx, record).await?;
    Ok(Report::compose(Inputs {
        record,
        plan: Some(&plan),
        outcomes: &outcomes.items,
        arrived: &Arrived::default(),
        setup: &setup,
        unavailable: &missing_tests(&outcomes).into_list(),
        log_copies: &rows.copies,
        last_row: rows.last,
        package: None,
        concluded_at: record.ended_at.unwrap_or_else(|| cx.now()),
    }))
}

/// When this step began: the same each time it is run, so that a second run stores the same bytes.
fn concluded_at(cx: Context<'_>, record: &Record) -> jiff::Timestamp {
    let state = record.steps.get(&crate::workflow::Step::Aggregate);
    state
        .and_then(|state| state.started_at)
        .unwrap_or_else(|| cx.now())
}

async fn conclude(
    cx: Context<'_>,
    record: &Record,
    report: &Report,
    package: Option<PackageRef>,
) -> Result<Outcome, StageError> {
    let bytes = store_report(cx, record, report).await?;
    Ok(Outcome::Over(SliceEnd {
        done: 1,
        failed: 0,
        event: Some(Event::Concluded {
            exceptions: report.exception_lines(),
            failed: report.failed,
            forget: record.kind == Kind::Delete && !report.needs_identifiers(),
            package,
            report_sha256: sha256(&bytes),
        }),
    }))
}

/// Stores a report in both forms; gives the bytes of the JSON.
///
/// # Errors
/// When it cannot be stored.
pub async fn store_report(
    cx: Context<'_>,
    record: &Record,
    report: &Report,
) -> Result<Vec<u8>, StageError> {
    let (bytes, forms) = forms(report)?;
    let store = &cx.app.store;
    for (extension, content, kind) in forms {
        let name = names::report(&record.id, record.run, extension);
        store.put(&name, "the report", content, kind).await?;
    }
    Ok(bytes)
}

/// A form of a report: its extension, its bytes, their type.
type Written = (&'static str, Vec<u8>, &'static str);

/// A report in both forms, after the bytes of the JSON.
fn forms(report: &Report) -> Result<(Vec<u8>, [Written; 2]), StageError> {
    let bytes = serde_json::to_vec_pretty(report)
        .map_err(|_error| StageError::permanent("the report cannot be written as JSON"))?;
    let markdown = report::to_markdown(report).into_bytes();
    let json = ("json", bytes.clone(), "application/json");
    Ok((
        bytes,
        [json, ("md", markdown, "text/markdown; charset=utf-8")],
    ))
}

async fn arrived(cx: Context<'_>, record: &Record) -> Result<Arrived, StageError> {
    let arrivals = settle::load(cx, record).await?;
    let reports = arrivals
        .reports
        .into_iter()
        .map(|it| ArrivedItem::report(it.app, it.error_id, it.blobs));
    let installs = arrivals
        .installs
        .into_iter()
        .map(|(app, install)| ArrivedItem::install(app, install));
    Ok(Arrived {
        items: reports.chain(installs).collect(),
        total: arrivals.total,
        failed: arrivals.failed,
    })
}

async fn exceptions(cx: Context<'_>, record: &Record) -> Result<Vec<SetupException>, StageError> {
    let setups = setup::load(cx.app, record).await?;
    let exceptions = setups.into_iter().flat_map(|setup| {
        let app = setup.app;
        setup
            .exceptions
            .into_iter()
            .map(move |text| SetupException {
                app: app.clone(),
                text,
            })
    });
    let mut exceptions: Vec<SetupException> = exceptions.collect();
    // Of an app whose data is got by API a list that is not whole leaves out what nothing else tells.
    let listed = inventory::load(cx, record, Step::Inventory).await?;
    for inventory in listed.into_iter().filter(|it| it.by_api) {
        let app = inventory.app;
        exceptions.extend(inventory.exceptions.into_iter().map(|text| SetupException {
            app: app.clone(),
            text,
        }));
    }
    Ok(exceptions)
}

/// What could not be had of App Center Test.
fn missing_tests(outcomes: &Outcomes) -> Missing {
    let mut missing = Missing::default();
    for left in outcomes.tests.iter().flat_map(|it| &it.missing) {
        missing.add(&left.what, &left.reason);
    }
    missing
}

/// Things that are missing, counted by what and why.
#[derive(Debug, Clone, Default)]
struct Missing(BTreeMap<(String, String), u64>);

impl Missing {
    fn add(&mut self, what: &str, reason: &str) {
        *self
            .0
            .entry((what.to_owned(), reason.to_owned()))
            .or_default() += 1;
    }

    /// Adds what was counted elsewhere.
    fn extend(&mut self, list: &[LeftOut]) {
        for left in list {
            let key = (left.what.clone(), left.reason.clone());
            *self.0.entry(key).or_default() += left.count;
        }
    }

    fn into_list(self) -> Vec<LeftOut> {
        self.0
            .into_iter()
            .map(|((what, reason), count)| LeftOut {
                what,
                reason,
                count,
            })
            .collect()
    }
}
