//! The tokens that one process holds, and what it knows without asking the blob.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::BudgetSpec;
use super::ledger::{Answered, Grant};

/// Tokens taken ahead of demand are expected to be used within this time.
const AHEAD: Duration = Duration::from_millis(250);
/// Share of the budget that is taken ahead of demand at most, so that a dying process loses no more.
const AHEAD_SHARE: u64 = 100;

/// Pairs of seconds, of a grant and an answer, that are kept for the next write; a slice has a handful.
const MAX_ANSWERS: usize = 256;
/// No hold is longer.
const MAX_CLOSED: Duration = Duration::from_secs(24 * 3600);

/// What a process can say by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// Here is a token, counted in this second.
    Token(i64),
    /// There is none before this time.
    ClosedUntil(Timestamp),
    /// The blob must be asked.
    Nothing,
}

/// The tokens in hand.
#[derive(Debug)]
pub(super) struct Local {
    slices: VecDeque<Slice>,
    unused: Vec<Grant>,
    /// Calls by the seconds of their grant and of their answer.
    answered: BTreeMap<(i64, i64), u64>,
    closed: Option<Closed>,
    unsaved_hold: Option<Timestamp>,
    handed_out: u64,
    counted_since: Option<Instant>,
    per_second: f64,
}

/// A time and the same by the monotonic clock: when the wall clock is set back, nobody waits for it to catch up.
#[derive(Debug, Clone, Copy)]
struct Closed {
    until: Timestamp,
    instant: Instant,
}

#[derive(Debug)]
struct Slice {
    grant: Grant,
    granted_at: Timestamp,
    usable_until: Instant,
}

impl Local {
    pub(super) fn new() -> Self {
        Self {
            slices: VecDeque::new(),
            unused: Vec::new(),
            answered: BTreeMap::new(),
            closed: None,
            unsaved_hold: None,
            handed_out: 0,
            counted_since: None,
            per_second: 0.0,
        }
    }

    /// A token if one is in hand and still good.
    pub(super) fn next(&mut self, spec: BudgetSpec, now: Timestamp, instant: Instant) -> Known {
        if let Some(until) = self.closed_until(now, instant) {
            return Known::ClosedUntil(until);
        }
        while let Some(slice) = self.slices.front_mut() {
            // By both clocks: one stands still while a machine sleeps, the other can be set back.
            let is_good = instant < slice.usable_until
                && now.duration_since(slice.granted_at)
                    < SignedDuration::try_from(spec.use_within()).unwrap_or_default();
            if is_good && slice.grant.count > 0 {
                slice.grant.count -= 1;
                self.handed_out += 1;
                return Known::Token(slice.grant.second);
            }
            if let Some(slice) = self.slices.pop_front()
                && slice.grant.count > 0
            {
                self.unused.push(slice.grant);
            }
        }
        Known::Nothing
    }

    /// How many tokens to ask for when `waiting` callers wait.
    pub(super) fn want(&mut self, spec: BudgetSpec, waiting: u64, instant: Instant) -> u64 {
        let since = *self.counted_since.get_or_insert(instant);
        let elapsed = instant.saturating_duration_since(since).as_secs_f64();
        if elapsed >= 0.05 {
            #[expect(
                clippy::cast_precision_loss,
                reason = "an estimate, of numbers far below 2^52"
            )]
            let rate = self.handed_out as f64 / elapsed;
            self.per_second = if elapsed > 2.0 {
                rate
            } else {
                self.per_second.mul_add(0.5, rate * 0.5)
            };
            self.handed_out = 0;
            self.counted_since = Some(instant);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate, never negative; the conversion saturates"
        )]
        let ahead = (self.per_second * AHEAD.as_secs_f64()) as u64;
        let most = u64::from(spec.limit()) / AHEAD_SHARE;
        waiting.max(1).saturating_add(ahead.min(most))
    }

    /// Puts granted tokens in hand; `started` and `granted_at` are from before they were asked for.
    pub(super) fn put(
        &mut self,
        spec: BudgetSpec,
        grant: Grant,
        granted_at: Timestamp,
        started: Instant,
    ) {
        self.slices.push_back(Slice {
            grant,
            granted_at,
            usable_until: started + spec.use_within(),
        });
    }

    fn closed_until(&self, now: Timestamp, instant: Instant) -> Option<Timestamp> {
        self.closed
            .filter(|closed| closed.until > now && closed.instant > instant)
            .map(|closed| closed.until)
    }

    /// Gives no token before this time.
    pub(super) fn close_until(&mut self, until: Timestamp, now: Timestamp, instant: Instant) {
        if self
            .closed_until(now, instant)
            .is_some_and(|closed| closed > until)
        {
            return;
        }
        let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
        self.closed = Some(Closed {
            until,
            instant: instant + wait.min(MAX_CLOSED),
        });
    }

    /// Gives no token before this time, and forgets the ones in hand; the blob is to be told.
    pub(super) fn hold_until(&mut self, until: Timestamp, now: Timestamp, instant: Instant) {
        self.close_until(until, now, instant);
        let held = self.unsaved_hold.map_or(until, |held| held.max(until));
        self.unsaved_hold = Some(held);
        self.unused
            .extend(self.slices.drain(..).map(|slice| slice.grant));
    }

    /// The hold that the blob was not told yet.
    pub(super) fn unsaved_hold(&self) -> Option<Timestamp> {
        self.unsaved_hold
    }

    /// The blob knows this hold now.
    pub(super) fn saved_hold(&mut self, saved: Timestamp) {
        if self.unsaved_hold.is_some_and(|held| held <= saved) {
            self.unsaved_hold = None;
        }
    }

    /// Tokens that were not and will not be used. They are given out once: whether they were given back is not known
    /// when storage fails, and giving back twice would allow too many calls.
    pub(super) fn unused(&mut self) -> Vec<Grant> {
        std::mem::take(&mut self.unused)
    }

    /// Notes that a call granted in `granted` was answered at `now`.
    pub(super) fn note_answer(&mut self, granted: i64, now: Timestamp) {
        if self.answered.len() >= MAX_ANSWERS {
            // Whatever is not told counts a few seconds longer.
            self.answered.pop_first();
        }
        *self.answered.entry((granted, now.as_second())).or_default() += 1;
    }

    /// The calls that were answered since this was last asked. They are given out once, as unused tokens are.
    pub(super) fn answered(&mut self) -> Vec<Answered> {
        let answered = std::mem::take(&mut self.answered).into_iter();
        let told = |((granted, second), count)| Answered {
            grant: Grant {
                count,
                second: granted,
            },
            second,
        };
        answered.map(told).collect()
    }

    /// Answers that certainly nobody was told of.
    pub(super) fn keep_answered(&mut self, answered: Vec<Answered>) {
        for Answered { grant, second } in answered {
            *self.answered.entry((grant.second, second)).or_default() += grant.count;
        }
    }

    /// Unused tokens that were certainly not given back.
    pub(super) fn keep_unused(&mut self, unused: Vec<Grant>) {
        self.unused.extend(unused);
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, Local, MAX_ANSWERS};
    use crate::budget::BudgetSpec;
    use crate::budget::ledger::Grant;
    use jiff::Timestamp;
    use std::time::Duration;
    use tokio::time::Instant;

    fn spec() -> BudgetSpec {
        BudgetSpec::parse("500/300s").expect("a budget")
    }

    fn time(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    const TOKEN: Known = Known::Token(1_800_000_000);
    const THREE: Grant = Grant {
        count: 3,
        second: 1_800_000_000,
    };

    #[test]
    fn tokens_lapse_by_either_clock() {
        let start = Instant::now();
        let late = start + Duration::from_secs(2);
        for (now, instant, expected) in [
            (time(0), start, TOKEN),
            (time(1), start + Duration::from_secs(1), TOKEN),
            (time(-5), start, TOKEN),
            (time(2), start, Known::Nothing),
            (time(0), late, Known::Nothing),
        ] {
            let mut local = Local::new();
            local.put(spec(), THREE, time(0), start);
            assert_eq!(local.next(spec(), now, instant), expected);
            let unused = if expected == TOKEN {
                vec![]
            } else {
                vec![THREE]
            };
            assert_eq!(local.unused(), unused);
            assert_eq!(local.unused(), vec![]);
        }
    }

    #[test]
    fn holds_drop_what_is_in_hand() {
        let start = Instant::now();
        let mut local = Local::new();
        local.put(spec(), THREE, time(0), start);
        assert_eq!(local.next(spec(), time(0), start), TOKEN);
        local.hold_until(time(9), time(0), start);
        assert_eq!(local.unsaved_hold(), Some(time(9)));
        assert_eq!(
            local.next(spec(), time(1), start),
            Known::ClosedUntil(time(9))
        );
        assert_eq!(local.unused(), vec![Grant { count: 2, ..THREE }]);
        local.saved_hold(time(8));
        assert_eq!(local.unsaved_hold(), Some(time(9)));
        local.saved_hold(time(9));
        assert_eq!(local.unsaved_hold(), None);
        assert_eq!(local.next(spec(), time(9), start), Known::Nothing);
        // The wall clock was set back by an hour, and nine seconds went by.
        let later = start + Duration::from_secs(9);
        assert_eq!(local.next(spec(), time(-3600), later), Known::Nothing);
        local.close_until(time(-3590), time(-3600), later);
        assert_eq!(
            local.next(spec(), time(-3600), later),
            Known::ClosedUntil(time(-3590))
        );
    }

    #[test]
    fn answers_are_told_once() {
        let mut local = Local::new();
        local.note_answer(100, time(0));
        local.note_answer(100, time(0));
        local.note_answer(101, time(1));
        let told = local.answered();
        let counts: Vec<_> = told
            .iter()
            .map(|it| (it.grant.second, it.grant.count))
            .collect();
        assert_eq!(counts, [(100, 2), (101, 1)]);
        assert_eq!(local.answered(), vec![]);
        // What certainly nobody heard is told again, with what came since.
        local.note_answer(100, time(0));
        local.keep_answered(told);
        assert_eq!(local.answered()[0].grant.count, 3);
        // However long nothing is written, little is kept.
        for second in 0..10_000 {
            local.note_answer(second, time(second));
        }
        let kept = local.answered();
        assert_eq!(
            (kept.len(), kept[0].grant.second),
            (MAX_ANSWERS, 10_000 - 256)
        );
    }

    #[test]
    fn demand_decides_how_many_are_taken() {
        let start = Instant::now();
        let mut local = Local::new();
        assert_eq!(local.want(spec(), 16, start), 16);
        assert_eq!(local.want(spec(), 0, start), 1);
        // 200 calls in a second: up to a hundredth of the budget is taken ahead.
        for _ in 0..200 {
            local.put(spec(), Grant { count: 1, ..THREE }, time(0), start);
            assert_eq!(local.next(spec(), time(0), start), TOKEN);
        }
        let later = start + Duration::from_secs(1);
        assert_eq!(local.want(spec(), 16, later), 21);
        let large = BudgetSpec::parse("60000/300s").expect("a budget");
        assert_eq!(local.want(large, 16, later), 16 + 25);
        // An hour without calls is forgotten demand.
        let idle = start + Duration::from_secs(3600);
        assert_eq!(local.want(large, 1, idle), 1);
    }
}
