//! `delete`: delete each report of the approved plan. It cannot be undone.
//!
//! `deleted` needs a 2xx without failed blobs. A 404 counts only after the same token sees the app and not the report;
//! it then means `deleted` when an earlier attempt of ours may have done it, and `already_gone` when none did.

use serde::{Deserialize, Serialize};

use super::acting::{self, Fate, Fated};
use super::gate::StepGate;
use super::planned::read_plan;
use super::{Context, CutOutcome, Outcome, StageError};
use crate::appcenter::{Client, Error, Gate, Gone};
use crate::domain::plan::Plan;
use crate::domain::{AppRef, ErrorId, GroupId};
use crate::work::Slice;
use crate::workflow::Record;

/// A report to delete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteItem {
    /// The plan's item.
    pub id: String,
    /// The app.
    pub app: AppRef,
    /// The group.
    pub group: GroupId,
    /// The report.
    pub error: ErrorId,
}

/// Cuts the plan's reports into slices.
pub(super) async fn cut(cx: Context<'_>, record: &Record) -> Result<CutOutcome, StageError> {
    let (plan, _bytes) = read_plan(cx, record).await?;
    let also = record.also();
    let items = plan
        .reports
        .into_iter()
        .filter(|it| Plan::acts(it.action, &it.id, also))
        .map(|it| DeleteItem {
            id: it.id,
            app: it.app,
            group: it.group_id,
            error: it.error_id,
        });
    super::block::slices(items, cx.app.config.limits.slice_items)
}

/// Deletes the reports of one slice.
pub(super) async fn run(
    cx: Context<'_>,
    _record: &Record,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    let client = cx.app.app_center()?;
    let gate = StepGate::new(cx, slice);
    let gate = &gate;
    acting::act(cx, slice, |item: DeleteItem, attempted| async move {
        delete(client, &item, attempted, gate).await
    })
    .await
}

async fn delete(client: &Client, item: &DeleteItem, attempted: bool, gate: &dyn Gate) -> Fated {
    match client
        .delete_error(&item.app, &item.group, &item.error, gate)
        .await
    {
        Ok(deleted) if deleted.is_complete() => Ok((Fate::Done, None)),
        Ok(deleted) => Err(StageError::retry(format!(
            "App Center deleted the report and reports {} of its blobs as not deleted",
            deleted.blobs_failed.unwrap_or(0)
        ))),
        Err(error @ (Error::NotFound(_) | Error::NotFoundAgain(_))) => {
            let attempted = attempted || matches!(error, Error::NotFoundAgain(_));
            match client
                .confirm_gone(&item.app, &item.group, &item.error)
                .await?
            {
                Gone::Confirmed if attempted => Ok((Fate::Done, None)),
                Gone::Confirmed => Ok((Fate::AlreadyGone, None)),
                Gone::StillThere => Err(StageError::retry(
                    "App Center answered 404 to the deletion of a report that it still shows",
                )),
                Gone::AppUnreachable => Err(StageError::retry(
                    "App Center answers 404 and does not show the app to the token: a person must check the token",
                )),
            }
        }
        Err(error) => Err(error.into()),
    }
}
