//! Poison queues. A message there is not a verdict: its work is sent again, a few times, then its items fail.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Swept;
use crate::domain::Fault;
use crate::stages::intake_queue::{self, Refused};
use crate::stages::{Context, blob_search};
use crate::storage::Received;
use crate::work::{Error, names};
use crate::workflow::stage::Trigger;
use crate::workflow::{Function, Message};

/// How often the work of poison messages is sent again.
const RESENDS: u32 = 3;
/// Messages that one sweep takes of a queue.
const MAX_MESSAGES: usize = 256;
/// How long a message stays hidden while it is looked at.
const VISIBILITY: Duration = Duration::from_secs(120);

#[derive(Debug, Default, Serialize, Deserialize)]
struct Count {
    resent: u32,
}

/// Takes messages from every poison queue.
pub(super) async fn drain(cx: Context<'_>, swept: &mut Swept) -> Result<(), Error> {
    for function in Function::ALL {
        if function.trigger() != Trigger::Queue {
            continue;
        }
        let queue = cx.app.store.queue(&format!("{}-poison", function.name()));
        let mut taken = 0;
        while taken < MAX_MESSAGES {
            let messages = queue.receive(32, VISIBILITY).await?;
            if messages.is_empty() {
                break;
            }
            taken += messages.len();
            for message in messages {
                swept.poison += 1;
                if take(cx, *function, &message, swept).await? {
                    queue.delete(&message).await?;
                }
            }
        }
    }
    Ok(())
}

/// Takes one message; whether it is done with.
async fn take(
    cx: Context<'_>,
    function: Function,
    message: &Received,
    swept: &mut Swept,
) -> Result<bool, Error> {
    let Ok(text) = &message.text else {
        refuse(cx, function, &message.id, "the message is not base64").await?;
        return Ok(true);
    };
    if function == Function::IntakeQueue {
        if let Some(accepted) = intake_queue::run(cx, text).await?
            && accepted.is_to_start()
        {
            let record = accepted.record();
            swept.start.push((record.id.clone(), record.run));
        }
        return Ok(true);
    }
    let parsed = match Message::parse(text) {
        Ok(parsed) => parsed,
        Err(reason) => {
            refuse(cx, function, &message.id, reason).await?;
            return Ok(true);
        }
    };
    match &parsed {
        Message::Step {
            request,
            run,
            step,
            slice,
            ..
        } => {
            let record = match cx.app.store.record(request).await {
                Ok(Some(loaded)) => loaded.record,
                Ok(None) => return Ok(true),
                Err(error @ (Error::Corrupt { .. } | Error::Newer { .. })) => {
                    // It stays in the poison queue, where it is seen, until the record can be read.
                    tracing::error!(%request, "a poison message is left: {error}");
                    return Ok(false);
                }
                Err(error) => return Err(error),
            };
            if record.run != *run || record.step != Some(*step) {
                return Ok(true);
            }
            let name = names::poison_count(request, *run, *step, *slice);
            if resend(cx, &name).await? {
                swept.messages.push(parsed.clone());
            } else {
                let reason = "its message failed again and again; see the log".to_owned();
                swept
                    .give_up
                    .push((request.clone(), *run, *step, *slice, reason));
            }
        }
        Message::Day { app, day, .. } => {
            // Counted for each who waits: what an earlier request's search of the day met says nothing of a later one's.
            let mut is_left = false;
            for (id, run, step, slice) in blob_search::waiting_slices(cx, app, *day).await? {
                if resend(cx, &names::poison_count(&id, run, step, Some(slice))).await? {
                    is_left = true;
                    continue;
                }
                let reason = "the search of this day failed again and again; see the log";
                let given_up = (id, run, step, Some(slice), reason.to_owned());
                swept.give_up.push(given_up);
            }
            if is_left {
                swept.messages.push(parsed.clone());
            }
        }
    }
    Ok(true)
}

/// Counts one more time; whether there is one left.
async fn resend(cx: Context<'_>, name: &str) -> Result<bool, Error> {
    let read = cx.app.store.read_json::<Count>(name, "a count").await?;
    let (mut count, etag) = read.map_or((Count::default(), None), |(count, etag)| {
        (count, Some(etag))
    });
    if count.resent >= RESENDS {
        return Ok(false);
    }
    count.resent += 1;
    cx.app
        .store
        .replace_json(name, "a count", &count, etag.as_ref())
        .await?;
    Ok(true)
}

async fn refuse(cx: Context<'_>, function: Function, id: &str, reason: &str) -> Result<(), Error> {
    let id: String = id
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '-')
        .take(64)
        .collect();
    tracing::error!(function = function.name(), message = %id, "a message is refused: {reason}");
    let refused = Refused {
        reference: None,
        at: cx.now(),
        faults: vec![Fault::new(
            "",
            format!("queue {}: {reason}", function.name()),
        )],
        id: id.clone(),
    };
    let name = format!("{}{id}.json", names::REFUSED);
    cx.app
        .store
        .create_json(&name, "a refused message", &refused)
        .await?;
    Ok(())
}
