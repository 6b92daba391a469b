//! How pieces of terms begin: a bit for each three characters. Far more telling than the prints, which every place passes first.

/// The beginnings, for ASCII in any case.
#[derive(Debug)]
pub(super) struct Beginnings {
    bits: [u64; 64],
    /// Some pieces are shorter.
    is_anything: bool,
}

impl Beginnings {
    pub(super) fn new<'t>(texts: impl Iterator<Item = &'t [u8]>) -> Self {
        let mut all = Self {
            bits: [0; 64],
            is_anything: false,
        };
        for text in texts {
            match Self::place(text) {
                Some((word, bit)) => {
                    if let Some(word) = all.bits.get_mut(word) {
                        *word |= bit;
                    }
                }
                None => all.is_anything = true,
            }
        }
        all
    }

    /// The bit of the first three characters, in any case.
    #[inline]
    fn place(text: &[u8]) -> Option<(usize, u64)> {
        let [a, b, c] = *text.first_chunk::<3>()?;
        let key = u32::from_le_bytes([a, b, c, 0]) | 0x0020_2020;
        let place = key.wrapping_mul(0x9E37_79B1) >> 20;
        Some(((place >> 6) as usize, 1 << (place & 63)))
    }

    /// Whether a piece may begin the text.
    #[inline]
    pub(super) fn may_begin(&self, text: &[u8]) -> bool {
        let has = |(word, bit)| {
            self.bits
                .get::<usize>(word)
                .is_some_and(|word| word & bit != 0)
        };
        self.is_anything || Self::place(text).is_some_and(has)
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
    }
}
