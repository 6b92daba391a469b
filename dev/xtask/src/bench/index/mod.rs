//! `cargo xtask bench index`: how little a search reads that has an index, beside one that reads everything.
//!
//! A year of an archive is generated, with a file of a few rows for every minute. People stand in a few minutes of it, others
//! nowhere, and each is looked for alone. What is found must be exactly what was planted. The command does that over the
//! folder; the deployed functions over sixty days of it in the storage emulator.

mod emulator;
mod folder;
mod year;

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use self::year::KINDS;
use super::search::Kind;
use crate::table::Table;

/// What is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// The folder, by the command.
    Folder,
    /// Days of it in the storage emulator, by the deployed functions.
    Emulator,
}

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
    /// Measure this part only.
    #[arg(long)]
    only: Option<Part>,
    /// Write all figures of the folder to this file as well.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// When something does not start, or somebody is not found where they stand.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    if options.only.is_none_or(|only| only == Part::Folder) {
        Box::pin(folder::run(&options)).await?;
    }
    if options.only.is_none_or(|only| only == Part::Emulator) {
        Box::pin(emulator::run(&options)).await?;
    }
    Ok(())
}

/// The most that an index takes, in parts of the data.
const SIZE_GOAL: f64 = 0.04;
/// The most blobs that are read, indexes included, in parts of the scan's.
const FILES_GOAL: f64 = 0.01;

/// The most bytes that are read, indexes included, in parts of the scan's.
const fn bytes_goal(kind: Kind) -> f64 {
    match kind {
        Kind::Install => 0.02,
        Kind::User | Kind::Email | Kind::Term => 0.06,
    }
}

fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}

fn at_most(part: f64) -> String {
    format!("<= {} %", part * 100.0)
}

/// Shows the worst of each kind against the goals: parts of the scan's GETs and bytes.
fn show(table: &mut Table, what: &str, parts: &[(Kind, [f64; 2])]) {
    for kind in KINDS {
        let of_kind = || parts.iter().filter(|(it, _)| *it == kind);
        let worst = |n: usize| of_kind().map(|(_, it)| it[n]).fold(0.0, f64::max);
        for (name, part, most) in [
            (what, worst(0), FILES_GOAL),
            ("bytes", worst(1), bytes_goal(kind)),
        ] {
            let line = format!("{kind:?}: {name} read, of the scan's");
            table.goal(&line, &at_most(most), &percent(part), part <= most);
        }
    }
}
