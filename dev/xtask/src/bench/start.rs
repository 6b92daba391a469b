//! `cargo xtask bench start`: how long the packaged handler takes to its first answer, beside a minimal handler in Node.js
//! and one in Python that do the same. The ratio is the figure: it hardly depends on the machine.

use std::path::PathBuf;

use anyhow::ensure;
use azurite::Azurite;
use clap::Args;
use serde_json::json;
use tokio::process::Command;

use super::handler::{kinds, start_time};
use super::machine;
use crate::run::program;
use crate::table::Table;

/// Starts of each that are measured.
const STARTS: usize = 20;

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Use this handler instead of the packaged one.
    #[arg(long)]
    handler: Option<PathBuf>,
    /// Write all figures to this file as well.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// When nothing was packaged, or something does not start or answers as it must not.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let root = stack::project_root();
    let packaged = root.join("target/package/app/appcenter-dsr");
    let handler = std::path::absolute(options.handler.unwrap_or(packaged))?;
    ensure!(
        handler.is_file(),
        "{} is no file: run `cargo xtask package` before",
        handler.display()
    );
    let azurite = Azurite::start().await?;
    let storage = azurite.account().connection_string();
    let script = |name: &str| root.join("dev/bench").join(name);
    let command = |name: &str| -> Command {
        match name {
            "Node.js" => {
                let mut node = program("node");
                node.arg(script("handler.js"));
                node
            }
            "Python" => {
                let mut python = program("python3");
                python.arg(script("handler.py"));
                python
            }
            _ => {
                let mut ours = program(&handler);
                ours.arg("serve").env("AzureWebJobsStorage", &storage);
                ours
            }
        }
    };
    let machine = machine();
    println!("{machine}\n");
    let mut figures = json!({ "machine": machine, "handler_bytes": handler.metadata()?.len() });
    let mut table = Table::new(&[
        "start to first answer",
        "handler",
        "median",
        "range",
        "ratio",
    ]);
    let names = ["appcenter-dsr", "Node.js", "Python"];
    for kind in &kinds()[..2] {
        let mut times = vec![Vec::with_capacity(STARTS); names.len()];
        // In turn, so that whatever else the machine does falls on all of them.
        for _ in 0..STARTS {
            for (times, name) in times.iter_mut().zip(names) {
                times.push(start_time(&mut command(name), kind).await?);
            }
        }
        let mut ours = None;
        for (mut times, name) in times.into_iter().zip(names) {
            times.sort_unstable_by(f64::total_cmp);
            let median = times[STARTS / 2];
            let ours = *ours.get_or_insert(median);
            table.row(&[
                &kind.name,
                &name,
                &format!("{median:.1} ms"),
                &format!("{:.1} to {:.1}", times[0], times[STARTS - 1]),
                &format!("{:.1}", median / ours),
            ]);
            figures["start_ms"][kind.name][name] = json!(times);
        }
    }
    println!("{table}");
    if let Some(path) = options.json {
        std::fs::write(&path, format!("{figures:#}\n"))?;
        println!("  Figures written to {}", path.display());
    }
    Ok(())
}
