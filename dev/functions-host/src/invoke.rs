//! One invocation: wait for the handler, send, read the answer, send its outputs, log it as the real host does.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{Response, header};
use azure_storage_queue::models::QueueMessage;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::counters::Counters;
use crate::log::LogSink;
use crate::manifest::{Function, Manifest};
use crate::storage::{Storage, describe};
use crate::wire::{Envelope, Fault, Reply, SendError, read_reply};
use crate::worker::{NotReady, Worker};
use crate::{outputs, time_span};

/// Answers of handlers are held in memory up to this size.
pub(crate) const LARGEST_ANSWER: usize = 256 * 1024 * 1024;
/// The reason of runs that HTTP started.
pub(crate) const CALLED_BY_HTTP: &str =
    "This function was programmatically called via the host APIs.";

/// What runs functions while one life of the host lasts.
#[derive(Debug)]
pub(crate) struct Invoker {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) storage: Arc<Storage>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) log: LogSink,
    pub(crate) worker: Worker,
    /// Ends the host: the handler did not come up in all the time that it has.
    pub(crate) fatal: Arc<Notify>,
}

/// Why an invocation failed. No variant holds a word of what was sent or answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    NotReady(#[from] NotReady),
    #[error(transparent)]
    Send(#[from] SendError),
    #[error(transparent)]
    Answer(#[from] Fault),
    #[error("Timeout value of {} was exceeded by function", time_span::format(*.0))]
    Timeout(Duration),
    #[error("the answer broke off or is larger than 256 MiB")]
    Body,
    #[error("an output could not be sent: {0}")]
    Output(String),
}

impl Invoker {
    /// Runs a function with an envelope and sends its queue outputs.
    pub(crate) async fn run(
        &self,
        function: &Function,
        id: Uuid,
        reason: &str,
        details: Option<String>,
        envelope: &Envelope,
    ) -> Result<Reply, Failure> {
        let run = async {
            let response = self
                .worker
                .client
                .invoke(&function.name, id, envelope.to_body())
                .await?;
            let reply = self.read(function, response).await?;
            self.send_outputs(function, &reply).await?;
            Ok(reply)
        };
        self.guarded(function, id, reason, details, run).await
    }

    /// Runs what makes up an invocation between its two log lines, within `functionTimeout`.
    pub(crate) async fn guarded<T>(
        &self,
        function: &Function,
        id: Uuid,
        reason: &str,
        details: Option<String>,
        run: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let name = &function.name;
        self.log.info(format_args!(
            "Executing 'Functions.{name}' (Reason='{reason}', Id={id})"
        ));
        if let Some(details) = details {
            self.log.info(format_args!("Trigger Details: {details}"));
        }
        let start = Instant::now();
        let mut generation = self.worker.generation();
        let run = async {
            self.worker.ready().await?;
            generation = self.worker.generation();
            run.await
        };
        let result = match self.manifest.function_timeout {
            None => run.await,
            Some(limit) => match tokio::time::timeout(limit, run).await {
                Ok(result) => result,
                Err(_) => {
                    let shown = time_span::format(limit);
                    self.log.error(format_args!(
                        "Timeout value of {shown} exceeded by function 'Functions.{name}' (Id: '{id}'). Initiating cancellation."
                    ));
                    self.worker.timed_out(generation).await;
                    Err(Failure::Timeout(limit))
                }
            },
        };
        let took = start.elapsed().as_millis();
        match &result {
            Ok(_) => {
                self.counters.succeeded.add();
                self.log.info(format_args!(
                    "Executed 'Functions.{name}' (Succeeded, Id={id}, Duration={took}ms)"
                ));
            }
            Err(failure) => {
                self.counters.failed.add();
                if matches!(failure, Failure::NotReady(_)) {
                    self.fatal.notify_one();
                }
                if matches!(failure, Failure::Answer(Fault::Hang)) {
                    self.counters.hung.add();
                }
                self.log.error(format_args!(
                    "Executed 'Functions.{name}' (Failed, Id={id}, Duration={took}ms)"
                ));
                self.log.error(format_args!(
                    "Exception while executing function: Functions.{name}: {failure}"
                ));
            }
        }
        result
    }

    async fn read(&self, function: &Function, response: Response<Body>) -> Result<Reply, Failure> {
        let (parts, body) = response.into_parts();
        let header = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value: &header::HeaderValue| value.to_str().ok())
        };
        let has_zero_length = header(header::CONTENT_LENGTH) == Some("0");
        let body = read_body(body, LARGEST_ANSWER).await?;
        let content_type = header(header::CONTENT_TYPE);
        let reply = read_reply(parts.status, content_type, has_zero_length, &body)?;
        for line in &reply.logs {
            // In the real host's category `Function.<name>.User`.
            self.log.info(format_args!("{}: {line}", function.name));
        }
        Ok(reply)
    }

    async fn send_outputs(&self, function: &Function, reply: &Reply) -> Result<(), Failure> {
        for (queue, message) in outputs::queue_messages(function, reply) {
            let failed = |error: anyhow::Error| Failure::Output(error.to_string());
            let client = self
                .storage
                .queue(&queue.connection, &queue.queue)
                .map_err(failed)?;
            let text = outputs::encode(&message, self.manifest.queues.encoding);
            send(&client, text)
                .await
                .map_err(|error| Failure::Output(describe(&error)))?;
            let watcher = self.storage.watcher(&queue.connection, &queue.queue);
            watcher.map_err(failed)?.notify_one();
        }
        Ok(())
    }
}

/// Sends a message's text as it is, for the default seven days, and makes the queue when it is missing.
pub(crate) async fn send(
    queue: &azure_storage_queue::QueueClient,
    text: String,
) -> azure_core::Result<()> {
    let message = || {
        QueueMessage {
            message_text: Some(text.clone()),
        }
        .try_into()
    };
    match queue.send_message(message()?, None).await {
        Err(error) if crate::storage::is_missing(&error) => {
            queue.create(None).await?;
            queue.send_message(message()?, None).await?;
            Ok(())
        }
        sent => sent.map(drop),
    }
}

/// Reads a whole body of limited size.
pub(crate) async fn read_body(body: Body, limit: usize) -> Result<Bytes, Failure> {
    let collected = Limited::new(body, limit).collect().await;
    collected
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| {
            if error.is::<LengthLimitError>() {
                Failure::Body
            } else {
                Failure::Send(SendError::Broken)
            }
        })
}
