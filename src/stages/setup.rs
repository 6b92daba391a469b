//! What `export-configure` learned of each app, as later steps read it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Context, StageError};
use crate::app::App;
use crate::config::DataPath;
use crate::domain::{AppRef, retired};
use crate::ledger::AppId;
use crate::work::{self, names};
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
    /// App Center told all that it is asked for: only the accounts are to be looked at.
    #[serde(default)]
    pub is_settled: bool,
    /// What its standard exports write or wrote to, by their configurations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writers: Vec<Writer>,
    /// Accounts that hold what its exports wrote, beside the one that is set: they are searched.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub accounts: BTreeSet<String>,
    /// Those that earlier requests found: they count when this one cannot find out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub remembered_accounts: BTreeSet<String>,
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
    /// One that is being created; whether it took effect, the list says when the answer is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub making: Option<Making>,
    /// What a change that is under way adds to an export, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changing: Option<String>,
    /// It was disabled and is enabled again: what happened in between is still to be written by another one.
    #[serde(default)]
    pub misses_backfill: bool,
    /// Since when its export writes everything: crashes and errors of before are not all there.
    #[serde(default)]
    pub completed_at: Option<Timestamp>,
    /// Why its export cannot be relied on, if it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortfall: Option<String>,
    /// Where what is not yet exported is got from.
    #[serde(default)]
    pub path: Path,
    /// Why from there, for people; none before it was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_reason: Option<String>,
    /// App Center could not be asked about it.
    #[serde(default)]
    pub is_unreachable: bool,
    /// App Center is retired, by the evidence that `retirement` asks for: no later step asks it about the app.
    #[serde(default)]
    pub is_retired: bool,
    /// What a person should know: changes made, limits met.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What keeps the answer from being whole.
    #[serde(default)]
    pub exceptions: Vec<String>,
}

/// An export configuration that is being created.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Making {
    /// Those that were there before.
    pub known: BTreeSet<String>,
    /// What is said once it is there.
    pub notes: Vec<String>,
}

/// A storage account as an export configuration names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// Its name, as App Center says it.
    pub account: String,
    /// The configuration is in use.
    #[serde(default)]
    pub is_writing: bool,
    /// It is the one by which new data comes.
    #[serde(default)]
    pub is_best: bool,
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
    pub fn choose(&self, setting: DataPath, is_retired: bool, now: Timestamp) -> (Path, String) {
        let api = |reason: &str| (Path::Api, reason.to_owned());
        let reach = SignedDuration::from_hours(24 * i64::from(EXPORT_REACH));
        let is_recent = |at: Timestamp| now.duration_since(at) < reach;
        match setting {
            _ if is_retired => (Path::Blob, "App Center is set as retired".to_owned()),
            DataPath::Blob => (Path::Blob, "`APPCENTER_PATH` is `blob`".to_owned()),
            DataPath::Api => api("`APPCENTER_PATH` is `api`"),
            DataPath::Auto => match &self.export {
                _ if self.retention_days.is_some_and(|days| days > EXPORT_REACH) => {
                    api("the app retains 90 days, of which a new export holds 28")
                }
                None => {
                    let reason = self.shortfall.as_deref();
                    api(reason.unwrap_or("there is no export to Blob Storage"))
                }
                Some(export) if !export.state.eq_ignore_ascii_case("enabled") => (
                    Path::Api,
                    format!("the export is {}", export.state.to_lowercase()),
                ),
                Some(_) if self.shortfall.is_some() => {
                    api(self.shortfall.as_deref().unwrap_or_default())
                }
                Some(_) if self.completed_at.is_some_and(is_recent) => {
                    api("the export did not write everything until a short time ago")
                }
                Some(_) => (
                    Path::Blob,
                    "the app retains 28 days, and its export is enabled".to_owned(),
                ),
            },
        }
    }
}

/// How often what others change at the same time is read again.
const MAX_LOST: u32 = 5;
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The ID that App Center once told: without it nobody can tell which folders of the archive are the app's, and App
    /// Center will not tell for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// Accounts that its exports were seen to write to: App Center will not tell for ever.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub accounts: BTreeSet<String>,
    /// Since when its export writes everything, where it did not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Since when App Center has answered neither about the app nor about the token's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_since: Option<Timestamp>,
    /// When it was last seen not to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_at: Option<Timestamp>,
}

/// What is remembered of an app.
///
/// # Errors
/// When it cannot be read.
pub async fn recall(cx: Context<'_>, app: &AppRef) -> Result<Remembered, StageError> {
    let name = names::app(app);
    let store = &cx.app.store;
    let read = store.read_json(&name, "an app").await?;
    Ok(read
        .map(|(remembered, _etag)| remembered)
        .unwrap_or_default())
}

/// Changes what is remembered of an app; others may do so at the same time. Gives what is remembered then.
///
/// # Errors
/// When it cannot be read or stored.
pub async fn remember(
    cx: Context<'_>,
    app: &AppRef,
    change: impl Fn(&mut Remembered),
) -> Result<Remembered, StageError> {
    let name = names::app(app);
    let store = &cx.app.store;
    let mut tries = 0;
    loop {
        let read = store.read_json::<Remembered>(&name, "an app").await?;
        let (known, etag) = read.unzip();
        let known = known.unwrap_or_default();
        let mut changed = known.clone();
        change(&mut changed);
        if changed == known {
            return Ok(known);
        }
        match store
            .replace_json(&name, "an app", &changed, etag.as_ref())
            .await
        {
            Ok(_etag) => return Ok(changed),
            Err(work::Error::Lost { .. }) if tries < MAX_LOST => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether App Center is retired for an app, by the setting or by the evidence of this run.
#[must_use]
pub fn is_retired(app: &App, setups: &[AppSetup], of: &AppRef) -> bool {
    let mut setups = setups.iter();
    let is_concluded = |setup: &AppSetup| setup.is_retired && setup.app.as_ref() == Some(of);
    app.config.app_center.retired || setups.any(is_concluded)
}

/// What becomes of an item that only a service could do which is retired.
#[must_use]
pub fn retired() -> StageError {
    StageError::permanent(retired::NOT_ASKED)
}

/// Reads what the current run learned of each app, in the request's order.
///
/// # Errors
/// When it cannot be read.
pub async fn load(app: &App, record: &Record) -> Result<Vec<AppSetup>, StageError> {
    let mut setups = Vec::with_capacity(record.apps.len());
    for (listed, number) in record.apps.iter().zip(0_u32..) {
        let state = app
            .store
            .slice_state(record, Step::Configure, number)
            .await?;
        let mut setup: AppSetup = state.body()?;
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
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().expect("a time");
        let path = |days: u32, export: Option<ExportState>, setting, is_retired| {
            let setup = AppSetup {
                retention_days: Some(days),
                export,
                ..AppSetup::default()
            };
            setup.choose(setting, is_retired, now).0
        };
        for (days, expected) in [(0, Path::Api), (27, Path::Api), (28, Path::Blob)] {
            let setup = AppSetup {
                retention_days: Some(28),
                export: export("Enabled"),
                completed_at: Some(now - SignedDuration::from_hours(24 * days)),
                ..AppSetup::default()
            };
            let chosen = setup.choose(DataPath::Auto, false, now).0;
            assert_eq!(chosen, expected, "completed {days} days ago");
        }
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
