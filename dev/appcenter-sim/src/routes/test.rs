//! App Center Test: runs, and the export index with its single objects.

use serde_json::{Value, json};

use super::{Call, ErrorShape, Failure, Operation, Reply, operation};
use crate::ids::{iso, uuid};
use crate::state::State;
use crate::world::TestRun;

pub(super) const OPERATIONS: &[Operation] = &[
    operation!("test_getTestRuns", "GET", "/test_runs", Gateway, runs),
    operation!(
        "test_getTestRun",
        "GET",
        "/test_runs/{test_run_id}",
        Gateway,
        run
    ),
    operation!(
        "test_archiveTestRun",
        "DELETE",
        "/test_runs/{test_run_id}",
        Gateway,
        archive
    ),
    operation!("test_gdprExportApps", "GET", "/test/export", Gateway, index),
    operation!(
        "test_gdprExportApp",
        "GET",
        "/test/export/apps",
        Gateway,
        app
    ),
    operation!(
        "test_gdprExportTestRun",
        "GET",
        "/test/export/testRuns",
        Gateway,
        test_run
    ),
    operation!(
        "test_gdprExportPipelineTest",
        "GET",
        "/test/export/pipelineTests",
        Gateway,
        pipeline_test
    ),
    operation!(
        "test_gdprExportHashFile",
        "GET",
        "/test/export/hashFiles",
        Gateway,
        hash_file
    ),
    operation!(
        "test_gdprExportFileSetFile",
        "GET",
        "/test/export/fileSetFiles",
        Gateway,
        file_set_file
    ),
    Operation {
        id: "test_gdprExportAccounts",
        method: "GET",
        template: "/v0.1/account/test/export",
        shape: ErrorShape::Gateway,
        run: accounts,
    },
    Operation {
        id: "test_gdprExportAccount",
        method: "GET",
        template: "/v0.1/account/test/export/accounts",
        shape: ErrorShape::Gateway,
        run: account,
    },
    Operation {
        id: "test_gdprExportFeatureFlag",
        method: "GET",
        template: "/v0.1/account/test/export/featureFlags",
        shape: ErrorShape::Gateway,
        run: feature_flag,
    },
];

fn find<'a>(state: &'a State, call: &Call) -> Result<&'a TestRun, Failure> {
    let id = call.param("test_run_id");
    state
        .world
        .test_runs
        .iter()
        .find(|it| {
            it.app == call.app
                && it.id.to_string().eq_ignore_ascii_case(id)
                && !state.archived_test_runs.contains(&it.id)
        })
        .ok_or_else(|| Failure::new(404, "Not Found", "The test run was not found."))
}

fn runs(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let list: Vec<Value> = state
        .world
        .test_runs
        .iter()
        .filter(|it| it.app == call.app && !state.archived_test_runs.contains(&it.id))
        .map(run_json)
        .collect();
    Ok(Reply::json(&json!(list)))
}

fn run(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    Ok(Reply::json(&run_json(find(state, call)?)))
}

/// "Logically deletes": the run is no longer shown.
fn archive(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let run = find(state, call)?;
    let (id, body) = (run.id, run_json(run));
    state.archived_test_runs.insert(id);
    let app = state.world.app_path(call.app);
    state.audit.archived_test_runs.insert((app, id.to_string()));
    Ok(Reply::json(&body))
}

/// A run as the API shows it: nothing in it names an owner or a person.
fn run_json(run: &TestRun) -> Value {
    json!({
        "id": run.id,
        "date": iso(run.at),
        "appVersion": "4.1.0 (1)",
        "testSeries": run.series,
        "platform": "appium",
        "runStatus": "finished",
        "resultStatus": "passed",
        "state": "finished",
        "status": "finished",
        "description": run.description,
        "stats": {
            "devices": 2,
            "devicesFinished": 2,
            "devicesFailed": 0,
            "total": 12,
            "passed": 12,
            "failed": 0,
            "skipped": 0,
            "peakMemory": 181.5,
            "totalDeviceMinutes": 9,
        },
        "testType": "Appium",
    })
}

/// An index whose paths lead to the objects below.
fn index(_: &mut State, call: &Call) -> Result<Reply, Failure> {
    let resources: Vec<Value> = [
        "apps",
        "testRuns",
        "pipelineTests",
        "hashFiles",
        "fileSetFiles",
    ]
    .iter()
    .map(|it| json!({ "rel": it, "path": format!("{}/{it}", call.path) }))
    .collect();
    Ok(Reply::json(&json!({ "resources": resources })))
}

fn made(state: &State, call: &Call, kind: &str) -> uuid::Uuid {
    uuid(&state.world.seed, kind, &call.app.to_string())
}

fn app(_: &mut State, call: &Call) -> Result<Reply, Failure> {
    let url = call.path.replace("/apps/", "/hashFiles/");
    Ok(Reply::json(&json!({ "hash_files_url": url })))
}

fn test_run(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let id = state
        .world
        .test_runs
        .iter()
        .find(|it| it.app == call.app)
        .map_or_else(|| made(state, call, "test run"), |it| it.id);
    Ok(Reply::json(&json!({
        "id": id,
        "app_hash_file_id": made(state, call, "hash file"),
        "locale": "en_US",
        "dsym_hash_file_id": made(state, call, "dsym hash file"),
        "app_hash_file_url": format!("{}/hash-files/app", state.downloads_url),
        "dsym_hash_file_url": format!("{}/hash-files/dsym", state.downloads_url),
        "app_icon_url": format!("{}/hash-files/icon", state.downloads_url),
    })))
}

fn pipeline_test(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    Ok(Reply::json(&json!({
        "app_upload_id": made(state, call, "app upload"),
        "test_parameters": { "locale": "en_US" },
    })))
}

fn hash_file(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    Ok(Reply::json(&json!({
        "id": made(state, call, "hash file"),
        "filename": "app.apk",
    })))
}

fn file_set_file(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    Ok(Reply::json(&json!({
        "path": "screenshots/1.png",
        "hash_file_id": made(state, call, "hash file"),
        "app_upload_id": made(state, call, "app upload"),
        "hash_file_url": format!("{}/hash-files/1", state.downloads_url),
    })))
}

fn accounts(_: &mut State, call: &Call) -> Result<Reply, Failure> {
    let resources: Vec<Value> = ["accounts", "featureFlags"]
        .iter()
        .map(|it| json!({ "rel": it, "path": format!("{}/{it}", call.path) }))
        .collect();
    Ok(Reply::json(&json!({ "resources": resources })))
}

fn account(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    Ok(Reply::json(&json!({ "id": made(state, call, "account") })))
}

fn feature_flag(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    Ok(Reply::json(&json!({
        "name": "parallel-runs",
        "target_id": made(state, call, "account"),
    })))
}
