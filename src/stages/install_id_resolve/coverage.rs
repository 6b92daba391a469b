//! What was searched, and which gaps the evidence shows. Pure.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use super::hits::Day;
use crate::domain::plan::{Coverage, Gap, Unreadable};
use crate::stages::setup::AppSetup;
use crate::workflow::Step;

/// Unreadable blobs that are named for an app.
const MAX_NAMED: usize = 1000;
/// Days before its creation for which a new export configuration writes data.
const BACKFILL_DAYS: i64 = 28;

/// Sums up the days of each app (by `owner/name`).
#[must_use]
pub fn of(setups: &[AppSetup], days: &[Day], now: Timestamp) -> BTreeMap<String, Coverage> {
    let mut all = BTreeMap::new();
    for setup in setups {
        let Some(app) = &setup.app else { continue };
        let mut coverage = Coverage {
            notes: setup.notes.clone(),
            ..Coverage::default()
        };
        coverage.notes.extend(setup.exceptions.iter().cloned());
        let mut with_data: Vec<Date> = Vec::new();
        for day in days.iter().filter(|day| day.app == *app) {
            let result = &day.result;
            for (stream, n) in &result.blobs {
                *coverage.blobs.entry(stream.clone()).or_default() += n;
            }
            coverage.passed_over += result.passed_over;
            coverage.records += result.records;
            coverage.bytes += result.bytes;
            coverage.reports += result.own_reports();
            coverage.hits_of_other_apps += result.foreign;
            extend(&mut coverage.unreadable, &result.unreadable);
            extend(&mut coverage.not_searched, &result.not_searched);
            if let Some(reason) = &result.failed {
                coverage.unreadable.push(Unreadable {
                    blob: format!("the day {}", day.day),
                    reason: reason.clone(),
                });
            }
            with_data.push(day.day);
        }
        coverage.days = u64::try_from(with_data.len()).unwrap_or(u64::MAX);
        coverage.first_day = with_data.first().copied();
        coverage.last_day = with_data.last().copied();
        coverage.gaps = gaps(setup, &with_data, now);
        coverage.notes.extend(beginning(setup, &with_data));
        if with_data.is_empty() {
            coverage
                .notes
                .push("the archive holds no data of this app".to_owned());
        }
        all.insert(app.to_string(), coverage);
    }
    all
}

/// Adds what a later pass over the same days could not read.
pub fn add(all: &mut BTreeMap<String, Coverage>, step: Step, days: &[Day]) {
    for day in days {
        let Some(coverage) = all.get_mut(&day.app.to_string()) else {
            continue;
        };
        let new = |known: &[Unreadable], parts: &[Unreadable]| -> Vec<Unreadable> {
            parts
                .iter()
                .filter(|part| !known.contains(part))
                .cloned()
                .collect()
        };
        let unreadable = new(&coverage.unreadable, &day.result.unreadable);
        extend(&mut coverage.unreadable, &unreadable);
        let not_searched = new(&coverage.not_searched, &day.result.not_searched);
        extend(&mut coverage.not_searched, &not_searched);
        if let Some(reason) = &day.result.failed {
            coverage.unreadable.push(Unreadable {
                blob: format!("the day {} (pass `{}`)", day.day, step.name()),
                reason: reason.clone(),
            });
        }
    }
}

fn extend(named: &mut Vec<Unreadable>, more: &[Unreadable]) {
    let room = MAX_NAMED.saturating_sub(named.len());
    named.extend(more.iter().take(room).cloned());
}

/// Gaps that evidence shows: whole empty days between days with data; days that no export wrote, because one ended before
/// the reach of the next began; days since the export stopped. A minute without a folder is no gap: nothing happened in it.
fn gaps(setup: &AppSetup, days: &[Date], now: Timestamp) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let recreated = recreated(setup, days);
    let reach = recreated.as_ref().map(|gap| (gap.from, gap.to));
    for pair in days.windows(2) {
        let [before, after] = pair else { continue };
        let (Ok(from), Ok(to)) = (before.tomorrow(), after.yesterday()) else {
            continue;
        };
        // What the creation explains is said as that.
        let from = match reach {
            Some((begin, end)) if begin == from => end.tomorrow().unwrap_or(end),
            _ => from,
        };
        if from <= to {
            gaps.push(Gap {
                from,
                to,
                evidence: "whole days without data between days with data".to_owned(),
            });
        }
    }
    gaps.extend(recreated);
    gaps.sort_by_key(|gap| gap.from);
    let today = now.to_zoned(TimeZone::UTC).date();
    let Some(export) = &setup.export else {
        return gaps;
    };
    let is_enabled = export.state.eq_ignore_ascii_case("enabled");
    if !is_enabled && let Some(last) = days.last() {
        gaps.push(Gap {
            from: last.tomorrow().unwrap_or(*last),
            to: today,
            evidence: format!(
                "the export configuration is {}",
                export.state.to_lowercase()
            ),
        });
    }
    gaps.retain(|gap| gap.from <= gap.to);
    gaps
}

/// The days between what an earlier export wrote and what the present one could write at all.
fn recreated(setup: &AppSetup, days: &[Date]) -> Option<Gap> {
    let created = created(setup)?;
    let reached = created.saturating_sub(BACKFILL_DAYS.days());
    let last = days.iter().rev().find(|day| **day < reached)?;
    let (from, to) = (last.tomorrow().ok()?, reached.yesterday().ok()?);
    (from <= to).then(|| Gap {
        from,
        to,
        evidence: format!(
            "there is data up to {last}, and the present export was created on {created} and writes at most {BACKFILL_DAYS} days before that"
        ),
    })
}

/// The day on which the export was created (UTC).
fn created(setup: &AppSetup) -> Option<Date> {
    let created = setup.export.as_ref()?.created_at?;
    Some(created.to_zoned(TimeZone::UTC).date())
}

/// What the creation of the export says about how far back the archive can reach.
fn beginning(setup: &AppSetup, days: &[Date]) -> Option<String> {
    let created = created(setup)?;
    let backfilled = created.saturating_sub(BACKFILL_DAYS.days());
    let is_all = days.first().is_none_or(|first| *first >= backfilled);
    is_all.then(|| {
        format!(
            "the export configuration was created on {created} and writes at most {BACKFILL_DAYS} days before that: nothing older can be in the archive"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AppRef;
    use crate::stages::blob_search::DayResult;
    use crate::stages::setup::ExportState;

    fn day(text: &str) -> Day {
        Day {
            app: AppRef::new("contoso", "shop").expect("valid"),
            day: text.parse().expect("a day"),
            number: 0,
            result: DayResult {
                records: 2,
                ..DayResult::default()
            },
        }
    }

    fn setup(state: &str, created: &str) -> AppSetup {
        AppSetup {
            app: AppRef::new("contoso", "shop").ok(),
            export: Some(ExportState {
                state: state.to_owned(),
                created_at: created.parse().ok(),
                ..ExportState::default()
            }),
            ..AppSetup::default()
        }
    }

    #[test]
    fn gaps_need_evidence() {
        let now = "2026-11-20T12:00:00Z".parse().expect("a time");
        let days = [day("2026-01-01"), day("2026-01-02"), day("2026-01-05")];
        let check = |setup: &AppSetup, days: &[Day]| -> Vec<(String, String)> {
            let all = of(std::slice::from_ref(setup), days, now);
            let coverage = all.get("contoso/shop").expect("it is there");
            coverage
                .gaps
                .iter()
                .map(|gap| (gap.from.to_string(), gap.to.to_string()))
                .collect()
        };
        let gap = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(
            check(&setup("Enabled", "2020-01-01T00:00:00Z"), &days),
            [gap("2026-01-03", "2026-01-04")]
        );
        assert_eq!(
            check(&setup("Disabled", "2020-01-01T00:00:00Z"), &days),
            [
                gap("2026-01-03", "2026-01-04"),
                gap("2026-01-06", "2026-11-20")
            ]
        );
        assert_eq!(
            check(&setup("enabled", "2020-01-01T00:00:00Z"), &days[..2]),
            []
        );
        let recreated = setup("Enabled", "2026-03-01T09:00:00Z");
        let between = gap("2026-01-06", "2026-01-31");
        assert_eq!(
            check(&recreated, &days),
            [gap("2026-01-03", "2026-01-04"), between.clone()]
        );
        let later = [day("2026-01-05"), day("2026-02-03")];
        assert_eq!(
            check(&recreated, &later),
            [between, gap("2026-02-01", "2026-02-02")]
        );
        let follows = [day("2026-01-31"), day("2026-02-01")];
        assert_eq!(check(&recreated, &follows), []);
        let created = setup("Enabled", "2026-01-20T00:00:00Z");
        assert_eq!(check(&created, &days[..1]), []);
        assert!(beginning(&created, &["2026-01-01".parse().expect("a day")]).is_some());
        assert_eq!(
            beginning(&created, &["2025-01-01".parse().expect("a day")]),
            None
        );
    }
}
