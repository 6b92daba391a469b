//! Everything a function needs, built once a process and lazily: no call is made before it is needed.

use std::sync::{Arc, OnceLock};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::RngExt as _;
use secrecy::ExposeSecret as _;
use sha2::Sha256;

use crate::appcenter::{self, Budget, Client};
use crate::archives::Archives;
use crate::budget::{BudgetSpec, SharedBudget};
use crate::clock::Clock;
use crate::config::env::{ARCHIVE_ACCOUNTS, ARCHIVE_STORAGE, Setting, WORK_STORAGE};
use crate::config::{self, Config};
use crate::ledger::Ledger;
use crate::storage::{Account, AccountSettings, Created};
use crate::telemetry::{self, Telemetry};
use crate::work::{NoProbe, Probe, Readings, Store, names};

/// Indexes of days that are in memory at once: each can be 32 MiB long.
const MAX_INDEXES: usize = 8;

/// The application.
#[derive(Debug)]
pub struct App {
    /// Settings.
    pub config: Config,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Records, slices, queues.
    pub store: Store,
    /// What App Center exported.
    pub archives: Archives,
    budget: Arc<dyn Budget>,
    client: OnceLock<Client>,
    /// Which reports each app has, and which of them were fetched.
    pub ledger: Ledger,
    hmac_key: tokio::sync::OnceCell<Vec<u8>>,
    /// Reads of records before irreversible calls.
    pub readings: Readings,
    /// Passes that have the index of a day in memory.
    pub indexes: tokio::sync::Semaphore,
    /// What is seen of it all.
    pub telemetry: Telemetry,
}

/// Why the application cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A storage setting cannot be used.
    #[error("setting `{setting}` cannot be used")]
    Storage {
        /// Which.
        setting: &'static str,
        /// What is wrong with it.
        source: crate::storage::Error,
    },
    /// The API's budget cannot be read.
    #[error("setting `APPCENTER_RATE_BUDGET`: {0}")]
    Budget(String),
}

impl App {
    /// Builds it from settings. No I/O happens here.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn new(config: Config, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        Self::with_probe(config, clock, Arc::new(NoProbe))
    }

    /// The same, with a probe through which tests end invocations.
    ///
    /// # Errors
    /// When a setting cannot be used.
    pub fn with_probe(
        config: Config,
        clock: Arc<dyn Clock>,
        probe: Arc<dyn Probe>,
    ) -> Result<Self, StartError> {
        let open = |storage, setting: Setting| {
            Account::open(&account(storage)).map_err(|source| StartError::Storage {
                setting: setting.name,
                source,
            })
        };
        let work = open(&config.work, WORK_STORAGE)?;
        let container = work.container(&config.work_container);
        let own = open(&config.archive, ARCHIVE_STORAGE)?.container(&config.archive_container);
        let archives = Archives::new(
            own,
            &config.archive_container,
            &config.archive,
            &config.archive_accounts,
        )
        .map_err(|source| StartError::Storage {
            setting: ARCHIVE_ACCOUNTS.name,
            source,
        })?;
        let spec = BudgetSpec::parse(&config.app_center.rate_budget)
            .map_err(|error| StartError::Budget(error.to_string()))?;
        // The budget belongs to the token: two tokens in one storage have a budget each.
        let mut mac = Hmac::<Sha256>::new_from_slice(b"appcenter-dsr budget")
            .unwrap_or_else(|_| unreachable_key());
        mac.update(config.app_center.token.expose_secret().as_bytes());
        let digest = mac.finalize().into_bytes();
        let name: String = digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let budget = SharedBudget::new(
            container.clone(),
            format!("budget/{name}.json"),
            spec,
            Arc::clone(&clock),
        );
        Ok(Self {
            store: Store::new(container, work, probe),
            archives,
            budget: Arc::new(budget),
            client: OnceLock::new(),
            ledger: Ledger::open(&config.ledger),
            hmac_key: tokio::sync::OnceCell::new(),
            readings: Readings::default(),
            indexes: tokio::sync::Semaphore::new(MAX_INDEXES),
            telemetry: Telemetry::new(destinations(&config.telemetry)),
            config,
            clock,
        })
    }

    /// The App Center client.
    ///
    /// # Errors
    /// When it cannot be built, such as without a token.
    pub fn app_center(&self) -> Result<&Client, appcenter::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let settings = &self.config.app_center;
        let client = Client::new(appcenter::Options {
            download_hosts: settings.download_hosts.clone(),
            ..appcenter::Options::new(
                settings.url.clone(),
                settings.token.clone(),
                Arc::clone(&self.budget),
                Arc::clone(&self.clock),
            )
        })?;
        Ok(self.client.get_or_init(|| client))
    }

    /// An HMAC over content, by which it is known again without being kept.
    ///
    /// The key is the setting `INDEX_KEY`, or one that is made at random once and kept in the work container.
    ///
    /// # Errors
    /// When the key cannot be read or stored.
    pub async fn fingerprint(&self, content: &[u8]) -> Result<String, crate::work::Error> {
        let key = self
            .hmac_key
            .get_or_try_init(|| async {
                if let Some(key) = &self.config.index_key {
                    return Ok(key.expose_secret().as_bytes().to_vec());
                }
                self.stored_key().await
            })
            .await?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap_or_else(|_| unreachable_key());
        mac.update(content);
        let digest = mac.finalize().into_bytes();
        Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    async fn stored_key(&self) -> Result<Vec<u8>, crate::work::Error> {
        let container = self.store.container();
        loop {
            if let Some(stored) = container.read(names::HMAC_KEY, 1024).await? {
                return Ok(stored.bytes.to_vec());
            }
            let mut key = [0_u8; 32];
            rand::rng().fill(&mut key);
            let content_type = "application/octet-stream";
            let created = container
                .create(names::HMAC_KEY, key.to_vec(), content_type)
                .await?;
            if let Created::New(_) = created {
                return Ok(key.to_vec());
            }
        }
    }
}

/// HMAC takes keys of any length, so this key always fits.
fn unreachable_key() -> Hmac<Sha256> {
    Hmac::<Sha256>::new(&sha2::digest::Key::<Hmac<Sha256>>::default())
}

/// Where telemetry goes, by the settings.
fn destinations(settings: &config::Telemetry) -> telemetry::Settings {
    telemetry::Settings {
        otlp: settings.otlp.clone(),
        connection_string: settings.connection_string.clone(),
        identity: settings.wants_token.then(|| telemetry::Identity {
            client_id: settings.client_id.clone(),
        }),
        instance: settings.instance.clone(),
    }
}

/// The account that a setting names, as storage opens it.
#[must_use]
pub fn account(storage: &config::Storage) -> AccountSettings {
    match storage {
        config::Storage::ConnectionString(text) => AccountSettings::ConnectionString(text.clone()),
        config::Storage::Identity {
            blob_endpoint,
            queue_endpoint,
            client_id,
        } => AccountSettings::Identity {
            blob_endpoint: blob_endpoint.clone(),
            queue_endpoint: queue_endpoint.clone(),
            client_id: client_id.clone(),
        },
    }
}
