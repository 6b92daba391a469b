//! Where each app's data is got from, as a request's callers see it.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use serde::Serialize;

use super::Context;
use crate::stages::setup::{AppSetup, Path};
use crate::work::Error;
use crate::workflow::{Record, Step};

/// Apps that are read at once.
const AT_ONCE: usize = 8;

/// Where an app's data is got from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathView {
    /// From the export alone, or by API as well.
    pub path: Path,
    /// Why, in words.
    pub reason: String,
}

/// What `export-configure` decided in this run, by app (`owner/name`); apps of which nothing is decided are left out.
/// Of a request that has ended the report tells it: this was part of its work, which is removed.
///
/// # Errors
/// When stored state cannot be read.
pub(super) async fn of(
    cx: Context<'_>,
    record: &Record,
) -> Result<BTreeMap<String, PathView>, Error> {
    if record.status.is_ended() || !record.steps.contains_key(&Step::Configure) {
        return Ok(BTreeMap::new());
    }
    let numbered = record.apps.iter().zip(0_u32..);
    // As a list: an iterator that borrows is too narrow a future for the routes.
    let reads: Vec<_> = numbered
        .map(|(app, number)| one(cx, record, app.to_string(), number))
        .collect();
    let read: Vec<_> = futures::stream::iter(reads)
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(read.into_iter().flatten().collect())
}

async fn one(
    cx: Context<'_>,
    record: &Record,
    app: String,
    number: u32,
) -> Result<Option<(String, PathView)>, Error> {
    let store = &cx.app.store;
    let state = store.slice_state(record, Step::Configure, number).await?;
    // What is not there yet is no error of a status.
    let setup: Option<AppSetup> = state.body().ok();
    Ok(setup.and_then(|setup| {
        let (path, reason) = (setup.path, setup.path_reason?);
        Some((app, PathView { path, reason }))
    }))
}
