//! The arithmetic, and that no window is ever over the limit.

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
