//! Shared looks at a record: callers that ask at the same time share one read, which began after all of them asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::store::Store;
use crate::domain::RequestId;
use crate::workflow::{Record, Step};

/// Readings that are kept; beyond it those that nobody uses are dropped.
const MAX_KEPT: usize = 64;

/// Where a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its run.
    pub run: u32,
    /// Its step.
    pub step: Option<Step>,
    /// Whether it has ended.
    pub is_ended: bool,
}

impl Place {
    fn of(record: &Record) -> Self {
        Self {
            run: record.run,
            step: record.step,
            is_ended: record.status.is_ended(),
        }
    }
}

/// The looks at one request's record.
#[derive(Debug, Default)]
pub struct Reading {
    asked: AtomicU64,
    /// How many had asked before the last read began, and what it found.
    last: tokio::sync::Mutex<(u64, Option<Place>)>,
}

impl Reading {
    /// Where the request is, by a read that began after this call did. None when there is no record, or it cannot be
    /// read.
    pub async fn place(&self, store: &Store, id: &RequestId) -> Option<Place> {
        let ticket = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = self.last.lock().await;
        if last.0 < ticket {
            // Everybody who asked until now is answered by this read.
            let asked = self.asked.load(Ordering::SeqCst);
            let read = store.record(id).await;
            let place = read.ok().flatten().map(|loaded| Place::of(&loaded.record));
            *last = (asked, place);
        }
        last.1
    }
}

/// The looks at every record that this process acts on.
#[derive(Debug, Default)]
pub struct Readings(Mutex<HashMap<RequestId, Arc<Reading>>>);

impl Readings {
    /// The looks at one record.
    #[must_use]
    pub fn of(&self, id: &RequestId) -> Arc<Reading> {
        let Ok(mut readings) = self.0.lock() else {
            return Arc::default();
        };
        if readings.len() > MAX_KEPT {
            readings.retain(|_, reading| Arc::strong_count(reading) > 1);
        }
        Arc::clone(readings.entry(id.clone()).or_default())
    }
}
