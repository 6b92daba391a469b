//! The handler in this process, whose telemetry goes to a sink.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use appcenter_dsr::app::App;
use appcenter_dsr::clock::Clock;
use appcenter_dsr::domain::RequestId;
use appcenter_dsr::host::build_handler;
use appcenter_dsr::workflow::{Record, Status};
use appcenter_sim::World;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use azure_storage_queue::models::QueueClientReceiveMessagesOptions;
use base64::Engine as _;
use http_body_util::BodyExt as _;
use jiff::{Span as Length, Timestamp};
use serde_json::{Value, json};
use telemetry_sink::{Received, Sink};
use tower::ServiceExt as _;

use super::{SMALL, kql};
use crate::pump::{Disturb, Pump};

/// How long a request may take from one rest to the next.
const LIMIT: Duration = Duration::from_secs(90);

/// The handler, and all that it was called with.
pub(super) struct Observed {
    pub(super) pump: Pump,
    pub(super) sink: Sink,
    pub(super) app: Arc<App>,
    router: Router,
    /// How often each function was invoked.
    pub(super) invoked: BTreeMap<String, u64>,
}

/// A clock that stands still.
#[derive(Debug)]
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

impl Observed {
    /// Starts one over the small world, with these settings besides the usual ones.
    pub(super) async fn start(settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_by(None, settings).await
    }

    /// The same at a time at which it stays.
    pub(super) async fn start_at(at: &str, settings: &[(&str, &str)]) -> anyhow::Result<Self> {
        Self::start_by(Some(Arc::new(Still(at.parse()?))), settings).await
    }

    async fn start_by(
        clock: Option<Arc<dyn Clock>>,
        settings: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let mut pump = Pump::start(World::parse(SMALL)?).await?;
        let sink = Sink::start().await?;
        pump.set(
            "APPLICATIONINSIGHTS_CONNECTION_STRING",
            &sink.connection_string(),
        );
        for (name, value) in settings {
            pump.set(name, value);
        }
        let probe = Disturb::nothing().probe;
        let app = match clock {
            Some(clock) => pump.app_by(clock, probe)?,
            None => pump.app(probe)?,
        };
        let app = Arc::new(app);
        app.store.prepare().await?;
        let router = build_handler(Arc::clone(&app));
        Ok(Self {
            pump,
            sink,
            app,
            router,
            invoked: BTreeMap::new(),
        })
    }

    /// Invokes a function by a call of a path.
    async fn call(
        &mut self,
        function: &str,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        *self.invoked.entry(function.to_owned()).or_default() += 1;
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))?;
        let answer = self.router.clone().oneshot(request).await?;
        let status = answer.status();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }

    /// Delivers a message to a function.
    pub(super) async fn deliver(
        &mut self,
        function: &str,
        text: &str,
    ) -> anyhow::Result<StatusCode> {
        let body = json!({ "Data": { "message": text }, "Metadata": {} });
        let answer = self.call(function, &format!("/{function}"), &body).await?;
        Ok(answer.0)
    }

    /// What the answer to a message has the host log.
    pub(super) async fn logs(&mut self, function: &str, text: &str) -> anyhow::Result<Value> {
        let body = json!({ "Data": { "message": text }, "Metadata": {} });
        let answer = self.call(function, &format!("/{function}"), &body).await?;
        let mut answer: Value = serde_json::from_slice(&answer.1)?;
        Ok(answer["Logs"].take())
    }

    /// A request of the world, with members of its document changed.
    pub(super) fn document(&self, name: &str, changes: &Value) -> anyhow::Result<Value> {
        let request = self.pump.sim.world(|world| world.request(name).cloned());
        let mut document = request.context("the world has it")?.document;
        for (key, value) in changes.as_object().into_iter().flatten() {
            document[key] = value.clone();
        }
        Ok(document)
    }

    /// Files a request of the world by HTTP, with members of its document changed.
    pub(super) async fn file(&mut self, name: &str, changes: Value) -> anyhow::Result<RequestId> {
        let document = self.document(name, &changes)?;
        let (status, _) = self.call("intake", "/api/requests", &document).await?;
        anyhow::ensure!(status == StatusCode::ACCEPTED, "intake: {status}");
        Ok(id_of(&document))
    }

    /// The same from the queue.
    pub(super) async fn queue(&mut self, name: &str, changes: Value) -> anyhow::Result<RequestId> {
        let document = self.document(name, &changes)?;
        let status = self.deliver("intake-queue", &document.to_string()).await?;
        anyhow::ensure!(status == StatusCode::OK, "intake-queue: {status}");
        Ok(id_of(&document))
    }

    /// Approves the plan of a request.
    pub(super) async fn approve(&mut self, record: &Record) -> anyhow::Result<()> {
        let plan = record.plan.as_ref().context("a plan")?;
        let mut body = json!({ "plan_sha256": plan.sha256, "approver": "a tester" });
        if let Some(large) = &plan.large {
            body["confirm_large"] = large.confirm_large.into();
        }
        let path = format!("/api/requests/{}/approve", record.id);
        let (status, _) = self.call("decide", &path, &body).await?;
        anyhow::ensure!(status == StatusCode::OK, "approve: {status}");
        Ok(())
    }

    pub(super) async fn sweep(&mut self) -> anyhow::Result<()> {
        let body = json!({ "Data": {}, "Metadata": {} });
        let (status, _) = self.call("sweep", "/sweep", &body).await?;
        anyhow::ensure!(status == StatusCode::OK, "sweep: {status}");
        Ok(())
    }

    /// Puts a message into the poison queue of a function.
    pub(super) async fn poison(&self, function: &str, text: &str) -> anyhow::Result<()> {
        let queue = self.app.store.queue(&format!("{function}-poison"));
        queue.create_if_missing().await?;
        queue.send(text, Duration::ZERO).await?;
        Ok(())
    }

    /// Loses the messages of a function's queue.
    pub(super) async fn lose(&self, function: &str) -> anyhow::Result<()> {
        self.pump.account.queue(function)?.clear(None).await?;
        Ok(())
    }

    /// Delivers the messages that lie in the queues; how many there were.
    pub(super) async fn deliver_all(&mut self) -> anyhow::Result<usize> {
        let mut count = 0;
        for at in 0..self.pump.queues.len() {
            let (function, queue) = &self.pump.queues[at];
            let function = function.name();
            let options = QueueClientReceiveMessagesOptions {
                number_of_messages: Some(16),
                visibility_timeout: Some(30),
                ..QueueClientReceiveMessagesOptions::default()
            };
            let received = queue.receive_messages(Some(options)).await?;
            let messages = received.into_model()?.items.unwrap_or_default();
            for message in messages {
                let text = message.message_text.context("a text")?;
                let text = base64::engine::general_purpose::STANDARD.decode(text)?;
                let text = String::from_utf8(text)?;
                let status = self.deliver(function, &text).await?;
                anyhow::ensure!(status == StatusCode::OK, "{function}: {status}");
                let id = message.message_id.context("an ID")?;
                let receipt = message.pop_receipt.context("a receipt")?;
                let queue = &self.pump.queues[at].1;
                queue.delete_message(&id, &receipt, None).await?;
                count += 1;
            }
        }
        Ok(count)
    }

    /// Delivers messages as they come, until a request waits for a person or has ended.
    pub(super) async fn drive(&mut self, id: &RequestId) -> anyhow::Result<Record> {
        let end = Instant::now() + LIMIT;
        loop {
            if self.deliver_all().await? > 0 {
                continue;
            }
            let record = self.pump.record(id).await?;
            if record.status == Status::AwaitingApproval || record.status.is_ended() {
                return Ok(record);
            }
            anyhow::ensure!(Instant::now() < end, "it does not move on: {record:#?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Everything that was emitted.
    pub(super) async fn received(&self) -> anyhow::Result<Received> {
        self.app.telemetry.stop(Duration::from_secs(30)).await;
        let all: u64 = self.invoked.values().sum();
        let limit = Duration::from_secs(60);
        let is_all = |received: &Received| {
            let rows = |table: &str| {
                let rows = received.rows.iter().filter(move |(of, _)| *of == table);
                rows.map(|(_, row)| row).collect::<Vec<_>>()
            };
            let measured = rows("AppMetrics").into_iter().filter(|row| {
                row["Name"] == "dsr.sweep.duration" || row["Name"] == "dsr.stage.duration"
            });
            let measured: u64 = measured.filter_map(|row| row["ItemCount"].as_u64()).sum();
            let spans = rows("AppRequests").len();
            measured >= all && u64::try_from(spans).is_ok_and(|spans| spans >= all)
        };
        self.sink.wait(limit, is_all).await
    }

    /// The alerts that fire so many minutes from now, over everything that was emitted.
    pub(super) async fn firing(&self, minutes: i64) -> anyhow::Result<BTreeSet<String>> {
        let received = self.received().await?;
        let now = clock_now().checked_add(Length::new().minutes(minutes))?;
        let alerts = kql::queries("alerts");
        let found = kql::evaluate(&kql::tables(&received), now, &alerts).await?;
        let firing = found.into_iter().filter(|(_, rows)| !rows.is_empty());
        Ok(firing.map(|(name, _)| name).collect())
    }
}

fn id_of(document: &Value) -> RequestId {
    let text = |key: &str| document[key].as_str().unwrap_or_default();
    RequestId::derive(text("kind"), text("reference"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "telemetry tells the real time, and queries are asked at one"
)]
pub(super) fn clock_now() -> Timestamp {
    Timestamp::now()
}
