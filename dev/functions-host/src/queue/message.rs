//! One message: whether it may run, its run, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use azure_core::time::OffsetDateTime;
use azure_storage_queue::QueueClient;
use azure_storage_queue::models::ReceivedMessage;
use jiff::Timestamp;
use uuid::Uuid;

use super::lease::Lease;
use crate::clock;
use crate::invoke::{Invoker, send};
use crate::manifest::{Function, MessageEncoding, QueueRef};
use crate::outputs::decode_base64;
use crate::storage::{describe, is_missing};
use crate::wire::{Envelope, MessageFacts, Payload, date_time};

/// What a message needs from its listener.
pub(super) struct Source {
    pub(super) invoker: Arc<Invoker>,
    pub(super) function: Arc<Function>,
    pub(super) trigger: QueueRef,
    pub(super) queue: Arc<QueueClient>,
    /// `None` for queues that are poison queues themselves.
    pub(super) poison: Option<(String, QueueClient)>,
    pub(super) lease: Duration,
}

impl Source {
    /// Runs one received message to its end.
    pub(super) async fn process(self: Arc<Self>, message: ReceivedMessage) {
        let text = message.message_text.unwrap_or_default();
        let (Some(id), Some(receipt)) = (message.message_id, message.pop_receipt) else {
            self.invoker
                .log
                .error("storage gave a message without an ID or receipt");
            return;
        };
        let facts = MessageFacts {
            id: Some(id.clone()),
            pop_receipt: Some(receipt.clone()),
            dequeue_count: message
                .dequeue_count
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or(1),
            inserted: message.insertion_time.and_then(timestamp),
            expires: message.expiration_time.and_then(timestamp),
            next_visible: message.time_next_visible.and_then(timestamp),
        };
        let log = self.invoker.log.clone();
        let lease = Lease::start(&self.queue, &id, receipt, self.lease, log);
        let most = self.invoker.manifest.queues.max_dequeue_count;
        if self.poison.is_some() && facts.dequeue_count > most {
            return self.to_poison(lease, text).await;
        }
        let Some(payload) = self.decoded(&text) else {
            self.invoker
                .log
                .warn("Message decoding has failed! Check MessageEncoding settings.");
            return self.to_poison(lease, text).await;
        };
        if self.run(&payload, &facts).await {
            self.said(lease.delete().await, "deleted");
        } else if self.poison.is_none() {
            // The host leaves the message to its lease, so that it does not come back at once and for ever.
            lease.leave();
        } else if facts.dequeue_count >= most {
            self.to_poison(lease, text).await;
        } else {
            let delay = self.invoker.manifest.queues.visibility_timeout;
            self.said(lease.release(delay).await, "released");
        }
    }

    fn decoded(&self, text: &str) -> Option<Vec<u8>> {
        match self.invoker.manifest.queues.encoding {
            MessageEncoding::Base64 => decode_base64(text),
            MessageEncoding::None => Some(text.as_bytes().to_vec()),
        }
    }

    /// Runs the function; says whether it succeeded.
    async fn run(&self, payload: &[u8], facts: &MessageFacts) -> bool {
        let reason = format!("New queue message detected on '{}'.", self.trigger.queue);
        let inserted = facts.inserted.map_or_else(String::new, date_time);
        let details = format!(
            "MessageId: {}, DequeueCount: {}, InsertedOn: {inserted}",
            facts.id.as_deref().unwrap_or_default(),
            facts.dequeue_count,
        );
        let text = String::from_utf8_lossy(payload);
        let payload = if self.trigger.binary {
            Payload::Binary(payload)
        } else {
            Payload::Text(&text)
        };
        let name = &self.function.name;
        let envelope = Envelope::queue(name, &self.trigger.binding, payload, facts, clock::now());
        let run = self.invoker.run(
            &self.function,
            Uuid::new_v4(),
            &reason,
            Some(details),
            &envelope,
        );
        run.await.is_ok()
    }

    /// Copies a message's body, as it was on the wire, to the poison queue, then deletes the message.
    async fn to_poison(&self, lease: Lease, text: String) {
        let Some((name, poison)) = &self.poison else {
            return lease.leave();
        };
        let most = self.invoker.manifest.queues.max_dequeue_count;
        self.invoker.log.warn(format_args!(
            "Message has reached MaxDequeueCount of {most}. Moving message to queue '{name}'."
        ));
        if let Err(error) = send(poison, text).await {
            self.invoker.log.error(format_args!(
                "a message was not moved to '{name}': {}",
                describe(&error)
            ));
            return lease.leave();
        }
        self.invoker.counters.poisoned.add();
        self.said(lease.delete().await, "deleted");
    }

    /// Logs what storage refused. A message that somebody else has by now is theirs, which the host passes over.
    fn said(&self, result: azure_core::Result<()>, what: &str) {
        if let Err(error) = result {
            let detail = describe(&error);
            if is_missing(&error) || detail.contains("PopReceiptMismatch") {
                self.invoker
                    .log
                    .warn(format_args!("a message was not {what}: it is gone"));
            } else {
                self.invoker
                    .log
                    .error(format_args!("a message was not {what}: {detail}"));
            }
        }
    }
}

/// The invocation that `/admin/functions/{name}` makes of its input.
pub(crate) fn from_admin(function: &Function, trigger: &QueueRef, input: &str) -> Envelope {
    let payload = if trigger.binary {
        Payload::Binary(input.as_bytes())
    } else {
        Payload::Text(input)
    };
    let facts = MessageFacts::default();
    Envelope::queue(
        &function.name,
        &trigger.binding,
        payload,
        &facts,
        clock::now(),
    )
}

fn timestamp(time: OffsetDateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.unix_timestamp()).ok()
}
