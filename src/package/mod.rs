//! The export package: a zip with the person's data, a manifest with the hash of every file, and a page to read.
//!
//! It is written front to back to any [`std::io::Write`], in memory that does not grow with the data (only with the
//! number of files). The same input gives the same bytes, so a second run of the same work makes the same package.
//!
//! ```text
//! index.html        readable by anybody, offline; runs nothing, asks nobody
//! index-2.html …    more of the file list, when it is long
//! manifest.json     the same for programs: every file with size, SHA-256 and source
//! README.txt        what the kinds of files are, and how to open them
//! <owner>/<app>/<install>/log-rows.jsonl, log-rows.csv, reports/<report>/…
//! ```
//!
//! A package that takes longer than one invocation is written in segments, each a zip of its own, which are merged
//! without compressing anything again. Its bytes do not depend on how it was divided.
//!
//! What strangers named (attachments) gets a harmless name; the original one stands in the manifest.

mod csv;
mod explain;
mod hashing;
mod html;
mod manifest;
mod names;
mod page;
#[cfg(test)]
mod tests;
mod valve;
mod writer;

pub use csv::{RowTable, TableError};
pub use hashing::{Digest, HashingWriter};
pub use manifest::{
    FileAbout, FileEntry, Installation, LeftOut, Meta, Of, SCHEMA, Sha256Hex, Summary, What,
};
pub use names::{inert_name, safe_name};
pub use writer::{FileWriter, Finished, MAX_FILES, PackageWriter};

/// Why a package could not be written. It names no file: names are personal data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What the package is written to did not take it; worth another try, from the start.
    #[error("the package could not be written")]
    Write(#[source] std::io::Error),
    /// A segment could not be read; worth another try, from the start.
    #[error("a segment of the package could not be read")]
    Read(#[source] std::io::Error),
    /// A segment is not the one that was written.
    #[error("a segment of the package is not what was written")]
    Segment,
    /// More files than a package may hold; records must go together into fewer files.
    #[error("the package would hold more than {limit} files")]
    TooManyFiles {
        /// The limit.
        limit: usize,
    },
    /// A file was begun and neither ended nor written whole: the package is void.
    #[error("a file of the package was begun and not ended")]
    Unfinished,
}
