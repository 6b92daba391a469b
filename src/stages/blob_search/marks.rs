//! Marks of requests that wait for days of an app: blobs whose name is all they say.
//!
//! A mark is named after request, run and step. It is written before the step's messages are sent (again) and taken away
//! after the request has moved on; whoever finds one that fits its request no longer takes it away.

use jiff::civil::Date;

use crate::app::App;
use crate::domain::{AppRef, RequestId};
use crate::stages::StageError;
use crate::storage::{ETag, Entry};
use crate::work::{Error, names};
use crate::workflow::{Record, Step};

/// Requests that one pass serves at most; more wait for the next message.
const MAX_REQUESTS: usize = 1000;

/// A mark, as its name tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    /// The request.
    pub(super) request: RequestId,
    /// Its run.
    pub(super) run: u32,
    /// The step's name.
    pub(super) step: String,
    name: String,
    /// Its version: one that is written again has more to say.
    etag: ETag,
}

impl Mark {
    fn parse(entry: Entry, prefix: &str) -> Option<Self> {
        let mut parts = entry.name.strip_prefix(prefix)?.splitn(3, '-');
        Some(Self {
            request: parts.next()?.parse().ok()?,
            run: parts.next()?.parse().ok()?,
            step: parts.next()?.to_owned(),
            name: entry.name,
            etag: entry.etag,
        })
    }

    /// Its blob.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the request is still where the mark says.
    pub(super) fn fits(&self, record: &Record) -> bool {
        record.run == self.run && record.step.is_some_and(|step| step.name() == self.step)
    }

    /// Remembers that the request is over with this day, and waits for others.
    pub(super) fn note_over(&self, app: &App, day: Date) {
        app.store.note_over(&self.name, &self.etag, day);
    }

    /// Takes it away.
    pub(super) async fn remove(&self, app: &App) -> Result<(), StageError> {
        app.store.delete(&self.name, "a mark").await?;
        Ok(())
    }
}

/// Marks a request as waiting for days of an app.
pub(super) async fn wait(
    app: &App,
    of: &AppRef,
    record: &Record,
    step: Step,
) -> Result<(), StageError> {
    let name = names::waiting(of, &record.id, record.run, step);
    let put = app
        .store
        .put(&name, "a mark", b"{}".to_vec(), "application/json");
    Ok(put.await?)
}

/// Takes the mark of one step away.
pub(super) async fn forget(
    app: &App,
    of: &AppRef,
    id: &RequestId,
    run: u32,
    step: Step,
) -> Result<(), StageError> {
    let name = names::waiting(of, id, run, step);
    app.store.delete(&name, "a mark").await?;
    Ok(())
}

/// The marks under an app, but for those of requests that this process knows to be over with the day.
pub(super) async fn waiting(app: &App, of: &AppRef, day: Date) -> Result<Vec<Mark>, StageError> {
    let prefix = names::waiting_prefix(of);
    let mut listing = app.store.container().list(&prefix);
    let mut marks = Vec::new();
    while let Some(page) = listing.next_page().await.map_err(Error::from)? {
        let listed = page
            .into_iter()
            .filter_map(|entry| Mark::parse(entry, &prefix));
        marks.extend(listed.filter(|it| !app.store.is_over(&it.name, &it.etag, day)));
        if marks.len() >= MAX_REQUESTS {
            break;
        }
    }
    marks.truncate(MAX_REQUESTS);
    Ok(marks)
}
