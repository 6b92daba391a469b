//! What an index is asked for: of each identifier the tokens that every text has that holds it.

use uuid::Uuid;

use super::Key;
use super::tokens::{Buffers, Token, is_kept, may_be_of_a_uuid, tokens, uuid_of};
use crate::search::Identifiers;
use crate::search::chars::fold;
use crate::search::matcher::email_spellings;

/// A token that a blob must have.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    Uuid(Uuid),
    /// A word, or a run.
    Word(Box<str>),
}

impl Wanted {
    /// What is asked first: long words are rare.
    fn order(&self) -> std::cmp::Reverse<usize> {
        std::cmp::Reverse(match self {
            Self::Uuid(_) => usize::MAX,
            Self::Word(word) => word.len(),
        })
    }
}

/// Where an identifier is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    /// Between characters that are no part of a run.
    Alone,
    /// Between characters that are no part of a word: inside of a UUID, too.
    Words,
    /// Inside of words, too: its first and last token may be parts of others.
    Anywhere,
}

/// The identifiers of any number of people, as an index is asked for them.
#[derive(Clone)]
pub struct Query {
    key: Key,
    /// A blob may hold somebody that has all tokens of one of these.
    alternatives: Vec<Vec<Wanted>>,
    /// Identifiers without a token, such as a sign: an index says nothing of them.
    without_tokens: usize,
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Query")
            .field("alternatives", &self.alternatives.len())
            .field("without_tokens", &self.without_tokens)
            .finish_non_exhaustive()
    }
}

impl Query {
    /// Prepares the question for all subjects.
    #[must_use]
    pub fn new(key: &Key, subjects: &[Identifiers]) -> Self {
        let mut query = Self {
            key: key.clone(),
            alternatives: Vec::new(),
            without_tokens: 0,
        };
        for identifiers in subjects {
            let uuids = identifiers
                .install_ids
                .iter()
                .chain(&identifiers.report_ids);
            for uuid in uuids {
                query.alternatives.push(vec![Wanted::Uuid(*uuid)]);
            }
            for id in &identifiers.user_ids {
                query.add(id, Where::Alone);
            }
            for email in &identifiers.emails {
                match email_spellings(email) {
                    Some(spellings) => {
                        for spelling in spellings {
                            query.add(&spelling, Where::Alone);
                        }
                    }
                    None => query.without_tokens += 1,
                }
            }
            for term in &identifiers.terms {
                let mut folded = String::new();
                fold(term, &mut folded);
                query.add(&folded, Where::Words);
            }
            for literal in &identifiers.literals {
                query.add(literal, Where::Anywhere);
            }
        }
        query.alternatives.sort_unstable();
        query.alternatives.dedup();
        query
    }

    fn add(&mut self, text: &str, place: Where) {
        let inner = match place {
            Where::Alone | Where::Words => text,
            Where::Anywhere => inner(text),
        };
        let mut wanted = Vec::new();
        tokens(inner, &mut Buffers::default(), |token| match token {
            Token::Run { text, .. } if place == Where::Alone => {
                let word = || Wanted::Word(text.into());
                wanted.push(uuid_of(text).map_or_else(word, Wanted::Uuid));
            }
            Token::Uuid(_) | Token::Word(_) if place == Where::Alone => {}
            Token::Uuid(uuid) => wanted.push(Wanted::Uuid(uuid)),
            Token::Word(word) if !is_kept(word) => {}
            // The set of a blob has no words of UUIDs, in which a term may stand.
            Token::Word(word) if place == Where::Words && may_be_of_a_uuid(word) => {}
            Token::Word(word) => wanted.push(Wanted::Word(word.into())),
            Token::Run { .. } => {}
        });
        if wanted.is_empty() {
            self.without_tokens += 1;
            return;
        }
        wanted.sort_unstable();
        wanted.dedup();
        wanted.sort_by_key(Wanted::order);
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

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// For each identifier what a blob that holds it has, all of it.
    pub(super) fn alternatives(&self) -> impl Iterator<Item = &[Wanted]> {
        self.alternatives.iter().map(Vec::as_slice)
    }
}

/// The text from its first to its last character that stands in no word and in no UUID.
fn inner(text: &str) -> &str {
    let is_sign = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '-';
    let (Some(first), Some(last)) = (text.find(is_sign), text.rfind(is_sign)) else {
        return "";
    };
    text.get(first..=last).unwrap_or_default()
}
