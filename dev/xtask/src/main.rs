//! The developer's commands, run as `cargo xtask COMMAND`.
//!
//! | command | what it does |
//! |---|---|
//! | `demo` | the main job from end to end, over real storage and a simulated App Center |
//! | `test` | every test, then the short forms of the long runs |
//! | `soak kills`, `large`, `budget` | long runs: a handler that is killed, a large request, the API budget |
//! | `bench handler`, `start`, `search` | figures of the handler and of the search engine |
//! | `package` | the app as Azure takes it, in a zip |
//! | `check-api` | a checker of App Center's API, run against the simulator |
//! | `check-infra` | the templates and queries of infra/, as far as that goes without Azure |
//!
//! Everything that a command starts ends with it: after a failure and on Ctrl-C too.

#![expect(
    clippy::print_stdout,
    reason = "these are commands whose result is what they print"
)]

mod bench;
mod cargo;
mod check_api;
mod check_infra;
mod chromium;
mod demo;
mod package;
mod python;
mod run;
mod soak;
mod table;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "The developer's commands of appcenter-dsr"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one export and one erasure of the demo world, and hold the outcome against what is expected.
    Demo(demo::Options),
    /// Run every test, then the short forms of the long runs.
    Test {
        /// Only tests whose name holds this; the long runs are left out then.
        filter: Option<String>,
    },
    /// Run something for long.
    #[command(subcommand)]
    Soak(soak::Command),
    /// Measure something.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Build the release and write the zip that Azure takes.
    Package(package::Options),
    /// Start the simulator on the demo world and run a checker in Python against it.
    ///
    /// It is started as `FILE BASE_URL TOKEN OWNER APP`, once for each app, in a virtual environment with jsonschema
    /// and requests.
    CheckApi {
        /// The checker.
        #[arg(long)]
        checker: PathBuf,
    },
    /// Parse every Bicep file, run checkov over them, and bind every query with the Kusto language service.
    CheckInfra,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    tokio::select! {
        ended = command(arguments.command) => ended,
        () = run::interrupted() => {
            // What ran is dropped here, and with it every process that it had started.
            println!("\nStopped.");
            Ok(ExitCode::from(130))
        }
    }
}

async fn command(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(options) => Box::pin(demo::run(options)).await,
        Command::Test { filter } => Box::pin(test::run(filter.as_deref())).await,
        Command::Soak(command) => Box::pin(soak::run(command)).await,
        Command::Bench(command) => Box::pin(bench::run(command)).await,
        Command::Package(options) => package::run(options).await,
        Command::CheckApi { checker } => check_api::run(&checker).await,
        Command::CheckInfra => check_infra::run().await,
    }
}
