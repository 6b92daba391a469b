//! Where matches go, and what a finished scan says about itself.

use std::fmt;
use std::ops::ControlFlow;

use super::Hit;

/// Receives the records in which something was found, in their order.
pub trait Sink {
    /// Is shown every record before it is searched, of an oversized one its beginning. Most sinks do not care.
    fn seen(&mut self, _record: &[u8]) {}

    /// Takes one record. `Break` ends the scan.
    fn matched(&mut self, found: &Match<'_>) -> ControlFlow<()>;
}

/// A record in which something was found.
#[derive(Clone, Copy)]
pub struct Match<'a> {
    /// The index of the record in its blob, from 0; blank lines are none.
    pub record: u64,
    /// Its first byte: of the blob as stored, or of the decoded bytes when `decoded`.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// Whether the blob is compressed or UTF-16, so that `offset` and `length` count decoded bytes.
    pub decoded: bool,
    /// Whether it was longer than [`Options::max_record`](super::Options::max_record) and was searched in overlapping windows.
    pub oversized: bool,
    /// The record; of an oversized one only its beginning, at most 256 KiB.
    pub bytes: &'a [u8],
    /// What was found, at least one.
    pub hits: &'a [Hit],
}

impl fmt::Debug for Match<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Match")
            .field("record", &self.record)
            .field("offset", &self.offset)
            .field("length", &self.length)
            .field("hits", &self.hits)
            .finish_non_exhaustive()
    }
}

/// How a blob is made up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Nothing but white space.
    Empty,
    /// One JSON array (or several): a record is an element.
    Array,
    /// JSON Lines, or JSON values one after the other: a record is a value.
    Lines,
    /// One JSON object.
    Object,
    /// Text: the whole blob is one record.
    Text,
    /// Bytes that are no text: the whole blob is one record.
    Binary,
}

/// What had to be taken off the stored bytes to get at the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Nothing: the records are stored as they are.
    Plain,
    /// Compression by gzip.
    Gzip,
    /// UTF-16, low byte first.
    Utf16Le,
    /// UTF-16, high byte first.
    Utf16Be,
    /// UTF-16 compressed by gzip.
    GzipUtf16,
}

/// Something that was not searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unsearched {
    /// Encodings nested deeper than the limit.
    Depth,
    /// What containers hold beyond the limits of expansion.
    Expansion,
    /// What the encodings of a record hold beyond a multiple of its size: only a contrived record gets there.
    Work,
    /// Entries of a zip archive beyond their limit.
    ZipEntries,
    /// An entry of a zip archive that needs a password.
    EncryptedZip,
    /// An entry of a zip archive that is compressed by another method than deflate.
    ZipMethod,
    /// A zip archive that is cut off or damaged.
    DamagedZip,
    /// A gzip stream that is cut off or damaged, or what follows it.
    DamagedGzip,
    /// A zlib stream that is cut off or damaged.
    DamagedZlib,
    /// A zstd stream.
    Zstd,
    /// A container larger than a record may be.
    LargeContainer,
    /// Further finds of one identifier in one record.
    Hits,
}

impl fmt::Display for Unsearched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Depth => "layers of encoding",
            Self::Expansion => "bytes out of containers",
            Self::Work => "bytes out of encodings of a record",
            Self::ZipEntries => "entries of a zip archive",
            Self::EncryptedZip => "an encrypted entry of a zip archive",
            Self::ZipMethod => "an entry of a zip archive with a method other than deflate",
            Self::DamagedZip => "a damaged zip archive",
            Self::DamagedGzip => "a damaged gzip stream",
            Self::DamagedZlib => "a damaged zlib stream",
            Self::Zstd => "a zstd stream",
            Self::LargeContainer => "bytes of a container",
            Self::Hits => "finds of one identifier in a record",
        })
    }
}

/// Something of a record that was not searched, and the limit beyond which it lies (0 when no limit is the reason).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NotSearched {
    /// The index of the record.
    pub record: u64,
    /// What.
    pub what: Unsearched,
    /// The limit, in the unit that `what` names; 0 when no limit is the reason.
    pub limit: u64,
}

impl fmt::Display for NotSearched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            record,
            what,
            limit,
        } = self;
        if *limit == 0 {
            write!(f, "record {record}: not searched: {what}")
        } else {
            write!(f, "record {record}: not searched beyond {limit} {what}")
        }
    }
}

/// What a finished scan says about its blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Bytes read, as stored.
    pub bytes: u64,
    /// Records seen.
    pub records: u64,
    /// Records in which something was found.
    pub matches: u64,
    /// Records longer than the limit, which were searched in windows.
    pub oversized_records: u64,
    /// What was not searched; the first 1,000 entries.
    pub not_searched: Vec<NotSearched>,
    /// How many more there were.
    pub not_searched_more: u64,
    /// How the blob is made up.
    pub container: Container,
    /// How it is stored.
    pub encoding: Encoding,
}
