//! `appcenter-dsr search`: the engine over files, folders and containers, one JSON line a matching record.

mod args;
mod container;
mod days;
mod lines;
mod people;
mod progress;
mod run;
#[cfg(test)]
mod tests;

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::Instant;

pub use args::SearchArgs;

use self::days::Days;
use self::people::People;
use self::progress::Progress;
use self::run::Run;
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Lookup};

/// Something was found.
const FOUND: u8 = 0;
/// Nothing was found, and everything was read.
const NOTHING: u8 = 1;
/// Something could not be read.
const UNREAD: u8 = 2;

/// Runs the search: matches to stdout, everything else to stderr.
///
/// Exits with 0 when something was found, 1 when nothing was, 2 when something could not be read.
#[must_use]
pub fn run(args: &SearchArgs) -> ExitCode {
    // On a terminal that shows the matches, progress would only be in their way.
    let progress = if io::stderr().is_terminal() && !io::stdout().is_terminal() {
        Progress::shown()
    } else {
        Progress::hidden()
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let mut err = io::stderr();
    let world = World {
        lookup: &config::environment,
        clock: &SystemClock,
    };
    ExitCode::from(run_to(args, world, &mut out, &mut err, progress))
}

/// What the command asks of the machine.
#[derive(Clone, Copy)]
struct World<'a> {
    lookup: Lookup<'a>,
    clock: &'a dyn Clock,
}

/// The command with its streams given.
fn run_to(
    args: &SearchArgs,
    world: World<'_>,
    out: &mut dyn Write,
    err: &mut dyn Write,
    progress: Progress,
) -> u8 {
    let started = Instant::now();
    let opened = People::of(args).and_then(|people| {
        let days = Days::of(&args.flags, &people.subjects, world)?;
        Ok((people, days))
    });
    let (people, days) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            say(err, &error);
            return UNREAD;
        }
    };
    let mut run = Run::new(&people, out, err, progress);
    run.begin(days);
    for path in &args.flags.paths {
        run.path(path);
    }
    run.end();
    if args.flags.stats {
        let seconds = started.elapsed().as_secs_f64();
        let rate = run.bytes as f64 / seconds.max(1e-9);
        let mut stats = format!(
            "bytes={} records={} seconds={seconds:.6} bytes_per_second={rate:.0}",
            run.bytes, run.records
        );
        if let Some(days) = &run.days {
            stats.push_str(&days.stats(run.blobs));
        }
        run.say(&stats);
    }
    match (run.is_incomplete, run.matches) {
        (true, _) => UNREAD,
        (false, 0) => NOTHING,
        (false, _) => FOUND,
    }
}

/// Writes a line to stderr. When even that fails there is nobody left to tell.
fn say(err: &mut dyn Write, line: &str) {
    _ = writeln!(err, "{line}");
}
