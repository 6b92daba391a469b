//! Clients for the queues and blobs that settings name.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use azure_storage_queue::QueueClient;
use azurite::Account;
use tokio::sync::Notify;

use crate::settings::Settings;

/// The storage accounts of the app's connections, and who waits for which queue.
#[derive(Debug)]
pub(crate) struct Storage {
    settings: Settings,
    /// By account and queue: a message that this host sends wakes this host's own listener.
    watchers: Mutex<HashMap<(String, String), Arc<Notify>>>,
}

impl Storage {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            settings,
            watchers: Mutex::default(),
        }
    }

    /// The account behind a binding's `connection`.
    ///
    /// # Errors
    /// When the setting is missing, or is an identity, which only Azure can give.
    pub(crate) fn account(&self, connection: &str) -> anyhow::Result<Account> {
        let shown = if connection.is_empty() {
            "AzureWebJobsStorage"
        } else {
            connection
        };
        let Some(text) = self.settings.connection(connection) else {
            if self
                .settings
                .get(&format!("{shown}__accountName"))
                .is_some()
            {
                bail!(
                    "'{shown}' is an identity connection: the local host takes connection strings only"
                );
            }
            bail!("Storage account connection string '{shown}' does not exist.");
        };
        Account::from_connection_string(&text)
            .with_context(|| format!("the connection string '{shown}' is not valid"))
    }

    /// A queue of a connection.
    pub(crate) fn queue(&self, connection: &str, queue: &str) -> anyhow::Result<QueueClient> {
        self.account(connection)?.queue(queue)
    }

    /// What wakes the listener of a queue.
    pub(crate) fn watcher(&self, connection: &str, queue: &str) -> anyhow::Result<Arc<Notify>> {
        let key = (
            self.account(connection)?.blob_endpoint().to_owned(),
            queue.to_owned(),
        );
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(watchers.entry(key).or_default()))
    }
}

/// What a storage error says without its address, which holds a signature.
pub(crate) fn describe(error: &azure_core::Error) -> String {
    use azure_core::error::ErrorKind;
    match error.kind() {
        ErrorKind::HttpResponse {
            status, error_code, ..
        } => format!(
            "storage answered {status} {}",
            error_code.as_deref().unwrap_or_default()
        ),
        kind => format!("storage did not answer ({kind:?})"),
    }
}

/// Whether storage says that what was asked for is not there.
pub(crate) fn is_missing(error: &azure_core::Error) -> bool {
    error.http_status() == Some(azure_core::http::StatusCode::NotFound)
}
