//! When a timer fires: by an NCRONTAB expression, or every so often.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::ncrontab::Ncrontab;
use crate::time_span;

/// A timer's `schedule`.
#[derive(Debug, Clone)]
pub(crate) enum Schedule {
    Cron(Ncrontab),
    Every(Duration),
}

impl Schedule {
    /// Reads an expression of six fields (five: without seconds) or a time span.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some(cron) = Ncrontab::parse(text) {
            return Some(Self::Cron(cron));
        }
        let every = time_span::parse(text)?;
        (every > Duration::ZERO).then_some(Self::Every(every))
    }

    /// The first time after `after`, in UTC, as on Azure; `None` when there is none within four years.
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron(cron) => {
                let after = TimeZone::UTC.to_datetime(after);
                let next = cron.next(after)?;
                TimeZone::UTC.to_timestamp(next).ok()
            }
            Self::Every(every) => {
                let every = SignedDuration::try_from(*every).ok()?;
                after.checked_add(every).ok()
            }
        }
    }

    /// Whether the time between two runs is under a minute: such timers are not monitored.
    pub(crate) fn is_frequent(&self, now: Timestamp) -> bool {
        let mut last = now;
        // The real host looks at a few intervals of the schedule, since they may differ.
        for n in 0..5 {
            let Some(next) = self.next(last) else {
                return false;
            };
            if n > 0 && next.duration_since(last) < SignedDuration::from_secs(60) {
                return true;
            }
            last = next;
        }
        matches!(self, Self::Every(every) if *every < Duration::from_secs(60))
    }

    /// What `TimerInfo.Schedule` shows of it.
    pub(crate) fn adjusts_for_daylight_saving(&self) -> bool {
        matches!(self, Self::Cron(_))
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;
    use jiff::Timestamp;

    #[test]
    fn next_times() {
        fn check(schedule: &str, after: &str, expected: &str) {
            let schedule = Schedule::parse(schedule).expect("a schedule");
            let after: Timestamp = after.parse().expect("a time");
            let next = schedule.next(after).map(|next| next.to_string());
            assert_eq!(next.as_deref(), Some(expected));
        }
        check(
            "0 */5 * * * *",
            "2026-11-20T09:00:00Z",
            "2026-11-20T09:05:00Z",
        );
        check(
            "0 */5 * * * *",
            "2026-11-20T09:04:59.5Z",
            "2026-11-20T09:05:00Z",
        );
        check("00:00:05", "2026-11-20T09:00:00Z", "2026-11-20T09:00:05Z");
        check(
            "*/5 * * * *",
            "2026-11-20T09:01:00Z",
            "2026-11-20T09:05:00Z",
        );
    }

    #[test]
    fn frequent_ones_are_known() {
        let now: Timestamp = "2026-11-20T09:00:00Z".parse().expect("a time");
        for (text, expected) in [
            ("*/10 * * * * *", true),
            ("0 */5 * * * *", false),
            ("0 * * * * *", false),
            ("00:00:05", true),
            ("00:01:00", false),
            ("0,30 0 0 * * *", true),
        ] {
            let schedule = Schedule::parse(text).expect("a schedule");
            assert_eq!(schedule.is_frequent(now), expected, "{text}");
        }
        assert!(Schedule::parse("00:00:00").is_none());
    }
}
