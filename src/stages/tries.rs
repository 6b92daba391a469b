//! How often, and how long, what failed is tried again.

use std::time::Duration;

use jiff::Timestamp;

use crate::config::Limits;
use crate::work::SliceState;

/// How to wait before another try of something that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Longer with each try.
    Backoff,
    /// Longer with each try, and at least until the time that the service asked for.
    NotBefore(Timestamp),
    /// Until our budget has calls again. It is no failed try.
    Throttled(Timestamp),
    /// Until the service's hold is over (429). It is no failed try; only the time since it began counts.
    Held(Timestamp),
    /// For a person to mend the token or its rights. It is no failed try; only the time since it began counts.
    Person,
}

impl Wait {
    /// Its name in telemetry.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Backoff => "backoff",
            Self::NotBefore(_) => "not_before",
            Self::Throttled(_) | Self::Held(_) => "throttled",
            Self::Person => "person",
        }
    }

    /// Of two waits the one that holds for both: a person's, then one that is no try, then the later.
    #[must_use]
    pub fn outweighs(self, other: Self) -> bool {
        let weight = |wait| match wait {
            Self::Backoff => (0, None),
            Self::NotBefore(at) => (1, Some(at)),
            Self::Throttled(until) | Self::Held(until) => (2, Some(until)),
            Self::Person => (3, None),
        };
        weight(self) > weight(other)
    }
}

/// Counts a failed try of a slice; when to try again, or none when it was tried enough.
#[must_use]
pub fn count(
    state: &mut SliceState,
    wait: Wait,
    limits: &Limits,
    now: Timestamp,
) -> Option<Timestamp> {
    let after = |delay: Duration| now.checked_add(delay).unwrap_or(Timestamp::MAX);
    if let Wait::Throttled(until) = wait {
        return Some(until.max(after(Duration::from_secs(1))));
    }
    if !matches!(wait, Wait::Person | Wait::Held(_)) {
        state.tries = state.tries.saturating_add(1);
    }
    state.failing_since.get_or_insert(now);
    if state.tries >= limits.retry_tries || is_long_enough(state, limits, now) {
        return None;
    }
    Some(match wait {
        Wait::Person => after(limits.retry_longest),
        Wait::NotBefore(at) => at.max(after(limits.backoff(state.tries))),
        Wait::Held(until) => until.max(after(Duration::from_secs(1))),
        Wait::Backoff | Wait::Throttled(_) => after(limits.backoff(state.tries)),
    })
}

/// Whether what fails has failed for as long as anything is tried: the next try counted would be none.
#[must_use]
pub fn is_long_enough(state: &SliceState, limits: &Limits, now: Timestamp) -> bool {
    state
        .failing_since
        .is_some_and(|since| now.duration_since(since).unsigned_abs() >= limits.retry_time)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn limits() -> Limits {
        let lookup = |name: &str| {
            (name == "AzureWebJobsStorage").then(|| "UseDevelopmentStorage=true".to_owned())
        };
        let config = Config::from_lookup(&lookup).expect("the defaults fit");
        config.limits
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn seconds_until(next: Option<Timestamp>, now: Timestamp) -> f64 {
        let next = next.expect("it is tried again");
        next.duration_since(now).as_secs_f64()
    }

    #[test]
    fn twenty_tries_then_enough() {
        let mut state = SliceState::default();
        for n in 1..20 {
            let next = count(&mut state, Wait::Backoff, &limits(), at(n));
            let ideal = f64::from(2 << (n - 1).min(20)).min(900.0);
            let delay = seconds_until(next, at(n));
            assert!(
                (ideal * 0.79..=ideal * 1.21).contains(&delay),
                "{n}: {delay}"
            );
        }
        assert_eq!(count(&mut state, Wait::Backoff, &limits(), at(20)), None);
    }

    #[test]
    fn a_person_is_waited_for_a_day_whatever_the_tries() {
        let mut state = SliceState::default();
        let day = 24 * 3600;
        for now in (0..day).step_by(900) {
            let next = count(&mut state, Wait::Person, &limits(), at(now));
            assert_eq!(next, Some(at(now + 900)));
        }
        assert_eq!(state.tries, 0);
        assert_eq!(count(&mut state, Wait::Person, &limits(), at(day)), None);
    }

    #[test]
    fn a_service_that_answers_429_for_ever_is_held_out_for_a_day() {
        let mut state = SliceState::default();
        let day = 24 * 3600;
        for now in (0..day).step_by(300) {
            let held = Wait::Held(at(now + 300));
            let next = count(&mut state, held, &limits(), at(now));
            assert_eq!(next, Some(at(now + 300)));
        }
        assert_eq!(state.tries, 0);
        let held = Wait::Held(at(day + 300));
        assert_eq!(count(&mut state, held, &limits(), at(day)), None);
        // Our own budget ends nothing, however long it takes.
        let mut state = SliceState::default();
        for now in (0..3 * day).step_by(900) {
            let next = count(
                &mut state,
                Wait::Throttled(at(now + 900)),
                &limits(),
                at(now),
            );
            assert_eq!(next, Some(at(now + 900)));
        }
        assert_eq!(state, SliceState::default());
    }

    #[test]
    fn what_the_service_asks_for_wins() {
        let mut state = SliceState::default();
        let asked = Wait::NotBefore(at(120));
        assert_eq!(count(&mut state, asked, &limits(), at(0)), Some(at(120)));
        assert_eq!(state.tries, 1);
        let past = count(&mut state, Wait::NotBefore(at(0)), &limits(), at(300));
        assert!(seconds_until(past, at(300)) >= 3.0);
        let throttled = Wait::Throttled(at(90_000));
        assert_eq!(
            count(&mut state, throttled, &limits(), at(301)),
            Some(at(90_000))
        );
        assert_eq!(state.tries, 2, "a throttled call is no try");
    }

    #[test]
    fn the_wait_that_holds_for_both() {
        let order = [
            Wait::Backoff,
            Wait::NotBefore(at(1)),
            Wait::NotBefore(at(2)),
            Wait::Throttled(at(1)),
            Wait::Held(at(2)),
            Wait::Throttled(at(3)),
            Wait::Person,
        ];
        for pair in order.windows(2) {
            assert!(
                pair[1].outweighs(pair[0]) && !pair[0].outweighs(pair[1]),
                "{pair:?}"
            );
        }
    }
}
