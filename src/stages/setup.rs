//! What `export-configure` learned of each app, as later steps read it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Context, StageError};
use crate::app::App;
use crate::config::DataPath;
use crate::domain::AppRef;
use crate::ledger::AppId;
use crate::work::names;
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
    /// It was disabled and is enabled again: what happened in between is still to be written by another one.
    #[serde(default)]
    pub misses_backfill: bool,
    /// Where what is not yet exported is got from.
    #[serde(default)]
    pub path: Path,
    /// App Center could not be asked about it.
    #[serde(default)]
    pub is_unreachable: bool,
    /// What a person should know: changes made, limits met.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What keeps the answer from being whole.
    #[serde(default)]
    pub exceptions: Vec<String>,
}

/// Where what is not yet exported is got from. An archive that exists is searched whatever this says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// From the export to Blob Storage.
    #[default]
    Blob,
    /// By API, report by report, as well.
    Api,
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

impl AppSetup {
    /// Decides, once all is known of an app, where its data is got from; the reason is for people.
    #[must_use]
    pub fn choose(&self, setting: DataPath, is_retired: bool) -> (Path, String) {
        let api = |reason: &str| (Path::Api, reason.to_owned());
        match setting {
            _ if is_retired => (Path::Blob, "App Center is set as retired".to_owned()),
            DataPath::Blob => (Path::Blob, "`APPCENTER_PATH` is `blob`".to_owned()),
            DataPath::Api => api("`APPCENTER_PATH` is `api`"),
            DataPath::Auto => match &self.export {
                _ if self.retention_days.is_some_and(|days| days > EXPORT_REACH) => {
                    api("the app retains 90 days, of which a new export holds 28")
                }
                None => api("there is no export to Blob Storage"),
                Some(export) if !export.state.eq_ignore_ascii_case("enabled") => (
                    Path::Api,
                    format!("the export is {}", export.state.to_lowercase()),
                ),
                Some(_) => (
                    Path::Blob,
                    "the app retains 28 days, and its export is enabled".to_owned(),
                ),
            },
        }
    }
}

/// Days that a new export configuration reaches back.
const EXPORT_REACH: u32 = 28;

/// The name of an app's table in the ledger.
///
/// # Errors
/// When App Center told an ID that is no UUID.
pub fn ledger_id(app_id: &str) -> Result<AppId, StageError> {
    app_id
        .parse()
        .map_err(|_error| StageError::permanent("the app's ID is no UUID"))
}

/// What is remembered of an app over requests.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    app_id: String,
}

/// The ID that App Center once told of an app.
///
/// # Errors
/// When it cannot be read.
pub async fn recall(cx: Context<'_>, app: &AppRef) -> Result<Option<String>, StageError> {
    let name = names::app(app);
    let read = cx
        .app
        .store
        .read_json::<Remembered>(&name, "an app")
        .await?;
    Ok(read.map(|(remembered, _etag)| remembered.app_id))
}

/// Without its ID nobody can tell which folders of the archive are the app's, and App Center will not tell for ever.
///
/// # Errors
/// When it cannot be stored.
pub async fn remember(cx: Context<'_>, app: &AppRef, id: &str) -> Result<(), StageError> {
    let remembered = serde_json::json!(Remembered {
        app_id: id.to_owned()
    });
    let content = remembered.to_string().into_bytes();
    let name = names::app(app);
    let store = &cx.app.store;
    store
        .put(&name, "an app", content, "application/json")
        .await?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_and_export_decide_unless_a_setting_does() {
        let export = |state: &str| {
            Some(ExportState {
                state: state.to_owned(),
                ..ExportState::default()
            })
        };
        let path = |days: u32, export: Option<ExportState>, setting, is_retired| {
            let setup = AppSetup {
                retention_days: Some(days),
                export,
                ..AppSetup::default()
            };
            setup.choose(setting, is_retired).0
        };
        assert_eq!(
            path(28, export("Enabled"), DataPath::Auto, false),
            Path::Blob
        );
        assert_eq!(
            path(90, export("enabled"), DataPath::Auto, false),
            Path::Api
        );
        for state in ["Pending", "Invalid", "Disabled", "unknown"] {
            assert_eq!(path(28, export(state), DataPath::Auto, false), Path::Api);
        }
        assert_eq!(path(28, None, DataPath::Auto, false), Path::Api);
        assert_eq!(path(90, None, DataPath::Blob, false), Path::Blob);
        assert_eq!(path(28, export("Enabled"), DataPath::Api, false), Path::Api);
        assert_eq!(path(90, None, DataPath::Api, true), Path::Blob);
    }
}
