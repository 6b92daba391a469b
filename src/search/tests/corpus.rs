//! The corpus of awkward inputs in `tests/corpus`: what the contract says of each, held against the engine.
//!
//! Every input is searched as one slice, in chunks of one byte and in chunks of random sizes, with equal results. What is
//! found is compared with what is expected, record by record and identifier by identifier, in both directions: a missed one
//! lowers recall, one too many lowers precision, and both must be 1.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Deserialize;

use super::*;

/// How many inputs with something to find there are at least, and how many without.
const ENOUGH: usize = 150;
/// How many times each input is cut into random chunks.
const ROUNDS: usize = 3;

/// Somebody who is looked for.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Person {
    install_ids: Vec<String>,
    user_ids: Vec<String>,
    emails: Vec<String>,
    terms: Vec<String>,
}

impl Person {
    /// Her identifiers as the corpus writes them, in the engine's order.
    fn names(&self) -> Vec<&str> {
        [&self.install_ids, &self.user_ids, &self.emails, &self.terms]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect()
    }

    fn identifiers(&self) -> Identifiers {
        Identifiers {
            install_ids: self
                .install_ids
                .iter()
                .map(|id| id.parse().expect("a UUID"))
                .collect(),
            user_ids: self.user_ids.clone(),
            emails: self.emails.clone(),
            terms: self.terms.clone(),
            ..Identifiers::default()
        }
    }

    fn searcher(&self) -> Searcher {
        Searcher::new(&[self.identifiers()]).expect("good identifiers")
    }
}

/// One file of the corpus.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    who: String,
    case: Vec<Case>,
}

/// One input; `tests/corpus/README.md` says what the keys mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    who: Option<String>,
    path: Option<String>,
    text: Option<String>,
    base64: Option<String>,
    #[serde(default)]
    before: String,
    fill: Option<String>,
    #[serde(default)]
    at: Vec<usize>,
    #[serde(default)]
    after: String,
    #[serde(default)]
    found: Vec<Expected>,
    why: Option<String>,
    known: Option<String>,
}

/// A record in which something is to be found.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    record: u64,
    offset: u64,
    length: u64,
    grows: Option<Grows>,
    #[serde(default)]
    decoded: bool,
    #[serde(default)]
    act: BTreeSet<String>,
    #[serde(default)]
    hold: BTreeSet<String>,
}

/// Which figure of a record the fill is added to.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Grows {
    Offset,
    Length,
}

/// One identifier in one record, as finds are compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Find {
    record: u64,
    offset: u64,
    length: u64,
    decoded: bool,
    identifier: String,
    is_held: bool,
}

impl Case {
    /// The blobs of the case, and how much fill is in each.
    fn blobs(&self) -> Vec<(Vec<u8>, usize)> {
        let bytes = match (&self.text, &self.base64) {
            (Some(text), None) => text.clone().into_bytes(),
            (None, Some(base64)) => BASE64_STANDARD.decode(base64).expect("base64"),
            _ => panic!("{}: one of `text` and `base64`", self.name),
        };
        let Some(fill) = &self.fill else {
            assert!(self.at.is_empty(), "{}: `at` without `fill`", self.name);
            return vec![(
                [self.before.as_bytes(), &bytes, self.after.as_bytes()].concat(),
                0,
            )];
        };
        assert!(fill.is_ascii() && !fill.is_empty(), "{}", self.name);
        let blob = |at: &usize| {
            let room = at - self.before.len();
            let fill: Vec<u8> = fill.bytes().cycle().take(room).collect();
            let blob = [self.before.as_bytes(), &fill, &bytes, self.after.as_bytes()];
            (blob.concat(), room)
        };
        self.at.iter().map(blob).collect()
    }

    fn expected(&self, filled: usize) -> BTreeSet<Find> {
        let mut finds = BTreeSet::new();
        for it in &self.found {
            let more = |which| {
                if it.grows == Some(which) {
                    filled as u64
                } else {
                    0
                }
            };
            let act = it.act.iter().map(|id| (id, false));
            for (identifier, is_held) in act.chain(it.hold.iter().map(|id| (id, true))) {
                finds.insert(Find {
                    record: it.record,
                    offset: it.offset + more(Grows::Offset),
                    length: it.length + more(Grows::Length),
                    decoded: it.decoded,
                    identifier: identifier.clone(),
                    is_held,
                });
            }
        }
        finds
    }
}

/// What the engine found, in the same form. An identifier is held when no place of the record is exact.
fn finds(found: &[Found], names: &[&str]) -> BTreeSet<Find> {
    let mut finds = BTreeSet::new();
    for it in found {
        let ids: BTreeSet<usize> = it.hits.iter().map(|hit| hit.identifier).collect();
        for id in ids {
            let mut places = it.hits.iter().filter(|hit| hit.identifier == id);
            finds.insert(Find {
                record: it.record,
                offset: it.offset,
                length: it.length,
                decoded: it.decoded,
                identifier: names[id].to_owned(),
                is_held: !places.any(|hit| hit.strength == Strength::Exact),
            });
        }
    }
    finds
}

/// Cuts a blob at random places: into small chunks, into large ones, into both.
fn random_chunks<'a>(blob: &'a [u8], round: usize, random: &mut StdRng) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    let mut rest = blob;
    while !rest.is_empty() {
        let most = match round % 3 {
            0 => 16,
            1 => rest.len().min(5_000),
            _ => [2, 70, 9_000][random.random_range(0..3)],
        };
        let (chunk, after) = rest.split_at(random.random_range(1..=most.max(1)).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// Searches a blob in every way and asserts that they agree.
fn search_in_chunks(searcher: &Searcher, case: &Case, blob: &[u8], seed: u64) -> Vec<Found> {
    let options = Options {
        path: case.path.as_deref(),
        ..Options::default()
    };
    let whole = run(searcher, std::iter::once(blob), options);
    let bytes = run(searcher, blob.chunks(1), options);
    assert_eq!(bytes, whole, "{}: chunks of one byte", case.name);
    let mut random = StdRng::seed_from_u64(seed);
    for round in 0..ROUNDS {
        let chunks = random_chunks(blob, round, &mut random);
        let sizes: Vec<usize> = chunks.iter().map(|it| it.len()).take(50).collect();
        let chunked = run(searcher, chunks.into_iter(), options);
        assert_eq!(chunked, whole, "{}: chunks of {sizes:?}", case.name);
    }
    let (found, summary) = whole;
    assert_eq!(summary.not_searched, [], "{}", case.name);
    found
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn read<T: serde::de::DeserializeOwned>(path: &std::path::Path) -> T {
    let text = std::fs::read_to_string(path).expect("a file of the corpus");
    toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files of cases, in order of their names.
fn files() -> Vec<Cases> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder())
        .expect("the corpus")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|it| it == "toml"))
        .filter(|path| !path.ends_with("people.toml"))
        .collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

/// How many finds are right, missing, or too many.
#[derive(Default)]
struct Score {
    right: usize,
    missed: Vec<String>,
    wrong: Vec<String>,
}

impl Score {
    fn compare(&mut self, name: &str, expected: &BTreeSet<Find>, found: &BTreeSet<Find>) {
        self.right += expected.intersection(found).count();
        let line = |it: &Find| format!("{name}: {it:?}");
        self.missed.extend(expected.difference(found).map(line));
        self.wrong.extend(found.difference(expected).map(line));
    }
}

#[test]
fn recall_and_precision_are_one() {
    let people: BTreeMap<String, Person> = read(&folder().join("people.toml"));
    let searchers: BTreeMap<&str, Searcher> = people
        .iter()
        .map(|(name, person)| (name.as_str(), person.searcher()))
        .collect();
    let (mut positives, mut look_alikes, mut inputs) = (0, 0, 0_u64);
    let mut names = HashSet::new();
    let mut score = Score::default();
    for file in &files() {
        for case in &file.case {
            assert!(names.insert(&case.name), "{}: twice", case.name);
            let is_positive = !case.found.is_empty();
            assert!(is_positive || case.why.is_some(), "{}: why?", case.name);
            let who = case.who.as_deref().unwrap_or(&file.who);
            let mut of_case = Score::default();
            for (blob, filled) in case.blobs() {
                inputs += 1;
                let found = search_in_chunks(&searchers[who], case, &blob, inputs);
                let options = Options {
                    path: case.path.as_deref(),
                    ..Options::default()
                };
                index::check(&people[who].identifiers(), &blob, options, &found);
                let found = finds(&found, &people[who].names());
                of_case.compare(&case.name, &case.expected(filled), &found);
            }
            if let Some(known) = &case.known {
                let is_wrong = !(of_case.missed.is_empty() && of_case.wrong.is_empty());
                assert!(is_wrong, "{}: no longer so: {known}", case.name);
                continue;
            }
            positives += usize::from(is_positive);
            look_alikes += usize::from(!is_positive);
            score.right += of_case.right;
            score.missed.append(&mut of_case.missed);
            score.wrong.append(&mut of_case.wrong);
        }
    }
    let Score {
        right,
        missed,
        wrong,
    } = &score;
    assert!(
        missed.is_empty() && wrong.is_empty(),
        "recall {right} of {}, precision {right} of {}\nmissed: {missed:#?}\ntoo many: {wrong:#?}",
        right + missed.len(),
        right + wrong.len(),
    );
    assert!(positives >= ENOUGH, "{positives} inputs with a find");
    assert!(look_alikes >= ENOUGH, "{look_alikes} look-alikes");
}
