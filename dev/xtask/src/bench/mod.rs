//! later
use std::process::ExitCode;
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// x
    Handler,
}
pub(crate) async fn run(_c: Command) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
