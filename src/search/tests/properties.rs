//! Whatever the encodings, an identifier is found; whatever the bytes, nothing panics and chunks make no difference.

use proptest::prelude::*;

use super::encode::{Encoder, chain};
use super::*;

/// Every identifier of Ana in a text of its own, with its index.
const TEXTS: [(&str, usize); 9] = [
    ("device {E589A371EA0C44799A7B9F834ADEC040} seen", 0),
    ("the user u-20417 was here", 1),
    ("login auth0|Añb.c failed today", 4),
    ("Mail to <Ana@Example.COM>, please", 5),
    ("Mail to ana@xn--bcher-kva.example; now", 6),
    ("Dear Ana D\u{ed}az, thank you", 7),
    ("In der STRASSE am Park", 8),
    ("report 0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0 sent", 10),
    ("blob 2026/11/20/09/00/crashes/x.json written", 11),
];

/// What stands around an identifier that is far inside of a text.
const FILLER: &str = "The quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs, please. How vexingly \
    quick daft zebras jump, and so on until all of the lines are full to their ends. ";

fn check(index: usize, encoders: &[Encoder]) {
    check_within(index, encoders, 0, 0);
}

/// As many characters stand before the text and behind it.
fn check_within(index: usize, encoders: &[Encoder], before: usize, after: usize) {
    let (text, identifier) = TEXTS[index];
    let text = format!(
        "{}{text}{}",
        &FILLER[FILLER.len() - before..],
        &FILLER[..after]
    );
    let Some(encoded) = chain(&text, encoders) else {
        return;
    };
    let (found, summary) = search(&encoded);
    let is_found = found
        .iter()
        .flat_map(|found| &found.hits)
        .any(|hit| hit.identifier == identifier);
    assert!(is_found, "{text} by {encoders:?}: {found:?} {summary:?}");
}

#[test]
fn one_and_two_encodings_all() {
    for index in 0..TEXTS.len() {
        check(index, &[]);
        for first in Encoder::ALL {
            check(index, &[first]);
            for second in Encoder::ALL {
                check(index, &[first, second]);
            }
        }
    }
}

proptest! {
    #[test]
    fn three_encodings(index in 0..TEXTS.len(), chain in proptest::collection::vec(0..Encoder::ALL.len(), 3)) {
        let encoders: Vec<Encoder> = chain.into_iter().map(|at| Encoder::ALL[at]).collect();
        check(index, &encoders);
    }

    /// On and behind every break of lines of 20, 64 and 76 digits, inside of whatever else.
    #[test]
    fn far_inside(
        index in 0..TEXTS.len(),
        chain in proptest::collection::vec(0..Encoder::ALL.len(), 0..=3),
        before in 1..FILLER.len(),
        after in 1..FILLER.len(),
    ) {
        let encoders: Vec<Encoder> = chain.into_iter().map(|at| Encoder::ALL[at]).collect();
        // Words have a blank between them.
        let is_blank = |at: usize| FILLER.as_bytes()[at] == b' ';
        let after = (0..after).rev().find(|at| is_blank(*at)).unwrap_or(0);
        let before = (0..FILLER.len() - before).rev().find(|at| is_blank(*at)).map_or(0, |at| FILLER.len() - at - 1);
        check_within(index, &encoders, before, after);
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        search(&bytes);
    }

    #[test]
    fn any_structure(text in r#"([\{\}\[\]",:\\ \n]|"a"|1|u-20417|"u-20417"|%41|\{"UserId":|\\u0041){0,60}"#) {
        let found = search(text.as_bytes()).0;
        let is_there = text.contains("u-20417");
        prop_assert!(is_there || found.is_empty());
        for record in found {
            prop_assert!(record.offset + record.length <= text.len() as u64);
        }
    }

    #[test]
    fn any_windows(text in r#"([\{\}\[\]",:\\ \n]|"a"|lorem ipsum |u-20417 |"u-20417"|x-u-20417|\{"UserId":20417,|20417|\\u0041|[a-z0-9]{40}){0,200}"#, max_record in 64..400_usize) {
        let searcher = Searcher::new(&[ana()]).expect("good identifiers");
        let options = Options { max_record, ..Options::default() };
        let (found, summary) = search_with(&searcher, text.as_bytes(), options);
        prop_assert!(text.contains("u-20417") || text.contains("UserId") || found.is_empty());
        // Windows find no less than the whole does where both are plain tokens.
        let (whole, _) = search(text.as_bytes());
        prop_assert!(whole.is_empty() == found.is_empty() || summary.oversized_records > 0);
        for record in found {
            prop_assert!(record.offset + record.length <= text.len() as u64);
        }
    }
}
