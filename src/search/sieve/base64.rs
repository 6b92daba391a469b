//! Which runs of base64 digits may stand for a text or a container. Most are words, paths and IDs, and their first bytes show it.

use crate::search::texts::is_container;

/// The shortest run that is looked at.
pub(super) const MIN_RUN: usize = 16;
/// How many digits show what a run is.
pub(super) const PROBE: usize = 32;

/// No digit of base64.
pub(super) const NONE: u8 = 0xFF;

/// The values of the digits of both alphabets.
const VALUES: [u8; 256] = {
    let mut values = [NONE; 256];
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut value = 0_u8;
    while value < 64 {
        values[digits[value as usize] as usize] = value;
        value += 1;
    }
    values[b'-' as usize] = 62;
    values[b'_' as usize] = 63;
    values
};

/// High bytes of UTF-16 units that belong to scripts without spaces, or to a pair.
const UNSPACED: [bool; 256] = {
    let mut unspaced = [false; 256];
    let ranges = [
        (0x0E, 0x10),
        (0x17, 0x17),
        (0x19, 0x1B),
        (0x2E, 0x31),
        (0x34, 0x9F),
        (0xA9, 0xAA),
        (0xD8, 0xDF),
        (0xF9, 0xFA),
        (0xFF, 0xFF),
    ];
    let mut range = 0;
    while range < ranges.len() {
        let (mut at, last) = ranges[range];
        while at <= last {
            unspaced[at] = true;
            at += 1;
        }
        range += 1;
    }
    unspaced
};

pub(super) fn value(digit: u8) -> u8 {
    VALUES.get(usize::from(digit)).copied().unwrap_or(NONE)
}

/// Decodes four digits: the lower 24 bits.
#[inline(always)]
fn group(digits: [u8; 4]) -> u32 {
    digits
        .iter()
        .fold(0, |group, digit| group << 6 | u32::from(value(*digit)))
}

/// Decodes four digits for every three bytes.
pub(super) fn decode(digits: &[u8], bytes: &mut [u8]) {
    let (groups, _) = digits.as_chunks::<4>();
    for (digits, bytes) in groups.iter().zip(bytes.chunks_exact_mut(3)) {
        let [_, first, second, third] = group(*digits).to_be_bytes();
        bytes.copy_from_slice(&[first, second, third]);
    }
}

/// Whether the run of at least 16 digits at the position may stand for a text or a container. A quick look that errs towards yes.
///
/// `length` is that of the run, where it is less than [`PROBE`].
#[inline(always)]
pub(super) fn may_be_text(view: &[u8], at: usize, length: usize) -> bool {
    let Some(digits) = view.get(at..).and_then(<[u8]>::first_chunk::<MIN_RUN>) else {
        return false;
    };
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *digits;
    let groups = [[a, b, c, d], [e, f, g, h], [i, j, k, l], [m, n, o, p]];
    let [first, second, third, fourth] = groups.map(|digits| u64::from(group(digits)));
    // Eight bytes, and the four after them; the first one in the highest bits.
    let head = first << 40 | second << 16 | third >> 8;
    let rest = (third & 0xFF) << 24 | fourth;
    may_be_utf8(head)
        || has_signature(head)
        || may_be_of_few_blocks(head, rest)
        || may_be_ascii_utf16(head, rest, view, at, length)
}

/// Whether the bytes may begin a text in UTF-8.
#[inline(always)]
fn may_be_utf8(head: u64) -> bool {
    let bytes = head.to_be_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let more = match byte {
            0x20..=0x7E => 0,
            0..=8 | 0x0E..=0x1A | 0x1C..=0x1F | 0x7F..0xC2 | 0xF5.. => return false,
            0xC2..0xE0 => 1,
            0xE0..0xF0 => 2,
            0xF0.. => 3,
            _ => 0,
        };
        let rest = bytes.iter().skip(at + 1).take(more);
        if rest.into_iter().any(|byte| byte & 0xC0 != 0x80) {
            return false;
        }
        at += 1 + more;
    }
    true
}

/// Whether the bytes begin a container, or a marked text in UTF-16.
#[inline(always)]
fn has_signature(head: u64) -> bool {
    match head >> 48 {
        0x1F8B | 0x504B | 0x28B5 | 0x4D44 | 0xFFFE | 0xFEFF => true,
        0x7800..=0x78FF => is_container(&head.to_be_bytes()),
        _ => false,
    }
}

/// One in each of four lanes of 16 bits.
const LANES: u64 = 0x0001_0001_0001_0001;

/// The highest bit of each of four lanes, all less than 256, in which there is at least `least`.
#[inline(always)]
fn at_least(lanes: u64, least: u64) -> u64 {
    (lanes + LANES * (0x8000 - least)) & (LANES << 15)
}

/// The highest bit of each of four lanes, all less than 256, that is zero.
#[inline(always)]
fn zeros(lanes: u64) -> u64 {
    !at_least(lanes, 1) & (LANES << 15)
}

/// Whether units that begin with these may belong to a text that is not mostly ASCII: few blocks, or scripts without spaces.
#[inline(always)]
fn may_be_of_few_blocks(head: u64, rest: u64) -> bool {
    may_have_high_bytes(head >> 8, rest >> 8) || may_have_high_bytes(head, rest)
}

/// The same for one order of bytes: every other byte is that of a block.
#[inline(always)]
fn may_have_high_bytes(head: u64, rest: u64) -> bool {
    let high = head & (LANES * 0xFF);
    let first_halves = zeros((high & (LANES * 0xFC)) ^ (LANES * 0xD8));
    let second_halves = zeros((high & (LANES * 0xFC)) ^ (LANES * 0xDC));
    let private = at_least(high, 0xE0) & !at_least(high, 0xF9);
    // No text has a half of a pair alone, or characters for private use.
    if second_halves != first_halves >> 16 || private != 0 {
        return false;
    }
    let byte = |bytes: u64, shift: u32| usize::try_from(bytes >> shift & 0xFF).unwrap_or(0);
    let is_unspaced = |bytes, shift| UNSPACED.get(byte(bytes, shift)) == Some(&true);
    if is_unspaced(high, 48)
        && is_unspaced(high, 32)
        && is_unspaced(high, 16)
        && is_unspaced(high, 0)
        && is_unspaced(rest, 16)
        && is_unspaced(rest, 0)
    {
        return true;
    }
    // Six units of three blocks have a block twice among the first four.
    let twice = zeros(high ^ high.rotate_left(16)) | zeros(high ^ high.rotate_left(32));
    if twice | first_halves == 0 {
        return false;
    }
    // Both halves of a pair make one character, which counts for no block.
    let mut seen = [0_u64; 4];
    let bytes = [
        (high, 48),
        (high, 32),
        (high, 16),
        (high, 0),
        (rest, 16),
        (rest, 0),
    ];
    for byte in bytes.map(|(bytes, shift)| byte(bytes, shift)) {
        if let Some(word) = seen.get_mut(byte >> 6).filter(|_| byte & 0xF8 != 0xD8) {
            *word |= 1 << (byte & 63);
        }
    }
    seen.iter().map(|word| word.count_ones()).sum::<u32>() <= 3
}

/// Whether half of the high bytes may be zero, three at least: each needs a digit of its own from `A` to `D`.
#[inline(always)]
fn may_be_ascii_utf16(head: u64, rest: u64, view: &[u8], at: usize, length: usize) -> bool {
    let bytes = LANES * 0xFF;
    // Only half of the lanes of the rest are used.
    let rest = rest | 0x0101_0101 << 32;
    let has_zeros = (zeros(head & bytes)
        | zeros(head >> 8 & bytes)
        | zeros(rest & bytes)
        | zeros(rest >> 8 & bytes))
        != 0;
    if has_zeros {
        return true;
    }
    if length < PROBE && goes_on(view.get(at + length..).unwrap_or_default()) {
        return true;
    }
    // What follows the run is counted, too: a wrong yes at the worst.
    let rest = view.get(at + MIN_RUN..).unwrap_or_default();
    let count = |bytes: &[u8]| {
        bytes.iter().fold(0_u8, |count, byte| {
            count + u8::from(byte.wrapping_sub(b'A') < 4)
        })
    };
    let count = match rest.first_chunk::<MIN_RUN>() {
        Some(rest) => count(rest),
        None => count(rest),
    };
    length > MIN_RUN + 2 && count >= 3
}

/// Whether more lines may follow a run, or it goes on behind `\/`.
#[inline(always)]
fn goes_on(rest: &[u8]) -> bool {
    match rest {
        [b'\n' | b'\r', ..] | [b'\\'] => true,
        [b'\\', next, ..] => matches!(next, b'\\' | b'/' | b'n' | b'r' | b't'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::*;

    use super::super::runs::Run;
    use super::*;
    use crate::search::texts::is_text;

    /// Whatever the exact search takes for a text or container passes the quick look, whatever its length.
    #[test]
    fn the_quick_look_misses_none() {
        let utf16 = |text: &str, little: bool| -> Vec<u8> {
            text.encode_utf16()
                .flat_map(|unit| {
                    if little {
                        unit.to_le_bytes()
                    } else {
                        unit.to_be_bytes()
                    }
                })
                .collect()
        };
        let mut all = Vec::new();
        for text in [
            "ana@example.com was here",
            "Мария Иванова здесь",
            "田中太郎田中太郎田中太郎",
            "x田ñ0 mixed Ωμέγα 123456",
            "😀 and more 😀 of that",
            "жжжж ana@example.com",
        ] {
            all.push(text.as_bytes().to_vec());
            all.push(utf16(text, true));
            all.push(utf16(text, false));
            all.push(utf16(&format!("\u{feff}{text}"), true));
        }
        all.push(vec![
            0x1F, 0x8B, 8, 0, 0xFF, 0xEE, 0x93, 0xA7, 0xB2, 0xC9, 0xDD, 0xF0,
        ]);
        all.push(vec![
            0x78, 0x9C, 0x80, 0xFF, 0xEE, 0x93, 0xA7, 0xB2, 0xC9, 0xDD, 0xF0, 0xF1,
        ]);
        for bytes in all {
            for length in 12..=bytes.len() {
                let part = &bytes[..length];
                let encoded = BASE64_STANDARD_NO_PAD.encode(part);
                if encoded.len() < MIN_RUN || !(is_text(part, true) || is_container(part)) {
                    continue;
                }
                for after in ["", "\"", " x", "==", "\n", r"\n"] {
                    let view = format!("{encoded}{after}");
                    let found = may_be_text(view.as_bytes(), 0, encoded.len().min(64));
                    assert!(found, "{part:x?} {view}");
                }
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn the_quick_look_misses_no_random_run(digits in "[A-D]{0,20}[A-Za-z0-9+/]{0,20}[0-9a-f-]{16,40}|[A-Za-z0-9_-]{16,40}|[A-Ha-h]{16,40}") {
            let mut run = Run::default();
            proptest::prop_assert!(run.read(digits.as_bytes(), 0));
            if run.texts().next().is_some() {
                proptest::prop_assert!(may_be_text(digits.as_bytes(), 0, digits.len()));
            }
        }
    }
}
