//! The host itself: started, supervised, stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::counters::Counters;
use crate::front::{self, Front, Keys, LARGEST_BODY};
use crate::invoke::Invoker;
use crate::manifest::{Manifest, Target, Trigger};
use crate::options::Options;
use crate::queue::Pump;
use crate::settings::Settings;
use crate::storage::Storage;
use crate::timer;
use crate::worker::{self, State, Vitals, Worker};

/// How long a host that stops waits for invocations under way.
const DRAIN: Duration = Duration::from_secs(10);

/// A running host. Dropping it is like the machine's death: the handler is killed, messages are left to their leases.
#[derive(Debug)]
pub struct Host {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    ended: watch::Receiver<Option<Ended>>,
    life: JoinHandle<()>,
    http: JoinHandle<()>,
}

/// How a host ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// [`Host::stop`] was called.
    Stopped,
    /// The handler failed three times within half an hour of each other, or never came up.
    GaveUp,
}

#[derive(Debug)]
struct Shared {
    options: Options,
    settings: Settings,
    manifest: Arc<Manifest>,
    storage: Arc<Storage>,
    counters: Arc<Counters>,
    vitals: Arc<Vitals>,
    front: Arc<Front>,
    worker: Mutex<Option<Worker>>,
}

impl Drop for Host {
    fn drop(&mut self) {
        self.life.abort();
        self.http.abort();
    }
}

impl Host {
    /// Reads the app folder, listens for HTTP, and starts the handler and the triggers. It does not wait for the
    /// handler, which the real host does not either: what comes early waits.
    ///
    /// # Errors
    /// When the app folder is one that the real host would refuse (or uses bindings that only the real host knows), a
    /// connection is missing, or the port is taken.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let settings = Settings::new(options.env.clone());
        let root = std::path::absolute(&options.app_root)?;
        let manifest = Arc::new(Manifest::read(&root, &settings)?);
        let storage = Arc::new(Storage::new(settings.clone()));
        check_connections(&manifest, &storage)?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.http_port))
            .await
            .with_context(|| format!("Port {} is unavailable", options.http_port))?;
        let address = listener.local_addr()?;
        let largest_body = settings.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT");
        let front = Arc::new(Front {
            manifest: Arc::clone(&manifest),
            keys: options
                .enable_auth
                .then(|| Keys::generate(manifest.functions.iter().map(AsRef::as_ref))),
            largest_body: largest_body
                .and_then(|limit| limit.parse().ok())
                .unwrap_or(LARGEST_BODY),
            current: RwLock::new(None),
        });
        let shared = Arc::new(Shared {
            settings,
            manifest,
            storage,
            counters: Arc::default(),
            vitals: Arc::default(),
            front: Arc::clone(&front),
            worker: Mutex::new(None),
            options,
        });
        let port = shared.choose_port()?;
        shared.announce(address);
        let (stop, stopped) = watch::channel(false);
        let (ended_sender, ended) = watch::channel(None);
        let life = tokio::spawn(lives(Arc::clone(&shared), port, stopped, ended_sender));
        Ok(Self {
            http: tokio::spawn(front::serve(listener, front)),
            shared,
            address,
            stop,
            ended,
            life,
        })
    }

    /// Where the host listens, without a slash at the end: `http://127.0.0.1:7071`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The handler's process ID while there is one.
    #[must_use]
    pub fn handler_pid(&self) -> Option<u32> {
        self.shared.vitals.pid()
    }

    /// Kills the handler with SIGKILL, as from outside: it counts as a failure. Gives the killed process ID.
    pub async fn kill_handler(&self) -> Option<u32> {
        let worker = self.worker()?;
        worker.kill().await
    }

    /// Waits until the handler answers, at most four times its initialization timeout.
    ///
    /// # Errors
    /// When it does not come up, or the host has ended.
    pub async fn wait_ready(&self) -> anyhow::Result<()> {
        let mut ended = self.ended.clone();
        let ready = async {
            loop {
                if let Some(worker) = self.worker() {
                    return worker.ready().await;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            ready = ready => Ok(ready?),
            _ = ended.wait_for(Option::is_some) => bail!("the host has ended"),
        }
    }

    /// How often the handler was started again after its first start, for whatever reason.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.shared.vitals.starts().saturating_sub(1)
    }

    /// How often the supervisor started the whole host again.
    #[must_use]
    pub fn host_restarts(&self) -> u64 {
        self.shared.counters.host_restarts.get()
    }

    /// How many answers were empty or `null`, for which the real host would wait until `functionTimeout`.
    #[must_use]
    pub fn hung_invocations(&self) -> u64 {
        self.shared.counters.hung.get()
    }

    /// How many invocations succeeded so far.
    #[must_use]
    pub fn succeeded(&self) -> u64 {
        self.shared.counters.succeeded.get()
    }

    /// How many invocations failed so far.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.shared.counters.failed.get()
    }

    /// How many messages were moved to poison queues so far.
    #[must_use]
    pub fn poisoned(&self) -> u64 {
        self.shared.counters.poisoned.get()
    }

    /// The key of one function; `None` without `enable_auth` or such a function.
    #[must_use]
    pub fn function_key(&self, function: &str) -> Option<&str> {
        self.shared.front.keys.as_ref()?.function(function)
    }

    /// The key that opens everything; `None` without `enable_auth`.
    #[must_use]
    pub fn master_key(&self) -> Option<&str> {
        self.shared.front.keys.as_ref().map(Keys::master)
    }

    /// The names of the app's functions, sorted.
    pub fn functions(&self) -> impl Iterator<Item = &str> {
        let functions = self.shared.manifest.functions.iter();
        functions.map(|function| function.name.as_str())
    }

    /// Where the log lines go.
    #[must_use]
    pub fn log(&self) -> &crate::LogSink {
        &self.shared.options.log
    }

    /// Waits until the host has ended, without ending it.
    pub async fn wait_ended(&self) -> Ended {
        let mut ended = self.ended.clone();
        let ended = ended.wait_for(Option::is_some).await;
        // The sender goes only with the task, after an abort.
        ended.ok().and_then(|ended| *ended).unwrap_or(Ended::GaveUp)
    }

    /// Stops: no new messages, ten seconds for those under way, then the handler is killed.
    pub async fn stop(self) -> Ended {
        // Nobody listens when the host has ended by itself.
        let _ = self.stop.send(true);
        self.wait_ended().await
    }

    fn worker(&self) -> Option<Worker> {
        let worker = self.shared.worker.lock();
        worker.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Opens every connection once, so that a missing one is said at the start.
fn check_connections(manifest: &Manifest, storage: &Storage) -> anyhow::Result<()> {
    for function in &manifest.functions {
        let mut connections = Vec::new();
        match &function.trigger {
            Trigger::Queue(queue) => connections.push(queue.connection.as_str()),
            Trigger::Timer(_) => connections.push(""),
            Trigger::Http(_) => {}
        }
        for output in &function.outputs {
            if let Target::Queue(queue) = &output.target {
                connections.push(&queue.connection);
            }
        }
        for connection in connections {
            storage
                .account(connection)
                .with_context(|| format!("The '{}' function is in error", function.name))?;
        }
    }
    Ok(())
}

impl Shared {
    /// The handler's port: given, fixed by host.json, or a free one.
    fn choose_port(&self) -> anyhow::Result<u16> {
        if let Some(port) = self.options.running_handler {
            return Ok(port);
        }
        let wanted = self.manifest.handler.port.unwrap_or(0);
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, wanted))
            .with_context(|| format!("Unable to bind to port {wanted}"))?;
        Ok(listener.local_addr()?.port())
    }

    /// What Core Tools prints at the start.
    fn announce(&self, address: SocketAddr) {
        let log = &self.options.log;
        log.info("Found the following functions:");
        for function in &self.manifest.functions {
            log.info(format_args!("Host.Functions.{}", function.name));
        }
        log.info(format_args!("Now listening on: http://{address}"));
    }

    fn set_worker(&self, worker: Option<Worker>) {
        *self.worker.lock().unwrap_or_else(PoisonError::into_inner) = worker;
    }

    /// One life: from the start of the handler until the host stops or gives up.
    async fn live(&self, port: u16, mut stopped: watch::Receiver<bool>) -> anyhow::Result<Ended> {
        let log = &self.options.log;
        let is_running = self.options.running_handler.is_some();
        let (worker, keep) = worker::run(
            &self.manifest,
            &self.settings,
            port,
            log,
            &self.vitals,
            is_running,
        );
        let fatal = Arc::new(Notify::new());
        let invoker = Arc::new(Invoker {
            manifest: Arc::clone(&self.manifest),
            storage: Arc::clone(&self.storage),
            counters: Arc::clone(&self.counters),
            log: log.clone(),
            worker: worker.clone(),
            fatal: Arc::clone(&fatal),
        });
        let mut keeper = JoinSet::new();
        // Without functions the host does not start the handler.
        if !self.manifest.functions.is_empty() {
            keeper.spawn(keep);
        }
        let (stop_triggers, triggers_stopped) = watch::channel(false);
        let mut triggers = self.start_triggers(&invoker, &triggers_stopped)?;
        let mut state = worker.watch();
        self.set_worker(Some(worker));
        self.front.set_current(Some(Arc::clone(&invoker)));
        log.info("Host started");
        let ended = tokio::select! {
            _ = state.wait_for(|state| *state == State::GaveUp) => Ended::GaveUp,
            () = fatal.notified() => Ended::GaveUp,
            _ = stopped.wait_for(|stopped| *stopped) => Ended::Stopped,
        };
        log.info("Stopping JobHost");
        self.front.set_current(None);
        stop_triggers.send_replace(true);
        let drain = async { while triggers.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drain).await.is_err() {
            log.warn("invocations under way were not waited for any longer");
        }
        triggers.shutdown().await;
        self.set_worker(None);
        // Dropping the process kills it.
        keeper.shutdown().await;
        log.info("Job host stopped");
        Ok(ended)
    }

    fn start_triggers(
        &self,
        invoker: &Arc<Invoker>,
        stopped: &watch::Receiver<bool>,
    ) -> anyhow::Result<JoinSet<()>> {
        let host_id = self.settings.get("AzureFunctionsWebHost__hostid");
        let host_id = host_id.unwrap_or_else(|| "local".to_owned());
        let lease = self.options.lease.max(Duration::from_secs(1));
        let mut triggers = JoinSet::new();
        for function in &self.manifest.functions {
            match &function.trigger {
                Trigger::Queue(trigger) => {
                    let pump = Pump::new(invoker, function, trigger, lease)?;
                    triggers.spawn(pump.run(stopped.clone()));
                }
                Trigger::Timer(_) => {
                    let listener = timer::Listener::new(invoker, function, &host_id)?;
                    triggers.spawn(listener.run(stopped.clone()));
                }
                Trigger::Http(_) => {}
            }
        }
        Ok(triggers)
    }
}

/// One life after the other, as long as the supervisor wants.
async fn lives(
    shared: Arc<Shared>,
    mut port: u16,
    mut stopped: watch::Receiver<bool>,
    ended: watch::Sender<Option<Ended>>,
) {
    loop {
        let life = shared.live(port, stopped.clone()).await;
        let end = life.unwrap_or_else(|error| {
            shared.options.log.error(format_args!("{error:#}"));
            Ended::GaveUp
        });
        if end == Ended::Stopped || !shared.options.supervise {
            ended.send_replace(Some(end));
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(shared.options.supervise_pause) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {
                ended.send_replace(Some(Ended::Stopped));
                return;
            }
        }
        shared.counters.host_restarts.add();
        // A host that starts again chooses a port again.
        port = shared.choose_port().unwrap_or(port);
    }
}
