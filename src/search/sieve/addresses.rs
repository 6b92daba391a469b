//! E-mail addresses, and user IDs that look like them: compared around each `@`.

use std::collections::HashMap;

use super::lookup::Tokens;

/// The most of an address that is compared on either side of its `@`.
const MAX_SIDE: usize = 64;
/// How many bytes before the `@` are looked up.
const MAX_TAIL: usize = 8;

/// The spellings of addresses in lower case, as far as they are plain: up to what may be escaped or is not ASCII.
#[derive(Debug)]
pub(super) struct Addresses {
    /// What stands right before the `@` and right after it.
    sides: Vec<(Vec<u8>, Vec<u8>)>,
    /// The last bytes before the `@`.
    tails: Tokens,
    /// The sides with each tail.
    by_tail: HashMap<Vec<u8>, Vec<usize>>,
    /// How long the tails are, a bit for each length.
    lengths: u16,
    /// Which bytes stand in any of the sides, in both cases.
    alphabet: [bool; 256],
}

/// Whether the byte stands for itself in every text: none of the escapes of JSON, percent-encoding or HTML changes it or begins there.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'/' | b'%' | b'&')
}

impl Addresses {
    /// For spellings in lower case, each with an `@`.
    pub(super) fn new<'a>(spellings: impl Iterator<Item = &'a str>) -> Self {
        let mut sides: Vec<(Vec<u8>, Vec<u8>)> = spellings
            .filter_map(|spelling| {
                let (before, after) = spelling.rsplit_once('@')?;
                let mut before: Vec<u8> = before
                    .bytes()
                    .rev()
                    .take_while(|byte| is_plain(*byte))
                    .take(MAX_SIDE)
                    .collect();
                before.reverse();
                let mut after: Vec<u8> = after
                    .bytes()
                    .take_while(|byte| is_plain(*byte))
                    .take(MAX_SIDE)
                    .collect();
                // The last letter before what is not ASCII may be one character with it: `u` in `bücher`.
                if after.len() < MAX_SIDE && !spelling.is_ascii() {
                    after.pop();
                }
                Some((before, after))
            })
            .collect();
        sides.sort_unstable();
        sides.dedup();
        let mut alphabet = [false; 256];
        let mut by_tail: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        let mut lengths = 0;
        for (index, (before, after)) in sides.iter().enumerate() {
            for byte in before.iter().chain(after) {
                for byte in [byte.to_ascii_lowercase(), byte.to_ascii_uppercase()] {
                    if let Some(known) = alphabet.get_mut(usize::from(byte)) {
                        *known = true;
                    }
                }
            }
            let length = before.len().min(MAX_TAIL);
            lengths |= 1 << length;
            let tail = before.iter().copied().skip(before.len() - length).collect();
            by_tail.entry(tail).or_default().push(index);
        }
        Self {
            sides,
            tails: Tokens::new(by_tail.keys().cloned().collect()),
            by_tail,
            lengths,
            alphabet,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sides.is_empty()
    }

    /// How far around an `@` a decision looks.
    pub(super) fn reach(&self) -> usize {
        self.sides
            .iter()
            .map(|(before, after)| before.len() + after.len() + 2)
            .max()
            .unwrap_or(0)
    }

    /// Whether one of them may stand around the `@` at the position.
    pub(super) fn may_stand(&self, view: &[u8], at: usize) -> bool {
        let before = view.get(..at).unwrap_or_default();
        let after = view.get(at + 1..).unwrap_or_default();
        self.is_beyond_ascii(before.iter().rev())
            || self.is_beyond_ascii(after.iter())
            || self.is_known(before, after)
    }

    /// Whether the first byte that stands in no address is not ASCII: case folding decides there.
    fn is_beyond_ascii<'a>(&self, bytes: impl Iterator<Item = &'a u8>) -> bool {
        let mut rest = bytes
            .take(4 * MAX_SIDE)
            .skip_while(|byte| self.alphabet.get(usize::from(**byte)) == Some(&true));
        rest.next().is_some_and(|byte| !byte.is_ascii())
    }

    fn is_known(&self, before: &[u8], after: &[u8]) -> bool {
        let mut buffer = [0; MAX_TAIL];
        for length in 0..=MAX_TAIL {
            if self.lengths >> length & 1 == 0 {
                continue;
            }
            let (Some(tail), Some(lowered)) = (
                before
                    .len()
                    .checked_sub(length)
                    .and_then(|from| before.get(from..)),
                buffer.get_mut(..length),
            ) else {
                continue;
            };
            lowered.copy_from_slice(tail);
            lowered.make_ascii_lowercase();
            if self.tails.has(lowered, 0, length) && self.is_there(lowered, before, after) {
                return true;
            }
        }
        false
    }

    #[cold]
    fn is_there(&self, tail: &[u8], before: &[u8], after: &[u8]) -> bool {
        let is_equal = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b);
        let mut known = self.by_tail.get(tail).into_iter().flatten();
        known.any(|index| {
            // At the end of a view the rest may stand beyond it.
            self.sides.get(*index).is_some_and(|(first, second)| {
                before.iter().rev().zip(first.iter().rev()).all(is_equal)
                    && after.iter().zip(second).all(is_equal)
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn around_the_sign() {
        let all = [
            "ana@example.com",
            "b@x.org",
            "ana@bu\u{308}cher.example",
            "\"a b\"@example.com",
        ];
        let without_quotes = Addresses::new(all.into_iter().take(3));
        let with_quotes = Addresses::new(all.into_iter());
        for (text, expected) in [
            ("ana@example.com", true),
            ("diana@EXAMPLE.com", true),
            ("Ana@Example.Com", true),
            ("bob@example.com", false),
            ("ana@exomple.com", false),
            ("b@x.org", true),
            ("b@example.com", false),
            ("ana@b\u{fc}cher.example", true),
            ("ana@berlin.example", true),
            ("an\u{e4}@example.com", true),
            ("\u{e4} anu@example.com", false),
            ("@", false),
        ] {
            let at = text.find('@').expect("there");
            let found = without_quotes.may_stand(text.as_bytes(), at);
            assert_eq!(found, expected, "{text}");
        }
        assert!(with_quotes.may_stand(br#"\"a b\"@example.com"#, 7));
    }
}
