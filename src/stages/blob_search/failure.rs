//! A day that could not be searched: its tries, and what waits for it.

use std::time::Duration;

use jiff::civil::Date;

use super::observe;
use super::pass::DayPass;
use super::seat::{join, seats};
use crate::domain::{AppRef, RequestId};
use crate::stages::{Context, StageError, Wait, tries};
use crate::work::Error;
use crate::workflow::Step;
use crate::workflow::join::SliceMark;

/// Counts a failed try of a day for every request that waits for it, and gives up those that were tried enough.
///
/// # Errors
/// When the slices cannot be read or written.
pub async fn count_failure(
    cx: Context<'_>,
    app: &AppRef,
    day: Date,
    error: &StageError,
    pass: &mut DayPass,
) -> Result<Duration, StageError> {
    // Who joined while it went counts as well.
    pass.seen.clear();
    let seats = seats(cx, app, day, pass).await?;
    let limits = &cx.app.config.limits;
    let now = cx.now();
    let reason = error.to_string();
    let wait = match error {
        StageError::Retry { wait, .. } => *wait,
        _ => Wait::Backoff,
    };
    let mut latest = now;
    for mut seat in seats.into_iter().flatten() {
        let next = tries::count(&mut seat.slice.state, wait, limits, now);
        if next.is_none() {
            let end = super::give_up(&mut seat.slice, &reason)?;
            seat.slice.state.end = Some(end);
        }
        match cx.app.store.save_slice(&mut seat.slice).await {
            Ok(()) => {}
            // Another pass stored it meanwhile: that one goes on.
            Err(Error::Lost { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        observe::failed(&seat.slice, wait, &reason, next.is_none());
        let Some(next) = next else {
            join(cx, vec![seat], pass).await?;
            continue;
        };
        latest = latest.max(next);
        let mark = SliceMark {
            until: Some(next),
            waits_for: Some(reason.clone()),
            for_person: wait == Wait::Person,
            ..SliceMark::default()
        };
        let slice = &seat.slice;
        let marked =
            cx.app
                .store
                .mark_open(&slice.request, slice.run, slice.step, slice.number, mark);
        marked.await?;
        pass.unfinished = true;
    }
    let delay = Duration::try_from(latest.duration_since(now)).unwrap_or(Duration::ZERO);
    observe::waits(wait, delay);
    Ok(delay)
}

/// The open slices of one app and day, of every request that waits for it.
///
/// # Errors
/// When stored state cannot be read.
pub async fn waiting_slices(
    cx: Context<'_>,
    app: &AppRef,
    day: Date,
) -> Result<Vec<(RequestId, u32, Step, u32)>, Error> {
    let seats = seats(cx, app, day, &mut DayPass::default()).await;
    let seats = match seats {
        Ok(seats) => seats,
        Err(StageError::Work(error)) => return Err(error),
        Err(_) => return Ok(Vec::new()),
    };
    let slices = seats.into_iter().flatten().map(|seat| seat.slice);
    Ok(slices
        .map(|slice| (slice.request, slice.run, slice.step, slice.number))
        .collect())
}
