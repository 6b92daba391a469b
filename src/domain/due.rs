//! The law's clock: when a request is due, and how far it can be extended.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use super::Jurisdiction;

/// The day by whose end (UTC) a request received at `received` must be answered.
///
/// EU and UK: the same day one calendar month later, the last day of a shorter month (GDPR article 12(3)); once
/// extended, two further months. California: 45 days, once extended 90 (11 CCR 7021).
#[must_use]
pub fn due(jurisdiction: Jurisdiction, received: Timestamp, extended: bool) -> Date {
    let day = received.to_zoned(TimeZone::UTC).date();
    let span = match (jurisdiction, extended) {
        (Jurisdiction::Eu | Jurisdiction::Uk, false) => Span::new().months(1),
        (Jurisdiction::Eu | Jurisdiction::Uk, true) => Span::new().months(3),
        (Jurisdiction::UsCa, false) => Span::new().days(45),
        (Jurisdiction::UsCa, true) => Span::new().days(90),
    };
    day.saturating_add(span)
}

/// Days from `now` to the end of the due day; negative once it is over.
#[must_use]
pub fn days_left(due: Date, now: Timestamp) -> i64 {
    let today = now.to_zoned(TimeZone::UTC).date();
    i64::from((due - today).get_days())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calendar_months_and_days() {
        for (jurisdiction, received, extended, expected) in [
            (
                Jurisdiction::Eu,
                "2026-11-20T09:00:00Z",
                false,
                "2026-12-20",
            ),
            (
                Jurisdiction::Eu,
                "2026-01-31T23:59:59Z",
                false,
                "2026-02-28",
            ),
            (
                Jurisdiction::Eu,
                "2028-01-31T00:00:00Z",
                false,
                "2028-02-29",
            ),
            (
                Jurisdiction::Eu,
                "2026-08-31T00:00:00Z",
                false,
                "2026-09-30",
            ),
            (
                Jurisdiction::Uk,
                "2026-12-31T00:00:00Z",
                false,
                "2027-01-31",
            ),
            (Jurisdiction::Eu, "2026-11-30T00:00:00Z", true, "2027-02-28"),
            (
                Jurisdiction::UsCa,
                "2026-01-01T00:00:00Z",
                false,
                "2026-02-15",
            ),
            (
                Jurisdiction::UsCa,
                "2026-01-01T00:00:00Z",
                true,
                "2026-04-01",
            ),
        ] {
            let received: Timestamp = received.parse().expect("a time");
            let day = due(jurisdiction, received, extended);
            assert_eq!(day.to_string(), expected, "{jurisdiction:?} {received}");
        }
    }

    #[test]
    fn days_left_can_be_negative() {
        let due: Date = "2026-12-20".parse().expect("a day");
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        assert_eq!(days_left(due, at("2026-11-20T09:00:00Z")), 30);
        assert_eq!(days_left(due, at("2026-12-20T23:00:00Z")), 0);
        assert_eq!(days_left(due, at("2026-12-22T00:00:00Z")), -2);
    }
}
