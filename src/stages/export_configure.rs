//! `export-configure`: learn each app's ID, and have App Center export its crashes, errors, attachments and logs.
//!
//! An export that is good enough is left alone; one that is not is changed only as far as needed, and the change is
//! noted. Nothing here deletes or disables a configuration: that may delete the archive.

use std::time::Duration;

use secrecy::ExposeSecret as _;

use super::setup::{AppSetup, ExportState, Path, Remembered, recall, remember};
use super::{Context, CutOutcome, Outcome, StageError, cut_by_app, not_known, retirement};
use crate::appcenter::{
    Client, Error, ExportConfiguration, ExportState as State, ExportStorage, ExportTarget,
    ExportType,
};
use crate::config;
use crate::domain::AppRef;
use crate::telemetry;
use crate::work::{Slice, SliceEnd};
use crate::workflow::Record;

/// How often a pending export is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// Why an export cannot be relied on that is enabled.
const LEAVES_OUT: &str = "the export leaves out crashes, errors or attachments";

/// One slice an app.
pub(super) fn cut(record: &Record) -> Result<CutOutcome, StageError> {
    cut_by_app(record, |app| AppSetup {
        app: Some(app.clone()),
        ..AppSetup::default()
    })
}

/// Sets up one app.
pub(super) async fn run(
    cx: Context<'_>,
    _record: &Record,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    let mut setup: AppSetup = slice.body()?;
    let Some(app) = setup.app.clone() else {
        return Err(StageError::permanent("the slice names no app"));
    };
    let mut remembered = recall(cx, &app).await?;
    if setup.remembered_id.is_none() {
        setup.remembered_id.clone_from(&remembered.app_id);
        slice.set_body(&setup)?;
    }
    setup.completed_at = remembered.completed_at;
    if cx.app.config.app_center.retired {
        note(
            &mut setup.exceptions,
            "App Center is set as retired: it was not asked",
        );
        note_unknown(&mut setup);
        slice.set_body(&setup)?;
        return Ok(done());
    }
    let mut outcome = set_up(cx, &app, slice, &mut setup, &mut remembered).await;
    if let Err(error) = outcome {
        outcome = match retirement::conclude(cx, &app, &mut remembered, &error).await? {
            Some(evidence) => {
                retire(&mut setup, &evidence);
                slice.set_body(&setup)?;
                return Ok(done());
            }
            None => Err(error),
        };
    } else {
        retirement::alive(cx, &app, &mut remembered).await?;
    }
    if matches!(outcome, Ok(Outcome::Over(_))) {
        choose_path(cx, &mut setup);
    }
    slice.set_body(&setup)?;
    outcome
}

/// Goes on without App Center: what the archive holds is searched and delivered all the same.
fn retire(setup: &mut AppSetup, evidence: &str) {
    setup.path = Path::Blob;
    setup.is_unreachable = true;
    setup.is_retired = true;
    note(
        &mut setup.exceptions,
        format!(
            "App Center counts as retired: {evidence}. It was not asked for newer crashes, errors and logs, nor for reports that the archive does not name, and nothing can be blocked or deleted there"
        ),
    );
    note_unknown(setup);
}

/// Decides where the app's data is got from, and says so where it is not the usual way.
fn choose_path(cx: Context<'_>, setup: &mut AppSetup) {
    let settings = &cx.app.config.app_center;
    let (path, reason) = setup.choose(settings.path, settings.retired, cx.now());
    setup.path = path;
    if path == Path::Api {
        note(
            &mut setup.notes,
            format!("crashes and errors are got by API, report by report, as well: {reason}"),
        );
    }
}

fn done() -> Outcome {
    Outcome::Over(SliceEnd {
        done: 1,
        ..SliceEnd::default()
    })
}

fn note(notes: &mut Vec<String>, text: impl Into<String>) {
    let text = text.into();
    if !notes.contains(&text) {
        notes.push(text);
    }
}

async fn set_up(
    cx: Context<'_>,
    app: &AppRef,
    slice: &mut Slice,
    setup: &mut AppSetup,
    remembered: &mut Remembered,
) -> Result<Outcome, StageError> {
    let client = cx.app.app_center()?;
    if setup.app_id.is_none() {
        let id = app_id(client, app).await?;
        if remembered.app_id.as_ref() != Some(&id) {
            let known = Some(id.clone());
            *remembered = remember(cx, app, |it| it.app_id.clone_from(&known)).await?;
        }
        setup.app_id = Some(id);
    }
    if setup.retention_days.is_none() {
        setup.retention_days = match client.retention(app).await {
            Ok(days) => Some(days),
            Err(Error::NotFound(_) | Error::Gone | Error::Rejected { .. }) => {
                note(&mut setup.notes, "the retention setting could not be read");
                Some(28)
            }
            Err(error) => return Err(error.into()),
        };
    }
    let listed = match client.export_configurations(app).await {
        Ok(listed) => listed,
        Err(Error::NotFound(_)) => return Err(not_known(client, app).await),
        Err(Error::Gone | Error::Rejected { .. }) => {
            note(
                &mut setup.exceptions,
                "export configurations could not be listed: only what the archive holds already was searched",
            );
            return Ok(done());
        }
        Err(error) => return Err(error.into()),
    };
    let target = target(&cx.app.config.app_center.export)?;
    let Some(best) = best(&listed, target.as_ref()) else {
        return create(cx, client, app, slice, setup, target).await;
    };
    setup.export = Some(state(best));
    say_where(cx, setup, best);
    // What a new one backfills is there only after it has run.
    let made = setup.created.as_deref();
    if let Some(made) = listed.iter().find(|it| Some(it.id.as_str()) == made) {
        let is_waiting = match &made.state {
            Some(State::Pending) => true,
            Some(State::Enabled) => made.last_run_time.is_none(),
            _ => false,
        };
        if is_waiting {
            return Ok(pending(cx, setup));
        }
    }
    match (&best.state, target) {
        (Some(State::Pending), _) => Ok(pending(cx, setup)),
        // A new one, whoever made it (our own creation may have been lost with its answer): its backfill is to come.
        (Some(State::Enabled), _) if best.last_run_time.is_none() && is_new(cx, best) => {
            Ok(pending(cx, setup))
        }
        (Some(State::Enabled), Some(target)) if setup.misses_backfill => {
            // The answer to a creation may have been lost: then another one is there.
            let beside = listed.iter().find(|it| {
                it.id != best.id && matches!(it.state, Some(State::Pending | State::Enabled))
            });
            if let Some(beside) = beside {
                setup.misses_backfill = false;
                setup.created = Some(beside.id.as_str().to_owned());
                return Ok(pending(cx, setup));
            }
            create(cx, client, app, slice, setup, Some(target)).await
        }
        (Some(State::Enabled), target) => {
            complete(cx, (client, app), setup, best, target.as_ref(), remembered).await
        }
        (Some(State::Disabled), Some(target)) => {
            tell_disabled(slice, app, "enabled");
            // One that is enabled again writes nothing of the time in between; a new one beside it does.
            setup.misses_backfill = true;
            slice.set_body(setup)?;
            cx.app.store.save_slice(slice).await?;
            match client.enable_export_configuration(app, &best.id).await {
                Ok(()) => note(
                    &mut setup.notes,
                    "the export configuration was disabled and has been enabled",
                ),
                Err(error @ (Error::Rejected { .. } | Error::NotFound(_) | Error::Gone)) => {
                    setup.misses_backfill = false;
                    note(
                        &mut setup.exceptions,
                        format!("the export is disabled and could not be enabled: {error}"),
                    );
                    return Ok(done());
                }
                Err(error) => return Err(error.into()),
            }
            create(cx, client, app, slice, setup, Some(target)).await
        }
        _ => {
            if best.state == Some(State::Disabled) {
                tell_disabled(slice, app, "left");
            }
            let state = state(best).state;
            note(
                &mut setup.exceptions,
                format!(
                    "the export configuration is {}: newer data is not in the archive",
                    state.to_lowercase()
                ),
            );
            Ok(done())
        }
    }
}

/// Tells that an app's best export is disabled, and what is done about it.
fn tell_disabled(slice: &Slice, app: &AppRef, action: &'static str) {
    telemetry::event(telemetry::Event::ExportDisabled {
        request: slice.request.as_str(),
        app: &app.to_string(),
        state: "Disabled",
        action,
    });
}

/// Whether an export was made so lately that its first run may be to come.
fn is_new(cx: Context<'_>, configuration: &ExportConfiguration) -> bool {
    let age = |at| cx.now().duration_since(at).unsigned_abs();
    let made = configuration.creation_time;
    made.is_some_and(|at| age(at) < cx.app.config.app_center.export_pending)
}

/// Says where a standard export writes: to an account that App Center made. One that is not searched is an exception.
fn say_where(cx: Context<'_>, setup: &mut AppSetup, best: &ExportConfiguration) {
    let is_standard = best.kind() == Some("blob_storage_linked_subscription");
    let (true, Some(account)) = (is_standard, &best.resource_name) else {
        return;
    };
    match cx.app.config.archive.azure_account() {
        Some(ours) if !ours.eq_ignore_ascii_case(account) => {
            setup.shortfall = Some("the export writes to another storage account".to_owned());
            note(
                &mut setup.exceptions,
                format!(
                    "the export writes to the storage account `{account}`, and `ARCHIVE_STORAGE` is `{ours}`: what it writes is not searched"
                ),
            );
        }
        _ => note(
            &mut setup.notes,
            format!("the export writes to the storage account `{account}`"),
        ),
    }
}

fn note_unknown(setup: &mut AppSetup) {
    if setup.app_id.is_none() && setup.remembered_id.is_none() {
        note(
            &mut setup.exceptions,
            "App Center never told the app's ID, by which the archive names its data: nothing could be searched",
        );
    }
}

/// The app's ID; a 404 is believed only when it comes twice and the same token can do something else.
async fn app_id(client: &Client, app: &AppRef) -> Result<String, StageError> {
    match client.app(app).await {
        Ok(app) => Ok(app.id.to_string()),
        Err(Error::NotFound(_)) => Err(not_known(client, app).await),
        Err(error) => Err(error.into()),
    }
}

fn target(export: &config::ExportType) -> Result<Option<ExportTarget>, StageError> {
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
        with_app_id: true,
        backfill: true,
    }))
}

/// The configuration that serves us best: to Blob Storage; enabled before pending before the rest; with everything.
fn best<'a>(
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
        .filter(|it| !matches!(it.export_type, Some(ExportType::AppInsights)))
        .filter(|it| !matches!(it.state, Some(State::Deleted)))
        // One whose target is wrong does not stand in the way of a new one.
        .filter(|it| target.is_none() || !matches!(it.state, Some(State::Invalid)))
        .min_by_key(|it| (rank(it), it.missing_entities().len()))
}

fn state(configuration: &ExportConfiguration) -> ExportState {
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

async fn create(
    cx: Context<'_>,
    client: &Client,
    app: &AppRef,
    slice: &mut Slice,
    setup: &mut AppSetup,
    target: Option<ExportTarget>,
) -> Result<Outcome, StageError> {
    let Some(target) = target else {
        note(
            &mut setup.exceptions,
            "the app has no export to Blob Storage, and EXPORT_TYPE is `none`: of log rows, only what the archive holds already was searched",
        );
        return Ok(done());
    };
    // The list was read just now, so a creation whose answer was lost shows in it and is not repeated.
    setup.create_attempted = true;
    slice.set_body(setup)?;
    cx.app.store.save_slice(slice).await?;
    match client.create_export_configuration(app, &target).await {
        Ok(created) => {
            setup.misses_backfill = false;
            setup.created = Some(created.id.as_str().to_owned());
            if setup.export.is_none() {
                setup.export = Some(state(&created));
            }
            note(&mut setup.notes, "an export configuration was created");
            Ok(pending(cx, setup))
        }
        Err(Error::NotFound(_)) => Err(not_known(client, app).await),
        Err(error @ Error::Rejected { .. }) => {
            setup.misses_backfill = false;
            if setup.export.is_some() {
                // What it did not write is missing for later requests, too.
                let now = cx.now();
                let known = remember(cx, app, |it| it.completed_at = Some(now)).await?;
                setup.completed_at = known.completed_at;
            }
            // Deleting the old one would make room, and may delete the archive: that is for a person.
            let text = if setup.export.is_some() {
                format!(
                    "the export was disabled, and a second one, which would write what is missing, was refused: {error}; a person must decide what becomes of the old one"
                )
            } else {
                format!("an export could not be created: {error}")
            };
            note(&mut setup.exceptions, text);
            Ok(done())
        }
        Err(error) => Err(error.into()),
    }
}

fn pending(cx: Context<'_>, setup: &mut AppSetup) -> Outcome {
    let since = *setup.pending_since.get_or_insert(cx.now());
    let waited = cx.now().duration_since(since).unsigned_abs();
    if waited >= cx.app.config.app_center.export_pending {
        setup.shortfall = Some("the export stays pending".to_owned());
        note(
            &mut setup.exceptions,
            "the export configuration stays pending: newer data may not be in the archive",
        );
        return done();
    }
    Outcome::Wait {
        until: cx.after(LOOK.min(cx.app.config.limits.retry_longest)),
        reason: "App Center is setting up the export (pending)".to_owned(),
    }
}

/// An enabled export: have it write what it leaves out, and wait for a first run of one that we created.
async fn complete(
    cx: Context<'_>,
    (client, app): (&Client, &AppRef),
    setup: &mut AppSetup,
    best: &ExportConfiguration,
    target: Option<&ExportTarget>,
    remembered: &mut Remembered,
) -> Result<Outcome, StageError> {
    let missing = best.missing_entities();
    if missing.is_empty() {
        return Ok(done());
    }
    let leaves_out_reports = missing.iter().any(|it| *it != "logs");
    let missing = missing.join(", ");
    let Some(target) = target else {
        setup.shortfall = leaves_out_reports.then(|| LEAVES_OUT.to_owned());
        note(
            &mut setup.exceptions,
            format!("the export leaves out {missing}, and EXPORT_TYPE is `none`"),
        );
        return Ok(done());
    };
    // Keep its folders as they are: a changed path applies to later data only.
    let target = ExportTarget {
        with_app_id: best.is_with_app_id().unwrap_or(false),
        ..target.clone()
    };
    // It writes nothing of the time before. Remembered first: once it is changed nothing tells any more that it was not.
    if leaves_out_reports {
        let now = cx.now();
        *remembered = remember(cx, app, |it| it.completed_at = Some(now)).await?;
        setup.completed_at = remembered.completed_at;
    }
    match client
        .update_export_configuration(app, &best.id, &target)
        .await
    {
        Ok(_changed) => {
            note(
                &mut setup.notes,
                format!(
                    "the export left out {missing}; it has been changed to write them from now on"
                ),
            );
            Ok(done())
        }
        Err(error @ Error::Rejected { .. }) => {
            setup.shortfall = leaves_out_reports.then(|| LEAVES_OUT.to_owned());
            note(
                &mut setup.exceptions,
                format!("the export leaves out {missing} and could not be changed: {error}"),
            );
            Ok(done())
        }
        Err(error) => Err(error.into()),
    }
}

/// Goes on without an app that cannot be set up: the report says so.
pub(super) fn give_up(slice: &mut Slice, reason: &str) -> Result<SliceEnd, StageError> {
    let mut setup: AppSetup = slice.body()?;
    note(&mut setup.exceptions, reason);
    note_unknown(&mut setup);
    setup.path = Path::Blob;
    // Once App Center told the app's ID, it can be asked for the rest.
    setup.is_unreachable = setup.app_id.is_none();
    slice.set_body(&setup)?;
    Ok(SliceEnd {
        failed: 1,
        ..SliceEnd::default()
    })
}
