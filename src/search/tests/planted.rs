//! Blobs with people planted in every encoding: the search with its first pass finds what the exact search of every record finds.

use base64::prelude::*;
use proptest::prelude::*;

use super::encode::{Encoder, chain};
use super::sieve::{BESIDE, escape, identifier, respell, row};
use super::*;

/// How records follow each other in a blob.
const LAYOUTS: [fn(&[String]) -> String; 3] = [
    |rows| format!("[{}]", rows.join(",")),
    |rows| rows.join("\n"),
    |rows| format!("[\n{}\n]", rows.join(",\r\n")),
];

/// A row in which a text stands in a column of its own, or somewhere in its properties.
fn planted(text: &str, is_column: bool) -> String {
    if is_column {
        serde_json::json!({ "UserId": text, "Properties": row("") }).to_string()
    } else {
        row(text)
    }
}

proptest! {
    #[test]
    fn the_first_pass_changes_nothing(
        people in proptest::collection::vec(identifier(), 1..4),
        plants in proptest::collection::vec(
            (
                0..4_usize,
                0..8_u8,
                proptest::collection::vec(0..60_u8, 1..8),
                (0..BESIDE.len(), 0..BESIDE.len()),
                proptest::collection::vec(0..Encoder::ALL.len(), 0..4),
                any::<bool>(),
            ),
            1..6,
        ),
        layout in 0..LAYOUTS.len(),
        chunk in 1..5_000_usize,
    ) {
        let (people, texts): (Vec<Identifiers>, Vec<String>) = people.into_iter().unzip();
        let Ok(searcher) = Searcher::new(&people) else {
            return Ok(());
        };
        let rows: Vec<String> = plants
            .iter()
            .filter_map(|(who, how, ways, beside, encoders, is_column)| {
                // One more than there are people: a row of nobody.
                let text = texts.get(who % (texts.len() + 1)).map_or("nobody", String::as_str);
                let text = escape(&respell(text, *how), ways);
                let text = format!("{}{text}{}", BESIDE[beside.0], BESIDE[beside.1]);
                let encoders: Vec<Encoder> = encoders.iter().map(|at| Encoder::ALL[*at]).collect();
                let encoded = chain(&text, &encoders)?;
                let encoded = match String::from_utf8(encoded) {
                    Ok(text) => text,
                    Err(bytes) => BASE64_STANDARD.encode(bytes.as_bytes()),
                };
                Some(planted(&encoded, *is_column))
            })
            .collect();
        let blob = LAYOUTS[layout](&rows);
        let all = Options { is_exhaustive: true, ..Options::default() };
        let expected = run(&searcher, std::iter::once(blob.as_bytes()), all);
        let found = run(&searcher, blob.as_bytes().chunks(chunk), Options::default());
        prop_assert_eq!(found.0, expected.0, "{}", blob);
        prop_assert_eq!(found.1.not_searched, expected.1.not_searched, "{}", blob);
        prop_assert_eq!(found.1.records, expected.1.records);
    }

    /// A text in UTF-16 may come out in digits of base64 that look like a hash or an ID.
    #[test]
    fn hexadecimal_digits_may_be_utf_16(
        little in "([hlptx][4-9A-Et-z][017AGMNOPQW.-]){2,9}",
        big in "([017AGMNOPQW.-][hlptx][4-9A-Et-z]){2,9}",
        is_nested in any::<bool>(),
    ) {
        for (id, order) in [(little, u16::to_le_bytes as fn(u16) -> [u8; 2]), (big, u16::to_be_bytes)] {
            let bytes: Vec<u8> = id.encode_utf16().flat_map(order).collect();
            let digits = BASE64_STANDARD_NO_PAD.encode(bytes);
            prop_assert!(digits.bytes().all(|digit| digit.is_ascii_hexdigit()), "{}", digits);
            let person = Identifiers { user_ids: vec![id], ..Identifiers::default() };
            let searcher = Searcher::new(&[person]).expect("a good identifier");
            let mut record = serde_json::json!({ "id": digits }).to_string();
            if is_nested {
                record = row(&record);
            }
            let (found, _) = search_with(&searcher, record.as_bytes(), Options::default());
            prop_assert_eq!(found.len(), 1, "{}", record);
        }
    }
}
