//! From the search after the block to the list of what arrived meanwhile. It is listed, not acted on: `retry` plans anew.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::found;
use crate::domain::{AppRef, ErrorId, Include, InstallId};
use crate::stages::planned::read_plan;
use crate::stages::{Context, Outcome, StageError, inventory, setup};
use crate::work::{Slice, SliceEnd};
use crate::workflow::{Record, Step};

/// Arrivals that are named; more are counted.
const MAX_NAMED: usize = 1000;

/// What the search after the block found that the plan does not hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Arrivals {
    /// Reports, named up to a limit.
    #[serde(default)]
    pub reports: Vec<ArrivedReport>,
    /// Installs.
    #[serde(default)]
    pub installs: Vec<(AppRef, InstallId)>,
    /// How many reports and installs there are in all.
    #[serde(default)]
    pub total: u64,
    /// Why the search could not be used, if it could not.
    #[serde(default)]
    pub failed: Option<String>,
}

/// A report that arrived after the plan was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArrivedReport {
    /// Its app.
    pub app: AppRef,
    /// Its ID, if it tells.
    pub error_id: Option<ErrorId>,
    /// The archive blobs that hold it.
    pub blobs: Vec<String>,
}

/// Compares the search after the block with the plan.
pub(crate) async fn run(
    cx: Context<'_>,
    record: &Record,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    let setups = setup::load(cx.app, record).await?;
    let (plan, _bytes) = read_plan(cx, record).await?;
    let given = record
        .subject
        .as_ref()
        .map(|subject| subject.install_ids.clone())
        .unwrap_or_default();
    let found = found(cx, record, &setups, &[Step::Recheck], &given).await?;
    let known_blobs: HashSet<&String> = plan
        .reports
        .iter()
        .flat_map(|known| &known.blobs)
        .chain(plan.unattributed.iter().map(|known| &known.blob))
        .collect();
    let known_reports: HashSet<(&AppRef, &ErrorId)> = plan
        .reports
        .iter()
        .map(|known| (&known.app, &known.error_id))
        .collect();
    let known_installs: HashSet<(&AppRef, InstallId)> = plan
        .installs
        .iter()
        .map(|known| (&known.app, known.install_id))
        .collect();
    let unread: usize = found
        .coverage
        .values()
        .map(|coverage| coverage.unreadable.len() + coverage.not_searched.len())
        .sum();
    let relisted = inventory::load(cx, record, Step::Relist).await?;
    let is_unlisted = relisted.iter().any(|it| !it.is_whole());
    let unread = (unread > 0)
        .then(|| format!("{unread} days, blobs or parts could not be searched after the block"));
    let unlisted = is_unlisted
        .then(|| "crashes and errors could not all be listed by API after the block".to_owned());
    let mut arrivals = Arrivals {
        failed: unread.or(unlisted),
        ..Arrivals::default()
    };
    let known_guids: HashSet<uuid::Uuid> = plan
        .reports
        .iter()
        .filter_map(|known| known.error_id.guid())
        .collect();
    let mut arrived_guids = HashSet::new();
    // What the request did not ask for is in no plan, and has not arrived after one.
    let diagnostics = record.include.contains(&Include::Diagnostics);
    let is_of_people = diagnostics || record.include.contains(&Include::Analytics);
    for (app, mut findings) in found.apps {
        if !diagnostics {
            findings.reports.clear();
        }
        if !is_of_people {
            findings.installs.clear();
        }
        for report in findings.reports.values() {
            let is_known = report.error_id.as_ref().is_some_and(|id| {
                known_reports.contains(&(&app, id))
                    || id.guid().is_some_and(|guid| {
                        // In a shared folder another app of the request may have told of it already.
                        known_guids.contains(&guid) || !arrived_guids.insert(guid)
                    })
            }) || report.blobs.iter().any(|blob| known_blobs.contains(blob));
            if is_known {
                continue;
            }
            arrivals.total += 1;
            if arrivals.reports.len() < MAX_NAMED {
                arrivals.reports.push(ArrivedReport {
                    app: app.clone(),
                    error_id: report.error_id.clone(),
                    blobs: report.blobs.iter().cloned().collect(),
                });
            }
        }
        for (id, install) in &findings.installs {
            let is_known = known_installs.contains(&(&app, *id));
            if !is_known && install.named.exact {
                arrivals.total += 1;
                if arrivals.installs.len() < MAX_NAMED {
                    arrivals.installs.push((app.clone(), *id));
                }
            }
        }
    }
    slice.set_body(&arrivals)?;
    Ok(Outcome::Over(SliceEnd {
        done: 1,
        ..SliceEnd::default()
    }))
}

/// Reads what arrived.
///
/// # Errors
/// When it cannot be read.
pub async fn load(cx: Context<'_>, record: &Record) -> Result<Arrivals, StageError> {
    let slice = cx
        .app
        .store
        .slice(&record.id, record.run, Step::Settle, 0)
        .await?;
    Ok(slice.body()?)
}

/// Goes on without the comparison: the report says so.
pub(crate) fn give_up(slice: &mut Slice, reason: &str) -> Result<SliceEnd, StageError> {
    slice.set_body(&Arrivals {
        failed: Some(reason.to_owned()),
        ..Arrivals::default()
    })?;
    Ok(SliceEnd {
        failed: 1,
        ..SliceEnd::default()
    })
}
