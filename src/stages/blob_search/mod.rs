//! `blob-search`: one app and day of the archive a message, for every request that waits for it.
//!
//! Requests wait by a mark under their apps. A pass reads the marks, searches the day's blobs once for all of them, and
//! gives each its own hits. A request that arrives while a pass runs gets what it missed in the next: a day is claimed, so
//! that messages for it that come together make one pass.

mod abreast;
mod claim;
mod coming;
mod days;
mod failure;
mod folders;
mod here;
mod index;
mod marks;
mod needles;
mod observe;
mod pages;
mod pass;
mod progress;
mod reading;
mod scan;
mod seat;
#[cfg(test)]
mod tests;

pub use claim::{Claim, LOOK_AGAIN, claim};
pub use days::{AppDays, Memo};
pub use failure::{count_failure, waiting_slices};
pub use needles::{Needles, load as load_needles};
pub use pass::{DayPass, has_newcomers, is_over, search_day};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{Context, CutOutcome, StageError, setup};
use crate::domain::plan::Unreadable;
use crate::storage::ETag;
use crate::work::{Cut, Slice, SliceEnd, SliceInput};
use crate::workflow::{Record, Step};

/// How long before a search's start a blob may have been written and still be new to it: clocks differ, exports lag.
const RECHECK_MARGIN: std::time::Duration = std::time::Duration::from_secs(600);

/// What the search of one app and day, for one request, came to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DayResult {
    /// The last blob that is done, if the day is not.
    #[serde(default)]
    pub resume_after: Option<String>,
    /// What it missed of the pass that it joined, if that is not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missed: Option<Missed>,
    /// How far the next blob is taken, if a pass saved itself within it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
    /// Blobs of hits, by name. Names are never used twice: a pass that lost its slice to another writes nothing that the
    /// other counts on.
    #[serde(default)]
    pub parts: Vec<String>,
    /// Hits in them.
    #[serde(default)]
    pub hits: u64,
    /// Blobs read, by stream.
    #[serde(default)]
    pub blobs: BTreeMap<String, u64>,
    /// Blobs of these that an index spared: it knows that they hold nobody.
    #[serde(default, skip_serializing_if = "is_none")]
    pub passed_over: u64,
    /// Records read, or known to be there.
    #[serde(default)]
    pub records: u64,
    /// Bytes read.
    #[serde(default)]
    pub bytes: u64,
    /// Reports in the app's own folder.
    #[serde(default)]
    pub reports: u64,
    /// Reports in the folder that apps may share which say that they are the app's.
    #[serde(default)]
    pub shared_reports: u64,
    /// Reports of which a row in that folder says so.
    #[serde(default)]
    pub shared_report_rows: u64,
    /// Blobs that could not be read.
    #[serde(default)]
    pub unreadable: Vec<Unreadable>,
    /// Parts that were not searched.
    #[serde(default)]
    pub not_searched: Vec<Unreadable>,
    /// Hits of apps that the request does not name.
    #[serde(default)]
    pub foreign: u64,
    /// Why the day was given up, if it was.
    #[serde(default)]
    pub failed: Option<String>,
}

/// The beginning of a day that was over when a request joined a pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// The last blob of it, by its place in the day's order.
    pub up_to: String,
    /// Whether it is searched now; first comes what lies behind it.
    pub is_next: bool,
}

/// How far a blob is taken whose end no pass has seen yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    /// Which, by its place in the day's order.
    pub place: String,
    /// Its version. Of another one nothing counts that was taken before.
    pub etag: ETag,
    /// What was found in the records before this one is taken.
    pub record: u64,
    /// How many of the parts are of blobs before it.
    pub parts: usize,
    /// How many of the hits are.
    pub hits: u64,
    /// How many of the hits of other apps are.
    pub foreign: u64,
    /// Passes whose time was over before its end.
    pub tries: u32,
}

impl DayResult {
    /// Reports of the app. Where apps may share a folder, a report counts by its own word or by its row's; one of which
    /// nothing tells the app is of none.
    #[must_use]
    pub fn own_reports(&self) -> u64 {
        self.reports + self.shared_reports.max(self.shared_report_rows)
    }
}

/// Cuts a search into one slice per app and day with data, and marks the request as waiting for them.
pub(super) async fn cut(
    cx: Context<'_>,
    record: &Record,
    step: Step,
) -> Result<CutOutcome, StageError> {
    let setups = setup::load(cx.app, record).await?;
    if step == Step::Recheck {
        needles::prepare_recheck(cx, record).await?;
    }
    let memo = match step {
        // What the first pass found is looked up in the same days that it searched.
        Step::Link | Step::Widen => {
            let root = cx.app.store.cut_of(record, Step::Find).await?;
            let memo = root.map(|root| Memo::deserialize(&root.memo).unwrap_or_default());
            memo.ok_or_else(|| StageError::permanent("the first pass was not stored"))?
        }
        _ => days::discover(cx, &setups).await?,
    };
    let since = match step {
        Step::Recheck => Some(
            search_began(record)
                .saturating_sub(RECHECK_MARGIN)
                .unwrap_or(Timestamp::MIN),
        ),
        _ => None,
    };
    let memo = Memo { since, ..memo };
    if step == Step::Find {
        for days in &memo.apps {
            index::prune(cx, days).await?;
        }
    }
    let slices = (0..memo.slices()).map(|_| SliceInput {
        items: 1,
        ..SliceInput::default()
    });
    Ok(CutOutcome::Cut(Cut {
        slices: slices.collect(),
        memo: serde_json::to_value(&memo)
            .map_err(|_error| StageError::permanent("the days of a search cannot be stored"))?,
        ..Cut::default()
    }))
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// When the first pass of this run began.
fn search_began(record: &Record) -> Timestamp {
    record
        .steps
        .get(&Step::Find)
        .and_then(|state| state.started_at)
        .unwrap_or(record.created_at)
}

/// Marks a request (again) as waiting for days of its apps. It comes before the messages for those days.
///
/// # Errors
/// When a mark cannot be written.
pub async fn mark(cx: Context<'_>, record: &Record, step: Step) -> Result<(), StageError> {
    for app in &record.apps {
        marks::wait(cx.app, app, record, step).await?;
    }
    Ok(())
}

/// Forgets that a step of a request waits for days of its apps. It comes after the request has moved on.
///
/// # Errors
/// When a mark cannot be deleted.
pub async fn unmark(cx: Context<'_>, record: &Record, step: Step) -> Result<(), StageError> {
    for app in &record.apps {
        marks::forget(cx.app, app, &record.id, record.run, step).await?;
    }
    Ok(())
}

/// Ends a day that cannot be searched: the report names it.
///
/// # Errors
/// When its state cannot be read.
pub(super) fn give_up(slice: &mut Slice, reason: &str) -> Result<SliceEnd, StageError> {
    let mut result: DayResult = slice.body()?;
    result.failed = Some(reason.to_owned());
    slice.set_body(&result)?;
    Ok(SliceEnd {
        failed: 1,
        ..SliceEnd::default()
    })
}
