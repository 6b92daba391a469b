//! The command line: `serve`, `requests`, `search`.

mod requests;
pub mod search;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Data subject requests over Visual Studio App Center data.
#[derive(Debug, Parser)]
#[command(name = "appcenter-dsr", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run as the Functions custom handler, on 127.0.0.1 and the port in `FUNCTIONS_CUSTOMHANDLER_PORT`.
    Serve,
    /// File requests, look at them, decide on them: a client of the HTTP API.
    Requests(requests::Requests),
    /// Search files and folders for people: one JSON line a matching record.
    Search(search::SearchArgs),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve => serve::run(),
        Command::Requests(it) => requests::run(&it, &crate::config::environment),
        Command::Search(args) => search::run(&args),
    }
}
