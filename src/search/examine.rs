//! The search of one record: every string of it, through every layer of encoding.
//!
//! Each text is matched as it stands; then each encoding that it uses is taken off and the result is examined the same way, until
//! nothing is left to take off or a limit is reached. Scratch buffers are reused: a record without a find allocates nothing once they have grown.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use memchr::{memchr, memmem};

use super::base64_runs::decode_runs;
use super::escapes::{Cut, Escapes, Escaping, unentity, unescape, unpercent};
use super::fields::{Field, classify};
use super::hits::{MAX_PLACES, NewHit, Setting, add, worth};
use super::json::{Lexer, Text, Token, is_json, next_fragment};
use super::matcher::{Found, Owner};
use super::texts::{
    Order, byte_order_mark, from_utf16, is_binary, lossless, unmarked_order, utf16_order,
};
use super::unwrap::{Part, Parts, unwrap};
use super::{Hit, NotSearched, Options, Searcher, Unsearched};

/// How many open objects and arrays are remembered for pointers. Deeper ones are searched all the same.
const MAX_FRAMES: usize = 256;
/// The longest JSON pointer, in bytes.
const MAX_POINTER: usize = 1024;
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
    /// Whether it does not stand in the record as it is.
    is_derived: bool,
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
        is_derived: false,
        is_nested: false,
        is_named_user: false,
        cut: Cut::NONE,
    };

    /// One layer of encoding further in.
    fn inner(self) -> Self {
        Self {
            depth: self.depth + 1,
            is_derived: true,
            ..self
        }
    }
}

/// How a JSON text is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// All of it.
    Whole,
    /// All of it; it begins inside of a string.
    InString,
    /// One value that stands in a longer text.
    Fragment,
}

/// An open object or array.
#[derive(Debug, Clone, Copy)]
struct Frame {
    is_object: bool,
    next_index: u64,
    /// Length of the pointer of the object or array itself.
    pointer: usize,
    /// Whether a member `name` held the name of a user field.
    names_user: bool,
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
    /// Whether an identifier may stand in the record as it is.
    may_match: bool,
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
            may_match: true,
            looks_like_sdk: false,
            is_attachment,
            work_left: 0,
            expanded: 0,
            expansion_limit: 0,
            seen: HashSet::new(),
            hasher: RandomState::new(),
            buffers: Vec::new(),
            folded: String::new(),
        }
    }

    /// Forgets the hits of the record before and begins another one.
    pub(super) fn begin(&mut self, record: u64) {
        self.record = record;
        self.hits.clear();
    }

    /// Searches one record, or one window of an oversized one. `end` is where it ends in the blob's (decoded) bytes.
    pub(super) fn search(&mut self, bytes: &[u8], is_json: bool, is_in_string: bool, end: u64) {
        self.pointer.clear();
        self.frames.clear();
        self.seen.clear();
        self.work_left = WORK * (bytes.len() as u64) + (1 << 20);
        self.expansion_limit = self.options.expansion_at(end);
        self.looks_like_sdk = false;
        self.may_match = true;
        if !is_json {
            return self.examine_bytes(bytes, Place::RECORD);
        }
        let text = lossless(bytes);
        self.may_match = self.searcher.matcher.may_match(text.as_bytes());
        self.looks_like_sdk = [&b"\"sid\""[..], b"\"device\"", b"\"MessageType\""]
            .iter()
            .any(|key| memmem::find(text.as_bytes(), key).is_some());
        let mode = if is_in_string {
            Mode::InString
        } else {
            Mode::Whole
        };
        self.walk(&text, 0, mode, Place::RECORD);
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

    /// Examines every string, scalar and gap of a JSON text. Returns where it ended.
    ///
    /// A fragment ends with the value that begins there, or at the first thing that is no JSON.
    fn walk(&mut self, text: &str, from: usize, mode: Mode, place: Place) -> usize {
        let is_in_string = mode == Mode::InString;
        let is_fragment = mode == Mode::Fragment;
        let outer_frames = self.frames.len();
        let outer_pointer = self.pointer.len();
        let mut too_deep = 0_u64;
        let mut is_member = false;
        let mut lexer = Lexer::new(text, from, is_in_string);
        for token in lexer.by_ref() {
            let is_name = matches!(token, Token::Key(_));
            match token {
                Token::Open(is_object) => {
                    self.step(outer_frames, outer_pointer, is_member);
                    if self.frames.len() - outer_frames < MAX_FRAMES {
                        self.frames.push(Frame {
                            is_object,
                            next_index: 0,
                            pointer: self.pointer.len(),
                            names_user: false,
                        });
                    } else {
                        too_deep += 1;
                    }
                }
                Token::Close if too_deep > 0 => too_deep -= 1,
                Token::Close => {
                    if self.frames.len() > outer_frames {
                        self.frames.pop();
                    }
                    if is_fragment && self.frames.len() == outer_frames {
                        break;
                    }
                }
                Token::Key(key) => {
                    self.name(text, &key, outer_frames, outer_pointer);
                    let place = Place {
                        is_key: true,
                        is_whole: true,
                        cut: place.cut.of_part(&key.range, text.len()),
                        ..place
                    };
                    self.string(text, &key, place);
                }
                Token::String(string) => {
                    self.step(outer_frames, outer_pointer, is_member);
                    self.note_name(text, &string, outer_frames);
                    let place = Place {
                        is_whole: string.is_closed && !(is_in_string && string.range.start == 0),
                        is_named_user: self.is_named_user(outer_frames),
                        cut: place.cut.of_part(&string.range, text.len()),
                        ..place
                    };
                    self.string(text, &string, place);
                }
                Token::Scalar(range) => {
                    self.step(outer_frames, outer_pointer, is_member);
                    let cut = place.cut.of_part(&range, text.len());
                    let scalar = text.get(range).unwrap_or_default();
                    // The literals of JSON are nobody's name.
                    let is_literal = matches!(scalar, "true" | "false" | "null");
                    if !is_literal && (self.may_match || place.is_derived) {
                        let place = Place {
                            is_whole: true,
                            is_named_user: self.is_named_user(outer_frames),
                            cut,
                            ..place
                        };
                        self.matches(scalar, Escaping::NONE, place);
                    }
                }
                Token::Gap(_) if is_fragment => break,
                Token::Gap(range) => {
                    let cut = place.cut.of_part(&range, text.len());
                    let place = Place { cut, ..place };
                    self.examine(text.get(range).unwrap_or_default(), place);
                }
            }
            is_member = is_name;
        }
        self.frames.truncate(outer_frames);
        self.pointer.truncate(outer_pointer);
        lexer.position()
    }

    /// Moves the pointer to the value that begins: the next element of an array, or the member whose name was just read.
    fn step(&mut self, outer_frames: usize, outer_pointer: usize, is_member: bool) {
        use std::fmt::Write as _;
        if is_member {
            // The name was the last step.
        } else if self.frames.len() == outer_frames {
            self.pointer.truncate(outer_pointer);
        } else if let Some(frame) = self.frames.last_mut()
            && !frame.is_object
        {
            self.pointer.truncate(frame.pointer);
            let index = frame.next_index;
            frame.next_index += 1;
            if self.pointer.len() < MAX_POINTER {
                // Writing to a string cannot fail.
                _ = write!(self.pointer, "/{index}");
            }
        }
    }

    /// Moves the pointer to the member whose name was read.
    fn name(&mut self, text: &str, key: &Text, outer_frames: usize, outer_pointer: usize) {
        let own = if self.frames.len() > outer_frames {
            self.frames
                .last()
                .map_or(outer_pointer, |frame| frame.pointer)
        } else {
            outer_pointer
        };
        self.pointer.truncate(own);
        let raw = text.get(key.range.clone()).unwrap_or_default();
        if self.pointer.len() + raw.len() >= MAX_POINTER {
            return;
        }
        self.pointer.push('/');
        let mut buffer = self.take_buffer();
        if key.is_escaped {
            unescape(raw, Escapes::Json, &mut buffer);
        } else {
            buffer.extend_from_slice(raw.as_bytes());
        }
        for c in String::from_utf8_lossy(&buffer).chars() {
            match c {
                '~' => self.pointer.push_str("~0"),
                '/' => self.pointer.push_str("~1"),
                c => self.pointer.push(c),
            }
        }
        self.give_buffer(buffer);
    }

    /// Remembers the name of a pair such as `{"name":"UserId","value":"…"}`, the form of the SDK's typed properties.
    fn note_name(&mut self, text: &str, string: &Text, outer_frames: usize) {
        if self.frames.len() > outer_frames
            && self.pointer.ends_with("/name")
            && let Some(frame) = self.frames.last_mut()
        {
            let name = text.get(string.range.clone()).unwrap_or_default();
            frame.names_user = classify(name) == Field::User;
        }
    }

    fn is_named_user(&self, outer_frames: usize) -> bool {
        self.frames.len() > outer_frames
            && self.frames.last().is_some_and(|frame| frame.names_user)
            && self.pointer.ends_with("/value")
    }

    /// Examines the inside of a string.
    fn string(&mut self, text: &str, string: &Text, place: Place) {
        let raw = text.get(string.range.clone()).unwrap_or_default();
        if raw.is_empty() {
            return;
        }
        if !string.is_escaped {
            return self.string_text(raw, place);
        }
        let mut plain = self.take_buffer();
        unescape(raw, Escapes::Json, &mut plain);
        let place = Place {
            is_derived: true,
            ..place
        };
        self.string_text(&String::from_utf8_lossy(&plain), place);
        self.give_buffer(plain);
    }

    /// Examines what a string says. Zero bytes in it mean UTF-16 that was taken for another encoding.
    fn string_text(&mut self, text: &str, place: Place) {
        if memchr(0, text.as_bytes()).is_some() {
            self.examine_bytes(text.as_bytes(), place);
        } else {
            self.examine(text, place);
        }
    }

    /// Examines bytes of any kind.
    fn examine_bytes(&mut self, bytes: &[u8], place: Place) {
        if super::texts::is_container(bytes) && self.open(bytes, place) {
            return;
        }
        if let Some(order) = byte_order_mark(bytes) {
            return self.examine_utf16(bytes, order, place);
        }
        let text = lossless(bytes);
        let is_utf8 = matches!(text, std::borrow::Cow::Borrowed(_));
        if !is_utf8 || memchr(0, bytes).is_some() {
            match unmarked_order(bytes).or_else(|| utf16_order(bytes)) {
                Some(order) => self.examine_utf16(bytes, order, place),
                // Binary data such as a dump of memory: texts in it may begin at any byte, in either order.
                None if is_binary(bytes) => {
                    for order in [Order::Little, Order::Big] {
                        for start in [0, 1] {
                            let shifted = bytes.get(start..).unwrap_or_default();
                            self.examine_utf16(shifted, order, place);
                        }
                    }
                }
                None => {}
            }
        }
        let place = Place {
            is_derived: place.is_derived || !is_utf8,
            ..place
        };
        self.examine(text.strip_prefix('\u{feff}').unwrap_or(&text), place);
    }

    fn examine_utf16(&mut self, bytes: &[u8], order: Order, place: Place) {
        if place.depth >= self.options.depth {
            return self.miss(Unsearched::Depth, u64::from(self.options.depth));
        }
        if self.spend(bytes.len()) {
            self.examine(&from_utf16(bytes, order), place.inner());
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

    /// Opens a container. Returns whether it was one.
    fn open(&mut self, bytes: &[u8], place: Place) -> bool {
        if place.depth >= self.options.depth {
            self.miss(Unsearched::Depth, u64::from(self.options.depth));
            return false;
        }
        unwrap(
            bytes,
            self.expansion_limit,
            &mut Opened {
                examiner: self,
                place: Place {
                    cut: Cut::NONE,
                    ..place.inner()
                },
            },
        )
    }

    /// Examines a text as it stands and without each encoding that it uses.
    fn examine(&mut self, text: &str, place: Place) {
        let is_deep = place.depth >= self.options.depth;
        let looks_like_json = text.trim_ascii_start().starts_with(['{', '[', '"']);
        if !is_deep && looks_like_json && is_json(text) {
            self.walk(text, 0, Mode::Whole, self.nested(place));
            return;
        }
        let escaping = Escaping::of(text);
        // At the last layer there is no decoded text that could judge what stands beside a find.
        let judged = if is_deep { Escaping::NONE } else { escaping };
        self.matches(text, judged, place);
        if is_deep {
            if self.has_layers(text, escaping) {
                self.miss(Unsearched::Depth, u64::from(self.options.depth));
            }
            return;
        }
        self.fragments(text, place);
        if escaping.backslash != Escapes::None {
            self.derive(place, |plain| unescape(text, escaping.backslash, plain));
        }
        if escaping.percent {
            self.derive(place, |plain| unpercent(text, plain));
        }
        if escaping.entities {
            self.derive(place, |plain| unentity(text, plain));
        }
        if text.len() >= 16 {
            let mut run = self.take_buffer();
            decode_runs(text.as_bytes(), &mut run, |range, bytes| {
                // Padding is no part of a run.
                let padding = text.get(range.end..).unwrap_or_default();
                let is_all = range.start == 0 && padding.bytes().all(|byte| byte == b'=');
                let place = Place {
                    is_whole: place.is_whole && is_all,
                    cut: place.cut.of_run(text, &range, escaping),
                    ..place
                };
                self.derive(place, |plain| plain.extend_from_slice(bytes));
            });
            self.give_buffer(run);
        }
    }

    /// Whether taking off one more layer would show something.
    fn has_layers(&mut self, text: &str, escaping: Escaping) -> bool {
        let mut is_encoded = escaping.any() || next_fragment(text, 0).is_some();
        let mut run = self.take_buffer();
        decode_runs(text.as_bytes(), &mut run, |_range, _bytes| {
            is_encoded = true
        });
        self.give_buffer(run);
        is_encoded
    }

    /// Examines the pieces of JSON inside of a text, for the values that count only whole.
    fn fragments(&mut self, text: &str, place: Place) {
        let mut at = 0;
        while let Some(start) = next_fragment(text, at) {
            at = self.walk(text, start, Mode::Fragment, self.nested(place));
        }
    }

    /// The place of a JSON text inside of another text.
    fn nested(&self, place: Place) -> Place {
        Place {
            is_key: false,
            is_nested: place.is_nested || !self.pointer.is_empty(),
            ..place.inner()
        }
    }

    /// Examines a text made from another one, unless the same was examined before.
    fn derive(&mut self, place: Place, decode: impl FnOnce(&mut Vec<u8>)) {
        let mut plain = self.take_buffer();
        decode(&mut plain);
        let key = self.hasher.hash_one((
            &plain,
            &self.pointer,
            place.is_whole,
            place.is_key,
            place.depth,
            place.cut,
        ));
        if self.spend(plain.len()) && self.seen.insert(key) {
            self.examine_bytes(&plain, place.inner());
        }
        self.give_buffer(plain);
    }

    /// Matches a text as it stands.
    fn matches(&mut self, text: &str, escaping: Escaping, place: Place) {
        let searcher = self.searcher;
        let as_it_is = place.is_derived || self.may_match;
        let mut scratch = std::mem::take(&mut self.folded);
        searcher.matcher.find(
            text,
            (escaping, place.cut),
            as_it_is,
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

/// Examines what comes out of a container.
struct Opened<'e, 's> {
    examiner: &'e mut Examiner<'s>,
    place: Place,
}

impl Parts for Opened<'_, '_> {
    fn allowance(&self) -> u64 {
        self.examiner
            .expansion_limit
            .saturating_sub(self.examiner.expanded)
    }

    fn part(&mut self, part: Part<'_>) {
        match part {
            Part::Bytes(bytes) => {
                self.examiner.work_left += WORK * bytes.len() as u64;
                self.examiner.expanded += bytes.len() as u64;
                self.examiner.examine_bytes(&bytes, self.place);
            }
            Part::Name(name) => self.examiner.examine(name, self.place),
            Part::Missed(what, limit) => self.examiner.miss(what, limit),
        }
    }
}
