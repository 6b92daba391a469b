//! Tokens: what every text that holds an identifier has in common with the identifier.
//!
//! The exact search finds an identifier where it stands alone, so that the words inside of it are whole words of the text. Beside
//! user IDs and addresses stand no hyphens, underlines and dots either, so that of those even the runs with such signs are whole:
//! `john.smith` rules out more than `john` and `smith`, and `ana@example.com` more than `ana` and `example.com`. A text without
//! one of them does not hold the identifier.

use uuid::Uuid;

use crate::search::chars::{after, is_letter_or_digit, is_unspaced};

/// The longest token, in bytes; of longer ones about this much of the beginning counts.
const MAX_TOKEN: usize = 64;

/// A part of a text. ASCII is in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// A UUID, however it is spelled.
    Uuid(Uuid),
    /// Letters, digits and marks between other characters. Scripts that put no space between words give a token for each character.
    Word(&'t str),
    /// The same with hyphens, underlines, and dots before a letter or digit, in any script. Two with an `@` between them are one
    /// more.
    Run {
        text: &'t str,
        /// Whether it is one word, and was told as such.
        is_word: bool,
    },
}

/// Buffers for the tokens of one text after the other.
#[derive(Default)]
pub(super) struct Buffers {
    word: String,
    run: String,
    /// How many words of the run have ended, signs counted as two.
    parts: usize,
    /// The run before, with the `@` at which it ended; empty when it ended otherwise.
    before: String,
}

impl Buffers {
    fn push(&mut self, c: char) {
        for buffer in [&mut self.word, &mut self.run] {
            if buffer.len() < MAX_TOKEN {
                buffer.push(c);
            }
        }
    }

    fn push_to_run(&mut self, c: char, parts: usize) {
        self.parts += parts;
        if self.run.len() < MAX_TOKEN {
            self.run.push(c);
        }
    }

    fn end_word(&mut self, found: &mut impl FnMut(Token<'_>)) {
        if !self.word.is_empty() {
            found(Token::Word(&self.word));
            self.word.clear();
            self.parts += 1;
        }
    }

    /// Ends the run before a character, or before the end of the text.
    fn end_run(&mut self, next: char, found: &mut impl FnMut(Token<'_>)) {
        if !self.run.is_empty() {
            found(Token::Run {
                text: &self.run,
                is_word: self.parts == 1,
            });
            if !self.before.is_empty() {
                self.before.push_str(&self.run);
                found(Token::Run {
                    text: &self.before,
                    is_word: false,
                });
            }
        }
        self.before.clear();
        if next == '@' && !self.run.is_empty() {
            self.before.push_str(&self.run);
            self.before.push(next);
        }
        self.run.clear();
        self.parts = 0;
    }
}

/// Calls back with each token of a text; a token that stands there twice comes twice. The words of a UUID are left out where no
/// word goes on into it, nor beyond it.
pub(super) fn tokens(text: &str, buffers: &mut Buffers, mut found: impl FnMut(Token<'_>)) {
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
            let end = at + length;
            let goes_on = |c| is_letter_or_digit(c) && !is_unspaced(c);
            if buffers.word.is_empty() && !after(text, end).is_some_and(goes_on) {
                for byte in bytes.get(at..end).unwrap_or_default() {
                    buffers.push_to_run(char::from(byte.to_ascii_lowercase()), 1);
                }
                at = end;
                continue;
            }
        }
        is_hex_before = is_hex;
        if byte.is_ascii_alphanumeric() {
            buffers.push(char::from(byte.to_ascii_lowercase()));
            at += 1;
            continue;
        }
        let c = after(text, at).unwrap_or(char::REPLACEMENT_CHARACTER);
        at += c.len_utf8();
        let is_of_word = is_letter_or_digit(c);
        if is_of_word && !is_unspaced(c) {
            buffers.push(c);
            continue;
        }
        buffers.end_word(&mut found);
        if is_unspaced(c) {
            found(Token::Word(c.encode_utf8(&mut [0; 4])));
        }
        let is_inner_dot = || c == '.' && after(text, at).is_some_and(is_letter_or_digit);
        if is_of_word {
            buffers.push_to_run(c, 1);
        } else if matches!(c, '-' | '_') || is_inner_dot() {
            buffers.push_to_run(c, 2);
        } else {
            buffers.end_run(c, &mut found);
        }
    }
    buffers.end_word(&mut found);
    buffers.end_run(' ', &mut found);
}

/// The UUID that a run is, if it is nothing else.
pub(super) fn uuid_of(run: &str) -> Option<Uuid> {
    matches!(run.len(), 32 | 36)
        .then(|| Uuid::try_parse(run).ok())
        .flatten()
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

/// Whether a set has the word wherever it stands in a text. Parts of times and versions are worth too little, as long as they are
/// no runs of their own.
pub(super) fn is_kept(word: &str) -> bool {
    !word.starts_with(|c: char| c.is_ascii_digit())
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
        tokens(text, &mut Buffers::default(), |token| match token {
            Token::Uuid(uuid) => all.push(format!("<{uuid}>")),
            Token::Word(word) => all.push(word.to_owned()),
            Token::Run { .. } => {}
        });
        all
    }

    /// Runs; `=` before those that are words.
    fn runs(text: &str) -> Vec<String> {
        let mut all = Vec::new();
        tokens(text, &mut Buffers::default(), |token| {
            if let Token::Run { text, is_word } = token {
                all.push(format!("{}{text}", if is_word { "=" } else { "" }));
            }
        });
        all
    }

    #[test]
    fn runs_and_words() {
        for (text, expected) in [
            ("", &[][..]),
            ("Ana", &["=ana"]),
            (
                "Ana.Maria+x@Example.COM.",
                &["ana.maria", "=x", "example.com", "x@example.com"],
            ),
            ("a..b .c d. -", &["=a", ".b", ".c", "=d", "-"]),
            ("x@@a@b@c-@", &["=x", "=a", "=b", "a@b", "c-", "b@c-"]),
            ("auth0|a_b-c/d", &["=auth0", "a_b-c", "=d"]),
            (
                "\u{7530}x \u{7530} \u{e01}.\u{e5a}",
                &["\u{7530}x", "=\u{7530}", "=\u{e01}"],
            ),
            (
                "E589A371-EA0C-4479-9A7B-9F834ADEC040",
                &["e589a371-ea0c-4479-9a7b-9f834adec040"],
            ),
            (
                "E589A371EA0C44799A7B9F834ADEC040.json",
                &["e589a371ea0c44799a7b9f834adec040.json"],
            ),
        ] {
            assert_eq!(runs(text), expected, "{text}");
        }
        assert!(uuid_of("e589a371-ea0c-4479-9a7b-9f834adec040").is_some());
        assert!(uuid_of("e589a371-ea0c-4479-9a7b-9f834adec04g").is_none());
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
        let long = "x".repeat(MAX_TOKEN);
        assert_eq!(all(&format!("{long}yz-a")), [long.as_str(), "a"]);
    }
}
