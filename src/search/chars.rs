//! Which characters continue a word, and the form in which texts are compared without case.

use caseless::Caseless as _;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// Writes the text as Unicode's canonical caseless matching compares it (D145: NFD, full case folding, NFD).
///
/// Composed and decomposed spellings, `ß` and `ss`, `Ω` and `ω` become equal; the result of an ASCII text is its lower case.
pub(super) fn fold(text: &str, folded: &mut String) {
    folded.extend(text.nfd().default_case_fold().nfd());
}

/// Writes the text in lower case and decomposed, the form in which addresses are compared: `ß` and `ss` stay two domains.
pub(super) fn lower(text: &str, lowered: &mut String) {
    lowered.extend(text.nfd().flat_map(char::to_lowercase).nfd());
}

/// Whether the character continues a word: a letter, a digit, or a mark on one.
pub(super) fn is_letter_or_digit(c: char) -> bool {
    c.is_ascii_alphanumeric() || (!c.is_ascii() && (c.is_alphanumeric() || is_combining_mark(c)))
}

/// Whether a mark such as an accent: it changes the character before it into another one.
pub(super) fn is_mark(c: char) -> bool {
    !c.is_ascii() && is_combining_mark(c)
}

/// Whether the character belongs to a script that writes words without spaces between them.
pub(super) fn is_unspaced(c: char) -> bool {
    matches!(u32::from(c),
        0x0E00..=0x0FFF // Thai, Lao, Tibetan
        | 0x1000..=0x109F // Myanmar
        | 0x1780..=0x17FF // Khmer
        | 0x1950..=0x19DF // Tai Le, New Tai Lue
        | 0x1A20..=0x1AAF // Tai Tham
        | 0x1B00..=0x1B7F // Balinese
        | 0x2E80..=0x2FDF // Han radicals
        | 0x3005..=0x3007 | 0x3021..=0x3029 | 0x3038..=0x303B
        | 0x3040..=0x312F // Hiragana, Katakana, Bopomofo
        | 0x31A0..=0x31BF | 0x31F0..=0x31FF
        | 0x3400..=0x4DBF | 0x4E00..=0x9FFF // Han
        | 0xA980..=0xA9DF // Javanese
        | 0xAA60..=0xAADF // Myanmar, Tai Viet
        | 0xF900..=0xFAFF
        | 0xFF66..=0xFF9F // half-width Katakana
        | 0x1B000..=0x1B16F
        | 0x20000..=0x323AF)
}

/// The character that ends right before the position.
pub(super) fn before(text: &str, at: usize) -> Option<char> {
    text.get(..at)?.chars().next_back()
}

/// The character that begins at the position.
pub(super) fn after(text: &str, at: usize) -> Option<char> {
    text.get(at..)?.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folding_makes_equal_what_reads_equal() {
        for (left, right) in [
            ("Ana Díaz", "ANA DI\u{301}AZ"),
            ("Straße", "STRASSE"),
            ("ΟΔΟΣ", "οδος"),
            ("Ω", "\u{2126}"),
            ("İ", "i\u{307}"),
            ("ﬁn", "FIN"),
            ("Å", "\u{212B}"),
            ("K", "\u{212A}"),
        ] {
            let [mut a, mut b] = [String::new(), String::new()];
            fold(left, &mut a);
            fold(right, &mut b);
            assert_eq!(a, b, "{left} {right}");
        }
    }
}
