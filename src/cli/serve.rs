//! `appcenter-dsr serve`: settings, log, application, listener; nothing else.

#![expect(
    clippy::print_stderr,
    reason = "why the handler cannot start must reach the host, which reads standard error"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::app::App;
use crate::clock::SystemClock;
use crate::config::{Config, environment};
use crate::host::build_handler;

/// Crates whose log lines are never shown.
const SILENT: [&str; 4] = [
    "tiberius",
    "opentelemetry",
    "opentelemetry_sdk",
    "opentelemetry_otlp",
];

/// Longest time that telemetry gets to leave when the handler is asked to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs the handler until it is killed: the host sends no notice. Whoever does (`SIGTERM`) gets the last telemetry.
pub(super) fn run() -> ExitCode {
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: the handler cannot start: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> anyhow::Result<()> {
    let config = Config::from_lookup(&environment)?;
    log(&config.log);
    let port = config.port;
    let app = Arc::new(App::new(config, Arc::new(SystemClock))?);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        // The literal IPv4 loopback address: the host asks for no other.
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = tokio::net::TcpListener::bind(address).await?;
        let mut terminated = signal(SignalKind::terminate())?;
        let telemetry = app.telemetry.clone();
        tokio::select! {
            ended = axum::serve(listener, build_handler(app)) => ended?,
            _ = terminated.recv() => {
                telemetry.stop(LAST_WORDS).await;
                end();
            }
        }
        anyhow::Ok(())
    })
}

/// What a process has for a code that `SIGTERM` ended: 128 and its number. With 0 the host would not start it again.
const TERMINATED: i32 = 143;

/// Ends the process as the signal would have: what still waits for a destination is not waited for.
#[expect(clippy::exit, reason = "to return would wait for exporters")]
fn end() -> ! {
    std::process::exit(TERMINATED)
}

/// Lines on standard output, which the host takes for information; time and level are the host's.
fn log(filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let is_shown = filter_fn(|line| is_shown(line.target()));
    let is_shown = is_shown.with_max_level_hint(LevelFilter::TRACE);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_filter(filter.and(is_shown));
    if let Err(error) = tracing_subscriber::registry().with(lines).try_init() {
        eprintln!("warning: no log: {error}");
    }
}

/// SQL Server's own words, which its driver logs, repeat what was sent; what exporters log names addresses.
fn is_shown(target: &str) -> bool {
    let of = target.split(['.', '-', ':']).next().unwrap_or_default();
    !SILENT.contains(&of)
}

#[cfg(test)]
mod tests {
    use super::is_shown;

    #[test]
    fn the_driver_s_lines_are_never_shown() {
        for (target, expected) in [
            ("tiberius", false),
            ("tiberius::tds::stream::token", false),
            ("tiberius_of_another", true),
            ("opentelemetry_sdk", false),
            ("opentelemetry-otlp", false),
            ("appcenter_dsr::ledger::server", true),
        ] {
            assert_eq!(is_shown(target), expected, "{target}");
        }
    }
}
