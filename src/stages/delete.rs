//! `delete`: delete each report of the approved plan. It cannot be undone.
//!
//! `deleted` needs a 2xx without failed blobs. A 404 counts only after the same token sees the app and not the report;
//! it then means `deleted` when an earlier attempt of ours may have done it, and `already_gone` when none did.

use serde::{Deserialize, Serialize};

use super::acting::{self, Fate, Fated};
use super::gate::StepGate;
use super::planned::read_plan;
use super::{Context, CutOutcome, Outcome, StageError, collect};
use crate::appcenter::{Client, Deleted, Error, Gate, Gone};
use crate::domain::plan::Plan;
use crate::domain::{AppRef, ErrorId, GroupId, LegacyIds};
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
    /// What the legacy API calls it, where only that one knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<LegacyIds>,
    /// What was fetched of it by API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collected: Vec<String>,
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
            legacy: it.legacy,
            collected: it.collected,
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
        let fated = delete(client, &item, attempted, gate).await?;
        // Our own copy goes with it: what is erased there must not be found here.
        collect::remove(cx, &item.collected).await?;
        Ok(fated)
    })
    .await
}

async fn delete(client: &Client, item: &DeleteItem, attempted: bool, gate: &dyn Gate) -> Fated {
    if item.group.is_legacy() {
        return by_legacy(client, item, &item.group, &item.error, attempted, gate).await;
    }
    let deleted = client
        .delete_error(&item.app, &item.group, &item.error, gate)
        .await;
    let gone = match (deleted, &item.legacy) {
        (Err(Error::NotFound(_) | Error::Gone), Some(legacy)) => {
            let LegacyIds { group, crash } = legacy;
            return by_legacy(client, item, group, crash, attempted, gate).await;
        }
        (Err(error @ (Error::NotFound(_) | Error::NotFoundAgain(_))), _) => {
            let attempted = attempted || matches!(error, Error::NotFoundAgain(_));
            let gone = client
                .confirm_gone(&item.app, &item.group, &item.error)
                .await?;
            (gone, attempted)
        }
        (deleted, _) => return complete(&deleted?),
    };
    judge(gone.0, gone.1)
}

/// The same by the legacy API, where only that one knows the report.
async fn by_legacy(
    client: &Client,
    item: &DeleteItem,
    group: &GroupId,
    crash: &ErrorId,
    attempted: bool,
    gate: &dyn Gate,
) -> Fated {
    match client.delete_crash(&item.app, group, crash, gate).await {
        Err(error @ (Error::NotFound(_) | Error::NotFoundAgain(_))) => {
            let attempted = attempted || matches!(error, Error::NotFoundAgain(_));
            let gone = client.confirm_crash_gone(&item.app, group, crash).await?;
            judge(gone, attempted)
        }
        deleted => complete(&deleted?),
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
            "App Center answered 404 to the deletion of a report that it still shows",
        )),
        Gone::AppUnreachable => Err(StageError::person(
            "App Center answers 404 and does not show the app to the token: a person must check `APPCENTER_API_TOKEN`",
        )),
    }
}
