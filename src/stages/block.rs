//! `block`: stop ingestion for each install ID of the approved plan. It cannot be undone.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::acting::{self, Fate, Items, Work};
use super::gate::StepGate;
use super::planned::read_plan;
use super::setup;
use super::{Context, CutOutcome, Outcome, StageError, not_known};
use crate::appcenter;
use crate::domain::plan::Plan;
use crate::domain::{AppRef, InstallId, Kind, RequestId, Subject};
use crate::work::{Cut, Error, Slice, SliceInput, names};
use crate::workflow::{Record, Status};

/// How often an erasure looks whether the export that it overlaps has ended.
const LOOK: Duration = Duration::from_secs(60);

/// An install to block.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BlockItem {
    /// The plan's item.
    pub id: String,
    /// The app.
    pub app: AppRef,
    /// The installation.
    pub install: InstallId,
}

/// Cuts the plan's installs into slices, once no open export of the same person needs them.
pub(super) async fn cut(cx: Context<'_>, record: &Record) -> Result<CutOutcome, StageError> {
    if let Some(export) = overlapping_export(cx, record).await? {
        return Ok(CutOutcome::Wait {
            until: cx.after(LOOK.min(cx.app.config.limits.retry_longest)),
            reason: format!(
                "an export of the same person is open (request {export}); the erasure waits for it"
            ),
        });
    }
    let (plan, _bytes) = read_plan(cx, record).await?;
    let also = record.also();
    let items = plan
        .installs
        .into_iter()
        .filter(|it| Plan::acts(it.action, &it.id, also))
        .map(|it| BlockItem {
            id: it.id,
            app: it.app,
            install: it.install_id,
        });
    slices(items, cx.app.config.limits.slice_items)
}

/// Cuts items into slices of a size.
pub(super) fn slices<T: Serialize>(
    items: impl Iterator<Item = T>,
    size: usize,
) -> Result<CutOutcome, StageError> {
    slices_of_work(items.map(Work::new), size)
}

/// The same with what is known of each.
pub(super) fn slices_of_work<T: Serialize>(
    items: impl Iterator<Item = Work<T>>,
    size: usize,
) -> Result<CutOutcome, StageError> {
    let mut cut = Cut::default();
    let mut items = items.peekable();
    while items.peek().is_some() {
        let items: Vec<Work<T>> = items.by_ref().take(size.max(1)).collect();
        let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
        let body = serde_json::to_value(Items { items })
            .map_err(|_error| StageError::permanent("a slice cannot be stored"))?;
        cut.slices.push(SliceInput { items: count, body });
    }
    Ok(CutOutcome::Cut(cut))
}

/// An open export that shares an app and an identifier with this erasure.
async fn overlapping_export(
    cx: Context<'_>,
    record: &Record,
) -> Result<Option<RequestId>, StageError> {
    let Some(subject) = &record.subject else {
        return Ok(None);
    };
    let mut listing = cx.app.store.container().list(names::OPEN);
    while let Some(page) = listing.next_page().await.map_err(Error::from)? {
        for entry in page {
            let id = entry.name.strip_prefix(names::OPEN).unwrap_or_default();
            let Ok(id) = id.parse::<RequestId>() else {
                continue;
            };
            if id == record.id {
                continue;
            }
            let other = match cx.app.store.record(&id).await {
                Ok(Some(loaded)) => loaded.record,
                Ok(None) => continue,
                // Nobody can work on it any more: it does not stop the others.
                Err(error @ Error::Corrupt { .. }) => {
                    tracing::error!(request = %id, "not waited for: {error}");
                    continue;
                }
                Err(Error::Newer { .. }) if may_overlap(cx, &id, record, subject).await? => {
                    return Ok(Some(id));
                }
                Err(Error::Newer { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let overlaps = other.kind == Kind::Export
                && !other.status.is_ended()
                && other.apps.iter().any(|app| record.apps.contains(app))
                && other
                    .subject
                    .as_ref()
                    .is_some_and(|it| it.overlaps(subject));
            if overlaps {
                return Ok(Some(id));
            }
        }
    }
    Ok(None)
}

/// Whether a request of a newer version may be such an export, by what can still be read of it: its own version works
/// on it, and what is erased before it has ended is gone.
async fn may_overlap(
    cx: Context<'_>,
    id: &RequestId,
    record: &Record,
    subject: &Subject,
) -> Result<bool, Error> {
    let name = names::record(id);
    let read = cx.app.store.read_json::<Value>(&name, "a record").await?;
    let Some((mut newer, _etag)) = read else {
        return Ok(false);
    };
    let mut part = |key: &str| newer.get_mut(key).map(Value::take).unwrap_or_default();
    let is_other = |it: &AppRef| !record.apps.contains(it);
    let is_erasure = matches!(serde_json::from_value(part("kind")), Ok(Kind::Delete));
    let is_ended = serde_json::from_value(part("status")).is_ok_and(Status::is_ended);
    let is_elsewhere = serde_json::from_value::<Vec<AppRef>>(part("apps"))
        .is_ok_and(|apps| apps.iter().all(is_other));
    let is_somebody_else = serde_json::from_value::<Subject>(part("subject"))
        .is_ok_and(|other| other.texts().next().is_some() && !other.overlaps(subject));
    Ok(!(is_erasure || is_ended || is_elsewhere || is_somebody_else))
}

/// Blocks the installs of one slice.
pub(super) async fn run(
    cx: Context<'_>,
    record: &Record,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    let setups = &setup::load(cx.app, record).await?;
    let client = cx.app.app_center()?;
    let gate = StepGate::new(cx, slice);
    let gate = &gate;
    acting::act(cx, slice, |item: BlockItem, _earlier| async move {
        if setup::is_retired(cx.app, setups, &item.app) {
            return Err(setup::retired().into());
        }
        // Blocking twice is blocking once.
        match client.block_install(&item.app, item.install, gate).await {
            Ok(()) => Ok((Fate::Done, None)),
            Err(appcenter::Error::NotFound(_)) => Err(not_known(client, &item.app).await.into()),
            Err(error) => Err(error.into()),
        }
    })
    .await
}
