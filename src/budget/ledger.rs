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
mod tests {
    use super::{Answered, Grant, Ledger, Unreadable, horizon, margin};
    use crate::budget::BudgetSpec;
    use jiff::{SignedDuration, Timestamp};
    use proptest::prelude::*;

    fn spec(text: &str) -> BudgetSpec {
        BudgetSpec::parse(text).expect("a budget")
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("a time")
    }

    fn taken(ledger: &mut Ledger, at: i64, want: u64) -> Result<u64, i64> {
        let taken = ledger.take(spec("10/300s"), second(at), want);
        taken
            .map(|grant| grant.count)
            .map_err(|until| until.as_second() - 1_800_000_000)
    }

    #[test]
    fn grants_count_for_a_window_and_its_margins() {
        let mut ledger = Ledger::default();
        assert_eq!(taken(&mut ledger, 0, 4), Ok(4));
        assert_eq!(taken(&mut ledger, 100, 100), Ok(6));
        assert_eq!(taken(&mut ledger, 101, 1), Err(307));
        assert_eq!(taken(&mut ledger, 306, 1), Err(307));
        assert_eq!(taken(&mut ledger, 307, 100), Ok(4));
        assert_eq!(taken(&mut ledger, 308, 1), Err(407));
        // A clock that is behind.
        assert_eq!(taken(&mut ledger, 300, 1), Err(407));
        assert_eq!(taken(&mut ledger, 407, 2), Ok(2));
        assert_eq!(taken(&mut ledger, 400, 9), Ok(4));
    }

    #[test]
    fn tokens_come_back() {
        let mut ledger = Ledger::default();
        let grant = ledger
            .take(spec("10/300s"), second(0), 10)
            .expect("granted");
        ledger.give_back(Grant { count: 3, ..grant });
        assert_eq!(taken(&mut ledger, 1, 10), Ok(3));
        ledger.give_back(Grant {
            count: 99,
            second: 5,
        });
        assert_eq!(taken(&mut ledger, 2, 1), Err(307));
    }

    #[test]
    fn answered_calls_count_less_long() {
        let answered = |ledger: &mut Ledger, granted: i64, count: u64, at: i64| {
            let second = |second: i64| 1_800_000_000 + second;
            let grant = Grant {
                count,
                second: second(granted),
            };
            let second = second(at);
            ledger.answered(spec("10/300s"), Answered { grant, second });
        };
        let mut ledger = Ledger::default();
        assert_eq!(taken(&mut ledger, 0, 10), Ok(10));
        // Three at once, two after two seconds, one when the clock was set back; of four nothing is known.
        answered(&mut ledger, 0, 3, 0);
        answered(&mut ledger, 0, 2, 2);
        answered(&mut ledger, 0, 1, -50);
        assert_eq!(taken(&mut ledger, 302, 9), Err(303));
        assert_eq!(taken(&mut ledger, 303, 9), Ok(4));
        assert_eq!(taken(&mut ledger, 304, 9), Err(305));
        assert_eq!(taken(&mut ledger, 305, 9), Ok(2));
        assert_eq!(taken(&mut ledger, 306, 9), Err(307));
        assert_eq!(taken(&mut ledger, 307, 9), Ok(4));
        // A late answer, one of a grant that nobody knows, and more answers than calls change nothing.
        let before = ledger.clone();
        answered(&mut ledger, 303, 4, 307);
        answered(&mut ledger, 100, 1, 100);
        assert_eq!(ledger, before);
        answered(&mut ledger, 305, 99, 305);
        assert_eq!(ledger.counted(), 10);
    }

    #[test]
    fn holds_hold() {
        let mut ledger = Ledger::default();
        let until = second(60) + SignedDuration::from_millis(1);
        ledger.hold(second(0), until);
        ledger.hold(second(0), second(30));
        assert_eq!(taken(&mut ledger, 60, 1), Err(61));
        assert_eq!(taken(&mut ledger, 61, 1), Ok(1));
        ledger.hold(second(61), Timestamp::MAX);
        assert_eq!(taken(&mut ledger, 62, 1), Err(61 + 24 * 3600));
    }

    #[test]
    fn the_unknown_is_full() {
        let mut ledger = Ledger::unknown(spec("10/300s"), second(0));
        assert_eq!(taken(&mut ledger, 307, 1), Err(308));
        assert_eq!(taken(&mut ledger, 308, 1), Ok(1));
        // A ledger far ahead of the clock.
        let mut ledger = Ledger::default();
        assert_eq!(taken(&mut ledger, 1_000_000, 5), Ok(5));
        assert_eq!(taken(&mut ledger, 0, 5), Err(308));
        assert_eq!(taken(&mut ledger, 308, 99), Ok(10));
        // A window that was made longer.
        let mut ledger = Ledger::default();
        let short = ledger.take(spec("10/60s"), second(0), 10);
        assert!(short.is_ok());
        assert_eq!(taken(&mut ledger, 64, 1), Err(64 + 307 - 64 + 1));
        // And one that was made shorter.
        let mut ledger = Ledger::default();
        assert_eq!(taken(&mut ledger, 0, 10), Ok(10));
        assert!(ledger.take(spec("10/60s"), second(64), 1).is_ok());
    }

    #[test]
    fn stored_forms_are_checked() {
        let mut ledger = Ledger::default();
        assert_eq!(taken(&mut ledger, 5, 2), Ok(2));
        let bytes = ledger.to_bytes();
        assert_eq!(Ledger::from_bytes(&bytes), Ok(ledger));
        for (text, expected) in [
            ("", Unreadable::Corrupt),
            ("{}", Unreadable::Corrupt),
            ("[1]", Unreadable::Corrupt),
            (r#"{"version":1}"#, Unreadable::Corrupt),
            (
                r#"{"version":0,"horizon":1,"hold_until":0,"granted":[]}"#,
                Unreadable::Corrupt,
            ),
            (
                r#"{"version":1,"horizon":-1,"hold_until":0,"granted":[]}"#,
                Unreadable::Corrupt,
            ),
            (
                r#"{"version":1,"horizon":1,"hold_until":0,"granted":[[1,-1]]}"#,
                Unreadable::Corrupt,
            ),
            (
                r#"{"version":1,"horizon":1,"hold_until":0,"granted":[[1,1],[1,1]]}"#,
                Unreadable::Corrupt,
            ),
            (r#"{"version":2,"anything":true}"#, Unreadable::Newer),
        ] {
            assert_eq!(Ledger::from_bytes(text.as_bytes()), Err(expected), "{text}");
        }
    }

    /// One step of an instance: how many milliseconds later, how many tokens, and what becomes of them.
    type Step = (u16, u64, u8, u16, u16);

    fn most_in_a_window(mut uses: Vec<i64>, window: i64) -> usize {
        uses.sort_unstable();
        let mut first = 0;
        let mut most = 0;
        for (last, at) in uses.iter().enumerate() {
            while uses[first] < at - window {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }

    proptest! {
        #[test]
        fn no_window_is_over_the_limit(
            steps in proptest::collection::vec(
                (0_u16..4000, 1_u64..40, 0_u8..10, 0_u16..1000, 0_u16..1000), 1..400),
            limit in 1_u32..60,
            window in 1_u32..120,
        ) {
            let spec = spec(&format!("{limit}/{window}s"));
            let use_within = i64::try_from(spec.use_within().as_millis()).expect("small");
            let arrive_within = i64::try_from(spec.arrive_within().as_millis()).expect("small");
            let start = 1_800_000_000_000_i64;
            let (mut now, mut ledger, mut uses) = (start, Ledger::default(), Vec::new());
            // When an instance hears of it, its clock, and what it will tell.
            let mut answers: Vec<(i64, i64, i64)> = Vec::new();
            for (later, want, fate, waited, travelled) in steps as Vec<Step> {
                now += i64::from(later);
                // Another instance's clock, behind or ahead; what a call travels makes up the rest of the margin.
                let skew = arrive_within / 2 * (i64::from(fate % 3) - 1) / 2;
                let at = Timestamp::from_millisecond(now + skew).expect("a time");
                let mut next = Ledger::from_bytes(&ledger.to_bytes()).expect("as written");
                let mut later = answers.clone();
                if fate % 2 == 0 {
                    later.retain(|(heard, skew, second)| {
                        if *heard > now {
                            return true;
                        }
                        let grant = Grant { count: 1, second: *second };
                        let second = (heard + skew).div_euclid(1000);
                        next.answered(spec, Answered { grant, second });
                        false
                    });
                }
                let Ok(grant) = next.take(spec, at, want) else {
                    (ledger, answers) = (next, later);
                    continue;
                };
                prop_assert!(grant.count <= want);
                match fate {
                    // Another instance was first: nothing is saved, nothing is used.
                    0 => continue,
                    // Saved, then the instance died.
                    1 => { (ledger, answers) = (next, later); continue }
                    // Saved, half of it used, half given back at once or later.
                    2 => {
                        let back = grant.count / 2;
                        next.give_back(Grant { count: back, second: grant.second });
                        let used = grant.count - back;
                        uses.extend((0..used).map(|_| now));
                    }
                    // Used as late as can be.
                    3 => uses.extend((0..grant.count).map(|_| now + use_within + arrive_within / 2)),
                    // Used some time, each on its own.
                    _ => uses.extend((0..grant.count).map(|n| {
                        let part = i64::from(waited) * (i64::try_from(n).expect("small") + 1) % 1000;
                        let used = now + use_within * part / 1000
                            + arrive_within / 2 * i64::from(travelled) / 1000;
                        // Some are answered at once, some later, some never.
                        if n % 4 > 0 {
                            let n = i64::try_from(n % 4 - 1).expect("small");
                            later.push((used + n * i64::from(travelled), skew, grant.second));
                        }
                        used
                    })),
                }
                (ledger, answers) = (next, later);
            }
            let window = i64::from(window) * 1000;
            let most = most_in_a_window(uses, window);
            prop_assert!(most <= usize::try_from(limit).expect("small"), "{most} of {limit}");
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read = Ledger::from_bytes(&bytes);
        }
    }

    #[test]
    fn nearly_all_of_the_budget_can_be_used() {
        for text in ["500/300s", "60000/300s"] {
            let spec = spec(text);
            let mut ledger = Ledger::default();
            let mut used = 0_u64;
            let seconds = 300 * 40;
            for now in 0..seconds {
                // Twice what the budget gives.
                let want = u64::from(spec.limit()) / 150;
                if let Ok(grant) = ledger.take(spec, second(now), want) {
                    used += grant.count;
                }
            }
            let budget = u64::from(spec.limit()) * 40;
            assert!(used * 100 >= budget * 97, "{used} of {budget}");
            assert!(ledger.to_bytes().len() < 8 * 1024);
            assert!(ledger.granted.len() <= usize::try_from(horizon(spec)).expect("small"));
        }
    }

    /// As fast machines do it: all that there is within 100 seconds.
    #[test]
    fn bursts_lose_little_where_calls_are_answered() {
        let spec = spec("100000/300s");
        let least = |answers: bool| {
            let (mut ledger, mut used) = (Ledger::default(), Vec::new());
            for now in 0..1500 {
                let grant = ledger.take(spec, second(now), 1000).ok();
                used.push(grant.map_or(0, |grant| grant.count));
                if let (true, Some(grant)) = (answers, grant) {
                    let second = grant.second;
                    ledger.answered(spec, Answered { grant, second });
                }
            }
            let windows = used.windows(300).map(|window| window.iter().sum::<u64>());
            windows.min().unwrap_or_default()
        };
        assert_eq!((least(false), least(true)), (93_000, 97_000));
        assert_eq!(margin(spec), 4);
    }
}
