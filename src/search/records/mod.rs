//! Splits a stream of bytes into records, whatever the borders of its chunks.
//!
//! The beginning of the blob (64 KiB at most) decides how it is made up. Then one pass over the bytes, which keeps no more than the
//! record at hand, finds where records end. Broken JSON is split where that is certain, and nothing is left out: what belongs to no
//! record becomes one.

pub(super) mod blocks;
mod bytes;
#[cfg(test)]
mod tests;
mod windows;

use std::ops::ControlFlow;

use memchr::memchr;

use super::layout::{Layout, is_blank, layout_of};
pub(super) use windows::whole_words;

/// How much of the blob decides how it is made up.
const HEAD: usize = 64 * 1024;
/// How deep brackets are told apart from braces.
const MAX_STACK: usize = 1_024;
/// The most that two windows of an oversized record share.
const MAX_OVERLAP: usize = 1 << 20;

/// A record, or a part of one that is too long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    /// The index of the record.
    pub(super) record: u64,
    /// Where the record begins.
    pub(super) offset: u64,
    /// Where the piece ends.
    pub(super) end: u64,
    pub(super) bytes: &'a [u8],
    /// Whether it should be read as JSON.
    pub(super) is_json: bool,
    /// Whether the piece begins inside of a string.
    pub(super) is_in_string: bool,
    /// Whether it is the first piece of its record.
    pub(super) is_first: bool,
    /// Whether it is the last piece of its record.
    pub(super) is_last: bool,
}

/// What the record at hand is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    No,
    /// An object or array; ends with its last bracket.
    Brackets,
    /// A string; ends with its quote.
    String,
    /// Any other element of an array; ends before a comma or bracket.
    Bare,
    /// A line that is no JSON.
    Line,
    /// Text up to the end of the blob.
    Text,
}

/// Splits one blob.
#[derive(Debug)]
pub(super) struct Splitter {
    max: usize,
    head: Vec<u8>,
    layout: Layout,
    /// Whether the first record lay in an array.
    pub(super) is_array: bool,
    /// Whether the blob as a whole is text.
    pub(super) is_text: bool,
    /// How many records began.
    pub(super) records: u64,
    open: Open,
    /// Where the record at hand begins.
    start: u64,
    /// The next byte's place in the blob.
    position: u64,
    /// The bytes of the record at hand that came with earlier chunks.
    held: Vec<u8>,
    is_first_piece: bool,
    /// Whether `held` begins inside of a string.
    held_in_string: bool,
    depth: u64,
    /// Whether each open bracket is a brace.
    stack: Vec<bool>,
    in_string: bool,
    is_escaped: bool,
    /// The last byte outside of strings that is no white space.
    previous: u8,
    is_line_start: bool,
    /// Whether a record filled exactly one line, as in JSON Lines.
    has_lines: bool,
    saw_newline: bool,
    /// Whether everything is read byte by byte, as the blocks are held against.
    #[cfg(test)]
    is_plain: bool,
}

impl Splitter {
    /// Records of more than `max` bytes come in pieces of at most that size.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max: max.max(64),
            head: Vec::new(),
            layout: Layout::Unknown,
            is_array: false,
            is_text: false,
            records: 0,
            open: Open::No,
            start: 0,
            position: 0,
            held: Vec::new(),
            is_first_piece: true,
            held_in_string: false,
            depth: 0,
            stack: Vec::new(),
            in_string: false,
            is_escaped: false,
            previous: 0,
            is_line_start: false,
            has_lines: false,
            saw_newline: false,
            #[cfg(test)]
            is_plain: false,
        }
    }

    /// Takes the next bytes.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        emit: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if self.layout != Layout::Unknown {
            return self.split(bytes, emit);
        }
        let room = HEAD - self.head.len();
        let (first, rest) = bytes.split_at(bytes.len().min(room));
        self.head.extend_from_slice(first);
        if self.head.len() < HEAD {
            return ControlFlow::Continue(());
        }
        self.decide(emit)?;
        self.split(rest, emit)
    }

    /// Ends the blob: what is open becomes a record.
    pub(super) fn finish(
        &mut self,
        emit: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if self.layout == Layout::Unknown {
            self.decide(emit)?;
        }
        if self.open != Open::No {
            let held = std::mem::take(&mut self.held);
            self.emit_last(&held, emit)?;
        }
        ControlFlow::Continue(())
    }

    fn decide(&mut self, emit: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        let head = std::mem::take(&mut self.head);
        self.layout = layout_of(&head, head.len() < HEAD);
        self.is_array = self.layout == Layout::Array;
        self.is_text = self.layout == Layout::Text;
        let mark = usize::from(head.starts_with(b"\xEF\xBB\xBF")) * 3;
        let mut body = head.as_slice();
        if self.layout != Layout::Text {
            // The first bracket of an array opens it; those after it are elements.
            let blank = head
                .iter()
                .skip(mark)
                .take_while(|byte| is_blank(**byte))
                .count();
            let skipped = mark + blank + usize::from(self.is_array);
            self.position = skipped as u64;
            body = head.get(skipped..).unwrap_or_default();
        }
        self.split(body, emit)
    }

    fn split(
        &mut self,
        bytes: &[u8],
        emit: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut at = 0;
        // Where the bytes of the record at hand begin that are not held yet.
        let mut begin = 0;
        while at < bytes.len() {
            if self.open == Open::No {
                at += self.skip(bytes.get(at..).unwrap_or_default());
                begin = at;
                continue;
            }
            let room = (self.max - self.held.len()).saturating_sub(at - begin);
            if room == 0 {
                self.held
                    .extend_from_slice(bytes.get(begin..at).unwrap_or_default());
                begin = at;
                self.emit_window(emit)?;
                continue;
            }
            let part = bytes
                .get(at..bytes.len().min(at + room))
                .unwrap_or_default();
            let (used, is_end) = self.advance(part);
            at += used;
            self.position += used as u64;
            if is_end {
                let own = bytes.get(begin..at).unwrap_or_default();
                if self.held.is_empty() {
                    self.emit_last(own, emit)?;
                } else {
                    let mut held = std::mem::take(&mut self.held);
                    held.extend_from_slice(own);
                    self.emit_last(&held, emit)?;
                    // A buffer that one large record needed is not kept for the small ones.
                    if held.capacity() <= 1 << 20 {
                        held.clear();
                        self.held = held;
                    }
                }
                begin = at;
            }
        }
        if self.open != Open::No {
            self.held
                .extend_from_slice(bytes.get(begin..).unwrap_or_default());
        }
        ControlFlow::Continue(())
    }

    /// Skips what stands between records, and opens the next one. Returns how many bytes belong to none.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().copied().enumerate() {
            if self.layout == Layout::Text {
                self.begin(Open::Text);
                return at;
            }
            if byte == b'\n' {
                self.note_line_end();
            }
            let opened = match (self.layout, byte) {
                (_, b',') => None,
                (_, byte) if is_blank(byte) => None,
                (Layout::Array, b']') => {
                    self.layout = Layout::Values;
                    // What follows an array may be another one.
                    self.previous = b']';
                    None
                }
                (Layout::Array, b'}' | b':') => None,
                (Layout::Array, b'{' | b'[') | (_, b'{') => Some(Open::Brackets),
                (Layout::Array, b'"') => Some(Open::String),
                (Layout::Array, _) => Some(Open::Bare),
                (_, b'[') if self.is_array => {
                    self.layout = Layout::Array;
                    None
                }
                (_, b'[') => Some(Open::Brackets),
                _ if self.is_array => {
                    self.layout = Layout::Text;
                    Some(Open::Text)
                }
                _ => Some(Open::Line),
            };
            if let Some(open) = opened {
                self.begin(open);
                return at;
            }
            self.position += 1;
        }
        bytes.len()
    }

    fn begin(&mut self, open: Open) {
        self.open = open;
        self.start = self.position;
        self.is_first_piece = true;
        self.held_in_string = false;
        self.depth = 0;
        self.stack.clear();
        self.in_string = false;
        self.is_escaped = false;
        self.previous = 0;
        self.is_line_start = false;
        self.saw_newline = false;
        self.held.clear();
    }

    /// A newline between records: the record before it filled its line when it held none itself.
    fn note_line_end(&mut self) {
        if self.records > 0 && !self.saw_newline {
            self.has_lines = true;
        }
    }

    /// Reads on in the record at hand. Returns how many bytes belong to it, and whether it ends there.
    fn advance(&mut self, bytes: &[u8]) -> (usize, bool) {
        match self.open {
            Open::No | Open::Text => (bytes.len(), false),
            Open::Line => match memchr(b'\n', bytes) {
                Some(end) => (end, true),
                None => (bytes.len(), false),
            },
            Open::Bare => match bytes.iter().position(|byte| matches!(byte, b',' | b']')) {
                Some(end) => (end, true),
                None => (bytes.len(), false),
            },
            Open::Brackets | Open::String => {
                let (used, is_end) = self.advance_blocks(bytes);
                if is_end {
                    return (used, true);
                }
                let (more, is_end) = self.advance_json(bytes.get(used..).unwrap_or_default());
                (used + more, is_end)
            }
        }
    }

    fn piece<'a>(&self, bytes: &'a [u8], is_last: bool) -> Piece<'a> {
        Piece {
            record: self.records,
            offset: self.start,
            end: self.position,
            bytes,
            is_json: matches!(self.open, Open::Brackets | Open::String | Open::Bare),
            is_in_string: self.held_in_string,
            is_first: self.is_first_piece,
            is_last,
        }
    }

    /// Emits the rest of the record at hand, and closes it.
    fn emit_last(
        &mut self,
        bytes: &[u8],
        emit: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let bytes = match self.open {
            Open::Text => bytes,
            _ => bytes.trim_ascii_end(),
        };
        let piece = self.piece(bytes, true);
        let outcome = emit(piece);
        self.records += 1;
        self.open = Open::No;
        outcome
    }
}
