//! What is stored once and never changes afterwards, kept in memory for a while: how a step was cut, and what a slice
//! came to that is over. Every invocation of a step asks for it.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::slices::SliceState;
use super::store::{Error, Store};
use crate::workflow::join::Root;
use crate::workflow::{Record, Step};

/// Entries that are kept; the oldest goes first.
const MAX_KEPT: usize = 128;
/// How long they are kept: an instance that is idle forgets what it worked on.
const KEPT: Duration = Duration::from_secs(600);

/// By what the record was when it was made (a request can be removed and filed anew under the same ID) and the blob's name.
type Key = (Timestamp, String);

#[derive(Default)]
pub(super) struct Known(Mutex<HashMap<Key, Entry>>);

struct Entry {
    since: Instant,
    value: Arc<dyn Any + Send + Sync>,
}

impl std::fmt::Debug for Known {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

impl Known {
    fn get<T: Any + Send + Sync>(&self, key: &Key) -> Option<Arc<T>> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.get(key).filter(|it| it.since.elapsed() < KEPT)?;
        Arc::clone(&entry.value).downcast().ok()
    }

    fn keep<T: Any + Send + Sync>(&self, key: Key, value: T) -> Arc<T> {
        let value = Arc::new(value);
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_KEPT {
            entries.retain(|_, it| it.since.elapsed() < KEPT);
        }
        let oldest = entries.iter().min_by_key(|(_, it)| it.since);
        if let Some(oldest) = oldest.map(|(key, _)| key.clone())
            && entries.len() >= MAX_KEPT
        {
            entries.remove(&oldest);
        }
        let entry = Entry {
            since: Instant::now(),
            value: Arc::<T>::clone(&value),
        };
        entries.insert(key, entry);
        value
    }
}

impl Store {
    /// How a step of the request's run was cut, if it was: its slices, items and memo. The bins in it may be those of an
    /// earlier moment; [`Store::root`] reads them.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn cut_of(&self, record: &Record, step: Step) -> Result<Option<Arc<Root>>, Error> {
        let name = Self::step_blob(&record.id, record.run, step, "root.json");
        let key = (record.created_at, name);
        if let Some(root) = self.known.get(&key) {
            return Ok(Some(root));
        }
        let root = self.root(&record.id, record.run, step).await?;
        Ok(root.map(|root| self.known.keep(key, root)))
    }

    /// What a slice of the request's run has come to. One that is over is read once: it stays as it is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn slice_state(
        &self,
        record: &Record,
        step: Step,
        number: u32,
    ) -> Result<Arc<SliceState>, Error> {
        let name = format!("slices/{number:05}.json");
        let key = (
            record.created_at,
            Self::step_blob(&record.id, record.run, step, &name),
        );
        if let Some(state) = self.known.get(&key) {
            return Ok(state);
        }
        let slice = self.slice(&record.id, record.run, step, number).await?;
        if slice.state.end.is_none() {
            return Ok(Arc::new(slice.state));
        }
        Ok(self.known.keep(key, slice.state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> Key {
        (Timestamp::UNIX_EPOCH, n.to_string())
    }

    #[test]
    fn what_is_kept_is_found_and_bounded() {
        let known = Known::default();
        for n in 0..3 * MAX_KEPT {
            known.keep(key(n), n);
            assert_eq!(known.get::<usize>(&key(n)).as_deref(), Some(&n));
        }
        let kept = |n: &usize| known.get::<usize>(&key(*n)).is_some();
        assert_eq!((0..3 * MAX_KEPT).filter(kept).count(), MAX_KEPT);
        assert!(kept(&(3 * MAX_KEPT - 1)), "the newest");
        // Another request under the same ID is another one, and another kind of thing is none.
        let later = Timestamp::from_second(1).expect("a time");
        let (_, name) = key(3 * MAX_KEPT - 1);
        assert!(known.get::<usize>(&(later, name.clone())).is_none());
        assert!(known.get::<String>(&key(3 * MAX_KEPT - 1)).is_none());
    }
}
