//! Small changes of stored state around a message, for [`super::dispatch`].

use jiff::Timestamp;

use crate::stages::{Context, StageError};
use crate::work::{Error, Slice};
use crate::workflow::join::{Root, SliceMark};
use crate::workflow::{Record, Step};

/// Marks a slice as waiting: until when, for what, and whether for a person.
pub(super) async fn mark_waiting(
    cx: Context<'_>,
    slice: &Slice,
    until: Timestamp,
    reason: &str,
    for_person: bool,
) -> Result<(), Error> {
    let mark = SliceMark {
        until: Some(until),
        waits_for: Some(reason.to_owned()),
        for_person,
        ..SliceMark::default()
    };
    cx.app
        .store
        .mark_open(&slice.request, slice.run, slice.step, slice.number, mark)
        .await?;
    Ok(())
}

/// Stored state that failed, as dispatch takes it.
pub(super) fn work<T>(result: Result<T, StageError>) -> Result<T, Error> {
    result.map_err(|error| match error {
        StageError::Work(error) => error,
        error => Error::Corrupt {
            what: "a search",
            reason: error.to_string(),
        },
    })
}

/// Notes in the record how many items a step holds.
pub(super) async fn note_planned(
    cx: Context<'_>,
    record: &Record,
    step: Step,
    root: &Root,
) -> Result<(), Error> {
    let items = root.items;
    let update = cx.app.store.update_record(&record.id, |stored| {
        if stored.run != record.run || stored.step != Some(step) {
            return Err(());
        }
        let state = stored.steps.entry(step).or_default();
        if state.planned == items {
            return Err(());
        }
        state.planned = items;
        Ok(())
    });
    update.await?;
    Ok(())
}
