//! Bytes as text: UTF-16, Latin-1, and what is neither.

use std::borrow::Cow;

use super::chars::is_unspaced;

/// The order of the bytes of UTF-16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn unit(self, pair: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(pair),
            Self::Big => u16::from_be_bytes(pair),
        }
    }
}

/// The order that a byte order mark tells.
pub(super) fn byte_order_mark(bytes: &[u8]) -> Option<Order> {
    match bytes {
        [0xFF, 0xFE, ..] => Some(Order::Little),
        [0xFE, 0xFF, ..] => Some(Order::Big),
        _ => None,
    }
}

/// The order of a text that begins with two characters of ASCII, without a mark.
pub(super) fn unmarked_order(bytes: &[u8]) -> Option<Order> {
    let is_plain = |byte: u8| matches!(byte, 0x20..=0x7E | b'\t' | b'\n' | b'\r');
    match *bytes {
        [a, 0, b, 0, ..] if is_plain(a) && is_plain(b) => Some(Order::Little),
        [0, a, 0, b, ..] if is_plain(a) && is_plain(b) => Some(Order::Big),
        [a, 0] if is_plain(a) => Some(Order::Little),
        [0, a] if is_plain(a) => Some(Order::Big),
        _ => None,
    }
}

/// Decodes UTF-16, a byte order mark left out; lone surrogates become U+FFFD, an odd last byte is dropped.
pub(super) fn from_utf16(bytes: &[u8], order: Order) -> String {
    let units = bytes
        .chunks_exact(2)
        .map(|pair| order.unit([pair[0], pair[1]]));
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .skip_while(|c| *c == '\u{feff}')
        .collect()
}

fn is_control(byte: u8) -> bool {
    matches!(byte, 0..=0x08 | 0x0E..=0x1A | 0x1C..=0x1F | 0x7F)
}

/// Whether the bytes hold control characters that texts do not.
pub(super) fn is_binary(bytes: &[u8]) -> bool {
    bytes.iter().copied().any(is_control)
}

/// Whether the bytes are a text in UTF-8 or UTF-16. With `may_be_cut`, the last character need not be whole.
pub(super) fn is_text(bytes: &[u8], may_be_cut: bool) -> bool {
    is_utf8(bytes, may_be_cut) || utf16_order(bytes).is_some()
}

fn is_utf8(bytes: &[u8], may_be_cut: bool) -> bool {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let is_utf8 = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => may_be_cut && error.error_len().is_none() && error.valid_up_to() > 0,
    };
    is_utf8 && !is_binary(bytes)
}

/// The order of bytes that are a text in UTF-16: marked, or nothing but letters, signs and spaces of two or three blocks.
pub(super) fn utf16_order(bytes: &[u8]) -> Option<Order> {
    if let Some(order) = byte_order_mark(bytes) {
        return Some(order);
    }
    // Letters of ASCII in one order are ideographs in the other.
    let ascii = |order| ascii_of_utf16(bytes, order);
    match (ascii(Order::Little), ascii(Order::Big)) {
        (little, Some(big)) if little.is_none_or(|little| little < big) => Some(Order::Big),
        (Some(_), _) => Some(Order::Little),
        (None, _) => None,
    }
}

/// How many characters of a text in UTF-16 are ASCII; `None` if the bytes are no such text.
fn ascii_of_utf16(bytes: &[u8], order: Order) -> Option<usize> {
    if bytes.len() < 8 {
        return None;
    }
    let mut units = Units::default();
    let mut left = bytes.len() / 2;
    for pair in bytes.chunks_exact(2) {
        units.add(order.unit([pair[0], pair[1]]));
        left -= 1;
        if units.is_wrong || !units.may_become_plausible(left) {
            return None;
        }
    }
    units.are_plausible().then_some(units.ascii)
}

/// Units of UTF-16, and what speaks for a text.
#[derive(Debug, Default)]
struct Units {
    count: usize,
    /// Some are of no text: controls, characters for private use, a half of a pair alone.
    is_wrong: bool,
    /// The first half of a pair.
    half: Option<u16>,
    characters: usize,
    ascii: usize,
    /// Some are of scripts with spaces.
    is_spaced: bool,
    /// The first blocks of 256 characters that were seen.
    blocks: [u32; MAX_BLOCKS],
    block_count: usize,
}

/// A text has characters of so many blocks of 256 at the most, unless it is ASCII by half, or of a script without spaces.
const MAX_BLOCKS: usize = 3;

impl Units {
    fn add(&mut self, unit: u16) {
        self.count += 1;
        let half = self.half.take();
        let code = match (half, unit) {
            (None, 0xD800..0xDC00) => {
                self.half = Some(unit);
                return;
            }
            (Some(half), 0xDC00..0xE000) => {
                0x10000 + ((u32::from(half) - 0xD800) << 10) + (u32::from(unit) - 0xDC00)
            }
            _ => {
                self.is_wrong |= half.is_some() || matches!(unit, 0xE000..=0xF8FF | 0xFFF0..);
                u32::from(unit)
            }
        };
        let Some(c) = char::from_u32(code) else {
            self.is_wrong = true;
            return;
        };
        self.is_wrong |= c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        self.characters += 1;
        self.ascii += usize::from(c.is_ascii());
        self.is_spaced = self.is_spaced || !is_unspaced(c);
        let block = code >> 8;
        let known = self.blocks.iter().take(self.block_count);
        let is_new = code <= 0xFFFF && !known.into_iter().any(|it| *it == block);
        if is_new && self.block_count <= MAX_BLOCKS {
            if let Some(place) = self.blocks.get_mut(self.block_count) {
                *place = block;
            }
            self.block_count += 1;
        }
    }

    /// Whether they are a text: random bytes come out as characters of many blocks.
    fn are_plausible(&self) -> bool {
        !self.is_wrong
            && self.half.is_none()
            && (self.ascii * 2 >= self.characters
                || self.block_count <= MAX_BLOCKS
                || !self.is_spaced)
    }

    /// Whether they may be a text with so many units more.
    fn may_become_plausible(&self, left: usize) -> bool {
        !self.is_spaced
            || self.block_count <= MAX_BLOCKS
            || (self.ascii + left) * 2 >= self.characters + left
    }
}

/// Whether what base64 stands for is worth a look: the beginning of a text in UTF-8, UTF-16 or Latin-1, or of a container.
///
/// Hexadecimal digits are no exception. About one ID of 16 of them in a hundred would be UTF-16 of few blocks, but so may be a
/// person's name.
pub(super) fn may_be_opened(bytes: &[u8]) -> bool {
    is_clear(bytes) || is_latin_1(bytes) || utf16_order(bytes).is_some()
}

/// Whether the bytes are no others by chance: a container, a marked text, or the beginning of one in UTF-8.
fn is_clear(bytes: &[u8]) -> bool {
    is_container(bytes) || byte_order_mark(bytes).is_some() || is_utf8(bytes, true)
}

/// Whether [`may_be_opened`] says yes to the bytes, or to a beginning of them: that of 16 digits, of 20, and so on.
pub(super) fn some_beginning_may_be_opened(bytes: &[u8]) -> bool {
    const LEAST: usize = 12;
    let Some(first) = bytes.get(..LEAST) else {
        return false;
    };
    // What begins a longer container or text in UTF-8 is one itself. Of the others more bytes may show another thing.
    if is_clear(first) {
        return true;
    }
    let ends = || (LEAST..=bytes.len()).step_by(3);
    let is_latin_1 = |end: usize| bytes.get(..end).is_some_and(is_latin_1);
    let is_utf16 = |order: Order| {
        let mut units = Units::default();
        let mut pairs = bytes.chunks_exact(2);
        ends().any(|end| {
            let missing = (end / 2).saturating_sub(units.count);
            for pair in pairs.by_ref().take(missing) {
                units.add(order.unit([pair[0], pair[1]]));
            }
            units.are_plausible()
        })
    };
    ends().any(is_latin_1) || is_utf16(Order::Little) || is_utf16(Order::Big)
}

/// Whether the bytes are a text in Latin-1, three quarters of it ASCII at least. Any bytes could be one: of twelve random ones
/// about two in a thousand are.
fn is_latin_1(bytes: &[u8]) -> bool {
    let has_others = |byte: &u8| is_control(*byte) || matches!(byte, 0x80..=0x9F);
    let high = bytes.iter().filter(|byte| !byte.is_ascii()).count();
    high * 4 <= bytes.len() && !bytes.iter().any(has_others)
}

/// Whether the bytes begin like something that other bytes are packed into.
pub(super) fn is_container(bytes: &[u8]) -> bool {
    matches!(
        bytes,
        [0x1F, 0x8B, 8, ..]
            | [b'P', b'K', 3, 4, ..]
            | [0x28, 0xB5, 0x2F, 0xFD, ..]
            | [b'M', b'D', b'M', b'P', ..]
    ) || is_zlib(bytes)
}

/// Whether the bytes begin like a stream of zlib.
pub(super) fn is_zlib(bytes: &[u8]) -> bool {
    match bytes {
        [head @ 0x78, flags, ..] => {
            (u16::from(*head) << 8 | u16::from(*flags)) % 31 == 0 && flags & 0x20 == 0
        }
        _ => false,
    }
}

/// The bytes as text without losing any: what is not UTF-8 is taken for Latin-1 or, among control characters, for U+FFFD.
pub(super) fn lossless(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let is_binary = is_binary(bytes);
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 8);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| {
            if is_binary {
                char::REPLACEMENT_CHARACTER
            } else {
                char::from(*byte)
            }
        }));
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn utf16(text: &str, order: Order) -> Vec<u8> {
        text.encode_utf16()
            .flat_map(|unit| match order {
                Order::Little => unit.to_le_bytes(),
                Order::Big => unit.to_be_bytes(),
            })
            .collect()
    }

    #[test]
    fn texts() {
        for (bytes, expected) in [
            (b"plain".to_vec(), true),
            ("Díaz".as_bytes().to_vec(), true),
            (b"D\xEDaz".to_vec(), false),
            (b"a\x01b".to_vec(), false),
            (utf16("ana@example.com", Order::Little), true),
            (utf16("ana@example.com", Order::Big), true),
            (utf16("Мария Иванова", Order::Little), true),
            (utf16("田中太郎", Order::Big), true),
            (utf16("JohnSmith", Order::Big), true),
            (
                vec![0x9a, 0x7b, 0x9f, 0x83, 0x4a, 0xde, 0xc0, 0x40, 0xe5, 0x89],
                false,
            ),
        ] {
            assert_eq!(is_text(&bytes, false), expected, "{bytes:?}");
        }
    }

    #[test]
    fn utf16_both_orders() {
        for order in [Order::Little, Order::Big] {
            let bytes = utf16("\u{feff}Ana 😀", order);
            assert_eq!(byte_order_mark(&bytes), Some(order));
            assert_eq!(from_utf16(&bytes, order), "Ana 😀");
            assert_eq!(unmarked_order(&utf16("[{", order)), Some(order));
            for text in ["JohnSmith", "Ana 田中", "Мария", "田中太郎"] {
                assert_eq!(utf16_order(&utf16(text, order)), Some(order), "{text}");
            }
        }
    }

    #[test]
    fn latin_1() {
        assert_eq!(lossless(b"D\xEDaz"), "Díaz");
        assert_eq!(lossless(b"D\xEDaz\0"), "D\u{fffd}az\0");
        assert_eq!(lossless("Díaz".as_bytes()), "Díaz");
    }

    proptest! {
        #[test]
        fn some_beginning_is_any_beginning(
            bytes in prop_oneof![
                proptest::collection::vec(any::<u8>(), 12..25),
                proptest::collection::vec(prop_oneof![Just(0_u8), 4..6_u8, 0xD8..0xE0_u8, 0x20..0x7F_u8], 12..25),
                "[ -~üЖ田😀]{4,12}".prop_map(|text| utf16(&text, Order::Big)),
                "[ -~üЖ田😀]{4,12}".prop_map(|text| utf16(&text, Order::Little)),
                "[ -~üЖ田😀\u{b0}]{4,12}".prop_map(String::into_bytes),
                "[ -~ü]{4,24}".prop_map(|text| text.chars().map(|c| u8::try_from(c).unwrap_or(0)).collect()),
            ],
        ) {
            let mut ends = (12..=bytes.len()).step_by(3);
            let found = some_beginning_may_be_opened(&bytes);
            prop_assert_eq!(found, ends.any(|end| may_be_opened(&bytes[..end])));
        }
    }
}
