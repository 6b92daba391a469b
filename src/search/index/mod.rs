//! A keyed index of a day: which of its blobs may hold an identifier, so that the others need not be read again.
//!
//! Of each blob it has two small sets, of the UUIDs and of the words that the exact search came by in any layer of encoding,
//! hashed with a key: without the key the sets tell nothing but their sizes. A set never says no to what was put in. A blob is
//! known by a hash of its name and ETag, so that one that was written again is simply not known.

mod coded;
mod query;
mod tokens;

use std::collections::HashSet;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::chars::{fold, lower};
use coded::{read_number, write_number};
pub use query::Query;
use tokens::{Token, tokens};

/// What an index begins with: its kind and version.
const MAGIC: &[u8; 8] = b"DSRIDX1\n";
/// Blobs of which one index knows, at the most.
const MAX_BLOBS: u64 = 1_000_000;

/// The key of an index, ready for use. Whoever has it can ask an index for any identifier.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(REDACTED)")
    }
}

impl Key {
    /// Takes a key of any length.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        // Keys of any length are taken: longer ones than a block are hashed first.
        Self(Hmac::new_from_slice(key).unwrap_or_else(|_never| Hmac::new(&Default::default())))
    }

    fn hash(&self, kind: u8, parts: &[&[u8]]) -> u64 {
        let mut hmac = self.0.clone();
        hmac.update(&[kind]);
        for part in parts {
            hmac.update(&(part.len() as u64).to_le_bytes());
            hmac.update(part);
        }
        let bytes = hmac.finalize().into_bytes();
        bytes
            .first_chunk()
            .map_or(0, |first| u64::from_le_bytes(*first))
    }

    fn token(&self, token: Token<'_>) -> u64 {
        match token {
            Token::Uuid(uuid) => self.hash(b'u', &[uuid.as_bytes()]),
            Token::Word(word) => self.hash(b'w', &[word.as_bytes()]),
        }
    }

    /// How an index knows a blob.
    #[must_use]
    pub fn blob(&self, name: &str, etag: &str) -> u64 {
        self.hash(b'b', &[name.as_bytes(), etag.as_bytes()])
    }
}

/// The tokens of one blob, gathered text by text.
#[derive(Debug)]
pub(super) struct Tokens {
    key: Key,
    uuids: HashSet<u64>,
    words: HashSet<u64>,
    /// Words that are not ASCII alone.
    others: HashSet<u64>,
    /// What was hashed already in this blob: most words come again and again.
    known: HashSet<Box<str>>,
    scratch: String,
}

/// With more words than this that are not ASCII a blob is taken to hold all of them: bytes of a picture read as UTF-16 are random
/// characters of every script.
const MAX_OTHERS: usize = 2_000;
/// Words that are remembered as hashed.
const MAX_KNOWN: usize = 10_000;

impl Tokens {
    pub(super) fn new(key: Key) -> Self {
        Self {
            key,
            uuids: HashSet::new(),
            words: HashSet::new(),
            others: HashSet::new(),
            known: HashSet::new(),
            scratch: String::new(),
        }
    }

    /// Takes a text as the exact search compares it: as it is, in lower case, and folded.
    pub(super) fn add(&mut self, text: &str) {
        self.take(text);
        if !text.is_ascii() {
            let mut other = std::mem::take(&mut self.scratch);
            for change in [lower, fold] {
                other.clear();
                change(text, &mut other);
                self.take(&other);
            }
            self.scratch = other;
        }
    }

    fn take(&mut self, text: &str) {
        let Self {
            key,
            uuids,
            words,
            others,
            known,
            ..
        } = self;
        tokens(text, |token| match token {
            Token::Uuid(_) => {
                uuids.insert(key.token(token));
            }
            Token::Word(word) => {
                if known.contains(word) {
                    return;
                }
                if known.len() < MAX_KNOWN {
                    known.insert(word.into());
                }
                if word.is_ascii() {
                    words.insert(key.token(token));
                } else if others.len() <= MAX_OTHERS {
                    others.insert(key.token(token));
                }
            }
        });
    }

    /// What an index says of the blob.
    pub(super) fn finish(mut self, blob: u64, records: u64, is_searched: bool) -> BlobTokens {
        let has_all_others = self.others.len() > MAX_OTHERS;
        if !has_all_others {
            self.words.extend(&self.others);
        }
        let encode = |keys: HashSet<u64>| coded::encode(&keys.into_iter().collect::<Vec<_>>());
        BlobTokens {
            blob,
            records,
            is_searched,
            has_all_others,
            uuids: encode(self.uuids),
            words: encode(self.words),
        }
    }
}

/// What an index knows of one blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobTokens {
    /// The blob, as [`Key::blob`] says it.
    blob: u64,
    /// Its records.
    records: u64,
    /// Whether all of it was searched: otherwise it is to be read whoever is looked for.
    is_searched: bool,
    /// Whether it is taken to hold every word that is not ASCII alone.
    has_all_others: bool,
    uuids: Vec<u8>,
    words: Vec<u8>,
}

/// Writes the index of a day: a head, what is needed to look for UUIDs, and behind that what is needed for words.
#[must_use]
pub fn write(key: &Key, blobs: &[BlobTokens]) -> Vec<u8> {
    let mut blobs: Vec<&BlobTokens> = blobs.iter().collect();
    blobs.sort_by_key(|it| it.blob);
    blobs.dedup_by_key(|it| it.blob);
    let mut first = Vec::new();
    write_number(&mut first, blobs.len() as u64);
    for it in &blobs {
        first.extend_from_slice(&it.blob.to_le_bytes());
        write_number(&mut first, it.records);
        first.push(u8::from(it.is_searched) | u8::from(it.has_all_others) << 1);
        write_number(&mut first, it.uuids.len() as u64);
        write_number(&mut first, it.words.len() as u64);
        first.extend_from_slice(&it.uuids);
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&key.hash(b'k', &[]).to_le_bytes());
    bytes.extend_from_slice(&(first.len() as u64).to_le_bytes());
    bytes.extend(first);
    for it in &blobs {
        bytes.extend_from_slice(&it.words);
    }
    bytes
}

/// Bytes of the head of an index, which say how far the part for UUIDs reaches.
pub const HEAD: usize = 24;

/// Where the part for UUIDs of an index ends, in bytes, as its head says; `None` when it is none, or one of another key.
#[must_use]
pub fn first_part(key: &Key, head: &[u8]) -> Option<u64> {
    let rest = head.strip_prefix(MAGIC)?;
    let (id, rest) = rest.split_first_chunk::<8>()?;
    let length = u64::from_le_bytes(*rest.first_chunk()?);
    let is_ours = u64::from_le_bytes(*id) == key.hash(b'k', &[]);
    is_ours.then(|| length.checked_add(HEAD as u64)).flatten()
}

/// An index as it was read.
#[derive(Debug, Default)]
pub struct Index {
    /// Sorted by blob.
    blobs: Vec<BlobTokens>,
    has_words: bool,
}

impl Index {
    /// Reads an index, or its first part only, which is enough for UUIDs. `None` when it cannot be used: the day is read then.
    #[must_use]
    pub fn read(key: &Key, bytes: &[u8]) -> Option<Self> {
        let end = usize::try_from(first_part(key, bytes)?).ok()?;
        let mut rest = bytes.get(HEAD..end)?;
        let mut words = bytes.get(end..)?;
        let has_words = !words.is_empty();
        let count = read_number(&mut rest).filter(|count| *count <= MAX_BLOBS)?;
        let mut blobs = Vec::new();
        for _ in 0..count {
            let (blob, after) = rest.split_first_chunk::<8>()?;
            rest = after;
            let records = read_number(&mut rest)?;
            let (flags, after) = rest.split_first()?;
            rest = after;
            let uuids_length = usize::try_from(read_number(&mut rest)?).ok()?;
            let words_length = usize::try_from(read_number(&mut rest)?).ok()?;
            let (uuids, after) = rest.split_at_checked(uuids_length)?;
            rest = after;
            let mut own_words: &[u8] = &[];
            if has_words {
                (own_words, words) = words.split_at_checked(words_length)?;
            }
            blobs.push(BlobTokens {
                blob: u64::from_le_bytes(*blob),
                records,
                is_searched: flags & 1 != 0,
                has_all_others: flags & 2 != 0,
                uuids: uuids.to_vec(),
                words: own_words.to_vec(),
            });
        }
        let is_sorted = blobs.is_sorted_by(|a, b| a.blob < b.blob);
        (rest.is_empty() && words.is_empty() && is_sorted).then_some(Self { blobs, has_words })
    }

    /// The records of a blob that holds none of those who are looked for; `None` when it may, or is not known: it is to be read.
    #[must_use]
    pub fn passes_over(&self, blob: u64, query: &Query) -> Option<u64> {
        let at = self.blobs.binary_search_by_key(&blob, |it| it.blob).ok()?;
        let known = self.blobs.get(at).filter(|it| it.is_searched)?;
        let may_hold = query.alternatives().any(|tokens| {
            tokens.iter().all(|token| match token {
                query::Wanted::Uuid(key) => coded::may_hold(&known.uuids, *key),
                query::Wanted::Word { key, is_ascii } => {
                    !self.has_words
                        || (known.has_all_others && !is_ascii)
                        || coded::may_hold(&known.words, *key)
                }
            })
        });
        (!may_hold && !query.is_everything()).then_some(known.records)
    }
}
