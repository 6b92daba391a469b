//! Whether to try again in this process, as one pure decision; longer waits are the caller's.

use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use reqwest::header::HeaderMap;

/// What one attempt came to, other than a good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The connection could not be made: nothing was sent.
    NotSent,
    /// The answer was lost: whether the call took effect is not known.
    Lost,
    /// A success that could not be read: truncated, or not in the documented form.
    Unreadable,
    /// 202 to a GET: the answer is being made. App Center does that.
    Pending,
    /// 429: nothing was done; with the wait that was asked for.
    Limited(Duration),
    /// Any other status but 2xx, and the wait that came with it.
    Refused(u16, Option<Duration>),
}

/// Whether sending a call twice does the same as sending it once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It does: GET, DELETE of one report, blocking one install.
    Safe,
    /// It may not: a second POST makes a second export configuration.
    Unsafe,
}

/// The bounds of retries in one process.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How often a call is sent at most.
    pub attempts: u32,
    /// How long all attempts and waits of a call may take before another is begun.
    pub total: Duration,
    /// The wait after the first failure; it doubles.
    pub backoff: Duration,
    /// How often a 202 is asked again.
    pub polls: u32,
    /// The wait between those.
    pub poll_wait: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            attempts: 3,
            total: Duration::from_secs(20),
            backoff: Duration::from_millis(500),
            polls: 3,
            poll_wait: Duration::from_secs(5),
        }
    }
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Wait that long, ask the budget and the gate, and send again.
    Retry(Duration),
    /// Return the error.
    GiveUp,
}

/// Decides after attempt number `attempt` (from 1) came to `outcome`, `elapsed` after the call began.
#[must_use]
pub fn decide(
    policy: &Policy,
    repeat: Repeat,
    outcome: Outcome,
    attempt: u32,
    elapsed: Duration,
) -> Decision {
    let doubling = policy
        .backoff
        .saturating_mul(1 << attempt.saturating_sub(1).min(10));
    // What surely had no effect may be repeated even where repeating is not safe.
    let (may_repeat, wait) = match outcome {
        Outcome::NotSent => (true, doubling),
        Outcome::Limited(asked) => (true, asked),
        Outcome::Lost | Outcome::Unreadable => (repeat == Repeat::Safe, doubling),
        Outcome::Refused(status, asked) => (
            repeat == Repeat::Safe && is_passing(status),
            asked.unwrap_or(doubling),
        ),
        Outcome::Pending => (repeat == Repeat::Safe, policy.poll_wait),
    };
    let most = match outcome {
        Outcome::Pending => policy.polls.saturating_add(1),
        _ => policy.attempts,
    };
    if may_repeat && attempt < most && elapsed.saturating_add(wait) <= policy.total {
        Decision::Retry(wait)
    } else {
        Decision::GiveUp
    }
}

/// Statuses that say something about the moment and not about the call. 501 and 505 do not.
#[must_use]
pub fn is_passing(status: u16) -> bool {
    status == 408 || (status >= 500 && status != 501 && status != 505)
}

/// A wait is never taken for longer than this: a wrong date must not stop a request for years.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// The wait that a reply asks for: `Retry-After` in seconds or as a date, or `x-ms-retry-after-ms`.
#[must_use]
pub fn asked_wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let from_ms = || {
        let ms = text("x-ms-retry-after-ms")?.trim().parse::<u64>().ok()?;
        Some(Duration::from_millis(ms))
    };
    let from_standard = || {
        let text = text("retry-after")?.trim();
        if let Ok(seconds) = text.parse::<u64>() {
            return Some(Duration::from_secs(seconds));
        }
        let at = rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
    };
    from_standard().or_else(from_ms).map(bounded)
}

/// At least a second, at most an hour.
#[must_use]
pub fn bounded(wait: Duration) -> Duration {
    wait.clamp(Duration::from_secs(1), LONGEST_WAIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;
    const MS: fn(u64) -> Duration = Duration::from_millis;

    #[test]
    fn every_decision() {
        use Decision::{GiveUp, Retry};
        use Outcome::{Limited, Lost, NotSent, Pending, Refused, Unreadable};
        let (safe, not) = (Repeat::Safe, Repeat::Unsafe);
        let cases = [
            // What surely had no effect is repeated always, twice, with a doubling wait.
            (safe, NotSent, 1, S(0), Retry(MS(500))),
            (not, NotSent, 1, S(0), Retry(MS(500))),
            (safe, NotSent, 2, S(0), Retry(S(1))),
            (safe, NotSent, 3, S(0), GiveUp),
            (not, Limited(S(3)), 1, S(0), Retry(S(3))),
            // What may have had one only where that is safe.
            (safe, Lost, 1, S(0), Retry(MS(500))),
            (not, Lost, 1, S(0), GiveUp),
            (safe, Unreadable, 1, S(0), Retry(MS(500))),
            (not, Unreadable, 1, S(0), GiveUp),
            (safe, Refused(500, None), 2, S(0), Retry(S(1))),
            (safe, Refused(503, Some(S(4))), 1, S(0), Retry(S(4))),
            (not, Refused(503, Some(S(4))), 1, S(0), GiveUp),
            (safe, Refused(408, None), 1, S(0), Retry(MS(500))),
            // A verdict is a verdict.
            (safe, Refused(400, None), 1, S(0), GiveUp),
            (safe, Refused(401, None), 1, S(0), GiveUp),
            (safe, Refused(404, Some(S(1))), 1, S(0), GiveUp),
            (safe, Refused(410, None), 1, S(0), GiveUp),
            (safe, Refused(501, None), 1, S(0), GiveUp),
            (safe, Refused(302, None), 1, S(0), GiveUp),
            // Time bounds it as well as count.
            (safe, Limited(S(30)), 1, S(0), GiveUp),
            (safe, Limited(S(20)), 1, S(0), Retry(S(20))),
            (safe, Limited(S(20)), 1, MS(1), GiveUp),
            (safe, Lost, 1, MS(19_501), GiveUp),
            (safe, Lost, u32::MAX, S(0), GiveUp),
            // A 202 is polled three times.
            (safe, Pending, 1, S(0), Retry(S(5))),
            (safe, Pending, 3, S(10), Retry(S(5))),
            (safe, Pending, 4, S(15), GiveUp),
            (not, Pending, 1, S(0), GiveUp),
        ];
        for (repeat, outcome, attempt, elapsed, expected) in cases {
            let decision = decide(&Policy::default(), repeat, outcome, attempt, elapsed);
            assert_eq!(
                decision, expected,
                "{repeat:?} {outcome:?} {attempt} {elapsed:?}"
            );
        }
    }

    #[test]
    fn waits_in_every_form() {
        let now: Timestamp = "2026-11-21T08:00:00Z".parse().expect("a time");
        let cases = [
            ("retry-after", "7", Some(S(7))),
            ("retry-after", "0", Some(S(1))),
            ("retry-after", "999999999", Some(S(3600))),
            ("retry-after", "Sat, 21 Nov 2026 08:01:30 GMT", Some(S(90))),
            ("retry-after", "Sat, 21 Nov 2026 07:00:00 GMT", Some(S(1))),
            ("retry-after", "soon", None),
            ("retry-after", "-5", None),
            ("x-ms-retry-after-ms", "2500", Some(MS(2500))),
            ("x-ms-retry-after-ms", "x", None),
        ];
        for (name, value, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().expect("a header value"));
            assert_eq!(asked_wait(&headers, now), expected, "{name}: {value}");
        }
        assert_eq!(asked_wait(&HeaderMap::new(), now), None);
    }
}
