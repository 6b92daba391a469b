//! Days of the year in the storage emulator, searched by the deployed functions: one request for each person.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use azure_storage_blob::models::BlobContainerClientListBlobsOptions;
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use stack::Settings;
use telemetry_sink::Sink;

use super::year::{MINUTES_OF_A_PERSON, ready};
use super::{Options, SIZE_GOAL, at_most, percent, show};
use crate::bench::deployed::{Deployed, WORK};
use crate::bench::machine;
use crate::bench::search::{Identifier, Kind};
use crate::cargo::{Profile, given_or_built};
use crate::table::Table;

/// The most days that are put into the emulator.
const DAYS: u32 = 60;
/// How long a request may take.
const LIMIT: Duration = Duration::from_secs(1_800);
/// How long a span waits before it leaves the handler, at the most.
const SPANS_LEAVE: Duration = Duration::from_secs(7);
/// Where the head of an index says how long its first part is, in bytes.
const FIRST_PART: std::ops::Range<usize> = 16..24;
/// Length of that head.
const HEAD: u64 = 24;

/// Measures and prints.
///
/// # Errors
/// When something does not start, or somebody is not found where they stand.
pub(super) async fn run(options: &Options) -> anyhow::Result<()> {
    let handler = given_or_built(options.handler.as_deref(), Profile::Release).await?;
    let root = stack::project_root().join("target/bench");
    std::fs::create_dir_all(&root)?;
    let options = Options {
        days: options.days.min(DAYS),
        handler: None,
        json: None,
        ..*options
    };
    let year = ready(&root, &options)?;
    println!("{}\n", machine());
    let sink = Sink::start().await?;
    let settings = Settings::new(&handler)
        .with("INDEX_KEY", "the key of the bench")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url());
    let bench = Bench {
        deployed: Deployed::start("bench index", settings).await?,
        sink,
    };
    let data = bench.deployed.upload(&year.folder).await?;
    println!(
        "{} days of {} blobs, {} bytes",
        options.days, data.blobs, data.bytes
    );
    let absent = year.people.iter().find(|(_, files)| files.is_empty());
    let (absent, _) = absent.context("nobody is absent")?;
    let first = bench.search(absent, "FIRST").await?;
    ensure!(
        first.blobs >= data.blobs && first.passed_over == 0,
        "the first search read {} of {} blobs",
        first.blobs - first.passed_over,
        data.blobs
    );
    // The world has days of its own, which are not finished.
    let others = first.bytes - data.bytes;
    let indexes = bench.indexes().await?;
    ensure!(
        indexes.days == u64::from(options.days),
        "{} days have an index",
        indexes.days
    );
    let mut parts = Vec::new();
    let mut slowest: f64 = 0.0;
    for (n, (identifier, files)) in year.people.iter().enumerate() {
        let ran = bench.search(identifier, &format!("PERSON-{n}")).await?;
        ensure!(
            ran.found == files.len() as u64,
            "{:?} stands in {} blobs and {} records were found",
            identifier.kind,
            files.len(),
            ran.found
        );
        let (index_gets, index_bytes) = match identifier.kind {
            Kind::Install => (2 * indexes.days, indexes.first),
            Kind::User | Kind::Email | Kind::Term => (indexes.days, indexes.bytes),
        };
        let read = data.blobs - ran.passed_over;
        let bytes = ran.bytes.saturating_sub(others) + index_bytes;
        println!(
            "  {:?}, in {} blobs: {read} of them read, {bytes} bytes with indexes; the whole request {:.1} s",
            identifier.kind,
            files.len(),
            ran.seconds
        );
        slowest = slowest.max(ran.seconds);
        let gets = (read + index_gets) as f64 / data.blobs as f64;
        parts.push((identifier.kind, [gets, bytes as f64 / data.bytes as f64]));
    }
    let of_data = indexes.bytes as f64 / data.bytes as f64;
    let mut table = Table::new(&["what", "goal", "found", ""]);
    let is_met = of_data <= SIZE_GOAL;
    table.goal(
        "index, of the data",
        &at_most(SIZE_GOAL),
        &percent(of_data),
        is_met,
    );
    show(&mut table, "blobs", &parts);
    table.row(&[
        &"first request, which makes it",
        &"",
        &format!("{:.1} s", first.seconds),
    ]);
    table.row(&[&"slowest request with it", &"", &format!("{slowest:.1} s")]);
    println!("\n{table}");
    println!(
        "  The worst of {} people of each kind; those who are there stand in {MINUTES_OF_A_PERSON} blobs. Indexes count as read.",
        options.people
    );
    Ok(())
}

/// What the first search of a request came to.
struct Ran {
    blobs: u64,
    passed_over: u64,
    bytes: u64,
    /// Records that hold the person, as the passes of the first search say.
    found: u64,
    seconds: f64,
}

/// What indexes there are.
#[derive(Default)]
struct Indexes {
    days: u64,
    bytes: u64,
    /// What of them is read for install IDs alone, heads included.
    first: u64,
}

struct Bench {
    deployed: Deployed,
    sink: Sink,
}

impl Bench {
    /// Runs an export for one identifier.
    async fn search(&self, identifier: &Identifier, reference: &str) -> anyhow::Result<Ran> {
        let what = match identifier.kind {
            Kind::Install => "install_ids",
            Kind::User => "user_ids",
            Kind::Email => "emails",
            Kind::Term => "terms",
        };
        let document = json!({
            "kind": "export",
            "reference": reference,
            "apps": [self.deployed.app],
            "subject": { what: [identifier.text] },
        });
        let before = self.sink.received().spans.len();
        let begin = Instant::now();
        let api = &self.deployed.stack.api;
        let id = api.submit(&document).await?;
        api.wait_ended(&id, LIMIT).await?;
        let seconds = begin.elapsed().as_secs_f64();
        let path = format!("/api/requests/{id}/report");
        let (_, report) = api.json(reqwest::Method::GET, &path, None).await?;
        let searched = report["searched"].as_object();
        let searched = searched.and_then(|apps| apps.values().next());
        let searched = searched.context("an app was searched")?;
        tokio::time::sleep(SPANS_LEAVE).await;
        let spans = self.sink.received().spans;
        let found = spans
            .iter()
            .skip(before)
            .filter(|span| span.name == "blob-search" && span.text("dsr.step") == "find");
        let found = found.filter_map(|span| span.attributes.get("dsr.search.matches")?.as_u64());
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let blobs = searched["blobs"].as_object().into_iter().flatten();
        Ok(Ran {
            blobs: blobs.map(|(_, count)| number(count)).sum(),
            passed_over: number(&searched["passed_over"]),
            bytes: number(&searched["bytes"]),
            found: found.sum(),
            seconds,
        })
    }

    async fn indexes(&self) -> anyhow::Result<Indexes> {
        let work = self.deployed.stack.account.container(WORK)?;
        let options = BlobContainerClientListBlobsOptions {
            prefix: Some("index/".to_owned()),
            ..BlobContainerClientListBlobsOptions::default()
        };
        let blobs: Vec<_> = work.list_blobs(Some(options))?.try_collect().await?;
        let mut indexes = Indexes::default();
        for name in blobs.into_iter().filter_map(|blob| blob.name) {
            let bytes = work.blob_client(&name).download(None).await?.body;
            let bytes = bytes.collect().await?;
            let first = bytes.get(FIRST_PART).context("an index has a head")?;
            indexes.days += 1;
            indexes.bytes += bytes.len() as u64;
            indexes.first += 2 * HEAD + u64::from_le_bytes(first.try_into()?);
        }
        Ok(indexes)
    }
}
