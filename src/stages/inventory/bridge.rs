//! What the legacy API calls a report that it lists and the current API does not.
//!
//! The archive holds such a report under its current ID, which no legacy call takes. Whether it is the person's is known
//! only after the search, so the names of all of them are stored, and the plan takes those of its own reports.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::hit::Listed;
use crate::domain::{ErrorId, GroupId, LegacyIds};
use crate::stages::{Context, StageError};
use crate::work::{Error, names};
use crate::workflow::{Record, Step};

/// Largest part, in bytes: as many reports as an answer and the pages between two saves can hold.
const MAX_PART: usize = 64 * 1024 * 1024;

/// Both names of a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// The current ID; the legacy one of a report that has no other.
    pub error: ErrorId,
    /// Its group.
    pub group: GroupId,
    /// What the legacy API calls it.
    pub legacy: LegacyIds,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// Bridges that are not stored yet.
#[derive(Debug, Default)]
pub(super) struct Bridges(Vec<u8>);

impl Bridges {
    /// Takes down what a listed report is called.
    pub(super) fn note(&mut self, listed: &Listed) -> Result<(), StageError> {
        let Some(legacy) = listed.legacy.clone() else {
            return Ok(());
        };
        let bridge = Bridge {
            error: listed.error.clone(),
            group: listed.group.clone(),
            legacy,
            at: listed.at,
        };
        serde_json::to_writer(&mut self.0, &bridge)
            .map_err(|_error| StageError::permanent("a report's names cannot be stored"))?;
        self.0.push(b'\n');
        Ok(())
    }

    /// Those since the last time, a line each.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

/// Gives every bridge in the parts to `take`, in order, one part in memory at a time.
///
/// # Errors
/// When they cannot be read.
pub async fn each(
    cx: Context<'_>,
    record: &Record,
    step: Step,
    parts: &[String],
    mut take: impl FnMut(Bridge),
) -> Result<(), StageError> {
    let corrupt = |reason| Error::Corrupt {
        what: "a list of legacy reports",
        reason,
    };
    for part in parts {
        let name = names::bridges(&record.id, record.run, step, part);
        let read = cx.app.store.container().read(&name, MAX_PART).await;
        let stored = read.map_err(Error::from)?;
        let stored = stored.ok_or_else(|| corrupt("a part is missing".to_owned()))?;
        let lines = stored.bytes.split(|byte| *byte == b'\n');
        for line in lines.filter(|line| !line.is_empty()) {
            let bridge = serde_json::from_slice(line);
            take(bridge.map_err(|error| corrupt(format!("column {}", error.column())))?);
        }
    }
    Ok(())
}
