//! `cargo xtask bench handler`: start, latency, memory of the release build.
//!
//! Three invocations are measured, from less to more:
//!
//! - `ping`: `GET /`, as the host asks whether the handler is there. The server alone.
//! - `empty stage`: a queue invocation of `delete` whose message is of a version to come. The envelope is taken apart,
//!   the message is read and turned away: all that the handler itself adds to a stage, and no storage.
//! - `unknown request`: the same for a request that is not stored. One read of storage on top, which is Azurite here.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use azurite::Azurite;
use clap::Args;
use serde_json::{Value, json};
use tokio::process::Child;

use super::load::{self, Latencies};
use super::machine;
use crate::cargo::{Profile, given_or_built};
use crate::run::program;
use crate::soak::memory;
use crate::table::Table;

/// Starts that are measured.
const STARTS: usize = 20;
/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(10);
/// Connections at once.
const CONCURRENT: [usize; 3] = [1, 16, 64];
/// Warm-up and measured time of each run.
const TIMES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(3));
/// Goal of the median start, in milliseconds.
const START_GOAL: f64 = 15.0;
/// Goal of the median latency of an empty stage at [`GOAL_AT`], in microseconds.
const LATENCY_GOAL: f64 = 200.0;
/// Where that goal holds.
const GOAL_AT: usize = 16;
/// Goal of the resident memory of an idle handler, in MiB.
const IDLE_GOAL: f64 = 30.0;

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Use this handler instead of building one.
    #[arg(long)]
    handler: Option<PathBuf>,
    /// Write all figures to this file as well.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// A kind of invocation.
struct Kind {
    name: &'static str,
    request: Vec<u8>,
    status: u16,
}

/// Measures and prints.
///
/// # Errors
/// When something does not start, or answers as it must not.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let executable = given_or_built(options.handler.as_deref(), Profile::Release).await?;
    let azurite = Azurite::start().await?;
    let storage = azurite.account().connection_string();
    let kinds = kinds();
    let machine = machine();
    println!("{machine}");
    println!();
    let mut figures = json!({ "machine": machine });

    let mut table = Table::new(&["what", "goal", "found", ""]);
    for kind in &kinds {
        let mut times = Vec::with_capacity(STARTS);
        for _ in 0..STARTS {
            times.push(start_time(&executable, &storage, kind).await?);
        }
        times.sort_unstable_by(f64::total_cmp);
        let median = times[STARTS / 2];
        let what = format!("start to first answer, {}", kind.name);
        let found = format!(
            "{median:.1} ms ({:.1} to {:.1})",
            times[0],
            times[STARTS - 1]
        );
        table.goal(
            &what,
            &format!("<= {START_GOAL} ms"),
            &found,
            median <= START_GOAL,
        );
        figures["start_ms"][kind.name] = json!(times);
    }

    let running = Running::start(&executable, &storage).await?;
    running.first(&kinds[0]).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let idle = running.memory("VmRSS")?;
    table.goal(
        "memory, idle",
        &format!("< {IDLE_GOAL} MiB"),
        &format!("{idle:.1} MiB"),
        idle < IDLE_GOAL,
    );
    let mut latencies = Table::new(&[
        "invocation",
        "concurrent",
        "median",
        "p99",
        "a second",
        "goal",
        "",
    ]);
    for kind in &kinds {
        for concurrent in CONCURRENT {
            let request = kind.request.clone();
            let found = load::run(running.port, request, kind.status, concurrent, TIMES).await?;
            latency_row(&mut latencies, kind, concurrent, &found);
            figures["latency_us"][kind.name][concurrent.to_string()] = json!({
                "median": found.micros(0.5),
                "p99": found.micros(0.99),
                "a_second": found.a_second,
            });
        }
    }
    let (loaded, peak) = (running.memory("VmRSS")?, running.memory("VmHWM")?);
    table.row(&[
        &"memory, after the load (and its peak)",
        &"",
        &format!("{loaded:.1} MiB ({peak:.1})"),
    ]);
    figures["memory_mib"] = json!({ "idle": idle, "loaded": loaded, "peak": peak });
    println!("{table}");
    println!("{latencies}");
    println!("  ping             GET /");
    println!(
        "  empty stage      a queue message of a version to come: taken apart and turned away, without storage"
    );
    println!(
        "  unknown request  a queue message for a request that is not stored: one read of storage (Azurite)"
    );
    println!(
        "  Every connection sends again as soon as it has its answer; the client shares the machine's cores."
    );
    if let Some(path) = options.json {
        std::fs::write(&path, format!("{figures:#}\n"))?;
        println!("  Figures written to {}", path.display());
    }
    Ok(())
}

fn kinds() -> [Kind; 3] {
    // As the host sends it: the message's text is a JSON string within a JSON string.
    let invocation = |message: &Value| {
        let data = json!({ "message": json!(message.to_string()).to_string() });
        let metadata = json!({
            "DequeueCount": "1",
            "Id": "\"3f2504e0-4f89-41d3-9a0c-0305e82c3301\"",
            "sys": { "MethodName": "delete" },
        });
        json!({ "Data": data, "Metadata": metadata }).to_string()
    };
    let message = |version: u32| {
        let request = "0".repeat(32);
        json!({ "v": version, "request": request, "run": 1, "step": "delete", "slice": 0 })
    };
    [
        Kind {
            name: "ping",
            request: load::request("GET", "/", ""),
            status: 200,
        },
        Kind {
            name: "empty stage",
            request: load::request("POST", "/delete", &invocation(&message(99))),
            status: 500,
        },
        Kind {
            name: "unknown request",
            request: load::request("POST", "/delete", &invocation(&message(1))),
            status: 200,
        },
    ]
}

fn latency_row(table: &mut Table, kind: &Kind, concurrent: usize, found: &Latencies) {
    let is_judged = kind.name == "empty stage" && concurrent == GOAL_AT;
    let median = found.micros(0.5);
    let (goal, verdict) = match (is_judged, median <= LATENCY_GOAL) {
        (false, _) => (String::new(), ""),
        (true, true) => (format!("<= {LATENCY_GOAL} µs"), "ok"),
        (true, false) => (format!("<= {LATENCY_GOAL} µs"), "MISSED"),
    };
    table.row(&[
        &kind.name,
        &concurrent,
        &format!("{median:.0} µs"),
        &format!("{:.0} µs", found.micros(0.99)),
        &format!("{:.0}", found.a_second),
        &goal,
        &verdict,
    ]);
}

/// Milliseconds from the start of a fresh process to its first answer.
async fn start_time(executable: &Path, storage: &str, kind: &Kind) -> anyhow::Result<f64> {
    let begin = Instant::now();
    let mut running = Running::start(executable, storage).await?;
    running.first(kind).await?;
    let time = begin.elapsed();
    running.process.kill().await?;
    Ok(time.as_secs_f64() * 1000.0)
}

/// A handler without a host.
struct Running {
    process: Child,
    port: u16,
}

impl Running {
    async fn start(executable: &Path, storage: &str) -> anyhow::Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port();
        let process = program(executable)
            .arg("serve")
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("AzureWebJobsStorage", storage)
            .env("DSR_LOG", "off")
            // As in Azure: where it is set, each error takes a trace of the stack.
            .env_remove("RUST_BACKTRACE")
            .stdout(Stdio::null())
            .spawn()
            .context("the handler did not start")?;
        Ok(Self { process, port })
    }

    /// Sends one invocation as soon as somebody listens.
    async fn first(&self, kind: &Kind) -> anyhow::Result<()> {
        let end = Instant::now() + START_LIMIT;
        let mut stream = loop {
            match load::connect(self.port).await {
                Ok(stream) => break stream,
                Err(error) if Instant::now() >= end => return Err(error.into()),
                Err(_) => tokio::time::sleep(Duration::from_micros(200)).await,
            }
        };
        let status = load::exchange(&mut stream, &kind.request, &mut vec![0; 64 * 1024]).await?;
        if status != kind.status {
            bail!(
                "{} was answered with {status} instead of {}",
                kind.name,
                kind.status
            );
        }
        Ok(())
    }

    fn memory(&self, what: &str) -> anyhow::Result<f64> {
        memory(self.process.id().context("the handler has ended")?, what)
    }
}
