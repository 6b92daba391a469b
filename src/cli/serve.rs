//! `appcenter-dsr serve`: settings, log, application, listener; nothing else.

#![expect(
    clippy::print_stderr,
    reason = "why the handler cannot start must reach the host, which reads standard error"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;

use crate::app::App;
use crate::clock::SystemClock;
use crate::config::{Config, environment};
use crate::host::build_handler;

/// A crate whose log lines are never shown.
const SILENT: &str = "tiberius";

/// Runs the handler until it is killed: the host sends no notice.
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
        axum::serve(listener, build_handler(app)).await?;
        anyhow::Ok(())
    })
}

/// Lines on standard output, which the host takes for information; time and level are the host's.
fn log(filter: &str) {
    // SQL Server's own words, which its driver logs, repeat what was sent.
    let filter = format!("{filter},{SILENT}=off");
    let filter =
        EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(format!("info,{SILENT}=off")));
    let result = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .try_init();
    if let Err(error) = result {
        eprintln!("warning: no log: {error}");
    }
}
