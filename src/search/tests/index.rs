//! An index never passes over a blob in which the exact search finds somebody, and passes over nearly all others.

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::encode::{Encoder, chain};
use super::sieve::{BESIDE, escape, identifier, respell, row};
use super::*;
use crate::search::index::{BlobTokens, HEAD, Index, Key, Known, Query, first_part, write};

pub(super) fn key() -> Key {
    Key::new(b"a key")
}

/// How the only blob of an index is known.
fn only() -> u64 {
    key().blob("a", "1")
}

/// What an index tells of a blob.
pub(super) fn tokens(blob: &[u8], number: u64, options: Options<'_>) -> BlobTokens {
    let mut nothing = Collect::default();
    let nobody = Searcher::of_nobody();
    let mut scan = nobody.scan(options).with_tokens(&key());
    assert!(scan.push(blob, &mut nothing).is_continue());
    let (_, tokens) = scan.finish_with_tokens(number, &mut nothing);
    assert!(nothing.0.is_empty());
    tokens.expect("they were gathered")
}

fn index(blob: &[u8], options: Options<'_>) -> Index {
    let bytes = write(&key(), &[tokens(blob, only(), options)]);
    Index::read(&key(), &bytes).expect("it was written")
}

/// Each identifier alone, in the order of the engine.
fn alone(of: &Identifiers) -> Vec<Identifiers> {
    let none = Identifiers::default;
    let mut all = Vec::new();
    all.extend(of.install_ids.iter().map(|it| Identifiers {
        install_ids: vec![*it],
        ..none()
    }));
    all.extend(of.user_ids.iter().map(|it| Identifiers {
        user_ids: vec![it.clone()],
        ..none()
    }));
    all.extend(of.emails.iter().map(|it| Identifiers {
        emails: vec![it.clone()],
        ..none()
    }));
    all.extend(of.terms.iter().map(|it| Identifiers {
        terms: vec![it.clone()],
        ..none()
    }));
    all.extend(of.report_ids.iter().map(|it| Identifiers {
        report_ids: vec![*it],
        ..none()
    }));
    all.extend(of.literals.iter().map(|it| Identifiers {
        literals: vec![it.clone()],
        ..none()
    }));
    all
}

/// Asserts that an index of the blob does not pass over it for any of the identifiers that were found, nor for all of them.
pub(super) fn check(identifiers: &Identifiers, blob: &[u8], options: Options<'_>, found: &[Found]) {
    if found.is_empty() {
        return;
    }
    let index = index(blob, options);
    let shown = String::from_utf8_lossy(blob);
    let alone = alone(identifiers);
    for hit in found.iter().flat_map(|it| &it.hits) {
        let query = Query::new(&key(), &alone[hit.identifier..=hit.identifier]);
        let passed = index.passes_over(only(), &query);
        assert_eq!(passed, None, "{}: {shown}", hit.identifier);
    }
    let query = Query::new(&key(), std::slice::from_ref(identifiers));
    assert_eq!(index.passes_over(only(), &query), None, "{shown}");
}

/// Whether the exact search finds somebody; asserts that an index does not pass over the blob then.
fn is_found(identifiers: &Identifiers, blob: &[u8]) -> bool {
    let Ok(searcher) = Searcher::new(std::slice::from_ref(identifiers)) else {
        return false;
    };
    let all = Options {
        is_exhaustive: true,
        ..Options::default()
    };
    let (found, _) = run(&searcher, std::iter::once(blob), all);
    check(identifiers, blob, Options::default(), &found);
    !found.is_empty()
}

fn of_install_id(id: u128) -> Identifiers {
    Identifiers {
        install_ids: vec![uuid::Uuid::from_u128(id)],
        ..Identifiers::default()
    }
}

#[test]
fn a_day_is_written_and_read() {
    let key = key();
    let query = Query::new(&key, &[ana()]);
    let with = format!("[{},{}]", row("Mail to Ana@Example.com"), row(""));
    let without = format!("[{}]", row("Mail to Anna@Example.com"));
    let all: Vec<BlobTokens> = [("with", &with), ("without", &without)]
        .map(|(name, blob)| tokens(blob.as_bytes(), key.blob(name, "1"), Options::default()))
        .map(|tokens| tokens.with_notes([1 << 40, 3]))
        .to_vec();
    let known = |records| {
        Some(Known {
            records,
            notes: [1 << 40, 3],
        })
    };
    let bytes = write(&key, &all);
    let index = Index::read(&key, &bytes).expect("it was written");
    assert_eq!(index.passes_over(key.blob("with", "1"), &query), None);
    assert_eq!(
        index.passes_over(key.blob("without", "1"), &query),
        known(1)
    );
    // Another ETag, another blob.
    assert!(index.knows(key.blob("without", "1")) && !index.knows(key.blob("without", "2")));
    assert_eq!(index.passes_over(key.blob("without", "2"), &query), None);
    assert!(Index::read(&Key::new(b"another key"), &bytes).is_none());
    // Nobody is in no blob.
    let nobody = Query::new(&key, &[]);
    assert_eq!(index.passes_over(key.blob("with", "1"), &nobody), known(2));

    // What was read can be written again, with more.
    let mut again = index.into_blobs();
    assert_eq!(write(&key, &again), bytes);
    again.push(tokens(b"{}", key.blob("more", "1"), Options::default()));
    let more = Index::read(&key, &write(&key, &again)).expect("it was written");
    assert!(more.knows(key.blob("more", "1")) && more.knows(key.blob("with", "1")));
    // A blob of which two things are told is not known.
    again.push(tokens(b"[{}]", key.blob("more", "1"), Options::default()).with_notes([1, 1]));
    again.push(again[0].clone());
    let more = Index::read(&key, &write(&key, &again)).expect("it was written");
    assert!(!more.knows(key.blob("more", "1")) && more.knows(key.blob("with", "1")));
}

#[test]
fn uuids_need_the_first_part_only() {
    let key = key();
    let blob = format!("[{},{}]", row("Mail to Ana@Example.com"), row(""));
    let bytes = write(&key, &[tokens(blob.as_bytes(), only(), Options::default())]);
    let end = first_part(&key, &bytes[..HEAD]).expect("a head");
    let first = Index::read(&key, &bytes[..usize::try_from(end).expect("short")]).expect("a part");
    let query = Query::new(&key, &[of_install_id(7)]);
    assert!(query.is_of_uuids());
    let passed = first.passes_over(only(), &query);
    assert_eq!(passed.map(|known| known.records), Some(2));
    // Of words it knows nothing, and what it does not know cannot be written again.
    let query = Query::new(&key, &[ana()]);
    assert!(!query.is_of_uuids());
    assert_eq!(first.passes_over(only(), &query), None);
    assert!(first.into_blobs().is_empty());
}

#[test]
fn what_is_damaged_is_no_index() {
    let key = key();
    let bytes = write(
        &key,
        &[tokens(row("x").as_bytes(), only(), Options::default())],
    );
    let end = first_part(&key, &bytes).and_then(|end| usize::try_from(end).ok());
    for length in 0..bytes.len() {
        let read = Index::read(&key, &bytes[..length]);
        let is_part = Some(length) == end;
        assert_eq!(read.is_some(), is_part, "{length} of {} bytes", bytes.len());
    }
    for bit in 0..bytes.len() * 8 {
        let mut other = bytes.clone();
        other[bit / 8] ^= 1 << (bit % 8);
        assert!(Index::read(&key, &other).is_none(), "{bit}");
    }
}

#[test]
fn what_was_not_searched_is_read() {
    struct Stop;
    impl Sink for Stop {
        fn matched(&mut self, _found: &Match<'_>) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    let passes = |tokens: BlobTokens| {
        let index = Index::read(&key(), &write(&key(), &[tokens])).expect("it was written");
        let query = Query::new(&key(), &[of_install_id(7)]);
        assert!(index.knows(only()));
        index.passes_over(only(), &query).is_some()
    };
    let small = Options {
        max_record: 100,
        ..Options::default()
    };
    let row = row("").into_bytes();
    assert!(passes(tokens(&row, only(), Options::default())));
    assert!(!passes(tokens(&row, only(), small)));
    let gzip = Encoder::Gzip.encode(&row).expect("bytes");
    assert!(passes(tokens(&gzip, only(), Options::default())));
    let cut = &gzip[..gzip.len() - 20];
    assert!(!passes(tokens(cut, only(), Options::default())));
    // A sink that breaks off, at once or at the end.
    let searcher = Searcher::new(&[ana()]).expect("good identifiers");
    for blob in [
        br#"{"UserId":"u-20417"}"#.repeat(9_000),
        br#"{"UserId":"u-20417"}"#.repeat(2),
    ] {
        let mut scan = searcher.scan(Options::default()).with_tokens(&key());
        _ = scan.push(&blob, &mut Stop);
        let (_, tokens) = scan.finish_with_tokens(only(), &mut Stop);
        assert!(!passes(tokens.expect("they were gathered")));
    }
}

/// The words of a UUID are in no set; a term may be one of them, an identifier of another kind may not.
#[test]
fn terms_inside_of_uuids() {
    let uuid = "e589a371-ea0c-4479-9a7b-9f834adec040";
    for term in [
        "ea0c",
        "EA0C",
        "4479",
        "e589a371-ea0c",
        "-9a7b-",
        "9F834adec040",
        "9f834adec040 gil",
        "-9f834adec040 Gil",
        uuid,
        "Gil",
    ] {
        let person = Identifiers {
            terms: vec![term.to_owned()],
            ..Identifiers::default()
        };
        let blob = format!("{{\"a\":\"x {uuid} Gil y\"}}");
        assert!(is_found(&person, blob.as_bytes()), "{term}");
    }
    for id in ["ea0c", "e589a371", "9f834adec040", "-9a7b-", "0-Gil"] {
        let person = Identifiers {
            user_ids: vec![id.to_owned()],
            ..Identifiers::default()
        };
        let blob = format!("{{\"a\":\"x {uuid}-Gil y\"}}");
        assert!(!is_found(&person, blob.as_bytes()), "{id}");
    }
}

#[test]
fn nearly_all_others_are_passed_over() {
    let key = key();
    let mut random = StdRng::seed_from_u64(11);
    let blob: Vec<String> = (0..40)
        .map(|n| row(&format!("the {n}th of them")))
        .collect();
    let blob = format!("[{}]", blob.join(","));
    let bytes = write(&key, &[tokens(blob.as_bytes(), only(), Options::default())]);
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
                user_ids: vec![format!("u{:x}", random.random::<u64>())],
                ..of_install_id(random.random())
            };
            let query = Query::new(&key, &[person]);
            index.passes_over(only(), &query).is_none()
        })
        .count();
    // Each of the two once in 256 times: eight.
    assert!(wrong < 30, "{wrong}");
}

/// An index holds as long as the exact search looks at the same texts.
#[test]
fn the_version_stands_for_what_is_looked_at() {
    let texts = [
        "Ana D\u{ed}az, STRA\u{df}E 7; \u{7530}\u{4e2d}-ana@b\u{fc}cher.example",
        "{\"UserId\":20417,\"a\":\"{\\\"b\\\":[\\\"c\\\\u0041\\\",1.50]}\",\"e589a371ea0c44799a7b9f834adec040\":null}",
        "x%20y&amp;z&#43;w C:\\temp\\new \\u0062",
        "say YW5hQGV4YW1wbGUuY29t, and \u{130}\u{3a9}\u{3c2}\u{212a}",
    ];
    let mut blobs: Vec<Vec<u8>> = texts.map(|text| text.as_bytes().to_vec()).to_vec();
    for encoder in Encoder::ALL {
        blobs.extend(chain(texts[0], &[encoder]));
        blobs.extend(chain(texts[3], &[Encoder::Base64, encoder]));
    }
    let all: Vec<BlobTokens> = (0..)
        .zip(&blobs)
        .map(|(number, blob)| tokens(blob, number, Options::default()))
        .collect();
    let bytes = write(&key(), &all);
    let end = bytes.len() - 8;
    let seal = u64::from_le_bytes(bytes[end..].try_into().expect("eight bytes"));
    assert_eq!(
        seal, 0x96a0_e75a_d56b_5c6c,
        "{seal:#x}: what the exact search looks at has changed. Raise the version in the index's MAGIC, so that indexes that were \
         written before are no longer used, and then the number here."
    );
}

/// What identifiers and texts are made of, with all that changes where a word ends or how it is compared.
const PIECES: &str = "([a-zA-Z0-9]{1,6}|[-._+/: \"{}%&;#=|@\\\\]|e589a371-ea0c-4479-9a7b-9f834adec040|0B1C2D3E4F5061728394A5B6C7D8E9F0|[0-9a-f]{8}|[0-9A-F]{4}|-[0-9a-f]{4}-|[0-9a-f]{12}|@b\u{fc}cher\\.example|@BU\u{308}CHER\\.example|@xn--bcher-kva\\.example|@x\\.org|[a-f0-9]{60,70}|\u{e9}|e\u{301}|\u{301}|\u{345}|\u{df}|\u{17f}|\u{212a}|\u{130}|\u{131}|\u{3a9}|\u{2126}|\u{3a3}\u{3c2}|\u{1f80}|\u{fb01}|\u{149}|\u{7530}|\u{4e2d}\u{592a}|\u{e01}\u{e31}|\u{e5a}|\u{3005}|\u{ff76}\u{ff9e}|\u{3042}\u{3099}|\u{ac00}|\u{1100}\u{1161}|\u{200d}|\u{ad}|\u{a0}|\u{3000}|\u{1f600}|\u{fe0f}|\u{c9}|\u{130}\u{307}|\u{ba}|\u{b2}|\u{2160}|\u{ff21}|\u{fffd}){1,9}";

proptest! {
    #[test]
    fn nobody_is_passed_over(
        (identifiers, text) in identifier(),
        how in 0..8_u8,
        ways in proptest::collection::vec(0..60_u8, 1..24),
        beside in (0..BESIDE.len(), 0..BESIDE.len()),
        encoders in proptest::collection::vec(0..Encoder::ALL.len(), 0..4),
    ) {
        let inner = format!("{}{}{}", BESIDE[beside.0], escape(&respell(&text, how), &ways), BESIDE[beside.1]);
        let encoders: Vec<Encoder> = encoders.into_iter().map(|at| Encoder::ALL[at]).collect();
        let Some(encoded) = chain(&inner, &encoders) else {
            return Ok(());
        };
        is_found(&identifiers, &encoded);
        if let Ok(plain) = std::str::from_utf8(&encoded) {
            let whole = serde_json::json!({ "UserId": plain, "b": row(plain) });
            is_found(&identifiers, whole.to_string().as_bytes());
        }
    }

    /// Any part of a text, wherever it begins and ends, is an identifier of some kind.
    #[test]
    fn no_part_is_passed_over(
        text in PIECES,
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
        how in 0..8_u8,
        ways in proptest::collection::vec(0..60_u8, 1..24),
        beside in (0..BESIDE.len(), 0..BESIDE.len()),
    ) {
        let chars: Vec<char> = text.chars().collect();
        let (from, to) = (from.index(chars.len()), to.index(chars.len()));
        let part: String = chars[from.min(to)..=from.max(to)].iter().collect();
        let inner = format!("{}{}{}", BESIDE[beside.0], escape(&respell(&text, how), &ways), BESIDE[beside.1]);
        let blobs = [
            inner.clone(),
            format!("{{\"UserId\":{inner},\"b\":[{text}]}}"),
            serde_json::json!({ "UserId": text, "b": row(&inner) }).to_string(),
        ];
        for identifiers in [
            Identifiers { user_ids: vec![part.clone()], ..Identifiers::default() },
            Identifiers { emails: vec![part.clone()], ..Identifiers::default() },
            Identifiers { terms: vec![part.clone()], ..Identifiers::default() },
            Identifiers { literals: vec![part.clone()], ..Identifiers::default() },
        ] {
            for blob in &blobs {
                is_found(&identifiers, blob.as_bytes());
            }
        }
    }
}
