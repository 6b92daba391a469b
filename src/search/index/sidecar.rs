//! The index of a day as bytes, and what it says.
//!
//! First what is needed to look for UUIDs, and behind that what is needed for words. Each of the two parts ends with a seal.

use super::coded::{self, read_number, write_number};
use super::query::Wanted;
use super::{Key, MAGIC, Query, Use};

/// Blobs of which one index knows, at the most.
const MAX_BLOBS: u64 = 1_000_000;
/// Bytes of the seal of a part.
const SEAL: usize = 16;

/// What an index knows of one blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobTokens {
    /// The blob, as [`Key::blob`] says it.
    pub(super) blob: u64,
    /// Its records.
    pub(super) records: u64,
    pub(super) notes: [u64; 2],
    /// Whether all of it was searched: otherwise it is to be read whoever is looked for.
    pub(super) is_searched: bool,
    /// Whether it is taken to hold every word that is not ASCII alone.
    pub(super) has_all_others: bool,
    pub(super) uuids: Vec<u8>,
    pub(super) words: Vec<u8>,
}

impl BlobTokens {
    /// The blob, as [`Key::blob`] says it.
    #[must_use]
    pub fn blob(&self) -> u64 {
        self.blob
    }

    /// With two numbers that an index keeps for its caller.
    #[must_use]
    pub fn with_notes(self, notes: [u64; 2]) -> Self {
        Self { notes, ..self }
    }

    /// The most that it adds to an index, in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        // The blob, five numbers and the flags.
        let fixed = 8 + 5 * 10 + 1;
        fixed + self.uuids.len() + self.words.len()
    }
}

/// What is known of a blob that holds nobody of those who are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Its records.
    pub records: u64,
    /// The numbers that the caller gave with [`BlobTokens::with_notes`].
    pub notes: [u64; 2],
}

/// Writes the index of a day.
#[must_use]
pub fn write(key: &Key, blobs: &[BlobTokens]) -> Vec<u8> {
    let mut sorted: Vec<&BlobTokens> = blobs.iter().collect();
    sorted.sort_by_key(|it| it.blob);
    // A blob of which two things are told is as good as one that is not known.
    let known: Vec<&BlobTokens> = sorted
        .chunk_by(|a, b| a.blob == b.blob)
        .filter(|same| same.iter().all(|it| Some(it) == same.first()))
        .filter_map(|same| same.first().copied())
        .collect();
    let mut first = Vec::new();
    write_number(&mut first, known.len() as u64);
    for it in &known {
        first.extend_from_slice(&it.blob.to_le_bytes());
        write_number(&mut first, it.records);
        for note in it.notes {
            write_number(&mut first, note);
        }
        first.push(u8::from(it.is_searched) | u8::from(it.has_all_others) << 1);
        write_number(&mut first, it.uuids.len() as u64);
        write_number(&mut first, it.words.len() as u64);
        first.extend_from_slice(&it.uuids);
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&key.number(Use::Key, 0, MAGIC).to_le_bytes());
    bytes.extend_from_slice(&((first.len() + SEAL) as u64).to_le_bytes());
    bytes.extend(first);
    let end = bytes.len();
    bytes.extend_from_slice(&seal(key, 1, bytes.get(..end).unwrap_or_default()));
    for it in &known {
        bytes.extend_from_slice(&it.words);
    }
    // It binds the words to the seal of the part before them.
    let behind = bytes.get(end..).unwrap_or_default();
    let last = seal(key, 2, behind);
    bytes.extend_from_slice(&last);
    bytes
}

fn seal(key: &Key, part: u64, bytes: &[u8]) -> [u8; SEAL] {
    let hash = key.hash(Use::Seal, part, bytes);
    hash.first_chunk().copied().unwrap_or_default()
}

/// Bytes of the head of an index, which say how far the part for UUIDs reaches.
pub const HEAD: usize = 24;

/// Where the part for UUIDs of an index ends, in bytes, as its head says; `None` when it is none, or one of another key.
#[must_use]
pub fn first_part(key: &Key, head: &[u8]) -> Option<u64> {
    let rest = head.strip_prefix(MAGIC)?;
    let (id, rest) = rest.split_first_chunk::<8>()?;
    let length = u64::from_le_bytes(*rest.first_chunk()?);
    let is_ours = u64::from_le_bytes(*id) == key.number(Use::Key, 0, MAGIC);
    is_ours.then(|| length.checked_add(HEAD as u64)).flatten()
}

/// An index as it was read.
#[derive(Debug, Default)]
pub struct Index {
    /// Sorted by blob.
    blobs: Vec<BlobTokens>,
    /// Whether it is the whole index, and not its first part only.
    has_words: bool,
}

impl Index {
    /// Reads an index, or its first part only, which is enough for UUIDs. `None` when it cannot be used: the day is read then.
    #[must_use]
    pub fn read(key: &Key, bytes: &[u8]) -> Option<Self> {
        let end = usize::try_from(first_part(key, bytes)?).ok()?;
        let sealed = end.checked_sub(SEAL).filter(|at| *at >= HEAD)?;
        let first_seal = bytes.get(sealed..end)?;
        if first_seal != seal(key, 1, bytes.get(..sealed)?) {
            return None;
        }
        let mut rest = bytes.get(HEAD..sealed)?;
        let mut words = bytes.get(end..)?;
        let has_words = !words.is_empty();
        if has_words {
            let last = words.len().checked_sub(SEAL)?;
            let (own, last_seal) = words.split_at_checked(last)?;
            if last_seal != seal(key, 2, bytes.get(sealed..end + last)?) {
                return None;
            }
            words = own;
        }
        let count = read_number(&mut rest).filter(|count| *count <= MAX_BLOBS)?;
        let mut blobs = Vec::new();
        for _ in 0..count {
            blobs.push(read_blob(&mut rest, has_words.then_some(&mut words))?);
        }
        let is_sorted = blobs.is_sorted_by(|a, b| a.blob < b.blob);
        (rest.is_empty() && words.is_empty() && is_sorted).then_some(Self { blobs, has_words })
    }

    fn get(&self, blob: u64) -> Option<&BlobTokens> {
        let at = self.blobs.binary_search_by_key(&blob, |it| it.blob).ok()?;
        self.blobs.get(at)
    }

    /// Of how many blobs it knows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.blobs.len()
    }

    /// Whether the blob is known, as it is now.
    #[must_use]
    pub fn knows(&self, blob: u64) -> bool {
        self.get(blob).is_some()
    }

    /// What it knows of each blob, to be written again with more. Nothing when the first part alone was read: without its words a
    /// blob would seem to have none.
    #[must_use]
    pub fn into_blobs(self) -> Vec<BlobTokens> {
        match self.has_words {
            true => self.blobs,
            false => Vec::new(),
        }
    }

    /// What is known of a blob that surely holds nobody of those who are looked for; `None` when it may, when it is not known, or
    /// when not all of it was searched: it is to be read.
    #[must_use]
    pub fn passes_over(&self, blob: u64, query: &Query) -> Option<Known> {
        let known = self.get(blob).filter(|it| it.is_searched)?;
        let may_have = |wanted: &Wanted| match wanted {
            Wanted::Uuid(uuid) => coded::may_hold(&known.uuids, query.key().uuid(blob, *uuid)),
            Wanted::Word(word) => {
                !self.has_words
                    || (known.has_all_others && !word.is_ascii())
                    || coded::may_hold(&known.words, query.key().word(blob, word))
            }
        };
        let is_nobodys = query.without_tokens() == 0
            && !query
                .alternatives()
                .any(|wanted| wanted.iter().all(may_have));
        is_nobodys.then_some(Known {
            records: known.records,
            notes: known.notes,
        })
    }
}

/// Takes one blob off the front of the first part, and its words off the front of the second when there is one.
fn read_blob(first: &mut &[u8], words: Option<&mut &[u8]>) -> Option<BlobTokens> {
    let (blob, rest) = first.split_first_chunk::<8>()?;
    *first = rest;
    let records = read_number(first)?;
    let notes = [read_number(first)?, read_number(first)?];
    let (flags, rest) = first.split_first()?;
    *first = rest;
    let uuids_length = usize::try_from(read_number(first)?).ok()?;
    let words_length = usize::try_from(read_number(first)?).ok()?;
    let mut own_words = Vec::new();
    if let Some(words) = words {
        let (own, rest) = words.split_at_checked(words_length)?;
        own_words = own.to_vec();
        *words = rest;
    }
    let (uuids, rest) = first.split_at_checked(uuids_length)?;
    *first = rest;
    Some(BlobTokens {
        blob: u64::from_le_bytes(*blob),
        records,
        notes,
        is_searched: flags & 1 != 0,
        has_all_others: flags & 2 != 0,
        uuids: uuids.to_vec(),
        words: own_words,
    })
}
