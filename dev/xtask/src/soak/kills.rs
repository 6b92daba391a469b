//! `cargo xtask soak kills`: the handler is killed at random moments while requests run.
//!
//! The requests are those of the demo world (when more are wanted, the same again under other references). None
//! changes what another one comes to: plans come from the archive, which nothing here changes, so the union of all
//! expected results is what App Center must show at the end.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use appcenter_sim::{ExpectedRequest, World};
use azurite::Azurite;
use clap::Args;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use serde_json::json;
use stack::{Settings, Stack, audit};

use crate::cargo::{Profile, given_or_built};
use crate::table::Table;

/// The shortest and longest time between two kills, in milliseconds.
const PAUSE: std::ops::Range<u64> = 200..5_000;
/// How often `sweep` runs: its timer of five minutes would be too slow here.
const SWEEP: Duration = Duration::from_secs(10);
/// How often open requests are looked at: seldom, for a look reads storage, which all of them share.
const LOOK: Duration = Duration::from_secs(2);
/// How often a line is printed.
const LINE: Duration = Duration::from_secs(20);
/// How long the requests may take after the last kill.
const LIMIT: Duration = Duration::from_secs(900);
/// How long queues may take to drain after the last request.
const DRAIN: Duration = Duration::from_secs(120);

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Use this handler instead of building one.
    #[arg(long)]
    handler: Option<PathBuf>,
    /// Requests that are submitted, spread over the kills.
    #[arg(long, default_value_t = 20)]
    requests: usize,
    /// How often the handler is killed at least.
    #[arg(long, default_value_t = 50)]
    kills: u64,
    /// Makes the moments of the kills the same again (as far as time itself is).
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// 4 requests and 6 kills, under a minute.
    #[arg(long)]
    short: bool,
    /// Use the release build of the handler.
    #[arg(long)]
    release: bool,
    /// Print what the host logged to this file.
    #[arg(long)]
    log: Option<PathBuf>,
}

/// A request of the run.
struct Request {
    expected: ExpectedRequest,
    id: Option<String>,
    status: String,
}

impl Request {
    fn is_open(&self) -> bool {
        matches!(
            self.status.as_str(),
            "" | "received" | "running" | "awaiting_approval"
        )
    }
}

/// What happened so far.
#[derive(Default)]
struct Tally {
    kills: AtomicU64,
    kills_at_work: AtomicU64,
    sweeps: AtomicU64,
    /// Whether a submitted request has not ended.
    is_at_work: AtomicBool,
}

/// Runs it; whether all was as it should be.
///
/// # Errors
/// When something does not start.
pub(crate) async fn run(options: Options) -> anyhow::Result<bool> {
    let (count, kills) = match options.short {
        true => (4, 6),
        false => (options.requests, options.kills),
    };
    println!(
        "soak kills: {count} requests, {kills} kills, seed {}",
        options.seed
    );
    let profile = if options.release {
        Profile::Release
    } else {
        Profile::Dev
    };
    let handler = given_or_built(options.handler.as_deref(), profile).await?;
    let world = World::demo()?;
    let mut requests = choose(&world, count)?;
    let mut settings = Settings::new(&handler)
        .with("STALLED_SECONDS", "20")
        .with("INVOCATION_SECONDS", "20")
        .with("SLICE_ITEMS", "4");
    settings.lease = Duration::from_secs(5);
    settings.supervise = true;
    if let Some(path) = &options.log {
        settings.log = functions_host::LogSink::file(path)?;
    }
    let azurite = Arc::new(Azurite::start().await?);
    let stack = Stack::start(azurite, world, settings).await?;
    let start = Instant::now();
    let tally = drive(&stack, &mut requests, kills, options.seed).await?;
    let took = start.elapsed();
    let left = drained(&stack).await?;
    show(&stack, &requests, kills, &tally, took, &left)
}

/// The requests: of the demo world, in a mixed order, repeated under other references where more are wanted.
fn choose(world: &World, count: usize) -> anyhow::Result<Vec<Request>> {
    let all = world.requests();
    anyhow::ensure!(!all.is_empty(), "the world has no requests");
    // A stride that is coprime to the number of requests visits all of them, and puts those of a person apart.
    let stride = [7, 5, 3, 1]
        .into_iter()
        .find(|it| !all.len().is_multiple_of(*it));
    let stride = stride.unwrap_or(1);
    let requests = (0..count).map(|n| {
        let mut expected = all[n * stride % all.len()].clone();
        let round = n / all.len();
        if round > 0 {
            let reference = expected.document["reference"].as_str().unwrap_or_default();
            expected.document["reference"] = json!(format!("{reference}-{round}"));
        }
        Request {
            expected,
            id: None,
            status: String::new(),
        }
    });
    Ok(requests.collect())
}

/// Submits, approves, kills and sweeps until all requests have ended and all kills are done.
async fn drive(
    stack: &Stack,
    requests: &mut [Request],
    kills: u64,
    seed: u64,
) -> anyhow::Result<Tally> {
    let tally = Tally::default();
    let killing = async {
        kill(stack, kills, seed, &tally).await;
        Ok(())
    };
    tokio::try_join!(killing, work(stack, requests, kills, &tally))?;
    Ok(tally)
}

/// Kills the handler at random moments, whatever is going on.
async fn kill(stack: &Stack, kills: u64, seed: u64, tally: &Tally) {
    let mut random = StdRng::seed_from_u64(seed);
    while tally.kills.load(Relaxed) < kills {
        tokio::time::sleep(Duration::from_millis(random.random_range(PAUSE))).await;
        // There is nobody to kill while the host starts it again.
        if stack.host().kill_handler().await.is_some() {
            tally.kills.fetch_add(1, Relaxed);
            let at_work = u64::from(tally.is_at_work.load(Relaxed));
            tally.kills_at_work.fetch_add(at_work, Relaxed);
        }
    }
}

/// Submits requests as kills go on, approves, and sweeps, until all have ended.
async fn work(
    stack: &Stack,
    requests: &mut [Request],
    kills: u64,
    tally: &Tally,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let total = u64::try_from(requests.len())?.max(1);
    let mut next_sweep = start + SWEEP;
    let mut next_line = start;
    let mut last_kill = (0, start);
    loop {
        let killed = tally.kills.load(Relaxed);
        // The last requests come a little before the last kills, so that those find work too.
        let due = (killed * total * 10).div_ceil(kills.max(1) * 9) + 1;
        for (request, n) in requests.iter_mut().zip(1..) {
            if n <= due {
                step(stack, request).await;
            }
        }
        let open = requests.iter().filter(|it| it.is_open()).count();
        let submitted = requests.iter().filter(|it| it.id.is_some());
        let (submitted, at_work) = submitted.fold((0, false), |(count, at_work), it| {
            (count + 1, at_work || it.is_open())
        });
        tally.is_at_work.store(at_work, Relaxed);
        if Instant::now() >= next_line {
            println!(
                "{:7.1} s  {killed} kills, {submitted} of {total} requests submitted, {} ended",
                start.elapsed().as_secs_f64(),
                requests.len() - open
            );
            next_line = Instant::now() + LINE;
        }
        if killed != last_kill.0 {
            last_kill = (killed, Instant::now());
        }
        if open == 0 && killed >= kills {
            return Ok(());
        }
        if Instant::now() >= next_sweep {
            sweep(stack).await;
            tally.sweeps.fetch_add(1, Relaxed);
            next_sweep = Instant::now() + SWEEP;
        }
        let is_in_time = last_kill.1.elapsed() < LIMIT;
        anyhow::ensure!(
            is_in_time,
            "{open} requests have not ended {LIMIT:?} after the last kill"
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// Moves a request on where a caller has to. Calls that fail because the handler was just killed are made again later.
async fn step(stack: &Stack, request: &mut Request) {
    if !request.is_open() {
        return;
    }
    let Some(id) = &request.id else {
        // The reference makes it the same request, however often it is filed.
        request.id = stack.api.submit(&request.expected.document).await.ok();
        return;
    };
    let Ok(status) = stack.api.status(id).await else {
        return;
    };
    request.status = status["status"].as_str().unwrap_or_default().to_owned();
    if request.status == "awaiting_approval" {
        // Whether it took shows in the next status.
        let _ = stack.api.approve(id, &[]).await;
    }
}

async fn sweep(stack: &Stack) {
    // Refused while the host starts again: the next one is soon.
    let body = Some(("application/json", b"{}".to_vec()));
    let _ = stack
        .api
        .send(Method::POST, "/admin/functions/sweep", body)
        .await;
}

/// Waits until every queue is empty, sweeping meanwhile; gives what is left.
async fn drained(stack: &Stack) -> anyhow::Result<Vec<(String, u64)>> {
    let start = Instant::now();
    let mut next_sweep = Instant::now();
    loop {
        let left = stack.queued().await?;
        if left.is_empty() || start.elapsed() >= DRAIN {
            return Ok(left);
        }
        if Instant::now() >= next_sweep {
            sweep(stack).await;
            next_sweep = Instant::now() + SWEEP;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn show(
    stack: &Stack,
    requests: &[Request],
    kills: u64,
    tally: &Tally,
    took: Duration,
    left: &[(String, u64)],
) -> anyhow::Result<bool> {
    let done = stack.sim.audit();
    let killed = tally.kills.load(Relaxed);
    let mut differences = audit::differences(&done, requests.iter().map(|it| &it.expected));
    for request in requests {
        if !request.status.starts_with("completed") {
            let name = &request.expected.name;
            differences.push(format!("{name} ended as {}", request.status));
        }
    }
    differences.extend(
        left.iter()
            .map(|(queue, count)| format!("{count} messages left in {queue}")),
    );
    let others = done.app_blocked.len() + done.half_deleted.len() + done.tokens_leaked;
    if others > 0 {
        differences.push(format!("{others} changes that nobody may make"));
    }
    let completed = requests
        .iter()
        .filter(|it| it.status.starts_with("completed"));
    let completed = completed.count();
    let people: BTreeSet<&str> = requests
        .iter()
        .map(|it| it.expected.person.as_str())
        .collect();
    let host = stack.host();
    let mut table = Table::new(&["what", "expected", "actual", ""]);
    table.compare("requests completed", &requests.len(), &completed);
    table.goal("kills", &format!(">= {kills}"), &killed, killed >= kills);
    table.row(&[
        &"  of them while a request was open",
        &"",
        &tally.kills_at_work.load(Relaxed),
    ]);
    table.row(&[&"different people or cases", &"", &people.len()]);
    table.row(&[&"restarts of the handler", &"", &host.restarts()]);
    table.row(&[&"restarts of the host", &"", &host.host_restarts()]);
    table.row(&[
        &"invocations succeeded, failed",
        &"",
        &format!("{}, {}", host.succeeded(), host.failed()),
    ]);
    table.row(&[&"messages that became poison", &"", &host.poisoned()]);
    table.row(&[&"sweeps", &"", &tally.sweeps.load(Relaxed)]);
    table.row(&[
        &"installs blocked, reports deleted",
        &"",
        &format!("{}, {}", done.blocked().len(), done.deleted().len()),
    ]);
    table.compare(
        "messages left in queues and poison queues",
        &0,
        &left.iter().map(|(_, count)| count).sum::<u64>(),
    );
    table.compare("differences from what is expected", &0, &differences.len());
    table.row(&[&"duration", &"", &format!("{:.0} s", took.as_secs_f64())]);
    println!("{table}");
    for line in &differences {
        println!("  {line}");
    }
    Ok(differences.is_empty() && killed >= kills)
}
