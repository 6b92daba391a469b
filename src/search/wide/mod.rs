//! Blocks of 64 bytes, each turned into bit masks: the ground on which records are split and sieved fast.

#[cfg(target_arch = "x86_64")]
mod avx2;
pub(super) mod masks;

use super::layout::Walk;
use super::records::Splitter;
use super::sieve::Pass;

/// How many bytes are classified at once.
pub(super) const BLOCK: usize = 64;

/// Sieves a text with the widest registers of this machine.
pub(super) fn sieve(pass: &mut Pass<'_, '_>) -> bool {
    #[cfg(target_arch = "x86_64")]
    if let Some(found) = avx2::sieve(pass) {
        return found;
    }
    pass.run(masks::classify)
}

/// Splits by whole blocks with the widest registers of this machine; as [`Splitter::advance_with`] does.
pub(super) fn split(splitter: &mut Splitter, bytes: &[u8]) -> (usize, bool) {
    #[cfg(target_arch = "x86_64")]
    if let Some(outcome) = avx2::split(splitter, bytes) {
        return outcome;
    }
    splitter.advance_with(bytes, structure, prefix_xor)
}

/// Walks over brackets by whole blocks with the widest registers of this machine.
pub(super) fn walk(walk: &mut Walk, body: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if avx2::walk(walk, body) {
        return;
    }
    walk.blocks(body, structure);
}

/// What matters of a block for where records end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Structure {
    pub(super) quote: u64,
    pub(super) backslash: u64,
    pub(super) newline: u64,
    /// `{` and `[`
    pub(super) open: u64,
    /// `}` and `]`
    pub(super) close: u64,
}

/// Classifies a block byte by byte.
pub(super) fn structure(block: &[u8; BLOCK]) -> Structure {
    let mut found = Structure::default();
    for (at, byte) in block.iter().enumerate() {
        let bit = 1 << at;
        match byte {
            b'"' => found.quote |= bit,
            b'\\' => found.backslash |= bit,
            b'\n' => found.newline |= bit,
            b'{' | b'[' => found.open |= bit,
            b'}' | b']' => found.close |= bit,
            _ => {}
        }
    }
    found
}

/// The parity of the bits up to each position, itself included.
pub(super) fn prefix_xor(mask: u64) -> u64 {
    (0..6).fold(mask, |mask, step| mask ^ mask << (1 << step))
}
