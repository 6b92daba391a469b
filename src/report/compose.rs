//! From record, plan and outcomes to the report. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::copies::{ageing, residual};
use super::exceptions;
use super::explain::{notes, nothing_found, recipients};
use super::item::{Item, ItemOutcome, Outcome};
use super::text::scrub;
use super::{
    ArrivedAfterApproval, ArrivedItem, Form, Report, SCHEMA, Tallies, Tally, UnattributedItem,
};
use crate::domain::plan::{Action, Coverage, Plan, Unreadable};
use crate::domain::{AppRef, Kind};
use crate::package::LeftOut;
use crate::workflow::record::{PackageRef, Record, Status};

/// Arrivals that are named; more are counted.
const MAX_ARRIVED: usize = 1_000;

/// Something that setting up an app's export met, which keeps the answer from being whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupException {
    /// The app.
    pub app: Option<AppRef>,
    /// What it is, in words, without anything personal.
    pub text: String,
}

/// What the search after the block found that the plan does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrived {
    /// The first of them.
    pub items: Vec<ArrivedItem>,
    /// How many there are in all.
    pub total: u64,
    /// Why the search could not be used, if it could not.
    pub failed: Option<String>,
}

/// Log rows of the person in the archive, of the items that are acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogCopies {
    /// The app.
    pub app: AppRef,
    /// The archive blob.
    pub blob: String,
    /// How many rows of the person it holds.
    pub records: u64,
}

/// What a report is made of.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The request's record.
    pub record: &'a Record,
    /// The plan of its run, if there is one.
    pub plan: Option<&'a Plan>,
    /// What became of the plan's items, by their IDs.
    ///
    /// An item that is acted on and is not here was not attempted; but an erasure's log rows age out, and an install is
    /// exported with the package.
    pub outcomes: &'a BTreeMap<String, ItemOutcome>,
    /// What arrived after the approval.
    pub arrived: &'a Arrived,
    /// What setting up the exports met.
    pub setup: &'a [SetupException],
    /// What could not be had, and why.
    pub unavailable: &'a [LeftOut],
    /// Archive blobs with log rows of the person, of an erasure. Without any, the plan's numbers stand alone.
    pub log_copies: &'a [LogCopies],
    /// Time of the person's last log row, if known.
    pub last_row: Option<Timestamp>,
    /// The package.
    pub package: Option<&'a PackageRef>,
    /// Now.
    pub concluded_at: Timestamp,
}

impl Report {
    /// Composes the report of a run.
    #[must_use]
    pub fn compose(inputs: Inputs<'_>) -> Self {
        let record = inputs.record;
        let today = inputs.concluded_at.to_zoned(TimeZone::UTC).date();
        let mut report = Self {
            schema: SCHEMA,
            form: Form::Full,
            full_sha256: None,
            request: record.id.clone(),
            reference: record.reference.clone(),
            kind: record.kind,
            jurisdiction: record.jurisdiction,
            received_at: record.received_at,
            due: record.due(),
            late: today > record.due(),
            run: record.run,
            concluded_at: inputs.concluded_at,
            status: record.status,
            apps: record.apps.clone(),
            include: record.include.clone(),
            window: record.window,
            partial: record.kind == Kind::Delete && record.window.is_some(),
            plan_sha256: record.plan.as_ref().map(|plan| plan.sha256.clone()),
            approval: record.approval.clone(),
            package: inputs.package.cloned(),
            failed: false,
            tallies: Tallies::default(),
            nothing_found: None,
            exceptions: Vec::new(),
            notes: Vec::new(),
            searched: inputs
                .plan
                .map(|plan| searched(plan, inputs.setup))
                .unwrap_or_default(),
            installs: Vec::new(),
            reports: Vec::new(),
            rows: Vec::new(),
            test_runs: Vec::new(),
            held: BTreeMap::new(),
            unattributed: Vec::new(),
            also_seen_here: 0,
            arrived_after_approval: arrived(inputs.arrived),
            unavailable: inputs.unavailable.iter().map(left_out).collect(),
            residual_copies: Vec::new(),
            ageing_rows: None,
            recipients: Vec::new(),
        };
        if let Some(plan) = inputs.plan {
            report.add_plan(plan, &inputs);
        }
        report.exceptions = exceptions::of(&report, &inputs);
        report.failed = report.is_failed(inputs.plan.is_some());
        report.status = match record.status {
            decided @ (Status::Rejected | Status::Cancelled) => decided,
            _ if report.failed => Status::Failed,
            _ if report.exceptions.is_empty() => Status::Completed,
            _ => Status::CompletedWithExceptions,
        };
        report.notes = notes(&report);
        report.recipients = recipients(&report);
        report
    }

    fn add_plan(&mut self, plan: &Plan, inputs: &Inputs<'_>) {
        let fate = Fate { inputs };
        self.installs = plan
            .installs
            .iter()
            .map(|it| Item {
                install_id: Some(it.install_id),
                rows: Some(it.rows),
                ..fate.item(&it.id, &it.app, it.action, &it.reason, Part::Install)
            })
            .collect();
        self.reports = plan
            .reports
            .iter()
            .map(|it| Item {
                install_id: it.install_id,
                group_id: Some(it.group_id.clone()),
                error_id: Some(it.error_id.clone()),
                ..fate.item(&it.id, &it.app, it.action, &it.reason, Part::Report)
            })
            .collect();
        self.rows = plan
            .rows
            .iter()
            .map(|it| Item {
                install_id: it.install_id,
                rows: Some(it.rows),
                ..fate.item(&it.id, &it.app, it.action, &it.reason, Part::Rows)
            })
            .collect();
        self.test_runs = plan
            .test_runs
            .iter()
            .map(|it| Item {
                test_run_id: Some(it.run_id),
                ..fate.item(&it.id, &it.app, it.action, &it.reason, Part::TestRun)
            })
            .collect();
        self.tallies = Tallies {
            installs: tally(&self.installs, |_item| 1),
            reports: tally(&self.reports, |_item| 1),
            rows: tally(&self.rows, |item| item.rows.unwrap_or(0)),
            test_runs: tally(&self.test_runs, |_item| 1),
        };
        let mut held = BTreeMap::new();
        for item in self.items().filter(|it| it.outcome == Outcome::Held) {
            *held.entry(item.reason.clone()).or_default() += 1;
        }
        self.held = held;
        self.unattributed = plan
            .unattributed
            .iter()
            .map(|it| UnattributedItem {
                id: it.id.clone(),
                app: it.app.clone(),
                blob: Some(it.blob.clone()),
                reason: it.reason.clone(),
            })
            .collect();
        self.also_seen_here = count(plan.also_seen_here.len());
        let has_records = !(plan.reports.is_empty()
            && plan.rows.is_empty()
            && plan.unattributed.is_empty()
            && plan.installs.iter().all(|it| it.rows == 0));
        if !has_records {
            self.nothing_found = Some(nothing_found(self, inputs.record));
        }
        if self.kind == Kind::Delete && self.status != Status::Rejected {
            self.residual_copies = residual(plan, inputs, &self.rows);
            self.ageing_rows = ageing(&self.rows, inputs);
        }
    }

    /// Nothing could be planned, or nothing of what was planned could be done.
    fn is_failed(&self, has_plan: bool) -> bool {
        if matches!(self.status, Status::Rejected | Status::Cancelled) {
            return false;
        }
        let is_done = |item: &Item| {
            matches!(
                item.outcome,
                Outcome::Blocked | Outcome::Deleted | Outcome::AlreadyGone | Outcome::Exported
            )
        };
        let was_undone = self.items().any(|item| item.outcome.undone().is_some());
        !has_plan
            || (was_undone && !self.items().any(is_done))
            || self
                .exceptions
                .iter()
                .any(|it| it.code == exceptions::Code::PackageMissing)
    }
}

/// What kind of thing an item is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Install,
    Report,
    Rows,
    TestRun,
}

/// Tells what became of items.
struct Fate<'a, 'b> {
    inputs: &'b Inputs<'a>,
}

impl Fate<'_, '_> {
    fn item(&self, id: &str, app: &AppRef, planned: Action, reason: &str, part: Part) -> Item {
        let record = self.inputs.record;
        let acts = Plan::acts(planned, id, record.also());
        let ItemOutcome { outcome, detail } = match self.inputs.outcomes.get(id) {
            Some(known) if acts => known.clone(),
            // Only what is acted on has an outcome of its own; whatever is said of another item is not believed.
            _ if acts => self.default(part).into(),
            _ => Outcome::Held.into(),
        };
        Item {
            id: id.to_owned(),
            app: app.clone(),
            install_id: None,
            group_id: None,
            error_id: None,
            test_run_id: None,
            rows: None,
            planned,
            reason: reason.to_owned(),
            released: acts && planned == Action::Hold,
            outcome: outcome.scrubbed(),
            detail: detail.map(|detail| scrub(&detail)),
        }
    }

    /// The outcome of an item that is acted on, of which no stage tells.
    fn default(&self, part: Part) -> Outcome {
        let record = self.inputs.record;
        let not_attempted = |reason: &str| Outcome::NotAttempted {
            reason: reason.to_owned(),
        };
        match (record.status, record.kind, part) {
            (Status::Rejected, ..) => not_attempted("the plan was rejected"),
            (Status::Cancelled, ..) => {
                not_attempted("the request was cancelled, or run anew, before its turn")
            }
            (_, Kind::Delete, Part::Rows) => Outcome::AgesOut,
            // An install is no file of its own: its rows and reports are.
            (_, Kind::Export, Part::Install) if self.inputs.package.is_some() => Outcome::Exported,
            _ => not_attempted("no outcome of it was recorded"),
        }
    }
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn tally(items: &[Item], weight: impl Fn(&Item) -> u64) -> Tally {
    let mut tally = Tally::new();
    for item in items {
        *tally.entry(item.outcome.name().to_owned()).or_default() += weight(item);
    }
    tally
}

/// Coverage with its texts looked through, and without the notes that are exceptions of their own. Blob names stay:
/// they are needed, and go with the full form.
fn searched(plan: &Plan, setup: &[SetupException]) -> BTreeMap<String, Coverage> {
    let clean = |parts: &[Unreadable]| {
        let part = |it: &Unreadable| Unreadable {
            blob: it.blob.clone(),
            reason: scrub(&it.reason),
        };
        parts.iter().map(part).collect()
    };
    let is_note = |note: &&String| setup.iter().all(|it| it.text != **note);
    let of = |(app, coverage): (&String, &Coverage)| {
        let notes = coverage.notes.iter().filter(is_note);
        let coverage = Coverage {
            unreadable: clean(&coverage.unreadable),
            not_searched: clean(&coverage.not_searched),
            notes: notes.map(|note| scrub(note)).collect(),
            ..coverage.clone()
        };
        (app.clone(), coverage)
    };
    plan.coverage.iter().map(of).collect()
}

fn left_out(it: &LeftOut) -> LeftOut {
    LeftOut {
        what: scrub(&it.what),
        reason: scrub(&it.reason),
        count: it.count,
    }
}

fn arrived(arrived: &Arrived) -> ArrivedAfterApproval {
    ArrivedAfterApproval {
        total: arrived.total.max(count(arrived.items.len())),
        items: arrived.items.iter().take(MAX_ARRIVED).cloned().collect(),
    }
}
