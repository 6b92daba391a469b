//! An index never passes over a blob in which the exact search finds somebody, and passes over nearly all others.

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::encode::{Encoder, chain};
use super::sieve::{BESIDE, escape, identifier, respell, row};
use super::*;
use crate::search::index::{BlobTokens, HEAD, Index, Key, Query, first_part, write};

/// Searches a blob, and says what an index tells of it.
fn indexed(searcher: &Searcher, key: &Key, blob: &[u8]) -> (bool, Summary, BlobTokens) {
    let mut found = Collect::default();
    let mut scan = searcher.scan(Options::default()).with_tokens(key);
    assert!(scan.push(blob, &mut found).is_continue());
    let (summary, tokens) = scan.finish_with_tokens(key.blob("a", "1"), &mut found);
    (
        !found.0.is_empty(),
        summary,
        tokens.expect("they were gathered"),
    )
}

#[test]
fn a_day_is_written_and_read() {
    let key = Key::new(b"a key");
    let searcher = Searcher::new(&[ana()]).expect("good identifiers");
    let query = Query::new(&key, &[ana()]);
    let with = format!("[{},{}]", row("Mail to Ana@Example.com"), row(""));
    let without = format!("[{}]", row("Mail to Anna@Example.com"));
    let cut = format!("[{}", row("x"));
    let mut all = Vec::new();
    for (name, blob) in [("with", &with), ("without", &without), ("cut", &cut)] {
        let mut found = Collect::default();
        let mut scan = searcher.scan(Options::default()).with_tokens(&key);
        assert!(scan.push(blob.as_bytes(), &mut found).is_continue());
        let (_, tokens) = scan.finish_with_tokens(key.blob(name, "1"), &mut found);
        all.extend(tokens);
    }
    let bytes = write(&key, &all);
    let index = Index::read(&key, &bytes).expect("it was written");
    assert_eq!(index.passes_over(key.blob("with", "1"), &query), None);
    assert_eq!(index.passes_over(key.blob("without", "1"), &query), Some(1));
    // Another ETag, another blob.
    assert_eq!(index.passes_over(key.blob("without", "2"), &query), None);
    assert!(Index::read(&Key::new(b"another key"), &bytes).is_none());

    // UUIDs need the first part only; of words it knows nothing then.
    let end = first_part(&key, &bytes[..HEAD]).expect("a head");
    let first = Index::read(&key, &bytes[..usize::try_from(end).expect("short")]).expect("a part");
    assert_eq!(first.passes_over(key.blob("without", "1"), &query), None);
    let uuids = Identifiers {
        install_ids: vec![uuid::Uuid::from_u128(7)],
        ..Identifiers::default()
    };
    let query = Query::new(&key, &[uuids]);
    assert!(query.is_of_uuids());
    assert_eq!(first.passes_over(key.blob("with", "1"), &query), Some(2));
}

#[test]
fn what_is_damaged_is_no_index() {
    let key = Key::new(b"a key");
    let searcher = Searcher::new(&[ana()]).expect("good identifiers");
    let (_, _, tokens) = indexed(&searcher, &key, row("x").as_bytes());
    let bytes = write(&key, &[tokens]);
    for length in 0..bytes.len() {
        let end = first_part(&key, &bytes).and_then(|end| usize::try_from(end).ok());
        let is_part = Some(length) == end;
        let read = Index::read(&key, &bytes[..length]);
        assert_eq!(read.is_some(), is_part, "{length} of {} bytes", bytes.len());
    }
    let mut random = StdRng::seed_from_u64(3);
    for _ in 0..2_000 {
        let mut other = bytes.clone();
        let at = random.random_range(0..other.len());
        other[at] ^= 1 << random.random_range(0..8);
        // Whatever it says, it says it without an end.
        _ = Index::read(&key, &other);
    }
}

#[test]
fn nearly_all_others_are_passed_over() {
    let key = Key::new(b"a key");
    let mut random = StdRng::seed_from_u64(11);
    let searcher = Searcher::new(&[ana()]).expect("good identifiers");
    let blob: Vec<String> = (0..40)
        .map(|n| row(&format!("the {n}th of them")))
        .collect();
    let blob = format!("[{}]", blob.join(","));
    let (_, _, tokens) = indexed(&searcher, &key, blob.as_bytes());
    let bytes = write(&key, &[tokens]);
    assert!(
        bytes.len() * 25 < blob.len(),
        "{} of {}",
        bytes.len(),
        blob.len()
    );
    let index = Index::read(&key, &bytes).expect("it was written");
    let wrong = (0..1_000)
        .filter(|_| {
            let person = Identifiers {
                install_ids: vec![uuid::Uuid::from_u128(random.random())],
                user_ids: vec![format!("u{:x}", random.random::<u64>())],
                ..Identifiers::default()
            };
            let query = Query::new(&key, &[person]);
            index.passes_over(key.blob("a", "1"), &query).is_none()
        })
        .count();
    // Each of the two once in 256 times: eight.
    assert!(wrong < 30, "{wrong}");
}

proptest! {
    #[test]
    fn nobody_is_passed_over(
        (identifiers, text) in identifier(),
        how in 0..8_u8,
        ways in proptest::collection::vec(0..60_u8, 1..24),
        beside in (0..BESIDE.len(), 0..BESIDE.len()),
        encoders in proptest::collection::vec(0..Encoder::ALL.len(), 0..4),
    ) {
        let Ok(searcher) = Searcher::new(std::slice::from_ref(&identifiers)) else {
            return Ok(());
        };
        let key = Key::new(b"a key");
        let query = Query::new(&key, &[identifiers]);
        let inner = format!("{}{}{}", BESIDE[beside.0], escape(&respell(&text, how), &ways), BESIDE[beside.1]);
        let encoders: Vec<Encoder> = encoders.into_iter().map(|at| Encoder::ALL[at]).collect();
        let Some(encoded) = chain(&inner, &encoders) else {
            return Ok(());
        };
        let mut blobs = vec![encoded.clone()];
        if let Ok(plain) = std::str::from_utf8(&encoded) {
            blobs.push(serde_json::json!({ "UserId": plain, "b": row(plain) }).to_string().into_bytes());
        }
        for blob in blobs {
            let (is_found, _, tokens) = indexed(&searcher, &key, &blob);
            let bytes = write(&key, &[tokens]);
            let index = Index::read(&key, &bytes).expect("it was written");
            let passed = index.passes_over(key.blob("a", "1"), &query);
            prop_assert!(!is_found || passed.is_none(), "{}", String::from_utf8_lossy(&blob));
        }
    }
}
