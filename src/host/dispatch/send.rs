//! What follows when a request moves on: its record by the one table, then the messages.

use std::time::Duration;

use jiff::Timestamp;

use crate::domain::RequestId;
use crate::host::observe;
use crate::stages::{self, Context};
use crate::work::{Error, Loaded};
use crate::workflow::transition::{next, wake};
use crate::workflow::{Event, Message, Step};

/// Messages that are sent at once.
const PARALLEL: usize = 16;

/// Applies an event to a record, then sends what follows. Repeating it sends the same again and changes nothing.
///
/// # Errors
/// When the record cannot be read or written.
pub async fn advance(cx: Context<'_>, id: &RequestId, run: u32, event: Event) -> Result<(), Error> {
    apply(cx, (id, run), None, event).await
}

/// The same for a record that was read before.
pub(super) async fn advance_known(
    cx: Context<'_>,
    known: Loaded,
    event: Event,
) -> Result<(), Error> {
    let (id, run) = (known.record.id.clone(), known.record.run);
    apply(cx, (&id, run), Some(known), event).await
}

async fn apply(
    cx: Context<'_>,
    (id, run): (&RequestId, u32),
    known: Option<Loaded>,
    event: Event,
) -> Result<(), Error> {
    let now = cx.now();
    let updated = cx
        .app
        .store
        .update_known(id, known, |record| {
            if record.run != run {
                return Err(None);
            }
            next(record, event.clone(), now).map_err(|_illegal| Some(Box::new(record.clone())))
        })
        .await?;
    match updated {
        Some(Ok((messages, record))) => {
            observe::applied(&record, &event);
            let (status, step) = (record.status.name(), record.step.map(Step::name));
            tracing::info!(request = %id, status, step, "moved on");
            if record.status.is_ended() {
                stages::sweep::close(cx, &record).await?;
            }
            send_all(cx, &messages).await
        }
        // The event was applied before: its messages may not have been sent.
        Some(Err(Some(record))) => {
            if record.status.is_ended() {
                return stages::sweep::close(cx, &record).await;
            }
            let Some(step) = record.step else {
                return Ok(());
            };
            if cx.app.store.root(id, run, step).await?.is_none() {
                send_all(cx, &wake(&record)).await?;
            }
            Ok(())
        }
        Some(Err(None)) | None => Ok(()),
    }
}

/// Sends a message that arrives at a time.
pub(super) async fn send_later(
    cx: Context<'_>,
    message: &Message,
    until: Timestamp,
) -> Result<(), Error> {
    let delay = until.duration_since(cx.now());
    let delay = Duration::try_from(delay).unwrap_or(Duration::ZERO);
    send(cx, message, delay).await
}

/// Sends a message after a delay.
pub(super) async fn send(cx: Context<'_>, message: &Message, delay: Duration) -> Result<(), Error> {
    cx.app.store.send(&observe::carry(message), delay).await
}

/// Sends messages, several at once.
///
/// # Errors
/// When a queue cannot be written.
pub async fn send_all(cx: Context<'_>, messages: &[Message]) -> Result<(), Error> {
    for chunk in messages.chunks(PARALLEL) {
        let sends = chunk
            .iter()
            .map(|message| send(cx, message, Duration::ZERO));
        for sent in futures::future::join_all(sends).await {
            sent?;
        }
    }
    Ok(())
}
