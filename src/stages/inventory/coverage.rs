//! What the lists say of how far the data goes back.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::{Inventory, Summary};
use crate::domain::plan::{ApiCoverage, Coverage, Gap, Unreadable};
use crate::stages::acting::{Fate, Items};
use crate::stages::collect::CollectItem;
use crate::stages::setup::AppSetup;
use crate::stages::{Context, StageError};
use crate::workflow::{Record, Step};

/// Reports that could not be fetched are named up to this many.
const MAX_NAMED: usize = 1000;
/// Days that the API was seen to reach back, whatever the retention setting says.
const REACH: std::ops::RangeInclusive<i32> = 26..=29;

/// Adds what was listed of each app to what is said of it.
pub fn add(
    all: &mut BTreeMap<String, Coverage>,
    setups: &[AppSetup],
    inventories: &[Inventory],
    now: Timestamp,
) {
    for inventory in inventories {
        let Some(app) = &inventory.app else { continue };
        let Some(coverage) = all.get_mut(&app.to_string()) else {
            continue;
        };
        coverage.notes.extend(inventory.exceptions.iter().cloned());
        let summary = &inventory.summary;
        if summary.is_limited {
            coverage.notes.push(
                "App Center says that its legacy list of crash groups is not whole".to_owned(),
            );
        }
        let oldest = summary.oldest.map(utc_day);
        coverage.api = Some(ApiCoverage {
            groups: summary.groups,
            listed: summary.reports,
            oldest,
            ..ApiCoverage::default()
        });
        let setup = setups.iter().find(|setup| setup.app.as_ref() == Some(app));
        let days = setup.and_then(|setup| setup.retention_days);
        let (true, Some(days)) = (inventory.by_api, days) else {
            continue;
        };
        let Some(oldest) = oldest else {
            let text = "App Center lists no report of this app at all";
            coverage.notes.push(text.to_owned());
            continue;
        };
        let from = utc_day(now).saturating_sub(i64::from(days).days());
        if oldest <= from.saturating_add(1.days()) {
            continue;
        }
        match evidence(summary, coverage, (from, oldest), utc_day(now), days) {
            Some(evidence) => coverage.gaps.push(Gap {
                from,
                to: oldest.yesterday().unwrap_or(oldest),
                evidence: format!(
                    "the app retains {days} days, but App Center lists no report before {oldest}, although {evidence}"
                ),
            }),
            None => coverage.notes.push(format!(
                "the oldest report that App Center lists is of {oldest}; the app retains {days} days"
            )),
        }
    }
}

/// Adds how many of the listed reports were fetched, and which could not be.
///
/// # Errors
/// When stored state cannot be read.
pub async fn add_fetched(
    cx: Context<'_>,
    record: &Record,
    list: Step,
    all: &mut BTreeMap<String, Coverage>,
) -> Result<(), StageError> {
    let step = if list == Step::Relist {
        Step::Regather
    } else {
        Step::Gather
    };
    let Some(state) = record.steps.get(&step) else {
        return Ok(());
    };
    let store = &cx.app.store;
    let mut failed: BTreeMap<String, u64> = BTreeMap::new();
    let root = store.cut_of(record, step).await?;
    // Only slices that failed are worth a look, and most requests have none.
    let slices = root
        .filter(|_| state.failed > 0)
        .map_or(0, |root| root.slices);
    for number in 0..slices {
        let slice = store.slice(&record.id, record.run, step, number).await?;
        let items: Items<CollectItem> = slice.body()?;
        for work in items.items {
            let Some(Fate::Failed(reason)) = work.fate else {
                continue;
            };
            let app = work.item.app.to_string();
            *failed.entry(app.clone()).or_default() += 1;
            if let Some(coverage) = all.get_mut(&app)
                && coverage.unreadable.len() < MAX_NAMED
            {
                coverage.unreadable.push(Unreadable {
                    blob: format!("the report {} by API", work.item.error),
                    reason,
                });
            }
        }
    }
    for (app, coverage) in all {
        if let Some(api) = &mut coverage.api {
            api.failed = failed.get(app).copied().unwrap_or(0);
        }
    }
    Ok(())
}

/// What shows that there were reports before the oldest one that is listed.
fn evidence(
    summary: &Summary,
    coverage: &Coverage,
    (from, oldest): (Date, Date),
    today: Date,
    days: u32,
) -> Option<String> {
    // What was made before that time is retained no more, and says nothing of it.
    let first = summary.first_occurrence.map(utc_day);
    if let Some(first) = first.filter(|first| (from..oldest).contains(first)) {
        return Some(format!(
            "a group says that its first one was made on {first}"
        ));
    }
    // What the archive has of those days is searched there; where it has a hole, the API has not filled it.
    let is_hole = |gap: &Gap| gap.from < oldest && gap.to >= from;
    let archive_from = coverage.first_day.filter(|first| *first < oldest);
    if let Some(first) = archive_from
        && coverage.gaps.iter().any(is_hole)
    {
        return Some(format!("the archive has data of {first}"));
    }
    let age = (today - oldest).get_days();
    (REACH.contains(&age) && days > 29)
        .then(|| "the API is known to reach 27 to 28 days whatever the setting".to_owned())
}

fn utc_day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AppRef;

    fn check(days: u32, oldest: Option<&str>, first: Option<&str>) -> (usize, usize) {
        check_with(days, oldest, first, Coverage::default())
    }

    /// How many more gaps and notes there are of an app whose archive is covered like this.
    fn check_with(
        days: u32,
        oldest: Option<&str>,
        first: Option<&str>,
        coverage: Coverage,
    ) -> (usize, usize) {
        let before = coverage.gaps.len();
        let app = AppRef::new("contoso", "shop").expect("valid");
        let day = |text: &str| format!("{text}T10:00:00Z").parse().expect("a time");
        let setup = AppSetup {
            app: Some(app.clone()),
            retention_days: Some(days),
            ..AppSetup::default()
        };
        let inventory = Inventory {
            app: Some(app.clone()),
            by_api: true,
            summary: Summary {
                oldest: oldest.map(day),
                first_occurrence: first.map(day),
                ..Summary::default()
            },
            ..Inventory::default()
        };
        let mut all = BTreeMap::from([(app.to_string(), coverage)]);
        add(&mut all, &[setup], &[inventory], day("2026-11-20"));
        let coverage = &all["contoso/shop"];
        (coverage.gaps.len() - before, coverage.notes.len())
    }

    #[test]
    fn a_shortfall_is_a_gap_where_something_shows_that_there_was_more() {
        let day = Some;
        // The API reaches 28 days, the setting says 90.
        assert_eq!(check(90, day("2026-10-24"), None), (1, 0));
        assert_eq!(check(90, day("2026-11-10"), day("2026-09-01")), (1, 0));
        // Nothing says that this app had reports before, of those that are retained.
        assert_eq!(check(90, day("2026-11-10"), day("2026-11-10")), (0, 1));
        assert_eq!(check(90, day("2026-11-10"), day("2026-08-01")), (0, 1));
        assert_eq!(check(28, day("2026-10-24"), None), (0, 0));
        assert_eq!(check(90, day("2026-08-22"), None), (0, 0));
        // An archive that has those days is no evidence, one with a hole among them is.
        let mut archive = Coverage {
            first_day: Some("2025-01-01".parse().expect("a day")),
            ..Coverage::default()
        };
        let of = |archive: &Coverage| check_with(90, day("2026-11-10"), None, archive.clone());
        assert_eq!(of(&archive), (0, 1));
        for (from, to, expected) in [
            ("2025-03-01", "2025-03-02", (0, 1)),
            ("2026-10-01", "2026-10-02", (1, 0)),
        ] {
            archive.gaps = vec![Gap {
                from: from.parse().expect("a day"),
                to: to.parse().expect("a day"),
                evidence: String::new(),
            }];
            assert_eq!(of(&archive), expected, "{from}");
        }
        // Nothing is listed.
        assert_eq!(check(90, None, None), (0, 1));
    }
}
