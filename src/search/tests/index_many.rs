//! Thousands of people in a generated archive: each is looked for alone, and no blob that holds one of them is passed over.

use std::collections::{BTreeSet, HashMap};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

use super::encode::{Encoder, chain};
use super::index::{key, tokens};
use super::*;
use crate::search::index::{Index, Query, write};

/// How many identifiers are drawn. A few are not found at all: `STRASSE@example.com` is not `straße@example.com`.
const IDENTIFIERS: usize = 10_500;
/// How many are found at least.
const FOUND: usize = 10_000;
/// Rows of each blob.
const ROWS: usize = 50;
/// How many other blobs each identifier is asked of.
const OTHERS: usize = 10;

const NAMES: &[&str] = &[
    "ana",
    "Bob",
    "chloé",
    "Dürr",
    "田中",
    "Ελένη",
    "igor",
    "O'Neil",
    "İpek",
    "straße",
    "cafe",
    "x",
];
const DOMAINS: &[&str] = &[
    "example.com",
    "Mail.Example.org",
    "bücher.example",
    "xn--bcher-kva.example",
    "a-b.example",
];

/// Somebody of whom one identifier is known, and how it stands in a row.
fn somebody(random: &mut StdRng, number: usize) -> (Identifiers, String, &'static str) {
    let mut name = || (*NAMES.choose(random).expect("names")).to_owned();
    let (first, last) = (name(), name());
    let domain = *DOMAINS.choose(random).expect("domains");
    let mut it = Identifiers::default();
    let (text, column) = match number % 10 {
        0..4 => {
            let id = uuid::Uuid::from_u128(random.random());
            it.install_ids.push(id);
            let text = match random.random_range(0..4) {
                0 => id.to_string().to_uppercase(),
                1 => id.simple().to_string(),
                _ => id.to_string(),
            };
            (text, "InstallId")
        }
        4..7 => {
            let id = match random.random_range(0..6) {
                0 => format!("{}", 1_000_000 + number),
                1 => format!("auth0|{:024x}", random.random::<u128>() >> 32),
                2 => format!("{last}\\{first}_{number}"),
                3 => format!("{first}.{last}-{number}@{domain}"),
                4 => uuid::Uuid::from_u128(random.random()).to_string(),
                _ => format!("u-{number}"),
            };
            it.user_ids.push(id.clone());
            (id, "UserId")
        }
        _ => {
            let tag = ["", "+tag", "_", "%"].choose(random).expect("tags");
            let email = format!("{}.{last}{number}{tag}@{domain}", first.replace('\'', ""));
            it.emails.push(email.clone());
            let text = match random.random_range(0..3) {
                0 => email.to_uppercase(),
                1 => email.to_lowercase(),
                _ => email,
            };
            (text, "user_email")
        }
    };
    (it, text, column)
}

/// A row of somebody: the identifier in a column, in properties, or in a text that is encoded.
fn row_of(random: &mut StdRng, text: &str, column: &str) -> String {
    let row = match random.random_range(0..4) {
        0 => {
            let properties = serde_json::json!({ column: text, "screen": "Checkout" });
            serde_json::json!({ "MessageType": "EventLog", "Properties": properties.to_string() })
        }
        1 => {
            let encoders = [Encoder::Percent, Encoder::Base64, Encoder::JsonObject];
            let chosen: Vec<Encoder> = (0..2)
                .filter_map(|_| encoders.choose(random).copied())
                .collect();
            let encoded = chain(text, &chosen).and_then(|it| String::from_utf8(it).ok());
            serde_json::json!({ column: encoded, "IngressTimestamp": "2026-11-20T09:00:00Z" })
        }
        _ => serde_json::json!({
            "AppId": "3f7c1a52-8d0e-4f0b-9a55-0d6a1c2b3e4f",
            column: text,
            "Message": format!("line {} of the log", random.random_range(0..100)),
        }),
    };
    row.to_string()
}

struct Finds(BTreeSet<usize>);

impl Sink for Finds {
    fn matched(&mut self, found: &Match<'_>) -> ControlFlow<()> {
        self.0.extend(found.hits.iter().map(|hit| hit.subject));
        ControlFlow::Continue(())
    }
}

#[test]
fn nobody_of_thousands_is_passed_over() {
    let mut random = StdRng::seed_from_u64(2026);
    let mut people = Vec::new();
    let mut rows = Vec::new();
    for number in 0..IDENTIFIERS {
        let (identifiers, text, column) = somebody(&mut random, number);
        rows.push(row_of(&mut random, &text, column));
        people.push(identifiers);
    }
    let searcher = Searcher::new(&people).expect("good identifiers");
    let mut known = Vec::new();
    let mut truth: HashMap<usize, Vec<u64>> = HashMap::new();
    let mut size = 0;
    for (number, rows) in (0_u64..).zip(rows.chunks(ROWS)) {
        let blob = format!("[{}]", rows.join(","));
        size += blob.len();
        let mut finds = Finds(BTreeSet::new());
        let mut scan = searcher.scan(Options::default());
        assert!(scan.push(blob.as_bytes(), &mut finds).is_continue());
        assert!(scan.finish(&mut finds).not_searched.is_empty());
        for subject in finds.0 {
            truth.entry(subject).or_default().push(number);
        }
        known.push(tokens(blob.as_bytes(), number, Options::default()));
    }
    let blobs = known.len() as u64;
    let index = Index::read(&key(), &write(&key(), &known)).expect("it was written");
    assert!(truth.len() >= FOUND, "{} were found", truth.len());
    let (mut missed, mut wrong, mut asked) = (Vec::new(), 0, 0);
    for (subject, person) in people.iter().enumerate() {
        let query = Query::new(&key(), std::slice::from_ref(person));
        let holding = truth.get(&subject).map(Vec::as_slice).unwrap_or_default();
        missed.extend(
            holding
                .iter()
                .filter(|blob| index.passes_over(**blob, &query).is_some())
                .map(|blob| (subject, *blob)),
        );
        for _ in 0..OTHERS {
            let other = random.random_range(0..blobs);
            if !holding.contains(&other) {
                asked += 1;
                wrong += usize::from(index.passes_over(other, &query).is_none());
            }
        }
    }
    assert_eq!(missed, [], "of {size} bytes in {blobs} blobs");
    // One in 256 at the most.
    assert!(wrong * 150 < asked, "{wrong} of {asked}");
}
