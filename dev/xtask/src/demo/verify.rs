//! Expected against actual.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use appcenter_sim::{Audit, Expected};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stack::{Stack, audit};

use super::Submitted;
use crate::table::Table;

/// Largest file of a package that is read here: the demo world's are small.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Prints the table and every difference; gives whether all is as expected.
///
/// # Errors
/// When the package cannot be read.
pub(super) fn show(
    stack: &Stack,
    submitted: &[Submitted],
    package: Option<&Path>,
) -> anyhow::Result<bool> {
    let done = stack.sim.audit();
    let mut table = Table::new(&["what", "expected", "actual", ""]);
    let mut differences = Vec::new();
    let mut is_exact = true;
    for request in submitted {
        let what = |it: &str| format!("{}: {it}", request.what);
        let expected = &request.expected.expected;
        let status = request.status["status"].as_str().unwrap_or_default();
        let is_done = status.starts_with("completed");
        table.row(&[
            &what("ended"),
            &"completed…",
            &status,
            &if is_done { "ok" } else { "DIFFERENT" },
        ]);
        is_exact &= is_done;
        for line in audit::plan_differences(&request.plan, expected) {
            differences.push(what(&format!("plan: {line}")));
        }
        is_exact &= table.compare(
            &what("held, not acted on"),
            &expected.held.len(),
            &held(&request.plan),
        );
        if request.expected.is_delete() {
            is_exact &= table.compare(
                &what("installs blocked"),
                &expected.installs.len(),
                &done.blocked().len(),
            );
            is_exact &= table.compare(
                &what("reports deleted"),
                &expected.reports.len(),
                &done.deleted().len(),
            );
        } else {
            let sha256 = request.status["package_sha256"]
                .as_str()
                .unwrap_or_default();
            is_exact &= show_package(&mut table, &what, expected, package, sha256)?;
        }
    }
    is_exact &= table.compare("anything else changed in App Center", &0, &others(&done));
    let requests = submitted.iter().map(|it| &it.expected);
    differences.extend(audit::differences(&done, requests));
    println!("{table}");
    println!(
        "  The simulator's audit ({} calls) {} the demo world's expected result.",
        done.calls.len(),
        if differences.is_empty() {
            "equals"
        } else {
            "DIFFERS from"
        }
    );
    for line in &differences {
        println!("  {line}");
    }
    Ok(is_exact && differences.is_empty())
}

fn held(plan: &Value) -> usize {
    let items = |key: &str| plan[key].as_array().map(Vec::as_slice).unwrap_or_default();
    let all = items("installs").iter().chain(items("reports"));
    all.filter(|it| it["action"] == "hold").count()
}

/// What must not happen at all.
fn others(done: &Audit) -> usize {
    done.app_blocked.len()
        + done.half_deleted.len()
        + done.archived_test_runs.len()
        + done.settings_changed.len()
        + done.tokens_leaked
}

fn show_package(
    table: &mut Table,
    what: &dyn Fn(&str) -> String,
    expected: &Expected,
    package: Option<&Path>,
    sha256: &str,
) -> anyhow::Result<bool> {
    let Some(package) = package else {
        table.row(&[&what("package"), &"there", &"missing", &"DIFFERENT"]);
        return Ok(false);
    };
    let found = Found::read(package)?;
    let mut is_exact = table.compare(
        &what("package's hash"),
        &short(sha256),
        &short(&found.sha256),
    );
    is_exact &= table.compare(
        &what("files that do not match the manifest"),
        &0,
        &found.damaged,
    );
    is_exact &= table.compare(
        &what("crashes and errors in the package"),
        &expected.reports.len(),
        &found.reports,
    );
    is_exact &= table.compare(
        &what("attachments in the package"),
        &expected.attachments.len(),
        &found.attachments,
    );
    let rows: usize = expected.rows.values().sum();
    is_exact &= table.compare(&what("log rows in the package"), &rows, &found.rows);
    Ok(is_exact)
}

fn short(hash: &str) -> String {
    format!("{}…", hash.get(..12).unwrap_or(hash))
}

/// What a package holds.
#[derive(Debug, Default)]
struct Found {
    sha256: String,
    damaged: usize,
    reports: usize,
    attachments: usize,
    rows: usize,
}

impl Found {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path)?;
        let mut found = Self {
            sha256: hex(&Sha256::digest(&bytes)),
            ..Self::default()
        };
        let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
        let manifest: Value = serde_json::from_slice(&file(&mut zip, "manifest.json")?)?;
        let files = manifest["files"]
            .as_array()
            .context("the manifest lists no files")?;
        let mut reports = BTreeSet::new();
        for entry in files {
            let path = entry["path"].as_str().unwrap_or_default();
            let content = file(&mut zip, path)?;
            if hex(&Sha256::digest(&content)) != entry["sha256"].as_str().unwrap_or_default() {
                found.damaged += 1;
            }
            match entry["what"].as_str() {
                Some("report") => {
                    reports.insert(path.to_owned());
                }
                Some("attachment") => found.attachments += 1,
                Some("log_rows") => found.rows += rows(&content),
                _ => {}
            }
        }
        found.reports = reports.len();
        Ok(found)
    }
}

fn file(
    zip: &mut zip::ZipArchive<std::io::Cursor<Vec<u8>>>,
    path: &str,
) -> anyhow::Result<Vec<u8>> {
    let entry = zip.by_name(path);
    let entry = entry.with_context(|| "the package lacks a file that its manifest names")?;
    let mut content = Vec::new();
    entry.take(MAX_FILE).read_to_end(&mut content)?;
    Ok(content)
}

/// Rows of a file: of an array, or a line each.
fn rows(content: &[u8]) -> usize {
    if let Ok(Value::Array(rows)) = serde_json::from_slice(content) {
        return rows.len();
    }
    let lines = content.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.trim_ascii().is_empty()).count()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn rows_of_arrays_and_lines() {
        for (content, expected) in [
            ("", 0),
            ("[]", 0),
            ("[{}, {}]", 2),
            ("{}\n{}\n\n", 2),
            ("{}\r\n{}", 2),
        ] {
            assert_eq!(rows(content.as_bytes()), expected, "{content}");
        }
    }
}
