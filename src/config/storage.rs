//! Which storage account, and how it is reached.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::{ConfigError, Lookup, error};

/// How a storage account is reached.
#[derive(Debug, Clone)]
pub enum Storage {
    /// With a key or SAS.
    ConnectionString(SecretString),
    /// With the app's identity.
    Identity {
        /// Blob endpoint.
        blob_endpoint: Url,
        /// Queue endpoint.
        queue_endpoint: Url,
        /// Client ID of a user-assigned identity.
        client_id: Option<String>,
    },
}

/// An account that is named, with its connection string.
#[derive(Debug, Clone)]
pub struct AccountConnection {
    /// Its name.
    pub account: String,
    /// The connection string.
    pub text: SecretString,
}

/// Reads comma-separated connection strings.
pub(super) fn connections(
    lookup: Lookup<'_>,
    name: &str,
) -> Result<Vec<AccountConnection>, ConfigError> {
    let all = lookup(name).unwrap_or_default();
    let texts = all.split(',').map(str::trim).filter(|it| !it.is_empty());
    texts
        .map(|text| {
            let account = part(text, "AccountName");
            let reason = "connection strings with an account's name and key, comma-separated";
            Ok(AccountConnection {
                account: account.ok_or_else(|| error(name, reason))?,
                text: text.to_owned().into(),
            })
        })
        .collect()
}

/// The value of a part of a connection string.
fn part(text: &str, key: &str) -> Option<String> {
    let parts = text.split(';').filter_map(|part| part.split_once('='));
    parts
        .map(|(name, value)| (name.trim(), value.trim()))
        .find(|(name, _)| name.eq_ignore_ascii_case(key))
        .map(|(_, value)| value.to_owned())
}

impl Storage {
    /// The account's name, as far as the setting tells: under an address of one's own, only a connection string does.
    #[must_use]
    pub fn account_name(&self) -> Option<String> {
        match self {
            Self::Identity { .. } => self.azure_account(),
            Self::ConnectionString(text) => part(text.expose_secret(), "AccountName"),
        }
    }

    /// The account's name, where it is one in Azure.
    #[must_use]
    pub fn azure_account(&self) -> Option<String> {
        match self {
            Self::Identity { blob_endpoint, .. } => {
                let host = blob_endpoint.host_str()?;
                let (name, rest) = host.split_once('.')?;
                rest.starts_with("blob.core.").then(|| name.to_owned())
            }
            Self::ConnectionString(text) => {
                let part = |key: &str| part(text.expose_secret(), key);
                // An endpoint of its own stands for an emulator.
                match part("BlobEndpoint") {
                    Some(endpoint) if !endpoint.contains(".blob.core.") => None,
                    _ => part("AccountName"),
                }
            }
        }
    }
}

/// Reads a storage account's settings: one connection string, or the identity settings that start with the same name. An
/// archive account needs no queues.
pub(super) fn read(
    lookup: Lookup<'_>,
    name: &str,
    needs_queues: bool,
) -> Result<Option<Storage>, ConfigError> {
    if let Some(text) = lookup(name).filter(|text| !text.trim().is_empty()) {
        return Ok(Some(Storage::ConnectionString(text.into())));
    }
    let part = |part: &str| lookup(&format!("{name}__{part}")).filter(|text| !text.is_empty());
    // The host takes the account's name before an address.
    let endpoint = |service: &str, key: &str| -> Result<Option<Url>, ConfigError> {
        let address = match (part("accountName"), part(key)) {
            (Some(account), _) => format!("https://{account}.{service}.core.windows.net"),
            (None, Some(uri)) => uri,
            (None, None) => return Ok(None),
        };
        let url = Url::parse(&address)
            .map_err(|_error| error(&format!("{name}__{key}"), "an https address"))?;
        Ok(Some(url))
    };
    let blob = endpoint("blob", "blobServiceUri")?;
    let queue = endpoint("queue", "queueServiceUri")?;
    let Some(blob_endpoint) = blob else {
        return Ok(None);
    };
    let queue_endpoint = match queue {
        Some(queue) => queue,
        // Its own blob endpoint stands in for what is never asked.
        None if !needs_queues => blob_endpoint.clone(),
        None => {
            let reason = format!(
                "required beside `{name}__blobServiceUri`, or `{name}__accountName` for both"
            );
            return Err(error(&format!("{name}__queueServiceUri"), reason));
        }
    };
    Ok(Some(Storage::Identity {
        blob_endpoint,
        queue_endpoint,
        client_id: part("clientId"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_listed_with_their_accounts() {
        let read = |text: &str| {
            let text = text.to_owned();
            connections(&move |_name| Some(text.clone()), "X")
                .map(|all| all.into_iter().map(|it| it.account).collect::<Vec<_>>())
        };
        assert_eq!(read("").ok(), Some(vec![]));
        let two = "AccountName=ex1;AccountKey=a2V5 , AccountKey=a2V5==;accountname=ex2,";
        assert_eq!(
            read(two).ok(),
            Some(vec!["ex1".to_owned(), "ex2".to_owned()])
        );
        let refused = read("AccountKey=a2V5").expect_err("no name").to_string();
        assert!(
            refused.contains('X') && !refused.contains("a2V5"),
            "{refused}"
        );
    }

    #[test]
    fn accounts_in_azure_have_a_name_and_emulators_none() {
        let key = "DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=a2V5;";
        let named = |text: &str| Storage::ConnectionString(text.to_owned().into()).azure_account();
        let suffix = format!("{key}EndpointSuffix=core.windows.net");
        assert_eq!(named(&suffix).as_deref(), Some("contoso"));
        let own = format!("{key}BlobEndpoint=https://contoso.blob.core.windows.net/");
        assert_eq!(named(&own).as_deref(), Some("contoso"));
        let emulator = format!("{key}BlobEndpoint=http://127.0.0.1:10000/contoso");
        assert_eq!(named(&emulator), None);
        assert_eq!(named("UseDevelopmentStorage=true"), None);
        let identity = |endpoint: &str| Storage::Identity {
            blob_endpoint: endpoint.parse().expect("an address"),
            queue_endpoint: endpoint.parse().expect("an address"),
            client_id: None,
        };
        let azure = identity("https://contoso.blob.core.windows.net/");
        assert_eq!(azure.azure_account().as_deref(), Some("contoso"));
        assert_eq!(identity("https://localhost:10000/x").azure_account(), None);
    }
}
