//! The blobs of a day that are read ahead of the one whose hits are taken.

use super::reading::Reading;
use super::scan::Ended;
use crate::storage::Entry;

/// Blobs that are read at once: some arrive, some are scanned, and some wait until those before them are done.
const PARALLEL: usize = 32;
/// What of them may be in memory at once, in bytes, before one more is begun.
const MAX_AHEAD: u64 = 16 * 1024 * 1024;

/// A blob whose turn comes.
pub(super) enum Coming {
    /// It is being read.
    Read(Reading),
    /// It holds nobody, as the index says.
    Known(Entry, Ended),
}

impl Coming {
    /// What of it may be in memory, in bytes.
    fn weight(&self) -> u64 {
        match self {
            Self::Read(reading) => reading.weight(),
            Self::Known(..) => 0,
        }
    }
}

/// Whether one more blob is begun while these are read.
pub(super) fn takes_more<'a>(coming: impl ExactSizeIterator<Item = &'a Coming>) -> bool {
    coming.len() < PARALLEL && coming.map(Coming::weight).sum::<u64>() < MAX_AHEAD
}
