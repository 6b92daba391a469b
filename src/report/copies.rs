//! What an erasure cannot reach: copies in the archive, log rows in App Center.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::compose::Inputs;
use super::item::{Item, Outcome};
use super::{AgeingRows, ResidualCopy, archive};
use crate::domain::AppRef;
use crate::domain::hit::Stream;
use crate::domain::plan::Plan;

/// How long App Center keeps raw analytics.
const ANALYTICS: SignedDuration = SignedDuration::from_hours(28 * 24);
/// Residual copies that are named; more are summed up.
const MAX_RESIDUAL: usize = 100_000;

/// The archive's copies of what is acted on, and of what leads nowhere.
pub(super) fn residual(plan: &Plan, inputs: &Inputs<'_>, rows: &[Item]) -> Vec<ResidualCopy> {
    let mut blobs: BTreeMap<(&AppRef, &str), u64> = BTreeMap::new();
    let acted = plan
        .reports
        .iter()
        .filter(|it| Plan::acts(it.action, &it.id, inputs.record.also()));
    for report in acted {
        for blob in &report.blobs {
            *blobs.entry((&report.app, blob)).or_default() += 1;
        }
    }
    for loose in plan.unattributed.iter().filter(|it| !it.blob.is_empty()) {
        *blobs.entry((&loose.app, &loose.blob)).or_default() += 1;
    }
    let mut named_rows: BTreeMap<&AppRef, u64> = BTreeMap::new();
    for copy in inputs.log_copies {
        *blobs.entry((&copy.app, &copy.blob)).or_default() += copy.records;
        *named_rows.entry(&copy.app).or_default() += copy.records;
    }
    let copies = blobs
        .into_iter()
        .map(|((app, blob), records)| ResidualCopy {
            app: app.clone(),
            stream: Stream::of(blob),
            blob: Some(blob.to_owned()),
            blobs: 1,
            records,
        });
    // Rows that the plan counts and no blob was named for.
    let mut counted: BTreeMap<&AppRef, u64> = BTreeMap::new();
    for item in rows.iter().filter(|item| item.outcome != Outcome::Held) {
        *counted.entry(&item.app).or_default() += item.rows.unwrap_or(0);
    }
    let unnamed = counted.into_iter().filter_map(|(app, n)| {
        let records = n.saturating_sub(named_rows.get(app).copied().unwrap_or(0));
        (records > 0).then(|| ResidualCopy {
            app: app.clone(),
            stream: Stream::Logs,
            blob: None,
            blobs: 0,
            records,
        })
    });
    archive::bounded(copies.chain(unnamed).collect(), MAX_RESIDUAL)
}

/// Log rows in App Center: no call deletes them, and it keeps them 28 days.
pub(super) fn ageing(rows: &[Item], inputs: &Inputs<'_>) -> Option<AgeingRows> {
    let acted = rows.iter().filter(|item| item.outcome == Outcome::AgesOut);
    let rows: u64 = acted.map(|item| item.rows.unwrap_or(0)).sum();
    let from = inputs.last_row.unwrap_or(inputs.concluded_at);
    (rows > 0).then(|| AgeingRows {
        rows,
        gone_by: gone_by(from),
        from_last_row: inputs.last_row.is_some(),
    })
}

/// The day by whose end App Center keeps no log row of a time or before.
pub(super) fn gone_by(from: Timestamp) -> Date {
    let end = from.checked_add(ANALYTICS).unwrap_or(Timestamp::MAX);
    end.to_zoned(TimeZone::UTC).date()
}
