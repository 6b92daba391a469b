//! The neighbourhood of an escape without its escapes: what may have become an identifier there.

use memchr::memchr3;

use crate::search::escapes::{entity_at, hex_escape_at, percent_at};
use crate::search::texts::is_binary;

/// Which kinds of escapes were taken off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kinds {
    pub(super) hex: bool,
    pub(super) percent: bool,
    pub(super) entity: bool,
}

/// What was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decoded {
    /// Where the last escape ends.
    pub(super) end: usize,
    pub(super) kinds: Kinds,
}

/// Control characters that no text has, but containers and UTF-16.
pub(super) fn is_odd(byte: u8) -> bool {
    is_binary(&[byte])
}

/// An entity of HTML at the position.
pub(super) fn entity(view: &[u8], at: usize) -> Option<(char, usize)> {
    /// No entity is longer.
    const MAX: usize = 12;
    let rest = view.get(at..)?;
    let end = rest.iter().take(MAX).position(|byte| *byte == b';')?;
    let text = std::str::from_utf8(rest.get(..=end)?).ok()?;
    entity_at(text, 0)
}

/// Writes the bytes around the escape at `first` without escapes of any kind, and those around each further one that is near.
///
/// `None` when only the exact search can tell: escapes that make another escape, a container, or bytes that are no UTF-8.
pub(super) fn around(
    view: &[u8],
    first: usize,
    reach: usize,
    plain: &mut Vec<u8>,
) -> Option<Decoded> {
    plain.clear();
    let mut at = first.saturating_sub(reach);
    while at > 0 && view.get(at).is_some_and(|byte| byte & 0xC0 == 0x80) {
        at -= 1;
    }
    let mut decoded = Decoded {
        end: first,
        kinds: Kinds::default(),
    };
    let mut stop = first + reach;
    let mut has_bytes = false;
    // Of the escapes by backslash: whether one stands for something that a word may hold, and how many backslashes they have.
    let mut is_of_word = false;
    let mut backslashes = None;
    while at < stop.min(view.len()) {
        let rest = view.get(at..stop.min(view.len()))?;
        let clear = memchr3(b'\\', b'%', b'&', rest).unwrap_or(rest.len());
        if clear > 0 {
            plain.extend_from_slice(rest.get(..clear)?);
            at += clear;
            continue;
        }
        let byte = view.get(at).copied()?;
        let mut length = 0;
        if byte == b'\\' {
            let rest = view.get(at..)?.iter();
            let run = rest.take_while(|byte| **byte == b'\\').count();
            if let Some((c, taken)) = character(view, at, run)? {
                // Where all but one of the backslashes are the text's own, what stands before them is another word.
                let is_one_word = may_be_of_word(c) && plain.last().is_some_and(may_end_word);
                if run > 1 && is_one_word {
                    return None;
                }
                // Where they differ, one layer of them may be taken off without the other.
                if backslashes.replace(run).is_some_and(|other| other != run) {
                    return None;
                }
                is_of_word |= may_be_of_word(c);
                decoded.kinds.hex = true;
                push(plain, c)?;
                length = taken;
            } else if view.get(at + run) == Some(&b'/') {
                plain.push(b'/');
                length = run + 1;
            } else {
                plain.extend_from_slice(view.get(at..at + run)?);
                at += run;
                continue;
            }
        } else if let Some(value) = percent_at(view, at) {
            decoded.kinds.percent = true;
            if value.is_ascii() {
                push(plain, char::from(value))?;
            } else {
                has_bytes = true;
                plain.push(value);
            }
            length = 3;
        } else if byte == b'&'
            && let Some((c, taken)) = entity(view, at)
        {
            decoded.kinds.entity = true;
            push(plain, c)?;
            length = taken;
        }
        if length == 0 {
            plain.push(byte);
            at += 1;
            continue;
        }
        at += length;
        decoded.end = at;
        stop = at + reach;
    }
    // The end may cut a character in two.
    while view.get(at).is_some_and(|byte| byte & 0xC0 == 0x80) {
        plain.extend(view.get(at));
        at += 1;
    }
    // The exact search takes off each kind by itself, too: then the others stay as they are.
    if is_of_word && (decoded.kinds.percent || decoded.kinds.entity) {
        return None;
    }
    (!has_bytes || std::str::from_utf8(plain).is_ok()).then_some(decoded)
}

/// Whether a character may stand in an identifier, or begin or end one.
fn may_be_of_word(c: char) -> bool {
    !c.is_ascii() || c.is_ascii_alphanumeric() || "._-+/".contains(c)
}

fn may_end_word(byte: &u8) -> bool {
    !byte.is_ascii() || may_be_of_word(char::from(*byte))
}

/// The character of `\uXXXX` or `\xXX` after a run of backslashes; `None` outside when the run may be read in several ways.
fn character(view: &[u8], at: usize, run: usize) -> Option<Option<(char, usize)>> {
    let Some((value, length)) = hex_escape_at(view, at + run - 1) else {
        return Some(None);
    };
    // As many backslashes as JSON in JSON makes of one.
    if !matches!(run, 1 | 2 | 4) {
        return None;
    }
    let mut length = run - 1 + length;
    let mut code = value;
    if (0xD800..0xDC00).contains(&value) {
        let next = at + length;
        let has_run = view
            .get(next..next + run)
            .is_some_and(|bytes| bytes.iter().all(|byte| *byte == b'\\'));
        let low = hex_escape_at(view, next + run - 1)
            .filter(|(low, _)| has_run && (0xDC00..0xE000).contains(low));
        if let Some((low, low_length)) = low {
            length += run - 1 + low_length;
            code = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    Some(Some((c, length)))
}

/// Writes a decoded character, unless it is a part of another escape or of something that is no text.
fn push(plain: &mut Vec<u8>, c: char) -> Option<()> {
    let is_clear = c != '\\' && plain.last() != Some(&b'\\') && !u8::try_from(c).is_ok_and(is_odd);
    is_clear.then(|| plain.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbourhoods() {
        for (text, expected) in [
            (r"ab\u0041cd", Some("abAcd")),
            (r"ab\\u0041cd", None),
            (r"ab \\u0041cd", Some("ab Acd")),
            (r"ab\\u0020cd", Some("ab cd")),
            (r"\u0041 \\u0041", None),
            (r"a\u0041%20", None),
            (r"a\u0026%20", Some("a& ")),
            (r"ab\\\u0041cd", None),
            (r"\ud83d\ude00!", Some("😀!")),
            (r"\\ud83d\\ude00!", Some("😀!")),
            (r"\ud83d!", Some("\u{fffd}!")),
            ("a%20b%C3%ADc", Some("a bíc")),
            ("a%20b%EDc", None),
            ("a%1F%8B", None),
            (r"a\u0000", None),
            (r"a\u005cnx", None),
            (r"a\%6ex", None),
            ("a&amp;b&#x41;", Some("a&bA")),
            (r#"\"a\"%2c\n"#, Some(r#"\"a\",\n"#)),
            (r"%41\/b\\/c", Some("A/b/c")),
        ] {
            let mut plain = Vec::new();
            let first = text.find(['u', '%', '&']).expect("there");
            let decoded = around(text.as_bytes(), first, 64, &mut plain);
            let plain = decoded.map(|_| String::from_utf8_lossy(&plain).into_owned());
            assert_eq!(plain.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn only_what_is_near() {
        let text = format!(
            "{}%41{}%42{}",
            "x".repeat(100),
            "y".repeat(15),
            "z".repeat(100)
        );
        let mut plain = Vec::new();
        let decoded = around(text.as_bytes(), 100, 20, &mut plain).expect("clear");
        let expected = format!("{}A{}B{}", "x".repeat(20), "y".repeat(15), "z".repeat(20));
        assert_eq!(String::from_utf8_lossy(&plain), expected);
        assert_eq!(decoded.end, 121);
    }
}
