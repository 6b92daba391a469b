//! What a sweep counts of open requests.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::{Jurisdiction, due};
use crate::telemetry::{self, Event, metrics};
use crate::workflow::{Record, Status};

/// Days left from which on a request is due soon.
const SOON: i64 = 7;
/// Buckets of days left, each with the least that falls into it, the most days first.
const BUCKETS: [(&str, i64); 6] = [
    ("over-30", 31),
    ("15-30", 15),
    ("8-14", 8),
    ("4-7", 4),
    ("0-3", 0),
    ("overdue", i64::MIN),
];

/// Counts, by name; all of them are told, zeros included, so that a number that falls to nothing is seen to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// By status and jurisdiction: how many, and the days since the oldest came.
    open: BTreeMap<(&'static str, &'static str), (u64, f64)>,
    /// By bucket and jurisdiction.
    due: BTreeMap<(&'static str, &'static str), u64>,
    /// The fewest days left, by jurisdiction.
    least: BTreeMap<&'static str, i64>,
}

impl Tally {
    /// Counts an open request; if it is due soon, says so and gives the days that are left.
    pub(super) fn count(&mut self, record: &Record, now: Timestamp) -> Option<i64> {
        let (status, jurisdiction) = (record.status.name(), record.jurisdiction.name());
        let age = now.duration_since(record.received_at).as_secs_f64() / 86_400.0;
        let (count, oldest) = self.open.entry((status, jurisdiction)).or_default();
        *count += 1;
        *oldest = oldest.max(age);
        let days_left = due::days_left(record.due(), now);
        *self
            .due
            .entry((bucket(days_left), jurisdiction))
            .or_default() += 1;
        let least = self.least.entry(jurisdiction).or_insert(days_left);
        *least = days_left.min(*least);
        let is_soon = days_left <= SOON;
        if is_soon {
            tracing::warn!(request = %record.id, days_left, status, "is due soon");
            telemetry::event(Event::DueSoon {
                request: record.id.as_str(),
                status,
                jurisdiction,
                days_left,
            });
        }
        is_soon.then_some(days_left)
    }

    /// Tells what was counted.
    pub(super) fn tell(&self) {
        for jurisdiction in Jurisdiction::ALL.map(Jurisdiction::name) {
            for status in Status::ALL.into_iter().filter(|it| !it.is_ended()) {
                let key = (status.name(), jurisdiction);
                let (count, oldest) = self.open.get(&key).copied().unwrap_or_default();
                metrics::requests_open(status.name(), jurisdiction, count, oldest);
            }
            for (bucket, _) in BUCKETS {
                let count = self.due.get(&(bucket, jurisdiction));
                metrics::requests_due(bucket, jurisdiction, count.copied().unwrap_or(0));
            }
            if let Some(days) = self.least.get(jurisdiction) {
                metrics::days_left(jurisdiction, *days);
            }
        }
    }
}

fn bucket(days_left: i64) -> &'static str {
    let found = BUCKETS.iter().find(|(_, least)| days_left >= *least);
    found.map_or("overdue", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::bucket;

    #[test]
    fn every_number_of_days_has_its_bucket() {
        for (days, expected) in [
            (-40, "overdue"),
            (-1, "overdue"),
            (0, "0-3"),
            (3, "0-3"),
            (4, "4-7"),
            (7, "4-7"),
            (8, "8-14"),
            (14, "8-14"),
            (15, "15-30"),
            (30, "15-30"),
            (31, "over-30"),
        ] {
            assert_eq!(bucket(days), expected, "{days}");
        }
    }
}
