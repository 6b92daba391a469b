//! Figures, each with the goal it is held against.

mod day;
mod deployed;
mod handler;
mod index;
mod load;
mod search;
mod start;

use std::process::ExitCode;

use clap::Subcommand;

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The handler's start, the latency of empty invocations, its memory.
    Handler(handler::Options),
    /// The packaged handler's start beside minimal handlers in Node.js and Python.
    Start(start::Options),
    /// The search engine beside ripgrep, jq and a Python script; with `--memory` its memory.
    Search(search::Options),
    /// A day of an archive in the storage emulator, searched for one request and for 100, beside the SDK's downloads.
    Day(day::Options),
    /// How little a search reads that has an index, over a year of minutes.
    Index(index::Options),
}

/// Measures.
///
/// # Errors
/// When something does not start or answers as it must not. A missed goal is no error: it stands in the table.
pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Handler(options) => Box::pin(handler::run(options)).await?,
        Command::Start(options) => Box::pin(start::run(options)).await?,
        Command::Search(options) => Box::pin(search::run(options)).await?,
        Command::Day(options) => Box::pin(day::run(options)).await?,
        Command::Index(options) => Box::pin(index::run(options)).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What the figures were measured on.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unknown processor", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    format!("{model}, {cores} cores, load {load} before the measurement")
}
