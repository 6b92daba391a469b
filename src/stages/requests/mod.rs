//! `requests`: list, status, plan, report, package.

mod package;
mod paths;
mod status;

pub use package::{Package, Part, link, package};
pub use paths::PathView;
pub use status::{Listed, Query, StageStatus, StatusView, list, status};

use bytes::Bytes;

use super::planned::read_plan;
use super::{Context, StageError};
use crate::domain::{Fault, RequestId};
use crate::work::{Error, names};
use crate::workflow::Record;

/// Largest report that is read, in bytes.
const MAX_REPORT: usize = 256 * 1024 * 1024;

/// Why a call of the HTTP API is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The document has faults.
    #[error("the document has faults")]
    Faults(Vec<Fault>),
    /// A parameter of the query that cannot be used.
    #[error("{0}")]
    BadQuery(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// It does not fit the request's state.
    #[error("{0}")]
    Conflict(String),
    /// The plan that was named is not the stored one.
    #[error("{0}")]
    WrongHash(String),
    /// A range that the package does not have.
    #[error("the package has {size} bytes")]
    BadRange {
        /// How many bytes it has.
        size: u64,
    },
    /// Stored state could not be used.
    #[error("stored state could not be used")]
    Work(#[from] Error),
}

impl From<StageError> for Refusal {
    fn from(error: StageError) -> Self {
        match error {
            StageError::Work(error) => Self::Work(error),
            error => Self::Conflict(error.to_string()),
        }
    }
}

impl From<crate::storage::Error> for Refusal {
    fn from(error: crate::storage::Error) -> Self {
        Self::Work(error.into())
    }
}

/// Reads a request's record.
///
/// # Errors
/// When there is none, or it cannot be read.
pub async fn record(cx: Context<'_>, id: &RequestId) -> Result<Record, Refusal> {
    let loaded = cx.app.store.record(id).await?;
    loaded
        .map(|loaded| loaded.record)
        .ok_or_else(|| Refusal::NotFound(format!("there is no request {id}")))
}

/// The exact bytes of a request's plan, and their SHA-256.
///
/// # Errors
/// When there is none yet.
pub async fn plan(cx: Context<'_>, id: &RequestId) -> Result<(Bytes, String), Refusal> {
    let record = record(cx, id).await?;
    let Some(reference) = &record.plan else {
        return Err(Refusal::NotFound("the request has no plan yet".to_owned()));
    };
    let sha256 = reference.sha256.clone();
    let (_plan, bytes) = read_plan(cx, &record).await?;
    Ok((bytes, sha256))
}

/// The report of a request's run (none: the current one), as `json` or `md`.
///
/// # Errors
/// When there is none yet.
pub async fn report(
    cx: Context<'_>,
    id: &RequestId,
    run: Option<u32>,
    extension: &str,
) -> Result<Bytes, Refusal> {
    let record = record(cx, id).await?;
    let run = run.unwrap_or(record.run);
    if run == record.run && record.report_sha256.is_none() {
        return Err(Refusal::NotFound(
            "the request has no report yet".to_owned(),
        ));
    }
    let name = names::report(id, run, extension);
    let stored = cx.app.store.container().read(&name, MAX_REPORT).await?;
    stored.map(|stored| stored.bytes).ok_or_else(|| {
        if run == record.run {
            Refusal::NotFound("the report is no longer kept".to_owned())
        } else {
            Refusal::NotFound(format!("there is no report of run {run}"))
        }
    })
}
