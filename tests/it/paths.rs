//! The two paths by which a person's data is got, and the legacy API: the same person, whichever way.

use std::collections::BTreeSet;

use anyhow::Context as _;
use appcenter_dsr::domain::plan::Plan;
use appcenter_dsr::stages::planned::read_plan;
use appcenter_dsr::stages::requests::{self, PathView};
use appcenter_dsr::stages::{Context, setup};
use appcenter_dsr::workflow::{Record, Status};
use appcenter_sim::{ExportState, Fault, FaultKind, World};

use crate::faults::SMALL;
use crate::kill_at::KillAt;
use crate::pump::{Disturb, Pump};

/// How the data is got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// From what App Center exported.
    Blob,
    /// By API; App Center exported nothing.
    Api,
    /// By the legacy API; the current one is not there.
    Legacy,
}

/// What the current API has of crashes and errors.
const CURRENT: [&str; 11] = [
    "Errors_GroupList",
    "Errors_ListForGroup",
    "Errors_GetErrorDetails",
    "Errors_ErrorLocation",
    "Errors_ErrorDownload",
    "Errors_ErrorStackTrace",
    "Errors_ErrorAttachments",
    "Errors_ErrorAttachmentText",
    "Errors_ErrorAttachmentLocation",
    "Errors_ErrorSearch",
    "Errors_DeleteError",
];

async fn start(way: Way, world: World) -> anyhow::Result<Pump> {
    if way == Way::Blob {
        return Pump::start(world).await;
    }
    let pump = Pump::start_without_export(world).await?;
    if way == Way::Legacy {
        without_current(&pump);
    }
    Ok(pump)
}

/// Takes the current API of crashes and errors away.
pub(crate) fn without_current(pump: &Pump) {
    for operation in CURRENT {
        refuse(pump, operation);
    }
}

/// Has an operation answer 404 for ever.
fn refuse(pump: &Pump, operation: &str) {
    pump.sim.faults().add(Fault {
        operation: Some(operation.to_owned()),
        skip: 0,
        count: usize::MAX,
        kind: FaultKind::Status { status: 404 },
    });
}

async fn plan(pump: &Pump, record: &Record) -> anyhow::Result<Plan> {
    let app = pump.app(KillAt::never())?;
    let (plan, _bytes) = read_plan(Context::new(&app), record).await?;
    Ok(plan)
}

/// What the status says of the path of the small world's app.
async fn path(pump: &Pump, record: &Record) -> anyhow::Result<PathView> {
    let app = pump.app(KillAt::never())?;
    let mut status = requests::status(Context::new(&app), &record.id).await?;
    let told = status.paths.remove("contoso/shop");
    told.context("the status tells the app's path")
}

/// Installs and reports of a plan, with what is to be done with them.
fn found(plan: &Plan) -> (BTreeSet<String>, BTreeSet<String>) {
    let installs = plan.installs.iter();
    let reports = plan.reports.iter();
    (
        installs
            .map(|it| format!("{} {} {:?}", it.app, it.install_id, it.action))
            .collect(),
        reports
            .map(|it| {
                // By the item's ID, which comes from the GUID: the digits before it hold the time, which each world has
                // of its own.
                let install = it.install_id.map(|id| id.to_string());
                format!("{} {} {install:?} {:?}", it.app, it.id, it.action)
            })
            .collect(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_person_by_every_way() -> anyhow::Result<()> {
    for name in ["delete", "known", "export"] {
        let mut first = None;
        for way in [Way::Blob, Way::Api, Way::Legacy] {
            let pump = start(way, World::parse(SMALL)?).await?;
            let request = pump.sim.world(|world| world.request(name).cloned());
            let request = request.expect("the world has it");
            let disturb = Disturb::nothing();
            let record = pump.run(&request.document, &disturb).await?;
            assert!(
                matches!(
                    record.status,
                    Status::Completed | Status::CompletedWithExceptions
                ),
                "{name} {way:?}: {record:#?}"
            );
            let found = found(&plan(&pump, &record).await?);
            assert!(!found.0.is_empty() && !found.1.is_empty(), "{name} {way:?}");
            match &first {
                None => first = Some(found),
                Some(first) => assert_eq!(&found, first, "{name} {way:?}"),
            }
            let audit = pump.sim.audit();
            let differences = stack::audit::differences(&audit, [&request]);
            assert!(differences.is_empty(), "{name} {way:?}: {differences:#?}");
            // What was fetched of the erased reports is erased too.
            let collected = pump.blobs("collected/").await?;
            let reports = &request.expected.reports;
            let is_left = |id: &String| collected.iter().any(|blob| blob.contains(id.as_str()));
            if name != "export" {
                assert!(
                    !reports.iter().any(|it| is_left(&it.error)),
                    "{collected:?}"
                );
            }
        }
    }
    Ok(())
}

/// Runs a request while the exporter's time goes on; what the report's notes and exceptions say.
async fn ticking(pump: &Pump, name: &str) -> anyhow::Result<(Record, String)> {
    let request = pump.sim.world(|world| world.request(name).cloned());
    let request = request.expect("the world has it");
    let (nothing, disturb) = (BTreeSet::new(), Disturb::nothing());
    let ran = pump.run_ticking(&request.document, &nothing, &disturb);
    let record = ran.await?;
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    anyhow::ensure!(differences.is_empty(), "{differences:#?}");
    let report = pump.report(&record).await?;
    Ok((record, report.to_string()))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_was_disabled_is_enabled_and_backfilled_by_a_second_one()
-> anyhow::Result<()> {
    let mut pump = Pump::start(World::parse(SMALL)?).await?;
    let archive = pump.account.connection_string();
    pump.set("EXPORT_TYPE", "custom");
    pump.set("EXPORT_CONNECTION_STRING", &archive);
    pump.set("APPCENTER_PATH", "blob");
    pump.sim.set_export_state("shop", ExportState::Disabled);
    let (_, report) = ticking(&pump, "known").await?;
    assert!(
        report.contains("was disabled and has been enabled"),
        "{report}"
    );
    assert!(
        report.contains("an export configuration was created"),
        "{report}"
    );
    let changed = pump.sim.audit().configurations_changed;
    let operations: Vec<&str> = changed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        operations,
        ["ExportConfigurations_Enable", "ExportConfigurations_Create"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_cannot_be_had_is_replaced_by_the_api() -> anyhow::Result<()> {
    for state in [ExportState::Invalid, ExportState::Disabled] {
        let pump = Pump::start(World::parse(SMALL)?).await?;
        pump.sim.set_export_state("shop", state);
        let (request, _) = pump.asked("delete");
        let disturb = Disturb::nothing();
        let id = pump.submit(&request.document, &disturb).await?;
        let record = pump.drive(&id, &disturb).await?;
        let told = path(&pump, &record).await?;
        assert_eq!(told.path, setup::Path::Api);
        let of_state = told.reason.contains("invalid") || told.reason.contains("disabled");
        assert!(of_state, "{told:?}");
        pump.approve(&id, &disturb).await?;
        let record = pump.drive(&id, &disturb).await?;
        let report = pump.report(&record).await?.to_string();
        assert!(report.contains("are got by API"), "{report}");
        let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
        assert!(differences.is_empty(), "{differences:#?}");
        assert!(pump.sim.audit().configurations_changed.is_empty());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_that_the_archive_lacks_is_found_by_the_list() -> anyhow::Result<()> {
    let gap = "\n[[gap]]\napp = \"shop\"\nfrom_days_ago = 3.3\nto_days_ago = 3.0\n";
    let mut pump = Pump::start(World::parse(&format!("{SMALL}{gap}"))?).await?;
    pump.set("APPCENTER_PATH", "blob");
    // The archive holds nothing of that time: neither her report nor her rows.
    let request = pump.sim.world(|world| world.request("delete").cloned());
    let request = request.expect("the world has it");
    let disturb = Disturb::nothing();
    let id = pump.submit(&request.document, &disturb).await?;
    let record = pump.drive(&id, &disturb).await?;
    let told = path(&pump, &record).await?;
    assert_eq!(told.path, setup::Path::Blob);
    assert!(told.reason.contains("`APPCENTER_PATH`"), "{told:?}");
    let plan = plan(&pump, &record).await?;
    let listed: Vec<_> = plan
        .reports
        .iter()
        .filter(|it| it.blobs.is_empty())
        .collect();
    assert_eq!(listed.len(), 1, "{plan:#?}");
    assert!(pump.blobs("collected/").await?.is_empty(), "metadata only");
    pump.approve(&id, &disturb).await?;
    pump.drive(&id, &disturb).await?;
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_install_is_learned_from_whatever_tells_it() -> anyhow::Result<()> {
    let ios = SMALL.replace("os = \"Android\"", "os = \"iOS\"");
    for (world, key, expected) in [
        (SMALL, Some("installID"), "raw log"),
        (SMALL, Some("install_id"), "raw log"),
        (SMALL, None, "session logs"),
        (&*ios, None, "CrashReporter Key"),
    ] {
        let options = appcenter_sim::Options {
            quirks: appcenter_sim::Quirks {
                raw_install_key: key.map(str::to_owned),
                ..appcenter_sim::Quirks::default()
            },
            ..appcenter_sim::Options::default()
        };
        let pump = Pump::start_with(World::parse(world)?, options).await?;
        let request = pump.sim.world(|world| world.request("export").cloned());
        let request = request.expect("the world has it");
        let record = pump.run(&request.document, &Disturb::nothing()).await?;
        let plan = plan(&pump, &record).await?;
        let told = plan.installs.iter().flat_map(|it| &it.provenance);
        let told: Vec<&String> = told.collect();
        assert!(
            told.iter().any(|it| it.contains(expected)),
            "{key:?}: {told:?}"
        );
    }
    Ok(())
}

/// A raw log that the current API refuses is got from the legacy one, which lists the same report by another name.
#[tokio::test(flavor = "multi_thread")]
async fn a_raw_log_comes_from_the_legacy_api_where_only_that_one_gives_it() -> anyhow::Result<()> {
    for has_legacy in [true, false] {
        let mut pump = Pump::start(World::parse(SMALL)?).await?;
        // All of the person's reports in one slice.
        pump.set("SLICE_ITEMS", "10");
        let mut refused = vec!["Errors_ErrorLocation", "Errors_ErrorDownload"];
        if !has_legacy {
            refused.push("crashes_getRawCrashLocation");
            refused.push("crashes_getNativeCrashDownload");
        }
        for operation in refused {
            refuse(&pump, operation);
        }
        let request = pump.sim.world(|world| world.request("export").cloned());
        let request = request.context("the world has it")?;
        let record = pump.run(&request.document, &Disturb::nothing()).await?;
        let documents = pump.blobs("collected/").await?;
        let documents = documents.iter().filter(|it| it.ends_with(".json"));
        let app = pump.app(KillAt::never())?;
        let mut raw_logs = 0;
        for document in documents {
            let read = app.store.container().read(document, 1 << 20).await?;
            let read = read.context("it was listed")?;
            let document: serde_json::Value = serde_json::from_slice(&read.bytes)?;
            raw_logs += usize::from(document["RawLog"].is_object());
        }
        let planned = plan(&pump, &record).await?.reports.len();
        assert_eq!(raw_logs, if has_legacy { planned } else { 0 });
        // Names are asked for by group, however many of its reports need one.
        let audit = pump.sim.audit();
        let listed: Vec<_> = audit.calls_of("crashes_list");
        let groups: BTreeSet<_> = listed.iter().map(|call| &call.path).collect();
        assert_eq!((planned, listed.len(), groups.len()), (3, 2, 2));
        let report = pump.report(&record).await?.to_string();
        assert_eq!(report.contains("raw log: "), !has_legacy, "{report}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn ninety_days_take_the_api_path_and_say_how_far_the_list_reaches() -> anyhow::Result<()> {
    let world = SMALL.replace(
        "versions = [\"1.0.0\"]",
        "versions = [\"1.0.0\"]\nretention_days = 90",
    );
    let pump = Pump::start(World::parse(&world)?).await?;
    let request = pump.sim.world(|world| world.request("export").cloned());
    let request = request.expect("the world has it");
    let record = pump.run(&request.document, &Disturb::nothing()).await?;
    let plan = plan(&pump, &record).await?;
    let coverage = &plan.coverage["contoso/shop"];
    assert!(
        coverage
            .api
            .as_ref()
            .is_some_and(|api| api.listed == 4 && api.failed == 0)
    );
    // Nothing shows that this app had reports before, so it is said and not claimed.
    let says = |texts: &[String]| {
        texts
            .iter()
            .any(|it| it.contains("the oldest report that App Center lists is of"))
    };
    assert!(says(&coverage.notes), "{coverage:#?}");
    assert!(
        coverage
            .gaps
            .iter()
            .all(|it| !it.evidence.contains("retains"))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_ledger_the_archive_is_searched_and_the_report_says_what_is_missing()
-> anyhow::Result<()> {
    let mut pump = Pump::start(World::parse(SMALL)?).await?;
    pump.set("APPCENTER_PATH", "api");
    // As in Azure without the setting.
    pump.set("WEBSITE_SITE_NAME", "a-site");
    pump.set("LEDGER_DATABASE", "");
    let request = pump.sim.world(|world| world.request("delete").cloned());
    let request = request.expect("the world has it");
    let record = pump.run(&request.document, &Disturb::nothing()).await?;
    assert_eq!(record.status, Status::CompletedWithExceptions);
    let exceptions = record.exceptions.join("\n");
    assert!(exceptions.contains("LEDGER_DATABASE"), "{exceptions}");
    let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    Ok(())
}
