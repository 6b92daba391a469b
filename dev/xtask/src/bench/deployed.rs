//! The deployed functions over a small world, beside whose export a bench puts an archive of its own.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use appcenter_sim::{Spec, World};
use azure_storage_blob::BlobContainerClient;
use azurite::Azurite;
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::Value;
use stack::{Settings, Stack};

use super::search::APP;

/// The archive's container, as the product knows it without a setting.
const ARCHIVE: &str = "archive";
/// The work container, as the product knows it without a setting.
pub(super) const WORK: &str = "dsr";
/// How long a request may take to come to where a bench waits for it.
const LIMIT: Duration = Duration::from_secs(600);
/// How often what moves is looked at.
pub(super) const LOOK: Duration = Duration::from_millis(250);

/// What a bench put into the emulator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Uploaded {
    pub(super) blobs: u64,
    pub(super) bytes: u64,
}

/// Everything that runs.
pub(super) struct Deployed {
    pub(super) stack: Stack,
    pub(super) archive: BlobContainerClient,
    _archive: Azurite,
    /// The app's owner and name.
    pub(super) app: Value,
}

impl Deployed {
    /// Starts a world of one app. The archive has an emulator of its own: one that holds tens of thousands of blobs takes
    /// 30 ms to delete any, since it sorts lists of all of them again, and 10 ms to list the few of another container.
    ///
    /// # Errors
    /// When a part does not start.
    pub(super) async fn start(seed: &str, settings: Settings) -> anyhow::Result<Self> {
        let world = World::generate(&Spec {
            seed: seed.to_owned(),
            installs: 20,
            person_installs: 1,
            reports: 40,
            person_reports: 4,
            event_rows: 100,
            days: 1,
            ..Spec::default()
        })?;
        let azurite = Arc::new(Azurite::start().await?);
        // As in Azure: where it is set, each error takes a trace of the stack.
        let mut settings = settings.with("RUST_BACKTRACE", "0");
        let emulator = Azurite::start().await?;
        let archive = emulator.account();
        settings.archive = Some(archive.clone());
        let stack = Stack::start(azurite, world, settings).await?;
        let app = stack.sim.world(|world| {
            let request = world.request("export")?;
            request.document["apps"].get(0).cloned()
        });
        Ok(Self {
            archive: archive.container(ARCHIVE)?,
            _archive: emulator,
            app: app.context("a generated world has a request of an app")?,
            stack,
        })
    }

    /// Puts a generated archive beside what the world exported, as the same app's.
    pub(super) async fn upload(&self, folder: &Path) -> anyhow::Result<Uploaded> {
        let (own, id) = self.own_app().await?;
        let mut files = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(&next)? {
                let entry = entry?;
                match entry.file_type()?.is_dir() {
                    true => folders.push(entry.path()),
                    false => files.push(entry.path()),
                }
            }
        }
        let sizes = files.iter().map(|file| {
            let (own, id) = (&own, &id);
            async move {
                let text = std::fs::read_to_string(file)?.replace(APP, id);
                let name = file.strip_prefix(folder)?.to_str().context("a name")?;
                // With the app in its folders, or without.
                let name = name.strip_prefix(APP).unwrap_or(name);
                let name = name.trim_start_matches('/');
                let blob = self.archive.blob_client(&format!("{own}{name}"));
                let size = text.len() as u64;
                blob.upload(bytes::Bytes::from(text).into(), None).await?;
                anyhow::Ok(size)
            }
        });
        let sizes: Vec<_> = sizes.collect();
        let sizes: Vec<u64> = futures::stream::iter(sizes)
            .buffer_unordered(16)
            .try_collect()
            .await?;
        Ok(Uploaded {
            blobs: sizes.len() as u64,
            bytes: sizes.iter().sum(),
        })
    }

    /// What the names of the app's blobs begin with before the year, and its ID.
    pub(super) async fn own_app(&self) -> anyhow::Result<(String, String)> {
        let mut blobs = self.archive.list_blobs(None)?;
        while let Some(blob) = blobs.try_next().await? {
            let name = blob.name.unwrap_or_default();
            let (Some((own, _)), true) = (name.split_once("20"), name.ends_with("logs.v1.data"))
            else {
                continue;
            };
            let blob = self.archive.blob_client(&name).download(None).await?;
            let rows: Value = serde_json::from_slice(&blob.body.collect().await?)?;
            let id = rows[0]["AppId"].as_str().context("a row has no app")?;
            return Ok((own.to_owned(), id.to_owned()));
        }
        bail!("the world exported no rows")
    }

    /// Waits until a request's status is as it should be.
    pub(super) async fn until(
        &self,
        id: &str,
        is_there: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let end = Instant::now() + LIMIT;
        loop {
            match self.stack.api.status(id).await {
                Ok(status) if is_there(&status) => return Ok(status),
                Ok(status) => ensure!(
                    Instant::now() < end,
                    "a request does not move on: {status:#}"
                ),
                // An emulator that is busy with gibibytes may not answer in time: the next call may be answered.
                Err(error) if Instant::now() >= end => return Err(error),
                Err(_) => {}
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
