//! A request's record: the one place that decides what happens next.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Step;
use crate::domain::document::{Include, Window};
use crate::domain::plan::{Counts, Large};
use crate::domain::{AppRef, Document, Jurisdiction, Kind, RequestId, Subject, due};

/// Version of the record's shape. A record of a newer version is refused and left as it is.
pub const SCHEMA: u32 = 1;
/// Most entries of the history that are kept; the first and the latest stay.
const MAX_HISTORY: usize = 200;
/// Most runs that are left without a report: more often a request is not run anew while its plan is carried out.
pub(super) const MAX_LEFT: usize = 50;

/// Where a request stands, as its callers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Stored, not started.
    Received,
    /// Stages are at work.
    Running,
    /// A person must look at the plan.
    AwaitingApproval,
    /// Done, nothing left out.
    Completed,
    /// Done, but for what the report names.
    CompletedWithExceptions,
    /// Could not be done.
    Failed,
    /// A person rejected the plan.
    Rejected,
    /// A person cancelled it.
    Cancelled,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 8] = [
        Self::Received,
        Self::Running,
        Self::AwaitingApproval,
        Self::Completed,
        Self::CompletedWithExceptions,
        Self::Failed,
        Self::Rejected,
        Self::Cancelled,
    ];

    /// Whether nothing more happens by itself.
    #[must_use]
    pub fn is_ended(self) -> bool {
        !matches!(
            self,
            Self::Received | Self::Running | Self::AwaitingApproval
        )
    }

    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Running => "running",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Completed => "completed",
            Self::CompletedWithExceptions => "completed_with_exceptions",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The stored plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRef {
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// Which run made it.
    pub run: u32,
    /// When.
    pub at: Timestamp,
    /// How much it holds.
    pub counts: Counts,
    /// What must be confirmed, if it is large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large: Option<Large>,
}

/// The approval of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who approved.
    pub approver: String,
    /// When.
    pub at: Timestamp,
    /// Hash of what was approved.
    pub plan_sha256: String,
    /// Held items released by ID.
    pub also: Vec<String>,
}

/// The stored package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageRef {
    /// SHA-256 of its bytes, hex.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
    /// When it expires by retention; set once it is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
}

/// A run that a retry ended while its approved plan was carried out: what its report is made of, besides its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftRun {
    /// The run.
    pub run: u32,
    /// When it was left.
    pub at: Timestamp,
    /// Its plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanRef>,
    /// The approval.
    pub approval: Approval,
    /// Its steps.
    pub steps: BTreeMap<Step, StepState>,
}

/// How far a step of the current run is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Items it holds.
    #[serde(default)]
    pub planned: u64,
    /// Items done, once it ended.
    #[serde(default)]
    pub done: u64,
    /// Items failed, once it ended.
    #[serde(default)]
    pub failed: u64,
}

/// One line of the request's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// What happened, in a fixed vocabulary.
    pub what: String,
    /// Who did it, if a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Why, in the person's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The record of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The request's ID.
    pub id: RequestId,
    /// Export or erasure.
    pub kind: Kind,
    /// The caller's name for it.
    pub reference: String,
    /// Whose law sets the clock.
    pub jurisdiction: Jurisdiction,
    /// When the person asked.
    pub received_at: Timestamp,
    /// When we stored it.
    pub created_at: Timestamp,
    /// Whether the due date was extended.
    #[serde(default)]
    pub extended: bool,
    /// The apps it is about.
    pub apps: Vec<AppRef>,
    /// Which data is meant.
    pub include: Vec<Include>,
    /// Which time is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// The person; gone once an erasure is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// HMAC of reference and content, by which the same request is known again.
    pub fingerprint: String,
    /// As callers see it.
    pub status: Status,
    /// Where it is; none before it starts and after it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// 1, then one more with each `retry`.
    pub run: u32,
    /// The steps of this run.
    #[serde(default)]
    pub steps: BTreeMap<Step, StepState>,
    /// The plan of this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanRef>,
    /// Its approval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// The package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageRef>,
    /// Earlier runs whose report is not written yet; it is when the request ends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<LeftRun>,
    /// Hash of the report's bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_sha256: Option<String>,
    /// Why it failed, or what its exceptions are, a line each.
    #[serde(default)]
    pub exceptions: Vec<String>,
    /// What happened.
    pub history: Vec<Entry>,
    /// When anything here changed last.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// What retention has removed already.
    #[serde(default)]
    pub work_removed: bool,
}

impl Record {
    /// The record of a document that was just accepted.
    #[must_use]
    pub fn new(document: Document, fingerprint: String, now: Timestamp) -> Self {
        let id = RequestId::derive(kind_name(document.kind), &document.reference);
        Self {
            schema: SCHEMA,
            id,
            kind: document.kind,
            reference: document.reference,
            jurisdiction: document.jurisdiction,
            received_at: document.received_at,
            created_at: now,
            extended: false,
            apps: document.apps,
            include: document.include,
            window: document.window,
            subject: Some(document.subject),
            fingerprint,
            status: Status::Received,
            step: None,
            run: 1,
            steps: BTreeMap::new(),
            plan: None,
            approval: None,
            package: None,
            left: Vec::new(),
            report_sha256: None,
            exceptions: Vec::new(),
            history: vec![Entry {
                at: now,
                what: "received".to_owned(),
                by: None,
                reason: None,
            }],
            updated_at: now,
            ended_at: None,
            work_removed: false,
        }
    }

    /// The day by whose end it must be answered.
    #[must_use]
    pub fn due(&self) -> Date {
        due::due(self.jurisdiction, self.received_at, self.extended)
    }

    /// Adds a line to the history.
    pub fn note(&mut self, at: Timestamp, what: &str, by: Option<&str>, reason: Option<&str>) {
        if self.history.len() >= MAX_HISTORY {
            self.history.remove(1);
        }
        self.history.push(Entry {
            at,
            what: what.to_owned(),
            by: by.map(str::to_owned),
            reason: reason.map(str::to_owned),
        });
    }

    /// The record as a run that was left had it, ended when it was left.
    #[must_use]
    pub fn as_left(&self, left: &LeftRun) -> Self {
        Self {
            run: left.run,
            plan: left.plan.clone(),
            approval: Some(left.approval.clone()),
            steps: left.steps.clone(),
            status: Status::Cancelled,
            step: None,
            ended_at: Some(left.at),
            package: None,
            report_sha256: None,
            exceptions: Vec::new(),
            ..self.clone()
        }
    }

    /// The held items that were released.
    #[must_use]
    pub fn also(&self) -> &[String] {
        self.approval
            .as_ref()
            .map_or(&[], |approval| approval.also.as_slice())
    }
}

/// A kind's name in JSON.
#[must_use]
pub fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Export => "export",
        Kind::Delete => "delete",
    }
}
