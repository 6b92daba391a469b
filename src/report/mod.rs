//! The report of a request: what was searched and what became of each item, in JSON and Markdown.
//!
//! It is composed once, when a run concludes, from the record, the plan and the outcomes; nothing here does I/O. Its
//! exceptions decide whether the request is completed or completed with exceptions.
//!
//! Two forms of it exist, and when each is stored is decided here:
//!
//! * [`Form::Full`] names install IDs, report IDs and archive blobs: a person must be able to follow every item. It is
//!   stored when the run concludes, and stays for [`FULL_DAYS`]: as long as a package does.
//! * [`Form::Archive`] is what stays for the 24 months of [`ARCHIVE_MONTHS`]: counts, item IDs and outcomes. `sweep`
//!   replaces the full form with it (see [`Report::without_identifiers`] and [`Report::is_due_for_archive`]), together
//!   with the plan, which names the same things.
//!
//! E-mail addresses, user IDs and terms are in neither: user IDs seen beside the person's are counted only, and texts
//! that came from elsewhere are looked through for what is or resembles an address or a UUID.

mod archive;
mod compose;
mod copies;
mod exceptions;
mod explain;
mod item;
mod markdown;
mod page;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use compose::{Arrived, Inputs, LogCopies, SetupException};
pub use exceptions::{Code, Exception};
pub use item::{Item, ItemOutcome, Outcome};
pub use markdown::to_markdown;
pub use page::MAX_LISTED;

use crate::domain::document::{Include, Window};
use crate::domain::hit::Stream;
use crate::domain::plan::Coverage;
use crate::domain::{AppRef, ErrorId, InstallId, Jurisdiction, Kind, RequestId};
use crate::package::LeftOut;
use crate::workflow::record::{Approval, PackageRef, Status};

/// Version of the report's shape.
pub const SCHEMA: u32 = 1;
/// Days after its conclusion for which a report names install IDs, report IDs and blobs, unless set otherwise.
pub const FULL_DAYS: i32 = 30;
/// Months for which counts and outcomes are kept.
pub const ARCHIVE_MONTHS: i32 = 24;

/// Most exceptions that the record repeats.
pub const MAX_LINES: usize = 100;

/// How much a report tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// With install IDs, report IDs and blob names.
    Full,
    /// Counts and outcomes only.
    Archive,
}

/// How many items came to which outcome, by the outcome's name.
pub type Tally = BTreeMap<String, u64>;

/// What became of everything, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tallies {
    /// Installations.
    pub installs: Tally,
    /// Crashes and handled errors.
    pub reports: Tally,
    /// Log rows (rows, not items).
    pub rows: Tally,
    /// Runs of App Center Test, of a request that names `test`.
    #[serde(default, skip_serializing_if = "Tally::is_empty")]
    pub test_runs: Tally,
}

/// A record that was found and leads to no report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnattributedItem {
    /// The item's ID.
    pub id: String,
    /// The app that was searched.
    pub app: AppRef,
    /// The archive blob; gone from the archive form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// Why it leads nowhere.
    pub reason: String,
}

/// What the search after the block found that the plan does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivedAfterApproval {
    /// How many installs and reports.
    pub total: u64,
    /// The first of them; none in the archive form.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ArrivedItem>,
}

/// One install or report that arrived after the approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArrivedItem {
    /// Its app.
    pub app: AppRef,
    /// The installation, if it is one, or the one it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_id: Option<InstallId>,
    /// The report, if it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_id: Option<ErrorId>,
    /// The archive blobs that hold it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blobs: Vec<String>,
}

impl ArrivedItem {
    /// A report.
    #[must_use]
    pub fn report(app: AppRef, error_id: Option<ErrorId>, blobs: Vec<String>) -> Self {
        Self {
            app,
            install_id: None,
            error_id,
            blobs,
        }
    }

    /// An install.
    #[must_use]
    pub fn install(app: AppRef, install_id: InstallId) -> Self {
        Self {
            app,
            install_id: Some(install_id),
            error_id: None,
            blobs: Vec::new(),
        }
    }
}

/// Copies of the person's data that stay in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidualCopy {
    /// The app.
    pub app: AppRef,
    /// Which part of the archive.
    pub stream: Stream,
    /// The blob, where one is named; else this line is a sum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// How many blobs; 0 when that is not known.
    pub blobs: u64,
    /// How many records of the person they hold.
    pub records: u64,
}

/// The log rows that App Center itself holds: no call deletes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgeingRows {
    /// How many were found.
    pub rows: u64,
    /// The day by whose end App Center keeps none of them: 28 days after the last one.
    pub gone_by: Date,
    /// Whether the last row's own time is known; else the day counts from the conclusion.
    pub from_last_row: bool,
}

/// Who has, or had, the data, and what they were told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Who.
    pub name: String,
    /// What was done there.
    pub outcome: String,
}

/// A request's report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// How much it tells.
    pub form: Form,
    /// Hash of the full form's bytes, once that is replaced by the archive form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_sha256: Option<String>,
    /// The request.
    pub request: RequestId,
    /// The caller's name for it.
    pub reference: String,
    /// Export or erasure.
    pub kind: Kind,
    /// Whose law sets the clock.
    pub jurisdiction: Jurisdiction,
    /// When the person asked.
    pub received_at: Timestamp,
    /// The day by whose end it must be answered.
    pub due: Date,
    /// Whether it was concluded after that day.
    pub late: bool,
    /// Which run it is of.
    pub run: u32,
    /// When the run concluded.
    pub concluded_at: Timestamp,
    /// How it ended.
    pub status: Status,
    /// The apps.
    pub apps: Vec<AppRef>,
    /// Which data was asked for.
    pub include: Vec<Include>,
    /// Which time was asked for; none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
    /// Whether it is an erasure of a window only: what lies outside stays.
    pub partial: bool,
    /// Hash of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_sha256: Option<String>,
    /// Who approved what, of an erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// The package, of an export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageRef>,
    /// Nothing that was planned could be done, or nothing could be planned.
    pub failed: bool,
    /// What became of everything, in numbers.
    pub tallies: Tallies,
    /// Why nothing was found, when nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing_found: Option<String>,
    /// What keeps the request from being completed without a but. Their order is that of [`Code`].
    pub exceptions: Vec<Exception>,
    /// What else should be known.
    pub notes: Vec<String>,
    /// What was searched, by app (`owner/name`).
    pub searched: BTreeMap<String, Coverage>,
    /// Installations.
    pub installs: Vec<Item>,
    /// Crashes and handled errors.
    pub reports: Vec<Item>,
    /// Log rows.
    pub rows: Vec<Item>,
    /// Runs of App Center Test, of a request that names `test`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test_runs: Vec<Item>,
    /// Items that were held and not released: how many, by reason.
    pub held: BTreeMap<String, u64>,
    /// Records that lead to no report.
    pub unattributed: Vec<UnattributedItem>,
    /// User IDs seen on the person's installs beside theirs. The plan names them, the report never.
    pub also_seen_here: u64,
    /// What arrived between plan and block.
    pub arrived_after_approval: ArrivedAfterApproval,
    /// What could not be had, and why.
    pub unavailable: Vec<LeftOut>,
    /// Copies that stay in the archive, of an erasure.
    pub residual_copies: Vec<ResidualCopy>,
    /// Log rows that stay in App Center until they are too old, of an erasure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ageing_rows: Option<AgeingRows>,
    /// Who has, or had, the data.
    pub recipients: Vec<Recipient>,
}

impl Report {
    /// Every item: installs, reports, log rows, test runs.
    pub fn items(&self) -> impl Iterator<Item = &Item> {
        let found = self.installs.iter().chain(&self.reports);
        found.chain(&self.rows).chain(&self.test_runs)
    }

    /// Whether another run could still do something, so that the person's identifiers must stay in the record.
    ///
    /// An export's record keeps them in any case: what is erased with completion is what an erasure knows, and a package
    /// that expired can be made again.
    #[must_use]
    pub fn needs_identifiers(&self) -> bool {
        let is_undecided = matches!(self.status, Status::Rejected | Status::Cancelled);
        self.kind == Kind::Export
            || is_undecided
            || self.exceptions.iter().any(|it| it.retry_may_help)
    }

    /// The exceptions as lines for the record, `code: text`; at most [`MAX_LINES`] and one that says how many more.
    #[must_use]
    pub fn exception_lines(&self) -> Vec<String> {
        let lines = self.exceptions.iter().take(MAX_LINES);
        let mut lines: Vec<String> = lines.map(ToString::to_string).collect();
        if let Some(more) = self.exceptions.len().checked_sub(MAX_LINES)
            && more > 0
        {
            lines.push(format!("and {more} more: see the report"));
        }
        lines
    }

    /// Whether the full form has been kept for `days` and must make room for the archive form.
    #[must_use]
    pub fn is_due_for_archive(&self, now: Timestamp, days: i32) -> bool {
        let age = now.duration_since(self.concluded_at);
        self.form == Form::Full && age >= jiff::SignedDuration::from_hours(24 * i64::from(days))
    }
}
