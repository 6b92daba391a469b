//! What kinds of bytes stand where in a block of 64, as bit masks: bit `n` is the byte `n`.

use super::BLOCK;

/// A block and the bytes after it that decide about its last ones.
pub(in crate::search) const WINDOW: usize = BLOCK + PRINT - 1;

/// The kinds of the bytes of one block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::search) struct Masks {
    /// The characters of tokens: `[A-Za-z0-9._-]`
    pub(in crate::search) token: u64,
    /// The digits of base64, of both alphabets: `[A-Za-z0-9+/_-]`
    pub(in crate::search) base64: u64,
    /// `[A-Fa-f0-9]`
    pub(in crate::search) hex: u64,
    pub(in crate::search) hyphen: u64,
    /// `+`, `/` and `_`
    pub(in crate::search) sign: u64,
    pub(in crate::search) backslash: u64,
    pub(in crate::search) at: u64,
    /// `%` and `&`
    pub(in crate::search) percent_amp: u64,
    /// What is not ASCII.
    pub(in crate::search) high: u64,
    /// Control characters: below the space, and DEL.
    pub(in crate::search) control: u64,
    /// Where a piece of a term may begin.
    pub(in crate::search) pieces: u64,
    /// Where a token that is looked for may begin.
    pub(in crate::search) heads: u64,
}

/// What the last byte of a block is of, in the lowest bit.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::search) struct Edge {
    pub(in crate::search) token: u64,
    pub(in crate::search) base64: u64,
    pub(in crate::search) hyphen: u64,
    pub(in crate::search) sign: u64,
    pub(in crate::search) backslash: u64,
    /// Backslashes among the last two bytes, in the lowest bits.
    pub(in crate::search) backslashes: u64,
    pub(in crate::search) word: u64,
}

impl Masks {
    /// The letters and digits of ASCII.
    #[inline(always)]
    pub(in crate::search) fn word(&self) -> u64 {
        self.token & self.base64 & !self.hyphen & !self.sign
    }

    /// What the next block has to know.
    #[inline(always)]
    pub(in crate::search) fn edge(&self) -> Edge {
        Edge {
            token: self.token >> 63,
            base64: self.base64 >> 63,
            hyphen: self.hyphen >> 63,
            sign: self.sign >> 63,
            backslash: self.backslash >> 63,
            backslashes: self.backslash >> 62,
            word: self.word() >> 63,
        }
    }
}

/// Which bytes may stand at the first places of any of several texts: a table by nibble for each place, a bit for each of eight groups
/// of texts.
#[derive(Debug, Clone, Copy)]
pub(in crate::search) struct Prints {
    /// By the low nibble.
    pub(in crate::search) low: [[u8; 16]; PRINT],
    /// By the high nibble.
    pub(in crate::search) high: [[u8; 16]; PRINT],
}

/// How many bytes of a text are looked at in every position.
pub(in crate::search) const PRINT: usize = 3;

impl Prints {
    /// For texts in order, so that neighbours have much in common; in both cases when it does not count.
    pub(in crate::search) fn new<'t>(
        texts: impl ExactSizeIterator<Item = &'t [u8]>,
        is_any_case: bool,
    ) -> Self {
        let mut prints = Self {
            low: [[0; 16]; PRINT],
            high: [[0; 16]; PRINT],
        };
        let count = texts.len();
        for (index, text) in texts.enumerate() {
            let group = 1 << Self::group(index, count);
            for place in 0..PRINT {
                match text.get(place).copied() {
                    None => {
                        (0..16).for_each(|nibble| prints.add(place, nibble << 4 | nibble, group))
                    }
                    Some(byte) if is_any_case => {
                        prints.add(place, byte.to_ascii_lowercase(), group);
                        prints.add(place, byte.to_ascii_uppercase(), group);
                    }
                    Some(byte) => prints.add(place, byte, group),
                }
            }
        }
        prints
    }

    /// The group of a text, of so many in order.
    pub(in crate::search) fn group(index: usize, count: usize) -> usize {
        index * 8 / count.max(1)
    }

    fn add(&mut self, place: usize, byte: u8, group: u8) {
        let nibbles = [(&mut self.low, byte & 15), (&mut self.high, byte >> 4)];
        for (tables, nibble) in nibbles {
            let table = tables.get_mut(place);
            if let Some(groups) = table.and_then(|table| table.get_mut(usize::from(nibble))) {
                *groups |= group;
            }
        }
    }

    /// The groups whose texts may have the byte at this place.
    pub(in crate::search) fn groups(&self, place: usize, byte: u8) -> u8 {
        let half = |tables: &[[u8; 16]; PRINT], nibble: u8| {
            tables
                .get(place)
                .and_then(|table| table.get(usize::from(nibble)))
                .copied()
                .unwrap_or_default()
        };
        half(&self.low, byte & 15) & half(&self.high, byte >> 4)
    }
}

/// Classifies a block byte by byte, for machines without wide registers.
pub(in crate::search) fn classify(
    window: &[u8; WINDOW],
    pieces: Option<&Prints>,
    heads: Option<&Prints>,
) -> Masks {
    let mut masks = Masks::default();
    for (at, byte) in window.iter().copied().take(BLOCK).enumerate() {
        let bit = 1_u64 << at;
        let set = |is_set: bool| if is_set { bit } else { 0 };
        let is_letter = byte.is_ascii_alphanumeric();
        masks.token |= set(is_letter || b"._-".contains(&byte));
        masks.base64 |= set(is_letter || b"+/_-".contains(&byte));
        masks.hex |= set(byte.is_ascii_hexdigit());
        masks.hyphen |= set(byte == b'-');
        masks.sign |= set(b"+/_".contains(&byte));
        masks.backslash |= set(byte == b'\\');
        masks.at |= set(byte == b'@');
        masks.percent_amp |= set(byte == b'%' || byte == b'&');
        masks.high |= set(!byte.is_ascii());
        masks.control |= set(byte.is_ascii_control());
    }
    let places = |prints: Option<&Prints>| {
        let mut places = 0;
        for (at, bytes) in window.windows(PRINT).enumerate() {
            let bytes = bytes.iter().enumerate();
            let groups = bytes.fold(0xFF, |groups, (place, byte)| {
                groups & prints.map_or(0, |prints| prints.groups(place, *byte))
            });
            places |= u64::from(groups != 0) << at;
        }
        places
    };
    masks.pieces = places(pieces);
    masks.heads = places(heads);
    masks
}

/// Two neighbouring blocks of a mask, the first one in the low bits.
pub(in crate::search) fn both(first: u64, second: u64) -> u128 {
    u128::from(first) | u128::from(second) << BLOCK
}

/// The positions of the first block at which as many bits follow each other as a power of two says.
pub(in crate::search) fn runs_of(mask: u128, doublings: u32) -> u128 {
    (0..doublings).fold(mask, |mask, step| mask & mask >> (1_u32 << step))
}

/// The mask moved on by one byte, with what comes over from the block before.
pub(in crate::search) fn after(edge: u64, mask: u64) -> u64 {
    mask << 1 | edge
}

/// The positions of the bits of a mask, lowest first.
pub(in crate::search) fn positions(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if mask == 0 {
            return None;
        }
        let position = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        Some(position)
    })
}
