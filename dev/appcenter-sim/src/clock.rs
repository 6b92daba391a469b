//! The simulator's time: real time plus a shift that tests move.

#![expect(
    clippy::disallowed_methods,
    reason = "this is the one place that reads the real clock"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A clock that can be moved forwards and back; its copies show the same time.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    shift_millis: Arc<AtomicI64>,
}

impl Clock {
    /// What the real clock shows.
    pub(crate) fn real_now() -> Timestamp {
        Timestamp::now()
    }

    /// The simulator's present.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let shift = SignedDuration::from_millis(self.shift_millis.load(Ordering::SeqCst));
        Self::real_now()
            .checked_add(shift)
            .unwrap_or(Timestamp::MAX)
    }

    /// Moves the present forward.
    pub fn advance(&self, by: Duration) {
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX / 4);
        self.shift_millis.fetch_add(millis, Ordering::SeqCst);
    }

    /// Makes `at` the present; time goes on from there.
    pub fn set(&self, at: Timestamp) {
        let shift = at.as_millisecond() - Self::real_now().as_millisecond();
        self.shift_millis.store(shift, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use jiff::Timestamp;
    use std::time::Duration;

    #[test]
    fn copies_move_together() {
        let clock = Clock::default();
        let copy = clock.clone();
        let before = clock.now();
        copy.advance(Duration::from_secs(3600));
        assert!(clock.now().as_second() - before.as_second() >= 3600);
        let then: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
        clock.set(then);
        assert!((copy.now().as_second() - then.as_second()).abs() <= 1);
    }
}
