//! Any sequence of calls leaves what a map would hold.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::{app, file, key};
use crate::ledger::{Counts, Entry, Key};

#[derive(Debug, Clone)]
enum Call {
    Insert(Vec<Key>),
    Mark(Vec<Key>),
    Reset(Vec<Key>),
    Unretrieved(Option<Key>, usize),
    All(Option<Key>, usize),
    Counts,
    Drop,
}

/// Few keys, so that calls meet; their order differs by where the slash is.
fn keys() -> impl Strategy<Value = Key> {
    "[01aA-]{1,2}/[01aA-]{1,2}".prop_map(|text| key(&text))
}

fn calls() -> impl Strategy<Value = Call> {
    let many = || proptest::collection::vec(keys(), 0..20);
    let after = || proptest::option::of(keys());
    prop_oneof![
        4 => many().prop_map(Call::Insert),
        3 => many().prop_map(Call::Mark),
        1 => many().prop_map(Call::Reset),
        3 => (after(), 0..12_usize).prop_map(|(after, limit)| Call::Unretrieved(after, limit)),
        2 => (after(), 0..12_usize).prop_map(|(after, limit)| Call::All(after, limit)),
        2 => Just(Call::Counts),
        1 => Just(Call::Drop),
    ]
}

/// Sets those that are there and are not yet so; how many that were.
fn set(model: &mut BTreeMap<Key, bool>, keys: &[Key], to: bool) -> u64 {
    let mut changed = 0;
    for key in keys {
        if let Some(is_retrieved) = model.get_mut(key).filter(|it| **it != to) {
            *is_retrieved = to;
            changed += 1;
        }
    }
    changed
}

async fn run(calls: Vec<Call>) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let ledgers = [file(&path), file(&path)];
    let mut model: BTreeMap<Key, bool> = BTreeMap::new();
    for (n, call) in calls.into_iter().enumerate() {
        let ledger = &ledgers[n % 2];
        let after = |model: &BTreeMap<Key, bool>, after: &Option<Key>| -> Vec<Entry> {
            let is_after = |key: &Key| after.as_ref().is_none_or(|after| key > after);
            let entries = model.iter().filter(|(key, _)| is_after(key));
            entries
                .map(|(key, is_retrieved)| Entry {
                    key: key.clone(),
                    is_retrieved: *is_retrieved,
                })
                .collect()
        };
        match call {
            Call::Insert(keys) => {
                let before = model.len();
                for key in &keys {
                    model.entry(key.clone()).or_insert(false);
                }
                let new = u64::try_from(model.len() - before).expect("it fits");
                prop_assert_eq!(ledger.insert(app(), &keys).await, Ok(new));
            }
            Call::Mark(keys) => {
                let changed = set(&mut model, &keys, true);
                prop_assert_eq!(ledger.mark_retrieved(app(), &keys).await, Ok(changed));
            }
            Call::Reset(keys) => {
                let changed = set(&mut model, &keys, false);
                prop_assert_eq!(ledger.reset(app(), &keys).await, Ok(changed));
            }
            Call::Unretrieved(from, limit) => {
                let entries = after(&model, &from).into_iter();
                let left = entries.filter(|entry| !entry.is_retrieved);
                let expected: Vec<Key> = left.map(|entry| entry.key).take(limit).collect();
                let found = ledger.unretrieved(app(), from.as_ref(), limit).await;
                prop_assert_eq!(found, Ok(expected));
            }
            Call::All(from, limit) => {
                let mut expected = after(&model, &from);
                expected.truncate(limit);
                prop_assert_eq!(ledger.all(app(), from.as_ref(), limit).await, Ok(expected));
            }
            Call::Counts => {
                let retrieved = model.values().filter(|it| **it).count();
                let expected = Counts {
                    total: u64::try_from(model.len()).expect("it fits"),
                    retrieved: u64::try_from(retrieved).expect("it fits"),
                };
                prop_assert_eq!(ledger.counts(app()).await, Ok(expected));
            }
            Call::Drop => {
                model.clear();
                prop_assert_eq!(ledger.drop_app(app()).await, Ok(()));
            }
        }
    }
    Ok(())
}

#[test]
fn a_file_is_as_good_as_a_map() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let config = Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    };
    proptest!(config, |(calls in proptest::collection::vec(calls(), 1..40))| {
        runtime.block_on(run(calls))?;
    });
}
