//! The first pass over a record: whether the exact search has to look at it. It errs towards yes, never towards no.
//!
//! Nearly all records hold nobody who is looked for. One pass over their bytes in blocks of 64 finds the places where an identifier
//! may begin (tokens, hyphens in the pattern of a UUID, `@`) and looks them up in tables, at a cost that does not grow with the
//! number of identifiers. Escapes are decoded where they stand, with as much around them as an identifier may reach. Whatever is
//! harder than that is left to the exact search, base64 whose first digits stand for a text or a container included.

mod addresses;
mod base64;
mod beginnings;
mod decode;
mod encoded;
mod lookup;
mod needles;
mod pass;
mod runs;
mod spellings;
mod terms;

use super::Identifiers;
use super::texts::is_container;
use needles::Needles;
pub(super) use pass::{Pass, Scratch};

/// With so many layers the exact search may come to the end of the work that a record may cost, and has to say so.
const MANY_LAYERS: u32 = 7;
/// A record of so many bytes or less never costs that much.
const SMALL_RECORD: usize = 16 * 1024;

/// What the first pass says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It holds nobody, and all of it is searched.
    Nothing,
    /// An identifier may be there once something is decoded; none stands there as it is.
    Encoded,
    /// An identifier may stand there as it is.
    Plain,
}

/// The first pass.
#[derive(Debug)]
pub(super) struct Sieve {
    needles: Needles,
}

impl Sieve {
    /// Prepares it for all subjects.
    pub(super) fn new(subjects: &[Identifiers]) -> Self {
        Self {
            needles: Needles::new(subjects),
        }
    }

    /// Where the exact search may find something in a record, or has to say that it did not search all of it.
    ///
    /// `depth` is how many layers of encoding the exact search takes off.
    pub(super) fn judge(
        &self,
        record: &[u8],
        is_json: bool,
        depth: u8,
        scratch: &mut Scratch,
    ) -> Verdict {
        if self.needles.is_anything {
            return Verdict::Plain;
        }
        let mut pass = Pass::new(&self.needles, record, scratch);
        let verdict = pass.look();
        let is_encoded = || {
            pass.layers() > u32::from(depth)
                || pass.layers() >= MANY_LAYERS && record.len() > SMALL_RECORD
                // UTF-16 and most containers are no UTF-8.
                || !is_json && (is_container(record) || std::str::from_utf8(record).is_err())
        };
        match verdict {
            Verdict::Nothing if is_encoded() => Verdict::Encoded,
            verdict => verdict,
        }
    }
}
