//! Sets that are asked for every token and UUID of the data: a filter of bits that fits the cache, and behind it the exact set.

use std::collections::HashSet;

use crate::search::wide::masks::Prints;

/// The longest part of a token that is compared.
pub(super) const MAX_TOKEN: usize = 64;

/// A number that spreads keys over the filter.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Spreads a key: the high bits of the result depend on all of it.
#[inline]
fn spread(key: u64) -> u64 {
    let product = u128::from(key ^ SPREAD) * u128::from(SPREAD);
    let bytes = product.to_le_bytes();
    let half = |at: usize| {
        bytes
            .get(at..at + 8)
            .and_then(|half| half.try_into().ok())
            .map_or(0, u64::from_le_bytes)
    };
    half(0) ^ half(8)
}

/// Which keys may be there: one bit a key, so that a wrong yes is as rare as the filter is empty.
#[derive(Debug)]
struct Filter {
    words: Vec<u64>,
    shift: u32,
}

impl Filter {
    /// For so many keys at the most.
    fn new(keys: usize) -> Self {
        // 64 bits a key, 512 bytes to 32 KiB.
        let bits = (keys * 64).next_power_of_two().clamp(1 << 12, 1 << 18);
        Self {
            words: vec![0; bits / 64],
            shift: 64 - bits.trailing_zeros(),
        }
    }

    #[inline]
    fn place(&self, key: u64) -> (usize, u64) {
        let place = spread(key) >> self.shift;
        // At most 2^18: it fits.
        (usize::try_from(place >> 6).unwrap_or(0), 1 << (place & 63))
    }

    fn add(&mut self, key: u64) {
        let (word, bit) = self.place(key);
        if let Some(word) = self.words.get_mut(word) {
            *word |= bit;
        }
    }

    #[inline]
    fn may_have(&self, key: u64) -> bool {
        let (word, bit) = self.place(key);
        self.words.get(word).is_none_or(|word| word & bit != 0)
    }
}

/// Eight bytes from the position on; beyond the end there are zeros.
#[inline]
fn eight(view: &[u8], at: usize) -> u64 {
    if let Some(bytes) = view.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()) {
        return u64::from_le_bytes(bytes);
    }
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(view.get(at..).unwrap_or_default()) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}

/// Tokens, compared whole.
#[derive(Debug)]
pub(super) struct Tokens {
    filter: Filter,
    /// How they begin.
    prints: Prints,
    tokens: HashSet<Vec<u8>>,
}

impl Tokens {
    pub(super) fn new(tokens: HashSet<Vec<u8>>) -> Self {
        let mut filter = Filter::new(tokens.len());
        for token in &tokens {
            filter.add(Self::key(token, 0, token.len()));
        }
        let mut sorted: Vec<&[u8]> = tokens.iter().map(Vec::as_slice).collect();
        sorted.sort_unstable();
        let prints = Prints::new(sorted.into_iter(), false);
        Self {
            filter,
            prints,
            tokens,
        }
    }

    /// What the classifier looks for; `None` when there is nothing.
    pub(super) fn prints(&self) -> Option<&Prints> {
        (!self.tokens.is_empty()).then_some(&self.prints)
    }

    #[inline]
    fn key(view: &[u8], at: usize, length: usize) -> u64 {
        let bytes = eight(view, at);
        let kept = match length {
            0..8 => bytes & ((1 << (8 * length)) - 1),
            _ => bytes,
        };
        kept ^ (length as u64) << 57
    }

    /// Whether the token at the position is one of them; of longer ones than [`MAX_TOKEN`] the beginning counts.
    #[inline]
    pub(super) fn has(&self, view: &[u8], at: usize, length: usize) -> bool {
        self.filter.may_have(Self::key(view, at, length)) && self.has_exactly(view, at, length)
    }

    #[cold]
    fn has_exactly(&self, view: &[u8], at: usize, length: usize) -> bool {
        view.get(at..at + length)
            .is_some_and(|token| self.tokens.contains(token))
    }
}

/// UUIDs in any case, with hyphens or without.
#[derive(Debug)]
pub(super) struct Uuids {
    filter: Filter,
    values: HashSet<u128>,
}

impl Uuids {
    pub(super) fn new(values: HashSet<u128>) -> Self {
        let mut filter = Filter::new(values.len());
        for value in &values {
            let text = format!("{value:032x}");
            filter.add(Self::key(text.as_bytes(), 0));
        }
        Self { filter, values }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The first eight digits, in lower case.
    #[inline]
    fn key(view: &[u8], at: usize) -> u64 {
        eight(view, at) | 0x2020_2020_2020_2020
    }

    /// Whether one of them stands at the position.
    #[inline]
    pub(super) fn has(&self, view: &[u8], at: usize) -> bool {
        self.filter.may_have(Self::key(view, at))
            && uuid_at(view, at).is_some_and(|value| self.values.contains(&value))
    }
}

/// The value of the UUID at the position, whatever stands around it.
#[cold]
pub(super) fn uuid_at(view: &[u8], at: usize) -> Option<u128> {
    let has_hyphens = view.get(at + 8) == Some(&b'-');
    let end = at + if has_hyphens { 36 } else { 32 };
    let mut value = 0_u128;
    for (place, byte) in view.get(at..end)?.iter().enumerate() {
        if has_hyphens && matches!(place, 8 | 13 | 18 | 23) {
            if *byte != b'-' {
                return None;
            }
        } else {
            value = value << 4 | u128::from(char::from(*byte).to_digit(16)?);
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_count_whole() {
        let all = ["a7", "u-20417", "12345678", "123456789", ""];
        let tokens = Tokens::new(all.iter().map(|token| token.as_bytes().to_vec()).collect());
        for (text, length, expected) in [
            ("a7 and", 2, true),
            ("a7", 2, true),
            ("a77", 3, false),
            ("u-20417,", 7, true),
            ("u-20418,", 7, false),
            ("U-20417,", 7, false),
            ("12345678", 8, true),
            ("123456789", 9, true),
            ("123456780", 9, false),
        ] {
            assert_eq!(tokens.has(text.as_bytes(), 0, length), expected, "{text}");
        }
    }

    #[test]
    fn uuids_in_every_spelling() {
        let value = 0xe589_a371_ea0c_4479_9a7b_9f83_4ade_c040;
        let uuids = Uuids::new([value].into());
        for (text, expected) in [
            ("e589a371-ea0c-4479-9a7b-9f834adec040", true),
            ("E589A371-ea0c-4479-9A7B-9f834adec040}", true),
            ("e589a371ea0c44799a7b9f834adec040", true),
            ("e589a371ea0c44799a7b9f834adec041", false),
            ("e589a371-ea0c-4479-9a7b9f834adec040", false),
            ("e589a371-ea0c", false),
        ] {
            assert_eq!(uuids.has(text.as_bytes(), 0), expected, "{text}");
        }
    }

    #[test]
    fn thousands_are_told_apart() {
        let token = |n: u64| format!("user{n:06}").into_bytes();
        let tokens = Tokens::new((0..5_000).map(token).collect());
        assert!((0..5_000).all(|n| tokens.has(&token(n), 0, 10)));
        assert!((5_000..50_000).all(|n| !tokens.has(&token(n), 0, 10)));
    }
}
