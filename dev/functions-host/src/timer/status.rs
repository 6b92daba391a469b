//! What is remembered of a timer: a small blob in the host's own container.

use anyhow::anyhow;
use azure_core::http::RequestContent;
use azure_storage_blob::BlobClient;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::storage::{Storage, describe, is_missing};

/// The container that hosts keep their state in.
const CONTAINER: &str = "azure-webjobs-hosts";
/// Status blobs are a hundred bytes; what is larger is something else.
const LARGEST: usize = 4096;

/// When a timer ran and is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Status {
    /// `None` before the first run.
    pub(super) last: Option<Timestamp>,
    pub(super) next: Timestamp,
    pub(super) last_updated: Timestamp,
}

impl Status {
    /// As it stands in the blob and in `TimerInfo.ScheduleStatus`.
    pub(super) fn to_json(self) -> Value {
        let last = self
            .last
            .map_or_else(|| "0001-01-01T00:00:00".to_owned(), with_offset);
        json!({
            "Last": last,
            "Next": with_offset(self.next),
            "LastUpdated": with_offset(self.last_updated),
        })
    }

    /// A status that cannot be read counts as none, as in the real host.
    pub(super) fn from_json(text: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(text).ok()?;
        let time = |name: &str| value.get(name)?.as_str()?.parse::<Timestamp>().ok();
        Some(Self {
            last: time("Last"),
            next: time("Next")?,
            last_updated: time("LastUpdated")?,
        })
    }
}

/// A local `DateTime` in UTC as Newtonsoft writes it: up to seven digits after the point.
fn with_offset(time: Timestamp) -> String {
    let ticks = time.subsec_nanosecond() / 100;
    let fraction = format!("{ticks:07}");
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!(
        "{}{point}{fraction}+00:00",
        time.strftime("%Y-%m-%dT%H:%M:%S")
    )
}

/// One timer's blob.
pub(super) struct Store {
    storage: azure_storage_blob::BlobContainerClient,
    blob: BlobClient,
}

impl std::fmt::Display for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the timer's status blob")
    }
}

impl Store {
    pub(super) fn open(storage: &Storage, host_id: &str, function: &str) -> anyhow::Result<Self> {
        let container = storage.account("")?.container(CONTAINER)?;
        let blob = container.blob_client(&format!(
            "timers/{host_id}/Host.Functions.{function}/status"
        ));
        Ok(Self {
            storage: container,
            blob,
        })
    }

    pub(super) async fn read(&self) -> anyhow::Result<Option<Status>> {
        let mut buffer = vec![0; LARGEST];
        match self.blob.download_into(&mut buffer, None).await {
            Ok(_) => {
                let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(LARGEST);
                Ok(buffer.get(..end).and_then(Status::from_json))
            }
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(anyhow!("{self} was not read: {}", describe(&error))),
        }
    }

    pub(super) async fn write(&self, status: Status) -> anyhow::Result<()> {
        let body = || RequestContent::from(status.to_json().to_string().into_bytes());
        let written = match self.blob.upload(body(), None).await {
            Err(error) if is_missing(&error) => {
                // Another host may have made it in between; the second upload tells.
                let _ = self.storage.create(None).await;
                self.blob.upload(body(), None).await
            }
            written => written,
        };
        written
            .map(drop)
            .map_err(|error| anyhow!("{self} was not written: {}", describe(&error)))
    }
}

#[cfg(test)]
mod tests {
    use super::Status;

    #[test]
    fn a_status_reads_as_the_real_one() {
        let time = |text: &str| text.parse().expect("a time");
        let status = Status {
            last: None,
            next: time("2024-11-30T14:45:51Z"),
            last_updated: time("2024-11-30T14:43:50.403838Z"),
        };
        let text = status.to_json();
        assert_eq!(text["Last"], "0001-01-01T00:00:00");
        assert_eq!(text["Next"], "2024-11-30T14:45:51+00:00");
        assert_eq!(text["LastUpdated"], "2024-11-30T14:43:50.403838+00:00");
        let back = Status::from_json(text.to_string().as_bytes());
        assert_eq!(back, Some(status));
        assert_eq!(Status::from_json(b"{}"), None);
        assert_eq!(Status::from_json(b"\xff"), None);
    }
}
