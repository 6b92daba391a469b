//! Tokens: what every text that holds an identifier has in common with the identifier.
//!
//! The exact search finds an identifier where it stands alone, so that the words inside of it are whole words of the text. A text
//! without one of them does not hold it.

use uuid::Uuid;

use crate::search::chars::{after, is_letter_or_digit, is_unspaced};

/// The longest word, in bytes; of longer ones this much of the beginning counts.
const MAX_WORD: usize = 64;

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Token<'t> {
    /// A UUID, however it is spelled.
    Uuid(Uuid),
    /// Letters, digits and marks between other characters, ASCII in lower case. Scripts that put no space between words give a
    /// token for each character.
    Word(&'t str),
}

/// Calls back with each token of a text, in order; a token that stands there twice comes twice. The words of a UUID are left out
/// where no word goes on into it, nor beyond it.
///
/// `word` is a buffer that is used again.
pub(super) fn tokens(text: &str, word: &mut String, mut found: impl FnMut(Token<'_>)) {
    let flush = |word: &mut String, found: &mut dyn FnMut(Token<'_>)| {
        if !word.is_empty() {
            found(Token::Word(word));
            word.clear();
        }
    };
    word.clear();
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut is_hex_before = false;
    while let Some(byte) = bytes.get(at).copied() {
        let is_hex = byte.is_ascii_hexdigit();
        if is_hex
            && !is_hex_before
            && let Some((uuid, length)) = uuid_at(bytes, at)
        {
            found(Token::Uuid(uuid));
            let goes_on = |c| is_letter_or_digit(c) && !is_unspaced(c);
            if word.is_empty() && !after(text, at + length).is_some_and(goes_on) {
                at += length;
                continue;
            }
        }
        is_hex_before = is_hex;
        if byte.is_ascii() {
            at += 1;
            if !byte.is_ascii_alphanumeric() {
                flush(word, &mut found);
            } else if word.len() < MAX_WORD {
                word.push(char::from(byte.to_ascii_lowercase()));
            }
            continue;
        }
        let c = after(text, at).unwrap_or(char::REPLACEMENT_CHARACTER);
        at += c.len_utf8();
        if is_unspaced(c) {
            flush(word, &mut found);
            found(Token::Word(c.encode_utf8(&mut [0; 4])));
        } else if !is_letter_or_digit(c) {
            flush(word, &mut found);
        } else if word.len() < MAX_WORD {
            word.push(c);
        }
    }
    flush(word, &mut found);
}

/// The UUID whose first digit stands at the position, and its length: with hyphens or without, and no more digits behind it.
fn uuid_at(bytes: &[u8], start: usize) -> Option<(Uuid, usize)> {
    let length = match bytes.get(start + 8)? {
        b'-' => 36,
        _ => 32,
    };
    let text = bytes.get(start..start + length)?;
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    if !is_hex(text.get(7)) || !is_hex(text.last()) || is_hex(bytes.get(start + length)) {
        return None;
    }
    let uuid = Uuid::try_parse_ascii(text).ok()?;
    Some((uuid, length))
}

/// Whether the word may stand in a UUID: its groups have so many digits.
pub(super) fn may_be_of_a_uuid(word: &str) -> bool {
    matches!(word.len(), 4 | 8 | 12) && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        tokens(text, &mut String::new(), |token| {
            all.push(match token {
                Token::Uuid(uuid) => format!("<{uuid}>"),
                Token::Word(word) => word.to_owned(),
            });
        });
        all
    }

    #[test]
    fn words_and_uuids() {
        const UUID: &str = "<e589a371-ea0c-4479-9a7b-9f834adec040>";
        for (text, expected) in [
            ("", &[][..]),
            (
                "Ana.Maria+x@Example.COM",
                &["ana", "maria", "x", "example", "com"],
            ),
            ("auth0|A\u{f1}b.c", &["auth0", "a\u{f1}b", "c"]),
            ("{E589A371-EA0C-4479-9A7B-9F834ADEC040}", &[UUID]),
            ("e589a371ea0c44799a7b9f834adec040.x", &[UUID, "x"]),
            (
                "xe589a371-ea0c-4479-9a7b-9f834adec040",
                &[UUID, "xe589a371", "ea0c", "4479", "9a7b", "9f834adec040"],
            ),
            (
                "e589a371-ea0c-4479-9a7b-9f834adec0401",
                &["e589a371", "ea0c", "4479", "9a7b", "9f834adec0401"],
            ),
            (
                "ae589a371ea0c44799a7b9f834adec040",
                &["ae589a371ea0c44799a7b9f834adec040"],
            ),
            ("田中x太", &["田", "中", "x", "太"]),
            ("D\u{ed}az di\u{301}az", &["d\u{ed}az", "di\u{301}az"]),
            (
                "e589a371-ea0c-4479-9a7b-9f834adec040x",
                &[UUID, "e589a371", "ea0c", "4479", "9a7b", "9f834adec040x"],
            ),
            (
                "e589a371-ea0c-4479-9a7b-9f834adec040-e589a371",
                &[UUID, "e589a371"],
            ),
        ] {
            assert_eq!(all(text), expected, "{text}");
        }
        let long = "x".repeat(MAX_WORD);
        assert_eq!(all(&format!("{long}yz-a")), [long.as_str(), "a"]);
    }
}
