//! Finds where records end in blocks of 64 bytes: only brackets outside of strings are looked at one by one.

use super::{Layout, MAX_STACK, Open, Splitter};
use crate::search::wide::{BLOCK, Structure};

/// Every other bit, from the second on.
const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;

/// Which bytes a backslash escapes. `carry` is whether the first one is, and becomes whether the one after the block is.
///
/// Every backslash that is not itself escaped escapes the next byte; adding up runs of them tells even from odd ones.
pub(in crate::search) fn escaped(backslash: u64, carry: &mut bool) -> u64 {
    let first = u64::from(*carry);
    if backslash == 0 {
        *carry = false;
        return first;
    }
    let open = backslash & !first;
    let ends = ((open << 1) | ODD).wrapping_sub(open) ^ ODD;
    *carry = (ends & backslash) >> 63 == 1;
    ends ^ (backslash | first)
}

impl Splitter {
    /// Reads on in a JSON text by whole blocks, as [`Self::advance_json`] does by bytes. Returns how many bytes were read, and
    /// whether the record ends there; what is left is read by bytes.
    pub(super) fn advance_blocks(&mut self, bytes: &[u8]) -> (usize, bool) {
        #[cfg(test)]
        if self.is_plain {
            return (0, false);
        }
        if bytes.len() < BLOCK {
            return (0, false);
        }
        crate::search::wide::split(self, bytes)
    }

    /// Reads on by whole blocks with a classifier.
    #[inline(always)]
    pub(in crate::search) fn advance_with(
        &mut self,
        bytes: &[u8],
        structure: impl Fn(&[u8; BLOCK]) -> Structure,
        prefix_xor: impl Fn(u64) -> u64,
    ) -> (usize, bool) {
        let (blocks, _) = bytes.as_chunks::<BLOCK>();
        let mut at = 0;
        for block in blocks {
            let found = structure(block);
            let was_in_string = self.in_string;
            let was_escaped = self.is_escaped;
            let escaped = escaped(found.backslash, &mut self.is_escaped);
            let quotes = found.quote & !escaped;
            let carried = if was_in_string { u64::MAX } else { 0 };
            // From an opening quote on, up to the byte before the closing one.
            let strings = prefix_xor(quotes) ^ carried;
            let torn = self.layout == Layout::Values && found.newline & strings != 0;
            // Outside of strings a backslash escapes nothing; in lines a newline ends every string.
            if found.backslash & !strings != 0 || torn {
                self.is_escaped = was_escaped;
                break;
            }
            if self.open == Open::String {
                // The quote that is not followed by the inside of a string closes it.
                let closing = quotes & !strings;
                if closing != 0 {
                    self.in_string = false;
                    self.is_escaped = false;
                    return (at + closing.trailing_zeros() as usize + 1, true);
                }
            }
            let mut brackets = (found.open | found.close) & !strings;
            while brackets != 0 {
                let place = brackets.trailing_zeros() as usize;
                let bit = brackets & brackets.wrapping_neg();
                brackets ^= bit;
                let here = at + place;
                let is_brace = bytes.get(here).is_some_and(|byte| byte & 0x20 != 0);
                if found.open & bit != 0 {
                    if is_brace && self.depth > 0 && self.is_torn_at(bytes, here) {
                        self.saw_newline |= found.newline & !strings & (bit - 1) != 0;
                        self.in_string = false;
                        self.is_escaped = false;
                        return (here, true);
                    }
                    self.depth += 1;
                    if self.stack.len() < MAX_STACK {
                        self.stack.push(is_brace);
                    }
                } else {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth < MAX_STACK as u64 {
                        self.stack.pop();
                    }
                    if self.depth == 0 {
                        self.saw_newline |= found.newline & !strings & (bit - 1) != 0;
                        self.in_string = false;
                        self.is_escaped = false;
                        return (here + 1, true);
                    }
                }
            }
            self.saw_newline |= found.newline & !strings != 0;
            self.in_string = strings >> 63 == 1;
            at += BLOCK;
        }
        self.note_last(bytes.get(..at).unwrap_or_default(), self.in_string);
        (at, false)
    }

    /// Whether the brace at the position cannot belong to the record at hand.
    #[inline(never)]
    fn is_torn_at(&mut self, bytes: &[u8], at: usize) -> bool {
        self.note_last(bytes.get(..at).unwrap_or_default(), false);
        self.is_torn()
    }

    /// Notes what the bytes that were read end with.
    fn note_last(&mut self, bytes: &[u8], in_string: bool) {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let Some(last) = bytes.last() else {
            return;
        };
        if in_string {
            self.previous = b'"';
            self.is_line_start = false;
            return;
        }
        self.is_line_start = *last == b'\n';
        if let Some(previous) = bytes.iter().rev().find(|byte| !is_space(byte)) {
            self.previous = *previous;
        }
    }
}

#[cfg(test)]
mod block_tests {
    use super::*;

    #[test]
    fn escapes_in_blocks() {
        let mut seed = 1_u64;
        for round in 0..10_000 {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(round);
            let backslash =
                seed & seed.rotate_left(17) | seed.rotate_left(31) & seed.rotate_left(7);
            for first in [false, true] {
                let (mut expected, mut is_escaped) = (0, first);
                for bit in 0..64 {
                    expected |= u64::from(is_escaped) << bit;
                    is_escaped = backslash >> bit & 1 == 1 && !is_escaped;
                }
                let mut carry = first;
                assert_eq!(escaped(backslash, &mut carry), expected, "{backslash:b}");
                assert_eq!(carry, is_escaped, "{backslash:b}");
            }
        }
    }
}
