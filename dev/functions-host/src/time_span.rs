//! .NET's `TimeSpan` texts, as host.json and timer schedules write them.

use std::time::Duration;

/// Reads `[d.]hh:mm[:ss[.fffffff]]`, or a whole number, which .NET takes for days.
///
/// Negative spans are refused: no setting that the host reads gives them a meaning besides `-1`, which its caller
/// looks at first.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    if !text.contains(':') {
        return Some(days(number(text)?));
    }
    let mut parts = text.split(':');
    let first = parts.next()?;
    let (whole_days, hours) = match first.split_once('.') {
        Some((whole_days, hours)) => (number(whole_days)?, number(hours)?),
        None => (0, number(first)?),
    };
    let minutes = number(parts.next()?)?;
    let (seconds, fraction) = match parts.next() {
        None => (0, Duration::ZERO),
        Some(last) => match last.split_once('.') {
            None => (number(last)?, Duration::ZERO),
            Some((seconds, digits)) => (number(seconds)?, ticks(digits)?),
        },
    };
    if parts.next().is_some() || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    Some(days(whole_days) + Duration::from_secs(hours * 3600 + minutes * 60 + seconds) + fraction)
}

/// Writes a span as .NET does: `00:00:02`, `1.00:00:00`, `00:00:00.5000000`.
pub(crate) fn format(span: Duration) -> String {
    let seconds = span.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let mut text = String::new();
    if days > 0 {
        text = format!("{days}.");
    }
    text += &format!(
        "{:02}:{:02}:{:02}",
        rest / 3600,
        rest % 3600 / 60,
        rest % 60
    );
    let ticks = span.subsec_nanos() / 100;
    if ticks > 0 {
        text += &format!(".{ticks:07}");
    }
    text
}

fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

/// A short run of digits; longer ones than .NET's largest span are refused, so that no sum overflows.
fn number(text: &str) -> Option<u64> {
    let plain = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

/// Up to seven digits after the point, in units of 100 ns.
fn ticks(digits: &str) -> Option<Duration> {
    if digits.len() > 7 {
        return None;
    }
    let count = number(&format!("{digits:0<7}"))?;
    Some(Duration::from_nanos(count * 100))
}

#[cfg(test)]
mod tests {
    use super::{format, parse};
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn reads_spans() {
        fn check(text: &str, expected: Option<f64>) {
            assert_eq!(parse(text), expected.map(Duration::from_secs_f64), "{text}");
        }
        check("00:00:02", Some(2.0));
        check("00:10:00", Some(600.0));
        check("01:30", Some(5400.0));
        check("1.00:00:00", Some(86_400.0));
        check("00:00:00.1", Some(0.1));
        check("00:00:00.0250000", Some(0.025));
        check("7", Some(604_800.0));
        check("", None);
        check("-1", None);
        check("00:00:60", None);
        check("24:00:00", None);
        check("00:00:00:00", None);
        check("00:00:00.12345678", None);
        check("+1:00:00", None);
        check("123456789", None);
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ticks in 0_u64..u64::MAX / 2) {
            let span = Duration::new(ticks / 10_000_000, (ticks % 10_000_000) as u32 * 100);
            prop_assert_eq!(parse(&format(span)), Some(span));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,24}") {
            let _ = parse(&text);
        }
    }
}
