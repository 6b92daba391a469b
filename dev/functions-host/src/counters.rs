//! What happened so far, for tests and reports.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts that only grow, over restarts too.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) hung: Counter,
    pub(crate) succeeded: Counter,
    pub(crate) failed: Counter,
    pub(crate) poisoned: Counter,
    pub(crate) host_restarts: Counter,
}

/// One count.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
