//! From record, plan and outcomes to the report. Pure.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::exceptions;
use super::item::{Item, ItemOutcome, Outcome};
use super::text::scrub;
use super::{
    AgeingRows, ArrivedAfterApproval, ArrivedItem, Form, Recipient, Report, ResidualCopy, SCHEMA,
    Tallies, Tally, UnattributedItem, archive,
};
use crate::domain::hit::Stream;
use crate::domain::plan::{Action, Coverage, Plan, Unreadable};
use crate::domain::{AppRef, Kind};
use crate::package::LeftOut;
use crate::workflow::record::{PackageRef, Record, Status};

/// How long App Center keeps raw analytics.
const ANALYTICS: SignedDuration = SignedDuration::from_hours(28 * 24);
/// Residual copies that are named; more are summed up.
const MAX_RESIDUAL: usize = 100_000;
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
        self.tallies = Tallies {
            installs: tally(&self.installs, |_item| 1),
            reports: tally(&self.reports, |_item| 1),
            rows: tally(&self.rows, |item| item.rows.unwrap_or(0)),
        };
        for item in self.installs.iter().chain(&self.reports).chain(&self.rows) {
            if item.outcome == Outcome::Held {
                *self.held.entry(item.reason.clone()).or_default() += 1;
            }
        }
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
        let items = || self.installs.iter().chain(&self.reports).chain(&self.rows);
        let is_done = |item: &Item| {
            matches!(
                item.outcome,
                Outcome::Blocked | Outcome::Deleted | Outcome::AlreadyGone | Outcome::Exported
            )
        };
        let was_undone = items().any(|item| item.outcome.undone().is_some());
        !has_plan
            || (was_undone && !items().any(is_done))
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
            (Status::Cancelled, ..) => not_attempted("the request was cancelled"),
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

/// The archive's copies of what is acted on, and of what leads nowhere.
fn residual(plan: &Plan, inputs: &Inputs<'_>, rows: &[Item]) -> Vec<ResidualCopy> {
    let mut blobs: BTreeMap<(&AppRef, &str), u64> = BTreeMap::new();
    let acted = plan
        .reports
        .iter()
        .filter(|it| Plan::acts(it.action, &it.id, inputs.record.also()));
    for report in acted {
        for blob in &report.blobs {
            *blobs.entry((&report.app, blob)).or_default() += 1;
        }
    }
    for loose in plan.unattributed.iter().filter(|it| !it.blob.is_empty()) {
        *blobs.entry((&loose.app, &loose.blob)).or_default() += 1;
    }
    let mut named_rows: BTreeMap<&AppRef, u64> = BTreeMap::new();
    for copy in inputs.log_copies {
        *blobs.entry((&copy.app, &copy.blob)).or_default() += copy.records;
        *named_rows.entry(&copy.app).or_default() += copy.records;
    }
    let copies = blobs
        .into_iter()
        .map(|((app, blob), records)| ResidualCopy {
            app: app.clone(),
            stream: Stream::of(blob),
            blob: Some(blob.to_owned()),
            blobs: 1,
            records,
        });
    // Rows that the plan counts and no blob was named for.
    let mut counted: BTreeMap<&AppRef, u64> = BTreeMap::new();
    for item in rows.iter().filter(|item| item.outcome != Outcome::Held) {
        *counted.entry(&item.app).or_default() += item.rows.unwrap_or(0);
    }
    let unnamed = counted.into_iter().filter_map(|(app, n)| {
        let records = n.saturating_sub(named_rows.get(app).copied().unwrap_or(0));
        (records > 0).then(|| ResidualCopy {
            app: app.clone(),
            stream: Stream::Logs,
            blob: None,
            blobs: 0,
            records,
        })
    });
    archive::bounded(copies.chain(unnamed).collect(), MAX_RESIDUAL)
}

/// Log rows in App Center: no call deletes them, and it keeps them 28 days.
fn ageing(rows: &[Item], inputs: &Inputs<'_>) -> Option<AgeingRows> {
    let acted = rows.iter().filter(|item| item.outcome == Outcome::AgesOut);
    let rows: u64 = acted.map(|item| item.rows.unwrap_or(0)).sum();
    let from = inputs.last_row.unwrap_or(inputs.concluded_at);
    let gone_by = from.checked_add(ANALYTICS).unwrap_or(Timestamp::MAX);
    (rows > 0).then(|| AgeingRows {
        rows,
        gone_by: gone_by.to_zoned(TimeZone::UTC).date(),
        from_last_row: inputs.last_row.is_some(),
    })
}

/// Why nothing was found: a result, said with all that limits it.
fn nothing_found(report: &Report, record: &Record) -> String {
    let mut asked = Vec::new();
    if let Some(subject) = &record.subject {
        for (n, one) in [
            (subject.install_ids.len(), "install ID"),
            (subject.user_ids.len(), "user ID"),
            (subject.emails.len(), "e-mail address"),
            (subject.terms.len(), "term"),
        ] {
            match n {
                0 => {}
                1 => asked.push(format!("1 {one}")),
                n => asked.push(format!(
                    "{n} {one}{}",
                    if one.ends_with('s') { "es" } else { "s" }
                )),
            }
        }
    }
    let asked = if asked.is_empty() {
        "the given identifiers".to_owned()
    } else {
        asked.join(", ")
    };
    let all = || report.searched.values();
    let blobs: u64 = all().flat_map(|it| it.blobs.values()).sum();
    let records: u64 = all().map(|it| it.records).sum();
    let unread = all()
        .map(|it| it.unreadable.len() + it.not_searched.len())
        .sum::<usize>();
    let gaps = all().map(|it| it.gaps.len()).sum::<usize>();
    let limits = match (unread, gaps) {
        (0, 0) => "Everything that the archive holds of them could be read.".to_owned(),
        _ => format!(
            "Not covered: {unread} blobs that could not be read as a whole, and {gaps} gaps in the archive."
        ),
    };
    let blocked = match report.tallies.installs.get(Outcome::Blocked.name()) {
        Some(_) => " The install IDs that the request gives were blocked all the same.",
        None => "",
    };
    format!(
        "No record was found that holds what was searched for ({asked}). This is the result of reading {blobs} blobs with \
         {records} records, as listed under \"searched\" by app, days and stream; it says nothing of what is not listed \
         there. {limits}{blocked} Data that names nobody can only be found by install ID: a person who can read theirs \
         from the app can give it in a new request."
    )
}

/// Facts that a reader of the report should know.
fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if let (true, Some(window)) = (report.partial, report.window) {
        notes.push(format!(
            "This is a partial erasure: only records of {} to {} (UTC, by the record's own time) were asked for; what lies outside stays.",
            window.from, window.to
        ));
    }
    let deleted = report.tallies.reports.get(Outcome::Deleted.name());
    if deleted.is_some_and(|n| *n > 0) {
        notes.push(
            "App Center says of a deleted report that searchable data may take up to 30 days to go. A group of errors \
             stays, with the message of its first report; no call deletes a group."
                .to_owned(),
        );
    }
    if report.also_seen_here > 0 {
        notes.push(format!(
            "{} other user IDs were seen on the person's installs. They are listed in the plan and were not followed.",
            report.also_seen_here
        ));
    }
    for (app, coverage) in &report.searched {
        if coverage.hits_of_other_apps > 0 {
            notes.push(format!(
                "{} records with the identifiers belong to apps that the request does not name (seen while {app} was searched). They were left alone.",
                coverage.hits_of_other_apps
            ));
        }
    }
    if report.late {
        notes.push(format!(
            "The request was due on {} and concluded later.",
            report.due
        ));
    }
    notes
}

/// Who has, or had, the data (GDPR, article 19: recipients are told of an erasure, and the person of them).
fn recipients(report: &Report) -> Vec<Recipient> {
    let done = |tally: &Tally, outcome: &Outcome| tally.get(outcome.name()).copied().unwrap_or(0);
    let service = match report.kind {
        Kind::Export => "data was read; nothing was changed".to_owned(),
        Kind::Delete => format!(
            "{} installs blocked, {} reports deleted, {} already gone",
            done(&report.tallies.installs, &Outcome::Blocked),
            done(&report.tallies.reports, &Outcome::Deleted),
            done(&report.tallies.reports, &Outcome::AlreadyGone),
        ),
    };
    let records: u64 = report.residual_copies.iter().map(|it| it.records).sum();
    let archive = match (report.kind, records) {
        (Kind::Export, _) => "data was read; nothing was changed".to_owned(),
        (Kind::Delete, 0) => "nothing of the person is known to be there".to_owned(),
        (Kind::Delete, n) => format!("{n} records of the person stay: see the residual copies"),
    };
    [
        ("Microsoft (Visual Studio App Center)", service),
        ("Azure Storage (archive of App Center's exports)", archive),
    ]
    .map(|(name, outcome)| Recipient {
        name: name.to_owned(),
        outcome,
    })
    .into()
}
