//! How far a search is, on a terminal.

use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};

/// How often the line is drawn.
const EVERY: Duration = Duration::from_millis(200);

/// A line that says how much was read. How much there is nobody knows before it is read.
#[derive(Debug)]
pub(super) struct Progress {
    bar: ProgressBar,
    blobs: u64,
}

impl Progress {
    /// On stderr.
    pub(super) fn shown() -> Self {
        let bar = ProgressBar::new_spinner();
        // The template is ours and right; without it the line would only look otherwise.
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(EVERY);
        Self { bar, blobs: 0 }
    }

    /// Nowhere.
    pub(super) fn hidden() -> Self {
        Self {
            bar: ProgressBar::hidden(),
            blobs: 0,
        }
    }

    /// One more blob was searched: bytes and matches so far.
    pub(super) fn blob(&mut self, bytes: u64, matches: u64) {
        self.blobs += 1;
        if self.bar.is_hidden() {
            return;
        }
        let seconds = self.bar.elapsed().as_secs_f64().max(1e-3);
        let rate = HumanBytes((bytes as f64 / seconds) as u64);
        let (blobs, bytes) = (self.blobs, HumanBytes(bytes));
        self.bar.set_message(format!(
            "{blobs} blobs, {bytes} ({rate}/s), {matches} records found"
        ));
    }

    /// Does something on the terminal while the line is away.
    pub(super) fn aside(&self, act: impl FnOnce()) {
        self.bar.suspend(act);
    }

    /// Takes the line away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
