//! Waves over items in memory.

use std::cell::Cell;
use std::sync::Mutex;

use super::*;

/// Keeps nothing, and has time for so many waves.
struct Memory {
    waves: Cell<usize>,
}

impl<T: Sync> Keeper<T> for Memory {
    async fn save(&mut self, _items: &Items<T>, _progressed: bool) -> Result<(), StageError> {
        Ok(())
    }

    fn is_out_of_time(&self) -> bool {
        self.waves.set(self.waves.get().saturating_sub(1));
        self.waves.get() == 0
    }
}

const ITEMS: usize = 50;

/// One invocation with time for some waves; the calls that it made, in order.
async fn invoke(
    items: &mut Items<usize>,
    waves: usize,
    answer: impl Fn(usize) -> Fated + Sync,
) -> (Result<Outcome, StageError>, Vec<usize>) {
    let called = Mutex::new(Vec::new());
    let mut keeper = Memory {
        waves: Cell::new(waves),
    };
    let outcome = super::waves(items, &mut keeper, |n, _earlier| {
        called.lock().expect("no panic").push(n);
        let fated = answer(n);
        async move { fated }
    })
    .await;
    (outcome, called.into_inner().expect("no panic"))
}

fn stuck(n: usize) -> Fated {
    Err(StageError::retry(format!("stuck at {n}")).into())
}

#[tokio::test]
async fn what_is_stuck_in_front_does_not_stop_the_rest() {
    let mut items = Items::new(0..ITEMS);
    let answer = |n| {
        if n < WAVE {
            stuck(n)
        } else {
            Ok((Fate::Done, None))
        }
    };
    let (outcome, called) = invoke(&mut items, 100, answer).await;
    assert!(
        matches!(outcome, Err(StageError::Retry { .. })),
        "{outcome:?}"
    );
    assert_eq!(called.len(), ITEMS, "each is called once an invocation");
    let done = items.items.iter().filter(|it| it.fate == Some(Fate::Done));
    assert_eq!(done.count(), ITEMS - WAVE);
    let (_, called) = invoke(&mut items, 100, answer).await;
    assert_eq!(called.len(), WAVE, "only what is open is called again");
    let (outcome, _) = invoke(&mut items, 100, |_| Ok((Fate::Done, None))).await;
    assert!(
        matches!(
            outcome,
            Ok(Outcome::Over(SliceEnd {
                done: 50,
                failed: 0,
                ..
            }))
        ),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn each_has_its_turn_however_short_an_invocation_is() {
    let mut items = Items::new(0..ITEMS);
    let mut turns = vec![0_u32; ITEMS];
    for _ in 0..6 {
        let (outcome, called) = invoke(&mut items, 1, stuck).await;
        assert!(outcome.is_err(), "it counts as a try");
        called.into_iter().for_each(|n| turns[n] += 1);
    }
    assert!(turns.iter().all(|n| (2..=3).contains(n)), "{turns:?}");
}

#[tokio::test]
async fn a_throttled_call_stops_all_and_is_nobodys_failure() {
    let mut items = Items::new(0..ITEMS);
    let answer = |_| {
        Err(StageError::Retry {
            reason: "no calls are left".to_owned(),
            wait: Wait::Throttled(jiff::Timestamp::UNIX_EPOCH),
        }
        .into())
    };
    let (outcome, called) = invoke(&mut items, 100, answer).await;
    assert!(outcome.is_err());
    assert_eq!(called.len(), WAVE);
    assert!(
        items
            .items
            .iter()
            .all(|it| it.stops == 0 && it.stopped.is_none())
    );
}

#[tokio::test]
async fn what_is_given_up_fails_with_its_own_reason() {
    let mut items = Items::new(0..2);
    let (_, _) = invoke(&mut items, 100, |n| match n {
        0 => stuck(0),
        _ => Ok((Fate::Done, None)),
    })
    .await;
    items.items.push(Items::new([2]).items.remove(0));
    let end = items.give_up("somebody else's");
    assert_eq!((end.done, end.failed), (1, 2));
    let fates: Vec<_> = items.items.into_iter().filter_map(|it| it.fate).collect();
    let failed = |reason: &str| Fate::Failed(reason.to_owned());
    assert_eq!(
        fates,
        [failed("stuck at 0"), Fate::Done, failed("somebody else's")]
    );
}
