//! The queries of infra/, run over recorded rows by the evaluator in `dev/kql`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use telemetry_sink::Received;

use crate::tidy::root;

/// Tables that are there in every workspace of an app that has run for a while: the host writes into each of them.
const TABLES: [&str; 4] = ["AppMetrics", "AppTraces", "AppRequests", "AppDependencies"];

/// A row that a query gives, by column.
pub(super) type Row = Map<String, Value>;

/// The queries of a folder, in order.
pub(super) fn queries(folder: &str) -> Vec<PathBuf> {
    let folder = root().join("infra/queries").join(folder);
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut files: Vec<PathBuf> = entries.map(|it| it.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() > 5, "the queries were not found");
    files
}

/// A query's name: its file's, without the ending.
pub(super) fn name(path: &str) -> String {
    let stem = std::path::Path::new(path).file_stem();
    stem.unwrap_or_default().to_string_lossy().into_owned()
}

/// A script of `dev/kql`, with what it needs installed.
fn script(name: &str) -> anyhow::Result<Command> {
    let folder = root().join("dev/kql");
    azurite::npm_ci(&folder)?;
    let mut node = Command::new("node");
    node.arg(folder.join(name));
    Ok(node)
}

/// What a script says, of each query by its name.
async fn ask<T: DeserializeOwned + Send>(mut node: Command) -> anyhow::Result<BTreeMap<String, T>> {
    let output = tokio::task::spawn_blocking(move || node.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "{said}");
    let found: BTreeMap<String, T> = serde_json::from_slice(&output.stdout)?;
    let named = found.into_iter().map(|(path, it)| (name(&path), it));
    Ok(named.collect())
}

/// What was received, as the tables of a workspace.
pub(super) fn tables(received: &Received) -> Value {
    let empty = TABLES.map(|name| (name.to_owned(), Value::Array(Vec::new())));
    let mut tables: Map<String, Value> = empty.into_iter().collect();
    for (table, row) in &received.rows {
        let rows = tables.get_mut(*table).and_then(Value::as_array_mut);
        let rows = rows.unwrap_or_else(|| panic!("{table}: not one of those that are there"));
        rows.push(Value::Object(row.clone()));
    }
    Value::Object(tables)
}

/// The rows that each query gives at a time, over these tables: one that is not among them is not there.
pub(super) async fn evaluate(
    tables: &Value,
    now: Timestamp,
    queries: &[PathBuf],
) -> anyhow::Result<BTreeMap<String, Vec<Row>>> {
    let file = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(&file, tables)?;
    let mut node = script("evaluate.js")?;
    node.arg(file.path()).arg(now.to_string()).args(queries);
    let found = ask(node).await?;
    assert_eq!(found.len(), queries.len());
    Ok(found)
}

/// The columns that each query gives, with their types, as the Kusto language service binds them.
pub(super) async fn columns(
    queries: &[PathBuf],
) -> anyhow::Result<BTreeMap<String, BTreeMap<String, String>>> {
    let mut node = script("check.js")?;
    node.arg("--columns").args(queries);
    ask(node).await
}

#[test]
fn the_evaluator_does_what_kql_does() -> anyhow::Result<()> {
    let output = script("evaluate.js")?.arg("--self-check").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Ok(())
}
