//! The engine as a whole: every case as one slice, in chunks of one byte and in chunks of any size, with equal results.

mod corpus;
mod encode;
mod index;
mod index_many;
mod layouts;
mod limits;
mod look_alikes;
mod planted;
mod positives;
mod properties;
mod replay;
mod sieve;

use std::ops::ControlFlow;

use super::*;

/// The person whom the cases look for. Her identifiers have the indices 0 to 10, in this order.
pub(super) fn ana() -> Identifiers {
    Identifiers {
        install_ids: vec![
            "e589a371-ea0c-4479-9a7b-9f834adec040"
                .parse()
                .expect("a UUID"),
        ],
        user_ids: ["u-20417", "20417", "a7", "auth0|Añb.c"]
            .map(str::to_owned)
            .to_vec(),
        emails: ["ana@example.com", "ana@bücher.example"]
            .map(str::to_owned)
            .to_vec(),
        terms: ["Ana Díaz", "Straße", "田中太郎"]
            .map(str::to_owned)
            .to_vec(),
        report_ids: vec![
            "0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"
                .parse()
                .expect("a UUID"),
        ],
        literals: vec!["2026/11/20/09/00/crashes/x.json".to_owned()],
    }
}

/// What was found in one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) record: u64,
    pub(super) offset: u64,
    pub(super) length: u64,
    pub(super) decoded: bool,
    pub(super) oversized: bool,
    pub(super) hits: Vec<Hit>,
}

impl Found {
    /// The identifiers found, in order, with the mark of what is less than exact.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .hits
            .iter()
            .map(|hit| match hit.strength {
                Strength::Exact => hit.identifier.to_string(),
                Strength::Token => format!("{}t", hit.identifier),
                Strength::Word => format!("{}w", hit.identifier),
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

#[derive(Default)]
pub(super) struct Collect(pub(super) Vec<Found>);

impl Sink for Collect {
    fn matched(&mut self, found: &Match<'_>) -> ControlFlow<()> {
        self.0.push(Found {
            record: found.record,
            offset: found.offset,
            length: found.length,
            decoded: found.decoded,
            oversized: found.oversized,
            hits: found.hits.to_vec(),
        });
        ControlFlow::Continue(())
    }
}

fn run<'a>(
    searcher: &Searcher,
    chunks: impl Iterator<Item = &'a [u8]>,
    options: Options<'_>,
) -> (Vec<Found>, Summary) {
    let mut sink = Collect::default();
    let mut scan = searcher.scan(options);
    for chunk in chunks {
        assert!(scan.push(chunk, &mut sink).is_continue());
    }
    let summary = scan.finish(&mut sink);
    (sink.0, summary)
}

/// Searches a blob in several ways and asserts that they agree.
pub(super) fn search_with(
    searcher: &Searcher,
    blob: &[u8],
    options: Options<'_>,
) -> (Vec<Found>, Summary) {
    let whole = run(searcher, std::iter::once(blob), options);
    if blob.len() <= 1 << 17 {
        assert_eq!(run(searcher, blob.chunks(1), options), whole, "chunks of 1");
    }
    for size in [2, 7, 61, 4_099] {
        let chunked = run(searcher, blob.chunks(size), options);
        assert_eq!(chunked, whole, "chunks of {size}");
    }
    whole
}

/// Searches a blob for Ana, and holds an index of it against what was found.
pub(super) fn search(blob: &[u8]) -> (Vec<Found>, Summary) {
    let searcher = Searcher::new(&[ana()]).expect("good identifiers");
    let (found, summary) = search_with(&searcher, blob, Options::default());
    index::check(&ana(), blob, Options::default(), &found);
    (found, summary)
}

/// The names of all that was found in a blob.
pub(super) fn names(blob: &[u8]) -> Vec<String> {
    let mut names: Vec<String> = search(blob).0.iter().flat_map(Found::names).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn bad_identifiers_are_refused() {
    let with = |change: fn(&mut Identifiers)| {
        let mut identifiers = Identifiers::default();
        change(&mut identifiers);
        Searcher::new(&[Identifiers::default(), identifiers]).map(|_| ())
    };
    let empty = Err(Error::Empty {
        subject: 1,
        identifier: 0,
    });
    let no_address = Err(Error::NotAnAddress {
        subject: 1,
        identifier: 0,
    });
    assert_eq!(with(|_| {}), Ok(()));
    assert_eq!(with(|it| it.user_ids.push(String::new())), empty);
    assert_eq!(with(|it| it.terms.push(" ".to_owned())), empty);
    assert_eq!(with(|it| it.emails.push(String::new())), empty);
    assert_eq!(with(|it| it.literals.push(String::new())), empty);
    assert_eq!(with(|it| it.emails.push("ana".to_owned())), no_address);
    assert_eq!(with(|it| it.emails.push("@b".to_owned())), no_address);
    assert!(matches!(
        with(|it| it.user_ids.push("x".repeat(5_000))),
        Err(Error::TooLong { .. })
    ));
}

#[test]
fn nothing_personal_in_debug_output() {
    let searcher = Searcher::new(&[ana()]).expect("good identifiers");
    let (found, _) = search(br#"{"ana@example.com":"u-20417"}"#);
    let shown = format!("{:?} {searcher:?} {:?}", ana(), found);
    assert!(
        !shown.contains("20417") && !shown.contains("example"),
        "{shown}"
    );
}

#[test]
fn many_subjects_stay_apart() {
    let other = Identifiers {
        user_ids: vec!["u-2041".to_owned(), "u-20417".to_owned()],
        emails: vec!["diana@example.com".to_owned()],
        ..Identifiers::default()
    };
    let searcher = Searcher::new(&[ana(), other]).expect("good identifiers");
    let blob = br#"{"a":"u-20417","b":"diana@example.com","c":"ana@example.com","d":"u-2041"}"#;
    let (found, _) = search_with(&searcher, blob, Options::default());
    let mut hits: Vec<(usize, usize, &str)> = found[0]
        .hits
        .iter()
        .map(|hit| (hit.subject, hit.identifier, hit.pointer.as_str()))
        .collect();
    hits.sort_unstable();
    let expected = [
        (0, 1, "/a"),
        (0, 5, "/c"),
        (1, 0, "/d"),
        (1, 1, "/a"),
        (1, 2, "/b"),
    ];
    assert_eq!(hits, expected);
}

#[test]
fn the_sink_can_stop_the_scan() {
    struct Once(u32);
    impl Sink for Once {
        fn matched(&mut self, _found: &Match<'_>) -> ControlFlow<()> {
            self.0 += 1;
            ControlFlow::Break(())
        }
    }
    let searcher = Searcher::new(&[ana()]).expect("good identifiers");
    let mut sink = Once(0);
    let mut scan = searcher.scan(Options::default());
    let blob = br#"{"a":"u-20417"}
"#
    .repeat(10_000);
    assert!(scan.push(&blob, &mut sink).is_break());
    assert!(scan.push(&blob, &mut sink).is_break());
    assert_eq!(scan.finish(&mut sink).matches, 1);
    assert_eq!(sink.0, 1);
}
