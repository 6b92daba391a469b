//! What a search found: where, what it says of itself, and which identifiers of the person it holds.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ErrorId, GroupId, InstallId, LegacyIds};

/// Why a record was found, from strong to weak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It holds an install ID that was searched for.
    InstallId,
    /// It holds a user ID as a whole value.
    UserId,
    /// It holds an e-mail address.
    Email,
    /// It holds a user ID only as a token inside text.
    UserIdToken,
    /// It holds a term.
    Term,
    /// It names a report or payload blob that was found before.
    Link,
}

impl Reason {
    /// Whether the record itself names the person, beyond doubt.
    #[must_use]
    pub fn names_the_person(self) -> bool {
        matches!(self, Self::UserId | Self::Email)
    }
}

/// Which part of the archive a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// `logs.v1.data`: rows.
    Logs,
    /// `crashes/`: one report a blob.
    Crashes,
    /// `errors/`: one report a blob.
    Errors,
    /// `attachments/`: files that came with a report.
    Attachments,
    /// Anything else under the prefix.
    Other,
}

impl Stream {
    /// Tells it from a blob's name: by its folders, in any case. A file of a report may itself be called `logs`.
    #[must_use]
    pub fn of(blob: &str) -> Self {
        let (folders, file) = blob.rsplit_once('/').unwrap_or(("", blob));
        let is_below = |folder: &str| folders.split('/').any(|it| it.eq_ignore_ascii_case(folder));
        if is_below("attachments") {
            Self::Attachments
        } else if is_below("crashes") {
            Self::Crashes
        } else if is_below("errors") {
            Self::Errors
        } else if file
            .get(..4)
            .is_some_and(|it| it.eq_ignore_ascii_case("logs"))
        {
            Self::Logs
        } else {
            Self::Other
        }
    }
}

/// How a record tells the install that it is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstallFrom {
    /// By an `InstallId` of its own.
    #[default]
    Record,
    /// By the `CrashReporter Key` of Apple's text form.
    AppleKey,
    /// By the raw log that was fetched of it.
    RawLog,
    /// By its session logs.
    SessionLogs,
}

impl InstallFrom {
    /// Whether it is the usual way.
    #[must_use]
    pub fn is_record(&self) -> bool {
        *self == Self::Record
    }
}

/// One record of the archive that a search found. It holds personal data: it stays in the request's own work blobs.
#[derive(Clone, Serialize, Deserialize)]
pub struct Hit {
    /// The blob's name in the archive.
    pub blob: String,
    /// 0-based index of the record in its blob.
    pub record: u64,
    /// Byte offset in the blob (in its decoded bytes when `decoded`).
    pub offset: u64,
    /// Length in bytes.
    pub length: u64,
    /// Whether offset and length count decoded bytes.
    #[serde(default, skip_serializing_if = "is_false")]
    pub decoded: bool,
    /// Whether the record was too long to be held whole.
    #[serde(default, skip_serializing_if = "is_false")]
    pub oversized: bool,
    /// Whether the blob's name and its content tell different reports.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disagrees: bool,
    /// Why it was found.
    pub reasons: Vec<Reason>,
    /// The searched install IDs that it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<InstallId>,
    /// Links (payload blobs by name) that it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<String>,
    /// The install ID that it belongs to, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install: Option<InstallId>,
    /// How it tells it.
    #[serde(default, skip_serializing_if = "InstallFrom::is_record")]
    pub install_from: InstallFrom,
    /// User IDs in its user fields.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<String>,
    /// Device model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its own timestamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// The export's message type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_type: Option<String>,
    /// The row's message ID, by which duplicates are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The report that it is, or belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_id: Option<ErrorId>,
    /// The report's group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<GroupId>,
    /// What the legacy API calls it, where only that one was there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<LegacyIds>,
    /// The payload blob that a log row names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The record's text, kept for an export when it is not too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// What stands in the place of a blob where App Center's own list tells of a report.
pub const LISTED: &str = "api/errors/";

/// A report as App Center's list tells of it.
#[derive(Clone)]
pub struct Listed {
    /// The report.
    pub error: ErrorId,
    /// Its group.
    pub group: GroupId,
    /// What the legacy API calls it, where only that one was there.
    pub legacy: Option<LegacyIds>,
    /// When it was made.
    pub at: Option<Timestamp>,
    /// The user ID that it shows.
    pub user: Option<String>,
    /// The device model.
    pub model: Option<String>,
}

impl std::fmt::Debug for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listed")
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl Hit {
    /// A report in which the person was found by App Center's list.
    #[must_use]
    pub fn listed(listed: Listed, reasons: Vec<Reason>) -> Self {
        Self {
            blob: format!("{LISTED}{}", listed.error),
            record: 0,
            offset: 0,
            length: 0,
            decoded: false,
            oversized: false,
            disagrees: false,
            reasons,
            holds: Vec::new(),
            links: Vec::new(),
            install: None,
            install_from: InstallFrom::default(),
            users: listed.user.into_iter().collect(),
            model: listed.model,
            at: listed.at,
            message_type: None,
            message_id: None,
            error_id: Some(listed.error),
            group_id: Some(listed.group),
            legacy: listed.legacy,
            payload: None,
            text: None,
        }
    }
}

impl std::fmt::Debug for Hit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hit")
            .field("record", &self.record)
            .field("reasons", &self.reasons)
            .finish_non_exhaustive()
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::Stream;

    #[test]
    fn streams_by_name() {
        for (blob, expected) in [
            ("2026/11/20/09/03/logs.v1.data", Stream::Logs),
            ("app/2026/11/20/09/03/crashes/25-a.json", Stream::Crashes),
            ("2026/11/20/09/03/errors/25-a.json", Stream::Errors),
            ("2026/11/20/09/03/attachments/25-a/7", Stream::Attachments),
            ("2026/11/20/09/03/Errors/25-a.json", Stream::Errors),
            (
                "2026/11/20/09/03/errors/25-a/attachments/7",
                Stream::Attachments,
            ),
            (
                "2026/11/20/09/03/attachments/25-a/logs.txt",
                Stream::Attachments,
            ),
            ("2026/11/20/09/03/LOGS.v1.data", Stream::Logs),
            ("logs.v1.data", Stream::Logs),
            ("2026/11/20/09/03/else", Stream::Other),
            ("2026/11/20/09/03/crashes", Stream::Other),
            ("2026/11/20/09/03/löglogs", Stream::Other),
            ("", Stream::Other),
        ] {
            assert_eq!(Stream::of(blob), expected, "{blob}");
        }
    }
}
