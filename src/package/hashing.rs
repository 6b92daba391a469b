//! Hashing and counting what is written, on its way through.

use std::fmt;
use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

/// The hash and the size of what was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// SHA-256, lower-case hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
}

/// A running hash and size.
#[derive(Clone, Default)]
pub(super) struct Meter {
    hash: Sha256,
    size: u64,
}

impl Meter {
    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.hash.update(bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn raw(self) -> ([u8; 32], u64) {
        (self.hash.finalize().into(), self.size)
    }

    fn digest(self) -> Digest {
        let (hash, size) = self.raw();
        Digest {
            sha256: hex(&hash),
            size,
        }
    }
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A writer that passes everything on and knows SHA-256 and size of what the other side took.
#[derive(Clone, Default)]
pub struct HashingWriter<W> {
    inner: W,
    meter: Meter,
}

impl<W> HashingWriter<W> {
    /// Wraps a writer.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            meter: Meter::default(),
        }
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.meter.size()
    }

    /// The writer again, with the hash and the size of all that went through.
    #[must_use]
    pub fn finish(self) -> (W, Digest) {
        (self.inner, self.meter.digest())
    }
}

impl<W> fmt::Debug for HashingWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashingWriter")
            .field("written", &self.meter.size())
            .finish_non_exhaustive()
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        self.meter.update(bytes.get(..taken).unwrap_or(bytes));
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes at most three bytes at a time.
    #[derive(Default)]
    struct Slow(Vec<u8>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn counts_what_was_taken() {
        let mut writer = HashingWriter::new(Slow::default());
        writer.write_all(b"hello world").expect("a vector");
        assert_eq!(writer.written(), 11);
        let (inner, digest) = writer.finish();
        assert_eq!(inner.0, b"hello world");
        assert_eq!(digest.size, 11);
        assert_eq!(
            digest.sha256,
            "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
        );
    }
}
