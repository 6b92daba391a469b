//! Expected against actual.

use std::collections::BTreeSet;

use appcenter_sim::{Audit, Expected};
use serde_json::Value;
use stack::{Stack, audit};

use super::Submitted;
use super::package::Found;
use crate::table::Table;

/// Prints the table and every difference; gives whether all is as expected.
pub(super) fn show(stack: &Stack, submitted: &[Submitted], package: Option<&Found>) -> bool {
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
            is_exact &= show_package(&mut table, &what, expected, package, sha256);
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
    is_exact && differences.is_empty()
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
    package: Option<&Found>,
    sha256: &str,
) -> bool {
    let Some(found) = package else {
        table.row(&[&what("package"), &"there", &"missing", &"DIFFERENT"]);
        return false;
    };
    let reports: BTreeSet<String> = expected.reports.iter().map(|it| it.error.clone()).collect();
    let mut is_exact = true;
    is_exact &= table.compare(
        &what("package's hash"),
        &short(sha256),
        &short(&found.sha256),
    );
    is_exact &= table.compare(
        &what("files that do not match the manifest"),
        &0,
        &found.damaged,
    );
    is_exact &= same(
        table,
        &what("crashes and errors in the package"),
        &reports,
        &found.reports,
    );
    is_exact &= same(
        table,
        &what("attachments in the package"),
        &expected.attachments,
        &found.attachments,
    );
    let rows: usize = expected.rows.values().sum();
    is_exact &= table.compare(&what("log rows in the package"), &rows, &found.rows);
    let foreign = found.touched.difference(&reports).count();
    is_exact & table.compare(&what("files of other reports in the package"), &0, &foreign)
}

/// Compares sets by what is in them, and shows their sizes.
fn same<T: Ord>(
    table: &mut Table,
    what: &str,
    expected: &BTreeSet<T>,
    found: &BTreeSet<T>,
) -> bool {
    let is_same = expected == found;
    let verdict = if is_same { "ok" } else { "DIFFERENT" };
    table.row(&[&what, &expected.len(), &found.len(), &verdict]);
    is_same
}

fn short(hash: &str) -> String {
    format!("{}…", hash.get(..12).unwrap_or(hash))
}
