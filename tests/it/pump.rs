//! The chain driven in this process: messages are taken from the real queues and given to the dispatcher one by one.
//!
//! It stands in for the host where a test must end invocations at an exact write, run everything twice, or fail every
//! call: hundreds of whole requests, without a process each.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use appcenter_dsr::app::App;
use appcenter_dsr::clock::{Clock, ShiftedClock};
use appcenter_dsr::config::Config;
use appcenter_dsr::domain::RequestId;
use appcenter_dsr::host::dispatch;
use appcenter_dsr::stages::decide::Decision;
use appcenter_dsr::stages::{self, Context, decide, intake, sweep};
use appcenter_dsr::work::names;
use appcenter_dsr::workflow::stage::Trigger;
use appcenter_dsr::workflow::{Event, Function, Message, Record, Status};
use appcenter_sim::{ExpectedRequest, Held, Sim, World};
use azure_storage_queue::QueueClient;
use azure_storage_queue::models::QueueClientReceiveMessagesOptions;
use azurite::Account;
use base64::Engine as _;
use serde_json::Value;

use crate::harness::azurite;
use crate::kill_at::KillAt;

/// How long nothing is looked at after a look at every queue that found nothing: at first, and at most. Looking more often
/// keeps the emulator from its work.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(160);

/// What disturbs a run.
#[derive(Debug, Clone)]
pub(crate) struct Disturb {
    /// Every message is worked on this many times.
    pub(crate) deliveries: usize,
    /// Where it is killed.
    pub(crate) probe: Arc<KillAt>,
}

impl Disturb {
    pub(crate) fn nothing() -> Self {
        Self {
            deliveries: 1,
            probe: KillAt::never(),
        }
    }
}

/// A world, its archive, and the chain over them.
pub(crate) struct Pump {
    pub(crate) sim: Sim,
    pub(crate) account: Account,
    pub(crate) clock: Arc<ShiftedClock>,
    settings: HashMap<String, String>,
    /// Whether a quiet time moves the clock on, so that what waits need not be waited for.
    hurries: bool,
    /// The functions' queues. A client reads the machine's certificates when it is made, so each is made once.
    pub(crate) queues: Vec<(Function, QueueClient)>,
    /// The application as this side looks at stored state; made once for the same reason.
    observer: OnceLock<Box<App>>,
    /// How long an invocation may work, where a test says it.
    pub(crate) invocation: Option<Duration>,
    pub(crate) azurite: Arc<azurite::Azurite>,
    _folder: tempfile::TempDir,
}

impl Pump {
    /// Starts a simulator over a world and writes its archive into an account of its own.
    pub(crate) async fn start(world: World) -> anyhow::Result<Self> {
        let pump = Self::start_without_export(world).await?;
        let archive = pump.account.connection_string();
        pump.sim.export_now(&archive).await?;
        Ok(pump)
    }

    /// The same without an export configuration, and so without an archive.
    pub(crate) async fn start_without_export(world: World) -> anyhow::Result<Self> {
        Self::start_with(world, appcenter_sim::Options::default()).await
    }

    /// The same with a simulator of other oddities.
    pub(crate) async fn start_with(
        world: World,
        options: appcenter_sim::Options,
    ) -> anyhow::Result<Self> {
        let azurite = azurite().await;
        let account = azurite.account();
        let sim = Sim::start(world, options).await?;
        let service = account.queues()?;
        let mut queues = Vec::new();
        for function in Function::ALL {
            if function.trigger() == Trigger::Queue {
                queues.push((*function, service.queue_client(function.name())?));
            }
        }
        let downloads = sim.downloads_url();
        let folder = tempfile::tempdir()?;
        let ledger = folder.path().join("ledger.db");
        let settings = [
            ("AzureWebJobsStorage", account.connection_string()),
            ("APPCENTER_API_URL", sim.url()),
            ("APPCENTER_API_TOKEN", sim.token().to_owned()),
            (
                "APPCENTER_DOWNLOAD_HOSTS",
                downloads
                    .trim_start_matches("http://")
                    .trim_end_matches('/')
                    .to_owned(),
            ),
            ("APPCENTER_RATE_BUDGET", "60000/300s".to_owned()),
            ("RETRY_FIRST_SECONDS", "1".to_owned()),
            ("RETRY_LONGEST_SECONDS", "1".to_owned()),
            ("SLICE_ITEMS", "2".to_owned()),
            ("LEDGER_DATABASE", format!("sqlite:{}", ledger.display())),
        ];
        Ok(Self {
            sim,
            account,
            clock: Arc::new(ShiftedClock::default()),
            settings: settings
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            hurries: true,
            queues,
            observer: OnceLock::new(),
            invocation: None,
            azurite,
            _folder: folder,
        })
    }

    /// The same, whose clock is never moved on.
    pub(crate) fn patient(mut self) -> Self {
        self.hurries = false;
        self
    }

    /// Changes a setting.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.settings.insert(name.to_owned(), value.to_owned());
    }

    /// The application as a fresh process has it.
    pub(crate) fn app(&self, probe: Arc<KillAt>) -> anyhow::Result<App> {
        self.app_by(Arc::clone(&self.clock) as Arc<dyn Clock>, probe)
    }

    /// The same by another clock.
    pub(crate) fn app_by(&self, clock: Arc<dyn Clock>, probe: Arc<KillAt>) -> anyhow::Result<App> {
        let mut config = Config::from_lookup(&|name| self.settings.get(name).cloned())?;
        if let Some(limit) = self.invocation {
            config.limits.invocation = limit;
        }
        Ok(App::with_probe(config, clock, probe)?)
    }

    /// Files a request as the HTTP function does; a kill is followed by the caller's second try.
    pub(crate) async fn submit(
        &self,
        document: &Value,
        disturb: &Disturb,
    ) -> anyhow::Result<RequestId> {
        let body = document.to_string();
        for _ in 0..3 {
            disturb.probe.enter("intake");
            let app = self.app(Arc::clone(&disturb.probe))?;
            let cx = Context::new(&app);
            let Ok(accepted) = intake::run(cx, body.as_bytes()).await else {
                continue;
            };
            let record = accepted.record();
            let id = record.id.clone();
            if !accepted.is_to_start() {
                return Ok(id);
            }
            if dispatch::advance(cx, &id, record.run, Event::Accepted)
                .await
                .is_ok()
            {
                return Ok(id);
            }
        }
        bail!("the request was not accepted")
    }

    /// Works on messages until the request is at rest: it awaits approval, or has ended and nothing is left to do.
    pub(crate) async fn drive(&self, id: &RequestId, disturb: &Disturb) -> anyhow::Result<Record> {
        let mut app = Arc::new(self.app(Arc::clone(&disturb.probe))?);
        let end = Instant::now() + Duration::from_secs(90);
        let mut quiet = Instant::now();
        let mut pause = SHORTEST_PAUSE;
        // Queues that may hold something now; the others are looked at when these are empty.
        let mut busy = BTreeSet::new();
        loop {
            if Instant::now() > end {
                bail!("the request does not move on: {:#?}", self.record(id).await);
            }
            busy.extend(disturb.probe.sent());
            let looks_at_all = busy.is_empty();
            for (function, queue) in &self.queues {
                if !looks_at_all && !busy.contains(function.name()) {
                    continue;
                }
                if Box::pin(self.work_on(&mut app, queue, disturb)).await? > 0 {
                    busy.insert(function.name().to_owned());
                } else {
                    busy.remove(function.name());
                }
            }
            if !looks_at_all || !busy.is_empty() {
                quiet = Instant::now();
                pause = SHORTEST_PAUSE;
                continue;
            }
            let record = self.record(id).await?;
            if record.status == Status::AwaitingApproval || record.status.is_ended() {
                return Ok(record);
            }
            // A kill can lose the one message there was: then a sweep, later, wakes the request.
            if self.hurries && quiet.elapsed() > Duration::from_millis(2500) {
                self.clock.advance(Duration::from_secs(3600));
                disturb.probe.enter("sweep");
                let fresh = self.app(Arc::clone(&disturb.probe))?;
                let cx = Context::new(&fresh);
                if let Ok(swept) = sweep::run(cx).await {
                    drop(Box::pin(dispatch::after_sweep(cx, swept)).await);
                }
                quiet = Instant::now();
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    pub(crate) async fn work_on(
        &self,
        app: &mut Arc<App>,
        queue: &QueueClient,
        disturb: &Disturb,
    ) -> anyhow::Result<usize> {
        let options = QueueClientReceiveMessagesOptions {
            number_of_messages: Some(16),
            visibility_timeout: Some(30),
            ..QueueClientReceiveMessagesOptions::default()
        };
        let received = match queue.receive_messages(Some(options)).await {
            Ok(received) => received.into_model()?,
            // Nothing was ever sent there.
            Err(_) => return Ok(0),
        };
        let messages = received.items.unwrap_or_default();
        let count = messages.len();
        for message in messages {
            let id = message.message_id.context("an ID")?;
            let receipt = message.pop_receipt.context("a receipt")?;
            let text = message.message_text.context("a text")?;
            let text = base64::engine::general_purpose::STANDARD.decode(text)?;
            let parsed = Message::parse(std::str::from_utf8(&text)?)
                .map_err(|reason| anyhow::anyhow!("{reason}"))?;
            let mut is_done = true;
            for _ in 0..disturb.deliveries {
                disturb.probe.take(&parsed);
                if Box::pin(dispatch::invoke(app, parsed.clone()))
                    .await
                    .is_err()
                {
                    is_done = false;
                    *app = Arc::new(self.app(Arc::clone(&disturb.probe))?);
                    break;
                }
            }
            if is_done {
                queue.delete_message(&id, &receipt, None).await?;
            } else {
                queue.update_message(&id, &receipt, 0, None).await?;
            }
        }
        Ok(count)
    }

    /// Takes a decision as the HTTP function does; a kill is followed by the caller's second try.
    pub(crate) async fn decide(
        &self,
        id: &RequestId,
        decision: Decision,
        body: &Value,
        disturb: &Disturb,
    ) -> anyhow::Result<()> {
        let mut last = String::new();
        for _ in 0..3 {
            disturb.probe.enter("decide");
            let app = self.app(Arc::clone(&disturb.probe))?;
            let cx = Context::new(&app);
            match decide::run(cx, id, decision, body.to_string().as_bytes()).await {
                Ok(decided) => {
                    if dispatch::send_all(cx, &decided.messages).await.is_err() {
                        continue;
                    }
                    if decided.record.status.is_ended()
                        && sweep::close(cx, &decided.record).await.is_err()
                    {
                        continue;
                    }
                    return Ok(());
                }
                Err(refusal) => last = format!("{refusal:?}"),
            }
        }
        bail!("the decision was refused: {last}")
    }

    /// Approves the plan as it stands.
    pub(crate) async fn approve(&self, id: &RequestId, disturb: &Disturb) -> anyhow::Result<()> {
        self.approve_with(id, &BTreeSet::new(), disturb).await
    }

    /// Approves the plan and releases held items with it.
    async fn approve_with(
        &self,
        id: &RequestId,
        released: &BTreeSet<Held>,
        disturb: &Disturb,
    ) -> anyhow::Result<()> {
        let record = self.record(id).await?;
        let plan = record.plan.context("a plan")?;
        let mut body = serde_json::json!({ "plan_sha256": plan.sha256, "approver": "a tester" });
        if !released.is_empty() {
            body["also"] = stack::audit::item_ids(&self.plan(id).await?, released).into();
        }
        if let Some(large) = plan.large {
            body["confirm_large"] = large.confirm_large.into();
        }
        self.decide(id, Decision::Approve, &body, disturb).await
    }

    /// Files a request and drives it to its end, approving its plan.
    pub(crate) async fn run(&self, document: &Value, disturb: &Disturb) -> anyhow::Result<Record> {
        self.run_with(document, &BTreeSet::new(), disturb).await
    }

    /// The same, releasing held items of its plan.
    pub(crate) async fn run_with(
        &self,
        document: &Value,
        released: &BTreeSet<Held>,
        disturb: &Disturb,
    ) -> anyhow::Result<Record> {
        let id = self.submit(document, disturb).await?;
        let record = self.drive(&id, disturb).await?;
        if record.status == Status::AwaitingApproval {
            self.approve_with(&id, released, disturb).await?;
            return self.drive(&id, disturb).await;
        }
        Ok(record)
    }

    /// The same while the exporter's time goes on.
    pub(crate) async fn run_ticking(
        &self,
        document: &Value,
        released: &BTreeSet<Held>,
        disturb: &Disturb,
    ) -> anyhow::Result<Record> {
        let ticks = async {
            loop {
                tokio::time::sleep(Duration::from_millis(300)).await;
                self.sim.tick().await;
            }
        };
        tokio::select! {
            record = self.run_with(document, released, disturb) => record,
            () = ticks => unreachable!("it ticks for ever"),
        }
    }

    /// A request of the world, with all that it may release and what it must come to then.
    pub(crate) fn asked(&self, name: &str) -> (ExpectedRequest, BTreeSet<Held>) {
        let request = self.sim.world(|world| world.request(name).cloned());
        let request = request.expect("the world has it");
        match request.also.last() {
            Some(also) => (request.with(also), also.include.clone()),
            None => (request, BTreeSet::new()),
        }
    }

    /// The application by which stored state is looked at; the settings it was made with do not matter for that.
    fn observer(&self) -> anyhow::Result<&App> {
        if let Some(app) = self.observer.get() {
            return Ok(app);
        }
        let app = Box::new(self.app(KillAt::never())?);
        Ok(self.observer.get_or_init(|| app))
    }

    /// A request's record.
    pub(crate) async fn record(&self, id: &RequestId) -> anyhow::Result<Record> {
        let app = self.observer()?;
        let loaded = app
            .store
            .record(id)
            .await?
            .context("the request is stored")?;
        Ok(loaded.record)
    }

    /// A request's report.
    pub(crate) async fn report(&self, record: &Record) -> anyhow::Result<Value> {
        self.report_of_run(record, None).await
    }

    /// The report of one run of a request.
    pub(crate) async fn report_of_run(
        &self,
        record: &Record,
        run: Option<u32>,
    ) -> anyhow::Result<Value> {
        let cx = Context::new(self.observer()?);
        let bytes = stages::requests::report(cx, &record.id, run, "json").await?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// A request's plan.
    pub(crate) async fn plan(&self, id: &RequestId) -> anyhow::Result<Value> {
        let record = self.record(id).await?;
        let container = self.observer()?.store.container();
        let name = names::plan(&record.id, record.run);
        let stored = container.read(&name, 64 * 1024 * 1024).await?;
        Ok(serde_json::from_slice(&stored.context("a plan")?.bytes)?)
    }

    /// A request's package, if it has one.
    pub(crate) async fn package(&self, record: &Record) -> anyhow::Result<Option<Vec<u8>>> {
        if record.package.is_none() {
            return Ok(None);
        }
        let name = names::package(&record.id, record.run);
        let container = self.observer()?.store.container();
        let stored = container.read(&name, 64 * 1024 * 1024).await?;
        Ok(stored.map(|it| it.bytes.into()))
    }

    /// Blobs of the work container under a prefix.
    pub(crate) async fn blobs(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        let app = self.observer()?;
        let mut listing = app.store.container().list(prefix);
        let mut names = Vec::new();
        while let Some(page) = listing.next_page().await? {
            names.extend(page.into_iter().map(|entry| entry.name));
        }
        Ok(names)
    }
}
