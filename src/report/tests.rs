//! Worked examples: a plan and outcomes in, a report out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::{
    Arrived, ArrivedItem, Code, Form, Inputs, ItemOutcome, LogCopies, MAX_LISTED, Outcome, Report,
    SetupException, to_markdown,
};
use crate::domain::plan::{
    Action, AlsoSeen, Counts, Coverage, Gap, InstallItem, Plan, ReportItem, RowsItem, SCHEMA,
    Unattributed, Unreadable, item_id,
};
use crate::domain::{AppRef, Document, InstallId, Kind};
use crate::package::LeftOut;
use crate::workflow::record::{Approval, PackageRef, Record, Status};

const MINE: &str = "e589a371-ea0c-4479-9a7b-9f834adec040";
const SHARED: &str = "0b1c2d3e-ea0c-4479-9a7b-9f834adec041";
const GUID: &str = "2518291138564839999-11111111-2222-3333-4444-55555555555";

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn app() -> AppRef {
    AppRef::new("contoso", "shop-android").expect("valid")
}

fn error(n: u8) -> crate::domain::ErrorId {
    format!("{GUID}{n}").parse().expect("an error ID")
}

fn blob(n: u8) -> String {
    format!("2026/11/0{n}/09/03/crashes/{}.json", error(n))
}

fn record(kind: &str) -> Record {
    let document = serde_json::json!({
        "kind": kind,
        "reference": "CRM-1042",
        "received_at": "2026-11-20T09:00:00Z",
        "apps": [{ "owner": "contoso", "name": "shop-android" }],
        "subject": { "install_ids": [MINE], "user_ids": ["u-20417"], "emails": ["ana@example.com"] },
    });
    let now = at("2026-11-20T10:00:00Z");
    let document = Document::parse(document.to_string().as_bytes(), now).expect("valid");
    let mut record = Record::new(document, "hmac".to_owned(), now);
    record.status = Status::Running;
    record
}

fn coverage() -> Coverage {
    Coverage {
        first_day: "2026-10-20".parse().ok(),
        last_day: "2026-11-19".parse().ok(),
        days: 31,
        blobs: [("crashes".to_owned(), 6), ("logs".to_owned(), 200)].into(),
        records: 4321,
        bytes: 99_000,
        reports: 60,
        ..Coverage::default()
    }
}

/// Nothing found, everything read.
fn empty(record: &Record) -> Plan {
    Plan {
        schema: SCHEMA,
        request: record.id.clone(),
        run: 1,
        kind: record.kind,
        created_at: at("2026-11-20T11:00:00Z"),
        partial: false,
        counts: Counts::default(),
        large: None,
        installs: Vec::new(),
        reports: Vec::new(),
        rows: Vec::new(),
        unattributed: Vec::new(),
        also_seen_here: Vec::new(),
        coverage: [(app().to_string(), coverage())].into(),
    }
}

/// One install with two reports and 30 rows; one shared install, held, with a report.
fn plan(record: &Record) -> Plan {
    let install = |id: &str, action: Action, reason: &str, rows: u64| InstallItem {
        id: item_id("install", &app(), id),
        app: app(),
        install_id: id.parse().expect("a UUID"),
        action,
        reason: reason.to_owned(),
        provenance: Vec::new(),
        rows,
        users: 1,
        models: 1,
    };
    let report = |n: u8, install: &str, action: Action, reason: &str| ReportItem {
        id: format!("report-{n}"),
        app: app(),
        group_id: "1234u".parse().expect("a group"),
        error_id: error(n),
        install_id: install.parse().ok(),
        action,
        reason: reason.to_owned(),
        blobs: vec![blob(n)],
    };
    let rows = |id: &str, install: &str, action: Action, reason: &str, rows: u64| RowsItem {
        id: id.to_owned(),
        app: app(),
        install_id: install.parse().ok(),
        action,
        reason: reason.to_owned(),
        rows,
    };
    let given = "install ID given in the request";
    let shared = "shared: the install shows two or more user IDs";
    Plan {
        installs: vec![
            install(MINE, Action::Act, given, 30),
            install(SHARED, Action::Hold, shared, 7),
        ],
        reports: vec![
            report(
                1,
                MINE,
                Action::Act,
                "a report of an install that is acted on",
            ),
            report(
                2,
                MINE,
                Action::Act,
                "a report of an install that is acted on",
            ),
            report(
                3,
                SHARED,
                Action::Hold,
                "a report of a held install (shared) that does not name the person",
            ),
        ],
        rows: vec![
            rows("rows-1", MINE, Action::Act, given, 30),
            rows("rows-2", SHARED, Action::Hold, shared, 7),
        ],
        also_seen_here: vec![AlsoSeen {
            app: app(),
            install_id: SHARED.parse().expect("a UUID"),
            user_id: "canary-other-user".to_owned(),
        }],
        ..empty(record)
    }
}

fn install_id(n: usize) -> String {
    item_id("install", &app(), [MINE, SHARED][n])
}

struct Case {
    record: Record,
    plan: Option<Plan>,
    outcomes: BTreeMap<String, ItemOutcome>,
    arrived: Arrived,
    setup: Vec<SetupException>,
    unavailable: Vec<LeftOut>,
    log_copies: Vec<LogCopies>,
    last_row: Option<Timestamp>,
    package: Option<PackageRef>,
}

impl Case {
    fn new(record: Record, plan: Option<Plan>, outcomes: &[(&str, Outcome)]) -> Self {
        let outcome = |(id, outcome): &(&str, Outcome)| ((*id).to_owned(), outcome.clone().into());
        Self {
            record,
            plan,
            outcomes: outcomes.iter().map(outcome).collect(),
            arrived: Arrived::default(),
            setup: Vec::new(),
            unavailable: Vec::new(),
            log_copies: Vec::new(),
            last_row: None,
            package: None,
        }
    }

    fn report(&self) -> Report {
        Report::compose(Inputs {
            record: &self.record,
            plan: self.plan.as_ref(),
            outcomes: &self.outcomes,
            arrived: &self.arrived,
            setup: &self.setup,
            unavailable: &self.unavailable,
            log_copies: &self.log_copies,
            last_row: self.last_row,
            package: self.package.as_ref(),
            concluded_at: at("2026-11-21T08:00:00Z"),
        })
    }
}

/// An erasure that went as planned.
fn erased() -> Case {
    let mut record = record("delete");
    record.approval = Some(Approval {
        approver: "Jo of Support".to_owned(),
        at: at("2026-11-20T12:00:00Z"),
        plan_sha256: "ab".repeat(32),
        also: Vec::new(),
    });
    let plan = plan(&record);
    let install = install_id(0);
    let outcomes = [
        (install.as_str(), Outcome::Blocked),
        ("report-1", Outcome::Deleted),
        ("report-2", Outcome::AlreadyGone),
    ];
    Case::new(record, Some(plan), &outcomes)
}

fn exported() -> Case {
    let record = record("export");
    let plan = plan(&record);
    let outcomes = [
        ("report-1", Outcome::Exported),
        ("report-2", Outcome::Exported),
        ("rows-1", Outcome::Exported),
    ];
    let mut case = Case::new(record, Some(plan), &outcomes);
    case.package = Some(PackageRef {
        sha256: "cd".repeat(32),
        size: 12_345,
        deleted_at: None,
    });
    case
}

fn codes(report: &Report) -> Vec<Code> {
    report.exceptions.iter().map(|it| it.code).collect()
}

fn tally(parts: &[(&str, u64)]) -> super::Tally {
    parts
        .iter()
        .map(|(name, n)| ((*name).to_owned(), *n))
        .collect()
}

#[test]
fn an_erasure_leaves_copies_and_says_so() {
    let mut case = erased();
    case.last_row = Some(at("2026-11-18T20:00:00Z"));
    case.log_copies = vec![LogCopies {
        app: app(),
        blob: "2026/11/18/20/00/logs.v1.data".to_owned(),
        records: 10,
    }];
    let report = case.report();
    assert_eq!(report.status, Status::CompletedWithExceptions);
    assert!(!report.failed && !report.needs_identifiers());
    assert_eq!(
        codes(&report),
        [
            Code::Held,
            Code::Held,
            Code::LogRowsAgeOut,
            Code::ResidualCopies
        ]
    );
    assert_eq!(
        report.tallies.installs,
        tally(&[("blocked", 1), ("held", 1)])
    );
    assert_eq!(
        report.tallies.reports,
        tally(&[("already_gone", 1), ("deleted", 1), ("held", 1)])
    );
    assert_eq!(report.tallies.rows, tally(&[("ages_out", 30), ("held", 7)]));
    let ageing = report.ageing_rows.expect("there are rows");
    assert_eq!(
        (ageing.rows, ageing.gone_by.to_string().as_str()),
        (30, "2026-12-16")
    );
    let residual: Vec<(Option<&str>, u64)> = report
        .residual_copies
        .iter()
        .map(|it| (it.blob.as_deref(), it.records))
        .collect();
    let (one, two) = (blob(1), blob(2));
    assert_eq!(
        residual,
        [
            (Some(one.as_str()), 1),
            (Some(two.as_str()), 1),
            (Some("2026/11/18/20/00/logs.v1.data"), 10),
            (None, 20),
        ]
    );
    assert_eq!(report.also_seen_here, 1);
    let lines = report.exception_lines();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("residual_copies: 32 records")),
        "{lines:?}"
    );
}

#[test]
fn released_items_are_acted_on() {
    let mut case = erased();
    if let Some(approval) = &mut case.record.approval {
        approval.also = vec![install_id(1), "report-3".to_owned()];
    }
    case.outcomes.insert(install_id(1), Outcome::Blocked.into());
    case.outcomes
        .insert("report-3".to_owned(), Outcome::Deleted.into());
    let report = case.report();
    let released: Vec<&str> = report
        .installs
        .iter()
        .chain(&report.reports)
        .filter(|it| it.released)
        .map(|it| it.id.as_str())
        .collect();
    assert_eq!(released, [install_id(1).as_str(), "report-3"]);
    // The held rows were not released.
    assert_eq!(report.held.values().sum::<u64>(), 1);
    assert_eq!(
        report
            .residual_copies
            .iter()
            .filter(|it| it.blob.is_some())
            .count(),
        3
    );
}

#[test]
fn an_outcome_of_a_held_item_is_not_believed() {
    let mut case = erased();
    case.outcomes
        .insert("report-3".to_owned(), Outcome::Deleted.into());
    assert_eq!(case.report().reports[2].outcome, Outcome::Held);
}

#[test]
fn what_a_retry_could_do_keeps_the_identifiers() {
    let failed = Outcome::Failed {
        reason: "App Center answered 403 for user ana@example.com".to_owned(),
    };
    let check = |change: &dyn Fn(&mut Case), expected: Code| {
        let mut case = erased();
        change(&mut case);
        let report = case.report();
        assert!(
            codes(&report).contains(&expected),
            "{:?}",
            report.exceptions
        );
        assert!(report.needs_identifiers(), "{expected:?}");
        assert!(!report.failed);
    };
    check(
        &|case| {
            case.outcomes
                .insert("report-1".to_owned(), failed.clone().into());
        },
        Code::ItemFailed,
    );
    check(
        &|case| {
            case.outcomes.remove("report-1");
        },
        Code::NotAttempted,
    );
    check(
        &|case| {
            case.arrived.items = vec![
                ArrivedItem::report(app(), Some(error(9)), vec![blob(9)]),
                ArrivedItem::install(app(), SHARED.parse::<InstallId>().expect("a UUID")),
            ];
        },
        Code::ArrivedAfterApproval,
    );
    check(
        &|case| case.arrived.failed = Some("storage was away".to_owned()),
        Code::RecheckFailed,
    );
    check(
        &|case| {
            let lost = Unattributed {
                id: "unattributed-1".to_owned(),
                app: app(),
                blob: blob(7),
                reason: "neither the blob, nor a log row, nor its name tells the report".to_owned(),
            };
            if let Some(plan) = &mut case.plan {
                plan.unattributed.push(lost);
            }
        },
        Code::Unattributed,
    );
    let unreadable = || {
        vec![Unreadable {
            blob: blob(8),
            reason: "it is truncated".to_owned(),
        }]
    };
    check(
        &|case| cover(case, |it| it.unreadable = unreadable()),
        Code::Unreadable,
    );
    check(
        &|case| cover(case, |it| it.not_searched = unreadable()),
        Code::NotSearched,
    );
    check(
        &|case| cover(case, |it| it.blobs.clear()),
        Code::NothingSearched,
    );
    check(
        &|case| {
            case.setup = vec![SetupException {
                app: Some(app()),
                text: "the export configuration is invalid".to_owned(),
            }];
        },
        Code::Setup,
    );
}

fn cover(case: &mut Case, change: impl Fn(&mut Coverage)) {
    if let Some(plan) = &mut case.plan {
        plan.coverage.values_mut().for_each(change);
    }
}

#[test]
fn failures_are_counted_by_reason() {
    let mut case = erased();
    for id in ["report-1", "report-2"] {
        let outcome = Outcome::Failed {
            reason: "App Center answered 403 for ana@example.com".to_owned(),
        };
        case.outcomes.insert(id.to_owned(), outcome.into());
    }
    let report = case.report();
    let failed = report.exceptions.first().expect("it is the first");
    assert_eq!(
        failed.text,
        "2 reports failed: App Center answered 403 for [removed]"
    );
    assert_eq!(failed.count, 2);
    // The install was blocked, so something was done.
    assert_eq!(report.status, Status::CompletedWithExceptions);
}

#[test]
fn nothing_done_is_a_failure() {
    let mut case = erased();
    case.outcomes.clear();
    let report = case.report();
    assert!(report.failed && report.status == Status::Failed);
    let report = Case::new(record("delete"), None, &[]).report();
    assert!(report.failed && report.needs_identifiers());
    assert_eq!(codes(&report), [Code::NoPlan]);
    let mut case = exported();
    case.package = None;
    let report = case.report();
    assert!(report.failed && codes(&report).contains(&Code::PackageMissing));
}

#[test]
fn an_export_with_nothing_left_out_is_complete() {
    let mut case = exported();
    let report = case.report();
    assert_eq!(codes(&report), [Code::Held, Code::Held]);
    assert!(report.residual_copies.is_empty() && report.ageing_rows.is_none());
    if let Some(plan) = &mut case.plan {
        plan.installs.truncate(1);
        plan.reports.truncate(2);
        plan.rows.truncate(1);
    }
    let report = case.report();
    assert_eq!(report.status, Status::Completed, "{:?}", report.exceptions);
    assert_eq!(report.tallies.installs, tally(&[("exported", 1)]));
    assert_eq!(report.tallies.rows, tally(&[("exported", 30)]));
    // What could not be had makes it less than complete.
    case.unavailable = vec![LeftOut {
        what: "session logs".to_owned(),
        reason: "App Center keeps them 28 days".to_owned(),
        count: 2,
    }];
    let report = case.report();
    assert_eq!(report.status, Status::CompletedWithExceptions);
    assert_eq!(
        report.exceptions[0].text,
        "2 of session logs could not be had: App Center keeps them 28 days"
    );
}

#[test]
fn nothing_found_is_explained() {
    for kind in ["export", "delete"] {
        let record = record(kind);
        let plan = empty(&record);
        let mut case = Case::new(record, Some(plan), &[]);
        let report = case.report();
        assert_eq!(report.status, Status::Completed, "{:?}", report.exceptions);
        assert!(!report.failed);
        let text = report.nothing_found.clone().expect("nothing was found");
        for said in [
            "1 install ID, 1 user ID, 1 e-mail address",
            "206 blobs with 4321 records",
            "Everything that the archive holds of them could be read",
            "by install ID",
        ] {
            assert!(text.contains(said), "{text}");
        }
        let markdown = to_markdown(&report);
        assert!(markdown.contains("**Completed: nothing was found in what was searched.**"));
        assert!(markdown.contains("| contoso/shop-android | 2026-10-20 to 2026-11-19 (31 with data) | crashes 6, logs 200 | 4321 |"), "{markdown}");
        cover(&mut case, |it| {
            it.gaps = vec![Gap {
                from: "2026-11-01".parse().expect("a day"),
                to: "2026-11-03".parse().expect("a day"),
                evidence: "whole days without data between days with data".to_owned(),
            }];
        });
        let report = case.report();
        assert_eq!(codes(&report), [Code::Gap]);
        assert_eq!(report.exceptions[0].count, 3);
        let text = report.nothing_found.expect("nothing was found");
        assert!(
            text.contains("Not covered: 0 blobs that could not be read as a whole, and 1 gaps"),
            "{text}"
        );
    }
}

#[test]
fn given_installs_without_data_are_blocked_and_nothing_is_found() {
    let mut case = erased();
    if let Some(plan) = &mut case.plan {
        plan.installs.truncate(1);
        plan.installs[0].rows = 0;
        plan.reports.clear();
        plan.rows.clear();
    }
    let report = case.report();
    assert_eq!(report.status, Status::Completed, "{:?}", report.exceptions);
    let text = report.nothing_found.expect("nothing was found");
    assert!(text.contains("were blocked all the same"), "{text}");
}

#[test]
fn a_rejected_plan_stays_rejected() {
    let mut case = erased();
    case.record.status = Status::Rejected;
    case.outcomes.clear();
    let report = case.report();
    assert_eq!(report.status, Status::Rejected);
    assert!(!report.failed && report.needs_identifiers());
    assert!(report.residual_copies.is_empty());
    assert_eq!(
        report.reports[0].outcome.undone(),
        Some("the plan was rejected")
    );
}

#[test]
fn no_identifier_that_is_not_needed_is_in_it() {
    let mut case = erased();
    case.setup = vec![SetupException {
        app: None,
        text: "no export for ana@example.com".to_owned(),
    }];
    let report = case.report();
    for text in [
        serde_json::to_string(&report).expect("JSON"),
        to_markdown(&report),
        format!("{:?}", report.exceptions),
    ] {
        for canary in ["canary-other-user", "u-20417", "ana@example.com"] {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
}

#[test]
fn the_archive_form_keeps_numbers_and_outcomes() {
    let mut case = erased();
    case.arrived.items = vec![ArrivedItem::report(app(), Some(error(9)), vec![blob(9)])];
    cover(&mut case, |it| {
        it.unreadable = (1..=3)
            .map(|n| Unreadable {
                blob: blob(n),
                reason: "it is truncated".to_owned(),
            })
            .collect();
    });
    let full = case.report();
    let archive = full.without_identifiers();
    assert_eq!(archive.form, Form::Archive);
    assert_eq!(archive.tallies, full.tallies);
    assert_eq!(archive.exceptions, full.exceptions);
    let ids = |report: &Report| -> Vec<(String, Outcome)> {
        let items = report.installs.iter().chain(&report.reports);
        items
            .map(|it| (it.id.clone(), it.outcome.clone()))
            .collect()
    };
    assert_eq!(ids(&archive), ids(&full));
    let records = |report: &Report| {
        report
            .residual_copies
            .iter()
            .map(|it| it.records)
            .sum::<u64>()
    };
    assert_eq!(records(&archive), records(&full));
    let json = serde_json::to_string(&archive).expect("JSON");
    for text in [&json, &to_markdown(&archive)] {
        for canary in [MINE, SHARED, GUID, "crashes/", "1234u"] {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
    let unreadable = &archive.searched["contoso/shop-android"].unreadable;
    assert_eq!(unreadable[0].blob, "3 blobs (names removed)");
    // Once more changes nothing.
    let again = serde_json::to_string(&archive.without_identifiers()).expect("JSON");
    assert_eq!(again, json);
    let back: Report = serde_json::from_str(&json).expect("its own JSON");
    assert_eq!(serde_json::to_string(&back).expect("JSON"), json);
    let now = full.concluded_at;
    assert!(!full.is_due_for_archive(now, super::FULL_DAYS));
    let later = now
        .checked_add(jiff::SignedDuration::from_hours(24 * 30))
        .expect("a time");
    assert!(full.is_due_for_archive(later, super::FULL_DAYS));
    assert!(!archive.is_due_for_archive(later, super::FULL_DAYS));
}

#[test]
fn the_json_reads_well() {
    let report = erased().report();
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["status"], "completed_with_exceptions");
    assert_eq!(json["due"], "2026-12-20");
    assert_eq!(json["installs"][0]["outcome"], "blocked");
    assert_eq!(json["installs"][0]["planned"], "act");
    assert_eq!(json["installs"][0]["install_id"], MINE);
    assert_eq!(json["reports"][2]["outcome"], "held");
    assert_eq!(json["exceptions"][0]["code"], "held");
    assert_eq!(json["approval"]["approver"], "Jo of Support");
    let back: Report = serde_json::from_value(json.clone()).expect("its own JSON");
    assert_eq!(serde_json::to_value(&back).expect("JSON"), json);
}

#[test]
fn the_markdown_reads_well() {
    let markdown = to_markdown(&erased().report());
    for line in [
        "# Report on erasure CRM-1042",
        "**Completed with exceptions: 4 below.**",
        "| Approved by | Jo of Support at 2026-11-20T12:00:00Z |",
        "| reports | deleted | 1 |",
        "| log rows | ages_out | 30 |",
        "| held |  | 2 items are held: shared: the install shows two or more user IDs | 2 |",
        "30 log rows cannot be deleted by API. App Center keeps none of them after **2026-12-19** (28 days after this report).",
        "| contoso/shop-android | logs | (not known) | 30 |",
        "| Microsoft (Visual Studio App Center) | 1 installs blocked, 1 reports deleted, 1 already gone |",
    ] {
        assert!(
            markdown.lines().any(|it| it.starts_with(line)),
            "{line}\n{markdown}"
        );
    }
}

#[test]
fn the_markdown_is_bounded() {
    let mut case = erased();
    if let Some(plan) = &mut case.plan {
        let one = plan.reports[0].clone();
        plan.reports = (0..20_000)
            .map(|n| ReportItem {
                id: format!("report-{n:05}"),
                ..one.clone()
            })
            .collect();
    }
    let markdown = to_markdown(&case.report());
    assert!(markdown.contains("… and 19800 more: see the JSON."));
    assert!(markdown.contains("report-00199") && !markdown.contains("report-00200"));
    assert!(markdown.len() < MAX_LISTED * 3_000, "{}", markdown.len());
}

proptest! {
    #[test]
    fn no_text_breaks_a_table(text in "(?s).{0,60}|[|\\\\`*<>\\[\\]\r\n a-z]{0,60}") {
        let mut case = erased();
        case.record.reference.clone_from(&text);
        if let Some(approval) = &mut case.record.approval {
            approval.approver.clone_from(&text);
        }
        if let Some(plan) = &mut case.plan {
            for item in &mut plan.reports {
                item.reason.clone_from(&text);
            }
            plan.unattributed.push(Unattributed {
                id: text.clone(),
                app: app(),
                blob: text.clone(),
                reason: text.clone(),
            });
        }
        cover(&mut case, |it| it.notes = vec![text.clone()]);
        case.unavailable = vec![LeftOut { what: text.clone(), reason: text.clone(), count: 1 }];
        let outcome = ItemOutcome {
            outcome: Outcome::Failed { reason: text.clone() },
            detail: Some(text.clone()),
        };
        case.outcomes.insert("report-1".to_owned(), outcome);
        let markdown = to_markdown(&case.report());
        let mut columns = None;
        for line in markdown.split('\n') {
            prop_assert!(!line.contains(char::is_control));
            prop_assert!(!line.contains('<') && !line.contains("](") && !line.contains('\\'));
            if line.starts_with('|') {
                let n = line.matches('|').count();
                prop_assert!(line.ends_with('|'));
                prop_assert_eq!(*columns.get_or_insert(n), n, "{}", line);
            } else {
                columns = None;
                prop_assert!(!line.contains('|'));
            }
        }
    }
}

#[test]
fn kinds_are_told_apart() {
    let mut case = erased();
    case.record.window = Some(crate::domain::Window {
        from: "2026-11-01".parse().expect("a day"),
        to: "2026-11-20".parse().expect("a day"),
    });
    let report = case.report();
    assert!(report.partial && report.kind == Kind::Delete);
    assert!(to_markdown(&report).starts_with("# Report on partial erasure CRM-1042\n"));
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("2026-11-01 to 2026-11-20"))
    );
    let mut case = exported();
    case.record.received_at = at("2026-09-01T00:00:00Z");
    let report = case.report();
    assert!(report.late && !report.partial);
    assert!(to_markdown(&report).contains("| Due | 2026-10-01 (late) |"));
}
