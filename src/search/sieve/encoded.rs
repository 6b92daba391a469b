//! What a pass does about encodings: escapes are decoded where they stand, base64 where it may be a text.

use super::base64::{MIN_RUN, may_be_text};
use super::decode::{around, entity, is_odd};
use super::pass::{Pass, low_half, run_length};
use crate::search::escapes::{hex_escape_at, percent_at};
use crate::search::texts::{
    byte_order_mark, from_utf16, is_container, unmarked_order, utf16_order,
};
use crate::search::wide::BLOCK;
use crate::search::wide::masks::{Masks, after, both, positions, runs_of};

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
        let mut starts = 0;
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
        for letter in positions(escaped & here.alnum) {
            match view.get(at + letter) {
                Some(b'u' | b'x')
                    if hex_escape_at(view, (at + letter).checked_sub(1)?).is_some() =>
                {
                    found |= 1 << letter;
                }
                Some(b'b' | b'f' | b'n' | b'r' | b't') => {
                    starts |= 1_u64
                        .checked_shl(u32::try_from(letter).ok()? + 1)
                        .unwrap_or(0);
                    self.carried |= u64::from(letter == BLOCK - 1);
                }
                _ => {}
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
        // `\/` does not interrupt base64.
        for slash in positions(escaped & here.plus_slash) {
            if view.get(at + slash) == Some(&b'/') && self.base64_before(at + slash) {
                return None;
            }
        }
        Some(starts)
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
        (!pass.look()).then(|| pass.layers())
    }

    /// Whether base64 that stands for an identifier may begin in the block.
    #[inline(always)]
    pub(super) fn base64(
        &mut self,
        at: usize,
        before: &Masks,
        here: &Masks,
        next: &Masks,
        unescaped: u64,
    ) -> bool {
        let digits = here.base64();
        let next_digits = next.base64();
        let long = low_half(runs_of(both(digits, next_digits), 4));
        if long == 0 {
            return false;
        }
        let mut starts = long & (!after(before.base64(), digits, 1) | unescaped);
        // Behind a sign that separates words a piece may begin, which ends with the next such sign.
        let behind_hyphen = long & after(before.hyphen, here.hyphen, 1);
        if behind_hyphen != 0 {
            let plain = both(digits & !here.hyphen, next_digits & !next.hyphen);
            starts |= behind_hyphen & low_half(runs_of(plain, 4));
        }
        let signs = here.underscore | here.plus_slash;
        let signs_before = before.underscore | before.plus_slash;
        for place in positions(long & after(signs_before, signs, 1)) {
            if self.is_piece(at + place) {
                starts |= 1 << place;
            }
        }
        for start in positions(starts) {
            let length = run_length(digits, next_digits, start);
            if may_be_text(self.view, at + start, length) && self.is_text_hit(at + start) {
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

    /// Whether base64 that may hold an identifier begins shortly before a `\/`.
    #[cold]
    fn base64_before(&mut self, slash: usize) -> bool {
        let mut at = slash;
        for _ in 0..MIN_RUN + 8 {
            let Some(previous) = at.checked_sub(1) else {
                return self.is_text_hit(at);
            };
            let byte = self.view.get(previous).copied().unwrap_or_default();
            let is_digit = byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte);
            if byte == b'\\' {
                let is_joined =
                    self.view.get(at) == Some(&b'/') || self.view.get(at) == Some(&b'\\');
                if !is_joined {
                    // An escape of another kind ends here, maybe with a letter.
                    return self.is_text_hit(at) || self.is_text_hit(at + 1);
                }
            } else if !is_digit {
                return self.is_text_hit(at);
            } else if !byte.is_ascii_alphanumeric() && self.is_text_hit(at) {
                return true;
            }
            at = previous;
        }
        false
    }

    /// Whether the base64 that begins at the position stands for something that may hold an identifier.
    #[cold]
    fn is_text_hit(&mut self, at: usize) -> bool {
        let mut run = std::mem::take(&mut self.scratch.run);
        let is_hit = !run.read(self.view, at)
            || run.lines_may_be_text()
            || run.texts().any(|bytes| self.is_hit(&bytes));
        self.scratch.run = run;
        is_hit
    }

    /// Whether what base64 stands for may hold an identifier.
    fn is_hit(&mut self, bytes: &[u8]) -> bool {
        if self.is_decoded || is_container(bytes) {
            return true;
        }
        let is_text = !bytes.iter().copied().any(is_odd) && std::str::from_utf8(bytes).is_ok();
        let layers = if is_text {
            self.inner(bytes)
        } else {
            byte_order_mark(bytes)
                .or_else(|| unmarked_order(bytes))
                .or_else(|| utf16_order(bytes))
                .and_then(|order| self.inner(from_utf16(bytes, order).as_bytes()))
                .and_then(|layers| Some(layers.max(self.inner(bytes)?)))
        };
        // Base64 itself, and UTF-16.
        self.base64_layers = self.base64_layers.max(layers.unwrap_or(0) + 2);
        layers.is_none()
    }
}
