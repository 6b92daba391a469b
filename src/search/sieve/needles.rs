//! What the first pass looks for: of every identifier the part that tells most and that each of its spellings has.

use std::collections::HashSet;

use aho_corasick::{AhoCorasick, MatchKind};

use super::addresses::Addresses;
use super::decode::entity;
use super::lookup::{MAX_TOKEN, Tokens, Uuids, uuid_at};
use super::spellings::spellings;
use super::terms::Terms;
use crate::search::Identifiers;
use crate::search::chars::fold;
use crate::search::escapes::{hex_escape_at, percent_at};
use crate::search::matcher::email_spellings;

/// Base64 is judged by so many bytes around an escape, and a UUID has no more.
const MIN_REACH: usize = 48;
/// A part of a literal that is looked for as a token has at least so many characters.
const MIN_LITERAL_TOKEN: usize = 8;

/// The identifiers, as the first pass needs them.
#[derive(Debug)]
pub(super) struct Needles {
    pub(super) uuids: Uuids,
    pub(super) tokens: Tokens,
    pub(super) addresses: Addresses,
    pub(super) terms: Terms,
    /// Bytes that are looked for in every record.
    pub(super) texts: Option<AhoCorasick>,
    /// Bytes that are looked for in records that are not ASCII alone.
    pub(super) high_texts: Option<AhoCorasick>,
    /// Bytes that are looked for in records with characters that fold to letters of ASCII.
    pub(super) folding_texts: Option<AhoCorasick>,
    /// Whether an identifier holds what looks like an escape: then every escape may be a part of it.
    pub(super) is_fragile: bool,
    /// Whether there is an identifier of which nothing can be looked for.
    pub(super) is_anything: bool,
    /// How far from an escape an identifier reaches that holds it.
    pub(super) reach: usize,
}

impl Needles {
    pub(super) fn new(subjects: &[Identifiers]) -> Self {
        let mut builder = Builder::default();
        for identifiers in subjects {
            let uuids = identifiers
                .install_ids
                .iter()
                .chain(&identifiers.report_ids);
            builder.uuids.extend(uuids.map(|uuid| uuid.as_u128()));
            for id in &identifiers.user_ids {
                builder.user_id(id);
            }
            for email in &identifiers.emails {
                builder.email(email);
            }
            for term in &identifiers.terms {
                builder.term(term);
            }
            for literal in &identifiers.literals {
                builder.literal(literal);
            }
        }
        builder.build()
    }
}

#[derive(Default)]
struct Builder {
    uuids: HashSet<u128>,
    tokens: HashSet<Vec<u8>>,
    addresses: Vec<String>,
    terms: Vec<String>,
    texts: HashSet<Vec<u8>>,
    is_fragile: bool,
    is_anything: bool,
}

impl Builder {
    fn build(mut self) -> Needles {
        let tokens = Tokens::new(self.tokens);
        let addresses = Addresses::new(self.addresses.iter().map(String::as_str));
        let (terms, without) = Terms::new(&self.terms);
        for term in without {
            self.texts
                .extend(spellings(term).into_iter().map(String::into_bytes));
        }
        let folding: Vec<Vec<u8>> = terms
            .folding()
            .into_iter()
            .map(String::into_bytes)
            .collect();
        let longest = self.texts.iter().chain(&folding).map(Vec::len).max();
        let longest = longest.unwrap_or(0);
        let reach = [
            MIN_REACH,
            // With the backslash and the letter of an escape before it.
            MAX_TOKEN + 2,
            addresses.reach(),
            terms.reach(),
            longest,
        ];
        let (ascii, high): (Vec<_>, Vec<_>) =
            self.texts.into_iter().partition(|text| text.is_ascii());
        let mut is_anything = self.is_anything;
        let mut automaton = |texts: Vec<Vec<u8>>, is_any_case: bool| {
            if texts.is_empty() {
                return None;
            }
            let automaton = AhoCorasick::builder()
                .match_kind(MatchKind::Standard)
                .ascii_case_insensitive(is_any_case)
                .build(texts);
            is_anything |= automaton.is_err();
            automaton.ok()
        };
        let (texts, high_texts) = (automaton(ascii, false), automaton(high, false));
        let folding_texts = automaton(folding, true);
        Needles {
            uuids: Uuids::new(self.uuids),
            tokens,
            addresses,
            terms,
            texts,
            high_texts,
            folding_texts,
            is_fragile: self.is_fragile,
            is_anything,
            reach: reach.into_iter().max().unwrap_or(MIN_REACH),
        }
    }

    fn note(&mut self, text: &str) {
        let bytes = text.as_bytes();
        // A backslash alone is none: where it may be the identifier's own or a part of an escape, `around` leaves it to the
        // exact search.
        self.is_fragile |= (0..bytes.len()).any(|at| {
            percent_at(bytes, at).is_some()
                || hex_escape_at(bytes, at).is_some()
                || entity(bytes, at).is_some()
        });
    }

    fn user_id(&mut self, id: &str) {
        self.note(id);
        let is_address = id.rsplit_once('@').is_some_and(|(before, after)| {
            let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
            ends(before.chars().next_back()) && ends(after.chars().next())
        });
        if is_address {
            self.addresses.push(id.to_ascii_lowercase());
        } else if let Some(token) = telling_token(id.as_bytes()) {
            self.token(token);
        } else {
            self.bytes(id);
        }
    }

    fn token(&mut self, token: &[u8]) {
        let length = token.len().min(MAX_TOKEN);
        self.tokens
            .insert(token.get(..length).unwrap_or_default().to_vec());
    }

    fn email(&mut self, email: &str) {
        self.note(email);
        for spelling in email_spellings(email).into_iter().flatten() {
            self.note(&spelling);
            self.addresses.push(spelling);
        }
    }

    fn term(&mut self, term: &str) {
        self.note(term);
        let mut folded = String::new();
        fold(term, &mut folded);
        self.note(&folded);
        let words: Vec<&str> = folded.split_whitespace().collect();
        let term = words.join(" ");
        // Signs have other spellings than letters have, and any escape: nothing tells where they are not.
        if !term.contains(char::is_alphanumeric) {
            self.is_anything = true;
            return;
        }
        self.terms.push(term);
    }

    fn literal(&mut self, literal: &str) {
        self.note(literal);
        let bytes = literal.as_bytes();
        let is_hex = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at))
                .is_some_and(u8::is_ascii_hexdigit)
        };
        let uuid = (0..bytes.len())
            .filter(|at| {
                bytes.get(at + 8) == Some(&b'-')
                    && !is_hex(at.checked_sub(1))
                    && !is_hex(Some(at + 36))
            })
            .find_map(|at| uuid_at(bytes, at));
        if let Some(uuid) = uuid {
            self.uuids.insert(uuid);
            return;
        }
        // The first and the last token may go on outside of the literal.
        let inner = bytes
            .iter()
            .position(|byte| !is_token(*byte))
            .and_then(|from| {
                let to = bytes.iter().rposition(|byte| !is_token(*byte))?;
                bytes.get(from..=to)
            });
        let token = inner.and_then(telling_token).filter(|token| {
            token.len() >= MIN_LITERAL_TOKEN && token.iter().any(u8::is_ascii_digit)
        });
        match token {
            Some(token) => self.token(token),
            None => self.bytes(literal),
        }
    }

    /// Looks for the longest part that stands in every spelling as it is.
    fn bytes(&mut self, text: &str) {
        let part = text
            .split(|c: char| c.is_ascii_control() || matches!(c, '"' | '\\' | '/'))
            .max_by_key(|part| part.len())
            .unwrap_or_default();
        let part: String = part.chars().take(MAX_TOKEN / 4).collect();
        self.is_anything |= part.is_empty();
        if !part.is_empty() {
            self.texts.insert(part.into_bytes());
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// The run of token characters that tells most: the longest, where a digit counts for two letters. The whole text when it is one.
fn telling_token(text: &[u8]) -> Option<&[u8]> {
    let is_whole = text.iter().all(|byte| is_token(*byte));
    text.split(|byte| !is_token(*byte))
        .max_by_key(|run| run.len() + run.iter().filter(|byte| byte.is_ascii_digit()).count())
        .filter(|run| is_whole || run.len() >= 3 || (text.is_ascii() && !run.is_empty()))
}
