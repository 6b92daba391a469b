//! Long runs, each with a short form for `cargo xtask test`.

mod kills;

use std::process::ExitCode;

use clap::Subcommand;

/// A long run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Many requests while the handler is killed at random: all complete, exactly.
    Kills(kills::Options),
}

impl Command {
    /// The short forms, for tests.
    pub(crate) fn short_forms() -> Vec<Self> {
        vec![Self::Kills(kills::Options::short())]
    }

    /// Its name on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Kills(_) => "kills",
        }
    }
}

/// Runs it; the exit code says whether all was as it should be.
///
/// # Errors
/// When something does not start.
pub(crate) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let is_right = match command {
        Command::Kills(options) => Box::pin(kills::run(options)).await?,
    };
    Ok(if is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
