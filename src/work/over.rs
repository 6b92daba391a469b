//! Days that requests are over with, as this process saw them end.
//!
//! Each request sends a message for each of its days, and a pass over a day serves everybody who waits for it: of a
//! hundred requests that are filed together, 99 messages find nothing left to do. Without reading three blobs of each
//! request anew they know it from here.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::civil::Date;

use super::store::Store;
use crate::storage::ETag;

/// Days of all requests that are remembered, about 3 MB; beyond it, all of them are read again.
const MAX_KEPT: usize = 100_000;

/// By the blob that marks a request as waiting: its version, and days that are over. A mark is written again before
/// messages are sent again, and by a request that is filed anew: what is known of another version holds no more.
#[derive(Debug, Default)]
pub(super) struct Over(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    marks: HashMap<String, (ETag, BTreeSet<Date>)>,
    days: usize,
}

impl Over {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, mark: &str, etag: &ETag, day: Date) {
        let mut kept = self.kept();
        if kept.days >= MAX_KEPT {
            *kept = Kept::default();
        }
        let days = match kept.marks.get_mut(mark) {
            Some((known, days)) if known == etag => days,
            _ => {
                let new = (etag.clone(), BTreeSet::new());
                let old = kept.marks.insert(mark.to_owned(), new);
                kept.days -= old.map_or(0, |(_, days)| days.len());
                // It was inserted just now.
                let Some((_, days)) = kept.marks.get_mut(mark) else {
                    return;
                };
                days
            }
        };
        let is_new = days.insert(day);
        kept.days += usize::from(is_new);
    }

    fn knows(&self, mark: &str, etag: &ETag, day: Date) -> bool {
        let kept = self.kept();
        let known = kept.marks.get(mark);
        known.is_some_and(|(version, days)| version == etag && days.contains(&day))
    }
}

impl Store {
    /// Remembers that the request of a mark is over with a day, and that nothing follows from it: others of its days are
    /// open.
    pub fn note_over(&self, mark: &str, etag: &ETag, day: Date) {
        self.over.note(mark, etag, day);
    }

    /// Whether the request of this version of a mark is known to be over with a day.
    #[must_use]
    pub fn is_over(&self, mark: &str, etag: &ETag, day: Date) -> bool {
        self.over.knows(mark, etag, day)
    }

    /// Whether any request is known to be over with a day.
    #[must_use]
    pub fn ended_any(&self, day: Date) -> bool {
        let kept = self.over.kept();
        kept.marks.values().any(|(_, days)| days.contains(&day))
    }
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use jiff::civil::date;

    use super::*;

    fn knows(over: &Over, mark: &str, etag: &str, day: Date) -> bool {
        over.knows(mark, &ETag::from(etag), day)
    }

    #[test]
    fn of_another_version_of_a_mark_nothing_is_known() {
        let over = Over::default();
        let day = date(2026, 11, 20);
        over.note("a", &ETag::from("1"), day);
        over.note("a", &ETag::from("1"), day);
        over.note("b", &ETag::from("1"), date(2026, 11, 21));
        assert!(knows(&over, "a", "1", day));
        assert!(!knows(&over, "b", "1", day) && !knows(&over, "a", "2", day));
        over.note("a", &ETag::from("2"), date(2026, 11, 22));
        assert!(!knows(&over, "a", "1", day) && !knows(&over, "a", "2", day));
        assert_eq!(over.kept().days, 2);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let over = Over::default();
        let first = date(2020, 1, 1);
        let days: Vec<Date> = first.series(1.day()).take(1_000).collect();
        for mark in 0..150 {
            for day in &days {
                over.note(&mark.to_string(), &ETag::from("1"), *day);
            }
            assert!(knows(&over, &mark.to_string(), "1", first));
            let kept = over.kept();
            assert!(kept.days <= MAX_KEPT);
            let counted: usize = kept.marks.values().map(|(_, days)| days.len()).sum();
            assert_eq!(counted, kept.days);
        }
    }
}
