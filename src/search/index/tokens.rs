//! Tokens: what every text that holds an identifier has in common with the identifier.
//!
//! The exact search finds an identifier where it stands alone, so that the words inside of it are whole words of the text. A text
//! without one of them does not hold it.

use uuid::Uuid;

use crate::search::chars::{is_letter_or_digit, is_unspaced};

/// A part of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Token<'t> {
    /// A UUID, however it is spelled.
    Uuid(Uuid),
    /// Letters, digits and marks between other characters, ASCII in lower case. Scripts that put no space between words give a
    /// token for each character.
    Word(&'t str),
}

/// Calls back with each token of a text, in order; a token that stands there twice comes twice.
pub(super) fn tokens(text: &str, mut found: impl FnMut(Token<'_>)) {
    let mut word = String::new();
    let mut skip_to = 0;
    let flush = |word: &mut String, found: &mut dyn FnMut(Token<'_>)| {
        if !word.is_empty() {
            found(Token::Word(word));
            word.clear();
        }
    };
    let mut is_hex_before = false;
    for (at, c) in text.char_indices() {
        let is_hex = c.is_ascii_hexdigit();
        if is_hex
            && !is_hex_before
            && at >= skip_to
            && let Some((uuid, length)) = uuid_at(text.as_bytes(), at)
        {
            // The words of a UUID are those of nobody: an identifier that has them has the UUID.
            found(Token::Uuid(uuid));
            if word.is_empty() {
                skip_to = at + length;
            }
        }
        is_hex_before = is_hex;
        if at < skip_to {
            continue;
        }
        if is_unspaced(c) {
            flush(&mut word, &mut found);
            let mut buffer = [0; 4];
            found(Token::Word(c.encode_utf8(&mut buffer)));
        } else if is_letter_or_digit(c) {
            word.push(c.to_ascii_lowercase());
        } else {
            flush(&mut word, &mut found);
        }
    }
    flush(&mut word, &mut found);
}

/// The UUID whose first digit stands at the position, and its length: with hyphens or without, and no more digits behind it.
fn uuid_at(bytes: &[u8], start: usize) -> Option<(Uuid, usize)> {
    let length = if bytes.get(start + 8) == Some(&b'-') {
        36
    } else {
        32
    };
    let text = bytes.get(start..start + length)?;
    if bytes.get(start + length).is_some_and(u8::is_ascii_hexdigit) {
        return None;
    }
    let uuid = Uuid::try_parse_ascii(text).ok()?;
    Some((uuid, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        tokens(text, |token| {
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
        ] {
            assert_eq!(all(text), expected, "{text}");
        }
    }
}
