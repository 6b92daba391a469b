//! What App Center was asked to do, held against what a world expects.

use std::collections::BTreeSet;

use appcenter_sim::{Audit, Expected, ExpectedRequest, Held};
use serde_json::Value;

/// The plan's item IDs of held findings, for an approval's `also`.
#[must_use]
pub fn item_ids(plan: &Value, held: &BTreeSet<Held>) -> Vec<String> {
    let app = |item: &Value| {
        format!(
            "{}/{}",
            item["app"]["owner"].as_str().unwrap_or_default(),
            item["app"]["name"].as_str().unwrap_or_default()
        )
    };
    let items = |key: &str| plan[key].as_array().cloned().unwrap_or_default();
    let mut ids = Vec::new();
    for finding in held {
        let (key, field, wanted_app, wanted) = match finding {
            Held::Install { app, install, .. } => ("installs", "install_id", app, install),
            Held::Report { app, error, .. } => ("reports", "error_id", app, error),
            Held::TestRun { app, run } => ("test_runs", "run_id", app, run),
        };
        ids.extend(
            items(key)
                .iter()
                .filter(|item| app(item) == *wanted_app && item[field] == wanted.as_str())
                .filter_map(|item| item["id"].as_str().map(str::to_owned)),
        );
    }
    ids
}

/// How a plan differs from what is expected, a line each; none when it does not.
#[must_use]
pub fn plan_differences(plan: &Value, expected: &Expected) -> Vec<String> {
    let mut differences = Vec::new();
    let found = |key: &str, field: &str, action: &str| -> BTreeSet<(String, String)> {
        let items = plan[key].as_array().cloned().unwrap_or_default();
        items
            .iter()
            .filter(|item| item["action"] == action)
            .map(|item| {
                let app = format!(
                    "{}/{}",
                    item["app"]["owner"].as_str().unwrap_or_default(),
                    item["app"]["name"].as_str().unwrap_or_default()
                );
                (app, item[field].as_str().unwrap_or_default().to_owned())
            })
            .collect()
    };
    let installs = expected
        .installs
        .iter()
        .map(|it| (it.app.clone(), it.install.clone()))
        .collect();
    let reports = expected
        .reports
        .iter()
        .map(|it| (it.app.clone(), it.error.clone()))
        .collect();
    let mut held_installs = BTreeSet::new();
    let mut held_reports = BTreeSet::new();
    let mut held_runs = BTreeSet::new();
    for held in &expected.held {
        match held {
            Held::Install { app, install, .. } => {
                held_installs.insert((app.clone(), install.clone()));
            }
            Held::Report { app, error, .. } => {
                held_reports.insert((app.clone(), error.clone()));
            }
            Held::TestRun { app, run } => {
                held_runs.insert((app.clone(), run.clone()));
            }
        }
    }
    for (what, expected, found) in [
        (
            "install to act on",
            installs,
            found("installs", "install_id", "act"),
        ),
        (
            "report to act on",
            reports,
            found("reports", "error_id", "act"),
        ),
        (
            "held install",
            held_installs,
            found("installs", "install_id", "hold"),
        ),
        (
            "held report",
            held_reports,
            found("reports", "error_id", "hold"),
        ),
        (
            "test run to act on",
            BTreeSet::new(),
            found("test_runs", "run_id", "act"),
        ),
        (
            "held test run",
            held_runs,
            found("test_runs", "run_id", "hold"),
        ),
    ] {
        compare(&mut differences, what, &expected, &found);
    }
    differences
}

/// How what App Center did differs from what requests were to come to, a line each; none when it does not.
#[must_use]
pub fn differences<'a>(
    audit: &Audit,
    requests: impl IntoIterator<Item = &'a ExpectedRequest>,
) -> Vec<String> {
    let mut blocked = BTreeSet::new();
    let mut deleted = BTreeSet::new();
    let mut archived = BTreeSet::new();
    for request in requests {
        blocked.extend(request.blocked());
        deleted.extend(request.deleted());
        archived.extend(request.archived());
    }
    let mut differences = Vec::new();
    compare(&mut differences, "block", &blocked, audit.blocked());
    compare(&mut differences, "deletion", &deleted, audit.deleted());
    let found = &audit.archived_test_runs;
    compare(&mut differences, "deletion of a test run", &archived, found);
    differences
}

fn compare<T: Ord + std::fmt::Debug>(
    differences: &mut Vec<String>,
    what: &str,
    expected: &BTreeSet<T>,
    found: &BTreeSet<T>,
) {
    differences.extend(
        expected
            .difference(found)
            .map(|it| format!("missing {what}: {it:?}")),
    );
    differences.extend(
        found
            .difference(expected)
            .map(|it| format!("wrong {what}: {it:?}")),
    );
}
