//! Records that are too long: searched in windows that overlap.

use std::ops::ControlFlow;

use memchr::memchr2;

use super::{MAX_OVERLAP, Open, Piece, Splitter};
use crate::search::layout::is_blank;

impl Splitter {
    /// Emits what is held of a record that is too long, and keeps the part that the next window shares with it.
    pub(super) fn emit_window(
        &mut self,
        emit: &mut dyn FnMut(Piece<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let overlap = (self.max / 4).min(MAX_OVERLAP);
        let cut = group_start(&self.held, window_cut(&self.held, overlap));
        // Beyond the last blank a word may be cut in two; the next window has it whole.
        let end = self
            .held
            .iter()
            .skip(self.held.len() - overlap / 4)
            .rposition(|byte| is_blank(*byte))
            .map_or(self.held.len(), |at| self.held.len() - overlap / 4 + at + 1);
        let held = std::mem::take(&mut self.held);
        let outcome = emit(self.piece(held.get(..end).unwrap_or_default(), false));
        let is_json = matches!(self.open, Open::Brackets | Open::String);
        let in_string = is_json && string_state(&held, self.held_in_string, cut);
        self.is_first_piece = false;
        self.held_in_string = in_string;
        self.held = held;
        self.held.drain(..cut);
        outcome
    }
}

/// Where the next window begins: after a blank in the first half of what is shared, so that no word loses its beginning.
fn window_cut(held: &[u8], overlap: usize) -> usize {
    let from = held.len() - overlap;
    let half = held.get(from..from + overlap / 2).unwrap_or_default();
    half.iter()
        .position(|byte| is_blank(*byte))
        .map_or(from, |at| from + at + 1)
}

/// Moves a cut within a run of base64 back to where a group of four digits begins: only from there the rest reads as in the
/// whole. A run that goes back to the beginning of what is held was cut at a group before.
fn group_start(held: &[u8], cut: usize) -> usize {
    let digits = || {
        let before = held.get(..cut).unwrap_or_default();
        let mut at = before.len();
        std::iter::from_fn(move || {
            loop {
                at = at.checked_sub(1)?;
                let is_escaped = at > 0 && before.get(at - 1) == Some(&b'\\');
                match before.get(at)? {
                    // A line break of base64 in JSON, and the backslash of a slash, are no digits.
                    b'n' | b'r' | b't' if is_escaped => at -= 1,
                    b'\\' => {}
                    b'+' | b'/' | b'-' | b'_' => return Some(at),
                    digit if digit.is_ascii_alphanumeric() => return Some(at),
                    _ => return None,
                }
            }
        })
    };
    // Digits may have any number of backslashes between them: a window has to be left behind all the same.
    let is_progress = |at: &usize| *at > held.len() / 2;
    match digits().count() % 4 {
        0 => cut,
        behind => digits().nth(behind - 1).filter(is_progress).unwrap_or(cut),
    }
}

/// Whether the position lies inside of a string.
fn string_state(bytes: &[u8], mut in_string: bool, position: usize) -> bool {
    let mut at = 0;
    while let Some(found) = bytes
        .get(at..position)
        .and_then(|rest| memchr2(b'"', b'\\', rest))
    {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            in_string = !in_string;
            at += 1;
        } else {
            at += 1 + usize::from(in_string);
        }
    }
    in_string
}

/// The piece without words that its borders may have cut in two: the window before or after it has them whole.
pub(in crate::search) fn whole_words<'a>(piece: &Piece<'a>) -> &'a [u8] {
    /// Longer words are data, such as base64, in which every byte is wanted.
    const MAX_WORD: usize = 256;
    let is_word =
        |byte: &&u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"._%+-@".contains(byte);
    let mut bytes = piece.bytes;
    if !piece.is_first {
        let cut = bytes.iter().take_while(is_word).take(MAX_WORD).count();
        if cut < MAX_WORD {
            bytes = bytes.get(cut..).unwrap_or_default();
        }
    }
    if !piece.is_last {
        let cut = bytes
            .iter()
            .rev()
            .take_while(is_word)
            .take(MAX_WORD)
            .count();
        if cut < MAX_WORD {
            bytes = bytes.get(..bytes.len() - cut).unwrap_or_default();
        }
    }
    bytes
}
