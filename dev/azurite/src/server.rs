//! The emulator's process: install, start, ports, accounts, end.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::Account;

/// Accounts that one emulator serves; the first is `devstoreaccount1`.
const ACCOUNTS: usize = 400;
/// How long the emulator may take to listen on both ports.
const START_TIMEOUT: Duration = Duration::from_secs(60);

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Installs the pinned version with `npm ci` unless it is there already.
///
/// Safe when several processes call it at once: one installs, the others wait.
///
/// # Errors
/// When `npm` is missing or fails; the message holds the end of what it said.
pub fn install() -> anyhow::Result<()> {
    npm_ci(&folder())
}

/// Installs what a folder's `package-lock.json` pins with `npm ci`, unless it is there already; safe as [`install`] is.
///
/// # Errors
/// When `npm` is missing or fails; the message holds the end of what it said.
pub fn npm_ci(folder: &Path) -> anyhow::Result<()> {
    let done = folder.join("node_modules/.installed");
    let pinned = std::fs::read_to_string(folder.join("package-lock.json"))?;
    let is_done =
        |done: &Path| std::fs::read_to_string(done).is_ok_and(|installed| installed == pinned);
    if is_done(&done) {
        return Ok(());
    }
    let lock = std::fs::File::create(folder.join(".install.lock"))?;
    lock.lock()?;
    if is_done(&done) {
        return Ok(());
    }
    let output = std::process::Command::new("npm")
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .context("npm did not start: Node.js 20 or newer and npm are needed")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let end: Vec<&str> = said.lines().rev().take(8).collect();
        bail!(
            "npm ci failed in {}: {}",
            folder.display(),
            end.into_iter().rev().collect::<Vec<_>>().join("\n")
        );
    }
    std::fs::write(done, pinned)?;
    Ok(())
}

/// A running emulator; it ends when this is dropped.
#[derive(Debug)]
pub struct Azurite {
    accounts: Vec<Account>,
    next: AtomicUsize,
    process: Child,
    _stdin: ChildStdin,
}

impl Azurite {
    /// Installs the pinned version if need be and starts it on free ports, keeping everything in memory.
    ///
    /// # Errors
    /// When it cannot be installed or does not listen within a minute.
    pub async fn start() -> anyhow::Result<Self> {
        tokio::task::spawn_blocking(install).await??;
        let named: Vec<(String, String)> = (0..ACCOUNTS)
            .map(|n| {
                let name = if n == 0 {
                    "devstoreaccount1".to_owned()
                } else {
                    format!("dsr{n:04}")
                };
                let key = STANDARD.encode(format!("emulated-key-of-account-{n:04}"));
                (name, key)
            })
            .collect();
        let listed: Vec<String> = named
            .iter()
            .map(|(name, key)| format!("{name}:{key}"))
            .collect();
        let mut process = Command::new("node")
            .arg("run.js")
            .args([
                "--inMemoryPersistence",
                "--skipApiVersionCheck",
                "--disableTelemetry",
                "--silent",
            ])
            .args([
                "--blobHost",
                "127.0.0.1",
                "--queueHost",
                "127.0.0.1",
                "--tableHost",
                "127.0.0.1",
            ])
            .args([
                "--blobPort",
                "0",
                "--queuePort",
                "0",
                "--tablePort",
                "0",
                "--blobKeepAliveTimeout",
                "120",
            ])
            .env("AZURITE_ACCOUNTS", listed.join(";"))
            .current_dir(folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .context("node did not start: Node.js 20 or newer is needed")?;
        let stdin = process.stdin.take().context("no standard input")?;
        let stdout = process.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let ports = tokio::time::timeout(START_TIMEOUT, async {
            let (mut blob, mut queue) = (None, None);
            while let Some(line) = lines.next_line().await? {
                let port = line
                    .rsplit(':')
                    .next()
                    .and_then(|port| port.parse::<u16>().ok());
                if line.contains("Blob service is successfully listening") {
                    blob = port;
                } else if line.contains("Queue service is successfully listening") {
                    queue = port;
                }
                if let (Some(blob), Some(queue)) = (blob, queue) {
                    return anyhow::Ok((blob, queue));
                }
            }
            bail!("Azurite ended before it listened")
        });
        let (blob, queue) = ports.await.context("Azurite did not listen in time")??;
        // What it says later is read and dropped, so that its pipe never fills.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let accounts = named
            .iter()
            .map(|(name, key)| Account::emulated(name, key, blob, queue))
            .collect();
        Ok(Self {
            accounts,
            next: AtomicUsize::new(0),
            process,
            _stdin: stdin,
        })
    }

    /// An account that nobody else has been given by this emulator.
    ///
    /// # Panics
    /// When all of its accounts are taken.
    #[must_use]
    pub fn account(&self) -> Account {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        self.accounts
            .get(n)
            .expect("an emulator has an account for every test of a run")
            .clone()
    }

    /// The emulator's process ID.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }
}

#[cfg(test)]
mod tests {
    use super::Azurite;
    use azure_storage_queue::models::QueueMessage;

    #[tokio::test]
    async fn accounts_are_apart_and_work() -> anyhow::Result<()> {
        let azurite = Azurite::start().await?;
        let (one, two) = (azurite.account(), azurite.account());
        assert_ne!(one.name(), two.name());
        one.queue("jobs")?.create(None).await?;
        let message = QueueMessage {
            message_text: Some("aGk=".to_owned()),
        };
        one.queue("jobs")?
            .send_message(message.try_into()?, None)
            .await?;
        assert!(!two.queue("jobs")?.exists().await?);
        let box_ = two.container("box")?;
        box_.create(None).await?;
        box_.blob_client("a/b c.json")
            .upload(bytes::Bytes::from_static(b"{}").into(), None)
            .await?;
        let url = two.readable_url("box", "a/b c.json")?;
        assert!(url.as_str().contains("sig="));
        assert!(box_.blob_client("a/b c.json").exists().await?);
        Ok(())
    }
}
