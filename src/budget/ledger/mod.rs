//! Who was granted how many tokens when: pure arithmetic, no clock and no I/O.
//!
//! Grants are counted by the second. A token granted within second `s` is used, seen from the API, before
//! `s + 1 + use_within + arrive_within`. So a grant counts for that long plus a window: whatever is granted later falls
//! into no window with it. At any time, grants that count are at most the limit; hence no window has more calls.
//!
//! A call that was answered is known to have arrived, by its instance's clock before the end of the second `a` of the
//! answer. It counts as if granted so much earlier that it leaves the window at `a + 1 + window + clocks_within`: without
//! this, calls that come in bursts would lose the margins of all calls, up to 7 s of every 300 s.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::BudgetSpec;

/// Version of the stored form.
const VERSION: u32 = 1;
/// Seconds with grants in a stored ledger; more than the longest window has.
const MAX_SECONDS: usize = 4096;
/// No hold is longer than this, in seconds, whatever was asked for.
const MAX_HOLD: i64 = 24 * 3600;

/// The grants that still count, and until when nobody may call.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// Unix second to tokens granted in it.
    granted: BTreeMap<i64, u64>,
    /// Unix second before which nothing is granted.
    hold_until: i64,
    /// How long grants are kept here; older ones are unknown.
    horizon: i64,
}

/// Tokens that were granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// How many, at least one.
    pub count: u64,
    /// The second they are counted in.
    pub second: i64,
}

/// Calls that were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// How many, and the second they were granted in.
    pub grant: Grant,
    /// The second of the answers, by the clock of the instance that made the calls.
    pub second: i64,
}

/// Why stored bytes are no ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Nobody wrote this.
    #[error("the budget's ledger is corrupt")]
    Corrupt,
    /// A newer version of this program wrote it.
    #[error("the budget's ledger is of a newer version")]
    Newer,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    version: u32,
    horizon: i64,
    hold_until: i64,
    granted: Vec<(i64, u64)>,
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Ledger {
    /// A ledger of which nothing is known: nothing is granted until all that may have been granted is past.
    #[must_use]
    pub fn unknown(spec: BudgetSpec, now: Timestamp) -> Self {
        let horizon = horizon(spec);
        Self {
            granted: BTreeMap::new(),
            hold_until: now.as_second().saturating_add(horizon).saturating_add(1),
            horizon,
        }
    }

    /// Grants up to `want` tokens.
    ///
    /// # Errors
    /// When there is none: the time when there will be.
    pub fn take(
        &mut self,
        spec: BudgetSpec,
        now: Timestamp,
        want: u64,
    ) -> Result<Grant, Timestamp> {
        let second = self.settle(spec, now);
        if self.hold_until > now.as_second() {
            return Err(at(self.hold_until));
        }
        let left = u64::from(spec.limit()).saturating_sub(self.counted());
        let count = want.max(1).min(left);
        if count == 0 {
            return Err(at(self.next_free(spec)));
        }
        let granted = self.granted.entry(second).or_default();
        *granted = granted.saturating_add(count);
        Ok(Grant { count, second })
    }

    /// Tokens that count in the window, once what is past has been taken out.
    #[must_use]
    pub fn counted(&self) -> u64 {
        let counts = self.granted.values();
        counts.fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Takes back tokens that were granted and will never be used.
    ///
    /// Safe once for each token only: a caller that does not know whether it was saved must not say it again.
    pub fn give_back(&mut self, grant: Grant) {
        if let Some(granted) = self.granted.get_mut(&grant.second) {
            *granted = granted.saturating_sub(grant.count);
            if *granted == 0 {
                self.granted.remove(&grant.second);
            }
        }
    }

    /// Counts calls from when they are known to have arrived, where that is earlier than they may have.
    ///
    /// Like [`Self::give_back`] it is safe once for each call only: said again, it would mean somebody else's.
    pub fn answered(&mut self, spec: BudgetSpec, answered: Answered) {
        let Answered { grant, second } = answered;
        // A clock that was set back knows nothing of when; no call arrives before it is granted.
        let arrived = second.max(grant.second);
        let counted = arrived.saturating_sub(margin(spec));
        let Some(granted) = self.granted.get_mut(&grant.second) else {
            return;
        };
        if counted >= grant.second {
            return;
        }
        let count = grant.count.min(*granted);
        *granted -= count;
        if *granted == 0 {
            self.granted.remove(&grant.second);
        }
        if count > 0 {
            let counted = self.granted.entry(counted).or_default();
            *counted = counted.saturating_add(count);
        }
    }

    /// Grants nothing before `until`, at most a day from now; an earlier hold that is longer stays.
    pub fn hold(&mut self, now: Timestamp, until: Timestamp) {
        let second = until
            .as_second()
            .saturating_add(i64::from(until.subsec_nanosecond() > 0));
        let most = now.as_second().saturating_add(MAX_HOLD);
        self.hold_until = self.hold_until.max(second.min(most));
    }

    /// The stored form.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let stored = Stored {
            version: VERSION,
            horizon: self.horizon,
            hold_until: self.hold_until,
            granted: self.granted.iter().map(|(at, n)| (*at, *n)).collect(),
        };
        // Numbers and lists of numbers always have a JSON form.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// When it is none of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        let versioned: Versioned =
            serde_json::from_slice(bytes).map_err(|_error| Unreadable::Corrupt)?;
        if versioned.version > VERSION {
            return Err(Unreadable::Newer);
        }
        let stored: Stored = serde_json::from_slice(bytes).map_err(|_error| Unreadable::Corrupt)?;
        let length = stored.granted.len();
        let granted: BTreeMap<i64, u64> = stored.granted.into_iter().collect();
        if stored.version != VERSION
            || length > MAX_SECONDS
            || granted.len() != length
            || !(0..=i64::from(u32::MAX)).contains(&stored.horizon)
        {
            return Err(Unreadable::Corrupt);
        }
        Ok(Self {
            granted,
            hold_until: stored.hold_until,
            horizon: stored.horizon,
        })
    }

    /// Brings the ledger to the present and says which second grants are counted in.
    fn settle(&mut self, spec: BudgetSpec, now: Timestamp) -> i64 {
        let now = now.as_second();
        let horizon = horizon(spec);
        let newest = self.granted.keys().next_back().copied();
        if newest.is_some_and(|newest| newest > now.saturating_add(horizon)) {
            // Written by a clock that nobody follows any more. What it hides is past after one horizon.
            self.granted.clear();
            self.hold_until = now.saturating_add(horizon).saturating_add(1);
        }
        if self.horizon > 0 && self.horizon < horizon {
            // The window was made longer; grants that it would still count were dropped already.
            let missing = horizon.saturating_sub(self.horizon);
            let until = now.saturating_add(missing).saturating_add(1);
            self.hold_until = self.hold_until.max(until);
        }
        self.horizon = horizon;
        self.hold_until = self.hold_until.min(now.saturating_add(MAX_HOLD));
        // Clocks of instances differ a little: time never goes back here.
        let second = newest
            .filter(|_| !self.granted.is_empty())
            .map_or(now, |newest| newest.max(now));
        self.granted = self
            .granted
            .split_off(&second.saturating_sub(horizon).saturating_add(1));
        second
    }

    /// When the oldest grant stops to count.
    fn next_free(&self, spec: BudgetSpec) -> i64 {
        let oldest = self.granted.keys().next().copied().unwrap_or_default();
        oldest.saturating_add(horizon(spec))
    }
}

/// How many seconds a grant counts.
fn horizon(spec: BudgetSpec) -> i64 {
    let seconds = spec.window() + spec.use_within() + spec.arrive_within();
    i64::try_from(seconds.as_secs())
        .unwrap_or(i64::MAX)
        .saturating_add(1)
}

/// By how many seconds a call that was answered counts less than one of which nothing is known.
fn margin(spec: BudgetSpec) -> i64 {
    let seconds = (spec.use_within() + spec.arrive_within()).saturating_sub(spec.clocks_within());
    i64::try_from(seconds.as_secs()).unwrap_or_default()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
