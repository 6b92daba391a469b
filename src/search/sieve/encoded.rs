//! What a pass does about encodings: escapes are decoded where they stand; base64 that may be a text is left to the exact search.

use super::Verdict;
use super::base64::{MIN_RUN, NONE, value};
use super::decode::{around, entity};
use super::pass::{Pass, bits_from, low_half, run_length};
use super::runs::{Shape, may_open};
use crate::search::escapes::{hex_escape_at, percent_at};
use crate::search::wide::masks::{Edge, Masks, after, both, positions, runs_of};

impl Pass<'_, '_> {
    /// Looks around the escapes of a block. Returns where text begins right behind one; `None` when the exact search has to look.
    pub(super) fn escapes(
        &mut self,
        at: usize,
        escaped: u64,
        here: &Masks,
        next: &Masks,
    ) -> Option<u64> {
        let view = self.view;
        let mut found = 0_u64;
        if here.backslash != 0 {
            let pairs = runs_of(both(here.backslash, next.backslash), 1);
            let layers = if pairs == 0 {
                1
            } else {
                let fours = runs_of(both(here.backslash, next.backslash), 2);
                let eights = fours & fours >> 4;
                if eights != 0 {
                    // Nested too deep to be followed here.
                    return None;
                }
                2 + u32::from(fours != 0)
            };
            self.backslash_layers = self.backslash_layers.max(layers);
        }
        // Behind the letter of an escape text may begin; that of `\u` is one of its digits, which does no harm.
        let letters = escaped & here.token;
        let starts = letters << 1;
        self.carried |= letters >> 63;
        for letter in positions(letters) {
            let place = at + letter;
            if matches!(view.get(place), Some(b'u' | b'x'))
                && hex_escape_at(view, place.checked_sub(1)?).is_some()
            {
                found |= 1 << letter;
            }
        }
        // `\/` does not interrupt base64.
        for slash in positions(escaped & here.sign) {
            if self.joins_digits(at + slash) {
                found |= 1 << slash;
            }
        }
        for sign in positions(here.percent_amp) {
            if percent_at(view, at + sign).is_some() || entity(view, at + sign).is_some() {
                found |= 1 << sign;
            }
        }
        for place in positions(found) {
            if self.around(at + place) {
                return None;
            }
        }
        Some(starts)
    }

    /// Whether the byte is a slash behind backslashes, with a digit of base64 before them: it may be the last one.
    #[cold]
    fn joins_digits(&self, slash: usize) -> bool {
        let before = self.view.get(..slash).unwrap_or_default().iter().rev();
        let digit = before.copied().find(|byte| *byte != b'\\');
        self.view.get(slash) == Some(&b'/') && digit.is_some_and(|digit| value(digit) != NONE)
    }

    /// Looks at the text around an escape as it is without.
    #[cold]
    fn around(&mut self, place: usize) -> bool {
        if place < self.decoded_to {
            return false;
        }
        if self.is_decoded || self.needles.is_fragile {
            return true;
        }
        let backslashes = self
            .view
            .get(..place)
            .unwrap_or_default()
            .iter()
            .rev()
            .take_while(|byte| **byte == b'\\')
            .count();
        let mut plain = std::mem::take(&mut self.scratch.plain);
        let decoded = around(
            self.view,
            place - backslashes,
            self.needles.reach,
            &mut plain,
        );
        let found = match decoded {
            None => true,
            Some(decoded) => {
                self.decoded_to = decoded.end;
                self.has_hex |= decoded.kinds.hex;
                self.has_percent |= decoded.kinds.percent;
                self.has_entity |= decoded.kinds.entity;
                self.inner(&plain).is_none()
            }
        };
        self.scratch.plain = plain;
        found
    }

    /// Looks at a decoded text. `None` when an identifier may be there, else how many more layers it may have.
    fn inner(&mut self, text: &[u8]) -> Option<u32> {
        let mut pass = Pass::new(self.needles, text, self.scratch);
        pass.is_decoded = true;
        (pass.look() == Verdict::Nothing).then(|| pass.layers())
    }

    /// Whether base64 that the exact search opens may begin in the block. `long` has the places that 16 digits follow.
    #[inline(always)]
    pub(super) fn base64(
        &mut self,
        at: usize,
        before: Edge,
        (here, next): (&Masks, &Masks),
        long: u64,
        unescaped: u64,
    ) -> bool {
        let mut starts = long & (!after(before.base64, here.base64) | unescaped);
        // Behind a sign that separates words a piece may begin, which ends with the next such sign.
        let behind_hyphen = long & after(before.hyphen, here.hyphen);
        if behind_hyphen != 0 {
            let plain = both(here.base64 & !here.hyphen, next.base64 & !next.hyphen);
            starts |= behind_hyphen & low_half(runs_of(plain, 4));
        }
        for place in positions(long & after(before.sign, here.sign)) {
            if self.is_piece(at + place) {
                starts |= 1 << place;
            }
        }
        for start in positions(starts) {
            let length = run_length(here.base64, next.base64, start);
            let shape = Shape {
                length,
                hex: bits_from(here.hex, next.hex, start),
                hyphen: bits_from(here.hyphen, next.hyphen, start),
            };
            if may_open(self.view, at + start, shape, &mut self.scratch.known) {
                return true;
            }
        }
        false
    }

    /// Whether the sign before the position does not come again among the next characters.
    #[cold]
    fn is_piece(&self, at: usize) -> bool {
        let Some(sign) = at.checked_sub(1).and_then(|at| self.view.get(at)) else {
            return true;
        };
        let rest = self.view.get(at..at + MIN_RUN).unwrap_or_default();
        !rest.contains(sign)
    }
}
