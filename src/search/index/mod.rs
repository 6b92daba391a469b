//! A keyed index of a day: which of its blobs may hold an identifier, so that the others need not be read again.
//!
//! Of each blob it has two small sets, of the UUIDs and of the words and runs of words that the exact search came by in any layer of encoding. A set
//! never says no to what was put in. A blob is known by a hash of its name and ETag, so that one that was written again is simply
//! not known.
//!
//! Every entry is an HMAC, of the token together with the blob: without the key nobody can ask a set for anything, nor see which
//! blobs have a word in common. What is plain are sizes: of the sets, and how many records and reports a blob has. Whoever changes
//! an index without the key makes it one that cannot be read.
//!
//! An index holds as long as the exact search looks at the same texts. A change there needs another version of [`MAGIC`]; a test
//! tells when.

mod coded;
mod gather;
mod query;
mod sidecar;
mod tokens;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use uuid::Uuid;

pub(super) use gather::Tokens;
pub use query::Query;
pub use sidecar::{BlobTokens, HEAD, Index, Known, first_part, write};

/// What an index begins with: its kind and version.
const MAGIC: &[u8; 8] = b"DSRIDX1\n";

/// What an HMAC is for: the same bytes give another one for each.
#[derive(Debug, Clone, Copy)]
enum Use {
    Uuid,
    Word,
    Blob,
    /// To tell whether an index was made with the key at hand.
    Key,
    /// To tell whether an index is as it was written.
    Seal,
}

/// The key of an index, ready for use. Whoever has it can ask an index for any identifier.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(REDACTED)")
    }
}

impl Key {
    /// Takes a key of any length.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        // Keys of any length are taken: longer ones than a block are hashed first.
        Self(Hmac::new_from_slice(key).unwrap_or_else(|_never| Hmac::new(&Default::default())))
    }

    /// The HMAC of a number and a text.
    fn hash(&self, what: Use, number: u64, text: &[u8]) -> [u8; 32] {
        let mut hmac = self.0.clone();
        hmac.update(&[match what {
            Use::Uuid => b'u',
            Use::Word => b'w',
            Use::Blob => b'b',
            Use::Key => b'k',
            Use::Seal => b's',
        }]);
        hmac.update(&number.to_le_bytes());
        hmac.update(text);
        hmac.finalize().into_bytes().into()
    }

    /// The beginning of an HMAC, as a number.
    fn number(&self, what: Use, number: u64, text: &[u8]) -> u64 {
        let bytes = self.hash(what, number, text);
        bytes.first_chunk().copied().map_or(0, u64::from_le_bytes)
    }

    /// A UUID of one blob.
    fn uuid(&self, blob: u64, uuid: Uuid) -> u64 {
        self.number(Use::Uuid, blob, uuid.as_bytes())
    }

    /// A word or run of one blob.
    fn word(&self, blob: u64, word: &str) -> u64 {
        self.number(Use::Word, blob, word.as_bytes())
    }

    /// How an index knows a blob.
    #[must_use]
    pub fn blob(&self, name: &str, etag: &str) -> u64 {
        let both = [name.as_bytes(), etag.as_bytes()].concat();
        // The length keeps the two apart.
        self.number(Use::Blob, name.len() as u64, &both)
    }
}
