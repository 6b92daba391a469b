//! Everything that can go wrong with a call, on every call of a run: each ends as the undisturbed run does.

#![expect(
    clippy::large_futures,
    reason = "a run holds a whole stack of parts; each test awaits a few of them, one after another"
)]

mod lasting;
mod matrix;
mod meanwhile;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use appcenter_dsr::clock::{Clock as _, SystemClock};
use appcenter_dsr::stages::planned;
use appcenter_dsr::workflow::{Record, Status};
use appcenter_sim::{ExportState, Fault, FaultKind, World};
use futures::StreamExt as _;
use serde_json::Value;

use crate::pump::{Disturb, Pump};

pub(crate) const SMALL: &str = include_str!("../../scenarios/small.toml");
/// A world whose reports only App Center can attribute.
pub(crate) const LOST: &str = include_str!("../../scenarios/lost.toml");
/// A world whose reports the legacy API alone lists.
pub(crate) const LEGACY: &str = include_str!("../../scenarios/legacy.toml");
/// A world of two apps, whose exports are to be mended.
const MEND: &str = include_str!("../../scenarios/mend.toml");
/// Runs at once: most of a run's time is spent waiting.
const PARALLEL: usize = 5;

/// What a run came to, as far as it must be the same whatever went wrong on the way.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) status: Status,
    pub(crate) exceptions: Vec<String>,
    /// Outcomes of the report by item.
    pub(crate) outcomes: BTreeMap<String, String>,
    /// Hashes of what the package holds, by name; what tells of the run itself is left out.
    pub(crate) package: BTreeMap<String, String>,
    /// Export configurations made or changed: operation and app, in order of these.
    pub(crate) configured: Vec<String>,
    /// What the report says of that.
    pub(crate) told: BTreeSet<String>,
}

/// Reads what a run came to.
pub(crate) async fn end(pump: &Pump, record: &Record) -> anyhow::Result<End> {
    let report = pump.report(record).await?;
    let changed = pump.sim.audit().configurations_changed;
    let of_app = |path: &str| path.split('/').nth(4).unwrap_or_default().to_owned();
    let configured = changed.iter().map(|(what, path)| {
        let app = of_app(path);
        format!("{what} {app}")
    });
    let mut configured: Vec<String> = configured.collect();
    configured.sort();
    Ok(End {
        status: record.status,
        exceptions: record.exceptions.clone(),
        outcomes: outcomes(&report),
        package: package(pump, record).await?,
        configured,
        told: told(&report),
    })
}

/// What a report says that was made or changed at App Center, by app.
fn told(report: &Value) -> BTreeSet<String> {
    let apps = report["searched"].as_object().into_iter().flatten();
    let notes = apps.flat_map(|(app, coverage)| {
        let notes = coverage["notes"].as_array().into_iter().flatten();
        notes.filter_map(move |note| Some((app, note.as_str()?)))
    });
    let is_change = |note: &str| {
        note.ends_with("configuration was created")
            || note.ends_with("to write them from now on")
            || note.ends_with("has been enabled")
    };
    notes
        .filter(|(_, note)| is_change(note))
        .map(|(app, note)| format!("{app}: {note}"))
        .collect()
}

async fn package(pump: &Pump, record: &Record) -> anyhow::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    let Some(bytes) = pump.package(record).await? else {
        return Ok(files);
    };
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    for n in 0..zip.len() {
        let mut file = zip.by_index(n)?;
        let name = file.name()?.into_owned();
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        // The documents that tell of files of App Center Test name the port of the simulator.
        let is_of_run = matches!(name.as_str(), "index.html" | "manifest.json")
            || name.ends_with("/test/fileSetFiles.json")
            || name.ends_with("/test/testRuns.json");
        if !is_of_run {
            files.insert(name, planned::sha256(&content));
        }
    }
    Ok(files)
}

/// The outcome of every item of a report.
pub(crate) fn outcomes(report: &Value) -> BTreeMap<String, String> {
    ["installs", "reports", "rows", "test_runs"]
        .iter()
        .flat_map(|part| report[*part].as_array().into_iter().flatten())
        .map(|item| {
            let text = |key: &str| item[key].as_str().unwrap_or_default().to_owned();
            (text("id"), text("outcome"))
        })
        .collect()
}

/// A listener that nobody may ever connect to.
struct Foreign {
    url: String,
    connections: Arc<AtomicUsize>,
}

async fn foreign() -> anyhow::Result<Foreign> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/elsewhere", listener.local_addr()?);
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            seen.fetch_add(1, Ordering::SeqCst);
        }
    });
    Ok(Foreign { url, connections })
}

/// How a run is set up, beside its faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setup {
    /// App Center exports already.
    Exported,
    /// The product has to have it export, to the storage of the archive.
    ToConfigure,
    /// The product has to mend what is there: of one app it leaves something out, of the other it is disabled.
    ToMend,
    /// App Center exports nothing: all is got by API.
    ByApi,
}

impl Setup {
    /// Whether the exporter has to do something meanwhile.
    fn waits_for_exporter(self) -> bool {
        match self {
            Self::ToConfigure | Self::ToMend => true,
            Self::Exported | Self::ByApi => false,
        }
    }
}

/// One request of one world.
#[derive(Debug, Clone, Copy)]
struct Scene {
    world: &'static str,
    request: &'static str,
    setup: Setup,
    /// Operations that always answer 404.
    missing: &'static [&'static str],
}

impl Scene {
    /// Of the small world, which is exported already.
    const fn of(request: &'static str) -> Self {
        Self {
            world: SMALL,
            request,
            setup: Setup::Exported,
            missing: &[],
        }
    }
}

/// Worlds of a test run begin at the same minute, so that what they hold is the same.
pub(crate) fn world(text: &str) -> anyhow::Result<World> {
    static NOW: OnceLock<jiff::Timestamp> = OnceLock::new();
    World::parse_at(text, *NOW.get_or_init(|| SystemClock.now()))
}

async fn start(scene: Scene) -> anyhow::Result<Pump> {
    let world = world(scene.world)?;
    let mut pump = match scene.setup {
        Setup::Exported | Setup::ToMend => Pump::start(world).await?,
        Setup::ToConfigure | Setup::ByApi => Pump::start_without_export(world).await?,
    };
    if scene.setup == Setup::ToMend {
        pump.sim.set_export_entities("shop", &["crashes"]);
        pump.sim.set_export_state("till", ExportState::Disabled);
    }
    if scene.setup.waits_for_exporter() {
        let archive = pump.account.connection_string();
        pump.set("EXPORT_TYPE", "custom");
        pump.set("EXPORT_CONNECTION_STRING", &archive);
    }
    Ok(pump)
}

/// Runs a request with faults; nothing may leak, whatever happens.
async fn run(scene: Scene, faults: &[Fault], foreign: &Foreign) -> anyhow::Result<(Pump, End)> {
    let pump = start(scene).await?;
    let (request, released) = pump.asked(scene.request);
    for fault in faults {
        pump.sim.faults().add(fault.clone());
    }
    for operation in scene.missing {
        let kind = FaultKind::Status { status: 404 };
        pump.sim.faults().add(Fault {
            count: usize::MAX,
            ..Fault::once(operation, kind)
        });
    }
    let (document, disturb) = (&request.document, Disturb::nothing());
    let record = if scene.setup.waits_for_exporter() {
        pump.run_ticking(document, &released, &disturb).await?
    } else {
        pump.run_with(document, &released, &disturb).await?
    };
    let end = end(&pump, &record).await?;
    let mut waiting = pump.sim.faults().waiting();
    waiting.retain(|it| it.count < usize::MAX);
    anyhow::ensure!(waiting.is_empty(), "never hit: {waiting:?}");
    let audit = pump.sim.audit();
    let differences = stack::audit::differences(&audit, [&request]);
    anyhow::ensure!(differences.is_empty(), "{differences:#?}");
    anyhow::ensure!(audit.tokens_leaked == 0, "the token went to storage");
    anyhow::ensure!(
        audit.app_blocked.is_empty(),
        "an app was blocked as a whole"
    );
    anyhow::ensure!(
        foreign.connections.load(Ordering::SeqCst) == 0,
        "a foreign host was called"
    );
    for prefix in ["open/", "work/", "waiting/"] {
        let left = pump.blobs(prefix).await?;
        anyhow::ensure!(left.is_empty(), "left behind: {left:?}");
    }
    Ok((pump, end))
}

/// The faults that a service shows and that pass, `None` where an operation cannot show it.
fn kinds(operation: &str, foreign: &str) -> Vec<FaultKind> {
    let mut kinds = vec![
        FaultKind::TooManyRequests {
            retry_after: Some(1),
        },
        FaultKind::TooManyRequests { retry_after: None },
        FaultKind::Status { status: 500 },
        FaultKind::Status { status: 503 },
        FaultKind::Reset,
        FaultKind::ResetAfter,
        FaultKind::SlowBody { millis: 800 },
        FaultKind::TruncatedBody,
        FaultKind::WrongContentType,
        FaultKind::StatusAfter { status: 404 },
        FaultKind::StatusAfter { status: 500 },
        FaultKind::NotFoundForBadToken,
        FaultKind::Redirect {
            to: foreign.to_owned(),
        },
    ];
    let is_file = matches!(operation, "blob_download" | "Errors_ErrorAttachmentText");
    if !is_file {
        kinds.push(FaultKind::TruncatedPage);
    }
    if !is_change(operation) && operation != "blob_download" {
        kinds.push(FaultKind::Accepted);
    }
    if operation == "Errors_DeleteError" {
        kinds.push(FaultKind::BlobsFailed { count: 2 });
        kinds.push(FaultKind::HugeBody {
            bytes: 34 * 1024 * 1024,
        });
    }
    kinds
}

/// Every fault, on every operation of a request's run in turn: one run a kind of fault, which hits each operation.
async fn every_fault(scene: Scene, only: impl Fn(&str) -> bool) -> anyhow::Result<()> {
    let foreign = foreign().await?;
    let (pump, undisturbed) = run(scene, &[], &foreign).await?;
    let audit = pump.sim.audit();
    let operations: BTreeSet<String> = audit
        .calls
        .iter()
        .map(|call| call.operation_id.clone())
        .filter(|id| only(id))
        .collect();
    assert!(operations.len() > 1, "{operations:?}");
    let mut cases: BTreeMap<String, Vec<Fault>> = BTreeMap::new();
    for operation in &operations {
        for kind in kinds(operation, &foreign.url) {
            let fault = Fault::once(operation, kind.clone());
            // Without a time to come back the whole token waits half a minute: once a run is enough.
            let is_long = kind == (FaultKind::TooManyRequests { retry_after: None });
            let of_kind = cases.entry(format!("{kind:?}")).or_default();
            if !is_long || of_kind.is_empty() {
                of_kind.push(fault);
            }
        }
    }
    let number = cases.len();
    let runs = cases.into_iter().map(|(kind, faults)| {
        let (foreign, undisturbed) = (&foreign, &undisturbed);
        async move {
            let end = run(scene, &faults, foreign).await;
            let what = match end {
                Ok((_pump, end)) if is_same(&end, undisturbed, &faults) => return None,
                Ok((_pump, end)) => difference(&end, undisturbed),
                Err(error) => format!("{error:#}").chars().take(3000).collect(),
            };
            Some(format!("{kind}: {what}"))
        }
    });
    let failed: Vec<String> = futures::stream::iter(runs)
        .buffer_unordered(PARALLEL)
        .filter_map(|fault| async { fault })
        .collect()
        .await;
    assert!(
        failed.is_empty(),
        "{} of {number} ({operations:?}):\n{}",
        failed.len(),
        failed.join("\n")
    );
    Ok(())
}

/// Whether a run ended as the undisturbed one.
fn is_same(end: &End, undisturbed: &End, faults: &[Fault]) -> bool {
    // A deletion that is done and answered with 404 cannot be told from one that somebody else did before us.
    let is_doubtful = faults.iter().any(|fault| {
        fault.kind == (FaultKind::StatusAfter { status: 404 })
            && fault.operation.as_deref().is_some_and(is_deletion)
    });
    if is_doubtful {
        let is_done = |(id, outcome): (&String, &String)| {
            let was = undisturbed.outcomes.get(id);
            was == Some(outcome)
                || (was.map(String::as_str) == Some("deleted") && outcome == "already_gone")
        };
        return end.outcomes.iter().all(is_done)
            && end.outcomes.len() == undisturbed.outcomes.len()
            && end.status == undisturbed.status;
    }
    end == undisturbed
}

fn difference(end: &End, undisturbed: &End) -> String {
    let mut lines = Vec::new();
    let mut line = |what: &str, is: String, was: String| {
        if is != was {
            lines.push(format!("\n    {what}: {is}\n    instead of {was}"));
        }
    };
    // Of what has names only what differs.
    let only = |part: &BTreeMap<String, String>, other: &BTreeMap<String, String>| {
        let differs = |(name, is): &(&String, &String)| other.get(*name) != Some(*is);
        format!("{:?}", part.iter().filter(differs).collect::<Vec<_>>())
    };
    let all = |end: &End, other: &End| {
        [
            ("status", format!("{:?}", end.status)),
            ("exceptions", format!("{:?}", end.exceptions)),
            ("outcomes", only(&end.outcomes, &other.outcomes)),
            ("package", only(&end.package, &other.package)),
            ("configured", format!("{:?}", end.configured)),
            ("told", format!("{:?}", end.told)),
        ]
    };
    let (is, was) = (all(end, undisturbed), all(undisturbed, end));
    for ((what, is), (_, was)) in is.into_iter().zip(was) {
        line(what, is, was);
    }
    lines.concat()
}

fn is_deletion(operation: &str) -> bool {
    matches!(
        operation,
        "Errors_DeleteError" | "crashes_delete" | "test_archiveTestRun"
    )
}

fn is_irreversible(operation: &str) -> bool {
    is_deletion(operation) || operation == "Devices_BlockLogs"
}

fn is_change(operation: &str) -> bool {
    is_irreversible(operation)
        || matches!(
            operation,
            "ExportConfigurations_Create"
                | "ExportConfigurations_PartialUpdate"
                | "ExportConfigurations_Enable"
        )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_an_irreversible_call() -> anyhow::Result<()> {
    every_fault(Scene::of("known"), is_irreversible).await
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_that_come_three_times() -> anyhow::Result<()> {
    let foreign = foreign().await?;
    let (_pump, undisturbed) = run(Scene::of("known"), &[], &foreign).await?;
    let kinds = [
        FaultKind::Status { status: 500 },
        FaultKind::ResetAfter,
        FaultKind::NotFoundForBadToken,
    ];
    let runs = kinds.into_iter().map(|kind| {
        let fault = |operation: &str| Fault {
            count: 3,
            ..Fault::once(operation, kind.clone())
        };
        let mut faults = vec![fault("Errors_DeleteError")];
        // An app that is not known three times running is not known.
        if kind != FaultKind::NotFoundForBadToken {
            faults.push(fault("apps_get"));
        }
        let (foreign, undisturbed) = (&foreign, &undisturbed);
        async move {
            let (_pump, end) = run(Scene::of("known"), &faults, foreign).await?;
            let is_same = is_same(&end, undisturbed, &faults);
            anyhow::ensure!(is_same, "{faults:?}: {}", difference(&end, undisturbed));
            Ok(())
        }
    });
    let ends: Vec<anyhow::Result<()>> = futures::future::join_all(runs).await;
    ends.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_an_export() -> anyhow::Result<()> {
    every_fault(Scene::of("export"), |_| true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_while_an_export_is_configured() -> anyhow::Result<()> {
    let scene = Scene {
        setup: Setup::ToConfigure,
        ..Scene::of("known")
    };
    every_fault(scene, |operation| {
        operation.starts_with("ExportConfigurations_")
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_address_elsewhere_is_never_fetched() -> anyhow::Result<()> {
    let foreign = foreign().await?;
    let pump = start(Scene::of("export")).await?;
    for operation in ["Errors_ErrorLocation", "Errors_ErrorAttachmentLocation"] {
        let uri = foreign.url.clone();
        let kind = FaultKind::Location { uri };
        pump.sim.faults().add(Fault {
            count: 100,
            ..Fault::once(operation, kind)
        });
    }
    let request = pump.sim.world(|world| world.request("export").cloned());
    let request = request.expect("the world has it");
    let record = pump.run(&request.document, &Disturb::nothing()).await?;
    assert!(record.package.is_some(), "{record:#?}");
    assert_eq!(foreign.connections.load(Ordering::SeqCst), 0);
    assert_eq!(pump.sim.audit().tokens_leaked, 0);
    Ok(())
}
