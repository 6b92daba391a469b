//! The block classifiers on registers of 64 bytes: a block is one register, and what is compared comes as a mask at once.
//!
//! Unsafe because the compiler cannot know which machine it runs on, and because wide loads take pointers.
#![expect(
    unsafe_code,
    reason = "a function for a machine that was asked whether it is one, and loads of whole arrays"
)]

use std::arch::x86_64::*;

use super::masks::{Masks, PRINT, Prints, WINDOW};
use super::{BLOCK, Structure};
use crate::search::layout::Walk;
use crate::search::records::Splitter;
use crate::search::sieve::Pass;

/// Whether this machine has the registers, and the instruction that looks up 64 bytes in a table of 128.
fn is_here() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
}

/// Sieves a text with this classifier, if the machine can.
pub(super) fn sieve(pass: &mut Pass<'_, '_>) -> Option<bool> {
    // SAFETY: the machine has what `sieve_here` asks for.
    is_here().then(|| unsafe { sieve_here(pass) })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,bmi2,lzcnt,popcnt")]
fn sieve_here(pass: &mut Pass<'_, '_>) -> bool {
    pass.run(|window, pieces, heads| classify(window, pieces, heads))
}

/// Splits with this classifier, if the machine can.
pub(super) fn split(splitter: &mut Splitter, bytes: &[u8]) -> Option<(usize, bool)> {
    // SAFETY: the machine has what `split_here` asks for.
    is_here().then(|| unsafe { split_here(splitter, bytes) })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,bmi2,lzcnt,popcnt")]
fn split_here(splitter: &mut Splitter, bytes: &[u8]) -> (usize, bool) {
    splitter.advance_with(bytes, |block| structure(block))
}

/// Walks over brackets with this classifier. Returns whether the machine can.
pub(super) fn walk(walk: &mut Walk, body: &[u8]) -> bool {
    let is_here = is_here();
    if is_here {
        // SAFETY: the machine has what `walk_here` asks for.
        unsafe { walk_here(walk, body) };
    }
    is_here
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,bmi1,bmi2,lzcnt,popcnt")]
fn walk_here(walk: &mut Walk, body: &[u8]) {
    walk.blocks(body, |block| structure(block));
}

const TOKEN: u8 = 1;
const BASE64: u8 = 2;
const HEX: u8 = 4;
const SIGN: u8 = 8;
const HYPHEN: u8 = 16;
const BACKSLASH: u8 = 32;
const AT: u8 = 64;
/// `%`, `&` and control characters, which most blocks have not.
const RARE: u8 = 128;

/// The kinds of every byte of ASCII.
const KINDS: [[u8; BLOCK]; 2] = {
    let mut kinds = [[0; BLOCK]; 2];
    let mut byte = 0_u8;
    while byte < 128 {
        let mut kind = 0;
        if byte.is_ascii_alphanumeric() {
            kind |= TOKEN | BASE64;
        }
        if byte.is_ascii_hexdigit() {
            kind |= HEX;
        }
        if byte.is_ascii_control() {
            kind |= RARE;
        }
        kind |= match byte {
            b'.' => TOKEN,
            b'-' => TOKEN | BASE64 | HYPHEN,
            b'_' => TOKEN | BASE64 | SIGN,
            b'+' | b'/' => BASE64 | SIGN,
            b'\\' => BACKSLASH,
            b'@' => AT,
            b'%' | b'&' => RARE,
            _ => 0,
        };
        kinds[byte as usize / BLOCK][byte as usize % BLOCK] = kind;
        byte += 1;
    }
    kinds
};

#[target_feature(enable = "avx512f")]
#[inline]
fn load(bytes: &[u8; BLOCK]) -> __m512i {
    // SAFETY: the array has as many bytes as are loaded.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// 64 bytes of a window.
#[target_feature(enable = "avx512f")]
#[inline]
fn part(window: &[u8; WINDOW], at: usize) -> __m512i {
    let bytes = window.get(at..).and_then(<[u8]>::first_chunk);
    load(bytes.unwrap_or(&[0; BLOCK]))
}

/// A table of 16 bytes, for each quarter of the register.
#[target_feature(enable = "avx512f")]
#[inline]
fn table(bytes: &[u8; 16]) -> __m512i {
    // SAFETY: the array has as many bytes as are loaded.
    _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(byte: u8) -> __m512i {
    _mm512_set1_epi8(byte.cast_signed())
}

/// Classifies a block; as [`super::structure`] does.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn structure(block: &[u8; BLOCK]) -> Structure {
    let bytes = load(block);
    let is = |bytes, byte| _mm512_cmpeq_epi8_mask(bytes, splat(byte));
    // Brackets and braces differ in one bit.
    let folded = _mm512_or_si512(bytes, splat(0x20));
    Structure {
        quote: is(bytes, b'"'),
        backslash: is(bytes, b'\\'),
        newline: is(bytes, b'\n'),
        open: is(folded, b'{'),
        close: is(folded, b'}'),
    }
}

/// Where a text with one of the prints may begin.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn places(window: &[u8; WINDOW], prints: &Prints) -> u64 {
    let nibble = splat(15);
    let mut groups = splat(0xFF);
    for place in 0..PRINT {
        let tables = prints.low.get(place).zip(prints.high.get(place));
        let (low, high) = tables.unwrap_or((&[0; 16], &[0; 16]));
        let bytes = part(window, place);
        let low = _mm512_shuffle_epi8(table(low), _mm512_and_si512(bytes, nibble));
        let above = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), nibble);
        let high = _mm512_shuffle_epi8(table(high), above);
        groups = _mm512_and_si512(groups, _mm512_and_si512(low, high));
    }
    _mm512_test_epi8_mask(groups, groups)
}

/// Classifies a block; as [`super::masks::classify`] does.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
#[inline]
fn classify(window: &[u8; WINDOW], pieces: Option<&Prints>, heads: Option<&Prints>) -> Masks {
    let bytes = part(window, 0);
    let high = _mm512_movepi8_mask(bytes);
    let [first, second] = &KINDS;
    let kinds = _mm512_maskz_permutex2var_epi8(!high, load(first), bytes, load(second));
    let any = |kind| _mm512_test_epi8_mask(kinds, splat(kind));
    let rare = any(RARE);
    let control = if rare == 0 {
        0
    } else {
        rare & (_mm512_cmplt_epu8_mask(bytes, splat(b' '))
            | _mm512_cmpeq_epi8_mask(bytes, splat(0x7F)))
    };
    Masks {
        token: any(TOKEN),
        base64: any(BASE64),
        hex: any(HEX),
        hyphen: any(HYPHEN),
        sign: any(SIGN),
        backslash: any(BACKSLASH),
        at: any(AT),
        percent_amp: rare & !control,
        high,
        control,
        pieces: pieces.map_or(0, |prints| places(window, prints)),
        heads: heads.map_or(0, |prints| places(window, prints)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn as_byte_by_byte(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), WINDOW), tables in proptest::collection::vec(proptest::prelude::any::<u8>(), 96)) {
            if is_here() {
                let window: &[u8; WINDOW] = bytes.first_chunk().expect("as long");
                let block: &[u8; BLOCK] = bytes.first_chunk().expect("as long");
                let table = |at: usize| *tables[at * 16..].first_chunk().expect("as long");
                let prints = Prints {
                    low: [table(0), table(1), table(2)],
                    high: [table(3), table(4), table(5)],
                };
                for (pieces, heads) in [(None, Some(&prints)), (Some(&prints), None)] {
                    // SAFETY: the machine was asked.
                    let found = unsafe { classify(window, pieces, heads) };
                    proptest::prop_assert_eq!(found, super::super::masks::classify(window, pieces, heads));
                }
                // SAFETY: the machine was asked.
                let found = unsafe { structure(block) };
                proptest::prop_assert_eq!(found, super::super::structure(block));
            }
        }
    }
}
