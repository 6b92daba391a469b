//! `inventory`: list every crash and handled error of an app by API.
//!
//! Every app is listed: what the lists say of a report (its user ID) finds reports of the person that the archive does
//! not hold. Of an app whose data is got by API, every report goes into the ledger, from which `collect` fetches.

mod bridge;
mod coverage;
mod listing;
mod matching;

pub use bridge::{Bridge, each as each_bridge};
pub use coverage::{add as add_coverage, add_fetched};

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use self::bridge::Bridges;
use self::matching::Matching;
use super::setup::{self, Path};
use super::{Context, CutOutcome, Outcome, StageError};
use crate::appcenter::Cursor;
use crate::domain::{AppRef, GroupId, RequestId};
use crate::work::{Cut, Slice, SliceEnd, SliceInput, names};
use crate::workflow::{Record, Step};

/// Days that App Center lists at most, by its own documents: 28 or 90.
const MAX_DAYS: u32 = 90;

/// How far the listing of one app is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// The app.
    pub app: Option<AppRef>,
    /// Its ID.
    pub app_id: Option<String>,
    /// Whether its data is got by API, so that every report goes into the ledger.
    #[serde(default)]
    pub by_api: bool,
    /// From when on reports are asked for.
    #[serde(default)]
    pub start: Option<Timestamp>,
    /// What is being listed.
    #[serde(default)]
    pub phase: Phase,
    /// The next page of it.
    #[serde(default)]
    pub cursor: Option<Cursor>,
    /// Groups whose reports are still to be listed.
    #[serde(default)]
    pub pending: Vec<Pending>,
    /// Groups that the current API lists.
    #[serde(default)]
    pub seen: BTreeSet<GroupId>,
    /// What the legacy API calls groups that the current API lists, by their current ID.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub legacy_groups: BTreeMap<GroupId, GroupId>,
    /// Whether the current API is not there, so that the legacy one must do.
    #[serde(default)]
    pub is_legacy_only: bool,
    /// Times in a row that the list at hand answered nonsense.
    #[serde(default)]
    pub stumbles: u32,
    /// What was found so far.
    #[serde(default)]
    pub summary: Summary,
    /// Blobs of hits.
    #[serde(default)]
    pub parts: Vec<String>,
    /// Blobs that say what the legacy API calls the reports that only it lists.
    #[serde(default)]
    pub bridges: Vec<String>,
    /// Why the list is not whole, if it is not.
    #[serde(default)]
    pub exceptions: Vec<String>,
}

impl Inventory {
    /// Whether all was listed that there is.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.phase == Phase::Done && self.exceptions.is_empty()
    }
}

/// What is being listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Groups, by the current API.
    #[default]
    Groups,
    /// Their reports.
    Reports,
    /// Groups, by the legacy API.
    LegacyGroups,
    /// Their reports.
    LegacyReports,
    /// Nothing any more.
    Done,
}

/// A group whose reports are still to be listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The group, as the API that lists it calls it.
    pub group: GroupId,
    /// What the current API calls a legacy group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<GroupId>,
}

/// What a listing found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Groups.
    pub groups: u64,
    /// Reports.
    pub reports: u64,
    /// When the oldest report was made.
    pub oldest: Option<Timestamp>,
    /// When the first report of any group was made, by what the group says.
    pub first_occurrence: Option<Timestamp>,
    /// The service says that its legacy list is not whole.
    pub is_limited: bool,
}

impl Summary {
    fn saw(&mut self, at: Option<Timestamp>) {
        self.reports += 1;
        self.oldest = earlier(self.oldest, at);
    }
}

fn earlier(known: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (known, other) {
        (Some(known), Some(other)) => Some(known.min(other)),
        (known, other) => known.or(other),
    }
}

/// What a listing adds to.
struct Listing<'a> {
    inventory: &'a mut Inventory,
    matching: Matching,
    bridges: Bridges,
}

impl Listing<'_> {
    /// Stores what was listed since the last time; the slice that names it is stored after that.
    async fn store(&mut self, cx: Context<'_>, slice: &Slice) -> Result<(), StageError> {
        let found = self.matching.take();
        store_part(cx, slice, &mut self.inventory.parts, found, names::hits).await?;
        let bridges = self.bridges.take();
        store_part(
            cx,
            slice,
            &mut self.inventory.bridges,
            bridges,
            names::bridges,
        )
        .await
    }
}

/// Stores lines as the next of the `parts`, under a name that is never used twice: a listing that loses its slice to
/// another writes nothing that the other counts on.
async fn store_part(
    cx: Context<'_>,
    slice: &Slice,
    parts: &mut Vec<String>,
    lines: Vec<u8>,
    name: fn(&RequestId, u32, Step, &str) -> String,
) -> Result<(), StageError> {
    if lines.is_empty() {
        return Ok(());
    }
    let unique: u64 = rand::rng().random();
    let number = parts.len();
    let part = format!("{:05}-{number:04}-{unique:016x}", slice.number);
    let name = name(&slice.request, slice.run, slice.step, &part);
    let store = &cx.app.store;
    let kind = "application/jsonl";
    store.put(&name, "what was listed", lines, kind).await?;
    parts.push(part);
    Ok(())
}

/// One slice an app: every app before the search, those whose data is got by API once more after an erasure.
pub(super) async fn cut(
    cx: Context<'_>,
    record: &Record,
    step: Step,
) -> Result<CutOutcome, StageError> {
    let mut cut = Cut::default();
    if cx.app.config.app_center.retired {
        return Ok(CutOutcome::Cut(cut));
    }
    for setup in setup::load(cx.app, record).await? {
        let by_api = setup.path == Path::Api;
        // An app that could not be set up is not asked about again; the report says why.
        if setup.app_id.is_none() || setup.is_unreachable || (step == Step::Relist && !by_api) {
            continue;
        }
        let days = setup.retention_days.unwrap_or(28).min(MAX_DAYS);
        let reach = SignedDuration::from_hours(24 * i64::from(days));
        let inventory = Inventory {
            app: setup.app,
            app_id: setup.app_id,
            by_api,
            start: cx.now().checked_sub(reach).ok(),
            ..Inventory::default()
        };
        let body = serde_json::to_value(inventory)
            .map_err(|_error| StageError::permanent("an app cannot be stored"))?;
        cut.slices.push(SliceInput { items: 1, body });
    }
    Ok(CutOutcome::Cut(cut))
}

/// Lists one app.
pub(super) async fn run(
    cx: Context<'_>,
    record: &Record,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    let mut inventory: Inventory = slice.body()?;
    let Some(app) = inventory.app.clone() else {
        return Err(StageError::permanent("the slice names no app"));
    };
    let mut listing = Listing {
        inventory: &mut inventory,
        matching: Matching::new(record)?,
        bridges: Bridges::default(),
    };
    let listed = listing::list(cx, &app, slice, &mut listing).await;
    // What was listed before an error is not listed again.
    listing.store(cx, slice).await?;
    slice.set_body(&inventory)?;
    match listed {
        Ok(true) => Ok(Outcome::Over(SliceEnd {
            done: 1,
            ..SliceEnd::default()
        })),
        Ok(false) => {
            cx.app.store.save_slice(slice).await?;
            Ok(Outcome::Continue)
        }
        Err(error) => Err(error),
    }
}

/// What a step listed of each app.
///
/// # Errors
/// When it cannot be read.
pub async fn load(
    cx: Context<'_>,
    record: &Record,
    step: Step,
) -> Result<Vec<Inventory>, StageError> {
    let store = &cx.app.store;
    let Some(root) = store.cut_of(record, step).await? else {
        return Ok(Vec::new());
    };
    let mut inventories = Vec::new();
    for number in 0..root.slices {
        let slice = store.slice(&record.id, record.run, step, number).await?;
        inventories.push(slice.body()?);
    }
    Ok(inventories)
}

/// What the legacy API calls a group of the current one, where it lists it.
///
/// # Errors
/// When it cannot be read.
pub async fn legacy_group(
    cx: Context<'_>,
    record: &Record,
    app: &AppRef,
    group: &GroupId,
) -> Result<Option<GroupId>, StageError> {
    let inventories = load(cx, record, Step::Inventory).await?;
    let mut of_app = inventories.into_iter();
    let of_app = of_app.find(|it| it.app.as_ref() == Some(app));
    Ok(of_app.and_then(|mut it| it.legacy_groups.remove(group)))
}

/// Goes on without the rest of a list: the report says so.
pub(super) fn give_up(slice: &mut Slice, reason: &str) -> Result<SliceEnd, StageError> {
    let mut inventory: Inventory = slice.body()?;
    inventory.exceptions.push(format!(
        "crashes and errors could not be listed by API: {reason}"
    ));
    slice.set_body(&inventory)?;
    Ok(SliceEnd {
        failed: 1,
        ..SliceEnd::default()
    })
}
