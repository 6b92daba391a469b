//! Starting and stopping everything.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use appcenter_sim::{Sim, World};
use azurite::{Account, Azurite};
use functions_host::{Host, LogSink};

use crate::Api;

/// What runs in the host.
#[derive(Debug, Clone)]
pub enum App {
    /// This executable, with the functions of the project.
    Handler(PathBuf),
    /// A folder as it was packaged.
    Folder(PathBuf),
}

/// What a stack is started with.
#[derive(Debug)]
pub struct Settings {
    /// What runs.
    pub app: App,
    /// App settings on top of the usual ones.
    pub env: Vec<(String, String)>,
    /// The account of the archive, where that is not the stack's own.
    pub archive: Option<Account>,
    /// How the simulator is started.
    pub sim: appcenter_sim::Options,
    /// Whether the archive is there before the first request, as an earlier export left it; else the product has to
    /// have App Center export (`EXPORT_TYPE` is `custom` then, to the stack's own account).
    pub is_exported: bool,
    /// How long a message stays invisible while it runs.
    pub lease: Duration,
    /// Whether the host is started again after it gave up.
    pub supervise: bool,
    /// Whether functions ask for keys.
    pub enable_auth: bool,
    /// Hosts (each with a handler) over the same storage.
    pub hosts: usize,
    /// Where the hosts' log goes.
    pub log: LogSink,
}

impl Settings {
    /// The usual settings, with this handler.
    #[must_use]
    pub fn new(handler: &Path) -> Self {
        Self {
            app: App::Handler(handler.to_owned()),
            env: Vec::new(),
            archive: None,
            sim: appcenter_sim::Options::default(),
            is_exported: true,
            lease: Duration::from_secs(60),
            supervise: false,
            enable_auth: false,
            hosts: 1,
            log: LogSink::memory(),
        }
    }

    /// Adds an app setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Everything, running. It stops when it is dropped.
#[derive(Debug)]
pub struct Stack {
    /// The simulator.
    pub sim: Sim,
    /// The storage account of this stack alone.
    pub account: Account,
    /// The hosts, each with its handler.
    pub hosts: Vec<Host>,
    /// The product's HTTP API.
    pub api: Api,
    options: functions_host::Options,
    _azurite: Arc<Azurite>,
    root: tempfile::TempDir,
}

/// The ledger's file in the app's folder.
const LEDGER: &str = "ledger.db";

/// The project's root folder.
#[must_use]
pub fn project_root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// App settings under which the product works with this storage and simulator, retrying quickly.
#[must_use]
pub(crate) fn app_settings(account: &Account, sim: &Sim) -> Vec<(String, String)> {
    let downloads = sim.downloads_url();
    let host = downloads
        .trim_start_matches("http://")
        .trim_end_matches('/');
    [
        ("AzureWebJobsStorage", account.connection_string()),
        ("FUNCTIONS_WORKER_RUNTIME", "custom".to_owned()),
        ("APPCENTER_API_URL", sim.url()),
        ("APPCENTER_API_TOKEN", sim.token().to_owned()),
        ("APPCENTER_DOWNLOAD_HOSTS", host.to_owned()),
        ("APPCENTER_RATE_BUDGET", "60000/300s".to_owned()),
        ("RETRY_FIRST_SECONDS", "1".to_owned()),
        ("RETRY_LONGEST_SECONDS", "3".to_owned()),
        (
            "AzureFunctionsJobHost__extensions__queues__maxPollingInterval",
            "00:00:00.5".to_owned(),
        ),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

async fn start_host(options: functions_host::Options) -> anyhow::Result<Host> {
    let host = Host::start(options).await?;
    host.wait_ready().await?;
    Ok(host)
}

impl Stack {
    /// Starts everything over an account of this emulator.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(
        azurite: Arc<Azurite>,
        world: World,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let account = azurite.account();
        Self::start_on(account, azurite, world, settings).await
    }

    /// Starts everything over this account of the emulator.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start_on(
        account: Account,
        azurite: Arc<Azurite>,
        world: World,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let sim = Sim::start(world, settings.sim).await?;
        let archive = settings.archive.as_ref().unwrap_or(&account);
        let archive = archive.connection_string();
        if settings.is_exported {
            sim.export_now(&archive).await?;
        }
        let root = tempfile::tempdir()?;
        let app_root = match &settings.app {
            App::Handler(handler) => {
                functions_host::stage::stage(&project_root(), handler, root.path())
                    .context("the app could not be staged")?;
                root.path().to_owned()
            }
            App::Folder(folder) => std::path::absolute(folder)?,
        };
        let mut env = app_settings(&account, &sim);
        let ledger = format!("sqlite:{}", root.path().join(LEDGER).display());
        env.push(("LEDGER_DATABASE".to_owned(), ledger));
        if settings.archive.is_some() {
            env.push(("ARCHIVE_STORAGE".to_owned(), archive.clone()));
        }
        if !settings.is_exported {
            env.push(("EXPORT_TYPE".to_owned(), "custom".to_owned()));
            env.push(("EXPORT_CONNECTION_STRING".to_owned(), archive));
        }
        env.extend(settings.env);
        let options = functions_host::Options {
            app_root,
            env,
            lease: settings.lease,
            supervise: settings.supervise,
            enable_auth: settings.enable_auth,
            log: settings.log,
            ..functions_host::Options::default()
        };
        let mut hosts = Vec::with_capacity(settings.hosts);
        for _ in 0..settings.hosts.max(1) {
            hosts.push(start_host(options.clone()).await?);
        }
        let url = hosts.first().map(Host::url).unwrap_or_default();
        Ok(Self {
            api: Api::new(&url)?,
            sim,
            account,
            hosts,
            options,
            _azurite: azurite,
            root,
        })
    }

    /// Starts one more host over the same storage, with these app settings on top or instead. It stops when it is dropped.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn another_host(&self, settings: &[(&str, &str)]) -> anyhow::Result<Host> {
        let mut options = self.options.clone();
        for (name, value) in settings {
            options.env.retain(|(known, _)| known != name);
            options.env.push(((*name).to_owned(), (*value).to_owned()));
        }
        start_host(options).await
    }

    /// The file of the ledger.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.root.path().join(LEDGER)
    }

    /// Names of the product's blobs in the work storage that begin with this.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub async fn blobs(&self, prefix: &str) -> anyhow::Result<Vec<String>> {
        use azure_storage_blob::models::BlobContainerClientListBlobsOptions;
        use futures::TryStreamExt as _;
        let container = self.account.container("dsr")?;
        let options = BlobContainerClientListBlobsOptions {
            prefix: Some(prefix.to_owned()),
            ..BlobContainerClientListBlobsOptions::default()
        };
        let mut pages = container.list_blobs(Some(options))?;
        let mut names = Vec::new();
        while let Some(blob) = pages.try_next().await? {
            names.extend(blob.name);
        }
        Ok(names)
    }

    /// The first host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.hosts[0]
    }

    /// Messages in every queue of the product, poison queues included, by queue.
    ///
    /// # Errors
    /// When the storage cannot be read.
    pub async fn queued(&self) -> anyhow::Result<Vec<(String, u64)>> {
        use azure_storage_queue::models::QueueClientGetPropertiesResultHeaders as _;
        let mut queued = Vec::new();
        let functions: Vec<String> = self.host().functions().map(str::to_owned).collect();
        for function in functions {
            for name in [function.clone(), format!("{function}-poison")] {
                let queue = self.account.queue(&name)?;
                if !queue.exists().await? {
                    continue;
                }
                let properties = queue.get_properties(None).await?;
                let count = properties.approximate_messages_count()?.unwrap_or(0);
                if count > 0 {
                    queued.push((name, u64::try_from(count).unwrap_or(0)));
                }
            }
        }
        Ok(queued)
    }
}
