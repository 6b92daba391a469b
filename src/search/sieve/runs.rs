//! Runs of base64, judged as the exact search may judge them.

use super::base64::{MIN_RUN, NONE, PROBE, decode, may_be_text, value};
use crate::search::texts::{may_be_opened, some_beginning_may_be_opened};

/// A run of digits of base64: bit `n` is the digit `n`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// How many digits follow each other; 64 when there are as many or more.
    pub(super) length: usize,
    /// `[A-Fa-f0-9]`
    pub(super) hex: u64,
    pub(super) hyphen: u64,
}

impl Shape {
    /// Whether it is a UUID with hyphens, which the exact search does not take for base64.
    #[inline(always)]
    fn is_uuid(self) -> bool {
        const ALL: u64 = (1 << 36) - 1;
        const HYPHENS: u64 = 1 << 8 | 1 << 13 | 1 << 18 | 1 << 23;
        self.length == 36 && self.hyphen & ALL == HYPHENS && self.hex & ALL == ALL ^ HYPHENS
    }
}

/// Runs of base64 that may not be opened.
#[derive(Debug, Default)]
pub(super) struct Known {
    runs: [KnownRun; KNOWN],
}

/// The first 16 digits, the last 16, and how many there are.
type KnownRun = (u128, u128, usize);

/// How many runs are remembered.
const KNOWN: usize = 32;

impl Known {
    /// The run as it is remembered, and where; `None` for one that is too long.
    #[inline(always)]
    fn place(view: &[u8], start: usize, length: usize) -> Option<(usize, KnownRun)> {
        let part = |at: usize| {
            let part = view.get(at..).and_then(<[u8]>::first_chunk);
            part.map(|part| u128::from_le_bytes(*part))
        };
        if length >= PROBE {
            return None;
        }
        let run = (part(start)?, part(start + length - MIN_RUN)?, length);
        let mixed = (run.0 ^ run.1 >> 5) as u64;
        let mixed = (mixed ^ (run.0 >> 64) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Some(((mixed >> 59) as usize % KNOWN, run))
    }
}

/// Whether the base64 that begins at the position may be opened by the exact search: some of its first digits stand for a text or
/// a container.
///
/// The exact search judges a run by at most [`PROBE`] of its digits, in groups of four.
#[inline(always)]
pub(super) fn may_open(view: &[u8], start: usize, shape: Shape, known: &mut Known) -> bool {
    let length = shape.length;
    if length < MAX_ENDING && !ends_there(view.get(start + length..).unwrap_or_default()) {
        return begins_text(view, start, length);
    }
    if shape.is_uuid() {
        return false;
    }
    let Some((place, run)) = Known::place(view, start, length) else {
        return may_be_text(view, start, length) && opens(view, start, length);
    };
    let remembered = known.runs.get_mut(place);
    if remembered.as_deref() == Some(&run) {
        return false;
    }
    let is_open = may_be_text(view, start, length) && opens(view, start, length);
    if let Some(remembered) = remembered.filter(|_| !is_open) {
        *remembered = run;
    }
    is_open
}

/// From so many digits on what follows a run makes no difference: those of the judgement are there, and it is no UUID.
const MAX_ENDING: usize = 37;

/// Whether a run ends before these bytes whatever is decoded: no line break follows, and no escape that may be a digit.
#[inline(always)]
fn ends_there(rest: &[u8]) -> bool {
    match rest {
        [b'\\', after @ ..] => {
            let next = after.iter().find(|byte| **byte != b'\\');
            next == Some(&b'"')
        }
        // Around an escape the view may end inside of a run.
        [] => false,
        [byte, ..] => {
            // One look at a table, where which byte it is cannot be foreseen.
            const GO_ON: u64 = 1 << b'\n' | 1 << b'\r' | 1 << b'%' | 1 << b'&';
            *byte >= 64 || GO_ON >> byte & 1 == 0
        }
    }
}

/// Judges a run of which so many digits follow each other and no other may.
///
/// It may also be read in pieces: then the first one ends with one of the signs.
#[cold]
fn opens(view: &[u8], start: usize, length: usize) -> bool {
    let mut bytes = [0; PROBE / 4 * 3];
    let digits = view.get(start..).unwrap_or_default();
    let digits = digits.get(..length.min(PROBE)).unwrap_or(digits);
    decode(digits, &mut bytes);
    let may_end = |end: usize| {
        let groups = end / 4;
        let bytes = bytes.get(..groups * 3).unwrap_or_default();
        end >= MIN_RUN && may_be_opened(bytes)
    };
    let ends = |sign: &u8| {
        let end = digits.iter().position(|digit| digit == sign);
        end.is_some_and(may_end)
    };
    may_end(digits.len()) || b"-_+/".iter().any(ends)
}

/// Whether the base64 that begins at the position may be opened wherever it ends, and over `\/` and line breaks.
///
/// `length` digits follow each other.
#[cold]
fn begins_text(view: &[u8], start: usize, length: usize) -> bool {
    let mut digits = [0; PROBE];
    let rest = view.get(start..).unwrap_or_default();
    let count = first_digits(rest, length.min(PROBE), &mut digits);
    if count < MIN_RUN || !may_be_text(&digits, 0, count) {
        return false;
    }
    let mut bytes = [0; PROBE / 4 * 3];
    decode(&digits, &mut bytes);
    let bytes = bytes.get(..count / 4 * 3).unwrap_or_default();
    some_beginning_may_be_opened(bytes)
}

/// Reads digits over slashes that are escaped, and over line breaks with what indents the next line. Returns how many there are.
///
/// The first ones, of which so many follow each other, are known to be there.
fn first_digits(rest: &[u8], first: usize, digits: &mut [u8; PROBE]) -> usize {
    if let (Some(to), Some(from)) = (digits.get_mut(..first), rest.get(..first)) {
        to.copy_from_slice(from);
    }
    let mut count = first;
    let mut is_between_lines = false;
    let mut at = first;
    while let Some(byte) = rest.get(at) {
        let backslashes = rest
            .iter()
            .skip(at)
            .take_while(|byte| **byte == b'\\')
            .count();
        if backslashes > 0 {
            at += backslashes;
            match rest.get(at) {
                // The slash is the next digit.
                Some(b'/') => {}
                Some(b'n' | b'r') => {
                    is_between_lines = true;
                    at += 1;
                }
                Some(b't') if is_between_lines => at += 1,
                _ => break,
            }
            continue;
        }
        match byte {
            b'\n' | b'\r' => is_between_lines = true,
            b' ' | b'\t' if is_between_lines => {}
            digit if value(*digit) != NONE => {
                let Some(place) = digits.get_mut(count) else {
                    break;
                };
                *place = *digit;
                count += 1;
                is_between_lines = false;
            }
            _ => break,
        }
        at += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use base64::prelude::*;
    use proptest::prelude::*;

    use super::*;
    use crate::search::base64_runs::decode_runs;

    #[test]
    fn what_runs_may_stand_for() {
        for (view, expected) in [
            ("YW5hQGV4YW1wbGUuY29t", true),
            ("YW5hQGV4YW1wbGUuY29tLg==", true),
            ("YW5hQGV4YW1wbGUuY29t-path-/-x-", true),
            (r"Pz8\/Pj4+YW5hQGV4YW1wbGUuY29t", true),
            (r"Pz8\\/Pj4+YW5hQGV4YW1wbGUuY29t", true),
            ("YW5h\nQGV4\r\n\t YW1wbGUuY29t", true),
            (r"YW5h\nQGV4\\r\\n\\t YW1wbGUuY29t", true),
            ("TfxsbGVyLCBK/HJnZW4=", true),
            ("YW5hQGV4YW1 wbGUuY29t", false),
            (r"YW5hQGV4YW1\wbGUuY29t", false),
            ("e589a371-ea0c-4479-9a7b-9f834adec040", false),
            ("WrapperRuntimeVersion", false),
            ("", false),
        ] {
            assert_eq!(begins_text(view.as_bytes(), 0, 0), expected, "{view}");
        }
    }

    #[test]
    fn where_runs_end() {
        for (rest, expected) in [
            (r#"""#, true),
            (r#"\\\"x"#, true),
            ("=", true),
            (".", true),
            ("", false),
            (r"\", false),
            (r"\n", false),
            (r"\\/", false),
            ("\r\n", false),
            ("%2B", false),
            ("&#43;", false),
        ] {
            assert_eq!(ends_there(rest.as_bytes()), expected, "{rest}");
        }
    }

    /// Bytes of a text, as base64.
    fn text_of_digits() -> impl Strategy<Value = String> {
        let encode = |bytes: Vec<u8>| BASE64_STANDARD_NO_PAD.encode(bytes);
        let utf16 = |little: bool| {
            move |text: String| -> Vec<u8> {
                let pair = |unit: u16| match little {
                    true => unit.to_le_bytes(),
                    false => unit.to_be_bytes(),
                };
                text.encode_utf16().flat_map(pair).collect()
            }
        };
        prop_oneof![
            "[ -~é]{8,40}".prop_map(String::into_bytes),
            "[ -~é田ж]{0,12}[a-z]{0,12}".prop_map(utf16(true)),
            "[ -~é田ж😀]{0,12}[a-z]{0,12}".prop_map(utf16(false)),
            "[一-龠]{5,14}".prop_map(utf16(true)),
            proptest::collection::vec(any::<u8>(), 8..30),
            proptest::collection::vec(prop_oneof![9 => 0x20..0x7F_u8, 1 => 0xA0..=0xFF_u8], 8..30),
        ]
        .prop_map(encode)
    }

    proptest! {
        /// What the exact search opens at a place is opened here, and the quick look passes over none of it.
        #[test]
        fn none_is_passed_over(
            runs in proptest::collection::vec(prop_oneof![
                4 => text_of_digits(),
                1 => "[A-D]{0,20}[A-Za-z0-9+/]{0,20}[0-9a-f-]{16,40}|[A-Za-z0-9_-]{16,40}|[A-Ha-h]{16,40}|0x[0-9a-f]{16}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
                1 => "[a-z]{1,8}",
            ], 1..4),
            sign in "[-_+/]",
            after in prop_oneof![Just("\""), Just("="), Just(""), Just("\n"), Just("\\n"), Just("\\\""), Just("\nQUJD"), Just(" A")],
            is_url in any::<bool>(),
        ) {
            let mut text = runs.join(&sign);
            if is_url {
                text = text.replace('+', "-").replace('/', "_");
            }
            let run = text.len();
            text.push_str(after);
            let mut places = Vec::new();
            decode_runs(text.as_bytes(), &mut Vec::new(), |range, _bytes| places.push(range.start));
            for start in places.into_iter().filter(|start| *start < run) {
                let length = (run - start).min(64);
                let digits = text.as_bytes().iter().skip(start).take(64).enumerate();
                let bits = |is: fn(&u8) -> bool| digits.clone().filter(|(_, digit)| is(digit)).fold(0, |bits, (at, _)| bits | 1 << at);
                let shape = Shape { length, hex: bits(u8::is_ascii_hexdigit), hyphen: bits(|digit| *digit == b'-') };
                let mut known = Known::default();
                prop_assert!(may_open(text.as_bytes(), start, shape, &mut known), "{start} {text}");
            }
        }
    }

    #[test]
    fn no_more_digits_than_decide() {
        let mut digits = [0; PROBE];
        let long = "QUJD\n".repeat(100);
        assert_eq!(first_digits(long.as_bytes(), 4, &mut digits), PROBE);
        assert_eq!(digits, *"QUJD".repeat(8).as_bytes());
    }
}
