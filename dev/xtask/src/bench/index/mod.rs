//! `cargo xtask bench index`: how little a search reads that has an index, beside one that reads everything.
//!
//! A year of an archive is generated, with a file of a few rows for every minute. People stand in a few minutes of it, others
//! nowhere, and each is looked for alone. What is found must be exactly what was planted.

mod folder;
mod year;

use std::path::PathBuf;

use clap::Args;

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Use this release build of `appcenter-dsr` instead of building one.
    #[arg(long)]
    handler: Option<PathBuf>,
    /// Days of the archive.
    #[arg(long, default_value_t = 365)]
    days: u32,
    /// Rows of a minute; about 1.3 KB each.
    #[arg(long, default_value_t = 5)]
    rows: u32,
    /// People of each kind (install ID, user ID, e-mail) who are looked for, half of them planted.
    #[arg(long, default_value_t = 6)]
    people: usize,
    /// Makes another archive and other people.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write all figures to this file as well.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// When something does not start, or somebody is not found where they stand.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    folder::run(&options).await
}
