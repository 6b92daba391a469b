//! A running simulator, and the handles that tests hold.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use anyhow::Context as _;
use jiff::SignedDuration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::audit::Audit;
use crate::clock::Clock;
use crate::exporter::{self, Configuration, ExportState, Exported};
use crate::faults::Faults;
use crate::ids;
use crate::options::{Mode, Options, Retirement};
use crate::server::{self, Shared};
use crate::state::State;
use crate::world::{Layout, World};

/// A running simulator on the loopback address; it ends when this is dropped.
#[derive(Debug)]
pub struct Sim {
    shared: Arc<Shared>,
    url: String,
    downloads_url: String,
    token: String,
    _stop: Vec<oneshot::Sender<()>>,
    timer: Option<AbortHandle>,
}

impl Drop for Sim {
    fn drop(&mut self) {
        if let Some(timer) = &self.timer {
            timer.abort();
        }
    }
}

impl Sim {
    /// Starts a simulator of this world.
    ///
    /// # Errors
    /// When a port is taken.
    pub async fn start(world: World, options: Options) -> anyhow::Result<Self> {
        let api = listen(options.port).await?;
        let downloads = listen(options.downloads_port).await?;
        let url = format!("http://{}", api.local_addr()?);
        let downloads_url = format!("http://{}", downloads.local_addr()?);
        let clock = Clock::default();
        let token = options.tokens.first().map(|it| it.value.clone());
        let mode = options.mode;
        let state = State::new(world, options, clock.now(), &downloads_url);
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            clock,
            faults: Faults::default(),
            exporting: tokio::sync::Mutex::default(),
            written: Mutex::default(),
        });
        let stop = vec![
            server::serve(api, server::api_router(Arc::clone(&shared))),
            server::serve(downloads, server::downloads_router(Arc::clone(&shared))),
        ];
        let timer = match mode {
            Mode::Explicit => None,
            Mode::Auto { every } => {
                let shared = Arc::clone(&shared);
                let task = tokio::spawn(async move {
                    loop {
                        tokio::time::sleep(every).await;
                        exporter::tick(&shared).await;
                    }
                });
                Some(task.abort_handle())
            }
        };
        Ok(Self {
            shared,
            url,
            downloads_url,
            token: token.unwrap_or_default(),
            _stop: stop,
            timer,
        })
    }

    /// The address of the API, without a slash at the end.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The address of the host that `location` replies point to.
    #[must_use]
    pub fn downloads_url(&self) -> String {
        self.downloads_url.clone()
    }

    /// The first accepted token.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The clock that the service lives by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.shared.clock.clone()
    }

    /// The faults that are set.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.shared.faults.clone()
    }

    /// What was done so far.
    #[must_use]
    pub fn audit(&self) -> Audit {
        self.shared.state().audit.clone()
    }

    /// Looks something up in the world, ingested data included.
    pub fn world<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.shared.state().world)
    }

    /// Makes a subscription that export configurations can link to; its data goes to this account.
    pub fn subscription(&self, id: &str, connection_string: &str) {
        self.shared
            .state()
            .subscriptions
            .insert(id.to_owned(), connection_string.to_owned());
    }

    /// Makes standard exports of an app write to this account, as the service makes one for each; the subscription's own
    /// is used otherwise.
    pub fn standard_account(&self, app: &str, connection_string: &str) {
        let mut state = self.shared.state();
        let index = state.world.apps.iter().position(|it| it.name == app);
        if let Some(index) = index {
            state
                .standard_accounts
                .insert(index, connection_string.to_owned());
        }
    }

    /// Moves the exporter on by one step: new configurations from Pending to Enabled with their backfill, others to the
    /// present minute, those whose storage fails to Invalid, and after long to Disabled.
    pub async fn tick(&self) -> Exported {
        exporter::tick(&self.shared).await
    }

    /// Writes the archive of every app in the world's layout, without any configuration.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub async fn write_archive(&self, connection_string: &str) -> anyhow::Result<Exported> {
        exporter::write_archive(&self.shared, connection_string).await
    }

    /// Writes the archive of every app and leaves the configurations that an earlier export would have left, Enabled
    /// and up to date.
    ///
    /// # Errors
    /// When the storage cannot be written.
    pub async fn export_now(&self, connection_string: &str) -> anyhow::Result<Exported> {
        let exported = self.write_archive(connection_string).await?;
        let mut state = self.shared.state();
        for app in 0..state.world.apps.len() {
            let key = format!("earlier {app} {}", state.fresh());
            let now = state.now;
            let format = match state.world.apps[app].style.layout {
                Layout::WithAppId => "WithAppId",
                Layout::WithoutAppId => "WithoutAppId",
            };
            let configuration = Configuration {
                id: ids::uuid(&state.world.seed, "export configuration", &key),
                app,
                kind: "blob_storage_connection_string".to_owned(),
                entities: ["crashes", "errors", "attachments"]
                    .map(str::to_owned)
                    .to_vec(),
                path_format: Some(format.to_owned()),
                subscription_id: None,
                destination: connection_string.to_owned(),
                resource_name: "ex005f0a5ce8e08f7fb33898".to_owned(),
                resource_group: format!("appcenter-export-{}", state.world.apps[app].name),
                backfill: true,
                state: ExportState::Enabled,
                state_info: String::new(),
                created: now - SignedDuration::from_hours(24 * 40),
                last_run: Some(now),
                exported_until: exporter::first_minute(&state, false),
                ticks_pending: 0,
                failing_since: None,
            };
            state.configurations.push(configuration);
        }
        Ok(exported)
    }

    /// Puts every export configuration of an app into this state, as the service does on its own.
    pub fn set_export_state(&self, app: &str, wanted: ExportState) {
        let from = exporter::first_minute(&self.shared.state(), false);
        self.each_configuration(app, |it| {
            let was_off = matches!(it.state, ExportState::Disabled | ExportState::Invalid);
            if was_off && wanted == ExportState::Enabled {
                it.exported_until = from;
            }
            it.state = wanted;
            it.failing_since = None;
        });
    }

    /// Has every export configuration of an app write to this account from now on, unchecked: as when the keys of its
    /// account are changed, or changed back.
    pub fn set_export_storage(&self, app: &str, connection_string: &str) {
        self.each_configuration(app, |it| connection_string.clone_into(&mut it.destination));
    }

    /// Has every export configuration of an app write these of crashes, errors and attachments, as somebody may have made
    /// it.
    pub fn set_export_entities(&self, app: &str, entities: &[&str]) {
        let entities: Vec<String> = entities.iter().map(|&it| it.to_owned()).collect();
        self.each_configuration(app, |it| it.entities.clone_from(&entities));
    }

    fn each_configuration(&self, app: &str, change: impl Fn(&mut Configuration)) {
        let mut state = self.shared.state();
        let index = state.world.apps.iter().position(|it| it.name == app);
        let configurations = state.configurations.iter_mut();
        for it in configurations.filter(|it| Some(it.app) == index) {
            change(it);
        }
    }

    /// How many steps new export configurations stay Pending from now on; `u32::MAX` for ever.
    pub fn set_pending_ticks(&self, ticks: u32) {
        self.shared.state().quirks.pending_ticks = ticks;
    }

    /// Retires the service (410 to everything), or brings it back.
    pub fn set_retired(&self, is_retired: bool) {
        self.set_retirement(is_retired.then_some(Retirement::Gone));
    }

    /// Retires the service in a given way, or brings it back.
    pub fn set_retirement(&self, retirement: Option<Retirement>) {
        self.shared.state().retirement = retirement;
    }

    /// Retires App Center Test alone.
    pub fn set_test_retired(&self, is_retired: bool) {
        self.shared.state().is_test_retired = is_retired;
    }

    /// Takes all tokens back, or accepts them again.
    pub fn set_user_token_invalid(&self, is_invalid: bool) {
        for token in &mut self.shared.state().tokens {
            token.is_valid = !is_invalid;
        }
    }

    /// Takes an app away, so that the API no longer knows it; or gives it back.
    pub fn rename_app(&self, app: &str, name: &str) {
        let mut state = self.shared.state();
        for it in state.world.apps.iter_mut().filter(|it| it.name == app) {
            name.clone_into(&mut it.name);
        }
    }

    /// Sends logs as an SDK does; returns how many were accepted.
    ///
    /// # Errors
    /// When the app is unknown.
    pub fn ingest(
        &self,
        app: &str,
        install: uuid::Uuid,
        logs: &serde_json::Value,
    ) -> anyhow::Result<usize> {
        let mut state = self.shared.state();
        let secret = state
            .world
            .apps
            .iter()
            .find(|it| it.name == app)
            .with_context(|| format!("there is no app `{app}`"))?
            .secret;
        Ok(crate::routes::ingest(&mut state, secret, install, logs).1)
    }
}

async fn listen(port: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address)
        .await
        .with_context(|| format!("port {port} cannot be listened on"))
}
