//! `appcenter-dsr serve`: settings, log, application, listener; nothing else.

#![expect(
    clippy::print_stderr,
    reason = "why the handler cannot start must reach the host, which reads standard error"
)]

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

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
    if let Err(error) = subscriber(filter, std::io::stdout).try_init() {
        eprintln!("warning: no log: {error}");
    }
}

fn subscriber<W>(filter: &str, writer: W) -> impl tracing::Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    // SQL Server's own words, which its driver logs, repeat what was sent.
    let is_shown = filter_fn(|line| line.target().split("::").next() != Some(SILENT))
        .with_max_level_hint(LevelFilter::TRACE);
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .with_writer(writer)
        .with_filter(filter.and(is_shown));
    tracing_subscriber::registry().with(lines)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_driver_s_lines_are_never_shown() {
        for filter in [
            "info",
            "trace",
            "tiberius=trace",
            "tiberius::tds=trace",
            "no=such=filter",
        ] {
            let lines = Lines::default();
            let writer = lines.clone();
            let subscriber = subscriber(filter, move || writer.clone());
            tracing::subscriber::with_default(subscriber, || {
                tracing::error!(target: "tiberius::tds::stream::token", "what SQL Server said");
                tracing::error!(target: "tiberius", "what SQL Server said");
                tracing::error!(target: "appcenter_dsr", "a line of ours");
            });
            let lines = lines.0.lock().expect("no panic").clone();
            let lines = String::from_utf8(lines).expect("text");
            assert!(!lines.contains("SQL Server"), "{filter}: {lines}");
            let is_ours = lines.contains("a line of ours");
            assert_eq!(
                is_ours,
                !filter.starts_with("tiberius"),
                "{filter}: {lines}"
            );
        }
    }
}
