//! Figures, each with the goal it is held against.

mod handler;
mod load;

use std::process::ExitCode;

use clap::Subcommand;

/// What is measured.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The handler's start, the latency of empty invocations, its memory.
    Handler(handler::Options),
}

/// Measures.
///
/// # Errors
/// When something does not start or answers as it must not. A missed goal is no error: it stands in the table.
pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Handler(options) => Box::pin(handler::run(options)).await?,
    }
    Ok(ExitCode::SUCCESS)
}
