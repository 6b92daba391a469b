//! What time it is: the system's clock, or one that tests move.

use std::fmt::Debug;
use std::sync::Mutex;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// Tells the time. Everything that compares or stores times asks one of these.
pub trait Clock: Debug + Send + Sync {
    /// Now, in UTC.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the clock that everything else asks"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock ahead of (or behind) the machine's by an amount that tests change.
#[derive(Debug, Default)]
pub struct ShiftedClock {
    ahead: Mutex<SignedDuration>,
}

impl ShiftedClock {
    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
        if let Ok(mut ahead) = self.ahead.lock() {
            *ahead = ahead.saturating_add(by);
        }
    }
}

impl Clock for ShiftedClock {
    fn now(&self) -> Timestamp {
        let ahead = self
            .ahead
            .lock()
            .map_or(SignedDuration::ZERO, |ahead| *ahead);
        SystemClock
            .now()
            .checked_add(ahead)
            .unwrap_or(Timestamp::MAX)
    }
}
