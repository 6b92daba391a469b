//! What an index is asked for: of each identifier the tokens that every text has that holds it.

use super::tokens::{Token, tokens};
use super::{Key, fold};
use crate::search::Identifiers;
use crate::search::matcher::email_spellings;

/// A token that a blob must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    Uuid(u64),
    Word { key: u64, is_ascii: bool },
}

/// The identifiers of any number of people, as an index is asked for them.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// A blob may hold somebody that has all tokens of one of these.
    alternatives: Vec<Vec<Wanted>>,
    /// Identifiers without a token, such as a sign: an index says nothing of them.
    without_tokens: usize,
}

impl Query {
    /// Prepares the question for all subjects.
    #[must_use]
    pub fn new(key: &Key, subjects: &[Identifiers]) -> Self {
        let mut query = Self::default();
        for identifiers in subjects {
            let uuids = identifiers
                .install_ids
                .iter()
                .chain(&identifiers.report_ids);
            for uuid in uuids {
                let wanted = Wanted::Uuid(key.token(Token::Uuid(*uuid)));
                query.alternatives.push(vec![wanted]);
            }
            for id in &identifiers.user_ids {
                query.add(key, id, false);
            }
            for email in &identifiers.emails {
                for spelling in email_spellings(email).into_iter().flatten() {
                    query.add(key, &spelling, false);
                }
            }
            for term in &identifiers.terms {
                let mut folded = String::new();
                fold(term, &mut folded);
                query.add(key, &folded, false);
            }
            for literal in &identifiers.literals {
                query.add(key, literal, true);
            }
        }
        query.alternatives.sort_unstable();
        query.alternatives.dedup();
        query
    }

    /// Adds an identifier. One that `may_go_on` is found inside of words, too: its first and last token may be parts of others.
    fn add(&mut self, key: &Key, text: &str, may_go_on: bool) {
        let inner = match may_go_on {
            true => inner(text),
            false => text,
        };
        let mut wanted = Vec::new();
        tokens(inner, |token| {
            let hash = key.token(token);
            wanted.push(match token {
                Token::Uuid(_) => Wanted::Uuid(hash),
                Token::Word(word) => Wanted::Word {
                    key: hash,
                    is_ascii: word.is_ascii(),
                },
            });
        });
        if wanted.is_empty() {
            self.without_tokens += 1;
            return;
        }
        wanted.sort_unstable();
        wanted.dedup();
        self.alternatives.push(wanted);
    }

    /// How many identifiers an index says nothing of; with one of them every blob is to be read.
    #[must_use]
    pub fn without_tokens(&self) -> usize {
        self.without_tokens
    }

    /// Whether UUIDs alone are asked for: then the first part of an index is enough.
    #[must_use]
    pub fn is_of_uuids(&self) -> bool {
        let mut all = self.alternatives.iter().flatten();
        self.without_tokens == 0 && all.all(|wanted| matches!(wanted, Wanted::Uuid(_)))
    }

    pub(super) fn is_everything(&self) -> bool {
        self.without_tokens > 0
    }

    pub(super) fn alternatives(&self) -> impl Iterator<Item = &Vec<Wanted>> {
        self.alternatives.iter()
    }
}

/// The text without what stands before its first and behind its last character that is neither a letter nor a digit.
fn inner(text: &str) -> &str {
    let is_sign = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '-';
    let (Some(first), Some(last)) = (text.find(is_sign), text.rfind(is_sign)) else {
        return "";
    };
    text.get(first..=last).unwrap_or_default()
}
