//! App Center Test: runs, and the export index with its single objects.

use serde_json::{Value, json};

use super::{Call, ErrorShape, Failure, Operation, Reply, operation};
use crate::ids::{iso, uuid};
use crate::render;
use crate::state::State;
use crate::world::{AppTestRun, TestRun};

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
    let run = id.to_string();
    let archived = &mut state.audit.archived_test_runs;
    archived.insert(AppTestRun { app, run });
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

fn made(state: &State, app: usize, kind: &str) -> uuid::Uuid {
    uuid(&state.world.seed, kind, &app.to_string())
}

/// Where a file of the Test export is stored: the names say which one it is.
fn file_url(state: &State, app: usize, name: &str) -> String {
    let folder = made(state, app, "test files");
    render::signed_url(state, &format!("/test-files/{folder}/{name}"))
}

/// What the storage host gives for a path below `/test-files/`.
pub(super) fn file(state: &State, folder: &str, name: &str) -> Option<Reply> {
    let folder: uuid::Uuid = folder.parse().ok()?;
    let apps = state.world.apps.iter();
    let mut known = apps.zip(0..).map(|(_, app)| made(state, app, "test files"));
    let is_name = ["app.apk", "dsym.zip", "icon.png", "1.png"].contains(&name);
    (is_name && known.any(|it| it == folder)).then(|| {
        let text = format!("{name} of a test of {folder}");
        Reply::file("application/octet-stream", text.into_bytes())
    })
}

/// One object, as described, or a list of all when a quirk says so.
fn part(state: &State, objects: Vec<Value>) -> Reply {
    if state.quirks.test_lists {
        return Reply::json(&json!(objects));
    }
    Reply::json(&objects.into_iter().next().unwrap_or_else(|| json!({})))
}

fn app(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let path = call.path.trim_end_matches("/apps");
    let url = format!("{path}/hashFiles");
    Ok(part(state, vec![json!({ "hash_files_url": url })]))
}

fn test_run(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let runs = state.world.test_runs.iter();
    let mut ids: Vec<uuid::Uuid> = runs
        .filter(|it| it.app == call.app)
        .map(|it| it.id)
        .collect();
    if ids.is_empty() {
        ids.push(made(state, call.app, "test run"));
    }
    let run = |id: uuid::Uuid| {
        json!({
            "id": id,
            "app_hash_file_id": made(state, call.app, "hash file"),
            "locale": "en_US",
            "dsym_hash_file_id": made(state, call.app, "dsym hash file"),
            "app_hash_file_url": file_url(state, call.app, "app.apk"),
            "dsym_hash_file_url": file_url(state, call.app, "dsym.zip"),
            "app_icon_url": file_url(state, call.app, "icon.png"),
        })
    };
    Ok(part(state, ids.into_iter().map(run).collect()))
}

fn pipeline_test(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let object = json!({
        "app_upload_id": made(state, call.app, "app upload"),
        "test_parameters": { "locale": "en_US" },
    });
    Ok(part(state, vec![object]))
}

fn hash_file(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let object = json!({
        "id": made(state, call.app, "hash file"),
        "filename": "app.apk",
    });
    Ok(part(state, vec![object]))
}

fn file_set_file(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let object = json!({
        "path": "screenshots/1.png",
        "hash_file_id": made(state, call.app, "hash file"),
        "app_upload_id": made(state, call.app, "app upload"),
        "hash_file_url": file_url(state, call.app, "1.png"),
    });
    Ok(part(state, vec![object]))
}

fn accounts(_: &mut State, call: &Call) -> Result<Reply, Failure> {
    let resources: Vec<Value> = ["accounts", "featureFlags"]
        .iter()
        .map(|it| json!({ "rel": it, "path": format!("{}/{it}", call.path) }))
        .collect();
    Ok(Reply::json(&json!({ "resources": resources })))
}

fn account(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    Ok(Reply::json(
        &json!({ "id": made(state, call.app, "account") }),
    ))
}

fn feature_flag(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    Ok(Reply::json(&json!({
        "name": "parallel-runs",
        "target_id": made(state, call.app, "account"),
    })))
}
