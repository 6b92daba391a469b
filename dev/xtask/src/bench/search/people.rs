//! The people who are looked for, and names, addresses and IDs of others.

use std::fmt::Write as _;
use std::path::Path;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

/// How many identifiers are looked for, one measurement after the other.
pub(in crate::bench) const COUNTS: [usize; 5] = [1, 4, 100, 1_000, 10_000];
/// The most terms among them.
const MAX_TERMS: usize = 20;
/// How many identifiers a person has.
const OF_A_PERSON: usize = 4;

const DOMAINS: [&str; 8] = [
    "contoso.example",
    "mail.fabrikam.example",
    "northwind.example",
    "adatum.example.co.uk",
    "post.proseware.example",
    "litware.example",
    "tailspin-toys.example",
    "wingtip.example",
];

/// What an identifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) enum Kind {
    Install,
    User,
    Email,
    Term,
}

/// Whose an identifier is: people of different groups share no user ID, whatever the random numbers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::bench) enum Group {
    /// People whom nobody looks for.
    Others,
    /// People who are looked for and stand in the archive.
    Planted,
    /// People who are looked for and stand nowhere.
    Absent,
}

/// An identifier, as a request gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::bench) struct Identifier {
    pub(in crate::bench) kind: Kind,
    pub(in crate::bench) text: String,
}

/// A sequence that is the same for the same words.
pub(in crate::bench) fn sequence(seed: u64, words: &str) -> StdRng {
    // FNV-1a: nothing but different numbers for different words is asked for.
    let hash = words.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    StdRng::seed_from_u64(hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// So many identifiers: 25 % user IDs, 15 % e-mails, a fiftieth but at most 20 terms, the others install IDs.
///
/// The same seed gives the same ones.
pub(in crate::bench) fn identifiers(seed: u64, group: Group, count: usize) -> Vec<Identifier> {
    let mut random = sequence(seed, &format!("identifiers {group:?} {count}"));
    let users = (count + 1) / 4;
    let emails = (count * 15 + 50) / 100;
    let terms = MAX_TERMS.min(count / 50);
    let installs = count - users - emails - terms;
    let mut all = Vec::with_capacity(count);
    let mut add = |kind, count, text: &dyn Fn(&mut StdRng) -> String| {
        all.extend((0..count).map(|_| Identifier {
            kind,
            text: text(&mut random),
        }));
    };
    add(Kind::Install, installs, &uuid);
    add(Kind::User, users, &|random| user_id(random, group));
    add(Kind::Email, emails, &email);
    add(Kind::Term, terms, &|random| {
        format!("{} {}", word(random, true), word(random, true))
    });
    all
}

/// A random UUID.
pub(in crate::bench) fn uuid(random: &mut StdRng) -> String {
    let [a, b]: [u64; 2] = [random.random(), random.random()];
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        0x8000 | b >> 48 & 0x3fff,
        b & 0xffff_ffff_ffff
    )
}

/// A user ID in one of the forms that apps use.
pub(in crate::bench) fn user_id(random: &mut StdRng, group: Group) -> String {
    let number = random.random_range(400_000..30_000_000_u32) * 3 + group as u32;
    match random.random_range(0..4_u8) {
        0 => format!("u-{number}"),
        1 => number.to_string(),
        2 => format!("auth0|{:024x}", random.random::<u128>() >> 32),
        _ => format!("{}_{}", word(random, false), number % 9_999),
    }
}

/// An e-mail address.
pub(in crate::bench) fn email(random: &mut StdRng) -> String {
    let domain = DOMAINS[random.random_range(0..DOMAINS.len())];
    let number: u32 = random.random_range(0..10_000);
    format!(
        "{}.{}{number}@{domain}",
        word(random, false),
        word(random, false)
    )
}

/// A word that is no word: two to four syllables, in a name sometimes with a letter beyond ASCII.
pub(in crate::bench) fn word(random: &mut StdRng, is_name: bool) -> String {
    const SYLLABLES: [&str; 24] = [
        "ba", "dor", "ke", "lin", "mar", "no", "ras", "ti", "vel", "zu", "chi", "fa", "gre", "hol",
        "ja", "pli", "quo", "sa", "tur", "wen", "xi", "yo", "bren", "del",
    ];
    let mut word = String::new();
    for _ in 0..random.random_range(3..6) {
        word.push_str(SYLLABLES[random.random_range(0..SYLLABLES.len())]);
    }
    if is_name {
        word[..1].make_ascii_uppercase();
        if random.random_bool(0.5) {
            word.push_str(["é", "ß", "ñ", "øn", "ić"][random.random_range(0..5)]);
        }
    }
    word
}

/// Writes the people as `appcenter-dsr search --subjects` takes them, each with a few identifiers.
///
/// # Errors
/// When the file cannot be written.
pub(in crate::bench) fn write_subjects(
    path: &Path,
    identifiers: &[Identifier],
) -> anyhow::Result<()> {
    let people = identifiers.len().div_ceil(OF_A_PERSON);
    let mut lines = String::new();
    for person in 0..people {
        let of = |kind| -> Vec<Value> {
            let own = identifiers.iter().skip(person).step_by(people);
            own.filter(|it| it.kind == kind)
                .map(|it| json!(it.text))
                .collect()
        };
        let line = json!({
            "id": format!("person-{person}"),
            "install_ids": of(Kind::Install),
            "user_ids": of(Kind::User),
            "emails": of(Kind::Email),
            "terms": of(Kind::Term),
        });
        writeln!(lines, "{line}")?;
    }
    Ok(std::fs::write(path, lines)?)
}

/// Writes the identifiers alone, a line each: what `rg -f` takes.
///
/// # Errors
/// When the file cannot be written.
pub(in crate::bench) fn write_patterns(
    path: &Path,
    identifiers: &[Identifier],
) -> anyhow::Result<()> {
    let lines: String = identifiers
        .iter()
        .map(|it| format!("{}\n", it.text))
        .collect();
    Ok(std::fs::write(path, lines)?)
}

/// Writes the identifiers as the keys of an object: what the filter for jq takes.
///
/// # Errors
/// When the file cannot be written.
pub(in crate::bench) fn write_keys(path: &Path, identifiers: &[Identifier]) -> anyhow::Result<()> {
    let keys: serde_json::Map<String, Value> = identifiers
        .iter()
        .map(|it| (it.text.clone(), json!(true)))
        .collect();
    Ok(std::fs::write(path, Value::Object(keys).to_string())?)
}

#[cfg(test)]
mod tests {
    use super::{COUNTS, Group, Kind, identifiers};

    #[test]
    fn shares_of_the_kinds() {
        for (count, expected) in COUNTS.into_iter().zip([
            [1, 0, 0, 0],
            [2, 1, 1, 0],
            [58, 25, 15, 2],
            [580, 250, 150, 20],
            [5_980, 2_500, 1_500, 20],
        ]) {
            let all = identifiers(1, Group::Planted, count);
            let of = |kind| all.iter().filter(|it| it.kind == kind).count();
            let found = [Kind::Install, Kind::User, Kind::Email, Kind::Term].map(of);
            assert_eq!(found, expected, "{count}");
        }
    }

    #[test]
    fn no_identifier_comes_twice() {
        let mut all: Vec<String> = [Group::Planted, Group::Absent]
            .into_iter()
            .flat_map(|group| identifiers(1, group, 10_000))
            .map(|it| it.text)
            .collect();
        let again = identifiers(1, Group::Planted, 10_000);
        assert_eq!(all[9_999], again[9_999].text);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }
}
