//! What stands between the zip writer and where it writes to.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Lets nothing through once it is closed: by its first error, or because the package was given up.
///
/// The zip writer completes the archive when it is dropped, and says so on stderr when it cannot: a package that failed
/// must neither reach storage any more nor be said twice. Who goes on after an error learns it when the file ends.
pub(super) struct Valve<W> {
    inner: W,
    is_open: Arc<AtomicBool>,
}

impl<W> Valve<W> {
    /// An open valve before a writer, and what closes it.
    pub(super) fn new(inner: W) -> (Self, CloseOnDrop) {
        let is_open = Arc::new(AtomicBool::new(true));
        let valve = Self {
            inner,
            is_open: Arc::clone(&is_open),
        };
        (valve, CloseOnDrop(is_open))
    }

    /// The writer again.
    pub(super) fn into_inner(self) -> W {
        self.inner
    }
}

impl<W: Write> Write for Valve<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_open.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        let written = self.inner.write(bytes);
        if let Err(error) = &written
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.is_open.store(false, Ordering::Relaxed);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_open.load(Ordering::Relaxed) {
            self.inner.flush()
        } else {
            Ok(())
        }
    }
}

/// Says whether the valve is open, and closes it when it is dropped.
pub(super) struct CloseOnDrop(Arc<AtomicBool>);

impl CloseOnDrop {
    pub(super) fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn close(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.close();
    }
}
