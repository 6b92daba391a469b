//! Records: read with their `ETag`, changed only by compare-and-swap.

use rand::RngExt as _;
use serde::Deserialize;

use super::names;
use super::store::{Error, MAX_JSON, Store};
use crate::domain::RequestId;
use crate::storage::ETag;
use crate::workflow::Record;
use crate::workflow::record::SCHEMA;

const WHAT: &str = "the request's record";
/// Tries of a change that others keep getting ahead of.
const TRIES: u32 = 12;

/// A record as it was read.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The record.
    pub record: Record,
    /// Its version.
    pub etag: ETag,
}

#[derive(Deserialize)]
struct Versioned {
    schema: u32,
}

impl Store {
    /// Reads a record.
    ///
    /// # Errors
    /// When it cannot be read, is corrupt, or is of a newer version.
    pub async fn record(&self, id: &RequestId) -> Result<Option<Loaded>, Error> {
        let Some(stored) = self.container.read(&names::record(id), MAX_JSON).await? else {
            return Ok(None);
        };
        let corrupt = |error: serde_json::Error| Error::Corrupt {
            what: WHAT,
            reason: format!("line {}, column {}", error.line(), error.column()),
        };
        let version: Versioned = serde_json::from_slice(&stored.bytes).map_err(corrupt)?;
        if version.schema > SCHEMA {
            return Err(Error::Newer { what: WHAT });
        }
        let record = serde_json::from_slice(&stored.bytes).map_err(corrupt)?;
        Ok(Some(Loaded {
            record,
            etag: stored.etag,
        }))
    }

    /// Stores a new record; false when there is one with this ID.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn create_record(&self, record: &Record) -> Result<bool, Error> {
        let created = self
            .create_json(&names::record(&record.id), WHAT, record)
            .await?;
        Ok(created.is_some())
    }

    /// Changes a record by compare-and-swap, again from the start each time somebody else was faster.
    ///
    /// `change` gets the stored record and gives its verdict; on `Err` nothing is written.
    ///
    /// # Errors
    /// When the record cannot be read or written. The inner result is `change`'s own; none when there is no record.
    pub async fn update_record<T, E>(
        &self,
        id: &RequestId,
        change: impl FnMut(&mut Record) -> Result<T, E>,
    ) -> Result<Option<Result<(T, Record), E>>, Error> {
        self.update_known(id, None, change).await
    }

    /// The same, for whoever has read the record before: it is read again only where that one is out of date.
    ///
    /// # Errors
    /// As there.
    pub async fn update_known<T, E>(
        &self,
        id: &RequestId,
        mut known: Option<Loaded>,
        mut change: impl FnMut(&mut Record) -> Result<T, E>,
    ) -> Result<Option<Result<(T, Record), E>>, Error> {
        for attempt in 0..TRIES {
            let (loaded, is_read) = match known.take() {
                Some(known) => (Some(known), false),
                None => (self.record(id).await?, true),
            };
            let Some(Loaded { mut record, etag }) = loaded else {
                return Ok(None);
            };
            let value = match change(&mut record) {
                Ok(value) => value,
                Err(error) if is_read => return Ok(Some(Err(error))),
                // It may be out of date.
                Err(_) => continue,
            };
            match self
                .replace_json(&names::record(id), WHAT, &record, Some(&etag))
                .await
            {
                Ok(_) => return Ok(Some(Ok((value, record)))),
                Err(Error::Lost { .. }) if is_read => pause(attempt).await,
                Err(Error::Lost { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Lost { what: WHAT })
    }
}

/// Waits a little before the next try, at random, so that rivals do not stay in step.
pub(super) async fn pause(attempt: u32) {
    let longest = 20_u64 << attempt.min(6);
    let millis = rand::rng().random_range(1..=longest);
    tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
}
