//! NCRONTAB: `{second} {minute} {hour} {day} {month} {day-of-week}`.

use jiff::ToSpan as _;
use jiff::civil::{Date, DateTime, Time};

/// How far ahead an occurrence is looked for: 29 February comes at least every eight years.
const DAYS_AHEAD: usize = 8 * 366 + 1;
const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// A parsed expression: one bit for each value that a field allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ncrontab {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

impl Ncrontab {
    /// Reads six fields, or five without the seconds.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut fields: Vec<&str> = text.split_whitespace().collect();
        if fields.len() == 5 {
            fields.insert(0, "0");
        }
        let [seconds, minutes, hours, days, months, weekdays] = fields.try_into().ok()?;
        Some(Self {
            seconds: field(seconds, 0, 59, &[])?,
            minutes: field(minutes, 0, 59, &[])?,
            hours: field(hours, 0, 23, &[])?,
            days: field(days, 1, 31, &[])?,
            months: field(months, 1, 12, &MONTHS)?,
            weekdays: field(weekdays, 0, 6, &DAYS)?,
        })
    }

    /// The first time after `after`. Unlike Unix cron, NCRONTAB wants day and weekday both to fit.
    pub(crate) fn next(&self, after: DateTime) -> Option<DateTime> {
        let mut day = after.date();
        let mut from = Some(after.time());
        for _ in 0..DAYS_AHEAD {
            if self.has_day(day) {
                let time = match from {
                    Some(time) => self.time_after(time),
                    None => self.time_from(0),
                };
                if let Some(time) = time {
                    return Some(day.to_datetime(time));
                }
            }
            day = day.checked_add(1.day()).ok()?;
            from = None;
        }
        None
    }

    fn has_day(&self, day: Date) -> bool {
        let weekday = day.weekday().to_sunday_zero_offset();
        has(self.months, i64::from(day.month()))
            && has(self.days, i64::from(day.day()))
            && has(self.weekdays, i64::from(weekday))
    }

    fn time_after(&self, time: Time) -> Option<Time> {
        let second = |time: Time| {
            i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second())
        };
        self.time_from(second(time) + 1)
    }

    /// The first fitting second of a day at or after this one.
    fn time_from(&self, second: i64) -> Option<Time> {
        (second..86_400)
            .find(|second| {
                has(self.hours, second / 3600)
                    && has(self.minutes, second / 60 % 60)
                    && has(self.seconds, second % 60)
            })
            .and_then(|second| {
                let part = |value: i64| i8::try_from(value).ok();
                Time::new(
                    part(second / 3600)?,
                    part(second / 60 % 60)?,
                    part(second % 60)?,
                    0,
                )
                .ok()
            })
    }
}

fn has(bits: u64, value: i64) -> bool {
    (0..64).contains(&value) && bits >> value & 1 == 1
}

/// One field: a list of `*`, `n`, `a-b`, each with an optional `/step`.
fn field(text: &str, first: u32, last: u32, names: &[&str]) -> Option<u64> {
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (
                range,
                Some(step.parse::<u32>().ok().filter(|step| *step > 0)?),
            ),
            None => (part, None),
        };
        let (from, to) = if range == "*" {
            (first, last)
        } else if let Some((from, to)) = range.split_once('-') {
            (
                value(from, first, last, names)?,
                value(to, first, last, names)?,
            )
        } else {
            let only = value(range, first, last, names)?;
            // `5/15` starts at 5 and runs to the end of the field.
            (only, if step.is_some() { last } else { only })
        };
        if from > to {
            return None;
        }
        let step = usize::try_from(step.unwrap_or(1)).ok()?;
        for value in (from..=to).step_by(step) {
            bits |= 1 << value;
        }
    }
    Some(bits)
}

fn value(text: &str, first: u32, last: u32, names: &[&str]) -> Option<u32> {
    let named = names
        .iter()
        .position(|name| text.len() >= 3 && text.to_ascii_lowercase().starts_with(name));
    let value = match named {
        Some(index) => u32::try_from(index).ok()? + first,
        None if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok()?,
        None => return None,
    };
    (first..=last).contains(&value).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::Ncrontab;
    use jiff::civil::DateTime;
    use proptest::prelude::*;

    #[test]
    fn occurrences() {
        fn check(expression: &str, after: &str, expected: Option<&str>) {
            let cron = Ncrontab::parse(expression).expect(expression);
            let after: DateTime = after.parse().expect("a time");
            let next = cron.next(after).map(|next| next.to_string());
            assert_eq!(next.as_deref(), expected, "{expression}");
        }
        let friday = "2026-11-20T09:00:00";
        check("* * * * * *", friday, Some("2026-11-20T09:00:01"));
        check("0 */5 * * * *", friday, Some("2026-11-20T09:05:00"));
        check("0 30 9 * * 1-5", friday, Some("2026-11-20T09:30:00"));
        check("0 0 9 * * Mon-Fri", friday, Some("2026-11-23T09:00:00"));
        check("0 0 0 1 Jan *", friday, Some("2027-01-01T00:00:00"));
        check("0 0 0 29 2 *", friday, Some("2028-02-29T00:00:00"));
        check("0 0 0 13 * 5", friday, Some("2027-08-13T00:00:00"));
        check("15/20 * * * * *", friday, Some("2026-11-20T09:00:15"));
        check("0 0 0 31 2 *", friday, None);
        check(
            "59 59 23 * * *",
            "2026-11-20T23:59:59",
            Some("2026-11-21T23:59:59"),
        );
        check(
            "0 0,12 8-10/2 * * Sunday",
            friday,
            Some("2026-11-22T08:00:00"),
        );
    }

    #[test]
    fn wrong_expressions_are_refused() {
        for text in [
            "",
            "* * * *",
            "* * * * * * *",
            "60 * * * * *",
            "* * 24 * * *",
            "* * * 0 * *",
            "* * * * 13 *",
            "* * * * * 7",
            "*/0 * * * * *",
            "5-1 * * * * *",
            "+1 * * * * *",
            "a * * * * *",
            "1- * * * * *",
            ", * * * * *",
        ] {
            assert_eq!(Ncrontab::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[0-9*/,a-z -]{0,24}") {
            let _ = Ncrontab::parse(&text);
        }

        #[test]
        fn the_next_time_is_later_and_fits(second in 0_i64..86_400, step in 1_u32..60) {
            let cron = Ncrontab::parse(&format!("*/{step} * * * * *")).expect("an expression");
            let day: DateTime = "2026-11-20T00:00:00".parse().expect("a time");
            let after = day.checked_add(jiff::SignedDuration::from_secs(second)).expect("near");
            let next = cron.next(after).expect("each minute has one");
            prop_assert!(next > after);
            prop_assert_eq!(u32::try_from(next.second()).expect("small") % step, 0);
        }
    }
}
