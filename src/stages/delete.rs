//! `delete`: delete each report of the approved plan, and each test run that a person released. It cannot be undone.
//!
//! `deleted` needs a 2xx without failed blobs. A 404 counts only after the same token sees the app and not the report;
//! it then means `deleted` when an earlier attempt of ours may have done it, and `already_gone` when none did.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::acting::{self, Fate, Fated};
use super::gate::StepGate;
use super::planned::read_plan;
use super::{Context, CutOutcome, Outcome, StageError, collect};
use crate::appcenter::{Client, Deleted, Error, Gate, Gone};
use crate::domain::plan::Plan;
use crate::domain::{AppRef, ErrorId, GroupId, LegacyIds};
use crate::work::Slice;
use crate::workflow::Record;

/// Something to delete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteItem {
    /// The plan's item.
    pub id: String,
    /// The app.
    pub app: AppRef,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
}

/// What is deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A crash or handled error.
    Report(Report),
    /// A run of App Center Test.
    TestRun {
        /// The run.
        run: Uuid,
    },
}

/// A report to delete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The group.
    pub group: GroupId,
    /// The report.
    pub error: ErrorId,
    /// What the legacy API calls it, where only that one knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<LegacyIds>,
    /// What was fetched of it by API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collected: Vec<String>,
}

/// Cuts the plan's reports and released test runs into slices.
pub(super) async fn cut(cx: Context<'_>, record: &Record) -> Result<CutOutcome, StageError> {
    let (plan, _bytes) = read_plan(cx, record).await?;
    let also = record.also();
    let reports = plan
        .reports
        .into_iter()
        .filter(|it| Plan::acts(it.action, &it.id, also))
        .map(|it| DeleteItem {
            id: it.id,
            app: it.app,
            what: What::Report(Report {
                group: it.group_id,
                error: it.error_id,
                legacy: it.legacy,
                collected: it.collected,
            }),
        });
    let runs = plan
        .test_runs
        .into_iter()
        .filter(|it| Plan::acts(it.action, &it.id, also))
        .map(|it| DeleteItem {
            id: it.id,
            app: it.app,
            what: What::TestRun { run: it.run_id },
        });
    super::block::slices(reports.chain(runs), cx.app.config.limits.slice_items)
}

/// Deletes what is in one slice.
pub(super) async fn run(
    cx: Context<'_>,
    _record: &Record,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    let client = cx.app.app_center()?;
    let gate = StepGate::new(cx, slice);
    let gate = &gate;
    acting::act(cx, slice, |item: DeleteItem, attempted| async move {
        let app = &item.app;
        match &item.what {
            What::Report(report) => {
                let fated = delete(client, app, report, attempted, gate).await?;
                // Our own copy goes with it: what is erased there must not be found here.
                collect::remove(cx, &report.collected).await?;
                Ok(fated)
            }
            What::TestRun { run } => delete_run(client, app, *run, attempted, gate).await,
        }
    })
    .await
}

async fn delete(
    client: &Client,
    app: &AppRef,
    report: &Report,
    attempted: bool,
    gate: &dyn Gate,
) -> Fated {
    let Report { group, error, .. } = report;
    if group.is_legacy() {
        return by_legacy(client, app, group, error, attempted, gate).await;
    }
    let deleted = client.delete_error(app, group, error, gate).await;
    let gone = match (deleted, &report.legacy) {
        (Err(Error::NotFound(_) | Error::Gone), Some(legacy)) => {
            let LegacyIds { group, crash } = legacy;
            return by_legacy(client, app, group, crash, attempted, gate).await;
        }
        (Err(answer @ (Error::NotFound(_) | Error::NotFoundAgain(_))), _) => {
            let attempted = attempted || matches!(answer, Error::NotFoundAgain(_));
            let gone = client.confirm_gone(app, group, error).await?;
            (gone, attempted)
        }
        (deleted, _) => return complete(&deleted?),
    };
    judge(gone.0, gone.1)
}

/// The same by the legacy API, where only that one knows the report.
async fn by_legacy(
    client: &Client,
    app: &AppRef,
    group: &GroupId,
    crash: &ErrorId,
    attempted: bool,
    gate: &dyn Gate,
) -> Fated {
    match client.delete_crash(app, group, crash, gate).await {
        Err(error @ (Error::NotFound(_) | Error::NotFoundAgain(_))) => {
            let attempted = attempted || matches!(error, Error::NotFoundAgain(_));
            let gone = client.confirm_crash_gone(app, group, crash).await?;
            judge(gone, attempted)
        }
        deleted => complete(&deleted?),
    }
}

/// A run that the service calls deleted only logically: it is shown no more.
async fn delete_run(
    client: &Client,
    app: &AppRef,
    run: Uuid,
    attempted: bool,
    gate: &dyn Gate,
) -> Fated {
    match client.delete_test_run(app, run, gate).await {
        Err(error @ (Error::NotFound(_) | Error::NotFoundAgain(_))) => {
            let attempted = attempted || matches!(error, Error::NotFoundAgain(_));
            let gone = client.confirm_test_run_gone(app, run).await?;
            judge(gone, attempted)
        }
        deleted => {
            deleted?;
            Ok((Fate::Done, None))
        }
    }
}

fn complete(deleted: &Deleted) -> Fated {
    if deleted.is_complete() {
        return Ok((Fate::Done, None));
    }
    Err(StageError::retry(format!(
        "App Center deleted the report and reports {} of its blobs as not deleted",
        deleted.blobs_failed.unwrap_or(0)
    )))
}

/// What a 404 to a deletion means, once it was looked into.
fn judge(gone: Gone, attempted: bool) -> Fated {
    match gone {
        Gone::Confirmed if attempted => Ok((Fate::Done, None)),
        Gone::Confirmed => Ok((Fate::AlreadyGone, None)),
        Gone::StillThere => Err(StageError::retry(
            "App Center answered 404 to the deletion of what it still shows",
        )),
        Gone::AppUnreachable => Err(StageError::person(
            "App Center answers 404 and does not show the app to the token: a person must check `APPCENTER_API_TOKEN`",
        )),
    }
}
