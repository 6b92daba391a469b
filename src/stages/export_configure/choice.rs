//! Which export serves us: what we want, and which of those that are there is the best.

use secrecy::ExposeSecret as _;

use crate::appcenter::{
    ExportConfiguration, ExportState as State, ExportStorage, ExportTarget, ExportType,
};
use crate::config;
use crate::stages::setup::ExportState;
use crate::stages::{Context, StageError};

/// The export that the settings ask for; none where they ask for none.
pub(super) fn target(export: &config::ExportType) -> Result<Option<ExportTarget>, StageError> {
    let storage = match export {
        config::ExportType::None => return Ok(None),
        config::ExportType::Standard { subscription_id } => ExportStorage::LinkedSubscription {
            subscription_id: subscription_id.parse().map_err(|_error| {
                StageError::permanent("setting `EXPORT_SUBSCRIPTION_ID` is no UUID")
            })?,
        },
        config::ExportType::Custom { connection_string } => {
            ExportStorage::ConnectionString(connection_string.expose_secret().to_owned().into())
        }
    };
    Ok(Some(ExportTarget {
        storage,
        with_app_id: Some(true),
        backfill: Some(true),
    }))
}

/// Whether an export writes where the settings say, as far as the service tells. A change has to name a target, so
/// changing any other one would send somebody's export elsewhere.
pub(super) fn is_ours(configuration: &ExportConfiguration, target: &ExportTarget) -> bool {
    let is_kind = |kind: &str| configuration.kind().is_none_or(|it| it == kind);
    if !is_kind(target.storage.kind()) {
        return false;
    }
    match &target.storage {
        ExportStorage::LinkedSubscription { subscription_id } => configuration
            .subscription_id()
            .is_none_or(|it| it.parse() == Ok(*subscription_id)),
        ExportStorage::ConnectionString(text) => {
            let ours = config::Storage::ConnectionString(text.clone()).azure_account();
            let told = configuration.resource_name.as_ref();
            ours.zip(told)
                .is_none_or(|(ours, told)| ours.eq_ignore_ascii_case(told))
        }
    }
}

/// The configuration that serves us best: to Blob Storage; enabled before pending before the rest; with everything; of
/// those that leave something out, one that may be changed.
pub(super) fn best<'a>(
    listed: &'a [ExportConfiguration],
    target: Option<&ExportTarget>,
) -> Option<&'a ExportConfiguration> {
    let rank = |configuration: &ExportConfiguration| match &configuration.state {
        Some(State::Enabled) => 0,
        Some(State::Pending) => 1,
        Some(State::Disabled) => 2,
        _ => 3,
    };
    listed
        .iter()
        .filter(|it| !is_insights(it))
        .filter(|it| !matches!(it.state, Some(State::Deleted)))
        // One whose target is wrong does not stand in the way of a new one.
        .filter(|it| target.is_none() || !matches!(it.state, Some(State::Invalid)))
        .min_by_key(|it| {
            let missing = it.missing_entities().len();
            let is_others = missing > 0 && target.is_some_and(|target| !is_ours(it, target));
            (rank(it), is_others, missing)
        })
}

/// One that stands beside another: made for what the other does not write, whoever made it.
pub(super) fn beside<'a>(
    listed: &'a [ExportConfiguration],
    other: &ExportConfiguration,
) -> Option<&'a ExportConfiguration> {
    listed.iter().find(|it| {
        let writes = matches!(it.state, Some(State::Pending | State::Enabled));
        !is_insights(it) && writes && it.id != other.id
    })
}

/// Whether a configuration sends events to Application Insights: there is nothing of it to search.
pub(super) fn is_insights(configuration: &ExportConfiguration) -> bool {
    matches!(configuration.export_type, Some(ExportType::AppInsights))
}

/// Whether another one to Blob Storage is disabled: it wrote until then, and has written nothing since.
pub(super) fn others_disabled(listed: &[ExportConfiguration], best: &ExportConfiguration) -> bool {
    listed
        .iter()
        .any(|it| !is_insights(it) && it.id != best.id && it.state == Some(State::Disabled))
}

/// What is kept of a configuration.
pub(super) fn state(configuration: &ExportConfiguration) -> ExportState {
    ExportState {
        id: configuration.id.as_str().to_owned(),
        state: configuration
            .state
            .as_ref()
            .map_or_else(|| "unknown".to_owned(), ToString::to_string),
        created_at: configuration.creation_time,
        last_run: configuration.last_run_time,
    }
}

/// Whether an export was made so lately that its first run may be to come.
pub(super) fn is_new(cx: Context<'_>, configuration: &ExportConfiguration) -> bool {
    let age = |at| cx.now().duration_since(at).unsigned_abs();
    let made = configuration.creation_time;
    made.is_some_and(|at| age(at) < cx.app.config.app_center.export_pending)
}
