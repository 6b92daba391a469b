//! One storage account.

use std::fmt;
use std::sync::Arc;

use azure_core::http::policies::Policy;
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::{ClientOptions, RetryOptions, Transport};
use azure_storage_blob::{BlobServiceClient, BlobServiceClientOptions};
use azure_storage_queue::{QueueServiceClient, QueueServiceClientOptions};
use secrecy::SecretString;
use url::Url;

use super::identity::{LazyIdentity, SCOPE};
use super::retry::BoundedRetry;
use super::shared_key::{AccountKey, SharedKeyPolicy};
use super::signature::SignaturePolicy;
use super::transport::LazyTransport;
use super::{Container, Error, Queue, connection};

/// Version of the services' protocol: new enough for all that is called here, and known to emulators a year old.
const SERVICE_VERSION: &str = "2025-11-05";

/// How an account is reached.
#[derive(Debug, Clone)]
pub enum AccountSettings {
    /// A connection string with an account key, or `UseDevelopmentStorage=true`.
    ConnectionString(SecretString),
    /// The managed identity of the host.
    Identity {
        /// Address of the account's blobs, https.
        blob_endpoint: Url,
        /// Address of the account's queues, https.
        queue_endpoint: Url,
        /// Client ID of a user-assigned identity; without it the system's is used.
        client_id: Option<String>,
    },
    /// A shared access signature, for blobs alone; without one as anybody.
    Signature {
        /// Address of the account's blobs.
        blob_endpoint: Url,
        /// The signature's parameters.
        query: Option<SecretString>,
    },
}

/// A storage account; clones share its connections.
#[derive(Clone)]
pub struct Account {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    key: Option<AccountKey>,
    blobs: BlobServiceClient,
    queues: Arc<QueueServiceClient>,
}

impl Account {
    /// Prepares access to an account. Nothing is read or connected before the first call to it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the settings cannot be read.
    pub fn open(settings: &AccountSettings) -> Result<Self, Error> {
        let transport = Transport::new(Arc::new(LazyTransport::default()));
        let options = ClientOptions {
            retry: RetryOptions::custom(Arc::new(BoundedRetry::new())),
            transport: Some(transport),
            ..ClientOptions::default()
        };
        let (name, key, blob_endpoint, queue_endpoint, policy): (_, _, _, _, Arc<dyn Policy>) =
            match settings {
                AccountSettings::ConnectionString(text) => {
                    let read = connection::parse(text)?;
                    let policy = SharedKeyPolicy::new(read.key.clone());
                    let name = read.key.account().to_owned();
                    (
                        name,
                        Some(read.key),
                        read.blob_endpoint,
                        read.queue_endpoint,
                        Arc::new(policy),
                    )
                }
                AccountSettings::Identity {
                    blob_endpoint,
                    queue_endpoint,
                    client_id,
                } => {
                    let identity = LazyIdentity::new(client_id.clone(), options.clone());
                    // The policy keeps the token for all clients of the account, and refuses plain http.
                    let policy = BearerTokenAuthorizationPolicy::new(Arc::new(identity), [SCOPE]);
                    (
                        account_name(blob_endpoint)?,
                        None,
                        connection::endpoint(blob_endpoint.as_str())?,
                        connection::endpoint(queue_endpoint.as_str())?,
                        Arc::new(policy),
                    )
                }
                AccountSettings::Signature {
                    blob_endpoint,
                    query,
                } => (
                    account_name(blob_endpoint)?,
                    None,
                    connection::endpoint(blob_endpoint.as_str())?,
                    // Never asked: a signature is for blobs.
                    connection::endpoint(blob_endpoint.as_str())?,
                    Arc::new(SignaturePolicy::new(query.clone())),
                ),
            };
        let options = ClientOptions {
            per_try_policies: vec![policy],
            ..options
        };
        let blobs = BlobServiceClient::new(
            blob_endpoint,
            None,
            Some(BlobServiceClientOptions {
                client_options: options.clone(),
                version: SERVICE_VERSION.to_owned(),
            }),
        )?;
        let queues = QueueServiceClient::new(
            queue_endpoint,
            None,
            Some(QueueServiceClientOptions {
                client_options: options,
                version: SERVICE_VERSION.to_owned(),
            }),
        )?;
        Ok(Self {
            inner: Arc::new(Inner {
                name,
                key,
                blobs,
                queues: Arc::new(queues),
            }),
        })
    }

    /// The account's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// A container of the account, there or not.
    #[must_use]
    pub fn container(&self, name: &str) -> Container {
        Container::new(
            self.clone(),
            name,
            self.inner.blobs.blob_container_client(name),
        )
    }

    /// A queue of the account, there or not.
    #[must_use]
    pub fn queue(&self, name: &str) -> Queue {
        Queue::new(Arc::clone(&self.inner.queues), name)
    }

    /// The account's key, unless access is by identity.
    pub(super) fn key(&self) -> Option<&AccountKey> {
        self.inner.key.as_ref()
    }

    pub(super) fn blobs(&self) -> &BlobServiceClient {
        &self.inner.blobs
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.inner.name)
            .finish_non_exhaustive()
    }
}

/// The account's name is the first label of its address, or its path at an emulator; signatures by identity name it.
fn account_name(blob_endpoint: &Url) -> Result<String, Error> {
    let name = match blob_endpoint.domain() {
        Some(domain) => domain.split('.').next(),
        None => blob_endpoint
            .path_segments()
            .and_then(|mut parts| parts.next()),
    };
    name.filter(|name| !name.is_empty())
        .map(str::to_owned)
        .ok_or(Error::Invalid("the blob endpoint names no account"))
}

#[cfg(test)]
mod tests {
    use super::{Account, AccountSettings};
    use secrecy::SecretString;
    use url::Url;

    fn identity(blobs: &str) -> AccountSettings {
        AccountSettings::Identity {
            blob_endpoint: Url::parse(blobs).expect("a URL"),
            queue_endpoint: Url::parse("https://contoso.queue.core.windows.net").expect("a URL"),
            client_id: Some("client".to_owned()),
        }
    }

    #[test]
    fn opening_needs_no_network_and_shows_no_secret() {
        let settings = AccountSettings::ConnectionString(SecretString::from(
            "AccountName=contoso;AccountKey=c2VjcmV0",
        ));
        let account = Account::open(&settings).expect("it opens");
        assert_eq!(account.name(), "contoso");
        let shown = format!(
            "{settings:?} {account:?} {:?} {:?}",
            account.container("c"),
            account.queue("q")
        );
        assert!(
            !shown.contains("c2VjcmV0") && !shown.contains("secret"),
            "{shown}"
        );
    }

    #[test]
    fn identities_name_their_account() {
        let account = Account::open(&identity("https://contoso.blob.core.windows.net/"));
        assert_eq!(account.expect("it opens").name(), "contoso");
        let account = Account::open(&identity("https://10.0.0.4/contoso"));
        assert_eq!(account.expect("it opens").name(), "contoso");
        assert!(Account::open(&identity("https://10.0.0.4")).is_err());
    }
}
