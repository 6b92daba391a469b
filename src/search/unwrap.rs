//! Containers inside of a record: gzip, zlib and zip, opened up to a limit.

use std::io::{Cursor, Read};

use flate2::read::{MultiGzDecoder, ZlibDecoder};
use zip::ZipArchive;
use zip::result::ZipError;

use super::Unsearched;
use super::texts::{is_binary, is_text, is_zlib};

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
            inflate(decoder, Unsearched::DamagedGzip, |_, _| true, limit, parts)
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
            was_zlib,
            limit,
            parts,
        ),
        _ => false,
    }
}

/// Whether bytes that begin like zlib were a stream that is damaged, and not any bytes: two bytes are a weak sign, and any bits
/// make a few more, or the same one over and over, before they make an error.
fn was_zlib(decoder: &ZlibDecoder<&[u8]>, inflated: &[u8]) -> bool {
    let mut different: Vec<u8> = inflated.iter().copied().take(1_000).collect();
    different.sort_unstable();
    different.dedup();
    let is_plain = inflated.is_ascii() && !is_binary(inflated);
    decoder.total_in() >= 64 || (different.len() >= 8 && is_plain)
}

/// Reads all that the allowance permits. Returns whether the stream was sound.
///
/// `is_sure` is asked of a stream that is not, with what came out of it: whether its damage is worth a word.
fn inflate<D: Read>(
    mut decoder: D,
    damaged: Unsearched,
    is_sure: impl Fn(&D, &[u8]) -> bool,
    limit: u64,
    parts: &mut dyn Parts,
) -> bool {
    let allowance = parts.allowance();
    let mut bytes = Vec::new();
    let outcome = decoder
        .by_ref()
        .take(allowance.saturating_add(1))
        .read_to_end(&mut bytes);
    if outcome.is_err() && is_sure(&decoder, &bytes) {
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
                    inflate(entry, Unsearched::DamagedZip, |_, _| true, limit, parts);
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
                inflate(entry, Unsearched::DamagedZip, |_, _| true, limit, parts);
            }
            Ok(None) | Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    #[derive(Default)]
    struct Damages(usize);

    impl Parts for Damages {
        fn allowance(&self) -> u64 {
            1 << 20
        }

        fn part(&mut self, part: Part<'_>) {
            self.0 += usize::from(matches!(part, Part::Missed(Unsearched::DamagedZlib, _)));
        }
    }

    fn damages(bytes: &[u8]) -> usize {
        let mut damages = Damages::default();
        unwrap(bytes, 0, &mut damages);
        damages.0
    }

    #[test]
    fn a_stream_that_was_cut_off_is_told() {
        let long = "The quick brown fox jumps over ana@example.com, the lazy dog. 0123456789";
        let random: Vec<u8> = rand::rngs::StdRng::seed_from_u64(1)
            .random_iter()
            .take(500)
            .collect();
        for (level, content) in [
            (0, random.as_slice()),
            (1, b"ana@example.com wrote this"),
            (6, b"ana@example.com wrote this"),
            (6, long.repeat(9).as_bytes()),
            (6, &random),
            (9, long.as_bytes()),
        ] {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::new(level));
            encoder.write_all(content).expect("into memory");
            let bytes = encoder.finish().expect("into memory");
            assert_eq!(damages(&bytes), 0, "{level}");
            let cut = bytes.get(..bytes.len() * 3 / 4).expect("a part");
            assert_eq!(damages(cut), 1, "{level} {}", content.len());
        }
    }

    #[test]
    fn random_bytes_are_no_damaged_stream() {
        let mut random = rand::rngs::StdRng::seed_from_u64(7);
        let told: usize = (0..20_000)
            .map(|_| {
                let mut bytes = vec![0x78, 0x9C];
                bytes.extend((0..40).map(|_| random.random::<u8>()));
                damages(&bytes)
            })
            .sum();
        // With the two bytes of the sign, of which random bytes have one in 16,384, it is one in ten million.
        assert!(told < 40, "{told}");
    }
}
