//! A message's lease: invisible to others while it runs, renewed at half of its time.

use std::sync::Arc;
use std::time::Duration;

use azure_storage_queue::QueueClient;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::log::LogSink;
use crate::storage::describe;

/// Holds a message until it is completed; dropping it lets the lease run out, as a host that was killed does.
pub(super) struct Lease {
    queue: Arc<QueueClient>,
    message_id: String,
    /// Locked while a renewal is under way, which changes it.
    receipt: Arc<Mutex<String>>,
    renewal: JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl Lease {
    /// Starts to renew a message that was received for `length`.
    pub(super) fn start(
        queue: &Arc<QueueClient>,
        message_id: &str,
        receipt: String,
        length: Duration,
        log: LogSink,
    ) -> Self {
        let receipt = Arc::new(Mutex::new(receipt));
        let renewal = tokio::spawn(renew(
            Arc::clone(queue),
            message_id.to_owned(),
            Arc::clone(&receipt),
            length,
            log,
        ));
        Self {
            queue: Arc::clone(queue),
            message_id: message_id.to_owned(),
            receipt,
            renewal,
        }
    }

    /// Deletes the message.
    pub(super) async fn delete(self) -> azure_core::Result<()> {
        let receipt = self.settled().await;
        self.queue
            .delete_message(&self.message_id, &receipt, None)
            .await
            .map(drop)
    }

    /// Makes the message visible again after a delay.
    pub(super) async fn release(self, delay: Duration) -> azure_core::Result<()> {
        let receipt = self.settled().await;
        self.queue
            .update_message(&self.message_id, &receipt, whole_seconds(delay), None)
            .await
            .map(drop)
    }

    /// Leaves the message to its lease: no more renewals.
    pub(super) fn leave(self) {
        drop(self);
    }

    /// Ends the renewals, waiting for one that is under way, so that the receipt is the last one.
    async fn settled(&self) -> String {
        let receipt = self.receipt.lock().await;
        self.renewal.abort();
        receipt.clone()
    }
}

async fn renew(
    queue: Arc<QueueClient>,
    message_id: String,
    receipt: Arc<Mutex<String>>,
    length: Duration,
    log: LogSink,
) {
    loop {
        tokio::time::sleep(length / 2).await;
        let mut receipt = receipt.lock().await;
        let renewed = queue
            .update_message(&message_id, &receipt, whole_seconds(length), None)
            .await;
        match renewed {
            Ok(response) => {
                let name = azure_core::http::headers::HeaderName::from_static("x-ms-popreceipt");
                if let Some(new) = response.headers().get_optional_str(&name) {
                    new.clone_into(&mut receipt);
                }
            }
            Err(error) => {
                log.warn(format_args!(
                    "a message's lease was not renewed: {}",
                    describe(&error)
                ));
                return;
            }
        }
    }
}

/// Storage knows whole seconds only.
pub(super) fn whole_seconds(length: Duration) -> i32 {
    i32::try_from(length.as_secs()).unwrap_or(i32::MAX)
}
