//! The search of one record: every string of it, through every layer of encoding.
//!
//! Each text is matched as it stands; then each encoding that it uses is taken off and the result is examined the same way, until
//! nothing is left to take off or a limit is reached. Scratch buffers are reused: a record without a find allocates nothing once they have grown.

mod candidates;
mod layers;
mod walk;

use std::collections::HashSet;
use std::hash::RandomState;

use memchr::memmem;

use self::candidates::Candidates;
use self::walk::{Frame, Mode};
use super::escapes::{Cut, Escaping};
use super::hits::{MAX_PLACES, NewHit, Setting, add, worth};
use super::index::Tokens;
use super::matcher::{Found, Owner};
use super::records::Piece;
use super::texts::lossless;
use super::{Hit, NotSearched, Options, Searcher, Unsearched};

/// How many things not searched are told for one blob.
const MAX_NOT_SEARCHED: usize = 1_000;
/// How many times its own size a record's encodings may come to.
const WORK: u64 = 64;

/// Where a text stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Layers of encoding taken off so far.
    depth: u8,
    /// Whether it is all of a JSON value.
    is_whole: bool,
    /// Whether it is the name of a member.
    is_key: bool,
    /// Whether an identifier may stand in it as it is: what does not stand in the record so is not known before.
    may_match: bool,
    /// Whether it lies in a JSON text inside of a string, whose fields are the developer's.
    is_nested: bool,
    /// Whether it is the value of a name-and-value pair whose name is that of a user field.
    is_named_user: bool,
    /// Whether it may go on where it ends.
    cut: Cut,
}

impl Place {
    /// The whole record, as text.
    const RECORD: Self = Self {
        depth: 0,
        is_whole: false,
        is_key: false,
        may_match: true,
        is_nested: false,
        is_named_user: false,
        cut: Cut::NONE,
    };

    /// One layer of encoding further in.
    fn inner(self) -> Self {
        Self {
            depth: self.depth + 1,
            may_match: true,
            ..self
        }
    }
}

/// Searches records one after the other.
pub(super) struct Examiner<'s> {
    searcher: &'s Searcher,
    options: Options<'s>,
    /// What was found in this record.
    pub(super) hits: Vec<Hit>,
    /// What was not searched in this blob.
    pub(super) not_searched: Vec<NotSearched>,
    /// How many more things were not searched.
    pub(super) not_searched_more: u64,
    record: u64,
    pointer: String,
    frames: Vec<Frame>,
    /// Where an identifier may stand in the record as it is.
    candidates: Candidates,
    /// Whether the record is one of the SDK's own logs; looked up when it matters.
    looks_like_sdk: bool,
    /// Whether the blob is an attachment: its fields are the developer's.
    is_attachment: bool,
    work_left: u64,
    /// Bytes that containers of this blob have given so far.
    expanded: u64,
    /// Bytes that they may give, seen from this record.
    expansion_limit: u64,
    seen: HashSet<u64>,
    hasher: RandomState,
    buffers: Vec<Vec<u8>>,
    folded: String,
    /// What an index tells of the blob, when that is wanted.
    pub(super) tokens: Option<Tokens>,
}

impl<'s> Examiner<'s> {
    pub(super) fn new(searcher: &'s Searcher, options: Options<'s>) -> Self {
        let is_attachment = options
            .path
            .is_some_and(|path| path.split('/').any(|part| part == "attachments"));
        Self {
            searcher,
            options,
            hits: Vec::new(),
            not_searched: Vec::new(),
            not_searched_more: 0,
            record: 0,
            pointer: String::new(),
            frames: Vec::new(),
            candidates: Candidates::Anywhere,
            looks_like_sdk: false,
            is_attachment,
            work_left: 0,
            expanded: 0,
            expansion_limit: 0,
            seen: HashSet::new(),
            hasher: RandomState::new(),
            buffers: Vec::new(),
            folded: String::new(),
            tokens: None,
        }
    }

    /// Forgets the hits of the record before and begins another one.
    pub(super) fn begin(&mut self, record: u64) {
        self.record = record;
        self.hits.clear();
    }

    /// Searches what counts of a record, or of one window of an oversized one.
    ///
    /// `may_be_plain` is whether an identifier may stand there as it is, as far as the caller knows.
    pub(super) fn search(&mut self, bytes: &[u8], piece: &Piece<'_>, may_be_plain: bool) {
        self.pointer.clear();
        self.frames.clear();
        self.seen.clear();
        self.work_left = WORK * (bytes.len() as u64) + (1 << 20);
        self.expansion_limit = self.options.expansion_at(piece.end);
        self.looks_like_sdk = false;
        if !piece.is_json {
            return self.examine_bytes(bytes, Place::RECORD);
        }
        let text = lossless(bytes);
        // An index wants every text, whoever is looked for.
        self.candidates = match (self.tokens.is_some(), may_be_plain) {
            (true, _) => Candidates::Anywhere,
            (false, true) => Candidates::new(self.searcher.matcher.candidates(&text)),
            (false, false) => Candidates::NONE,
        };
        self.looks_like_sdk = [&b"\"sid\""[..], b"\"device\"", b"\"MessageType\""]
            .iter()
            .any(|key| memmem::find(text.as_bytes(), key).is_some());
        let mode = if piece.is_in_string {
            Mode::InString
        } else {
            Mode::Whole
        };
        // Which of its parts may match is told by the candidates.
        let place = Place {
            may_match: false,
            ..Place::RECORD
        };
        self.walk(&text, 0, mode, place);
    }

    /// The longest record that is searched as a whole.
    pub(super) fn max_record(&self) -> u64 {
        self.options.max_record as u64
    }

    /// Says that something was not searched.
    pub(super) fn miss(&mut self, what: Unsearched, limit: u64) {
        let missed = NotSearched {
            record: self.record,
            what,
            limit,
        };
        if self.not_searched.contains(&missed) {
        } else if self.not_searched.len() < MAX_NOT_SEARCHED {
            self.not_searched.push(missed);
        } else {
            self.not_searched_more += 1;
        }
    }

    fn take_buffer(&mut self) -> Vec<u8> {
        self.buffers.pop().unwrap_or_default()
    }

    fn give_buffer(&mut self, mut buffer: Vec<u8>) {
        // A huge one is not kept: it would stay for the rest of the blob.
        if buffer.capacity() <= 1 << 20 {
            buffer.clear();
            self.buffers.push(buffer);
        }
    }

    /// Takes from the work that the record may cost. `false`, and said, when it is used up.
    fn spend(&mut self, length: usize) -> bool {
        let length = length as u64;
        let is_enough = length <= self.work_left;
        if is_enough {
            self.work_left -= length;
        } else {
            self.miss(Unsearched::Work, WORK);
        }
        is_enough
    }

    /// Matches a text as it stands. There is no other way to a hit, so that an index knows every text that may have one.
    fn matches(&mut self, text: &str, escaping: Escaping, place: Place) {
        if let Some(tokens) = &mut self.tokens {
            tokens.add(text);
        }
        let searcher = self.searcher;
        let mut scratch = std::mem::take(&mut self.folded);
        searcher.matcher.find(
            text,
            (escaping, place.cut),
            place.may_match,
            &mut scratch,
            |owners, found| {
                self.hit(owners, found, place);
            },
        );
        self.folded = scratch;
    }

    fn hit(&mut self, owners: &[Owner], found: Found, place: Place) {
        let setting = Setting {
            is_key: place.is_key,
            is_whole: place.is_whole,
            is_named_user: place.is_named_user,
            is_custom: place.is_nested || self.is_attachment,
            is_sdk: self.looks_like_sdk,
        };
        for owner in owners {
            let Some((strength, in_user_field)) = worth(owner.kind, found, &self.pointer, setting)
            else {
                continue;
            };
            let hit = NewHit {
                owner: *owner,
                strength,
                pointer: &self.pointer,
                depth: place.depth,
                in_user_field,
            };
            if !add(&mut self.hits, hit) {
                self.miss(Unsearched::Hits, MAX_PLACES as u64);
            }
        }
    }
}
