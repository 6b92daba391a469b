//! Which runs of base64 digits may stand for a text or a container. Most are words, paths and IDs, and their first bytes show it.

/// The shortest run that is looked at.
pub(super) const MIN_RUN: usize = 16;
/// How many digits show what a run is.
pub(super) const PROBE: usize = 32;

/// So many digits make the first eight bytes and a half.
const COUNTED: usize = 12;
/// A shorter run cannot be UTF-16 that is ASCII by half when the first four characters are not.
const MIN_LATE_ASCII: usize = 24;

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

/// Whether the run of at least 16 digits at the position, all of which stand there, may stand for a text or a container. A quick look
/// that errs towards yes.
///
/// `length` is that of the run, where it is less than [`PROBE`]. Nearly all runs fail it, and it has hardly a branch.
#[inline(always)]
pub(super) fn may_be_text(view: &[u8], at: usize, length: usize) -> bool {
    let Some(digits) = view.get(at..).and_then(<[u8]>::first_chunk::<COUNTED>) else {
        return false;
    };
    let [a, b, c, d, e, f, g, h, i, j, k, l] = *digits;
    let groups = [[a, b, c, d], [e, f, g, h], [i, j, k, l]];
    let [first, second, third] = groups.map(|digits| u64::from(group(digits)));
    // Eight bytes, the first one in the highest bits.
    let head = first << 40 | second << 16 | third >> 8;
    let may_be_units = may_have_high_bytes(head >> 8) | may_have_high_bytes(head);
    may_be_bytes(head, length) | has_signature(head)
        || may_be_units && may_be_six_units(view, at, head)
        || length >= MIN_LATE_ASCII && may_be_ascii_later(view, at)
}

/// Whether the first six units may belong to a text in UTF-16, in either order. The eight first bytes are given.
#[cold]
fn may_be_six_units(view: &[u8], at: usize, head: u64) -> bool {
    let rest = view
        .get(at + COUNTED - 4..)
        .and_then(<[u8]>::first_chunk::<8>);
    let Some([a, b, c, d, e, f, g, h]) = rest.copied() else {
        return true;
    };
    // Of twelve bytes the last six.
    let tail = u64::from(group([a, b, c, d])) << 24 | u64::from(group([e, f, g, h]));
    let units = |high: [u64; 6]| {
        let mut blocks = 0_u64;
        let mut is_clear = true;
        for high in high {
            blocks |= 1 << (high & 63);
            // Characters for private use are of no text. Pairs, and what may be ASCII, are left to the exact judgement.
            is_clear &= !(0xE0..0xF9).contains(&high);
        }
        let has_others = high
            .iter()
            .any(|high| *high == 0 || (0xD8..0xE0).contains(high));
        let are_unspaced = high.iter().all(|high| {
            let high = usize::try_from(*high).unwrap_or(0);
            UNSPACED.get(high) == Some(&true)
        });
        // Blocks that share a bit only look like fewer ones.
        is_clear && (has_others || are_unspaced || blocks.count_ones() <= 3)
    };
    let byte = |place: u32| match place {
        0..8 => head >> (56 - 8 * place) & 0xFF,
        _ => tail >> (88 - 8 * place) & 0xFF,
    };
    units([0, 2, 4, 6, 8, 10].map(byte)) || units([1, 3, 5, 7, 9, 11].map(byte))
}

/// The highest bit of each of eight bytes.
const HIGHEST: u64 = 0x8080_8080_8080_8080;

/// Whether some of the bytes are control characters that texts do not have: 0 to 7 and 16 to 23, as far as eight at once can be told.
#[inline(always)]
fn have_control(head: u64) -> bool {
    let kept = head & 0xE8E8_E8E8_E8E8_E8E8;
    !((kept & !HIGHEST).wrapping_add(!HIGHEST) | kept) & HIGHEST != 0
}

/// The bytes that begin a character of several, and the others that are not ASCII.
#[inline(always)]
fn high_bytes(head: u64) -> (u64, u64) {
    let (first, second) = (head & HIGHEST, head << 1 & HIGHEST);
    (first & second, first & !second)
}

/// Whether the bytes may begin a text in UTF-8.
#[inline(always)]
fn may_be_utf8(head: u64) -> bool {
    let (leads, others) = high_bytes(head);
    let is_torn = leads >> 8 & !others | others & !((leads | others) >> 8);
    let is_too_large = leads & head << 2 & head << 3 & head << 4 & HIGHEST;
    (is_torn | is_too_large == 0) & !have_control(head)
}

/// Whether the bytes may begin a text in UTF-8 or Latin-1, of so many digits.
#[inline(always)]
fn may_be_bytes(head: u64, digits: usize) -> bool {
    let (_, others) = high_bytes(head);
    // Latin-1 has signs and letters from 0xA0 on, and three quarters of a text are ASCII.
    let high = (head & HIGHEST).count_ones() as usize;
    let is_latin_1 = (others & !(head << 2) == 0) & (high * 4 <= digits.min(PROBE) / 4 * 3);
    may_be_utf8(head) | is_latin_1 & !have_control(head)
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

/// One in each of eight bytes.
const LOWEST: u64 = 0x0101_0101_0101_0101;
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

/// Whether half of the high bytes may be zero though the first four are not.
///
/// Of the six characters from the ninth byte on at least four have to be ASCII then, or all of as many as there are; each zero needs
/// a digit of its own from `A` to `D`. What follows the run is counted, too: a wrong yes at the worst.
#[inline(always)]
fn may_be_ascii_later(view: &[u8], at: usize) -> bool {
    const LEAST: u32 = 4;
    let Some(digits) = view.get(at + COUNTED..).and_then(<[u8]>::first_chunk::<16>) else {
        return true;
    };
    let (first, second) = digits.split_at(8);
    let count = |half: &[u8]| {
        let half = half.try_into().map_or(0, u64::from_le_bytes);
        // Every digit is ASCII, so no sum goes over into the next byte.
        let low = half & !HIGHEST;
        let from_a = low + LOWEST * (0x80 - 0x41);
        let from_e = low + LOWEST * (0x80 - 0x45);
        (from_a & !from_e & !half & HIGHEST).count_ones()
    };
    count(first) + count(second) >= LEAST
}

#[cfg(test)]
mod tests {
    use base64::prelude::*;

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
                if encoded.len() < MIN_RUN || !may_be_opened(part) {
                    continue;
                }
                for after in ["", "\"", " xAAAAAAAAAAAA", "=="] {
                    let view = format!("{encoded}{after}");
                    let found = may_be_text(view.as_bytes(), 0, encoded.len().min(64));
                    assert!(found, "{part:x?} {view}");
                }
            }
        }
    }
}
