//! Containers inside of a record: gzip, zlib and zip, opened up to a limit.

use std::io::{Cursor, Read};

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use zip::ZipArchive;
use zip::result::ZipError;

use super::Unsearched;
use super::texts::{is_text, is_zlib};

/// The most entries of a zip archive that are opened.
const MAX_ENTRIES: usize = 1_000;

/// What came out of a container.
pub(super) enum Part<'a> {
    /// The bytes of the container, or of one entry.
    Bytes(Vec<u8>),
    /// The name of an entry.
    Name(&'a str),
    /// Something that could not be looked at, and the limit that stopped it (0 when none did).
    Missed(Unsearched, u64),
}

/// Takes what comes out of a container.
pub(super) trait Parts {
    /// How many more bytes may come out.
    fn allowance(&self) -> u64;
    /// Takes one part.
    fn part(&mut self, part: Part<'_>);
}

/// Opens a container and hands its parts over; `limit` is what is said where the allowance ends.
///
/// Returns whether the bytes were a container through and through, so that there is nothing more to see in them.
pub(super) fn unwrap(bytes: &[u8], limit: u64, parts: &mut dyn Parts) -> bool {
    match bytes {
        [0x1F, 0x8B, 8, ..] => {
            let decoder = MultiGzDecoder::new(bytes);
            inflate(decoder, Unsearched::DamagedGzip, limit, parts)
        }
        [0x28, 0xB5, 0x2F, 0xFD, ..] => {
            parts.part(Part::Missed(Unsearched::Zstd, 0));
            false
        }
        [b'P', b'K', 3, 4, ..] => unzip(bytes, limit, parts),
        // Two bytes are a weak sign; a text such as `x^2` has them too.
        _ if is_zlib(bytes) && !is_text(bytes, true) => inflate(
            ZlibDecoder::new(bytes),
            Unsearched::DamagedZlib,
            limit,
            parts,
        ),
        _ => false,
    }
}

/// Reads all that the allowance permits. Returns whether the stream was sound.
fn inflate(decoder: impl Read, damaged: Unsearched, limit: u64, parts: &mut dyn Parts) -> bool {
    let allowance = parts.allowance();
    let mut bytes = Vec::new();
    let outcome = decoder
        .take(allowance.saturating_add(1))
        .read_to_end(&mut bytes);
    if outcome.is_err() && (damaged != Unsearched::DamagedZlib || !bytes.is_empty()) {
        parts.part(Part::Missed(damaged, 0));
    }
    if bytes.len() as u64 > allowance {
        bytes.truncate(usize::try_from(allowance).unwrap_or(usize::MAX));
        parts.part(Part::Missed(Unsearched::Expansion, limit));
    }
    parts.part(Part::Bytes(bytes));
    outcome.is_ok()
}

fn unzip(bytes: &[u8], limit: u64, parts: &mut dyn Parts) -> bool {
    let Ok(mut archive) = ZipArchive::new(Cursor::new(bytes)) else {
        unzip_stream(bytes, limit, parts);
        return false;
    };
    if archive.len() > MAX_ENTRIES {
        parts.part(Part::Missed(Unsearched::ZipEntries, MAX_ENTRIES as u64));
    }
    parts.part(Part::Bytes(archive.comment().to_vec()));
    for index in 0..archive.len().min(MAX_ENTRIES) {
        match archive.by_index(index) {
            Ok(entry) => {
                if let Ok(name) = entry.name() {
                    parts.part(Part::Name(&name));
                }
                if entry.is_file() {
                    inflate(entry, Unsearched::DamagedZip, limit, parts);
                }
            }
            Err(ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED)) => {
                parts.part(Part::Missed(Unsearched::EncryptedZip, 0));
            }
            Err(ZipError::UnsupportedArchive(_)) => {
                parts.part(Part::Missed(Unsearched::ZipMethod, 0));
            }
            Err(_) => parts.part(Part::Missed(Unsearched::DamagedZip, 0)),
        }
    }
    true
}

/// An archive without its directory, which stands at the end: it was cut off. What is there is read entry by entry.
fn unzip_stream(mut bytes: &[u8], limit: u64, parts: &mut dyn Parts) {
    parts.part(Part::Missed(Unsearched::DamagedZip, 0));
    for _ in 0..MAX_ENTRIES {
        match zip::read::read_zipfile_from_stream(&mut bytes) {
            Ok(Some(entry)) => {
                if let Ok(name) = entry.name() {
                    parts.part(Part::Name(&name));
                }
                inflate(entry, Unsearched::DamagedZip, limit, parts);
            }
            Ok(None) | Err(_) => return,
        }
    }
}
