//! What is changed at App Center: an export is made, or made to write what it leaves out.

use std::time::Duration;

use super::choice::{beside, is_ours, state};
use super::{done, note};
use crate::appcenter::{Client, Error, ExportConfiguration, ExportTarget};
use crate::domain::AppRef;
use crate::stages::setup::{AppSetup, Making, remember};
use crate::stages::{Context, Outcome, StageError, not_known};
use crate::work::Slice;

/// How often a pending export is looked at.
const LOOK: Duration = Duration::from_secs(30);
/// Why an export cannot be relied on that is enabled.
const LEAVES_OUT: &str = "the export leaves out crashes, errors or attachments";

/// Why an export is made.
pub(super) enum Why {
    /// There is none.
    None,
    /// The one that is there was disabled.
    Disabled,
    /// The one that is there writes elsewhere, so it is not changed, and leaves out this.
    LeavesOut(Vec<&'static str>),
}

/// Makes an export. The list was read just now: one that is there already is not made again.
pub(super) async fn create(
    cx: Context<'_>,
    (client, app): (&Client, &AppRef),
    slice: &mut Slice,
    setup: &mut AppSetup,
    (target, listed): (&ExportTarget, &[ExportConfiguration]),
    why: Why,
) -> Result<Outcome, StageError> {
    let mut notes = Vec::new();
    if let Why::LeavesOut(missing) = &why {
        notes.push(format!(
            "the export leaves out {} and does not write where the settings say, so it was not changed",
            missing.join(", ")
        ));
    }
    notes.push("an export configuration was created".to_owned());
    // Stored first: where the answer is lost, the next list tells that it took effect.
    let known = listed.iter().map(|it| it.id.as_str().to_owned()).collect();
    setup.making = Some(Making { known, notes });
    slice.set_body(setup)?;
    cx.app.store.save_slice(slice).await?;
    match client.create_export_configuration(app, target).await {
        Ok(created) => {
            made(setup, created.id.as_str());
            if setup.export.is_none() {
                setup.export = Some(state(&created));
            }
            Ok(pending(cx, setup))
        }
        Err(Error::NotFound(_)) => Err(not_known(client, app).await),
        Err(error @ Error::Rejected { .. }) => {
            setup.making = None;
            setup.misses_backfill = false;
            let text = match why {
                Why::None => {
                    let text = format!("an export could not be created: {error}");
                    setup.shortfall = Some(text.clone());
                    text
                }
                Why::Disabled => {
                    // What it did not write is missing for later requests, too.
                    let now = cx.now();
                    let known = remember(cx, app, |it| it.completed_at = Some(now)).await?;
                    setup.completed_at = known.completed_at;
                    // Deleting the old one would make room, and may delete the archive: that is for a person.
                    format!(
                        "the export was disabled, and a second one, which would write what is missing, was refused: {error}; a person must decide what becomes of the old one"
                    )
                }
                Why::LeavesOut(missing) => {
                    setup.shortfall = shortfall(&missing);
                    format!(
                        "the export leaves out {} and does not write where the settings say, so it was not changed, and a second one was refused: {error}; a person must decide what becomes of the old one",
                        missing.join(", ")
                    )
                }
            };
            note(&mut setup.exceptions, text);
            Ok(done())
        }
        Err(error) => Err(error.into()),
    }
}

/// Notes that an export was made.
fn made(setup: &mut AppSetup, id: &str) {
    setup.misses_backfill = false;
    setup.created = Some(id.to_owned());
    for text in setup.making.take().unwrap_or_default().notes {
        note(&mut setup.notes, text);
    }
}

/// Looks whether a creation took effect whose answer is not known.
pub(super) fn look_for_made(setup: &mut AppSetup, listed: &[ExportConfiguration]) {
    let Some(making) = &setup.making else { return };
    let mut new = listed.iter().map(|it| it.id.as_str());
    if let Some(id) = new.find(|id| !making.known.contains(*id)) {
        made(setup, id);
    }
}

/// Waits for an export that is being set up, up to a limit.
pub(super) fn pending(cx: Context<'_>, setup: &mut AppSetup) -> Outcome {
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

/// Without crashes, errors or attachments an export is not enough; log rows are a thing of their own.
fn shortfall(missing: &[&str]) -> Option<String> {
    let leaves_out_reports = missing.iter().any(|it| *it != "logs");
    leaves_out_reports.then(|| LEAVES_OUT.to_owned())
}

/// An enabled export: have what it leaves out written, by itself where it writes to the target, else by another one.
pub(super) async fn complete(
    cx: Context<'_>,
    (client, app): (&Client, &AppRef),
    slice: &mut Slice,
    setup: &mut AppSetup,
    (best, listed): (&ExportConfiguration, &[ExportConfiguration]),
    target: Option<&ExportTarget>,
) -> Result<Outcome, StageError> {
    let left_out = best.missing_entities();
    if left_out.is_empty() {
        changed(setup);
        return Ok(done());
    }
    let missing = left_out.join(", ");
    let Some(target) = target else {
        setup.shortfall = shortfall(&left_out);
        note(
            &mut setup.exceptions,
            format!("the export leaves out {missing}, and EXPORT_TYPE is `none`"),
        );
        return Ok(done());
    };
    if !is_ours(best, target) {
        // The answer to a creation may have been lost, or another request made it: then it is there.
        if let Some(made) = beside(listed, best).filter(|it| is_ours(it, target)) {
            setup.created = Some(made.id.as_str().to_owned());
            return Ok(pending(cx, setup));
        }
        let why = Why::LeavesOut(left_out);
        let of = (target, listed);
        return create(cx, (client, app), slice, setup, of, why).await;
    }
    let change = ExportTarget {
        // Keep its folders as they are: a changed path applies to later data only.
        with_app_id: best.is_with_app_id(),
        backfill: None,
        ..target.clone()
    };
    // It writes nothing of the time before. Remembered first: once it is changed nothing tells any more that it was not.
    if shortfall(&left_out).is_some() {
        let now = cx.now();
        let known = remember(cx, app, |it| it.completed_at = Some(now)).await?;
        setup.completed_at = known.completed_at;
    }
    setup.changing = Some(missing.clone());
    slice.set_body(setup)?;
    cx.app.store.save_slice(slice).await?;
    match client
        .update_export_configuration(app, &best.id, &change)
        .await
    {
        // What the answer says is what was asked for; what is in force is looked up.
        Ok(_answer) => match client.export_configuration(app, &best.id).await {
            Ok(now) => {
                let still = now.missing_entities();
                if still.is_empty() {
                    changed(setup);
                } else {
                    setup.changing = None;
                    setup.shortfall = shortfall(&still);
                    let still = still.join(", ");
                    note(
                        &mut setup.exceptions,
                        format!("the export was changed and leaves out {still} all the same"),
                    );
                }
                Ok(done())
            }
            Err(Error::NotFound(_)) => Err(not_known(client, app).await),
            Err(error) => Err(error.into()),
        },
        // It was listed just now.
        Err(Error::NotFound(_)) => Err(not_known(client, app).await),
        Err(error @ Error::Rejected { .. }) => {
            setup.changing = None;
            setup.shortfall = shortfall(&left_out);
            note(
                &mut setup.exceptions,
                format!("the export leaves out {missing} and could not be changed: {error}"),
            );
            Ok(done())
        }
        Err(error) => Err(error.into()),
    }
}

/// Notes a change that took effect.
fn changed(setup: &mut AppSetup) {
    if let Some(missing) = setup.changing.take() {
        note(
            &mut setup.notes,
            format!("the export left out {missing}; it has been changed to write them from now on"),
        );
    }
}
