//! One storage account: connection string in, clients out.

use anyhow::{Context as _, bail};
use azure_storage_blob::{BlobContainerClient, BlobServiceClient};
use azure_storage_queue::{QueueClient, QueueServiceClient};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::Sha256;
use url::Url;

/// Version of the SAS format that is signed here.
const SAS_VERSION: &str = "2021-12-02";
/// Far enough for every run, and fixed, so that no clock is needed.
const SAS_EXPIRY: &str = "2099-01-01T00:00:00Z";
/// Azurite's documented account, which `UseDevelopmentStorage=true` stands for.
const DEVELOPMENT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A storage account, reached with its key.
#[derive(Clone)]
pub struct Account {
    name: String,
    key: String,
    blob_endpoint: String,
    queue_endpoint: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("name", &self.name)
            .field("blob_endpoint", &self.blob_endpoint)
            .finish_non_exhaustive()
    }
}

impl Account {
    /// An account of an emulator that listens on these ports of the loopback address.
    pub(crate) fn emulated(name: &str, key: &str, blob_port: u16, queue_port: u16) -> Self {
        Self {
            name: name.to_owned(),
            key: key.to_owned(),
            blob_endpoint: format!("http://127.0.0.1:{blob_port}/{name}"),
            queue_endpoint: format!("http://127.0.0.1:{queue_port}/{name}"),
        }
    }

    /// Reads an account connection string (`UseDevelopmentStorage=true` included).
    ///
    /// # Errors
    /// When the account's name or key is missing.
    pub fn from_connection_string(text: &str) -> anyhow::Result<Self> {
        let mut account = Self {
            name: String::new(),
            key: String::new(),
            blob_endpoint: String::new(),
            queue_endpoint: String::new(),
        };
        let mut protocol = "https";
        let mut suffix = "core.windows.net";
        for part in text.split(';').filter(|part| !part.trim().is_empty()) {
            let (key, value) = part
                .trim()
                .split_once('=')
                .context("a connection string is made of Name=value parts")?;
            match key {
                "UseDevelopmentStorage" if value.eq_ignore_ascii_case("true") => {
                    return Ok(Self::emulated(
                        "devstoreaccount1",
                        DEVELOPMENT_KEY,
                        10000,
                        10001,
                    ));
                }
                "AccountName" => value.clone_into(&mut account.name),
                "AccountKey" => value.clone_into(&mut account.key),
                "BlobEndpoint" => value
                    .trim_end_matches('/')
                    .clone_into(&mut account.blob_endpoint),
                "QueueEndpoint" => value
                    .trim_end_matches('/')
                    .clone_into(&mut account.queue_endpoint),
                "DefaultEndpointsProtocol" => protocol = value,
                "EndpointSuffix" => suffix = value,
                _ => {}
            }
        }
        if account.name.is_empty() || account.key.is_empty() {
            bail!("the connection string has no AccountName or no AccountKey");
        }
        if account.blob_endpoint.is_empty() {
            account.blob_endpoint = format!("{protocol}://{}.blob.{suffix}", account.name);
        }
        if account.queue_endpoint.is_empty() {
            account.queue_endpoint = format!("{protocol}://{}.queue.{suffix}", account.name);
        }
        Ok(account)
    }

    /// The account's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The account's key, base64.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The connection string that opens this account.
    #[must_use]
    pub fn connection_string(&self) -> String {
        let Self {
            name,
            key,
            blob_endpoint,
            queue_endpoint,
        } = self;
        let protocol = if blob_endpoint.starts_with("https") {
            "https"
        } else {
            "http"
        };
        format!(
            "DefaultEndpointsProtocol={protocol};AccountName={name};AccountKey={key};BlobEndpoint={blob_endpoint};QueueEndpoint={queue_endpoint};"
        )
    }

    /// The account's blob endpoint, without a slash at the end.
    #[must_use]
    pub fn blob_endpoint(&self) -> &str {
        &self.blob_endpoint
    }

    /// A client for the account's blobs.
    ///
    /// # Errors
    /// When the endpoint is no URL.
    pub fn blobs(&self) -> anyhow::Result<BlobServiceClient> {
        Ok(BlobServiceClient::new(
            self.signed(&self.blob_endpoint, "b")?,
            None,
            None,
        )?)
    }

    /// A client for one container; it is not created.
    ///
    /// # Errors
    /// When the endpoint is no URL.
    pub fn container(&self, name: &str) -> anyhow::Result<BlobContainerClient> {
        Ok(self.blobs()?.blob_container_client(name))
    }

    /// A client for the account's queues.
    ///
    /// # Errors
    /// When the endpoint is no URL.
    pub fn queues(&self) -> anyhow::Result<QueueServiceClient> {
        Ok(QueueServiceClient::new(
            self.signed(&self.queue_endpoint, "q")?,
            None,
            None,
        )?)
    }

    /// A client for one queue; it is not created.
    ///
    /// # Errors
    /// When the endpoint is no URL.
    pub fn queue(&self, name: &str) -> anyhow::Result<QueueClient> {
        Ok(self.queues()?.queue_client(name)?)
    }

    /// An address of a blob that anyone can read, as App Center's `location` operations give it.
    ///
    /// # Errors
    /// When the endpoint is no URL.
    pub fn readable_url(&self, container: &str, blob: &str) -> anyhow::Result<Url> {
        let container = self.blobs()?.blob_container_client(container);
        Ok(container.blob_client(blob).url().clone())
    }

    /// Adds an account SAS (all permissions on all kinds of one service) to an endpoint.
    fn signed(&self, endpoint: &str, service: &str) -> anyhow::Result<Url> {
        let permissions = "rwdxlacuptf";
        let types = "sco";
        let text = format!(
            "{}\n{permissions}\n{service}\n{types}\n\n{SAS_EXPIRY}\n\nhttps,http\n{SAS_VERSION}\n\n",
            self.name
        );
        let key = STANDARD
            .decode(&self.key)
            .context("the account key is not base64")?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key)?;
        mac.update(text.as_bytes());
        let signature = STANDARD.encode(mac.finalize().into_bytes());
        let signature = utf8_percent_encode(&signature, NON_ALPHANUMERIC);
        let url = format!(
            "{endpoint}?sv={SAS_VERSION}&ss={service}&srt={types}&sp={permissions}&se={}&spr=https,http&sig={signature}",
            utf8_percent_encode(SAS_EXPIRY, NON_ALPHANUMERIC)
        );
        Url::parse(&url).context("the storage endpoint is no URL")
    }
}

#[cfg(test)]
mod tests {
    use super::Account;

    #[test]
    fn connection_strings_round_trip() {
        let account = Account::emulated("t000", "YWJj", 1234, 1235);
        let text = account.connection_string();
        let again = Account::from_connection_string(&text).expect("it is whole");
        assert_eq!(again.connection_string(), text);
        let cloud =
            Account::from_connection_string("AccountName=contoso;AccountKey=YWJj").expect("whole");
        assert_eq!(
            cloud.blob_endpoint(),
            "https://contoso.blob.core.windows.net"
        );
        assert!(Account::from_connection_string("AccountName=contoso").is_err());
    }
}
