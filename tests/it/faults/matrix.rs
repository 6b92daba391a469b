//! One call at a time: every operation that a run makes, with every kind of fault.
//!
//! The operations are those of undisturbed runs, so that a new call is covered by itself; so are the calls that a run
//! makes only because of a fault.

use std::collections::{BTreeMap, BTreeSet};

use appcenter_dsr::workflow::Status;
use appcenter_sim::{Fault, FaultKind};
use futures::StreamExt as _;

use super::{End, Foreign, LEGACY, LOST, MEND, SMALL, Scene, Setup};
use super::{difference, foreign, is_change, is_deletion, is_same, run};

/// Where a report's parts are not to be had: the product looks in the next place.
const NO_PLACES: &[&str] = &["Errors_ErrorLocation", "Errors_ErrorAttachmentText"];
/// The same of the legacy API, where the current one is not there at all.
const NO_CURRENT_NOR_PLACES: &[&str] = &[
    "Errors_GroupList",
    "Errors_ErrorSearch",
    "crashes_getRawCrashLocation",
    "crashes_getCrashTextAttachmentContent",
];

/// Runs at once: most of a run's time is spent waiting.
const PARALLEL: usize = 8;
/// Each pair of operation and kind is tried once, over the scenes in turn. With `true` it is tried in each scene that has
/// the operation, in about fifteen minutes.
const EVERYWHERE: bool = false;

const fn scene(world: &'static str, request: &'static str, setup: Setup) -> Scene {
    Scene {
        world,
        request,
        setup,
        missing: &[],
    }
}

/// An erasure with given installs, one with unknown installs, and an export: of reports that the archive tells, of reports
/// that only App Center can attribute, of reports that are got by API, and of test data; then of reports that the legacy
/// API alone lists. The first scenes have the product make and mend export configurations, some of the last have it look
/// in the next places.
const SCENES: [Scene; 15] = [
    scene(SMALL, "known", Setup::ToConfigure),
    scene(MEND, "delete", Setup::ToMend),
    scene(SMALL, "known", Setup::Exported),
    scene(SMALL, "delete", Setup::Exported),
    scene(SMALL, "export", Setup::Exported),
    scene(LOST, "known", Setup::Exported),
    scene(LOST, "delete", Setup::Exported),
    scene(LOST, "export", Setup::Exported),
    scene(SMALL, "delete", Setup::ByApi),
    scene(SMALL, "export", Setup::ByApi),
    scene(SMALL, "export-tests", Setup::Exported),
    scene(SMALL, "delete-tests", Setup::Exported),
    Scene {
        missing: NO_PLACES,
        ..scene(SMALL, "export", Setup::Exported)
    },
    scene(LEGACY, "delete", Setup::ByApi),
    Scene {
        missing: NO_CURRENT_NOR_PLACES,
        ..scene(LEGACY, "export", Setup::ByApi)
    },
];

/// Every fault that a service shows and that passes; `turn` goes round where several say the same to the product.
fn kinds(turn: usize, foreign: &Foreign) -> Vec<FaultKind> {
    let of_turn = |statuses: &[u16]| statuses[turn % statuses.len()];
    vec![
        FaultKind::TooManyRequests {
            retry_after: Some(1),
        },
        FaultKind::TooManyRequests { retry_after: None },
        FaultKind::Status { status: 500 },
        FaultKind::Status {
            status: of_turn(&[401, 403, 408, 502, 503, 504]),
        },
        FaultKind::Reset,
        FaultKind::ResetAfter,
        if turn.is_multiple_of(2) {
            FaultKind::SlowBody { millis: 800 }
        } else {
            FaultKind::Delay { millis: 800 }
        },
        FaultKind::TruncatedBody,
        FaultKind::TruncatedPage,
        FaultKind::WrongContentType,
        FaultKind::StatusAfter { status: 404 },
        FaultKind::StatusAfter {
            status: of_turn(&[500, 503, 504]),
        },
        FaultKind::NotFoundForBadToken,
        FaultKind::Accepted,
        FaultKind::BlobsFailed { count: 2 },
        FaultKind::Location {
            uri: foreign.url.clone(),
        },
        FaultKind::Redirect {
            to: foreign.url.clone(),
        },
        FaultKind::HugeBody {
            bytes: 34 * 1024 * 1024,
        },
    ]
}

/// Whether an operation can show a fault. No `_`: a new kind is to be thought about here.
fn can_show(operation: &str, kind: &FaultKind) -> bool {
    match kind {
        FaultKind::TooManyRequests { .. }
        | FaultKind::Status { .. }
        | FaultKind::StatusAfter { .. }
        | FaultKind::Reset
        | FaultKind::ResetAfter
        | FaultKind::SlowBody { .. }
        | FaultKind::TruncatedBody
        | FaultKind::WrongContentType
        | FaultKind::NotFoundForBadToken
        | FaultKind::Delay { .. }
        | FaultKind::Redirect { .. } => true,
        // It is told, and nothing is planned for runs that nobody could list.
        FaultKind::HugeBody { .. } => operation != "test_getTestRuns",
        // A file that is whole for HTTP is whole: nothing tells its end but its length.
        FaultKind::TruncatedPage => operation != "blob_download",
        // Seen for GETs of the API only.
        FaultKind::Accepted => !is_change(operation) && operation != "blob_download",
        FaultKind::BlobsFailed { .. } => {
            matches!(operation, "Errors_DeleteError" | "crashes_delete")
        }
        FaultKind::Location { .. } => operation.ends_with("Location"),
    }
}

/// One run with its faults.
#[derive(Debug, Clone)]
struct Case {
    scene: usize,
    faults: Vec<Fault>,
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scene = SCENES[self.scene];
        let name = scene
            .world
            .lines()
            .find_map(|it| it.strip_prefix("name = "));
        let world = name.unwrap_or_default();
        let setup = (scene.setup, scene.missing);
        write!(f, "{world}/{} {setup:?}:", scene.request)?;
        for fault in &self.faults {
            let operation = fault.operation.as_deref().unwrap_or_default();
            write!(f, " {operation}[{}] {:?}", fault.skip, fault.kind)?;
        }
        Ok(())
    }
}

/// An undisturbed run: what it came to, and how often it called each operation.
struct Undisturbed {
    end: End,
    calls: BTreeMap<String, usize>,
}

async fn undisturbed(foreign: &Foreign) -> anyhow::Result<Vec<Undisturbed>> {
    let runs = SCENES.iter().map(|scene| async move {
        let (pump, end) = run(*scene, &[], foreign).await?;
        let mut calls = BTreeMap::new();
        for call in pump.sim.audit().calls {
            *calls.entry(call.operation_id).or_default() += 1;
        }
        anyhow::Ok(Undisturbed { end, calls })
    });
    futures::future::join_all(runs).await.into_iter().collect()
}

/// Whether a fault may change what a run comes to, so that it is to be tried alone.
fn is_telling(fault: &Fault) -> bool {
    let operation = fault.operation.as_deref().unwrap_or_default();
    let is_doubtful = fault.kind == FaultKind::StatusAfter { status: 404 };
    let is_of_file = [
        "Errors_ErrorLocation",
        "crashes_getRawCrashLocation",
        "blob_download",
    ]
    .contains(&operation);
    // A change whose answer was lost is not looked up: the list tells.
    operation == "ExportConfigurations_Get"
        || is_left_out(operation, &fault.kind)
        || is_other_format(operation, &fault.kind)
        // Two refusals of one file are believed: it is asked for in another format then.
        || (is_refusal(&fault.kind) && is_of_file)
        || (is_doubtful && is_deletion(operation))
}

/// Every operation with every kind, each at least once; which of its calls is hit goes round, too.
///
/// Faults of different operations come together in one run, one for each operation, where none may change its end.
fn cases(undisturbed: &[Undisturbed], foreign: &Foreign) -> Vec<Case> {
    let operations: BTreeSet<&String> = undisturbed.iter().flat_map(|it| it.calls.keys()).collect();
    let mut cases = Vec::new();
    let mut together: BTreeMap<(usize, usize), Vec<Fault>> = BTreeMap::new();
    for (turn, operation) in operations.into_iter().enumerate() {
        let mut having: Vec<usize> = (0..SCENES.len())
            .filter(|n| undisturbed[*n].calls.contains_key(operation))
            .filter(|n| !SCENES[*n].missing.contains(&operation.as_str()))
            .collect();
        // It waits for the exporter, and how often it looks varies: only what no other scene calls is tried there.
        prefer(&mut having, |scene| !scene.setup.waits_for_exporter());
        prefer(&mut having, |scene| scene.missing.is_empty());
        let mut kinds = kinds(turn, foreign);
        kinds.retain(|kind| can_show(operation, kind));
        // The operations of a run show different kinds.
        let first = turn % kinds.len();
        kinds.rotate_left(first);
        let mut runs: BTreeMap<usize, usize> = BTreeMap::new();
        for (n, kind) in kinds.iter().enumerate() {
            for (place, scene) in having.iter().enumerate() {
                if !EVERYWHERE && place != n % having.len() {
                    continue;
                }
                let calls = if SCENES[*scene].setup.waits_for_exporter() {
                    1
                } else {
                    undisturbed[*scene].calls[operation]
                };
                let fault = Fault {
                    skip: (n / having.len()) % calls,
                    ..Fault::once(operation, kind.clone())
                };
                if is_telling(&fault) {
                    cases.push(Case {
                        scene: *scene,
                        faults: vec![fault],
                    });
                } else {
                    let run = runs.entry(*scene).or_default();
                    together.entry((*scene, *run)).or_default().push(fault);
                    *run += 1;
                }
            }
        }
    }
    cases.extend(
        together
            .into_iter()
            .map(|((scene, _), faults)| Case { scene, faults }),
    );
    cases
}

/// Leaves only the scenes that are as wanted, where there is one.
fn prefer(scenes: &mut Vec<usize>, is_wanted: impl Fn(&Scene) -> bool) {
    if scenes.iter().any(|n| is_wanted(&SCENES[*n])) {
        scenes.retain(|n| is_wanted(&SCENES[*n]));
    }
}

/// Whether what is asked for is left out for good, since the answer is longer than the limit.
fn is_left_out(operation: &str, kind: &FaultKind) -> bool {
    let is_part = [
        "Errors_ErrorAttachments",
        "Errors_ErrorAttachmentLocation",
        "Errors_ErrorAttachmentText",
        "Errors_ErrorDownload",
        "Errors_ErrorLocation",
        "Errors_ErrorStackTrace",
        "Errors_ListSessionLogs",
        "Crashes_ListSessionLogs",
        "crashes_getCrashAttachmentLocation",
        "crashes_getCrashTextAttachmentContent",
        "crashes_getNativeCrashDownload",
        "crashes_getRawCrashLocation",
        "crashes_getStacktrace",
        "crashes_listAttachments",
        "blob_download",
        "unknown",
    ]
    .contains(&operation);
    matches!(kind, FaultKind::HugeBody { .. }) && (is_part || operation.starts_with("test_"))
}

/// Whether what is asked for is had in another format instead, or from the legacy API.
fn is_other_format(operation: &str, kind: &FaultKind) -> bool {
    let is_too_long = matches!(kind, FaultKind::HugeBody { .. });
    (is_refusal(kind) || is_too_long) && operation == "Errors_ErrorDownload"
}

/// Whether the fault says that what is asked for is not to be had there.
fn is_refusal(kind: &FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::StatusAfter { status: 404 }
            | FaultKind::NotFoundForBadToken
            | FaultKind::Redirect { .. }
            | FaultKind::Location { .. }
    )
}

/// Faults that nothing tells from the truth, and what they may change.
///
/// - A part of a report that is longer than the limit is named as not to be had, and the report is exported without it.
///   It is not read to its end, so it may really be as long.
/// - A file may be as long as the host of downloads says, up to its own limit: it is taken as it is.
/// - A part of the test data that is longer than the limit is named as not to be had, with the files that it names.
/// - A download that is refused in one format is asked for in the next, and one that is too long of the legacy API: the raw
///   log is there in another form.
fn is_as_allowed(end: &End, undisturbed: &End, faults: &[Fault]) -> bool {
    let [.., fault] = faults else { return false };
    let operation = fault.operation.as_deref().unwrap_or_default();
    let differing: BTreeSet<&String> = end
        .package
        .iter()
        .filter(|(name, hash)| undisturbed.package.get(*name) != Some(hash))
        .map(|(name, _)| name)
        .chain(
            undisturbed
                .package
                .keys()
                .filter(|it| !end.package.contains_key(*it)),
        )
        .collect();
    if end.outcomes != undisturbed.outcomes {
        return false;
    }
    if is_other_format(operation, &fault.kind) {
        // It stands in the document of the report.
        let is_raw = |name: &&String| name.contains("/reports/") && name.ends_with(".json");
        if end.status == undisturbed.status
            && end.exceptions == undisturbed.exceptions
            && differing.iter().all(is_raw)
        {
            return true;
        }
    }
    if !is_left_out(operation, &fault.kind) {
        return false;
    }
    if operation == "blob_download" {
        return end.status == undisturbed.status
            && end.exceptions == undisturbed.exceptions
            && differing.len() <= 2;
    }
    let more: Vec<&String> = end
        .exceptions
        .iter()
        .filter(|it| !undisturbed.exceptions.contains(it))
        .collect();
    let [only] = more.as_slice() else {
        return false;
    };
    if operation.starts_with("test_") {
        let is_test = |name: &&String| name.contains("/test/");
        return end.status == undisturbed.status
            && only.starts_with("unavailable: test data of App Center Test (1)")
            && differing.iter().all(is_test);
    }
    end.status == Status::CompletedWithExceptions
        && only.starts_with("unavailable: a part of a report (1)")
        && differing.len() <= 2
}

/// What is wrong with a run, if anything; and the operations that it called.
async fn check(
    case: &Case,
    undisturbed: &Undisturbed,
    foreign: &Foreign,
) -> (Option<String>, BTreeSet<String>) {
    match run(SCENES[case.scene], &case.faults, foreign).await {
        Ok((pump, end)) => {
            let is_same = is_same(&end, &undisturbed.end, &case.faults)
                || is_as_allowed(&end, &undisturbed.end, &case.faults);
            let wrong = (!is_same).then(|| difference(&end, &undisturbed.end));
            let audit = pump.sim.audit();
            let called = audit.calls.into_iter().map(|it| it.operation_id).collect();
            (wrong, called)
        }
        Err(error) => {
            let text = format!("{error:#}").chars().take(3000).collect();
            (Some(text), BTreeSet::new())
        }
    }
}

/// Runs cases; those that failed, and the operations that each called which its undisturbed run does not.
async fn check_all(
    cases: Vec<Case>,
    undisturbed: &[Undisturbed],
    foreign: &Foreign,
) -> (Vec<String>, Vec<(Case, BTreeSet<String>)>) {
    let runs = cases.into_iter().map(|case| async move {
        let usual = &undisturbed[case.scene];
        let (wrong, mut called) = check(&case, usual, foreign).await;
        called.retain(|it| !usual.calls.contains_key(it));
        (case, wrong, called)
    });
    let ended: Vec<_> = futures::stream::iter(runs)
        .buffered(PARALLEL)
        .collect()
        .await;
    let mut failed = Vec::new();
    let mut more = Vec::new();
    for (case, wrong, called) in ended {
        if let Some(wrong) = wrong {
            failed.push(format!("{case}: {wrong}"));
            failed.extend(alone(&case, undisturbed, foreign).await);
        }
        more.push((case, called));
    }
    (failed, more)
}

/// Which faults of a case fail alone, to tell what failed together.
async fn alone(case: &Case, undisturbed: &[Undisturbed], foreign: &Foreign) -> Vec<String> {
    let mut failed = Vec::new();
    for fault in case.faults.iter().filter(|_| case.faults.len() > 1) {
        let one = Case {
            faults: vec![fault.clone()],
            ..case.clone()
        };
        let (wrong, _) = check(&one, &undisturbed[case.scene], foreign).await;
        failed.extend(wrong.map(|wrong| format!("alone, {one}: {wrong}")));
    }
    failed
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_with_every_fault() -> anyhow::Result<()> {
    let foreign = foreign().await?;
    let undisturbed = undisturbed(&foreign).await?;
    let first = cases(&undisturbed, &foreign);
    let mut number = first.iter().map(|it| it.faults.len()).sum::<usize>();
    let (mut failed, ended) = check_all(first, &undisturbed, &foreign).await;

    // Calls that are made only because of a fault: the first case that led to each leads to it again.
    let known: BTreeSet<&String> = undisturbed.iter().flat_map(|it| it.calls.keys()).collect();
    let mut leads: BTreeMap<String, Case> = BTreeMap::new();
    for (case, called) in ended {
        for operation in called.into_iter().filter(|it| !known.contains(it)) {
            leads.entry(operation).or_insert_with(|| case.clone());
        }
    }
    let mut second = Vec::new();
    for (turn, (operation, lead)) in leads.iter().enumerate() {
        let mut kinds = kinds(turn, &foreign);
        kinds.retain(|kind| can_show(operation, kind));
        for kind in kinds {
            let mut case = lead.clone();
            case.faults.push(Fault::once(operation, kind));
            second.push(case);
        }
    }
    number += second.len();
    let (failed_again, _) = check_all(second, &undisturbed, &foreign).await;
    failed.extend(failed_again);
    assert!(
        failed.is_empty(),
        "{} of {number} ({known:?}, then {:?}):\n{}",
        failed.len(),
        leads.keys(),
        failed.join("\n")
    );
    for operation in [
        "Errors_ErrorSearch",
        "Errors_GroupList",
        "Errors_ErrorDownload",
        "ExportConfigurations_Create",
        "ExportConfigurations_PartialUpdate",
        "ExportConfigurations_Enable",
        "crashGroups_list",
        "crashes_list",
        "crashes_get",
        "crashes_getNativeCrashDownload",
        "crashes_getCrashAttachmentLocation",
        "crashes_delete",
    ] {
        assert!(known.iter().any(|it| *it == operation), "{known:?}");
    }
    Ok(())
}
