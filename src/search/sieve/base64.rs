//! Which runs of base64 digits may stand for a text or a container. Most are words, paths and IDs, and their first bytes show it.

/// The shortest run that is looked at.
pub(super) const MIN_RUN: usize = 16;
/// How many digits show what a run is.
pub(super) const PROBE: usize = 32;

/// The first digits make the first eight bytes; the later ones only count.
const COUNTED: usize = 11;

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
/// `length` is that of the run, where it is less than [`PROBE`]. Nearly all runs fail the first test, which has no branches.
#[inline(always)]
pub(super) fn may_be_text(view: &[u8], at: usize, length: usize) -> bool {
    let Some(digits) = view.get(at..).and_then(<[u8]>::first_chunk::<MIN_RUN>) else {
        return false;
    };
    let [a, b, c, d, e, f, g, h, i, j, k, l, ..] = *digits;
    let groups = [[a, b, c, d], [e, f, g, h], [i, j, k, l]];
    let [first, second, third] = groups.map(|digits| u64::from(group(digits)));
    // Eight bytes, the first one in the highest bits.
    let head = first << 40 | second << 16 | third >> 8;
    let is_possible = may_be_bytes(head)
        | may_have_high_bytes(head >> 8)
        | may_have_high_bytes(head)
        | has_signature(head);
    (is_possible && is_likely(head, digits)) || may_be_ascii_utf16(view, at, length)
}

/// Whether the bytes may begin a text in UTF-8 or Latin-1, as far as eight bytes at once can be told.
#[inline(always)]
fn may_be_bytes(head: u64) -> bool {
    const HIGHEST: u64 = 0x8080_8080_8080_8080;
    let first = head & HIGHEST;
    let second = head << 1 & HIGHEST;
    let (leads, others) = (first & second, first & !second);
    let is_torn = leads >> 8 & !others | others & !(first >> 8);
    let is_too_large = leads & head << 2 & head << 3 & head << 4 & HIGHEST;
    // 0 to 7 and 16 to 23 are control characters.
    let kept = head & 0xE8E8_E8E8_E8E8_E8E8;
    let control = !((kept & !HIGHEST).wrapping_add(!HIGHEST) | kept) & HIGHEST;
    // Latin-1 has signs and letters from 0xA0 on.
    let is_latin_1 = others & !(head << 2) == 0;
    ((is_torn | is_too_large == 0) | is_latin_1) & (control == 0)
}

/// Whether the bytes begin a container, or a marked text in UTF-16.
#[inline(always)]
fn has_signature(head: u64) -> bool {
    let start = head >> 48;
    (start == 0x1F8B)
        | (start == 0x504B)
        | (start == 0x28B5)
        | (start == 0x4D44)
        | (start >> 8 == 0x78)
        | (start == 0xFFFE)
        | (start == 0xFEFF)
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

/// Whether units whose high bytes are every other one of these may belong to a text in UTF-16.
#[inline(always)]
fn may_have_high_bytes(head: u64) -> bool {
    let high = head & (LANES * 0xFF);
    let first_halves = zeros((high & (LANES * 0xFC)) ^ (LANES * 0xD8));
    let second_halves = zeros((high & (LANES * 0xFC)) ^ (LANES * 0xDC));
    let private = at_least(high, 0xE0) & !at_least(high, 0xF9);
    // No text has a half of a pair alone, or characters for private use.
    let is_sound = (second_halves == first_halves >> 16) & (private == 0);
    let is_unspaced = |shift: u32| {
        let byte = usize::try_from(high >> shift & 0xFF).unwrap_or(0);
        UNSPACED.get(byte) == Some(&true)
    };
    let are_unspaced = is_unspaced(48) & is_unspaced(32) & is_unspaced(16) & is_unspaced(0);
    // Six units of three blocks have a block twice among the first four.
    let twice = zeros(high ^ high.rotate_left(16)) | zeros(high ^ high.rotate_left(32));
    is_sound & (are_unspaced | (twice | first_halves | zeros(high) != 0))
}

/// The same with twelve bytes, for the runs that pass with eight.
#[inline(never)]
fn is_likely(head: u64, digits: &[u8; MIN_RUN]) -> bool {
    if may_be_bytes(head) || has_signature(head) {
        return true;
    }
    let mut bytes = [0; 12];
    decode(digits, &mut bytes);
    let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes;
    [[a, c, e, g, i, k], [b, d, f, h, j, l]].iter().any(|high| {
        let is_unspaced = |byte: &u8| UNSPACED.get(usize::from(*byte)) == Some(&true);
        // Both halves of a pair make one character, which counts for no block.
        let mut seen = [0_u64; 4];
        for byte in high.iter().filter(|byte| **byte & 0xF8 != 0xD8) {
            if let Some(word) = seen.get_mut(usize::from(byte >> 6)) {
                *word |= 1 << (byte & 63);
            }
        }
        let blocks: u32 = seen.iter().map(|word| word.count_ones()).sum();
        blocks <= 3 || high.contains(&0) || high.iter().all(is_unspaced)
    })
}

/// Whether half of the high bytes may be zero though the first four are not: each needs a digit of its own from `A` to `D`.
#[inline(always)]
fn may_be_ascii_utf16(view: &[u8], at: usize, length: usize) -> bool {
    if length < PROBE && goes_on(view.get(at + length..).unwrap_or_default()) {
        return true;
    }
    // The first four high bytes have none of these digits from the twelfth on. What follows the run is counted, too: a wrong yes
    // at the worst.
    let rest = view.get(at + COUNTED..).unwrap_or_default();
    let count = |bytes: &[u8]| {
        bytes.iter().fold(0_u8, |count, byte| {
            count + u8::from(byte.wrapping_sub(b'A') < 4)
        })
    };
    // A text of five characters or more is ASCII by half when it has three of them.
    let count = match rest.first_chunk::<{ PROBE - COUNTED }>() {
        Some(rest) => count(rest),
        None => count(rest.get(..PROBE).unwrap_or(rest)),
    };
    count >= 3
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

    use super::super::runs::begins_text;
    use super::*;
    use crate::search::texts::may_be_opened;

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
            "5 € für Jürgen Müller",
        ] {
            all.push(text.as_bytes().to_vec());
            all.push(utf16(text, true));
            all.push(utf16(text, false));
            all.push(utf16(&format!("\u{feff}{text}"), true));
        }
        all.push(b"J\xFCrgen M\xFCller, 5 \xB0C".to_vec());
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
                if encoded.len() < MIN_RUN || !may_be_opened(part, encoded.as_bytes()) {
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
            if begins_text(digits.as_bytes(), 0) {
                proptest::prop_assert!(may_be_text(digits.as_bytes(), 0, digits.len()));
            }
        }
    }
}
