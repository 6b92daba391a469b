//! The stored plan of a request's run, as later stages read it: its exact bytes, held against the hash that the record names.

use sha2::{Digest as _, Sha256};

use super::{Context, StageError};
use crate::domain::plan::Plan;
use crate::work::{Error, names};
use crate::workflow::Record;

/// Largest plan that is read, in bytes.
const MAX_PLAN: usize = 256 * 1024 * 1024;

/// Reads the plan of the current run, and its exact bytes.
///
/// # Errors
/// When there is none, or it is not the one that the record names.
pub async fn read_plan(
    cx: Context<'_>,
    record: &Record,
) -> Result<(Plan, bytes::Bytes), StageError> {
    let name = names::plan(&record.id, record.run);
    let read = cx.app.store.container().read(&name, MAX_PLAN).await;
    let corrupt = |reason: &str| Error::Corrupt {
        what: "the plan",
        reason: reason.to_owned(),
    };
    let stored = read
        .map_err(Error::from)?
        .ok_or_else(|| corrupt("it is missing"))?;
    if let Some(reference) = &record.plan
        && reference.sha256 != sha256(&stored.bytes)
    {
        return Err(corrupt("it is not the one that was made: its hash differs").into());
    }
    let plan = serde_json::from_slice(&stored.bytes)
        .map_err(|error| corrupt(&format!("column {}", error.column())))?;
    Ok((plan, stored.bytes))
}

/// SHA-256 as lower-case hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
