//! One pass over a text: block by block, every place at which an identifier may stand.

use std::ops::Range;

use aho_corasick::AhoCorasick;

use super::Verdict;
use super::decode::is_odd;
use super::needles::Needles;
use super::runs::Known;
use super::terms::may_fold;
use crate::search::wide::BLOCK;
use crate::search::wide::masks::{Edge, Masks, Prints, WINDOW, after, both, positions, runs_of};

/// Buffers that serve one record after the other.
#[derive(Debug, Default)]
pub(in crate::search) struct Scratch {
    pub(super) plain: Vec<u8>,
    /// Runs of base64 that were judged before: the names of columns come again in every record.
    pub(super) known: Known,
}

/// One pass.
pub(in crate::search) struct Pass<'v, 's> {
    pub(super) needles: &'v Needles,
    pub(super) view: &'v [u8],
    pub(super) scratch: &'s mut Scratch,
    /// Whether the text was decoded already: whatever is left to decode there is left to the exact search.
    pub(super) is_decoded: bool,
    /// Whether the exact search has to look at something that is encoded: what else is encoded makes no difference then.
    is_encoded: bool,
    /// Places where a token may begin because an escape ends before it, from the block before.
    pub(super) carried: u64,
    /// From the first byte that is not ASCII to the last one.
    pub(super) high: Range<usize>,
    /// Up to where escapes were decoded.
    pub(super) decoded_to: usize,
    /// Up to where long runs of hex digits were looked at.
    pub(super) hex_to: usize,
    /// How many times backslashes may be taken off.
    pub(super) backslash_layers: u32,
    pub(super) has_hex: bool,
    pub(super) has_percent: bool,
    pub(super) has_entity: bool,
}

impl<'v, 's> Pass<'v, 's> {
    pub(super) fn new(needles: &'v Needles, view: &'v [u8], scratch: &'s mut Scratch) -> Self {
        Self {
            needles,
            view,
            scratch,
            is_decoded: false,
            is_encoded: false,
            carried: 0,
            high: 0..0,
            decoded_to: 0,
            hex_to: 0,
            backslash_layers: 0,
            has_hex: false,
            has_percent: false,
            has_entity: false,
        }
    }

    /// Looks at all of the text with the best classifier of this machine.
    pub(super) fn look(&mut self) -> Verdict {
        match crate::search::wide::sieve(self) {
            true => Verdict::Plain,
            false if self.is_encoded => Verdict::Encoded,
            false => Verdict::Nothing,
        }
    }

    /// An upper bound of how many layers of encoding can be taken off.
    pub(super) fn layers(&self) -> u32 {
        // Quotes that appear when the last escape is gone are one more layer, of each kind.
        1 + self.backslash_layers
            + u32::from(self.has_hex)
            + 2 * u32::from(self.has_percent)
            + 2 * u32::from(self.has_entity)
    }

    /// Looks at all of the text. `true` when an identifier may stand there as it is.
    #[inline(always)]
    pub(in crate::search) fn run(
        &mut self,
        classify: impl Fn(&[u8; WINDOW], Option<&Prints>, Option<&Prints>) -> Masks,
    ) -> bool {
        let pieces = self.needles.terms.prints();
        let heads = self.needles.tokens.prints();
        let view = self.view;
        let mut last;
        let mut before = Edge::default();
        let mut here = Masks::default();
        let mut at = 0;
        loop {
            let window = match view.get(at..).and_then(<[u8]>::first_chunk) {
                Some(window) => window,
                None => {
                    let rest = view.get(at..).unwrap_or_default();
                    last = [b' '; WINDOW];
                    if let Some(part) = last.get_mut(..rest.len()) {
                        part.copy_from_slice(rest);
                    }
                    &last
                }
            };
            // Behind the end of the text stands nothing that counts.
            let next = classify(window, pieces, heads);
            if let Some(at) = at.checked_sub(BLOCK) {
                if self.block(at, before, &here, &next) {
                    return true;
                }
                before = here.edge();
            }
            if at >= view.len() {
                return self.end();
            }
            here = next;
            at += BLOCK;
        }
    }

    /// Looks at one block. The masks of its neighbours tell what begins or goes on there.
    #[inline(always)]
    fn block(&mut self, at: usize, before: Edge, here: &Masks, next: &Masks) -> bool {
        let (needles, view) = (self.needles, self.view);
        if here.high != 0 && self.meets_folding(at, here.high) {
            return true;
        }
        if here.control != 0 && self.has_odd(at, here.control) {
            return true;
        }
        let mut unescaped = std::mem::take(&mut self.carried);
        let escaped = after(before.backslash, here.backslash);
        if (escaped | here.backslash | here.percent_amp) != 0 && !self.is_encoded {
            match self.escapes(at, escaped, here, next) {
                Some(starts) => unescaped |= starts,
                None => self.is_encoded = true,
            }
        }
        // Where 16 digits of base64 follow each other; within such a run stands every UUID, too.
        let long = low_half(runs_of(both(here.base64, next.base64), 4));
        if long != 0 && !needles.uuids.is_empty() && self.uuids(at, here, next) {
            return true;
        }
        if here.heads != 0 {
            let token = here.token;
            let next_token = next.token;
            let starts = here.heads & token & (!after(before.token, token) | unescaped);
            for start in positions(starts) {
                let length = run_length(token, next_token, start);
                if needles.tokens.has(view, at + start, length) {
                    return true;
                }
            }
        }
        if here.at != 0
            && !needles.addresses.is_empty()
            && positions(here.at).any(|sign| needles.addresses.may_stand(view, at + sign))
        {
            return true;
        }
        if here.pieces != 0 {
            // A piece goes on no word, as far as can be told without escapes.
            let is_clear = before.backslashes | here.backslash == 0;
            let within = if is_clear {
                after(before.word, here.word())
            } else {
                0
            };
            if positions(here.pieces & !within)
                .any(|piece| needles.terms.may_stand(view, at + piece))
            {
                return true;
            }
        }
        if long != 0 && !self.is_encoded {
            self.is_encoded = self.base64(at, before, (here, next), long, unescaped);
        }
        // What was decoded already is all the same to its caller, who need not hear the rest.
        self.is_decoded && self.is_encoded
    }

    /// Notes bytes that are not ASCII. Returns whether one of them may fold to letters that are looked for.
    #[cold]
    fn meets_folding(&mut self, at: usize, high: u64) -> bool {
        /// No text that is looked for reaches further: a character of [`super::terms::FOLDING`], a letter, and another one.
        const NEAR: usize = 8;
        let first = at + high.trailing_zeros() as usize;
        let is_first = self.high.is_empty();
        self.high.start = if is_first { first } else { self.high.start };
        self.high.end = at + BLOCK - high.leading_zeros() as usize;
        let Some(texts) = &self.needles.folding_texts else {
            return false;
        };
        positions(high).map(|place| at + place).any(|place| {
            let near = place.saturating_sub(NEAR)..self.view.len().min(place + NEAR);
            may_fold(self.view.get(place..).unwrap_or_default())
                && texts.is_match(self.view.get(near).unwrap_or_default())
        })
    }

    /// Whether the block holds control characters of containers or UTF-16.
    #[cold]
    fn has_odd(&self, at: usize, control: u64) -> bool {
        positions(control).any(|place| self.view.get(at + place).copied().is_some_and(is_odd))
    }

    /// Whether a UUID begins in the block, or the one with hyphens a little before it.
    #[inline(always)]
    fn uuids(&mut self, at: usize, here: &Masks, next: &Masks) -> bool {
        let hyphens = both(here.hyphen, next.hyphen);
        let spelled = hyphens & hyphens >> 5 & hyphens >> 10 & hyphens >> 15;
        let spelled = low_half(spelled);
        for hyphen in positions(spelled) {
            let start = (at + hyphen).checked_sub(8);
            if start.is_some_and(|start| self.needles.uuids.has(self.view, start)) {
                return true;
            }
        }
        // 32 digits in a row fill one of the quarters of a block.
        if !(fills_quarter(here.hex) | fills_quarter(next.hex)) {
            return false;
        }
        let bare = low_half(runs_of(both(here.hex, next.hex), 5));
        bare != 0 && self.bare_uuids(at, bare)
    }

    #[cold]
    fn bare_uuids(&mut self, at: usize, places: u64) -> bool {
        let is_hex = |at: &usize| self.view.get(*at).is_some_and(u8::is_ascii_hexdigit);
        for place in positions(places) {
            let inside = at + place;
            if inside < self.hex_to {
                continue;
            }
            let before = (self.hex_to..inside).rev().take_while(is_hex).count();
            let behind = (inside..self.view.len()).take_while(is_hex).count();
            self.hex_to = inside + behind;
            let start = inside - before;
            let is_escaped = start.checked_sub(1).and_then(|at| self.view.get(at)) == Some(&b'\\');
            let found = match before + behind {
                32 => self.needles.uuids.has(self.view, start),
                // The first digit may be that of `\b` or `\f`.
                33 if is_escaped => self.needles.uuids.has(self.view, start + 1),
                _ => false,
            };
            if found {
                return true;
            }
        }
        false
    }

    /// What is looked for in the text as a whole.
    fn end(&self) -> bool {
        let has = |automaton: &Option<AhoCorasick>, text: &[u8]| {
            automaton
                .as_ref()
                .is_some_and(|automaton| automaton.is_match(text))
        };
        if has(&self.needles.texts, self.view) {
            return true;
        }
        let has_high_texts = self.needles.high_texts.is_some();
        if self.high.is_empty() || !has_high_texts && self.needles.folding_texts.is_none() {
            return false;
        }
        let from = self.high.start.saturating_sub(self.needles.reach);
        let to = self.view.len().min(self.high.end + self.needles.reach);
        let text = self.view.get(from..to).unwrap_or_default();
        let high = self.view.get(self.high.clone()).unwrap_or_default();
        // In Latin-1 the bytes of the same text would be others.
        has(&self.needles.high_texts, text) || std::str::from_utf8(high).is_err()
    }
}

/// Whether one of the quarters of a block is all of this kind.
#[inline(always)]
fn fills_quarter(mask: u64) -> bool {
    (!mask).wrapping_sub(0x0001_0001_0001_0001) & mask & 0x8000_8000_8000_8000 != 0
}

pub(super) fn low_half(mask: u128) -> u64 {
    u64::try_from(mask & u128::from(u64::MAX)).unwrap_or(0)
}

/// The 64 bits from the position on.
#[inline(always)]
pub(super) fn bits_from(mask: u64, next: u64, start: usize) -> u64 {
    mask >> start | next << 1 << (63 - start)
}

/// How many bits follow each other from the position on; 64 when there are as many or more.
#[inline(always)]
pub(super) fn run_length(mask: u64, next: u64, start: usize) -> usize {
    (!bits_from(mask, next, start)).trailing_zeros() as usize
}
