//! Long runs, each with a short form for `cargo xtask test`.

mod budget;
mod counting;
mod kills;
mod large;
mod ninety_days;
mod slices;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Subcommand;
use jiff::Timestamp;
use serde_json::Value;
use stack::Stack;

use crate::demo::Progress;

/// A long run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Many requests while the handler is killed at random: all complete, exactly.
    Kills(kills::Options),
    /// One request with very many reports: time, calls, messages, memory, cost of a slice.
    Large(large::Options),
    /// The API budget over two hosts and two kills: no window over it.
    Budget(budget::Options),
    /// Every report of an app by API while the handler is killed: each fetched once, ledger and documents exact.
    NinetyDays(ninety_days::Options),
}

/// Their names on the command line; each has a `--short` form.
pub(crate) const NAMES: [&str; 4] = ["kills", "large", "budget", "ninety-days"];

/// Runs it; the exit code says whether all was as it should be.
///
/// # Errors
/// When something does not start.
pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let is_right = match command {
        Command::Kills(options) => Box::pin(kills::run(options)).await?,
        Command::Large(options) => Box::pin(large::run(options)).await?,
        Command::Budget(options) => Box::pin(budget::run(options)).await?,
        Command::NinetyDays(options) => Box::pin(ninety_days::run(options)).await?,
    };
    Ok(if is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The present, on the clock that the handler and the simulator go by.
#[expect(
    clippy::disallowed_methods,
    reason = "what is measured here happens in real time, in other processes"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// When a step began and ended.
fn span(status: &Value, step: &str) -> anyhow::Result<(Timestamp, Timestamp)> {
    let stage = &status["stages"][step];
    let time = |key: &str| -> anyhow::Result<Timestamp> {
        let text = stage[key].as_str();
        let text = text.with_context(|| format!("the step {step} has no {key}"))?;
        Ok(text.parse()?)
    };
    Ok((time("started_at")?, time("ended_at")?))
}

/// Shows a request's progress until its status is none of these; a call that fails meanwhile is made again.
///
/// # Errors
/// When it still is after `limit`.
async fn follow(
    stack: &Stack,
    id: &str,
    progress: &mut Progress,
    (start, limit, look): (Instant, Duration, Duration),
    statuses: &[&str],
) -> anyhow::Result<Value> {
    let end = Instant::now() + limit;
    loop {
        if let Ok(status) = stack.api.status(id).await {
            for line in progress.lines(id, &status, start.elapsed()) {
                println!("{:7.1} s  {line}", start.elapsed().as_secs_f64());
            }
            if !statuses.contains(&status["status"].as_str().unwrap_or_default()) {
                return Ok(status);
            }
        }
        anyhow::ensure!(
            Instant::now() < end,
            "the request did not move on within {limit:?}"
        );
        tokio::time::sleep(look).await;
    }
}

/// The most memory that a process had resident at any time, in MiB.
fn peak_memory(pid: u32) -> anyhow::Result<f64> {
    memory(pid, "VmHWM")
}

/// A figure of `/proc/PID/status`, in MiB.
pub(crate) fn memory(pid: u32, what: &str) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    kibibytes(&status, what)
        .map(|kib| kib / 1024.0)
        .with_context(|| format!("the process has no {what}"))
}

fn kibibytes(status: &str, what: &str) -> Option<f64> {
    let line = status.lines().find(|line| line.starts_with(what))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::kibibytes;

    #[test]
    fn figures_of_a_process() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\n";
        assert_eq!(kibibytes(status, "VmHWM"), Some(20480.0));
        assert_eq!(kibibytes(status, "VmPeak"), None);
    }
}
