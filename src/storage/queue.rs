//! Queues of base64 text that never expires.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::http::StatusCode;
use azure_storage_queue::models::{
    QueueClientGetPropertiesResultHeaders as _, QueueClientReceiveMessagesOptions,
    QueueClientSendMessageOptions, QueueMessage, ReceivedMessage,
};
use azure_storage_queue::{QueueClient, QueueServiceClient};
use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::Error;
use super::error::{answer, is_missing};

/// Longest text that fits into a message of 64 KiB once it is base64.
const MAX_TEXT: usize = 48 * 1024;
/// Longest delay that storage takes.
const MAX_DELAY: Duration = Duration::from_secs(7 * 24 * 3600);
/// Most messages that storage gives at once.
const MAX_RECEIVED: u8 = 32;

/// A queue. It needs not exist: sending creates it, receiving finds nothing.
#[derive(Clone)]
pub struct Queue {
    service: Arc<QueueServiceClient>,
    name: Arc<str>,
}

/// A message that was received and is hidden from others for a while.
#[derive(Clone)]
pub struct Received {
    /// The message's ID.
    pub id: String,
    /// What allows to delete it, until it is received again.
    pub pop_receipt: String,
    /// Its text.
    pub text: Result<String, NotBase64>,
    /// How often it was received, this time included.
    pub dequeue_count: u64,
}

/// A message was not base64 of UTF-8 text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message is not base64 of UTF-8 text")]
pub struct NotBase64;

impl Queue {
    pub(super) fn new(service: Arc<QueueServiceClient>, name: &str) -> Self {
        Self {
            service,
            name: name.into(),
        }
    }

    /// The queue's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    fn client(&self) -> Result<QueueClient, Error> {
        Ok(self.service.queue_client(&self.name)?)
    }

    /// Creates the queue unless it is there.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn create_if_missing(&self) -> Result<(), Error> {
        match self.client()?.create(None).await {
            Ok(_) => Ok(()),
            Err(error) => match answer(&error) {
                Some((StatusCode::Conflict, "QueueAlreadyExists")) => Ok(()),
                _ => Err(error.into()),
            },
        }
    }

    /// Sends a text, visible after `delay` (whole seconds, at most 7 days), and creates the queue if need be.
    ///
    /// A call whose answer got lost is tried again, so a text can arrive twice.
    ///
    /// # Errors
    /// [`Error::TooLarge`] over 48 KiB, else when storage cannot be reached or refuses.
    pub async fn send(&self, text: &str, delay: Duration) -> Result<(), Error> {
        if text.len() > MAX_TEXT {
            return Err(Error::TooLarge {
                limit: MAX_TEXT as u64,
            });
        }
        let client = self.client()?;
        let mut again = true;
        loop {
            let message = QueueMessage {
                message_text: Some(STANDARD.encode(text)),
            };
            let options = QueueClientSendMessageOptions {
                message_time_to_live: Some(-1),
                visibility_timeout: Some(seconds(delay)).filter(|seconds| *seconds > 0),
                ..QueueClientSendMessageOptions::default()
            };
            let Err(error) = client
                .send_message(message.try_into()?, Some(options))
                .await
            else {
                return Ok(());
            };
            if !is_missing(&error) || !again {
                return Err(error.into());
            }
            again = false;
            self.create_if_missing().await?;
        }
    }

    /// Receives up to `n` messages (at most 32) and hides them for `visibility` (at least a second); none when the
    /// queue is missing.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn receive(&self, n: u8, visibility: Duration) -> Result<Vec<Received>, Error> {
        let options = QueueClientReceiveMessagesOptions {
            number_of_messages: Some(i32::from(n.clamp(1, MAX_RECEIVED))),
            visibility_timeout: Some(seconds(visibility).max(1)),
            ..QueueClientReceiveMessagesOptions::default()
        };
        let answer = match self.client()?.receive_messages(Some(options)).await {
            Ok(answer) => answer,
            Err(error) if is_missing(&error) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let items = answer.into_model()?.items.unwrap_or_default();
        items.into_iter().map(received).collect()
    }

    /// Deletes a message. One that is gone already, or was received again by somebody else, is no error.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn delete(&self, message: &Received) -> Result<(), Error> {
        let client = self.client()?;
        let deleted = client
            .delete_message(&message.id, &message.pop_receipt, None)
            .await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) => match answer(&error) {
                Some((StatusCode::NotFound, _)) | Some((_, "PopReceiptMismatch")) => Ok(()),
                _ => Err(error.into()),
            },
        }
    }

    /// How many messages there are about, hidden ones included; 0 when the queue is missing.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn approximate_count(&self) -> Result<u64, Error> {
        match self.client()?.get_properties(None).await {
            Ok(found) => {
                let count = found.approximate_messages_count()?.unwrap_or_default();
                Ok(u64::try_from(count).unwrap_or_default())
            }
            Err(error) if is_missing(&error) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Texts of the intake queue hold identifiers of people, and a receipt allows to delete.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("id", &self.id)
            .field("dequeue_count", &self.dequeue_count)
            .finish_non_exhaustive()
    }
}

/// Whole seconds, rounded up: nothing becomes visible before its time.
fn seconds(delay: Duration) -> i32 {
    let delay = delay.min(MAX_DELAY);
    let whole = delay.as_secs() + u64::from(delay.subsec_nanos() > 0);
    i32::try_from(whole).unwrap_or(i32::MAX)
}

fn received(message: ReceivedMessage) -> Result<Received, Error> {
    let incomplete = Error::Invalid("storage gave a message without ID or receipt");
    let (Some(id), Some(pop_receipt)) = (message.message_id, message.pop_receipt) else {
        return Err(incomplete);
    };
    let text = message.message_text.unwrap_or_default();
    Ok(Received {
        id,
        pop_receipt,
        text: decode(&text),
        dequeue_count: message
            .dequeue_count
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or_default(),
    })
}

fn decode(text: &str) -> Result<String, NotBase64> {
    let bytes = STANDARD.decode(text.trim()).map_err(|_error| NotBase64)?;
    String::from_utf8(bytes).map_err(|_error| NotBase64)
}

#[cfg(test)]
mod tests {
    use super::{NotBase64, decode, seconds};
    use std::time::Duration;

    #[test]
    fn delays_are_whole_seconds_up_to_a_week() {
        for (millis, expected) in [
            (0, 0),
            (1, 1),
            (1000, 1),
            (1001, 2),
            (604_800_000, 604_800),
            (999_999_999_999, 604_800),
        ] {
            assert_eq!(seconds(Duration::from_millis(millis)), expected, "{millis}");
        }
    }

    #[test]
    fn texts_are_base64() {
        for (text, expected) in [
            ("aGk=", Ok("hi".to_owned())),
            (" aGk=\n", Ok("hi".to_owned())),
            ("", Ok(String::new())),
            ("{\"a\":1}", Err(NotBase64)),
            ("/w==", Err(NotBase64)),
        ] {
            assert_eq!(decode(text), expected, "{text}");
        }
    }
}
