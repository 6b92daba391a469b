//! A lexer for JSON that never fails: what is not JSON comes out as a gap, so that no byte goes unread.

use std::ops::Range;

use memchr::memchr2;

/// A piece of JSON. Ranges are bytes of the text; those of strings leave out the quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// `{` (true) or `[` (false).
    Open(bool),
    /// `}` or `]`.
    Close,
    /// The name of a member.
    Key(Text),
    /// A string that is a value.
    String(Text),
    /// A number, `true`, `false` or `null`.
    Scalar(Range<usize>),
    /// Something that is no JSON.
    Gap(Range<usize>),
}

/// The inside of a string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    /// Where it stands, without the quotes.
    pub(super) range: Range<usize>,
    /// Whether it holds a backslash.
    pub(super) is_escaped: bool,
    /// Whether its closing quote is there.
    pub(super) is_closed: bool,
}

/// Reads tokens off a text. It accepts far more than JSON and keeps no stack.
#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    is_in_string: bool,
}

impl<'a> Lexer<'a> {
    /// Starts at a position; `is_in_string` when the text begins inside of a string.
    pub(super) fn new(text: &'a str, at: usize, is_in_string: bool) -> Self {
        Self {
            text: text.as_bytes(),
            at,
            is_in_string,
        }
    }

    /// Where the next token is looked for.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn string(&mut self) -> Text {
        let start = self.at;
        let mut is_escaped = false;
        let mut at = start;
        while let Some(found) = self
            .text
            .get(at..)
            .and_then(|rest| memchr2(b'"', b'\\', rest))
        {
            at += found;
            if self.text.get(at) == Some(&b'"') {
                self.at = at + 1;
                return Text {
                    range: start..at,
                    is_escaped,
                    is_closed: true,
                };
            }
            is_escaped = true;
            at += 2;
        }
        self.at = self.text.len();
        Text {
            range: start..self.text.len(),
            is_escaped,
            is_closed: false,
        }
    }

    fn is_key(&self) -> bool {
        self.text.get(self.at..).is_some_and(|rest| {
            rest.iter()
                .find(|byte| !byte.is_ascii_whitespace())
                .is_some_and(|byte| *byte == b':')
        })
    }

    /// A scalar, or the longest run without structure.
    fn bare(&mut self) -> Token {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end_at = |stops: &[u8]| {
            let length = rest
                .iter()
                .position(|byte| stops.contains(byte))
                .unwrap_or(rest.len());
            rest.get(..length).unwrap_or_default().trim_ascii_end()
        };
        let start = self.at;
        let short = end_at(b"{}[]\",:");
        let (found, is_scalar) = if is_scalar(short) {
            (short, true)
        } else {
            (end_at(b"{}[]\""), false)
        };
        self.at = start + found.len().max(1);
        let range = start..start + found.len();
        if is_scalar {
            Token::Scalar(range)
        } else {
            Token::Gap(range)
        }
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        if std::mem::take(&mut self.is_in_string) {
            return Some(Token::String(self.string()));
        }
        loop {
            let byte = *self.text.get(self.at)?;
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' | b',' | b':' => self.at += 1,
                b'{' | b'[' => {
                    self.at += 1;
                    return Some(Token::Open(byte == b'{'));
                }
                b'}' | b']' => {
                    self.at += 1;
                    return Some(Token::Close);
                }
                b'"' => {
                    self.at += 1;
                    let text = self.string();
                    return Some(if self.is_key() {
                        Token::Key(text)
                    } else {
                        Token::String(text)
                    });
                }
                _ => return Some(self.bare()),
            }
        }
    }
}

fn is_scalar(text: &[u8]) -> bool {
    match text {
        b"true" | b"false" | b"null" => true,
        [b'-' | b'0'..=b'9', ..] => text
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')),
        _ => false,
    }
}

/// Whether the text is nothing but JSON (one value or several): then its strings and scalars are all there is to search.
pub(super) fn is_json(text: &str) -> bool {
    if !text.trim_ascii_start().starts_with(['{', '[', '"']) {
        return false;
    }
    let mut depth = 0_u64;
    for token in Lexer::new(text, 0, false) {
        match token {
            Token::Open(_) => depth += 1,
            Token::Close if depth == 0 => return false,
            Token::Close => depth -= 1,
            Token::Gap(_) => return false,
            Token::Key(text) | Token::String(text) if !text.is_closed => return false,
            Token::Key(_) | Token::String(_) | Token::Scalar(_) => {}
        }
    }
    depth == 0
}

/// Where the next piece of JSON may begin inside of a text: `{"`, `["` or `[{`, with or without white space.
pub(super) fn next_fragment(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = from;
    loop {
        at += memchr2(b'{', b'[', bytes.get(at..)?)?;
        let next = bytes
            .get(at + 1..)?
            .iter()
            .take(64)
            .find(|byte| !byte.is_ascii_whitespace());
        match (bytes.get(at), next) {
            (_, Some(b'"')) | (Some(b'['), Some(b'{')) => return Some(at),
            _ => at += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<String> = Lexer::new(text, 0, false)
            .map(|token| match token {
                Token::Open(true) => "{".to_owned(),
                Token::Open(false) => "[".to_owned(),
                Token::Close => "}".to_owned(),
                Token::Key(key) => format!("k:{}", &text[key.range]),
                Token::String(string) => format!("s:{}", &text[string.range]),
                Token::Scalar(range) => format!("n:{}", &text[range]),
                Token::Gap(range) => format!("g:{}", &text[range]),
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn tokens() {
        check("", &[]);
        check(
            r#"{"a":1,"b" : [true, null,-1.5e3]}"#,
            &[
                "{", "k:a", "n:1", "k:b", "[", "n:true", "n:null", "n:-1.5e3", "}", "}",
            ],
        );
        check(r#"{"a\"b":"c\\"}"#, &["{", r#"k:a\"b"#, r"s:c\\", "}"]);
        check(r#"{"a":"cut off"#, &["{", "k:a", "s:cut off"]);
        check(r#"{"a":"cut\"#, &["{", "k:a", r"s:cut\"]);
        check(
            r#"[nonsense, x: "y" z]"#,
            &["[", "g:nonsense, x:", "s:y", "g:z", "}"],
        );
        check("[12:30, 5 6]", &["[", "n:12", "n:30", "g:5 6", "}"]);
        check("\u{feff}[]", &["g:\u{feff}", "[", "}"]);
    }

    #[test]
    fn only_json_is_json() {
        for (text, expected) in [
            (r#"{"a":1}"#, true),
            (r#" [{"a":1}, "b"] "#, true),
            (r#""a""#, true),
            ("", false),
            ("12", false),
            (r#"{"a":1"#, false),
            (r#"{"a":1}}"#, false),
            (r#"{"a":1} and"#, false),
            (r#""a" and "b""#, false),
            (r#"{"a":"b"#, false),
        ] {
            assert_eq!(is_json(text), expected, "{text}");
        }
    }

    #[test]
    fn fragments() {
        for (text, expected) in [
            ("", None),
            ("a {b} [c]", None),
            (r#"a {"b":1}"#, Some(2)),
            (r#"{a} [ {"b":1}]"#, Some(4)),
            (r#"{"#, None),
        ] {
            assert_eq!(next_fragment(text, 0), expected, "{text}");
        }
    }
}
