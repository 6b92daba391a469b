//! What `export-configure` learned of each app, as later steps read it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::StageError;
use crate::app::App;
use crate::domain::AppRef;
use crate::workflow::{Record, Step};

/// One app of a request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AppSetup {
    /// The app; always there once the slice was cut.
    pub app: Option<AppRef>,
    /// Its ID, by which records and archive folders name it.
    #[serde(default)]
    pub app_id: Option<String>,
    /// The ID that an earlier request learned: it counts when App Center cannot be asked (any more).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remembered_id: Option<String>,
    /// Days that App Center retains diagnostics.
    #[serde(default)]
    pub retention_days: Option<u32>,
    /// What it exports with, if anything.
    #[serde(default)]
    pub export: Option<ExportState>,
    /// When the export was first seen pending.
    #[serde(default)]
    pub pending_since: Option<Timestamp>,
    /// Configuration that we created, so that it is not created twice.
    #[serde(default)]
    pub created: Option<String>,
    /// A creation was tried; whether it took effect is not known until the list says so.
    #[serde(default)]
    pub create_attempted: bool,
    /// What a person should know: changes made, limits met.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What keeps the answer from being whole.
    #[serde(default)]
    pub exceptions: Vec<String>,
}

/// An export configuration as evidence for coverage.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ExportState {
    /// Its ID.
    pub id: String,
    /// Its state, as App Center says it.
    pub state: String,
    /// When it was created.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// When it ran last.
    #[serde(default)]
    pub last_run: Option<Timestamp>,
}

/// Reads what the current run learned of each app, in the request's order.
///
/// # Errors
/// When it cannot be read.
pub async fn load(app: &App, record: &Record) -> Result<Vec<AppSetup>, StageError> {
    let mut setups = Vec::with_capacity(record.apps.len());
    for (listed, number) in record.apps.iter().zip(0_u32..) {
        let slice = app
            .store
            .slice(&record.id, record.run, Step::Configure, number)
            .await?;
        let mut setup: AppSetup = slice.body()?;
        setup.app = Some(listed.clone());
        setup.app_id = setup.app_id.or(setup.remembered_id.take());
        setups.push(setup);
    }
    Ok(setups)
}
