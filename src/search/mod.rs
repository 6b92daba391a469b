//! Finding people in exported data: a pure engine, no I/O.
//!
//! A [`Searcher`] holds the identifiers of any number of people. A [`Scan`] takes the bytes of one blob in chunks of any size, splits
//! them into records, searches each through all layers of encoding, and hands those in which something was found to a [`Sink`].
//! [`facts`] reads from a found record whose it is. An [`index`] tells later searches which blobs they need not read.
//!
//! ```
//! use appcenter_dsr::search::{Identifiers, Match, Options, Searcher, Sink};
//! use std::ops::ControlFlow;
//!
//! struct Print;
//! impl Sink for Print {
//!     fn matched(&mut self, found: &Match<'_>) -> ControlFlow<()> {
//!         assert_eq!((found.record, found.offset, found.length), (1, 9, 25));
//!         assert_eq!(found.hits[0].pointer, "/Email");
//!         ControlFlow::Continue(())
//!     }
//! }
//!
//! # fn main() -> Result<(), appcenter_dsr::search::Error> {
//! let ana = Identifiers { emails: vec!["a@example.com".to_owned()], ..Identifiers::default() };
//! let searcher = Searcher::new(&[ana])?;
//! let mut scan = searcher.scan(Options::default());
//! _ = scan.push(br#"[{"a":1},{"Email":"A@Example.com"}]"#, &mut Print);
//! assert_eq!(scan.finish(&mut Print).matches, 1);
//! # Ok(())
//! # }
//! ```

mod base64_runs;
mod chars;
mod escapes;
mod examine;
pub mod facts;
mod fields;
mod hits;
mod identifiers;
pub mod index;
mod json;
mod layout;
mod matcher;
mod records;
mod scan;
mod sieve;
mod sink;
#[cfg(test)]
mod tests;
mod texts;
mod unwrap;
mod utf16;
mod wide;

pub use facts::Facts;
pub use identifiers::{Hit, Identifiers, Kind, Strength};
pub use scan::Scan;
pub use sink::{Container, Encoding, Match, NotSearched, Sink, Summary, Unsearched};

use matcher::Matcher;
use sieve::Sieve;

/// Why identifiers cannot be searched for. It names them by their place, never by their value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An identifier is empty or blank: it would be found everywhere.
    #[error("identifier {identifier} of subject {subject} is empty")]
    Empty {
        /// The index of the subject.
        subject: usize,
        /// The index over all identifiers of the subject.
        identifier: usize,
    },
    /// An identifier is too long.
    #[error("identifier {identifier} of subject {subject} is longer than {limit} bytes")]
    TooLong {
        /// The index of the subject.
        subject: usize,
        /// The index over all identifiers of the subject.
        identifier: usize,
        /// The longest that is searched for, in bytes.
        limit: usize,
    },
    /// What should be an e-mail address has no `@` between two texts.
    #[error("identifier {identifier} of subject {subject} is not an e-mail address")]
    NotAnAddress {
        /// The index of the subject.
        subject: usize,
        /// The index over all identifiers of the subject.
        identifier: usize,
    },
    /// All identifiers together are too many for one automaton.
    #[error("too many identifiers for one search")]
    TooMuch,
}

/// The limits of a scan, and where its blob stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options<'a> {
    /// The longest record that is searched as a whole, in bytes; longer ones are searched in overlapping windows of this size.
    pub max_record: usize,
    /// How many layers of encoding are taken off.
    pub depth: u8,
    /// How many bytes may come out of compressed data, over the whole blob.
    pub expansion_limit: u64,
    /// How many times the blob's own bytes may come out of compressed data (the first MiB always may).
    pub expansion_ratio: u64,
    /// The name of the blob, which tells attachments from logs.
    pub path: Option<&'a str>,
    /// Whether every record gets the exact search, and not only those that the first pass cannot pass over. It finds the same, at
    /// many times the cost: tests hold one against the other.
    pub is_exhaustive: bool,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            max_record: 16 << 20,
            depth: 8,
            expansion_limit: 64 << 20,
            expansion_ratio: 100,
            path: None,
            is_exhaustive: false,
        }
    }
}

impl Options<'_> {
    /// How many bytes may have come out of compressed data when so many of the blob have been read.
    fn expansion_at(&self, bytes: u64) -> u64 {
        bytes
            .saturating_mul(self.expansion_ratio)
            .max(1 << 20)
            .min(self.expansion_limit)
    }
}

/// The identifiers of any number of people, ready to be looked for together.
pub struct Searcher {
    matcher: Matcher,
    sieve: Sieve,
}

impl std::fmt::Debug for Searcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Searcher(REDACTED)")
    }
}

impl Searcher {
    /// Prepares the search. The cost of scanning hardly grows with the number of subjects.
    ///
    /// # Errors
    /// When an identifier is empty, too long, or an e-mail address without its parts.
    pub fn new(subjects: &[Identifiers]) -> Result<Self, Error> {
        Ok(Self {
            matcher: Matcher::new(subjects)?,
            sieve: Sieve::new(subjects),
        })
    }

    /// Looks for nobody: for scans that only gather what an index tells ([`Scan::with_tokens`]).
    #[must_use]
    pub fn of_nobody() -> Self {
        Self {
            matcher: Matcher::default(),
            sieve: Sieve::new(&[]),
        }
    }

    /// Begins the scan of one blob.
    #[must_use]
    pub fn scan<'s>(&'s self, options: Options<'s>) -> Scan<'s> {
        Scan::new(self, options)
    }
}
