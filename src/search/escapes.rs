//! Escapes inside of a text: which it uses, and the text without them.
//!
//! An escape next to a find decides whether the find stands alone: `ana@example.com%2Eau` is another address. Such finds are
//! left to the decoded text ([`Escaping::beside`]).

use memchr::{memchr, memchr_iter};

/// How a text uses backslashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// There are none, or none that means something.
    None,
    /// Every one begins an escape of JSON.
    Json,
    /// Some do not (a Windows path, for one): only `\uXXXX` and `\xXX` are taken for escapes.
    Literal,
}

/// Which escapes a text uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Escaping {
    pub(super) backslash: Escapes,
    pub(super) percent: bool,
    pub(super) entities: bool,
}

impl Escaping {
    /// Nothing is escaped.
    pub(super) const NONE: Self = Self {
        backslash: Escapes::None,
        percent: false,
        entities: false,
    };

    /// Looks at a text.
    pub(super) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        Self {
            backslash: backslashes(bytes),
            percent: memchr_iter(b'%', bytes).any(|at| percent_at(bytes, at).is_some()),
            entities: memchr_iter(b'&', bytes).any(|at| entity_at(text, at).is_some()),
        }
    }

    /// Whether anything is escaped.
    pub(super) fn any(self) -> bool {
        self != Self::NONE
    }

    /// What the escapes beside a range mean for it.
    pub(super) fn beside(self, text: &str, start: usize, end: usize) -> Beside {
        let bytes = text.as_bytes();
        let previous = start.checked_sub(1);
        let percent = self.percent
            && (percent_at(bytes, end).is_some()
                || previous.is_some_and(|at| percent_at(bytes, at).is_some()));
        let entity = self.entities
            && (entity_at(text, end).is_some() || entity_before(text, start).is_some());
        if percent || entity {
            return Beside::Hidden;
        }
        match self.backslash {
            Escapes::Json if previous.is_some_and(|at| opens_escape(bytes, at)) => Beside::Doubtful,
            Escapes::Json if bytes.get(end) == Some(&b'\\') => Beside::Hidden,
            Escapes::Literal if hex_escape_at(bytes, end).is_some() => Beside::Hidden,
            Escapes::None | Escapes::Json | Escapes::Literal => Beside::Nothing,
        }
    }
}

/// Which ends of a text are not where it ended: an escape cut it off.
///
/// Base64 is cut so where it stands before an escape: in `…Y29t%0ALmF1…` the address may end there, or go on with `.au`. What is
/// found at such an end is in doubt; the text without the escapes says more.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Cut {
    pub(super) start: bool,
    pub(super) end: bool,
}

impl Cut {
    /// The text is all there.
    pub(super) const NONE: Self = Self {
        start: false,
        end: false,
    };

    /// Of a part of the text, in which only what stands at these ends is in doubt.
    pub(super) fn of_part(self, part: &std::ops::Range<usize>, length: usize) -> Self {
        Self {
            start: self.start && part.start == 0,
            end: self.end && part.end == length,
        }
    }

    /// Of a run of base64 in a text with such escapes.
    pub(super) fn of_run(
        self,
        text: &str,
        run: &std::ops::Range<usize>,
        escaping: Escaping,
    ) -> Self {
        let part = self.of_part(run, text.len());
        let is_beside = |at| escaping.beside(text, at, at) != Beside::Nothing;
        Self {
            start: part.start || is_beside(run.start),
            end: part.end || is_beside(run.end),
        }
    }

    /// Whether a find stands at such an end.
    pub(super) fn touches(self, start: usize, end: usize, length: usize) -> bool {
        self.start && start == 0 || self.end && end == length
    }
}

/// What stands beside a find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// No escape.
    Nothing,
    /// An escape: only the decoded text tells whether the find stands alone.
    Hidden,
    /// A backslash before it, which makes its first letter an escape, or the name of a user in a domain: `CONTOSO\nina`.
    Doubtful,
}

/// Whether the byte is a backslash that is not itself escaped.
fn opens_escape(bytes: &[u8], at: usize) -> bool {
    let run = bytes
        .get(..=at)
        .unwrap_or_default()
        .iter()
        .rev()
        .take_while(|byte| **byte == b'\\')
        .count();
    run % 2 == 1
}

fn backslashes(bytes: &[u8]) -> Escapes {
    let Some(first) = memchr(b'\\', bytes) else {
        return Escapes::None;
    };
    let mut at = first;
    let mut has_hex = false;
    let mut is_json = true;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        at += found;
        if hex_escape_at(bytes, at).is_some() {
            has_hex = true;
            at += 1;
            continue;
        }
        let is_escape = matches!(
            bytes.get(at + 1),
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')
        );
        if !is_escape || is_drive(bytes, at) {
            is_json = false;
            at += 1;
        } else {
            at += 2;
        }
    }
    match (is_json, has_hex) {
        (true, _) => Escapes::Json,
        (false, true) => Escapes::Literal,
        (false, false) => Escapes::None,
    }
}

/// Whether the backslash follows a drive letter, as in `C:\temp`: the texts of stack traces are full of such paths.
fn is_drive(bytes: &[u8], at: usize) -> bool {
    let back = |n: usize| at.checked_sub(n).and_then(|at| bytes.get(at));
    back(1) == Some(&b':')
        && back(2).is_some_and(u8::is_ascii_alphabetic)
        && !back(3).is_some_and(|byte| byte.is_ascii_alphanumeric())
        && !matches!(bytes.get(at + 1), Some(b'\\' | b'"' | b'/'))
}

fn hex_value(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, byte| {
        Some(value * 16 + char::from(*byte).to_digit(16)?)
    })
}

/// `\uXXXX` or `\xXX` at the position: its value and length.
pub(super) fn hex_escape_at(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    match bytes.get(at..)? {
        [b'\\', b'u', rest @ ..] => Some((hex_value(rest.get(..4)?)?, 6)),
        [b'\\', b'x', rest @ ..] => Some((hex_value(rest.get(..2)?)?, 4)),
        _ => None,
    }
}

/// Writes the text without its backslash escapes; those that are none stay as they are, lone surrogates become U+FFFD.
pub(super) fn unescape(text: &str, escapes: Escapes, plain: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr(b'\\', rest)) {
        plain.extend_from_slice(bytes.get(at..at + found).unwrap_or_default());
        at += found;
        if let Some((value, length)) = hex_escape_at(bytes, at) {
            at += length;
            let low = hex_escape_at(bytes, at)
                .filter(|_| (0xD800..0xDC00).contains(&value))
                .filter(|(low, _)| (0xDC00..0xE000).contains(low));
            let code = low.map_or(value, |(low, length)| {
                at += length;
                0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00)
            });
            push_char(
                plain,
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
            );
            continue;
        }
        let short = match bytes.get(at + 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => Some(*byte),
            Some(b'b') => Some(8),
            Some(b'f') => Some(12),
            Some(b'n') => Some(b'\n'),
            Some(b'r') => Some(b'\r'),
            Some(b't') => Some(b'\t'),
            _ => None,
        };
        match short.filter(|_| escapes == Escapes::Json) {
            Some(byte) => {
                plain.push(byte);
                at += 2;
            }
            None => {
                plain.push(b'\\');
                at += 1;
            }
        }
    }
    plain.extend_from_slice(bytes.get(at..).unwrap_or_default());
}

fn push_char(plain: &mut Vec<u8>, c: char) {
    plain.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// `%XX` at the position: its value.
pub(super) fn percent_at(bytes: &[u8], at: usize) -> Option<u8> {
    match bytes.get(at..)? {
        [b'%', rest @ ..] => u8::try_from(hex_value(rest.get(..2)?)?).ok(),
        _ => None,
    }
}

/// Writes the text with every `%XX` as its byte.
pub(super) fn unpercent(text: &str, plain: &mut Vec<u8>) {
    plain.extend(percent_encoding::percent_decode_str(text));
}

/// Named characters of HTML that occur in names and in markup.
const ENTITIES: &[(&str, char)] = &[
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("nbsp", '\u{a0}'),
    ("commat", '@'),
    ("period", '.'),
    ("lowbar", '_'),
    ("plus", '+'),
    ("hyphen", '-'),
    ("dash", '-'),
    ("num", '#'),
    ("sol", '/'),
    ("colon", ':'),
    ("comma", ','),
    ("percnt", '%'),
    ("shy", '\u{ad}'),
    ("Agrave", 'À'),
    ("Aacute", 'Á'),
    ("Acirc", 'Â'),
    ("Atilde", 'Ã'),
    ("Auml", 'Ä'),
    ("Aring", 'Å'),
    ("AElig", 'Æ'),
    ("Ccedil", 'Ç'),
    ("Egrave", 'È'),
    ("Eacute", 'É'),
    ("Ecirc", 'Ê'),
    ("Euml", 'Ë'),
    ("Igrave", 'Ì'),
    ("Iacute", 'Í'),
    ("Icirc", 'Î'),
    ("Iuml", 'Ï'),
    ("ETH", 'Ð'),
    ("Ntilde", 'Ñ'),
    ("Ograve", 'Ò'),
    ("Oacute", 'Ó'),
    ("Ocirc", 'Ô'),
    ("Otilde", 'Õ'),
    ("Ouml", 'Ö'),
    ("Oslash", 'Ø'),
    ("Ugrave", 'Ù'),
    ("Uacute", 'Ú'),
    ("Ucirc", 'Û'),
    ("Uuml", 'Ü'),
    ("Yacute", 'Ý'),
    ("THORN", 'Þ'),
    ("szlig", 'ß'),
    ("agrave", 'à'),
    ("aacute", 'á'),
    ("acirc", 'â'),
    ("atilde", 'ã'),
    ("auml", 'ä'),
    ("aring", 'å'),
    ("aelig", 'æ'),
    ("ccedil", 'ç'),
    ("egrave", 'è'),
    ("eacute", 'é'),
    ("ecirc", 'ê'),
    ("euml", 'ë'),
    ("igrave", 'ì'),
    ("iacute", 'í'),
    ("icirc", 'î'),
    ("iuml", 'ï'),
    ("eth", 'ð'),
    ("ntilde", 'ñ'),
    ("ograve", 'ò'),
    ("oacute", 'ó'),
    ("ocirc", 'ô'),
    ("otilde", 'õ'),
    ("ouml", 'ö'),
    ("oslash", 'ø'),
    ("ugrave", 'ù'),
    ("uacute", 'ú'),
    ("ucirc", 'û'),
    ("uuml", 'ü'),
    ("yacute", 'ý'),
    ("thorn", 'þ'),
    ("yuml", 'ÿ'),
    ("OElig", 'Œ'),
    ("oelig", 'œ'),
    ("Scaron", 'Š'),
    ("scaron", 'š'),
    ("Yuml", 'Ÿ'),
];

/// The longest entity, with `&` and `;`.
const MAX_ENTITY: usize = 12;

/// An entity of HTML at the position: its character and length.
pub(super) fn entity_at(text: &str, at: usize) -> Option<(char, usize)> {
    let bytes = text.as_bytes().get(at..)?;
    if bytes.first() != Some(&b'&') {
        return None;
    }
    let end = bytes
        .iter()
        .take(MAX_ENTITY)
        .position(|byte| *byte == b';')?;
    let name = text.get(at + 1..at + end)?;
    let c = if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        char::from_u32(code.ok()?)?
    } else {
        ENTITIES.iter().find(|(known, _)| *known == name)?.1
    };
    Some((c, end + 1))
}

/// Whether an entity ends right before the position.
fn entity_before(text: &str, end: usize) -> Option<char> {
    let bytes = text.as_bytes().get(..end)?;
    if bytes.last() != Some(&b';') {
        return None;
    }
    let back = bytes
        .iter()
        .rev()
        .take(MAX_ENTITY)
        .position(|byte| *byte == b'&')?;
    let at = end - 1 - back;
    entity_at(text, at)
        .filter(|(_, length)| at + length == end)
        .map(|(c, _)| c)
}

/// Writes the text with every entity of HTML as its character.
pub(super) fn unentity(text: &str, plain: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(found) = text
        .as_bytes()
        .get(at..)
        .and_then(|rest| memchr(b'&', rest))
    {
        plain.extend_from_slice(text.as_bytes().get(at..at + found).unwrap_or_default());
        at += found;
        if let Some((c, length)) = entity_at(text, at) {
            push_char(plain, c);
            at += length;
        } else {
            plain.push(b'&');
            at += 1;
        }
    }
    plain.extend_from_slice(text.as_bytes().get(at..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str, decode: impl Fn(&str, &mut Vec<u8>)) -> String {
        let mut plain = Vec::new();
        decode(text, &mut plain);
        String::from_utf8(plain).expect("UTF-8")
    }

    #[test]
    fn escapes_of_json() {
        for (text, expected) in [
            ("plain", "plain"),
            (r"a\nb\t\/\\\u0041", "a\nb\t/\\A"),
            (r"\ud83d\ude00!", "😀!"),
            (r"\uD83D!", "\u{fffd}!"),
            (r"\u00E9\u00e9", "éé"),
            (r"\u12", r"\u12"),
            (r"\q\", r"\q\"),
            (r"\x41", "A"),
        ] {
            assert_eq!(
                plain(text, |text, out| unescape(text, Escapes::Json, out)),
                expected
            );
        }
    }

    #[test]
    fn paths_are_not_escapes() {
        for (text, expected) in [
            ("none", Escapes::None),
            (r"C:\temp\nina", Escapes::None),
            (r"in C:\Users\nina\a.cs", Escapes::None),
            (r"in C:\Users\nina\u0041", Escapes::Literal),
            (r#"{\"a\":\"b\"}"#, Escapes::Json),
            (r"Message:\nfoo", Escapes::Json),
            (r"C:\\temp", Escapes::Json),
            (r"\u-204", Escapes::None),
        ] {
            assert_eq!(Escaping::of(text).backslash, expected, "{text}");
        }
    }

    #[test]
    fn entities() {
        for (text, expected) in [
            ("D&iacute;az &amp; &#x41;&#66;", "Díaz & AB"),
            ("a & b; &unknown; &", "a & b; &unknown; &"),
        ] {
            assert_eq!(plain(text, unentity), expected);
        }
    }

    #[test]
    fn escapes_beside_a_find() {
        for (text, expected) in [
            ("x nina y", Beside::Nothing),
            ("x nina%2Ey", Beside::Hidden),
            ("x nina% y", Beside::Nothing),
            (r"x nina\u002Ey", Beside::Hidden),
            (r"x\nnina y", Beside::Nothing),
            (r"CONTOSO\nina y", Beside::Doubtful),
            (r"CONTOSO\\nina y", Beside::Nothing),
            ("x &#43;nina y", Beside::Hidden),
            ("x &nina y", Beside::Nothing),
            ("x nina&#46;", Beside::Hidden),
            (r"\snina \n", Beside::Nothing),
        ] {
            let start = text.find("nina").expect("there");
            let found = Escaping::of(text).beside(text, start, start + 4);
            assert_eq!(found, expected, "{text}");
        }
    }
}
