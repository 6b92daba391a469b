//! The plan of a request: everything that was found, each an item with an ID, to act on or to hold.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{AppRef, ErrorId, GroupId, InstallId, Kind, LegacyIds, RequestId};

/// Version of the plan's shape.
pub const SCHEMA: u32 = 1;

/// What is to be done with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Blocked, deleted or exported.
    Act,
    /// Left alone unless a person names its ID in `also`.
    Hold,
}

/// An installation of an app.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstallItem {
    /// The item's ID.
    pub id: String,
    /// The app it is blocked in.
    pub app: AppRef,
    /// The installation.
    pub install_id: InstallId,
    /// To act on or to hold.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// How it was found.
    pub provenance: Vec<String>,
    /// Log rows of it that the archive holds.
    pub rows: u64,
    /// How many different user IDs it shows.
    pub users: usize,
    /// How many different device models it shows.
    pub models: usize,
}

/// A crash or handled error.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReportItem {
    /// The item's ID.
    pub id: String,
    /// Its app.
    pub app: AppRef,
    /// Its group.
    pub group_id: GroupId,
    /// The report.
    pub error_id: ErrorId,
    /// The installation that sent it, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_id: Option<InstallId>,
    /// To act on or to hold.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// Archive blobs that hold it (they stay there: see the report's `residual_copies`).
    pub blobs: Vec<String>,
    /// What was fetched of it by API; an erasure removes it with the report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collected: Vec<String>,
    /// What the legacy API calls it, where only that one knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<LegacyIds>,
}

/// The person's log rows of one installation; they cannot be deleted by API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RowsItem {
    /// The item's ID.
    pub id: String,
    /// Their app.
    pub app: AppRef,
    /// The installation they are of, if they say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_id: Option<InstallId>,
    /// To export or to hold.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// How many.
    pub rows: u64,
}

/// A run of App Center Test. Runs belong to an app and name no person, so they are always held.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TestRunItem {
    /// The item's ID.
    pub id: String,
    /// Its app.
    pub app: AppRef,
    /// The run.
    pub run_id: Uuid,
    /// To delete or to hold.
    pub action: Action,
    /// Why.
    pub reason: String,
}

/// A record that was found and leads to no report.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Unattributed {
    /// The item's ID.
    pub id: String,
    /// The app that was searched.
    pub app: AppRef,
    /// The archive blob.
    pub blob: String,
    /// Why it leads nowhere.
    pub reason: String,
}

/// What was searched of one app.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// First and last day with data, if any.
    pub first_day: Option<Date>,
    /// See `first_day`.
    pub last_day: Option<Date>,
    /// Days with data.
    pub days: u64,
    /// Blobs searched, by stream.
    pub blobs: BTreeMap<String, u64>,
    /// Blobs of these that were not read, since the keyed index of their day says that they hold nobody who is looked for.
    #[serde(default, skip_serializing_if = "is_none")]
    pub passed_over: u64,
    /// Records searched.
    pub records: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Reports of the app that the archive holds.
    pub reports: u64,
    /// What was listed and fetched by API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<ApiCoverage>,
    /// Blobs that could not be read, with the reason.
    pub unreadable: Vec<Unreadable>,
    /// Parts that were not searched, with the limit that stopped it.
    pub not_searched: Vec<Unreadable>,
    /// Hits that belong to apps which the request does not name: counted, never acted on.
    pub hits_of_other_apps: u64,
    /// Days without data that evidence shows to be gaps.
    pub gaps: Vec<Gap>,
    /// What else limits the answer.
    pub notes: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

/// What was listed and fetched of an app by API.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiCoverage {
    /// Groups of crashes and errors.
    pub groups: u64,
    /// Reports listed.
    pub listed: u64,
    /// The day (UTC) of the oldest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Date>,
    /// Reports that could not be fetched.
    pub failed: u64,
}

/// A blob that was not read, or not whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The archive blob.
    pub blob: String,
    /// Why.
    pub reason: String,
}

/// Days for which evidence shows that data is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// First day without data.
    pub from: Date,
    /// Last day without data.
    pub to: Date,
    /// The evidence.
    pub evidence: String,
}

/// How much of what the plan holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Installs to act on.
    pub installs: u64,
    /// Reports to act on.
    pub reports: u64,
    /// Log rows to act on (export only).
    pub rows: u64,
    /// Items held.
    pub held: u64,
    /// Records that lead nowhere.
    pub unattributed: u64,
}

/// The plan. Its stored bytes are what is approved: `plan_sha256` is their hash.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The request it answers.
    pub request: RequestId,
    /// The request's run; `retry` makes a new one.
    pub run: u32,
    /// Export or erasure.
    pub kind: Kind,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether only a window of time was asked for.
    pub partial: bool,
    /// How much it holds.
    pub counts: Counts,
    /// What must be confirmed with `confirm_large`, if anything: the number of reports, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large: Option<Large>,
    /// Installations.
    pub installs: Vec<InstallItem>,
    /// Crashes and handled errors.
    pub reports: Vec<ReportItem>,
    /// Log rows.
    pub rows: Vec<RowsItem>,
    /// Runs of App Center Test, of a request that names `test`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test_runs: Vec<TestRunItem>,
    /// Records that lead nowhere.
    pub unattributed: Vec<Unattributed>,
    /// User IDs seen beside the person's; never followed.
    pub also_seen_here: Vec<AlsoSeen>,
    /// What was searched, by app (`owner/name`).
    pub coverage: BTreeMap<String, Coverage>,
}

/// Why a plan needs a second look before it is approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Large {
    /// The number that `confirm_large` must be equal to.
    pub confirm_large: u64,
    /// Which limits it is over.
    pub reasons: Vec<String>,
}

/// A user ID that an install of the person shows too.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlsoSeen {
    /// The app.
    pub app: AppRef,
    /// The installation.
    pub install_id: InstallId,
    /// The user ID.
    pub user_id: String,
}

impl std::fmt::Debug for AlsoSeen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AlsoSeen").finish_non_exhaustive()
    }
}

/// The ID of a plan's item: the same for the same thing in every run, and telling nothing about it.
#[must_use]
pub fn item_id(kind: &str, app: &AppRef, what: &str) -> String {
    let digest = Sha256::digest(format!("{kind}\n{app}\n{what}"));
    let hex: String = digest[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("{kind}-{hex}")
}

impl Plan {
    /// Whether there is anything to act on, or to release.
    #[must_use]
    pub fn has_items(&self) -> bool {
        !(self.installs.is_empty()
            && self.reports.is_empty()
            && self.rows.is_empty()
            && self.test_runs.is_empty())
    }

    /// What is planned for every item, with its ID: installs, reports, log rows, test runs.
    pub fn actions(&self) -> impl Iterator<Item = (&str, Action)> {
        let installs = self.installs.iter().map(|it| (it.id.as_str(), it.action));
        let reports = self.reports.iter().map(|it| (it.id.as_str(), it.action));
        let rows = self.rows.iter().map(|it| (it.id.as_str(), it.action));
        let runs = self.test_runs.iter().map(|it| (it.id.as_str(), it.action));
        installs.chain(reports).chain(rows).chain(runs)
    }

    /// Whether an item is acted on, given the IDs of held items that a person released.
    #[must_use]
    pub fn acts(action: Action, id: &str, also: &[String]) -> bool {
        action == Action::Act || also.iter().any(|it| it == id)
    }
}
