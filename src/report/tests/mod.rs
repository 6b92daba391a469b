//! Worked examples: a plan and outcomes in, a report out.

mod forms;
mod outcomes;

use std::collections::BTreeMap;

use super::{Arrived, Code, Inputs, ItemOutcome, LogCopies, Outcome, Report, SetupException};
use crate::domain::plan::{
    Action, AlsoSeen, Counts, Coverage, InstallItem, Plan, ReportItem, RowsItem, SCHEMA, item_id,
};
use crate::domain::{AppRef, Document};
use crate::package::LeftOut;
use crate::workflow::record::{Approval, PackageRef, Record, Status};
use jiff::Timestamp;

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
        test_runs: Vec::new(),
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
        collected: Vec::new(),
        legacy: None,
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

fn cover(case: &mut Case, change: impl Fn(&mut Coverage)) {
    if let Some(plan) = &mut case.plan {
        plan.coverage.values_mut().for_each(change);
    }
}
