//! The layers of encoding: what a text is without each that it uses.

use std::hash::BuildHasher as _;

use memchr::memchr;

use super::walk::Mode;
use super::{Examiner, Place, WORK};
use crate::search::Unsearched;
use crate::search::base64_runs::decode_runs;
use crate::search::escapes::{Cut, Escapes, Escaping, unentity, unescape, unpercent};
use crate::search::json::{is_json, next_fragment};
use crate::search::texts::{
    Order, byte_order_mark, from_utf16, is_binary, is_container, lossless, unmarked_order,
    utf16_order,
};
use crate::search::unwrap::{Part, Parts, unwrap};

impl Examiner<'_> {
    /// Examines bytes of any kind.
    pub(super) fn examine_bytes(&mut self, bytes: &[u8], place: Place) {
        if is_container(bytes) && self.open(bytes, place) {
            return;
        }
        if let Some(order) = byte_order_mark(bytes) {
            return self.examine_utf16(bytes, order, place);
        }
        let text = lossless(bytes);
        let is_utf8 = matches!(text, std::borrow::Cow::Borrowed(_));
        if !is_utf8 || memchr(0, bytes).is_some() {
            match unmarked_order(bytes).or_else(|| utf16_order(bytes)) {
                Some(order) => self.examine_utf16(bytes, order, place),
                // Binary data such as a dump of memory: texts in it may begin at any byte, in either order.
                None if is_binary(bytes) => {
                    for order in [Order::Little, Order::Big] {
                        for start in [0, 1] {
                            let shifted = bytes.get(start..).unwrap_or_default();
                            self.examine_utf16(shifted, order, place);
                        }
                    }
                }
                None => {}
            }
        }
        let place = Place {
            may_match: place.may_match || !is_utf8,
            ..place
        };
        self.examine(text.strip_prefix('\u{feff}').unwrap_or(&text), place);
    }

    fn examine_utf16(&mut self, bytes: &[u8], order: Order, place: Place) {
        if place.depth >= self.options.depth {
            return self.miss(Unsearched::Depth, u64::from(self.options.depth));
        }
        if self.spend(bytes.len()) {
            self.examine(&from_utf16(bytes, order), place.inner());
        }
    }

    /// Opens a container. Returns whether it was one.
    fn open(&mut self, bytes: &[u8], place: Place) -> bool {
        if place.depth >= self.options.depth {
            self.miss(Unsearched::Depth, u64::from(self.options.depth));
            return false;
        }
        unwrap(
            bytes,
            self.expansion_limit,
            &mut Opened {
                examiner: self,
                place: Place {
                    cut: Cut::NONE,
                    ..place.inner()
                },
            },
        )
    }

    /// Examines a text as it stands and without each encoding that it uses.
    pub(super) fn examine(&mut self, text: &str, place: Place) {
        let is_deep = place.depth >= self.options.depth;
        let looks_like_json = text.trim_ascii_start().starts_with(['{', '[', '"']);
        if !is_deep && looks_like_json && is_json(text) {
            self.walk(text, 0, Mode::Whole, self.nested(place));
            return;
        }
        let escaping = Escaping::of(text);
        // At the last layer there is no decoded text that could judge what stands beside a find.
        let judged = if is_deep { Escaping::NONE } else { escaping };
        self.matches(text, judged, place);
        if is_deep {
            if self.has_layers(text, escaping) {
                self.miss(Unsearched::Depth, u64::from(self.options.depth));
            }
            return;
        }
        self.fragments(text, place);
        if escaping.backslash != Escapes::None {
            self.derive(place, |plain| unescape(text, escaping.backslash, plain));
        }
        if escaping.percent {
            self.derive(place, |plain| unpercent(text, plain));
        }
        if escaping.entities {
            self.derive(place, |plain| unentity(text, plain));
        }
        if text.len() >= 16 {
            let mut run = self.take_buffer();
            decode_runs(text.as_bytes(), &mut run, |range, bytes| {
                // Padding is no part of a run.
                let padding = text.get(range.end..).unwrap_or_default();
                let is_all = range.start == 0 && padding.bytes().all(|byte| byte == b'=');
                let place = Place {
                    is_whole: place.is_whole && is_all,
                    cut: place.cut.of_run(text, &range, escaping),
                    ..place
                };
                self.derive(place, |plain| plain.extend_from_slice(bytes));
            });
            self.give_buffer(run);
        }
    }

    /// Whether taking off one more layer would show something.
    fn has_layers(&mut self, text: &str, escaping: Escaping) -> bool {
        let mut is_encoded = escaping.any() || next_fragment(text, 0).is_some();
        let mut run = self.take_buffer();
        decode_runs(text.as_bytes(), &mut run, |_range, _bytes| {
            is_encoded = true
        });
        self.give_buffer(run);
        is_encoded
    }

    /// Examines a text made from another one, unless the same was examined before.
    fn derive(&mut self, place: Place, decode: impl FnOnce(&mut Vec<u8>)) {
        let mut plain = self.take_buffer();
        decode(&mut plain);
        let key = self.hasher.hash_one((
            &plain,
            &self.pointer,
            place.is_whole,
            place.is_key,
            place.depth,
            place.cut,
        ));
        if self.spend(plain.len()) && self.seen.insert(key) {
            self.examine_bytes(&plain, place.inner());
        }
        self.give_buffer(plain);
    }
}

/// Examines what comes out of a container.
struct Opened<'e, 's> {
    examiner: &'e mut Examiner<'s>,
    place: Place,
}

impl Parts for Opened<'_, '_> {
    fn allowance(&self) -> u64 {
        self.examiner
            .expansion_limit
            .saturating_sub(self.examiner.expanded)
    }

    fn part(&mut self, part: Part<'_>) {
        match part {
            Part::Bytes(bytes) => {
                self.examiner.work_left += WORK * bytes.len() as u64;
                self.examiner.expanded += bytes.len() as u64;
                self.examiner.examine_bytes(&bytes, self.place);
            }
            Part::Name(name) => self.examiner.examine(name, self.place),
            Part::Missed(what, limit) => self.examiner.miss(what, limit),
        }
    }
}
