//! The first digits of base64, read as the exact search may read them: over `\/` and line breaks.

use super::base64::{NONE, PROBE, decode, value};
use crate::search::texts::some_beginning_may_be_opened;

/// Whether the base64 that begins at the position may be opened by the exact search: some of its first digits stand for a text or
/// a container.
///
/// The exact search judges a run by at most [`PROBE`] of its digits, in groups of four, wherever it takes the run to end.
pub(super) fn begins_text(view: &[u8], start: usize) -> bool {
    let mut digits = [0; PROBE];
    let count = first_digits(view.get(start..).unwrap_or_default(), &mut digits);
    let mut bytes = [0; PROBE / 4 * 3];
    decode(&digits, &mut bytes);
    let bytes = bytes.get(..count / 4 * 3).unwrap_or_default();
    some_beginning_may_be_opened(bytes, digits.get(..count).unwrap_or_default())
}

/// Reads digits over slashes that are escaped, and over line breaks with what indents the next line. Returns how many there are.
fn first_digits(rest: &[u8], digits: &mut [u8; PROBE]) -> usize {
    let mut count = 0;
    let mut is_between_lines = false;
    let mut at = 0;
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
    use super::*;

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
            assert_eq!(begins_text(view.as_bytes(), 0), expected, "{view}");
        }
    }

    #[test]
    fn no_more_digits_than_decide() {
        let mut digits = [0; PROBE];
        let long = "QUJD\n".repeat(100);
        assert_eq!(first_digits(long.as_bytes(), &mut digits), PROBE);
        assert_eq!(digits, *"QUJD".repeat(8).as_bytes());
    }
}
