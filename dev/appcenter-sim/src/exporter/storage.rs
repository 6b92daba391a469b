//! Writing blobs to the account of a connection string.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use azure_core::http::StatusCode;
use azure_storage_blob::BlobContainerClient;
use azurite::Account;
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};

use super::plan::Blob;

/// The container that App Center exports to.
const CONTAINER: &str = "archive";
/// Uploads under way at once.
const CONCURRENCY: usize = 12;
/// How long the check of a connection string may take.
const CHECK_TIMEOUT: Duration = Duration::from_secs(8);

/// The shared blobs that were written so far, by destination.
pub(crate) type Written = Mutex<HashMap<String, HashSet<String>>>;

/// Opens the container, making it when it is missing.
///
/// # Errors
/// When the connection string is wrong or the storage does not answer.
pub(super) async fn container(destination: &str) -> anyhow::Result<BlobContainerClient> {
    let container = Account::from_connection_string(destination)?.container(CONTAINER)?;
    match container.create(None).await {
        Ok(_) => Ok(container),
        Err(error) if error.http_status() == Some(StatusCode::Conflict) => Ok(container),
        Err(error) => Err(error).context("the container could not be made"),
    }
}

/// Whether the storage of a connection string can be reached; what the service calls the validation of the secret.
pub(crate) async fn can_connect(destination: &str) -> bool {
    let check = tokio::time::timeout(CHECK_TIMEOUT, container(destination));
    matches!(check.await, Ok(Ok(_)))
}

/// Writes blobs. Those of [`Blob::is_shared`] that were written before keep the rows of other apps.
///
/// # Errors
/// When an upload fails.
pub(super) async fn upload(
    container: &BlobContainerClient,
    written: &Written,
    destination: &str,
    blobs: Vec<Blob>,
) -> anyhow::Result<()> {
    let tasks = blobs.into_iter().map(|blob| {
        let is_again = blob.is_shared && {
            let mut written = written.lock().unwrap_or_else(PoisonError::into_inner);
            !written
                .entry(destination.to_owned())
                .or_default()
                .insert(blob.name.clone())
        };
        async move {
            let client = container.blob_client(&blob.name);
            let bytes = if is_again {
                let there = client.download(None).await?.body.collect().await?;
                merge(&there, &blob.bytes).unwrap_or(blob.bytes)
            } else {
                blob.bytes
            };
            client.upload(Bytes::from(bytes).into(), None).await?;
            anyhow::Ok(())
        }
    });
    futures::stream::iter(tasks)
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await
}

/// Joins two arrays of rows; a row of the same app and message stands once, unless it stood twice in one of them.
fn merge(there: &[u8], added: &[u8]) -> Option<Vec<u8>> {
    let bom = "\u{feff}".as_bytes();
    let has_bom = added.starts_with(bom);
    let rows = |bytes: &[u8]| -> Option<Vec<serde_json::Value>> {
        serde_json::from_slice(bytes.strip_prefix(bom).unwrap_or(bytes)).ok()
    };
    let key = |row: &serde_json::Value| (row["AppId"].to_string(), row["MessageId"].to_string());
    let added = rows(added)?;
    let keys: HashSet<_> = added.iter().map(key).collect();
    let mut all: Vec<_> = rows(there)?
        .into_iter()
        .filter(|row| !keys.contains(&key(row)))
        .collect();
    all.extend(added);
    let text = serde_json::Value::Array(all).to_string();
    Some(if has_bom {
        [bom, text.as_bytes()].concat()
    } else {
        text.into_bytes()
    })
}

#[cfg(test)]
mod tests {
    use super::merge;

    #[test]
    fn rows_of_other_apps_stay() {
        let row = |app: &str, id: u8| format!(r#"{{"AppId":"{app}","MessageId":"{id}"}}"#);
        let there = format!("[{},{}]", row("a", 1), row("a", 2));
        let added = format!("[{},{}]", row("b", 1), row("a", 2));
        let merged = merge(there.as_bytes(), added.as_bytes()).expect("both are arrays");
        let expected = format!("[{},{},{}]", row("a", 1), row("b", 1), row("a", 2));
        assert_eq!(String::from_utf8_lossy(&merged), expected);
        assert_eq!(merge(b"[", b"[]"), None);
    }
}
