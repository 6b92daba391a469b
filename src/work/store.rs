//! The work container and the queues, with one place where a test can kill us.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::bins::Bins;
use super::known::Known;
use super::over::Over;
use crate::storage::{self, Account, BlobWriter, Container, Created, ETag, Replaced};
use crate::workflow::{Function, Message, Step};

/// Largest JSON blob of ours that is read whole, in bytes: a plan of 40,000 reports stays far below.
pub(super) const MAX_JSON: usize = 256 * 1024 * 1024;
pub(super) const JSON: &str = "application/json";

/// Why stored state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The work storage failed.
    #[error("the work storage failed")]
    Storage(#[from] storage::Error),
    /// A blob is not what it should be.
    #[error("{what} is corrupt: {reason}")]
    Corrupt {
        /// Which kind of blob.
        what: &'static str,
        /// Where reading it failed.
        reason: String,
    },
    /// A blob was written by a newer version; it is left as it is.
    #[error("{what} was written by a newer version of this product; it is left as it is")]
    Newer {
        /// Which kind of blob.
        what: &'static str,
    },
    /// Somebody else changed it first; what they saved holds.
    #[error("{what} was changed by another invocation")]
    Lost {
        /// Which kind of blob.
        what: &'static str,
    },
    /// A test ended this invocation here, as a kill would.
    #[error("killed")]
    Killed,
}

/// Where a test can end an invocation: before and after each write, as a kill of the process would.
pub trait Probe: Debug + Send + Sync {
    /// Asked before (`done` false) and after (`done` true) each write; false ends the invocation.
    fn lives(&self, write: &str, done: bool) -> bool;
}

/// What runs in production: nothing is ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProbe;

impl Probe for NoProbe {
    fn lives(&self, _write: &str, _done: bool) -> bool {
        true
    }
}

/// The work storage.
#[derive(Debug, Clone)]
pub struct Store {
    pub(super) container: Container,
    queues: Account,
    probe: Arc<dyn Probe>,
    pub(super) bins: Arc<Bins>,
    pub(super) known: Arc<Known>,
    pub(super) over: Arc<Over>,
    is_prepared: Arc<OnceCell<()>>,
}

impl Store {
    /// The work storage in this container and account.
    #[must_use]
    pub fn new(container: Container, queues: Account, probe: Arc<dyn Probe>) -> Self {
        Self {
            container,
            queues,
            probe,
            bins: Arc::default(),
            known: Arc::default(),
            over: Arc::default(),
            is_prepared: Arc::default(),
        }
    }

    /// The work container, for what streams.
    #[must_use]
    pub fn container(&self) -> &Container {
        &self.container
    }

    /// Makes the container and every queue that is missing, once in a process. Nobody but other systems sends to
    /// `intake-queue`, and they need not be allowed to make it.
    ///
    /// # Errors
    /// When the storage cannot be reached or refuses; then it is tried again the next time.
    pub async fn prepare(&self) -> Result<(), Error> {
        let prepared = self.is_prepared.get_or_try_init(|| self.create_missing());
        prepared.await.copied()
    }

    async fn create_missing(&self) -> Result<(), Error> {
        self.container.create_if_missing().await?;
        for function in Function::ALL {
            if function.trigger() == crate::workflow::stage::Trigger::Queue {
                self.queues
                    .queue(function.name())
                    .create_if_missing()
                    .await?;
            }
        }
        Ok(())
    }

    /// A queue by its function's name.
    #[must_use]
    pub fn queue(&self, name: &str) -> storage::Queue {
        self.queues.queue(name)
    }

    fn before(&self, write: &str) -> Result<(), Error> {
        self.probe
            .lives(write, false)
            .then_some(())
            .ok_or(Error::Killed)
    }

    fn after(&self, write: &str) -> Result<(), Error> {
        self.probe
            .lives(write, true)
            .then_some(())
            .ok_or(Error::Killed)
    }

    /// Sends a message after a delay.
    ///
    /// # Errors
    /// When the queue cannot be written.
    pub async fn send(&self, message: &Message, delay: Duration) -> Result<(), Error> {
        let function = match message {
            Message::Step { step, .. } => step.function(),
            Message::Day { .. } => Some(Function::BlobSearch),
        };
        let Some(function) = function else {
            return Ok(());
        };
        let what = format!("send {}", function.name());
        self.before(&what)?;
        self.queues
            .queue(function.name())
            .send(&message.text(), delay)
            .await?;
        self.after(&what)
    }

    /// Reads a JSON blob and its `ETag`.
    ///
    /// # Errors
    /// When it cannot be read, or is not what it should be.
    pub async fn read_json<T: DeserializeOwned>(
        &self,
        name: &str,
        what: &'static str,
    ) -> Result<Option<(T, ETag)>, Error> {
        let Some(stored) = self.container.read(name, MAX_JSON).await? else {
            return Ok(None);
        };
        let value = serde_json::from_slice(&stored.bytes).map_err(|error| Error::Corrupt {
            what,
            reason: format!("line {}, column {}", error.line(), error.column()),
        })?;
        Ok(Some((value, stored.etag)))
    }

    /// Writes a JSON blob if there is none; false when there is one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn create_json<T: Serialize + Sync>(
        &self,
        name: &str,
        what: &'static str,
        value: &T,
    ) -> Result<Option<ETag>, Error> {
        self.before(what)?;
        let created = self
            .container
            .create(name, json(value, what)?, JSON)
            .await?;
        self.after(what)?;
        Ok(match created {
            Created::New(etag) => Some(etag),
            Created::Exists => None,
        })
    }

    /// Writes a blob if there is none.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn create(
        &self,
        name: &str,
        what: &'static str,
        bytes: Vec<u8>,
        content_type: &str,
    ) -> Result<(), Error> {
        self.before(what)?;
        self.container.create(name, bytes, content_type).await?;
        self.after(what)
    }

    /// Writes a JSON blob if it is still the one that was read (or, without an `ETag`, if there is none).
    ///
    /// # Errors
    /// [`Error::Lost`] when somebody else wrote it meanwhile.
    pub async fn replace_json<T: Serialize + Sync>(
        &self,
        name: &str,
        what: &'static str,
        value: &T,
        etag: Option<&ETag>,
    ) -> Result<ETag, Error> {
        let Some(etag) = etag else {
            return self
                .create_json(name, what, value)
                .await?
                .ok_or(Error::Lost { what });
        };
        self.before(what)?;
        let bytes = json(value, what)?;
        let replaced = self
            .container
            .replace(name, bytes.clone(), JSON, etag)
            .await?;
        self.after(what)?;
        if let Replaced::Done(etag) = replaced {
            return Ok(etag);
        }
        // The answer to our own write may have been lost and the write sent again: then what is there is ours.
        match self.container.read(name, MAX_JSON).await? {
            Some(stored) if stored.bytes == bytes => Ok(stored.etag),
            _ => Err(Error::Lost { what }),
        }
    }

    /// Writes a blob if it is still the one that was read.
    ///
    /// # Errors
    /// When it cannot be written; that somebody else wrote it is none.
    pub async fn replace(
        &self,
        name: &str,
        what: &'static str,
        bytes: Vec<u8>,
        content_type: &str,
        etag: &ETag,
    ) -> Result<(), Error> {
        self.before(what)?;
        self.container
            .replace(name, bytes, content_type, etag)
            .await?;
        self.after(what)
    }

    /// Writes a blob whatever is there: only for content that is the same each time.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn put(
        &self,
        name: &str,
        what: &'static str,
        bytes: Vec<u8>,
        content_type: &str,
    ) -> Result<(), Error> {
        self.before(what)?;
        self.container.put(name, bytes, content_type).await?;
        self.after(what)
    }

    /// Makes what was written part by part a blob, whatever is there: only for content that is the same each time, or
    /// under a name that is used once.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn commit(&self, writer: BlobWriter, what: &'static str) -> Result<(), Error> {
        self.before(what)?;
        writer.commit().await?;
        self.after(what)
    }

    /// Deletes a blob; false when there was none.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub async fn delete(&self, name: &str, what: &'static str) -> Result<bool, Error> {
        self.before(what)?;
        let deleted = self.container.delete(name).await?;
        self.after(what)?;
        Ok(deleted)
    }

    /// Deletes every blob under a prefix, page by page; how many there were.
    ///
    /// # Errors
    /// When the storage fails; what is left can be deleted by calling this again.
    pub async fn delete_under(&self, prefix: &str, what: &'static str) -> Result<u64, Error> {
        let mut deleted = 0;
        let mut listing = self.container.list(prefix);
        while let Some(page) = listing.next_page().await? {
            for chunk in page.chunks(16) {
                let deletes = chunk.iter().map(|entry| self.delete(&entry.name, what));
                for outcome in futures::future::join_all(deletes).await {
                    deleted += u64::from(outcome?);
                }
            }
        }
        Ok(deleted)
    }

    /// The name of a blob of a step.
    pub(super) fn step_blob(
        id: &crate::domain::RequestId,
        run: u32,
        step: Step,
        name: &str,
    ) -> String {
        super::names::of_step(id, run, step, name)
    }
}

pub(super) fn json<T: Serialize>(value: &T, what: &'static str) -> Result<bytes::Bytes, Error> {
    serde_json::to_vec(value)
        .map(bytes::Bytes::from)
        .map_err(|error| Error::Corrupt {
            what,
            reason: format!("it cannot be written as JSON: {error}"),
        })
}
