//! `functions-host`: runs an app folder locally, without Core Tools.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Parser;
use functions_host::{Ended, Host, LogSink, Options};
use serde_json::Value;

/// Runs an Azure Functions app with a custom handler locally.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder that holds host.json, <function>/function.json and the handler; its local.settings.json is read
    #[arg(long, default_value = ".")]
    app_root: PathBuf,
    /// Where to listen on 127.0.0.1
    #[arg(long, default_value_t = 7071)]
    port: u16,
    /// Start the host again after the handler failed three times, as the platform does
    #[arg(long)]
    supervise: bool,
    /// How long a message stays invisible while it runs: 10m, 5s
    #[arg(long, default_value = "10m", value_parser = length)]
    lease: Duration,
    /// Ask for keys
    #[arg(long)]
    enable_auth: bool,
    /// Write the keys there, for --enable-auth
    #[arg(long, requires = "enable_auth")]
    keys_file: Option<PathBuf>,
    /// Append the log to a file instead of standard error
    #[arg(long)]
    log_file: Option<PathBuf>,
}

fn length(text: &str) -> anyhow::Result<Duration> {
    let (number, unit) = match text.find(|letter: char| !letter.is_ascii_digit()) {
        Some(end) => text.split_at(end),
        None => (text, "s"),
    };
    let number: u32 = number.parse().context("a length is a number and s or m")?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        _ => return Err(anyhow!("'{unit}' is no unit: s or m")),
    };
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

/// The `Values` of local.settings.json, which are texts; none when there is no such file.
fn local_settings(root: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let path = root.join("local.settings.json");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path)?;
    let file: Value = serde_json::from_str(text.trim_start_matches('\u{feff}'))
        .with_context(|| format!("{} is not JSON", path.display()))?;
    let Some(Value::Object(values)) = file.get("Values") else {
        return Ok(Vec::new());
    };
    let text = |(name, value): (&String, &Value)| {
        let value = value.as_str();
        let value = value.with_context(|| format!("local.settings.json: '{name}' is no text"))?;
        Ok((name.clone(), value.to_owned()))
    };
    values.iter().map(text).collect()
}

/// Writes the keys for nobody else to read.
fn write_keys(host: &Host, path: &Path) -> anyhow::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut keys = serde_json::Map::new();
    keys.insert("master".to_owned(), host.master_key().into());
    let functions = host
        .functions()
        .map(|name| (name.to_owned(), host.function_key(name).into()));
    keys.insert("functions".to_owned(), Value::Object(functions.collect()));
    let mut file = std::fs::File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(serde_json::to_string_pretty(&keys)?.as_bytes())?;
    Ok(())
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let log = match &arguments.log_file {
        None => LogSink::stderr(),
        Some(path) => LogSink::file(path).context("the log file cannot be opened")?,
    };
    let host = Host::start(Options {
        env: local_settings(&arguments.app_root)?,
        app_root: arguments.app_root,
        http_port: arguments.port,
        lease: arguments.lease,
        supervise: arguments.supervise,
        enable_auth: arguments.enable_auth,
        log,
        ..Default::default()
    })
    .await?;
    if let Some(path) = &arguments.keys_file {
        write_keys(&host, path).context("the keys file cannot be written")?;
    }
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        ended = host.wait_ended() => match ended {
            Ended::Stopped => return Ok(()),
            Ended::GaveUp => return Err(anyhow!("the host gave up: the handler failed too often")),
        },
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    host.stop().await;
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    run(Arguments::parse()).await
}

#[cfg(test)]
mod tests {
    use super::length;
    use std::time::Duration;

    #[test]
    fn lengths() {
        for (text, seconds) in [
            ("5s", Some(5)),
            ("10m", Some(600)),
            ("7", Some(7)),
            ("x", None),
            ("5h", None),
        ] {
            assert_eq!(
                length(text).ok(),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }
}
