//! UTF-16 as a stream.

use super::texts::Order;

/// Turns UTF-16 into UTF-8 piece by piece; a byte order mark is left out, lone surrogates become U+FFFD.
pub(super) struct Utf16 {
    pub(super) order: Order,
    odd: Option<u8>,
    high: Option<u16>,
    is_started: bool,
    /// What was decoded and not taken yet.
    pub(super) text: String,
}

impl Utf16 {
    pub(super) fn new(order: Order) -> Self {
        Self {
            order,
            odd: None,
            high: None,
            is_started: false,
            text: String::new(),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(first) = self.odd.take() {
                self.unit(self.order.unit([first, *byte]));
            } else {
                self.odd = Some(*byte);
            }
        }
    }

    fn unit(&mut self, unit: u16) {
        if let Some(high) = self.high.take() {
            if let Some(Ok(c)) = char::decode_utf16([high, unit]).next() {
                self.text.push(c);
                return;
            }
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
        match unit {
            0xD800..=0xDBFF => self.high = Some(unit),
            0xFEFF if !self.is_started => {}
            unit => self
                .text
                .push(char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER)),
        }
        self.is_started = true;
    }

    pub(super) fn finish(&mut self) {
        if self.high.take().is_some() || self.odd.take().is_some() {
            self.text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}
