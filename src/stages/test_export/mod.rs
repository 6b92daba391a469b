//! `test-export`: the runs of App Center Test, and for an export all test data with its files.
//!
//! Runs and test data belong to an app and name no person: this step is only for requests that name `test`. Runs enter the
//! plan as held items; what an export fetches lies with the request's other work until the package is made of it. Test was
//! retired on 2025-03-31: what App Center does not give any more is said, and stops nothing.

mod parts;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::setup::{self, AppSetup};
use super::{Context, CutOutcome, Outcome, StageError, cut_by_app, not_known};
use crate::appcenter::{Client, Error, TestPart, TestScope};
use crate::domain::plan::{Action, TestRunItem, item_id};
use crate::domain::{AppRef, Kind, retired};
use crate::work::{Slice, SliceEnd};
use crate::workflow::{Record, Step};

/// Why a run is held.
const HELD: &str = "a run of App Center Test belongs to the app, not to a person";
/// What a run is called where it could not be had.
const RUNS: &str = "test runs of App Center Test";
/// What test data is called where it could not be had.
const DATA: &str = "test data of App Center Test";

/// How far one app is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TestExport {
    /// The app; always there once the slice was cut.
    pub app: Option<AppRef>,
    /// What is being got.
    #[serde(default)]
    pub phase: Phase,
    /// The app's runs.
    #[serde(default)]
    pub runs: Vec<Uuid>,
    /// Parts of the test data, in the order in which they are fetched.
    #[serde(default)]
    pub parts: Vec<TestPart>,
    /// How many of them were fetched.
    #[serde(default)]
    pub fetched: usize,
    /// How often the next one failed for a reason that may pass.
    #[serde(default)]
    pub tries: u32,
    /// What was stored.
    #[serde(default)]
    pub files: Vec<TestFile>,
    /// What could not be had.
    #[serde(default)]
    pub missing: Vec<MissingTest>,
}

/// What is being got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The list of runs.
    #[default]
    Runs,
    /// The index of the test data.
    Index,
    /// Its parts and their files.
    Parts,
    /// Nothing any more.
    Done,
}

/// A stored file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestFile {
    /// Its blob's name.
    pub blob: String,
    /// What it is called in the export.
    pub name: String,
    /// The operation of the API that gave it, or its address.
    pub operation: String,
}

/// Something of App Center Test that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingTest {
    /// What it is, in words.
    pub what: String,
    /// Why, in words.
    pub reason: String,
}

impl TestExport {
    fn miss(&mut self, what: &str, reason: impl Into<String>) {
        let missing = MissingTest {
            what: what.to_owned(),
            reason: reason.into(),
        };
        if !self.missing.contains(&missing) {
            self.missing.push(missing);
        }
    }
}

/// One slice an app.
pub(super) fn cut(record: &Record) -> Result<CutOutcome, StageError> {
    cut_by_app(record, |app| TestExport {
        app: Some(app.clone()),
        ..TestExport::default()
    })
}

/// Gets what there is of one app.
pub(super) async fn run(
    cx: Context<'_>,
    record: &Record,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    let mut export: TestExport = slice.body()?;
    let Some(app) = export.app.clone() else {
        return Err(StageError::permanent("the slice names no app"));
    };
    let setups = setup::load(cx.app, record).await?;
    let known = setups.iter().find(|it| it.app.as_ref() == Some(&app));
    if setup::is_retired(cx.app, &setups, &app) {
        export.miss(RUNS, retired::NOT_ASKED);
        export.phase = Phase::Done;
    } else if known.is_none_or(|setup| setup.is_unreachable) {
        export.miss(RUNS, "App Center could not be asked about the app");
        export.phase = Phase::Done;
    }
    // The account is the token's, whatever the app: it is asked once a request, by the first app that is asked at all.
    let is_asked = |it: &AppSetup| {
        let of = it.app.as_ref();
        !it.is_unreachable && !of.is_some_and(|of| setup::is_retired(cx.app, &setups, of))
    };
    let first = setups.iter().find(|it| is_asked(it));
    let asks_account = first.is_some_and(|first| first.app.as_ref() == Some(&app));
    while export.phase != Phase::Done {
        let before = (export.phase, export.fetched, export.files.len());
        let advanced = Box::pin(advance(cx, record, slice, asks_account, &mut export)).await;
        let is_progress = before != (export.phase, export.fetched, export.files.len());
        // What was fetched before an error is not fetched again.
        slice.set_body(&export)?;
        if let Err(error) = advanced {
            // One part that is never to be had must not keep the others from being asked for.
            if export.phase != Phase::Parts || !parts::skip(&mut export, &error) {
                slice.set_body(&export)?;
                return Err(error);
            }
        } else if !is_progress {
            return Ok(Outcome::Continue);
        }
        slice.set_body(&export)?;
        slice.state.forget_tries();
        cx.app.store.save_slice(slice).await?;
        if cx.is_out_of_time() && export.phase != Phase::Done {
            return Ok(Outcome::Continue);
        }
    }
    slice.set_body(&export)?;
    Ok(Outcome::Over(SliceEnd {
        done: 1,
        ..SliceEnd::default()
    }))
}

/// One piece of work after which the slice is saved.
async fn advance(
    cx: Context<'_>,
    record: &Record,
    slice: &Slice,
    asks_account: bool,
    export: &mut TestExport,
) -> Result<(), StageError> {
    let client = cx.app.app_center()?;
    let Some(app) = &export.app.clone() else {
        return Err(StageError::permanent("the slice names no app"));
    };
    match export.phase {
        Phase::Runs => {
            list_runs(client, app, export).await?;
            export.phase = match record.kind {
                Kind::Export => Phase::Index,
                // An erasure needs no copy of what it erases.
                Kind::Delete => Phase::Done,
            };
        }
        Phase::Index => {
            parts::index(client, app, TestScope::App, export).await?;
            if asks_account {
                parts::index(client, app, TestScope::Account, export).await?;
            }
            export.phase = Phase::Parts;
        }
        Phase::Parts => {
            let folder = parts::Folder::of(record, slice);
            if !Box::pin(parts::next(cx, client, &folder, app, export)).await? {
                export.phase = Phase::Done;
            }
        }
        Phase::Done => {}
    }
    Ok(())
}

async fn list_runs(
    client: &Client,
    app: &AppRef,
    export: &mut TestExport,
) -> Result<(), StageError> {
    // A 404 is believed when it is said twice.
    let listed = match client.test_runs(app).await {
        Err(Error::NotFound(_)) => client.test_runs(app).await,
        listed => listed,
    };
    match listed {
        Ok(runs) => {
            export.runs = runs.ids;
            export.runs.sort_unstable();
            export.runs.dedup();
            if runs.unusable > 0 {
                let reason = format!("{} are listed without a usable ID", runs.unusable);
                export.miss(RUNS, reason);
            }
            Ok(())
        }
        Err(error) => {
            let reason = absent(client, app, error).await?;
            export.miss(RUNS, reason);
            Ok(())
        }
    }
}

/// Why App Center does not give something of Test; an error that may pass, or that a person can mend, stays one.
async fn absent(client: &Client, app: &AppRef, error: Error) -> Result<String, StageError> {
    match error {
        Error::NotFound(_) => match client.app(app).await {
            Ok(_app) => Ok(format!("{error}; Test was retired on 2025-03-31")),
            Err(_) => Err(not_known(client, app).await),
        },
        Error::Gone => Ok(format!("{error}; Test was retired on 2025-03-31")),
        Error::Rejected { .. }
        | Error::Address { .. }
        | Error::Download { .. }
        | Error::TooLarge { .. } => Ok(error.to_string()),
        error => Err(error.into()),
    }
}

/// What the step got of each app; nothing when the request did not name `test`.
///
/// # Errors
/// When it cannot be read.
pub async fn load(cx: Context<'_>, record: &Record) -> Result<Vec<TestExport>, StageError> {
    let store = &cx.app.store;
    let Some(root) = store.root(&record.id, record.run, Step::Tests).await? else {
        return Ok(Vec::new());
    };
    let mut exports = Vec::new();
    for number in 0..root.slices {
        let slice = store
            .slice(&record.id, record.run, Step::Tests, number)
            .await?;
        exports.push(slice.body()?);
    }
    Ok(exports)
}

/// The runs as items of the plan: held, whatever the request is.
///
/// # Errors
/// When they cannot be read.
pub async fn items(cx: Context<'_>, record: &Record) -> Result<Vec<TestRunItem>, StageError> {
    let mut items = Vec::new();
    for export in load(cx, record).await? {
        let Some(app) = export.app else { continue };
        items.extend(export.runs.into_iter().map(|run_id| TestRunItem {
            id: item_id("test-run", &app, &run_id.to_string()),
            app: app.clone(),
            run_id,
            action: Action::Hold,
            reason: HELD.to_owned(),
        }));
    }
    Ok(items)
}

/// Goes on without the rest: the report says so.
pub(super) fn give_up(slice: &mut Slice, reason: &str) -> Result<SliceEnd, StageError> {
    let mut export: TestExport = slice.body()?;
    let what = match export.phase {
        Phase::Runs => RUNS,
        Phase::Index | Phase::Parts | Phase::Done => DATA,
    };
    export.miss(what, reason);
    slice.set_body(&export)?;
    Ok(SliceEnd {
        failed: 1,
        ..SliceEnd::default()
    })
}
