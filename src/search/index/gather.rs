//! The tokens of one blob, gathered text by text.

use std::collections::HashSet;

use uuid::Uuid;

use super::tokens::{Buffers, Token, is_kept, tokens, uuid_of};
use super::{BlobTokens, Key, coded};
use crate::search::chars::{fold, lower};

/// With more words than this that are not ASCII a blob is taken to hold all of them: bytes of a picture read as UTF-16 are random
/// characters of every script.
const MAX_OTHERS: usize = 2_000;
/// With more tokens than this a blob is read whoever is looked for: the set would be as large as many others.
const MAX_TOKENS: usize = 500_000;

/// The tokens of one blob. They are personal data in the clear, so that there is no `Debug`.
pub(in crate::search) struct Tokens {
    key: Key,
    uuids: HashSet<Uuid>,
    /// Words, and runs of more than one.
    words: HashSet<Box<str>>,
    /// Those that are not ASCII alone.
    others: HashSet<Box<str>>,
    /// Whether there are too many of `others`, which are no longer kept then.
    has_all_others: bool,
    /// Whether there are too many altogether, and none are kept.
    is_full: bool,
    changed: String,
    buffers: Buffers,
}

impl Tokens {
    pub(in crate::search) fn new(key: Key) -> Self {
        Self {
            key,
            uuids: HashSet::new(),
            words: HashSet::new(),
            others: HashSet::new(),
            has_all_others: false,
            is_full: false,
            changed: String::new(),
            buffers: Buffers::default(),
        }
    }

    /// Takes a text in every form in which the exact search looks at it: as it is, in lower case, and folded.
    pub(in crate::search) fn add(&mut self, text: &str) {
        self.take(text);
        if !text.is_ascii() {
            let mut changed = std::mem::take(&mut self.changed);
            for change in [lower, fold] {
                changed.clear();
                change(text, &mut changed);
                self.take(&changed);
            }
            self.changed = changed;
        }
    }

    fn take(&mut self, text: &str) {
        if self.is_full {
            return;
        }
        let Self {
            uuids,
            words,
            others,
            has_all_others,
            buffers,
            ..
        } = self;
        // One text alone may have too many; that it has is told below.
        let mut insert = |text: &str| {
            if text.is_ascii() {
                if words.len() <= MAX_TOKENS && !words.contains(text) {
                    words.insert(text.into());
                }
            } else if !*has_all_others && !others.contains(text) {
                others.insert(text.into());
                *has_all_others = others.len() > MAX_OTHERS;
            }
        };
        tokens(text, buffers, |token| match token {
            Token::Uuid(uuid) => {
                if uuids.len() <= MAX_TOKENS {
                    uuids.insert(uuid);
                }
            }
            Token::Word(text) => {
                if is_kept(text) {
                    insert(text);
                }
            }
            Token::Run { text, is_word } => {
                let is_told = is_word && is_kept(text) || uuid_of(text).is_some();
                if !is_told {
                    insert(text);
                }
            }
        });
        if self.uuids.len() + self.words.len() > MAX_TOKENS {
            self.is_full = true;
            self.uuids = HashSet::new();
            self.words = HashSet::new();
        }
        if self.is_full || self.has_all_others {
            self.others = HashSet::new();
        }
    }

    /// What an index says of the blob. `is_searched` tells whether the exact search looked at all of it.
    pub(in crate::search) fn finish(
        self,
        blob: u64,
        records: u64,
        is_searched: bool,
    ) -> BlobTokens {
        let Self { key, .. } = &self;
        let uuids = self.uuids.iter().map(|uuid| key.uuid(blob, *uuid));
        let words = self.words.iter().chain(&self.others);
        let words = words.map(|word| key.word(blob, word));
        BlobTokens {
            blob,
            records,
            notes: [0; 2],
            is_searched: is_searched && !self.is_full,
            has_all_others: self.has_all_others,
            uuids: coded::encode(&uuids.collect::<Vec<_>>()),
            words: coded::encode(&words.collect::<Vec<_>>()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Identifiers;
    use crate::search::index::{Index, Query, write};

    /// Whether a blob with these tokens is passed over for somebody who is not in it.
    fn passes(tokens: Tokens, user_id: &str) -> bool {
        let key = Key::new(b"a key");
        let bytes = write(&key, &[tokens.finish(1, 1, true)]);
        let person = Identifiers {
            user_ids: vec![user_id.to_owned()],
            ..Identifiers::default()
        };
        let index = Index::read(&key, &bytes).expect("it was written");
        index.passes_over(1, &Query::new(&key, &[person])).is_some()
    }

    #[test]
    fn too_many_words_rule_nothing_out() {
        let gathered = |count: u32, suffix: &str| {
            let mut tokens = Tokens::new(Key::new(b"a key"));
            for number in 0..count {
                tokens.add(&format!("{number}{suffix}"));
            }
            tokens
        };
        let many = u32::try_from(MAX_OTHERS + 1).expect("a few thousand");
        assert!(passes(gathered(many - 1, "\u{f8}"), "\u{f8}"));
        assert!(!passes(gathered(many, "\u{f8}"), "\u{f8}"));
        assert!(passes(gathered(many, "\u{f8}"), "anna"));
        let all = u32::try_from(MAX_TOKENS + 1).expect("a few thousand");
        assert!(!passes(gathered(all, ""), "anna"));
        let text: String = (0..all).map(|number| format!("{number} ")).collect();
        let mut tokens = Tokens::new(Key::new(b"a key"));
        tokens.add(&text);
        assert!(!passes(tokens, "anna"));
    }
}
