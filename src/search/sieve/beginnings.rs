//! How pieces of terms begin: a bit for the first characters of each. Far more telling than the prints, which every place passes
//! first.

/// Names share their first three letters with many words: with more of them a beginning tells more.
const MOST: usize = 8;
/// Shorter pieces are not told apart.
const LEAST: usize = 3;

/// The beginnings, for ASCII in any case.
#[derive(Debug)]
pub(super) struct Beginnings {
    bits: [u64; 64],
    /// The bytes that count of the first eight: as many as every piece has.
    counted: u64,
    /// Some pieces are too short.
    is_anything: bool,
}

impl Beginnings {
    pub(super) fn new<'t>(texts: impl Iterator<Item = &'t [u8]> + Clone) -> Self {
        let shortest = texts.clone().map(<[u8]>::len).min().unwrap_or(MOST);
        let length = shortest.min(MOST);
        let mut all = Self {
            bits: [0; 64],
            counted: u64::MAX >> (64 - 8 * length.max(1)),
            is_anything: length < LEAST,
        };
        for text in texts {
            let (word, bit) = all.place(text);
            if let Some(word) = all.bits.get_mut(word) {
                *word |= bit;
            }
        }
        all
    }

    /// The bit of the first characters, in any case. Behind the end of the text stand zeros.
    #[inline]
    fn place(&self, text: &[u8]) -> (usize, u64) {
        let first = match text.first_chunk() {
            Some(first) => *first,
            None => {
                let mut first = [0; MOST];
                first
                    .iter_mut()
                    .zip(text)
                    .for_each(|(to, from)| *to = *from);
                first
            }
        };
        let key = (u64::from_le_bytes(first) | 0x2020_2020_2020_2020) & self.counted;
        let place = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 52;
        ((place >> 6) as usize, 1 << (place & 63))
    }

    /// Whether a piece may begin the text.
    #[inline]
    pub(super) fn may_begin(&self, text: &[u8]) -> bool {
        let (word, bit) = self.place(text);
        self.is_anything || self.bits.get(word).is_some_and(|word| word & bit != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginnings_in_any_case() {
        let all = Beginnings::new([&b"brien"[..], b"ana"].into_iter());
        for (text, expected) in [
            ("Brien", true),
            ("BRI", true),
            ("anagram", true),
            ("an", false),
            ("", false),
            ("xna", false),
        ] {
            assert_eq!(all.may_begin(text.as_bytes()), expected, "{text}");
        }
        let short = Beginnings::new([&b"ab"[..]].into_iter());
        assert!(short.may_begin(b"xy"));
        let long = Beginnings::new([&b"delmarjo"[..], b"grerasxiholt"].into_iter());
        for (text, expected) in [
            ("DelMarJoe", true),
            ("grerasxi", true),
            ("delmarja", false),
            ("grera", false),
        ] {
            assert_eq!(long.may_begin(text.as_bytes()), expected, "{text}");
        }
    }
}
