//! The person's log rows: which of them an export hands out, and which archive blobs hold copies after an erasure.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;

use crate::domain::hit::{Hit, Stream};
use crate::domain::plan::{Action, Plan};
use crate::domain::{AppRef, InstallId, Kind};
use crate::report::LogCopies;
use crate::stages::install_id_resolve::hits::{self, Day};
use crate::stages::{Context, StageError};
use crate::workflow::{Record, Step};

/// The passes whose hits count.
pub(super) const PASSES: [Step; 3] = [Step::Find, Step::Link, Step::Widen];

/// What is known of the person's rows.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Archive blobs that hold some, of an erasure.
    pub(super) copies: Vec<LogCopies>,
    /// The time of the last one.
    pub(super) last: Option<Timestamp>,
}

/// Decides which rows are the person's, as the plan does: those of installs that are acted on, and elsewhere those that
/// name the person by themselves.
#[derive(Debug)]
pub(super) struct RowFilter {
    installs: BTreeSet<(AppRef, InstallId)>,
    window: Option<crate::domain::Window>,
    seen: HashSet<String>,
    /// Records that a pass found to name the person, so that a later pass does not count them for less.
    named: HashSet<(String, u64)>,
}

impl RowFilter {
    pub(super) fn new(plan: &Plan, record: &Record) -> Self {
        let also = record.also();
        Self {
            installs: plan
                .installs
                .iter()
                .filter(|it| Plan::acts(it.action, &it.id, also))
                .map(|it| (it.app.clone(), it.install_id))
                .collect(),
            window: record.window,
            seen: HashSet::new(),
            named: HashSet::new(),
        }
    }

    /// Whether a hit is a log row of the person that was not taken before.
    pub(super) fn takes(&mut self, app: &AppRef, hit: &Hit) -> bool {
        if !matches!(Stream::of(&hit.blob), Stream::Logs | Stream::Other) {
            return false;
        }
        if let (Some(window), Some(at)) = (self.window, hit.at)
            && !window.contains(at)
        {
            return false;
        }
        let place = (hit.blob.clone(), hit.record);
        let names_person = hit.reasons.iter().any(|reason| reason.names_the_person());
        if names_person {
            self.named.insert(place.clone());
        }
        let is_theirs = hit
            .install
            .is_some_and(|install| self.installs.contains(&(app.clone(), install)));
        let is_taken = is_theirs || names_person || self.named.contains(&place);
        is_taken && self.seen.insert(key(hit))
    }
}

/// What makes a row the same row in another blob.
fn key(hit: &Hit) -> String {
    match &hit.message_id {
        Some(id) => format!("m{id}"),
        None => format!("{}#{}", hit.blob, hit.record),
    }
}

/// The days of every pass of the run, in order.
pub(super) async fn days(cx: Context<'_>, record: &Record) -> Result<Vec<(Step, Day)>, StageError> {
    let mut all = Vec::new();
    for step in PASSES {
        if record.steps.contains_key(&step) {
            let days = hits::days(cx.app, record, step).await?;
            all.extend(days.into_iter().map(|day| (step, day)));
        }
    }
    Ok(all)
}

/// Looks at every row of the person.
pub(super) async fn survey(
    cx: Context<'_>,
    record: &Record,
    plan: &Plan,
) -> Result<Survey, StageError> {
    let mut survey = Survey::default();
    if record.kind == Kind::Export || plan.rows.iter().all(|it| it.action == Action::Hold) {
        return Ok(survey);
    }
    let mut filter = RowFilter::new(plan, record);
    let mut copies: BTreeMap<(AppRef, String), u64> = BTreeMap::new();
    for (step, day) in days(cx, record).await? {
        hits::each(cx.app, record, step, &day, |stored| {
            let hit = &stored.hit;
            if filter.takes(&day.app, hit) {
                survey.last = survey.last.max(hit.at);
                *copies
                    .entry((day.app.clone(), hit.blob.clone()))
                    .or_default() += 1;
            }
            Ok::<(), StageError>(())
        })
        .await?;
    }
    survey.copies = copies
        .into_iter()
        .map(|((app, blob), records)| LogCopies { app, blob, records })
        .collect();
    Ok(survey)
}
