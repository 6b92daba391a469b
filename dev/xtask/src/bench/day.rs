//! `cargo xtask bench day`: a day of an archive in the storage emulator, searched by the deployed function.
//!
//! Three things take turns over the same 1,440 minutes: Microsoft's SDK, which downloads every blob and does nothing with
//! it; `blob-search` for one request; `blob-search` for a hundred that wait together. What the function takes is the
//! length of its own spans, so that nothing before or after it counts.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use azure_storage_blob::models::BlobContainerClientListBlobsOptions;
use clap::Args;
use futures::TryStreamExt as _;
use serde_json::{Value, json};
use stack::Settings;
use telemetry_sink::{Sink, Span};

use super::deployed::{Deployed, LOOK, Uploaded, WORK};
use super::machine;
use super::search::{Group, Kind, archive, identifiers};
use crate::cargo::{Profile, given_or_built};
use crate::table::Table;

/// Whether a host searches.
const SEARCH_DISABLED: &str = "AzureWebJobs.blob-search.Disabled";
/// Whether a host does what comes after a search: not while one is measured.
const NEXT_DISABLED: &str = "AzureWebJobs.install-id-resolve.Disabled";
/// The day that the archive is of, as its blobs' names begin.
const DAY: &str = "2026/11/20/";
/// How long a claim holds unless it is renewed: less than what a pass takes for a strange clock's.
const CLAIMED: jiff::SignedDuration = jiff::SignedDuration::from_secs(15);
/// Blobs in flight when only downloading; what is fastest counts.
const IN_FLIGHT: [usize; 3] = [8, 16, 32];
/// Requests that wait together.
const TOGETHER: usize = 100;
/// Identifiers of one request.
const IDENTIFIERS: usize = 3;
/// The least share of the download's speed.
const SPEED_GOAL: f64 = 0.9;
/// The most that all together cost, in passes for one.
const COST_GOAL: f64 = 1.2;
/// How long requests may take to wait for the search, and to end.
const LIMIT: Duration = Duration::from_secs(300);
/// How long the search may take.
const SEARCH_LIMIT: Duration = Duration::from_secs(600);
/// How long a span waits before it leaves the handler, at the most.
const SPANS_LEAVE: Duration = Duration::from_secs(7);

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Use this release build of `appcenter-dsr` instead of building one.
    #[arg(long)]
    handler: Option<PathBuf>,
    /// Size of the day, in MiB.
    #[arg(long, default_value_t = 512)]
    mib: u64,
    /// Makes another archive and other people.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How often each is measured; the medians count.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Write all figures to this file as well.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// When something does not start, or the search reads anything but the day, or this program is not a release build: the
/// SDK would be slow in it.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    ensure!(
        !cfg!(debug_assertions),
        "the SDK's own speed is measured in this program: run `cargo run --release --package xtask -- bench day`"
    );
    ensure!(options.runs > 0, "at least one run");
    let handler = given_or_built(options.handler.as_deref(), Profile::Release).await?;
    let root = stack::project_root().join("target/bench");
    std::fs::create_dir_all(&root)?;
    let archive = archive::ready(&root, options.mib << 20, options.seed)?;
    let machine = machine();
    println!("{machine}\n");
    let bench = Bench::start(&handler).await?;
    let day = bench.deployed.upload(&archive.folder).await?;
    println!("A day of {} blobs, {} bytes", day.blobs, day.bytes);
    // What nobody has read yet comes from the disk.
    bench.download(IN_FLIGHT[0]).await?;

    let mut people = identifiers(options.seed, Group::Absent, 10_000).into_iter();
    let people = people.by_ref().filter(|it| it.kind != Kind::Term);
    let texts: Vec<(Kind, String)> = people.map(|it| (it.kind, it.text)).collect();
    let mut people = texts.chunks_exact(IDENTIFIERS);
    let mut times = [const { Vec::new() }; 3];
    for turn in 0..options.runs {
        let mut fastest = f64::MAX;
        for in_flight in IN_FLIGHT {
            fastest = fastest.min(bench.download(in_flight).await?);
        }
        let one = bench.search(&day, turn, 1, &mut people).await?;
        let all = bench.search(&day, turn, TOGETHER, &mut people).await?;
        println!(
            "  download {fastest:.2} s, one request {one:.2} s, {TOGETHER} requests {all:.2} s"
        );
        for (times, time) in times.iter_mut().zip([fastest, one, all]) {
            times.push(time);
        }
    }
    report(&options, &machine, &day, times)
}

fn report(
    options: &Options,
    machine: &str,
    day: &Uploaded,
    mut times: [Vec<f64>; 3],
) -> anyhow::Result<()> {
    let [download, one, all] = times.each_mut().map(|times| {
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2]
    });
    let speed = |seconds: f64| format!("{:.0} MB/s", day.bytes as f64 / seconds / 1e6);
    let mut table = Table::new(&["what", "goal", "median", ""]);
    table.row(&[&"the SDK, downloading alone", &"", &speed(download)]);
    table.row(&[&"blob-search for one request", &"", &speed(one)]);
    table.row(&[
        &format!("blob-search for {TOGETHER} requests"),
        &"",
        &speed(all),
    ]);
    let share = download / one;
    table.goal(
        "speed for one request, of the download's",
        &format!(">= {SPEED_GOAL}"),
        &format!("{share:.2}"),
        share >= SPEED_GOAL,
    );
    let cost = all / one;
    table.goal(
        &format!("cost of {TOGETHER} requests, of one's"),
        &format!("<= {COST_GOAL}"),
        &format!("{cost:.2}"),
        cost <= COST_GOAL,
    );
    println!("{table}");
    if let Some(path) = &options.json {
        let [download, one, all] = times;
        let figures = json!({
            "machine": machine, "blobs": day.blobs, "bytes": day.bytes,
            "download_seconds": download, "one_seconds": one, "together_seconds": all,
        });
        std::fs::write(path, format!("{figures:#}\n"))?;
        println!("  Figures written to {}", path.display());
    }
    Ok(())
}

/// Everything that runs, but for the host that searches.
struct Bench {
    deployed: Deployed,
    sink: Sink,
}

impl Bench {
    async fn start(handler: &Path) -> anyhow::Result<Self> {
        let sink = Sink::start().await?;
        let settings = Settings::new(handler)
            .with(SEARCH_DISABLED, "true")
            .with(NEXT_DISABLED, "true")
            .with("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url());
        let deployed = Deployed::start("bench day", settings).await?;
        Ok(Self { deployed, sink })
    }

    /// Downloads the day's blobs and forgets them; how long it took, in seconds.
    async fn download(&self, in_flight: usize) -> anyhow::Result<f64> {
        let (own, _) = self.deployed.own_app().await?;
        let begin = Instant::now();
        let options = BlobContainerClientListBlobsOptions {
            prefix: Some(format!("{own}{DAY}")),
            ..BlobContainerClientListBlobsOptions::default()
        };
        let blobs = self.deployed.archive.list_blobs(Some(options))?;
        let read = blobs
            .map_err(anyhow::Error::from)
            .map_ok(|blob| async move {
                let name = blob.name.context("a blob has no name")?;
                // On a task of its own, as the search's downloads are.
                let blob = self.deployed.archive.blob_client(&name);
                let task = tokio::spawn(async move {
                    let mut body = blob.download(None).await?.body;
                    let mut bytes = 0;
                    while let Some(chunk) = body.try_next().await? {
                        bytes += chunk.len() as u64;
                    }
                    azure_core::Result::Ok(bytes)
                });
                anyhow::Ok(task.await??)
            });
        let bytes: u64 = read
            .try_buffer_unordered(in_flight)
            .try_fold(0, |sum, it| async move { Ok(sum + it) })
            .await?;
        ensure!(bytes > 0, "nothing was downloaded");
        Ok(begin.elapsed().as_secs_f64())
    }

    /// Files requests, waits until the day is all they wait for, and lets it be searched; how long it took, in seconds.
    async fn search<'t>(
        &self,
        day: &Uploaded,
        turn: usize,
        count: usize,
        people: &mut impl Iterator<Item = &'t [(Kind, String)]>,
    ) -> anyhow::Result<f64> {
        let mut ids = Vec::with_capacity(count);
        for n in 0..count {
            let person = people.next().context("there are no more people")?;
            let of_kind = |kind: Kind| -> Vec<&str> {
                let texts = person.iter().filter(|(it, _)| *it == kind);
                texts.map(|(_, text)| text.as_str()).collect()
            };
            let date = date();
            let document = json!({
                "kind": "export",
                "reference": format!("BENCH-{turn}-{count}-{n}"),
                "apps": [self.deployed.app],
                "subject": {
                    "install_ids": of_kind(Kind::Install),
                    "user_ids": of_kind(Kind::User),
                    "emails": of_kind(Kind::Email),
                },
                "include": ["diagnostics"],
                "window": { "from": date, "to": date },
            });
            ids.push(self.deployed.stack.api.submit(&document).await?);
        }
        for id in &ids {
            self.deployed
                .until(id, |status| status["step"] == "find")
                .await?;
        }
        // What is on its way to the queue arrives.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = self.spans().len();
        // All wait together: none of their days is searched while others are still on the way there.
        self.claim(true).await?;
        let searching = self
            .deployed
            .stack
            .another_host(&[(SEARCH_DISABLED, "false")])
            .await?;
        self.until_all_wait(&ids).await?;
        self.claim(false).await?;
        for id in &ids {
            self.deployed
                .until(id, |status| status["step"] != "find")
                .await?;
        }
        let spans = self.sink.wait(SEARCH_LIMIT, |received| {
            let spans = searches(&received.spans);
            spans.skip(before).map(bytes).sum::<u64>() >= day.bytes
        });
        spans.await?;
        // Those of the same pass that are still on their way.
        tokio::time::sleep(SPANS_LEAVE).await;
        let spans = self.spans().split_off(before);
        drop(searching);
        let finishing = self
            .deployed
            .stack
            .another_host(&[(SEARCH_DISABLED, "false"), (NEXT_DISABLED, "false")])
            .await?;
        for id in &ids {
            let ended = self
                .deployed
                .until(id, |status| {
                    !matches!(status["status"].as_str(), Some("received" | "running"))
                })
                .await?;
            let status = ended["status"].as_str().unwrap_or_default();
            ensure!(
                status.starts_with("completed"),
                "a request ended as {status}"
            );
        }
        drop(finishing);
        let read: u64 = spans.iter().map(bytes).sum();
        ensure!(
            read == day.bytes || count > 1,
            "the search for one request read {read} bytes of a day of {}",
            day.bytes
        );
        let nanos = spans.iter().map(|span| span.end.saturating_sub(span.start));
        let longest = nanos.clone().max().unwrap_or(0) as f64 / 1e9;
        println!(
            "  {count} requests: {read} bytes in {} invocations, the longest {longest:.2} s",
            spans.len()
        );
        Ok(nanos.sum::<u64>() as f64 / 1e9)
    }

    /// Claims the day, as a pass over it does, or lets it go.
    async fn claim(&self, is_claimed: bool) -> anyhow::Result<()> {
        let (owner, name) = (
            self.deployed.app["owner"].as_str(),
            self.deployed.app["name"].as_str(),
        );
        let (owner, name) = (owner.context("an owner")?, name.context("a name")?);
        let blob = format!("searching/{owner}/{name}/{}", date());
        let blob = self
            .deployed
            .stack
            .account
            .container(WORK)?
            .blob_client(&blob);
        if is_claimed {
            let until = crate::soak::now() + CLAIMED;
            let claim = json!({ "holder": 0, "until": until }).to_string();
            blob.upload(bytes::Bytes::from(claim).into(), None).await?;
        } else {
            blob.delete(None).await?;
        }
        Ok(())
    }

    /// Waits until the day is all that these requests wait for, and keeps it claimed until then: the world has other days,
    /// which are small, and are searched before.
    async fn until_all_wait(&self, ids: &[String]) -> anyhow::Result<()> {
        let end = Instant::now() + LIMIT;
        for id in ids {
            loop {
                self.claim(true).await?;
                let status = self.deployed.stack.api.status(id).await?;
                let find = &status["stages"]["find"];
                let (planned, done) = (find["planned"].as_u64(), find["done"].as_u64());
                if planned.is_some_and(|all| all > 0 && done == Some(all - 1)) {
                    break;
                }
                ensure!(Instant::now() < end, "a request does not wait: {find}");
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    fn spans(&self) -> Vec<Span> {
        searches(&self.sink.received().spans).cloned().collect()
    }
}

/// The invocations that first searched the day; the world has others, which are small, and a search has further steps.
fn searches(spans: &[Span]) -> impl Iterator<Item = &Span> {
    let day = date();
    let searches = spans.iter().filter(|span| span.name == "blob-search");
    let searches = searches.filter(|span| span.text("dsr.step") == "find");
    searches.filter(move |span| span.text("dsr.search.day") == day)
}

/// The day as requests and telemetry name it.
fn date() -> String {
    DAY.trim_end_matches('/').replace('/', "-")
}

/// What an invocation read.
fn bytes(span: &Span) -> u64 {
    let bytes = span.attributes.get("dsr.search.bytes");
    bytes.and_then(Value::as_u64).unwrap_or(0)
}
