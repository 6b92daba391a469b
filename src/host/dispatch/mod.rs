//! One message: load the record, run the stage, save, send. The only place that sends messages of the workflow.
//!
//! Success is answered for everything that is stored, also for what must be tried again: that comes back as a delayed
//! message. Only when the stored state itself cannot be read or written the host is told of a failure.

mod days;
mod send;

use std::time::Duration;

use jiff::Timestamp;

pub use send::{advance, send_all};
use send::{send, send_later};

use super::observe;
use super::state::{mark_waiting, note_planned, work};
use crate::app::App;
use crate::domain::RequestId;
use crate::stages::sweep::Swept;
use crate::stages::{self, Context, CutOutcome, Outcome, StageError, Wait, blob_search, tries};
use crate::telemetry;
use crate::work::{Error, Finished, Slice, SliceEnd};
use crate::workflow::join::{CUT, Root};
use crate::workflow::transition::wake;
use crate::workflow::{Event, Message, Record, Step};

/// Works on one message.
///
/// # Errors
/// When the stored state cannot be read or written: the host delivers the message again.
pub async fn invoke(app: &App, message: Message) -> Result<(), Error> {
    let cx = Context::new(app);
    observe::received(&message);
    match message {
        Message::Step {
            request,
            run,
            step,
            slice,
            ..
        } => {
            let Some(record) = current(cx, &request, run, step).await? else {
                telemetry::outcome(telemetry::Outcome::Void);
                return Ok(());
            };
            match slice {
                None => start(cx, record, step).await,
                Some(number) => one_slice(cx, &record, step, number).await,
            }
        }
        Message::Day { app: of, day, .. } => Box::pin(days::one_day(cx, &of, day)).await,
    }
}

/// The record, if the message still fits it. A late message whose step is over wakes the step that followed, in case
/// the message for it was never sent.
async fn current(
    cx: Context<'_>,
    id: &RequestId,
    run: u32,
    step: Step,
) -> Result<Option<Record>, Error> {
    let Some(loaded) = cx.app.store.record(id).await? else {
        tracing::warn!(request = %id, "a message for a request that is not stored");
        return Ok(None);
    };
    let record = loaded.record;
    if record.run != run {
        return Ok(None);
    }
    if record.status.is_ended() {
        // The invocation that ended it may have been killed before it had cleared up.
        stages::sweep::close(cx, &record).await?;
        return Ok(None);
    }
    if record.step == Some(step) {
        return Ok(Some(record));
    }
    if let Some(now_at) = record.step
        && now_at.function().is_some()
        && cx.app.store.root(id, run, now_at).await?.is_none()
    {
        send_all(cx, &wake(&record)).await?;
    }
    Ok(None)
}

/// Cuts a step, unless it is cut, and starts its slices that are not over.
async fn start(cx: Context<'_>, record: Record, step: Step) -> Result<(), Error> {
    let root = match cx.app.store.root(&record.id, record.run, step).await? {
        Some(root) => root,
        None => match stages::cut(cx, &record, step).await {
            Ok(CutOutcome::Cut(cut)) => {
                let root = cx.app.store.cut(&record, step, cut, cx.now()).await?;
                note_planned(cx, &record, step, &root).await?;
                root
            }
            Ok(CutOutcome::Wait { until, reason }) => {
                tracing::info!(request = %record.id, step = step.name(), %until, "waits: {reason}");
                let store = &cx.app.store;
                let cut = store.slice(&record.id, record.run, step, CUT).await?;
                mark_waiting(cx, &cut, until, &reason, false).await?;
                telemetry::outcome(telemetry::Outcome::Waiting);
                let message = Message::step(&record.id, record.run, step, None);
                return send_later(cx, &message, until).await;
            }
            Err(error) => return cut_failed(cx, &record, step, error).await,
        },
    };
    if root.slices == 0 {
        let event = Event::Joined {
            step,
            done: 0,
            failed: 0,
        };
        return advance(cx, &record.id, record.run, event).await;
    }
    telemetry::outcome(telemetry::Outcome::Continued);
    if step.is_search() {
        return start_search(cx, &record, step, &root).await;
    }
    if root.slices == 1 {
        return one_slice(cx, &record, step, 0).await;
    }
    let open = cx
        .app
        .store
        .open_slices(&record.id, record.run, step, &root)
        .await?;
    if open.is_empty() {
        // The root knows that all are over, and whoever should have moved the request on died. Any of them does it.
        return one_slice(cx, &record, step, 0).await;
    }
    let messages: Vec<Message> = open
        .into_iter()
        .map(|n| Message::step(&record.id, record.run, step, Some(n)))
        .collect();
    send_all(cx, &messages).await
}

async fn start_search(
    cx: Context<'_>,
    record: &Record,
    step: Step,
    root: &Root,
) -> Result<(), Error> {
    work(blob_search::mark(cx, record, step).await)?;
    let memo: blob_search::Memo = serde_json::from_value(root.memo.clone()).unwrap_or_default();
    let mut open = cx
        .app
        .store
        .open_slices(&record.id, record.run, step, root)
        .await?;
    if open.is_empty() {
        open.push(root.slices - 1);
    }
    let mut open = open.into_iter().peekable();
    let messages: Vec<Message> = memo
        .keys()
        .zip(0_u32..)
        .filter(|(_, n)| open.next_if_eq(n).is_some())
        .map(|((app, day), _)| Message::day(&app, day))
        .collect();
    send_all(cx, &messages).await
}

/// A step whose cut failed is tried again as a slice would be: its tries are counted in a place of their own.
async fn cut_failed(
    cx: Context<'_>,
    record: &Record,
    step: Step,
    error: StageError,
) -> Result<(), Error> {
    let (reason, wait) = match error {
        StageError::Work(error) => return Err(error),
        StageError::Stopped => return Ok(()),
        StageError::Retry { reason, wait } => (reason, wait),
        StageError::Permanent { reason } => {
            return conclude_failed(cx, record, step, &reason).await;
        }
    };
    let mut tries = cx
        .app
        .store
        .slice(&record.id, record.run, step, CUT)
        .await?;
    match again(cx, &mut tries, &reason, wait).await? {
        Some(at) => {
            let message = Message::step(&record.id, record.run, step, None);
            send_later(cx, &message, at).await
        }
        None => conclude_failed(cx, record, step, &reason).await,
    }
}

/// A step that cannot even be cut ends as one failed slice, so that the report says why.
async fn conclude_failed(
    cx: Context<'_>,
    record: &Record,
    step: Step,
    reason: &str,
) -> Result<(), Error> {
    tracing::error!(request = %record.id, step = step.name(), "failed: {reason}");
    telemetry::outcome(telemetry::Outcome::GivenUp);
    let reason = format!("{}: {reason}", step.name());
    fail(cx, &record.id, record.run, step, &reason).await
}

/// Works on one slice.
async fn one_slice(cx: Context<'_>, record: &Record, step: Step, number: u32) -> Result<(), Error> {
    let store = &cx.app.store;
    let Some(root) = store.cut_of(record, step).await? else {
        return send_all(cx, &wake(record)).await;
    };
    let mut slice = store.slice(&record.id, record.run, step, number).await?;
    let message = Message::step(&record.id, record.run, step, Some(number));
    if let Some(end) = slice.state.end.clone() {
        return finish(cx, &mut slice, &root, end, false).await;
    }
    let outcome = Box::pin(stages::run(cx, record, &root, &mut slice)).await;
    match outcome {
        Ok(Outcome::Over(end)) => {
            telemetry::outcome(telemetry::Outcome::Over);
            finish(cx, &mut slice, &root, end, false).await
        }
        Ok(Outcome::Continue) => {
            telemetry::outcome(telemetry::Outcome::Continued);
            send(cx, &message, Duration::ZERO).await
        }
        Ok(Outcome::Wait { until, reason }) => {
            telemetry::outcome(telemetry::Outcome::Waiting);
            store.save_slice(&mut slice).await?;
            mark_waiting(cx, &slice, until, &reason, false).await?;
            send_later(cx, &message, until).await
        }
        // Somebody else works on this slice and saved it: that one goes on.
        Err(StageError::Work(Error::Lost { .. })) => {
            telemetry::outcome(telemetry::Outcome::Void);
            Ok(())
        }
        Err(StageError::Work(error)) => Err(error),
        Err(StageError::Stopped) => stopped(cx, record, &mut slice, &message).await,
        Err(StageError::Permanent { reason }) => give_up(cx, &mut slice, &root, &reason).await,
        Err(StageError::Retry { reason, wait }) => {
            match again(cx, &mut slice, &reason, wait).await? {
                Some(at) => send_later(cx, &message, at).await,
                None => give_up(cx, &mut slice, &root, &reason).await,
            }
        }
    }
}

/// A closed gate means that the request has moved on, or that its record could not be read just now.
async fn stopped(
    cx: Context<'_>,
    record: &Record,
    slice: &mut Slice,
    message: &Message,
) -> Result<(), Error> {
    if current(cx, &record.id, record.run, slice.step)
        .await?
        .is_none()
    {
        telemetry::outcome(telemetry::Outcome::Void);
        return Ok(());
    }
    let reason = "the request's record could not be read before an irreversible call";
    match again(cx, slice, reason, Wait::Backoff).await? {
        Some(at) => send_later(cx, message, at).await,
        None => send(cx, message, cx.app.config.limits.retry_longest).await,
    }
}

async fn give_up(
    cx: Context<'_>,
    slice: &mut Slice,
    root: &Root,
    reason: &str,
) -> Result<(), Error> {
    let request = slice.request.clone();
    let step = slice.step;
    tracing::error!(%request, step = step.name(), slice = slice.number, "gave up: {reason}");
    observe::given_up(slice, reason);
    let end = match stages::give_up(cx, slice, reason) {
        Ok(end) => end,
        Err(StageError::Work(error)) => return Err(error),
        Err(_) => SliceEnd {
            failed: 1,
            ..SliceEnd::default()
        },
    };
    // A step of which the rest depends ends the request; the others go on with what they have.
    if matches!(
        step,
        Step::Resolve | Step::Relate | Step::Plan | Step::Aggregate
    ) {
        let reason = format!("{}: {reason}", step.name());
        return fail(cx, &request, slice.run, step, &reason).await;
    }
    finish(cx, slice, root, end, true).await
}

/// Ends a request that cannot be done, with the reason.
async fn fail(
    cx: Context<'_>,
    id: &RequestId,
    run: u32,
    step: Step,
    reason: &str,
) -> Result<(), Error> {
    let now = cx.now();
    let updated = cx.app.store.update_record(id, |record| {
        if record.run != run || record.step != Some(step) {
            return Err(());
        }
        crate::workflow::transition::fail(record, reason, now);
        Ok(())
    });
    if let Some(Ok(((), record))) = updated.await? {
        observe::ended(&record, Some(step));
        stages::sweep::close(cx, &record).await?;
    }
    Ok(())
}

/// Counts a failed try of a slice and stores it; when to try again, or none when it has been tried enough.
async fn again(
    cx: Context<'_>,
    slice: &mut Slice,
    reason: &str,
    wait: Wait,
) -> Result<Option<Timestamp>, Error> {
    let limits = &cx.app.config.limits;
    let Some(at) = tries::count(&mut slice.state, wait, limits, cx.now()) else {
        return Ok(None);
    };
    cx.app.store.save_slice(slice).await?;
    mark_waiting(cx, slice, at, reason, wait == Wait::Person).await?;
    let request = &slice.request;
    let (step, tries) = (slice.step.name(), slice.state.tries);
    tracing::warn!(%request, step, tries, until = %at, "tries again: {reason}");
    observe::again(cx, slice, wait, reason, at);
    Ok(Some(at))
}

async fn finish(
    cx: Context<'_>,
    slice: &mut Slice,
    root: &Root,
    end: SliceEnd,
    is_given_up: bool,
) -> Result<(), Error> {
    let is_first = slice.state.end.is_none();
    let finished = cx.app.store.finish_slice(slice, root, end).await;
    if finished.is_ok() {
        observe::over(slice, is_first, is_given_up);
    }
    match finished {
        Ok(Finished::OthersOpen) => Ok(()),
        Ok(Finished::Joined(event)) => advance(cx, &slice.request, slice.run, event).await,
        Err(Error::Lost { what: "a slice" }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Does what a sweep found to do.
///
/// # Errors
/// When stored state cannot be read or written.
pub async fn after_sweep(cx: Context<'_>, swept: Swept) -> Result<(), Error> {
    for (id, run) in swept.start {
        advance(cx, &id, run, Event::Accepted).await?;
    }
    for (id, run, step, number, reason) in swept.give_up {
        let root = cx.app.store.root(&id, run, step).await?;
        let (root, number) = match (root, number) {
            (Some(root), Some(number)) => (root, number),
            // It was cut all the same: its slices have messages of their own.
            (Some(_), None) => continue,
            (None, _) => {
                fail(cx, &id, run, step, &reason).await?;
                continue;
            }
        };
        let mut slice = cx.app.store.slice(&id, run, step, number).await?;
        give_up(cx, &mut slice, &root, &reason).await?;
    }
    send_all(cx, &swept.messages).await
}
