//! How a blob is made up, by its beginning.

use memchr::memchr2;

use super::json::{Lexer, Token};

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
    let mut depth = 0_u64;
    let mut at = 0;
    while let Some(byte) = body.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => {
                at += 1;
                loop {
                    at += memchr2(b'"', b'\\', body.get(at..)?)?;
                    if body.get(at) == Some(&b'"') {
                        break;
                    }
                    at += 2;
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
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
