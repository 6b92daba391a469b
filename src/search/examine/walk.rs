//! The walk over a JSON text: where each of its strings, scalars and gaps stands.

use std::ops::Range;

use memchr::memchr;

use super::{Examiner, Place};
use crate::search::escapes::{Escapes, Escaping, unescape};
use crate::search::fields::{Field, classify};
use crate::search::json::{Lexer, Text, Token, next_fragment};

/// How many open objects and arrays are remembered for pointers. Deeper ones are searched all the same.
const MAX_FRAMES: usize = 256;
/// The longest JSON pointer, in bytes.
const MAX_POINTER: usize = 1024;

/// How a JSON text is walked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// All of it.
    Whole,
    /// All of it; it begins inside of a string.
    InString,
    /// One value that stands in a longer text.
    Fragment,
}

/// An open object or array.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    is_object: bool,
    next_index: u64,
    /// Length of the pointer of the object or array itself.
    pointer: usize,
    /// Whether a member `name` held the name of a user field.
    names_user: bool,
}

impl Examiner<'_> {
    /// Examines every string, scalar and gap of a JSON text. Returns where it ended.
    ///
    /// A fragment ends with the value that begins there, or at the first thing that is no JSON. Without `place.may_match` the text is
    /// the record.
    pub(super) fn walk(&mut self, text: &str, from: usize, mode: Mode, place: Place) -> usize {
        let is_in_string = mode == Mode::InString;
        let is_fragment = mode == Mode::Fragment;
        let outer_frames = self.frames.len();
        let outer_pointer = self.pointer.len();
        let mut too_deep = 0_u64;
        let mut is_member = false;
        let part = |examiner: &Self, range: &Range<usize>| Place {
            may_match: place.may_match || examiner.candidates.may_lie_in(range),
            cut: place.cut.of_part(range, text.len()),
            ..place
        };
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
                        ..part(self, &key.range)
                    };
                    self.string(text, &key, place);
                }
                Token::String(string) => {
                    self.step(outer_frames, outer_pointer, is_member);
                    self.note_name(text, &string, outer_frames);
                    let place = Place {
                        is_whole: string.is_closed && !(is_in_string && string.range.start == 0),
                        is_named_user: self.is_named_user(outer_frames),
                        ..part(self, &string.range)
                    };
                    self.string(text, &string, place);
                }
                Token::Scalar(range) => {
                    self.step(outer_frames, outer_pointer, is_member);
                    let place = part(self, &range);
                    let scalar = text.get(range).unwrap_or_default();
                    // The literals of JSON are nobody's name.
                    let is_literal = matches!(scalar, "true" | "false" | "null");
                    if !is_literal && place.may_match {
                        let place = Place {
                            is_whole: true,
                            is_named_user: self.is_named_user(outer_frames),
                            ..place
                        };
                        self.matches(scalar, Escaping::NONE, place);
                    }
                }
                Token::Gap(_) if is_fragment => break,
                Token::Gap(range) => {
                    let place = part(self, &range);
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
            may_match: true,
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

    /// Examines the pieces of JSON inside of a text, for the values that count only whole.
    pub(super) fn fragments(&mut self, text: &str, place: Place) {
        let mut at = 0;
        while let Some(start) = next_fragment(text, at) {
            at = self.walk(text, start, Mode::Fragment, self.nested(place));
        }
    }

    /// The place of a JSON text inside of another text.
    pub(super) fn nested(&self, place: Place) -> Place {
        Place {
            is_key: false,
            is_nested: place.is_nested || !self.pointer.is_empty(),
            ..place.inner()
        }
    }
}
