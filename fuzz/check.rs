//! What must hold of the search for any bytes. The fuzz target and the tests, which replay its corpus, share it.
//!
//! - Nothing panics, and it ends.
//! - Chunks of any size give what the whole gives.
//! - The first pass passes over no record in which the exact search finds somebody, or of which it has something to say.
//! - A match lies inside of the blob.

use std::ops::ControlFlow;
use std::sync::LazyLock;

use super::engine::{Hit, Identifiers, Match, Options, Searcher, Sink, Summary};

/// What was found in one record.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    record: u64,
    offset: u64,
    length: u64,
    is_decoded: bool,
    is_oversized: bool,
    hits: Vec<Hit>,
}

#[derive(Default)]
struct Collect(Vec<Found>);

impl Sink for Collect {
    fn matched(&mut self, found: &Match<'_>) -> ControlFlow<()> {
        self.0.push(Found {
            record: found.record,
            offset: found.offset,
            length: found.length,
            is_decoded: found.decoded,
            is_oversized: found.oversized,
            hits: found.hits.to_vec(),
        });
        ControlFlow::Continue(())
    }
}

/// How many people there are.
const PEOPLE: u8 = 8;

/// A search for each of them: to prepare one takes longer than most inputs.
static SEARCHERS: LazyLock<Vec<Searcher>> = LazyLock::new(|| {
    let searchers = (0..PEOPLE).map(|who| Searcher::new(&[people(who)]));
    searchers.collect::<Result<_, _>>().unwrap_or_default()
});

/// The people who are looked for.
fn people(who: u8) -> Identifiers {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let uuid = |value| vec![uuid::Uuid::from_u128(value)];
    // An ID with a backslash has the first pass leave every escape to the exact search, and a literal quote every record: those
    // of the first four that have none of both, and the others, are where it decides by itself.
    match who % PEOPLE {
        0 => Identifiers {
            install_ids: uuid(0xe589_a371_ea0c_4479_9a7b_9f83_4ade_c040),
            user_ids: texts(&["u-20417", "20417", "a7", "auth0|A\u{f1}b.c"]),
            emails: texts(&["ana@example.com", "ana@b\u{fc}cher.example"]),
            terms: texts(&["Ana D\u{ed}az", "Stra\u{df}e", "田中太郎"]),
            report_ids: uuid(0x0b1c_2d3e_4f50_6172_8394_a5b6_c7d8_e9f0),
            literals: texts(&["2026/11/20/09/00/crashes/x.json"]),
        },
        1 => Identifiers {
            user_ids: texts(&["x", "CONTOSO\\nina", "%41", "é"]),
            emails: texts(&["b@x.org"]),
            terms: texts(&["Fin", "K"]),
            ..Identifiers::default()
        },
        2 => Identifiers {
            terms: texts(&["Мария Иванова", "O'Brien", "&amp;", "ßs"]),
            literals: texts(&["a/b", "\"", "c-0"]),
            ..Identifiers::default()
        },
        3 => Identifiers {
            install_ids: vec![uuid::Uuid::nil(), uuid::Uuid::max()],
            user_ids: texts(&[
                "nina@CONTOSO",
                "long-enough-to-be-more-than-one-block-of-sixty-four-bytes-and-some",
            ]),
            ..Identifiers::default()
        },
        4 => Identifiers {
            user_ids: texts(&["x", "é", "Abcd"]),
            emails: texts(&["b@x.org", "ana@x.io"]),
            terms: texts(&["Fin", "K"]),
            ..Identifiers::default()
        },
        5 => Identifiers {
            terms: texts(&["Мария Иванова", "O'Brien", "ßs", "ab\u{8}cdef"]),
            literals: texts(&["a/b", "c-0"]),
            ..Identifiers::default()
        },
        6 => Identifiers {
            install_ids: uuid(0xe589_a371_ea0c_4479_9a7b_9f83_4ade_c040),
            ..Identifiers::default()
        },
        _ => Identifiers {
            emails: texts(&["ana@example.com"]),
            terms: texts(&["\u{1fb3}\u{323}bcd", "Ana D\u{ed}az"]),
            ..Identifiers::default()
        },
    }
}

fn search<'c>(
    searcher: &Searcher,
    chunks: impl Iterator<Item = &'c [u8]>,
    options: Options<'_>,
) -> (Vec<Found>, Summary) {
    let mut scan = searcher.scan(options);
    let mut found = Collect::default();
    for chunk in chunks {
        if scan.push(chunk, &mut found).is_break() {
            break;
        }
    }
    let summary = scan.finish(&mut found);
    (found.0, summary)
}

/// Checks one input: three bytes that say whom, in which chunks and with which limits, and the blob.
///
/// # Errors
/// What does not hold, in words.
pub(crate) fn check(data: &[u8]) -> Result<(), String> {
    let [who, size, limits, blob @ ..] = data else {
        return Ok(());
    };
    let Some(searcher) = SEARCHERS.get(usize::from(*who % PEOPLE)) else {
        return Err("nobody to search for".to_owned());
    };
    let options = Options {
        max_record: if limits & 1 == 0 {
            16 << 20
        } else {
            64 << (limits >> 1 & 7)
        },
        expansion_limit: 1 << 20,
        path: (limits & 0x80 != 0).then_some("app/2026/11/20/09/00/attachments/x.txt"),
        ..Options::default()
    };
    let whole = search(searcher, std::iter::once(blob), options);
    let size = usize::from(*size) + 1;
    if search(searcher, blob.chunks(size), options) != whole {
        return Err(format!("chunks of {size} bytes make a difference"));
    }
    let exhaustive = Options {
        is_exhaustive: true,
        ..options
    };
    if search(searcher, std::iter::once(blob), exhaustive) != whole {
        return Err("the first pass makes a difference".to_owned());
    }
    for found in whole.0.iter().filter(|found| !found.is_decoded) {
        let end = found.offset.checked_add(found.length);
        if end.is_none_or(|end| end > blob.len() as u64) {
            return Err(format!("record {} ends beyond the blob", found.record));
        }
    }
    Ok(())
}
