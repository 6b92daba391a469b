//! The listener of one queue function.

use std::sync::Arc;
use std::time::Duration;

use azure_storage_queue::models::{QueueClientReceiveMessagesOptions, ReceivedMessage};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

use super::backoff::Backoff;
use super::lease::whole_seconds;
use super::message::Source;
use crate::invoke::Invoker;
use crate::manifest::{Function, QueueRef};
use crate::storage::{describe, is_missing};
use crate::worker::State;

/// Queue names have at most that many letters; a name that leaves no room has no poison queue.
const LONGEST_NAME: usize = 63;

/// Fetches a queue's messages and runs them, at most `batchSize + newBatchThreshold` at a time.
pub(crate) struct Pump {
    source: Arc<Source>,
    wake: Arc<Notify>,
}

impl Pump {
    /// # Errors
    /// When the function's connection cannot be opened.
    pub(crate) fn new(
        invoker: &Arc<Invoker>,
        function: &Arc<Function>,
        trigger: &QueueRef,
        lease: Duration,
    ) -> anyhow::Result<Self> {
        let (connection, queue) = (&trigger.connection, &trigger.queue);
        let poison = match poison_name(queue) {
            None => None,
            Some(name) => {
                let client = invoker.storage.queue(connection, &name)?;
                Some((name, client))
            }
        };
        Ok(Self {
            wake: invoker.storage.watcher(connection, queue)?,
            source: Arc::new(Source {
                queue: Arc::new(invoker.storage.queue(connection, queue)?),
                invoker: Arc::clone(invoker),
                function: Arc::clone(function),
                trigger: trigger.clone(),
                poison,
                lease,
            }),
        })
    }

    /// Runs until `stop` turns true, then waits for the messages under way. Dropping this leaves them to their leases.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let options = &self.source.invoker.manifest.queues;
        let threshold = usize::try_from(options.new_batch_threshold).unwrap_or(usize::MAX);
        let mut backoff = Backoff::new(options.max_polling_interval);
        let mut running: JoinSet<()> = JoinSet::new();
        let mut is_there = false;
        let worker = self.source.invoker.worker.watch();
        // A message fetched after the handler is given up would only use up one of its tries.
        while !*stop.borrow() && *worker.borrow() != State::GaveUp {
            if running.len() > threshold {
                tokio::select! {
                    _ = running.join_next() => {}
                    _ = stop.changed() => {}
                }
                continue;
            }
            // A fetch that has begun is seen through: its messages are ours already.
            match self.fetch(&mut is_there).await {
                Ok(messages) if !messages.is_empty() => {
                    backoff.reset();
                    for message in messages {
                        running.spawn(Arc::clone(&self.source).process(message));
                    }
                    continue;
                }
                Ok(_) => {}
                Err(error) => self.source.invoker.log.error(format_args!(
                    "queue '{}' cannot be read: {}",
                    self.source.trigger.queue,
                    describe(&error)
                )),
            }
            let pause = tokio::time::sleep(backoff.next());
            tokio::pin!(pause);
            loop {
                tokio::select! {
                    () = &mut pause => break,
                    () = self.wake.notified() => break,
                    _ = stop.changed() => break,
                    Some(_) = running.join_next() => {}
                }
            }
        }
        while running.join_next().await.is_some() {}
    }

    async fn fetch(&self, is_there: &mut bool) -> azure_core::Result<Vec<ReceivedMessage>> {
        let queue = &self.source.queue;
        if !*is_there {
            *is_there = queue.exists().await?;
            if !*is_there {
                return Ok(Vec::new());
            }
        }
        let batch = self.source.invoker.manifest.queues.batch_size;
        let options = QueueClientReceiveMessagesOptions {
            number_of_messages: i32::try_from(batch).ok(),
            visibility_timeout: Some(whole_seconds(self.source.lease)),
            ..Default::default()
        };
        match queue.receive_messages(Some(options)).await {
            Ok(response) => Ok(response.into_model()?.items.unwrap_or_default()),
            Err(error) if is_missing(&error) => {
                *is_there = false;
                Ok(Vec::new())
            }
            Err(error) => Err(error),
        }
    }
}

fn poison_name(queue: &str) -> Option<String> {
    let name = format!("{queue}-poison");
    (!queue.ends_with("-poison") && name.len() <= LONGEST_NAME).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::poison_name;

    #[test]
    fn poison_queues() {
        let long = "q".repeat(57);
        for (queue, expected) in [
            ("jobs", Some("jobs-poison")),
            ("jobs-poison", None),
            (long.as_str(), None),
        ] {
            assert_eq!(poison_name(queue).as_deref(), expected);
        }
    }
}
