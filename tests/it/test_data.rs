//! App Center Test: runs that are held, test data that is exported with its files, and a service that has retired it.

use std::collections::BTreeMap;
use std::io::Read as _;

use appcenter_dsr::workflow::{Record, Status};
use appcenter_sim::{ExpectedRequest, Fault, FaultKind, Options, Quirks, World};
use serde_json::{Value, json};

use crate::faults::SMALL;
use crate::pump::{Disturb, Pump};

/// Every call of App Center Test that an export makes.
const CALLS: [&str; 10] = [
    "test_getTestRuns",
    "test_gdprExportApps",
    "test_gdprExportApp",
    "test_gdprExportTestRun",
    "test_gdprExportPipelineTest",
    "test_gdprExportHashFile",
    "test_gdprExportFileSetFile",
    "test_gdprExportAccounts",
    "test_gdprExportAccount",
    "test_gdprExportFeatureFlag",
];
/// The files of an app's test data, before what a package adds to their names.
const FILES: [&str; 11] = [
    "accounts.json",
    "apps.json",
    "featureFlags.json",
    "fileSetFiles-hash_file-1.png",
    "fileSetFiles.json",
    "hashFiles.json",
    "pipelineTests.json",
    "testRuns-app_hash_file-app.apk",
    "testRuns-app_icon-icon.png",
    "testRuns-dsym_hash_file-dsym.zip",
    "testRuns.json",
];

async fn start(quirks: Quirks) -> anyhow::Result<Pump> {
    let options = Options {
        quirks,
        ..Options::default()
    };
    let pump = Pump::start_with(World::parse(SMALL)?, options).await?;
    let archive = pump.account.connection_string();
    pump.sim.export_now(&archive).await?;
    Ok(pump)
}

fn request(pump: &Pump, name: &str) -> ExpectedRequest {
    let request = pump.sim.world(|world| world.request(name).cloned());
    request.expect("the world has it")
}

/// The files of a package below a folder, by name, and its manifest.
async fn package(
    pump: &Pump,
    record: &Record,
    folder: &str,
) -> anyhow::Result<(BTreeMap<String, Vec<u8>>, Value)> {
    let bytes = pump.package(record).await?.expect("a package");
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let mut files = BTreeMap::new();
    let mut manifest = Value::Null;
    for n in 0..zip.len() {
        let mut file = zip.by_index(n)?;
        let name = file.name()?.into_owned();
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        if name == "manifest.json" {
            manifest = serde_json::from_slice(&content)?;
        } else if let Some(name) = name.strip_prefix(folder) {
            files.insert(name.to_owned(), content);
        }
    }
    Ok((files, manifest))
}

fn outcomes(report: &Value) -> Vec<&str> {
    let items = report["test_runs"].as_array().into_iter().flatten();
    items.filter_map(|it| it["outcome"].as_str()).collect()
}

/// Whether an exception has this code and says this.
fn says(record: &Record, code: &str, text: &str) -> bool {
    let mut exceptions = record.exceptions.iter();
    exceptions.any(|it| it.starts_with(code) && it.contains(text))
}

fn always(operation: &str, status: u16) -> Fault {
    Fault {
        count: usize::MAX,
        ..Fault::once(operation, FaultKind::Status { status })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_with_their_parts_as_objects_or_lists() -> anyhow::Result<()> {
    for test_lists in [false, true] {
        let pump = start(Quirks {
            test_lists,
            ..Quirks::default()
        })
        .await?;
        let document = request(&pump, "export-tests").document;
        // One refusal each is not believed.
        for call in [
            "test_getTestRuns",
            "test_gdprExportApps",
            "test_gdprExportAccount",
        ] {
            let kind = FaultKind::NotFoundForBadToken;
            pump.sim.faults().add(Fault::once(call, kind));
        }
        let record = pump.run(&document, &Disturb::nothing()).await?;
        let (files, manifest) = package(&pump, &record, "contoso/shop/test/").await?;
        let names: Vec<&str> = files.keys().map(String::as_str).collect();
        for name in FILES {
            let is_there = names.iter().any(|it| it.starts_with(name));
            assert!(is_there, "{name}: {names:?}");
        }
        assert_eq!(names.len(), FILES.len(), "each once: {names:?}");
        let mut parts = files.iter();
        let runs = parts.find(|(name, _)| name.starts_with("testRuns.json"));
        let runs: Value = serde_json::from_slice(runs.expect("the part").1)?;
        assert_eq!(runs.as_array().map(Vec::len), test_lists.then_some(2));
        let listed = manifest["files"].as_array().into_iter().flatten();
        let listed = listed.filter(|it| it["what"] == "test_file");
        assert_eq!(listed.count(), FILES.len());
        // Runs belong to nobody: they are held. What was exported is the app's data.
        let report = pump.report(&record).await?;
        assert_eq!(outcomes(&report), ["held", "held"]);
        assert!(says(&record, "held", "2 items"), "{:?}", record.exceptions);
        let audit = pump.sim.audit();
        assert_eq!(audit.tokens_leaked, 0);
        for call in CALLS {
            let calls = audit.calls_of(call);
            let answered = calls.iter().filter(|it| it.status == 200);
            assert_eq!(answered.count(), 1, "{call}: once an app");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_does_not_name_test_data_asks_for_none() -> anyhow::Result<()> {
    let pump = start(Quirks::default()).await?;
    let document = request(&pump, "export").document;
    let record = pump.run(&document, &Disturb::nothing()).await?;
    assert_eq!(record.status, Status::Completed, "{:?}", record.exceptions);
    let audit = pump.sim.audit();
    let mut calls = audit.calls.iter();
    assert!(calls.all(|it| !it.operation_id.starts_with("test_")));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_deleted_only_when_they_are_released() -> anyhow::Result<()> {
    let pump = start(Quirks::default()).await?;
    let erasure = request(&pump, "delete-tests");
    let disturb = Disturb::nothing();
    let held = pump.run(&erasure.document, &disturb).await?;
    let differences = stack::audit::differences(&pump.sim.audit(), [&erasure]);
    assert!(differences.is_empty(), "{differences:#?}");
    assert_eq!(outcomes(&pump.report(&held).await?), ["held", "held"]);
    // What the person has elsewhere was not asked for, and has not arrived.
    assert!(!says(&held, "arrived", ""), "{:?}", held.exceptions);
    let [_one, every] = erasure.also.as_slice() else {
        panic!("two variants");
    };
    let mut again = erasure.document.clone();
    // App Center refuses for good.
    pump.sim.faults().add(always("test_archiveTestRun", 409));
    again["reference"] = json!("SMALL-6");
    let refused = pump.run_with(&again, &every.include, &disturb).await?;
    let exceptions = &refused.exceptions;
    assert!(
        says(&refused, "item_failed", "2 test runs failed"),
        "{exceptions:?}"
    );
    assert_eq!(refused.status, Status::Failed, "nothing of it was done");
    pump.sim.faults().clear();
    again["reference"] = json!("SMALL-7");
    let record = pump.run_with(&again, &every.include, &disturb).await?;
    let report = pump.report(&record).await?;
    assert_eq!(outcomes(&report), ["deleted", "deleted"]);
    let notes = report["notes"].to_string();
    assert!(notes.contains("2 of 2 test runs are deleted"), "{notes}");
    let released = erasure.with(every);
    let differences = stack::audit::differences(&pump.sim.audit(), [&released]);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_retired_is_said_and_stops_nothing() -> anyhow::Result<()> {
    for (status, name) in [(404, "export"), (410, "export"), (404, "delete")] {
        let pump = start(Quirks::default()).await?;
        for call in CALLS {
            pump.sim.faults().add(always(call, status));
        }
        let request = request(&pump, name);
        let mut document = request.document.clone();
        document["include"] = json!(["diagnostics", "analytics", "test"]);
        let record = pump.run(&document, &Disturb::nothing()).await?;
        let exceptions = &record.exceptions;
        let ends = Status::CompletedWithExceptions;
        assert_eq!(record.status, ends, "{name} {status}: {exceptions:?}");
        let why = "Test was retired on 2025-03-31";
        assert!(says(&record, "unavailable", why), "{exceptions:?}");
        let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
        assert!(differences.is_empty(), "{name} {status}: {differences:#?}");
        if name == "export" {
            let (files, manifest) = package(&pump, &record, "contoso/shop/").await?;
            assert!(files.keys().all(|it| !it.starts_with("test/")));
            assert!(files.len() > 5, "the rest is there");
            let unavailable = manifest["unavailable"].to_string();
            assert!(unavailable.contains(why), "{unavailable}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accounts_data_is_asked_for_by_an_app_that_can_be_asked() -> anyhow::Result<()> {
    let pump = start(Quirks::default()).await?;
    let mut document = request(&pump, "export-tests").document;
    // The first app is none that App Center knows.
    let known = document["apps"].take();
    let known = known.as_array().into_iter().flatten().cloned();
    document["apps"] = std::iter::once(json!({ "owner": "contoso", "name": "never-there" }))
        .chain(known)
        .collect();
    let record = pump.run(&document, &Disturb::nothing()).await?;
    let (files, _manifest) = package(&pump, &record, "contoso/shop/test/").await?;
    let mut names = files.keys();
    let of_account = "accounts.json";
    assert!(
        names.any(|it| it.starts_with(of_account)),
        "{:?}",
        files.keys()
    );
    Ok(())
}
