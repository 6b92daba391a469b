//! `sweep`: make the queues that are missing, move on what stands still, drain poison queues, remove what is kept no longer.
//!
//! It looks at stored state only, and names what is to be woken; the host adapter sends the messages.

mod poison;
mod retention;

use jiff::Timestamp;

use super::blob_search;
use super::{Context, StageError};
use crate::domain::RequestId;
use crate::work::{Error, names};
use crate::workflow::join::{Bin, CUT};
use crate::workflow::transition::wake;
use crate::workflow::{Message, Record, Status, Step};

/// How long a mark may stand without a record: between the two writes of an intake.
const ORPHAN: std::time::Duration = std::time::Duration::from_secs(3600);

/// From so many days before it on a due date is spoken of.
const DUE_SOON: i64 = 7;

/// What a sweep found to do.
#[derive(Debug, Default)]
pub struct Swept {
    /// Messages to send.
    pub messages: Vec<Message>,
    /// Requests that are stored and were never started.
    pub start: Vec<(RequestId, u32)>,
    /// Slices to end, with the reason: their messages came back as poison too often.
    pub give_up: Vec<(RequestId, u32, Step, Option<u32>, String)>,
    /// Open requests that are due within a week, or overdue, with the days that are left.
    pub due_soon: Vec<(RequestId, i64)>,
    /// Poison messages seen.
    pub poison: usize,
}

/// Looks at everything that is open, at the poison queues, and (now and then) at what is kept too long.
///
/// # Errors
/// When stored state cannot be read or written; what is left is for the next sweep.
pub async fn run(cx: Context<'_>) -> Result<Swept, Error> {
    let mut swept = Swept::default();
    if let Err(error) = cx.app.store.prepare().await {
        // Where the deployment made them, the identity need not be allowed to.
        tracing::warn!("the work container or a queue could not be made: {error}");
    }
    let mut listing = cx.app.store.container().list(names::OPEN);
    while let Some(page) = listing.next_page().await? {
        for entry in page {
            let id = entry.name.strip_prefix(names::OPEN).unwrap_or_default();
            let Ok(id) = id.parse::<RequestId>() else {
                continue;
            };
            match one(cx, &id, entry.last_modified, &mut swept).await {
                // One request that cannot be read does not stop the others.
                Err(error @ (Error::Corrupt { .. } | Error::Newer { .. })) => {
                    tracing::error!(request = %id, "left as it is: {error}");
                }
                other => other?,
            }
        }
    }
    poison::drain(cx, &mut swept).await?;
    retention::run(cx).await?;
    Ok(swept)
}

async fn one(
    cx: Context<'_>,
    id: &RequestId,
    marked_at: Timestamp,
    swept: &mut Swept,
) -> Result<(), Error> {
    let Some(loaded) = cx.app.store.record(id).await? else {
        if cx.now().duration_since(marked_at).unsigned_abs() > ORPHAN {
            cx.app.store.delete(&names::open(id), "a mark").await?;
        }
        return Ok(());
    };
    let record = loaded.record;
    if record.status.is_ended() {
        return close(cx, &record).await;
    }
    let days_left = crate::domain::due::days_left(record.due(), cx.now());
    if days_left <= DUE_SOON {
        tracing::warn!(request = %id, days_left, status = record.status.name(), "is due soon");
        swept.due_soon.push((id.clone(), days_left));
    }
    let idle = |since: Timestamp| cx.now().duration_since(since);
    let stalled = cx.app.config.limits.stalled;
    if record.status == Status::Received {
        if idle(record.created_at).unsigned_abs() >= stalled {
            swept.start.push((record.id, record.run));
        }
        return Ok(());
    }
    let Some(step) = record.step.filter(|step| step.function().is_some()) else {
        return Ok(());
    };
    let moved = last_move(cx, &record, step).await?;
    if idle(moved).is_positive() && idle(moved).unsigned_abs() >= stalled {
        tracing::warn!(request = %id, step = step.name(), "stood still; it is woken");
        swept.messages.extend(wake(&record));
    }
    Ok(())
}

/// When a step moved last, or will: the time until which a slice waits counts as a move.
async fn last_move(cx: Context<'_>, record: &Record, step: Step) -> Result<Timestamp, Error> {
    let store = &cx.app.store;
    let mut last = record.updated_at;
    let root = store.root(&record.id, record.run, step).await?;
    let prefix = names::of_step(&record.id, record.run, step, "bins/");
    let mut listing = store.container().list(&prefix);
    while let Some(page) = listing.next_page().await? {
        for entry in page {
            last = last.max(entry.last_modified);
        }
    }
    let bins: Vec<u32> = match root {
        Some(root) => {
            let bins = 0..root.bin_count();
            bins.filter(|bin| !root.bins.contains_key(bin)).collect()
        }
        // Cutting it waits, perhaps for days: woken each time, it would send one more message for ever.
        None => vec![Bin::of(CUT)],
    };
    for bin in bins {
        let (marks, _etag) = store.bin(&record.id, record.run, step, bin).await?;
        let waits = marks.marks.values().filter(|mark| !mark.over);
        last = waits
            .filter_map(|mark| mark.until)
            .fold(last, Timestamp::max);
    }
    Ok(last)
}

/// Removes what is needed only while a request is open, the mark last: until then it can be repeated.
///
/// # Errors
/// When something cannot be deleted.
pub async fn close(cx: Context<'_>, record: &Record) -> Result<(), Error> {
    let store = &cx.app.store;
    if record.approval.is_some() && record.report_sha256.is_none() {
        match Box::pin(super::aggregate::report_ended(cx, record)).await {
            Err(StageError::Work(error)) => return Err(error),
            Err(error) => {
                tracing::error!(request = %record.id, "no report of what was done: {error}");
            }
            Ok(()) => {}
        }
    }
    if !record.left.is_empty()
        && let Err(error) = Box::pin(super::aggregate::report_left(cx, record)).await
    {
        match error {
            StageError::Work(error) => return Err(error),
            error => tracing::error!(request = %record.id, "no report of an earlier run: {error}"),
        }
    }
    // The record may have been opened again by a retry, whose work must stay.
    let is_ended = |loaded: Option<crate::work::Loaded>| {
        loaded
            .is_none_or(|loaded| loaded.record.status.is_ended() && loaded.record.run == record.run)
    };
    if !is_ended(store.record(&record.id).await?) {
        return Ok(());
    }
    for step in Step::ALL.into_iter().filter(|step| step.is_search()) {
        if let Err(StageError::Work(error)) = blob_search::unmark(cx, record, step).await {
            return Err(error);
        }
    }
    // A retry may begin the next run at any time: only what belongs to this run and those before it goes.
    for run in 1..=record.run {
        let prefix = names::run_prefix(&record.id, run);
        store.delete_under(&prefix, "finished work").await?;
    }
    store
        .delete_under(&names::poison_prefix(&record.id), "a count")
        .await?;
    if is_ended(store.record(&record.id).await?) {
        store.delete(&names::open(&record.id), "a mark").await?;
    }
    Ok(())
}
