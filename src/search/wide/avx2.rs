//! The block classifiers on registers of 32 bytes, for machines that have them.
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

/// Whether this machine has the registers.
fn is_here() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("pclmulqdq")
}

/// Sieves a text with this classifier, if the machine can.
pub(super) fn sieve(pass: &mut Pass<'_, '_>) -> Option<bool> {
    // SAFETY: the machine has what `sieve_here` asks for.
    is_here().then(|| unsafe { sieve_here(pass) })
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn sieve_here(pass: &mut Pass<'_, '_>) -> bool {
    pass.run(|window, pieces, heads| classify(window, pieces, heads))
}

/// Splits with this classifier, if the machine can.
pub(super) fn split(splitter: &mut Splitter, bytes: &[u8]) -> Option<(usize, bool)> {
    // SAFETY: the machine has what `split_here` asks for.
    is_here().then(|| unsafe { split_here(splitter, bytes) })
}

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,pclmulqdq")]
fn split_here(splitter: &mut Splitter, bytes: &[u8]) -> (usize, bool) {
    splitter.advance_with(bytes, |block| structure(block), |mask| prefix_xor(mask))
}

/// The parity of the bits up to each position, as [`super::prefix_xor`] has it: a product without carries.
#[target_feature(enable = "pclmulqdq")]
#[inline]
fn prefix_xor(mask: u64) -> u64 {
    let product = _mm_clmulepi64_si128(_mm_set_epi64x(0, mask.cast_signed()), _mm_set1_epi8(-1), 0);
    _mm_cvtsi128_si64(product).cast_unsigned()
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

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn walk_here(walk: &mut Walk, body: &[u8]) {
    walk.blocks(body, |block| structure(block));
}

const DIGIT: u8 = 1;
const A_TO_O: u8 = 2;
const P_TO_Z: u8 = 4;
const A_TO_F: u8 = 8;
const DOT: u8 = 16;
const PLUS_SLASH: u8 = 32;
const UNDERSCORE: u8 = 64;
/// The highest bit: a mask of bytes can be made of it as it is.
const HYPHEN: u8 = 128;

/// The kinds that a byte with this low nibble may be of.
const LOW: [u8; 16] = [
    DIGIT | P_TO_Z,
    DIGIT | P_TO_Z | A_TO_O | A_TO_F,
    DIGIT | P_TO_Z | A_TO_O | A_TO_F,
    DIGIT | P_TO_Z | A_TO_O | A_TO_F,
    DIGIT | P_TO_Z | A_TO_O | A_TO_F,
    DIGIT | P_TO_Z | A_TO_O | A_TO_F,
    DIGIT | P_TO_Z | A_TO_O | A_TO_F,
    DIGIT | P_TO_Z | A_TO_O,
    DIGIT | P_TO_Z | A_TO_O,
    DIGIT | P_TO_Z | A_TO_O,
    P_TO_Z | A_TO_O,
    A_TO_O | PLUS_SLASH,
    A_TO_O,
    A_TO_O | HYPHEN,
    A_TO_O | DOT,
    A_TO_O | PLUS_SLASH | UNDERSCORE,
];

/// The kinds that a byte with this high nibble may be of.
const HIGH: [u8; 16] = [
    0,
    0,
    DOT | PLUS_SLASH | HYPHEN,
    DIGIT,
    A_TO_O | A_TO_F,
    P_TO_Z | UNDERSCORE,
    A_TO_O | A_TO_F,
    P_TO_Z,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
    0,
];

#[target_feature(enable = "avx2")]
#[inline]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: the array has as many bytes as are loaded.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// A table of 16 bytes, for both halves of the register.
#[target_feature(enable = "avx2")]
#[inline]
fn table(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: the array has as many bytes as are loaded.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

#[target_feature(enable = "avx2")]
#[inline]
fn splat(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

/// Looks every byte up by its two nibbles; what is in both tables remains.
#[target_feature(enable = "avx2")]
#[inline]
fn look_up(bytes: __m256i, low: __m256i, high: __m256i) -> __m256i {
    let nibble = splat(15);
    _mm256_and_si256(
        _mm256_shuffle_epi8(low, _mm256_and_si256(bytes, nibble)),
        _mm256_shuffle_epi8(
            high,
            _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), nibble),
        ),
    )
}

/// A mask of the bytes whose highest bit is set.
#[target_feature(enable = "avx2")]
#[inline]
fn mask(first: __m256i, second: __m256i) -> u64 {
    let half = |half| u64::from(_mm256_movemask_epi8(half).cast_unsigned());
    half(first) | half(second) << 32
}

/// The halves of a block.
#[target_feature(enable = "avx2")]
#[inline]
fn halves(bytes: &[u8; BLOCK]) -> (__m256i, __m256i) {
    let (first, second) = bytes.split_at(BLOCK / 2);
    let half = |half: &[u8]| load(half.first_chunk().unwrap_or(&[0; 32]));
    (half(first), half(second))
}

/// Classifies a block; as [`super::structure`] does.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn structure(block: &[u8; BLOCK]) -> Structure {
    let (a, b) = halves(block);
    let is = |a, b, byte: u8| {
        let byte = splat(byte);
        mask(_mm256_cmpeq_epi8(a, byte), _mm256_cmpeq_epi8(b, byte))
    };
    // Brackets and braces differ in one bit.
    let folded = |half| _mm256_or_si256(half, splat(0x20));
    let (folded_a, folded_b) = (folded(a), folded(b));
    Structure {
        quote: is(a, b, b'"'),
        backslash: is(a, b, b'\\'),
        newline: is(a, b, b'\n'),
        open: is(folded_a, folded_b, b'{'),
        close: is(folded_a, folded_b, b'}'),
    }
}

/// 32 bytes of a window.
#[target_feature(enable = "avx2")]
#[inline]
fn part(window: &[u8; WINDOW], at: usize) -> __m256i {
    let bytes = window.get(at..).and_then(<[u8]>::first_chunk);
    load(bytes.unwrap_or(&[0; 32]))
}

/// Where a text with one of the prints may begin.
///
/// Not inlined: where a mask is chosen between two ways, the compiler makes one of single bits, byte by byte.
#[target_feature(enable = "avx2")]
#[inline(never)]
fn places(window: &[u8; WINDOW], prints: &Prints) -> u64 {
    let mut groups = [splat(0xFF); 2];
    for place in 0..PRINT {
        let tables = prints.low.get(place).zip(prints.high.get(place));
        let (low, high) = tables.unwrap_or((&[0; 16], &[0; 16]));
        let (low, high) = (table(low), table(high));
        for (half, groups) in groups.iter_mut().enumerate() {
            let bytes = part(window, half * 32 + place);
            *groups = _mm256_and_si256(*groups, look_up(bytes, low, high));
        }
    }
    let [first, second] = groups.map(|groups| _mm256_cmpeq_epi8(groups, _mm256_setzero_si256()));
    !mask(first, second)
}

/// Classifies a block; as [`super::masks::classify`] does.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
fn classify(window: &[u8; WINDOW], pieces: Option<&Prints>, heads: Option<&Prints>) -> Masks {
    let (a, b) = (part(window, 0), part(window, BLOCK / 2));
    let (low, high) = (table(&LOW), table(&HIGH));
    let (kinds_a, kinds_b) = (look_up(a, low, high), look_up(b, low, high));
    let zero = _mm256_setzero_si256();
    let none = |found, kinds: u8| _mm256_cmpeq_epi8(_mm256_and_si256(found, splat(kinds)), zero);
    let any = |kinds| !mask(none(kinds_a, kinds), none(kinds_b, kinds));
    // Most blocks have none of the others: their highest bits tell.
    let other = |bytes| {
        let percent_amp = _mm256_sub_epi8(bytes, splat(b'%'));
        let percent_amp = _mm256_cmpeq_epi8(_mm256_min_epu8(percent_amp, splat(1)), percent_amp);
        let at = _mm256_cmpeq_epi8(bytes, splat(b'@'));
        let signs = _mm256_or_si256(percent_amp, at);
        _mm256_or_si256(_mm256_or_si256(bytes, control(bytes)), signs)
    };
    let others = _mm256_or_si256(other(a), other(b));
    let rare = if _mm256_testz_si256(others, splat(0x80)) == 0 {
        rare(window)
    } else {
        Rare::default()
    };
    Masks {
        token: any(DIGIT | A_TO_O | P_TO_Z | DOT | UNDERSCORE | HYPHEN),
        base64: any(DIGIT | A_TO_O | P_TO_Z | PLUS_SLASH | UNDERSCORE | HYPHEN),
        hex: any(DIGIT | A_TO_F),
        hyphen: mask(kinds_a, kinds_b),
        sign: any(PLUS_SLASH | UNDERSCORE),
        backslash: mask(
            _mm256_cmpeq_epi8(a, splat(b'\\')),
            _mm256_cmpeq_epi8(b, splat(b'\\')),
        ),
        pieces: pieces.map_or(0, |prints| places(window, prints)),
        heads: heads.map_or(0, |prints| places(window, prints)),
        at: rare.at,
        percent_amp: rare.percent_amp,
        high: rare.high,
        control: rare.control,
    }
}

/// Control characters of ASCII.
#[target_feature(enable = "avx2")]
#[inline]
fn control(bytes: __m256i) -> __m256i {
    let below = _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, splat(0x1F)), bytes);
    _mm256_or_si256(below, _mm256_cmpeq_epi8(bytes, splat(0x7F)))
}

/// The masks of what most blocks have not.
#[derive(Default)]
struct Rare {
    at: u64,
    percent_amp: u64,
    high: u64,
    control: u64,
}

/// Makes the masks of what most blocks have not. Not inlined, as [`places`] is not.
#[target_feature(enable = "avx2")]
#[inline(never)]
fn rare(window: &[u8; WINDOW]) -> Rare {
    let (a, b) = (part(window, 0), part(window, BLOCK / 2));
    let is = |byte: u8| {
        let byte = splat(byte);
        (_mm256_cmpeq_epi8(a, byte), _mm256_cmpeq_epi8(b, byte))
    };
    let (at, percent, amp) = (is(b'@'), is(b'%'), is(b'&'));
    Rare {
        at: mask(at.0, at.1),
        percent_amp: mask(
            _mm256_or_si256(percent.0, amp.0),
            _mm256_or_si256(percent.1, amp.1),
        ),
        high: mask(a, b),
        control: mask(control(a), control(b)),
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
                // SAFETY: the machine was asked.
                let parity = unsafe { prefix_xor(found.quote) };
                proptest::prop_assert_eq!(parity, super::super::prefix_xor(found.quote));
            }
        }
    }
}
