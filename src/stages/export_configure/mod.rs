//! `export-configure`: learn each app's ID, and have App Center export its crashes, errors, attachments and logs.
//!
//! An export that is good enough is left alone; one that is not is changed only as far as needed, and the change is
//! noted. Nothing here deletes or disables a configuration: that may delete the archive.

mod accounts;
mod change;
mod choice;

use self::change::{Why, complete, create, look_for_made, pending};
use self::choice::{beside, best, is_insights, is_new, others_disabled, state, target};
use super::setup::{AppSetup, Path, Remembered, recall, remember};
use super::{Context, CutOutcome, Outcome, StageError, cut_by_app, not_known, retirement};
use crate::appcenter::{Client, Error, ExportState as State};
use crate::domain::{AppRef, retired};
use crate::telemetry;
use crate::work::{Slice, SliceEnd};
use crate::workflow::Record;

/// What is said of an export that is enabled again.
const ENABLED: &str = "the export configuration was disabled and has been enabled";

/// What is not asked of a service that is retired.
const NOT_ASKED: &str = "It was not asked for newer crashes, errors and logs, nor for reports that the archive does not name, and nothing can be blocked or deleted there";

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
    let known = remembered.accounts.iter().cloned();
    setup.remembered_accounts.extend(known);
    setup.completed_at = remembered.completed_at;
    if !setup.is_settled {
        let outcome = ask(cx, &app, slice, &mut setup, &mut remembered).await;
        setup.is_settled = matches!(outcome, Ok(Outcome::Over(_)));
        slice.set_body(&setup)?;
        if outcome.is_ok() {
            slice.state.forget_tries();
        }
        if !setup.is_settled {
            return outcome;
        }
    }
    // What may be read is decided once App Center has told all: each look counts anew.
    let found = accounts::find(cx, &app, &mut setup, &remembered, &slice.state).await;
    if found.is_ok() && !setup.is_retired {
        choose_path(cx, &mut setup);
    }
    slice.set_body(&setup)?;
    found.map(|()| done())
}

/// Asks App Center, as far as it can be asked.
async fn ask(
    cx: Context<'_>,
    app: &AppRef,
    slice: &mut Slice,
    setup: &mut AppSetup,
    remembered: &mut Remembered,
) -> Result<Outcome, StageError> {
    if cx.app.config.app_center.retired {
        note(
            &mut setup.exceptions,
            format!("App Center is set as retired. {NOT_ASKED}"),
        );
        note_unknown(setup);
        return Ok(done());
    }
    match set_up(cx, app, slice, setup, remembered).await {
        Ok(outcome) => {
            retirement::alive(cx, app, remembered).await?;
            Ok(outcome)
        }
        Err(error) => match retirement::conclude(cx, app, remembered, &error).await? {
            Some(evidence) => {
                retire(setup, &evidence);
                Ok(done())
            }
            None => Err(error),
        },
    }
}

/// Goes on without App Center: what the archive holds is searched and delivered all the same.
fn retire(setup: &mut AppSetup, evidence: &str) {
    setup.path = Path::Blob;
    setup.path_reason = Some(retired::CONCLUDED.to_owned());
    setup.is_unreachable = true;
    setup.is_retired = true;
    note(
        &mut setup.exceptions,
        format!("{}: {evidence}. {NOT_ASKED}", retired::CONCLUDED),
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
    setup.path_reason = Some(reason);
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
            setup.shortfall = Some("its export configurations could not be listed".to_owned());
            note(
                &mut setup.exceptions,
                "export configurations could not be listed: only what the archive holds already was searched",
            );
            return Ok(done());
        }
        Err(error) => return Err(error.into()),
    };
    look_for_made(setup, &listed);
    let target = target(&cx.app.config.app_center.export)?;
    let best = best(&listed, target.as_ref());
    setup.writers = accounts::writers(&listed, best);
    let Some(best) = best else {
        let Some(target) = target else {
            if listed.iter().any(is_insights) {
                let shortfall = "its export goes to Application Insights only";
                setup.shortfall = Some(shortfall.to_owned());
            }
            note(
                &mut setup.exceptions,
                "the app has no export to Blob Storage, and EXPORT_TYPE is `none`: of log rows, only what the archive holds already was searched",
            );
            return Ok(done());
        };
        let of = (&target, listed.as_slice());
        return create(cx, (client, app), slice, setup, of, Why::None).await;
    };
    setup.export = Some(state(best));
    if others_disabled(&listed, best) {
        note(
            &mut setup.notes,
            "another export configuration of the app is disabled, and was left so",
        );
    }
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
            // The answer that said so may have been lost.
            note(&mut setup.notes, ENABLED);
            // The answer to a creation may have been lost: then another one is there.
            if let Some(beside) = beside(&listed, best) {
                setup.misses_backfill = false;
                setup.created = Some(beside.id.as_str().to_owned());
                return Ok(pending(cx, setup));
            }
            let of = (&target, listed.as_slice());
            create(cx, (client, app), slice, setup, of, Why::Disabled).await
        }
        (Some(State::Enabled), target) => {
            let of = (best, listed.as_slice());
            complete(cx, (client, app), slice, setup, of, target.as_ref()).await
        }
        (Some(State::Disabled), Some(target)) => {
            tell_disabled(slice, app, "enabled");
            // One that is enabled again writes nothing of the time in between; a new one beside it does.
            setup.misses_backfill = true;
            slice.set_body(setup)?;
            cx.app.store.save_slice(slice).await?;
            match client.enable_export_configuration(app, &best.id).await {
                Ok(()) => note(&mut setup.notes, ENABLED),
                // It was listed just now.
                Err(Error::NotFound(_)) => return Err(not_known(client, app).await),
                Err(error @ (Error::Rejected { .. } | Error::Gone)) => {
                    setup.misses_backfill = false;
                    note(
                        &mut setup.exceptions,
                        format!("the export is disabled and could not be enabled: {error}"),
                    );
                    return Ok(done());
                }
                Err(error) => return Err(error.into()),
            }
            let of = (&target, listed.as_slice());
            create(cx, (client, app), slice, setup, of, Why::Disabled).await
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

/// Goes on without an app that cannot be set up: the report says so. Once App Center told the app's ID, the API can be
/// asked for the rest.
pub(super) fn give_up(
    cx: Context<'_>,
    slice: &mut Slice,
    reason: &str,
) -> Result<SliceEnd, StageError> {
    let mut setup: AppSetup = slice.body()?;
    note(&mut setup.exceptions, reason);
    note_unknown(&mut setup);
    setup.is_unreachable = setup.app_id.is_none();
    // Whether they can be read is not known: the search finds out.
    setup.accounts.append(&mut setup.remembered_accounts);
    if setup.is_unreachable {
        setup.path = Path::Blob;
        setup.path_reason = Some("App Center could not be asked about the app".to_owned());
    } else {
        // What was seen of an export before counts no more: what it lacks was not made up for.
        let reason = || "its export could not be set up".to_owned();
        setup.shortfall.get_or_insert_with(reason);
        choose_path(cx, &mut setup);
    }
    slice.set_body(&setup)?;
    Ok(SliceEnd {
        failed: 1,
        ..SliceEnd::default()
    })
}
