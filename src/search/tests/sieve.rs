//! The first pass never says no where the exact search finds something, and says no to the records that nearly all are.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization as _;

use super::encode::{Encoder, chain};
use super::*;
use crate::search::examine::Examiner;
use crate::search::records::Piece;
use crate::search::sieve::{Scratch, Verdict};

fn judge(searcher: &Searcher, record: &[u8], is_json: bool) -> Verdict {
    let mut scratch = Scratch::default();
    searcher.sieve.judge(record, is_json, 8, &mut scratch)
}

fn may_hold(searcher: &Searcher, record: &[u8], is_json: bool) -> bool {
    judge(searcher, record, is_json) != Verdict::Nothing
}

/// What the exact search finds in the record, and what it says that it did not search.
fn examine(
    searcher: &Searcher,
    record: &[u8],
    is_json: bool,
    may_be_plain: bool,
) -> (Vec<Hit>, Vec<NotSearched>) {
    let mut examiner = Examiner::new(searcher, Options::default());
    examiner.begin(0);
    let piece = Piece {
        record: 0,
        offset: 0,
        end: record.len() as u64,
        bytes: record,
        is_json,
        is_in_string: false,
        is_first: true,
        is_last: true,
    };
    examiner.search(record, &piece, may_be_plain);
    (examiner.hits, examiner.not_searched)
}

/// Whether the exact search finds something in the record, or says that it did not search all of it.
fn is_found(searcher: &Searcher, record: &[u8], is_json: bool) -> bool {
    let (hits, not_searched) = examine(searcher, record, is_json, true);
    !hits.is_empty() || !not_searched.is_empty()
}

/// Asserts that the first pass lets the record through if it has to, and says rightly that nobody stands there as it is.
fn check(searcher: &Searcher, record: &[u8]) -> Result<bool, TestCaseError> {
    let mut found = false;
    for is_json in [true, false] {
        let shown = String::from_utf8_lossy(record);
        let verdict = judge(searcher, record, is_json);
        if is_found(searcher, record, is_json) {
            found = true;
            prop_assert!(verdict != Verdict::Nothing, "{is_json} {shown}");
        }
        if verdict == Verdict::Encoded {
            let all = examine(searcher, record, is_json, true);
            let encoded = examine(searcher, record, is_json, false);
            prop_assert_eq!(all, encoded, "{} {}", is_json, shown);
        }
    }
    Ok(found)
}

/// A row of the export in which nobody is named; `more` is a part of its properties.
pub(super) fn row(more: &str) -> String {
    let properties = serde_json::json!({
        "screen": "Checkout",
        "url": "https://shop.contoso.com/search?q=blue%20shoes&page=2",
        "order": "9b2e4c66-1f0a-4b7e-8a53-6d1f0c2b9e11",
        "place": "Größe – Übersicht",
        "trace": "System.InvalidOperationException: none\n  at Contoso.Shop.Checkout.LoadAsync () in C:\\agent\\_work\\1\\s\\Checkout.cs:12\n",
        "more": more,
    });
    serde_json::json!({
        "AppId": "3f7c1a52-8d0e-4f0b-9a55-0d6a1c2b3e4f",
        "InstallId": "0d9f6d0a-5a5e-4a7e-9c1d-3b1c5a9d7e20",
        "IngressTimestamp": "2026-11-20T09:00:00.000Z",
        "LiveUpdateDeploymentKey": "None",
        "WrapperRuntimeVersion": "None",
        "Properties": properties.to_string(),
        "UserId": "person17@example.org",
    })
    .to_string()
}

#[test]
fn usual_records_are_passed_over() {
    let searcher = Searcher::new(&[ana()]).expect("good identifiers");
    for more in [
        "",
        "x < y & z > 0",
        "50 % off",
        "a <b> \"c\" 'd'",
        "ü",
        "2518291138564839999",
        "VeryLongNameOfAViewController",
        "path/to/some/where/else/that/is/long",
        "some_snake_case_name_that_is_long",
        "{\"nested\":\"{\\\"deeper\\\":1}\"}",
        "0xDEADBEEF 0x000000010a2b3c4d",
        "d41d8cd98f00b204e9800998ecf8427e",
        "9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08",
    ] {
        let row = row(more);
        assert!(!may_hold(&searcher, row.as_bytes(), true), "{more}");
        assert!(!is_found(&searcher, row.as_bytes(), true), "{more}");
    }
}

/// Every rule at every place of a block, and on its borders.
#[test]
fn needles_at_every_offset() {
    let searcher = Searcher::new(&[ana()]).expect("good identifiers");
    let needles = [
        "e589a371-ea0c-4479-9a7b-9f834adec040",
        "{E589A371EA0C44799A7B9F834ADEC040}",
        r"\be589a371ea0c44799a7b9f834adec040",
        "%20e589a371ea0c44799a7b9f834adec040",
        "u-20417",
        r"\nu-20417",
        r"\\nu-20417",
        "%20u-20417",
        r"\u0020u-20417",
        "u%2D20417",
        "u&#45;20417",
        r"\\u0075-20417",
        r"\u00e1 auth0|Añb.c",
        "Ana@Example.com",
        "ana%40example.com",
        "ana@bu\u{308}cher.example",
        "Ana Díaz",
        r"ANA\nD\u00cdAZ",
        "Ana+D%C3%ADaz",
        "Stra\u{df}e",
        "STRA\u{17f}SE",
        "strasse",
        "田中太郎",
        r"\u7530\u4e2d\u592a\u90ce",
        "2026/11/20/09/00/crashes/x.json",
        r"2026\/11\/20\/09\/00\/crashes\/x.json",
        "YW5hQGV4YW1wbGUuY29t",
        r"\nYW5hQGV4YW1wbGUuY29t",
        "path_YW5hQGV4YW1wbGUuY29t",
        "a-b-YW5hQGV4YW1wbGUuY29t-c",
        r"Pz8\/Pj8\/YW5hQGV4YW1wbGUuY29t",
        r"Pz8_Pj8%5FYW5hQGV4YW1wbGUuY29t",
        "YW5hQGV4YW1wbGUu\\nY29t",
        r"b25seSBhIHRleHQgb2Ygc2V2ZX\nJhbCBsaW5lcywgYW5hQGV4YW1w\nbGUuY29t",
        r"Pz8\\/Pj4\\/YW5hQGV4YW1wbGUuY29t",
        "RGVhciBBbmEgRO1heiwgd2VsY29tZQ==",
        "AGEAbgBhAEAAZQB4AGEAbQBwAGwAZQAuAGMAbwBt",
        "\u{0}",
        r"\u0000",
    ];
    for filler in [" ", "x ", "é ", r#"\" "#] {
        for offset in 0..130_usize {
            let start = filler.repeat(offset.div_ceil(filler.len()));
            for needle in needles {
                let record = format!("{{\"a\":\"{start}{needle} {filler}\"}}");
                let is_there = may_hold(&searcher, record.as_bytes(), true);
                assert!(is_there, "{offset} {needle}");
            }
        }
    }
    let offsets = (0..130).map(|offset| format!("{{\"a\":\"{}x\"}}", " ".repeat(offset)));
    for record in offsets {
        assert!(!may_hold(&searcher, record.as_bytes(), true), "{record}");
    }
}

/// A backslash before an escape may be the identifier's own, or a part of the escape.
#[test]
fn backslashes_of_identifiers() {
    let person = Identifiers {
        user_ids: vec![r"AAA\aa".to_owned(), r"CONTOSO\ana".to_owned()],
        ..Identifiers::default()
    };
    let searcher = Searcher::new(&[person]).expect("good identifiers");
    for text in [
        r"%20\x41A\x41\\x61a\",
        r"CONTOSO\\u0061na",
        r"CONTOSO%5Cana",
        r"%43ONTOSO\\ana",
    ] {
        assert!(may_hold(&searcher, text.as_bytes(), true), "{text}");
    }
}

/// An identifier of any kind, and a text that may be one of its spellings.
pub(super) fn identifier() -> impl Strategy<Value = (Identifiers, String)> {
    let with = |change: fn(&mut Identifiers, String)| {
        move |text: String| {
            let mut identifiers = Identifiers::default();
            change(&mut identifiers, text.clone());
            (identifiers, text)
        }
    };
    let user_id = prop_oneof![
        "[A-Za-z0-9._-]{1,14}",
        "[0-9]{1,10}",
        "[a-z0-9]{60,70}",
        "[a-zA-Z]{2,6}[|:/+ @#][A-Za-z0-9ñü.]{1,8}",
        "[A-Z]{2,6}\\\\[a-z]{2,6}",
        "[ -~]{1,10}",
        "[ñüЖ田é]{1,3}[a-z%&]{0,3}",
        "(%41|&lt;|\\\\u0041)?[a-z]{2,5}",
    ]
    .prop_map(with(|it, text| it.user_ids.push(text)));
    let email = prop_oneof![
        "[A-Za-z0-9._%+'-]{1,12}@[a-z]{1,6}\\.(com|org|example)",
        "[a-zñé\"/ ]{1,6}@(bücher|x)\\.example",
    ]
    .prop_map(with(|it, text| it.emails.push(text)));
    let term = prop_oneof![
        "[A-Za-z]{2,8}( [A-Za-zéßñ]{1,8}){0,2}",
        "[A-Za-z]{1,3}[ßſkKs'ﬁ-][A-Za-z]{1,5}",
        "[а-яА-ЯёЙ]{2,7}( [а-я]{3})?",
        "[一-龠]{1,4}|[가-힣]{1,3}|[α-ωΆ-Ώ]{2,5}",
        "[éñü]{1,3}[a-z]{0,2}|[!-/]{1,4}",
    ]
    .prop_filter("blank", |term| !term.trim().is_empty())
    .prop_map(with(|it, text| it.terms.push(text)));
    let literal = "[a-z0-9/._%-]{1,30}".prop_map(with(|it, text| it.literals.push(text)));
    let uuid = any::<u128>().prop_map(|value| {
        let uuid = uuid::Uuid::from_u128(value);
        let identifiers = Identifiers {
            install_ids: vec![uuid],
            report_ids: vec![uuid],
            ..Identifiers::default()
        };
        (identifiers, uuid.to_string())
    });
    let path = any::<u128>().prop_map(|value| {
        let path = format!("2026/{}.json", uuid::Uuid::from_u128(value));
        let identifiers = Identifiers {
            literals: vec![path.clone()],
            ..Identifiers::default()
        };
        (identifiers, path)
    });
    prop_oneof![3 => user_id, 2 => email, 3 => term, 1 => literal, 1 => uuid, 1 => path]
}

/// Records that the exact search finds somebody in and that an earlier first pass passed over.
#[test]
fn what_was_once_passed_over() {
    let user = |id: &str| Identifiers {
        user_ids: vec![id.to_owned()],
        ..Identifiers::default()
    };
    let term = |term: &str| Identifiers {
        terms: vec![term.to_owned()],
        ..Identifiers::default()
    };
    let email = Identifiers {
        emails: vec!["ana@x.io".to_owned()],
        ..Identifiers::default()
    };
    let install = Identifiers {
        install_ids: ana().install_ids,
        ..Identifiers::default()
    };
    let long = "a".repeat(63);
    let cases = [
        (&email, r#"{"a":"aGkgYW5hQHguaW8\/"}"#.to_owned()),
        (&email, r#"{"a":"aGkgYW5hQHguaW8\\/"}"#.to_owned()),
        (&email, r#"{"a":"aGkgYW5hQHguaW8\/=="}"#.to_owned()),
        (&user("Abcd"), r"C:\q \u0020 x\\u0041bcd".to_owned()),
        (
            &install,
            r#"{"a":"C:\\logs\\ue589a371-ea0c%2d4479-9a7b-9f834adec040"}"#.to_owned(),
        ),
        (
            &install,
            r"\\xe589a3\u00371ea0c44799a7b9f83\u0034adec040".to_owned(),
        ),
        (
            &user(&format!("{long}-bcd")),
            format!(r#"{{"a":"\n{long}%2Dbcd"}}"#),
        ),
        (&term("ab\u{8}cdef"), r#"{"a":"ab\bcdef"}"#.to_owned()),
        (&term(";;;;"), "a \u{37e}\u{37e}\u{37e}\u{37e} b".to_owned()),
        (
            &term("````"),
            "a \u{1fef}\u{1fef}\u{1fef}\u{1fef} b".to_owned(),
        ),
        (
            &term("\u{1fb3}\u{323}bcd"),
            "a \u{1fb3}\u{323}bcd e".to_owned(),
        ),
    ];
    for (person, record) in cases {
        let searcher = Searcher::new(std::slice::from_ref(person)).expect("good identifiers");
        let found = check(&searcher, record.as_bytes()).expect("it is looked at closer");
        assert!(found, "{record}");
    }
}

pub(super) fn respell(text: &str, how: u8) -> String {
    match how {
        1 => text.to_uppercase(),
        2 => text.to_lowercase(),
        3 => text.nfd().collect(),
        4 => text.replace('-', ""),
        5 => text
            .replace("ss", "ß")
            .replace('s', "ſ")
            .replace('k', "\u{212a}"),
        6 => text.replace(' ', "+"),
        _ => text.to_owned(),
    }
}

/// Escapes some characters, each in one of several ways.
pub(super) fn escape(text: &str, ways: &[u8]) -> String {
    let mut escaped = String::new();
    for (c, way) in text.chars().zip(ways.iter().cycle()) {
        let code = u32::from(c);
        match way {
            0 if code <= 0xFFFF => escaped.push_str(&format!("\\u{code:04x}")),
            1 => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    escaped.push_str(&format!("%{byte:02X}"));
                }
            }
            2 => escaped.push_str(&format!("&#{code};")),
            3 if code <= 0xFF => escaped.push_str(&format!("\\x{code:02x}")),
            4 if c == '/' => escaped.push_str("\\/"),
            5 if code <= 0xFFFF => escaped.push_str(&format!("\\\\u{code:04X}")),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// A spelling of an identifier: some letters as escapes with so many backslashes, those of its own as so many.
fn spell(id: &str, ways: &[u8], run: usize, own: usize) -> String {
    let mut spelled = String::new();
    for (c, way) in id.chars().zip(ways.iter().cycle()) {
        let code = u32::from(c);
        // Now and then an escape has a backslash more than the others.
        let slashes = "\\".repeat(run + usize::from(*way == 11));
        match way {
            0..4 if c == '\\' => spelled.push_str(&"\\".repeat(own)),
            0 | 4 | 11 => spelled.push_str(&format!("{slashes}u{code:04x}")),
            1 | 5 => spelled.push_str(&format!("{slashes}x{code:02x}")),
            6 => spelled.push_str(&format!("%{code:02X}")),
            7 => spelled.push_str(&format!("&#{code};")),
            8 if c == '\\' => spelled.push_str("\\\\"),
            _ => spelled.push(c),
        }
    }
    spelled
}

pub(super) const BESIDE: [&str; 22] = [
    "",
    " ",
    "\"",
    "\\\"",
    "\\n",
    "\\\\n",
    "\n",
    "\\",
    "x",
    "%20",
    "&nbsp;",
    "\\u0020",
    "\\x20",
    "/",
    "\\/",
    "é",
    "-",
    ":",
    "=",
    "{\"UserId\":\"",
    "\"}",
    "%2525",
];

proptest! {

    #[test]
    fn nothing_is_missed(
        (identifiers, text) in identifier(),
        how in 0..8_u8,
        ways in proptest::collection::vec(0..60_u8, 1..24),
        beside in (0..BESIDE.len(), 0..BESIDE.len()),
        encoders in proptest::collection::vec(0..Encoder::ALL.len(), 0..4),
        offset in 0..130_usize,
        inside in prop_oneof![Just(0_usize), 0..130_usize],
    ) {
        let Ok(searcher) = Searcher::new(&[identifiers]) else {
            return Ok(());
        };
        let start = "lorem ipsum ".repeat(11);
        // What base64 stands for is as far from its beginning.
        let inner = format!("{}{}{}{}", &start[start.len() - inside..], BESIDE[beside.0], escape(&respell(&text, how), &ways), BESIDE[beside.1]);
        let encoders: Vec<Encoder> = encoders.into_iter().map(|at| Encoder::ALL[at]).collect();
        let Some(encoded) = chain(&inner, &encoders) else {
            return Ok(());
        };
        let start = &start.as_bytes()[start.len() - offset..];
        check(&searcher, &encoded)?;
        check(&searcher, &[start, &encoded].concat())?;
        check(&searcher, &[b"{\"a\":\"", start, &encoded, b" and more\"}"].concat())?;
        if let Ok(plain) = std::str::from_utf8(&encoded) {
            let whole = serde_json::json!({ "UserId": plain, "b": row(plain) }).to_string();
            check(&searcher, whole.as_bytes())?;
        }
    }

    #[test]
    fn nothing_is_missed_in_any_bytes(
        text in r#"([\{\}\[\]",:\\ \n/]|"a"|a7|20417|u-20417|"u-20417"|%41|%5C|%|&amp;|&|#|;|25|x|\{"UserId":|\\u0041|\\u005c|\\u0075|u|QUFB|YW5hQGV4YW1wbGUuY29t|[A-D]{4}|ana@example.com|é|Ana|D[íi]az|\u{0}|\u{301}|e589a371-?ea0c-?4479-?9a7b-?9f834adec040){0,40}"#,
        latin in any::<bool>(),
    ) {
        let searcher = Searcher::new(&[ana()]).expect("good identifiers");
        check(&searcher, text.as_bytes())?;
        if latin {
            let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
            check(&searcher, &bytes)?;
        }
    }

    /// Whose a backslash is, the identifier's or an escape's, is the hardest question of the first pass.
    #[test]
    fn nothing_with_backslashes_is_missed(
        id in r"A[Aa]?A?\\a[Aan]?a|[Aa]\\{2,3}[Aan]{2}|\\[Aan]{3,4}|[Aan]{3,4}\\|a(\\[Aanu/]){2,3}|[A-Z]{3,8}\\[a-z]{3,8}",
        ways in proptest::collection::vec(0..12_u8, 1..12),
        run in 1..5_usize,
        own in 1..9_usize,
        beside in (0..BESIDE.len(), 0..BESIDE.len()),
        is_of_user in any::<bool>(),
        deeper in 0..3_usize,
    ) {
        let person = Identifiers { user_ids: vec![id.clone()], ..Identifiers::default() };
        let Ok(searcher) = Searcher::new(&[person]) else {
            return Ok(());
        };
        let mut text = format!("{}{}{}", BESIDE[beside.0], spell(&id, &ways, run, own), BESIDE[beside.1]);
        for _ in 0..deeper {
            text = serde_json::json!({ "UserId": text }).to_string();
        }
        let record = if is_of_user { format!("{{\"UserId\":\"{text}\"}}") } else { text };
        check(&searcher, record.as_bytes())?;
    }

    #[test]
    fn many_layers_are_left_to_the_exact_search(
        parts in proptest::collection::vec(0..10_usize, 1..12),
    ) {
        let searcher = Searcher::new(&[ana()]).expect("good identifiers");
        let text = parts.iter().fold("plain".to_owned(), |text, part| match part {
            0..4 => serde_json::json!({ "k": text }).to_string(),
            4 => format!("{text} 100%25"),
            5 => format!("{text}%20"),
            6 => format!("{text} &lt;"),
            7 => format!("{text} \\u0041"),
            8 => format!("[{{{text}"),
            _ => serde_json::Value::from(text).to_string(),
        });
        check(&searcher, text.as_bytes())?;
    }
}
