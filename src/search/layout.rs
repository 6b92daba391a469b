//! How a blob is made up, by its beginning.

use super::json::{Lexer, Token};
use super::records::blocks::escaped;
use super::wide::masks::positions;
use super::wide::{BLOCK, Structure, prefix_xor};

/// What the blob as a whole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Not decided yet.
    Unknown,
    /// In an array: its elements are records.
    Array,
    /// Values one after the other.
    Values,
    /// Everything from here on is one record.
    Text,
}

/// White space of JSON, and the two blanks that only texts have.
pub(super) fn is_blank(byte: u8) -> bool {
    byte.is_ascii_whitespace()
}

/// Decides how a blob is made up from its beginning, which `is_all` of it may be.
pub(super) fn layout_of(head: &[u8], is_all: bool) -> Layout {
    let body = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let body = body.trim_ascii_start();
    let inner = |from: usize| body.get(from..).unwrap_or_default().trim_ascii_start();
    let guess = match body.first() {
        None if is_all => return Layout::Values,
        Some(b'{') if matches!(inner(1).first(), Some(b'"' | b'}') | None) => Layout::Values,
        Some(b'[') => match inner(1).first() {
            Some(b'"' | b'{' | b']') | None => Layout::Array,
            Some(b'[' | b't' | b'f' | b'n' | b'-' | b'0'..=b'9') => {
                // Lines of a log begin like this too: `[12:30:05] started`, `[[main]] started`.
                let is_json = first_value_is_json(body);
                if is_json { Layout::Array } else { Layout::Text }
            }
            Some(_) => Layout::Text,
        },
        _ => Layout::Text,
    };
    // A line of JSON above a text, as in Apple's reports, belongs to the text.
    let has_object = body.starts_with(b"{") || inner(1).starts_with(b"{");
    match first_value_end(body).map(|end| inner(end).first().copied()) {
        Some(Some(b'{' | b'[' | b',')) | Some(None) | None => guess,
        Some(Some(_)) if guess == Layout::Array && has_object => guess,
        Some(Some(_)) => Layout::Text,
    }
}

/// Where the first object or array ends, if it does.
fn first_value_end(body: &[u8]) -> Option<usize> {
    let mut walk = Walk::default();
    crate::search::wide::walk(&mut walk, body);
    if walk.end.is_none() {
        walk.bytes(body);
    }
    walk.end
}

/// A walk over the brackets outside of strings, up to the end of the first object or array.
#[derive(Debug, Default)]
pub(super) struct Walk {
    at: usize,
    depth: u64,
    in_string: bool,
    is_escaped: bool,
    end: Option<usize>,
}

impl Walk {
    /// Walks by whole blocks, up to one that has to be read byte by byte.
    #[inline(always)]
    pub(super) fn blocks(&mut self, body: &[u8], structure: impl Fn(&[u8; BLOCK]) -> Structure) {
        let (blocks, _) = body.as_chunks::<BLOCK>();
        for block in blocks {
            let found = structure(block);
            let was_escaped = self.is_escaped;
            let escaped = escaped(found.backslash, &mut self.is_escaped);
            let carried = if self.in_string { u64::MAX } else { 0 };
            let strings = prefix_xor(found.quote & !escaped) ^ carried;
            // Outside of strings a backslash escapes nothing.
            if found.backslash & !strings != 0 {
                self.is_escaped = was_escaped;
                return;
            }
            let open = found.open & !strings;
            let close = found.close & !strings;
            for place in positions(open | close) {
                if open >> place & 1 == 1 {
                    self.depth += 1;
                } else if self.close(self.at + place) {
                    return;
                }
            }
            self.in_string = strings >> 63 == 1;
            self.at += BLOCK;
        }
    }

    /// Goes on byte by byte.
    fn bytes(&mut self, body: &[u8]) {
        for (at, byte) in body.iter().enumerate().skip(self.at) {
            if self.in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'"' => self.in_string = false,
                    b'\\' => self.is_escaped = true,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.close(at) => return,
                b'"' => self.in_string = true,
                _ => {}
            }
        }
    }

    /// Takes a closing bracket. Returns whether it ends the value.
    fn close(&mut self, at: usize) -> bool {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 0 {
            self.end = Some(at + 1);
        }
        self.depth == 0
    }
}

/// Whether nothing but JSON stands in the first array, as far as it goes.
fn first_value_is_json(body: &[u8]) -> bool {
    let end = first_value_end(body).unwrap_or(body.len());
    let text = String::from_utf8_lossy(body.get(..end).unwrap_or_default());
    let last = text.len();
    let mut previous_end = None;
    for token in Lexer::new(&text, 0, false) {
        match token {
            // Cut off by the end of the head.
            Token::Gap(range) if range.end < last => return false,
            Token::Scalar(range) => {
                let between = previous_end.and_then(|end| text.get(end..range.start));
                if between.is_some_and(|between| !between.contains(',')) {
                    return false;
                }
                previous_end = Some(range.end);
            }
            _ => previous_end = None,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The end of the first value, found with no blocks at all.
    fn end_by_bytes(body: &[u8]) -> Option<usize> {
        let mut walk = Walk::default();
        walk.bytes(body);
        walk.end
    }

    #[test]
    fn ends() {
        for (body, expected) in [
            ("", None),
            (r#"{"a":"}"}"#, Some(9)),
            (r#"["\"]",[]] x"#, Some(10)),
            (r#"{"a":"\\"}"#, Some(10)),
            ("]", Some(1)),
            ("[1,2", None),
        ] {
            assert_eq!(end_by_bytes(body.as_bytes()), expected, "{body}");
            assert_eq!(first_value_end(body.as_bytes()), expected, "{body}");
        }
    }

    proptest! {
        #[test]
        fn blocks_find_what_bytes_find(body in r#"([\{\[]{1,3}|[\]\}]|"[a-z\{\]]{0,40}"|"|\\{1,3}|[ a-z,:]{1,70}){0,40}"#) {
            let expected = end_by_bytes(body.as_bytes());
            prop_assert_eq!(first_value_end(body.as_bytes()), expected);
            let mut walk = Walk::default();
            walk.blocks(body.as_bytes(), crate::search::wide::structure);
            if walk.end.is_none() {
                walk.bytes(body.as_bytes());
            }
            prop_assert_eq!(walk.end, expected);
        }
    }
}
