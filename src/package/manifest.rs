//! `manifest.json`: what the package holds, where it came from, and what is missing.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::hashing::hex;
use crate::domain::plan::{Counts, Coverage, Gap};
use crate::domain::{AppRef, ErrorId, Include, InstallId, Jurisdiction, RequestId, Window};

/// Version of the manifest's shape.
pub const SCHEMA: u32 = 1;

/// What a package is about.
#[derive(Debug, Clone, Serialize)]
pub struct Meta {
    /// The request.
    pub request: RequestId,
    /// The caller's name for it.
    pub reference: String,
    /// Whose law the person asked under.
    pub jurisdiction: Jurisdiction,
    /// When the package was made; every file carries this time.
    pub created_at: Timestamp,
    /// The apps that were searched.
    pub apps: Vec<AppRef>,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Log rows: what the app's analytics recorded.
    LogRows,
    /// The same rows as a table.
    LogRowsCsv,
    /// A crash or handled error as the archive holds it.
    Report,
    /// What App Center's API tells about a crash or handled error.
    ReportDetails,
    /// Where in the program a crash or error happened.
    StackTrace,
    /// The log that the device sent with a crash.
    RawLog,
    /// What the app did before a crash.
    SessionLogs,
    /// A file that came with a crash or error.
    Attachment,
    /// A file of App Center Test.
    TestFile,
    /// Something else that was found.
    Other,
    /// A page that lists the package's files, or a text that explains them.
    Index,
}

impl What {
    /// Whether a stranger chose the content and the name, so that opening it must run nothing.
    pub(super) fn is_untrusted(self) -> bool {
        matches!(self, Self::Attachment | Self::TestFile | Self::Other)
    }
}

/// What is said of a file that is added.
#[derive(Debug, Clone)]
pub struct FileAbout {
    /// What it holds.
    pub what: What,
    /// Where it came from: the archive blob's name, or the API's operation.
    pub source: String,
    /// Its size in bytes, if it is known to be at most this; under 2 GiB it needs no ZIP64 reader.
    pub at_most: Option<u64>,
    /// What it is about.
    pub of: Of,
    /// How many records it holds, if it holds records.
    pub records: Option<u64>,
}

/// What a file is about: an app, and where known an installation and a report.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Of {
    /// The app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppRef>,
    /// The installation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_id: Option<InstallId>,
    /// The crash or error report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ErrorId>,
}

impl FileAbout {
    /// A file of unknown size.
    pub fn new(what: What, source: impl Into<String>) -> Self {
        Self {
            what,
            source: source.into(),
            at_most: None,
            of: Of::default(),
            records: None,
        }
    }

    /// The same, saying what it is about.
    #[must_use]
    pub fn of(self, of: Of) -> Self {
        Self { of, ..self }
    }

    /// The same with the number of its records.
    #[must_use]
    pub fn records(self, records: u64) -> Self {
        Self {
            records: Some(records),
            ..self
        }
    }

    /// The same with a limit of its size.
    #[must_use]
    pub fn at_most(self, bytes: u64) -> Self {
        Self {
            at_most: Some(bytes),
            ..self
        }
    }
}

/// A SHA-256, in JSON lower-case hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sha256Hex(pub [u8; 32]);

impl std::fmt::Display for Sha256Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Serialize for Sha256Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Sha256Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut hash = [0; 32];
        let digits = |at: usize| u8::from_str_radix(text.get(at * 2..at * 2 + 2)?, 16).ok();
        for (at, byte) in hash.iter_mut().enumerate() {
            *byte = digits(at).ok_or_else(|| serde::de::Error::custom("a SHA-256 in hex"))?;
        }
        Ok(Self(hash))
    }
}

/// A file of the package. Names are personal data: `Debug` does not show them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its path in the package.
    pub path: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its hash.
    pub sha256: Sha256Hex,
    /// What it holds.
    pub what: What,
    /// Where it came from.
    pub source: String,
    /// What it is about.
    #[serde(flatten)]
    pub of: Of,
    /// How many records it holds, if it holds records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<u64>,
    /// What it was called, when that name was not safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_name: Option<String>,
}

impl std::fmt::Debug for FileEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileEntry")
            .field("size", &self.size)
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

/// Something that the package does not hold, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct LeftOut {
    /// What it is, in words.
    pub what: String,
    /// Why it is missing, in words.
    pub reason: String,
    /// How many.
    pub count: u64,
}

/// An installation of an app whose data the package holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Installation {
    /// The app.
    pub app: AppRef,
    /// The installation.
    pub install_id: InstallId,
    /// Why it counts as the person's.
    pub reason: String,
    /// Where that was seen.
    pub found_in: Vec<String>,
}

/// What is said of the package as a whole, once its files are written.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// How much was found.
    pub counts: Counts,
    /// Which data was asked for.
    pub include: Vec<Include>,
    /// Which time was asked for; none means all.
    pub window: Option<Window>,
    /// Installations that are the person's.
    pub installations: Vec<Installation>,
    /// What was searched, by app (`owner/name`).
    pub coverage: BTreeMap<String, Coverage>,
    /// Items whose content is left out because it may be another person's: how many, by reason.
    pub held: BTreeMap<String, u64>,
    /// What could not be had.
    pub unavailable: Vec<LeftOut>,
    /// What does not belong to the request.
    pub excluded: Vec<LeftOut>,
    /// Days for which App Center keeps crashes and errors, by app (`owner/name`), where known.
    pub diagnostics_days: BTreeMap<String, u32>,
    /// Recipients beyond App Center and the archive, in words.
    pub recipients: Vec<String>,
    /// Days after the last open request for which what was fetched from App Center is kept, if it is known.
    pub collected_days: Option<u32>,
    /// Days after which this package is deleted where it is stored, if it is.
    pub package_days: Option<u32>,
}

/// What was searched of an app, as the person may see it: blobs that could not be read are counted, not named, since
/// they may be of other people.
#[derive(Debug, Serialize)]
pub(super) struct Searched<'a> {
    first_day: Option<jiff::civil::Date>,
    last_day: Option<jiff::civil::Date>,
    days: u64,
    blobs: &'a BTreeMap<String, u64>,
    records: u64,
    gaps: &'a [Gap],
    unreadable: BTreeMap<&'a str, u64>,
    not_searched: BTreeMap<&'a str, u64>,
}

impl<'a> Searched<'a> {
    pub(super) fn of(coverage: &'a Coverage) -> Self {
        Self {
            first_day: coverage.first_day,
            last_day: coverage.last_day,
            days: coverage.days,
            blobs: &coverage.blobs,
            records: coverage.records,
            gaps: &coverage.gaps,
            unreadable: by_reason(&coverage.unreadable),
            not_searched: by_reason(&coverage.not_searched),
        }
    }
}

/// How many, by reason.
pub(super) fn by_reason(parts: &[crate::domain::plan::Unreadable]) -> BTreeMap<&str, u64> {
    let mut counts = BTreeMap::new();
    for part in parts {
        *counts.entry(part.reason.as_str()).or_default() += 1;
    }
    counts
}

#[derive(Serialize)]
struct Total {
    files: usize,
    bytes: u64,
    installs: u64,
    reports: u64,
    rows: u64,
    held: u64,
    unattributed: u64,
}

/// For how long the data is kept, in days.
#[derive(Serialize)]
struct Kept<'a> {
    usage_records_in_app_center: u32,
    reports_in_app_center: &'a BTreeMap<String, u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fetched_copies: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    this_package: Option<u32>,
}

/// Who always receives the data: what makes and what keeps it.
pub(super) const RECIPIENTS: [&str; 2] = [
    "Microsoft, as the operator of Visual Studio App Center",
    "Microsoft, as the operator of Azure Storage, where the operator of the app keeps the exported archive and this package",
];
/// Days for which App Center keeps log rows.
pub(super) const ROW_DAYS: u32 = 28;

/// The manifest as it is written.
#[derive(Serialize)]
pub(super) struct Manifest<'a> {
    schema: u32,
    #[serde(flatten)]
    meta: &'a Meta,
    include: &'a [Include],
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<Window>,
    counts: Total,
    installations: &'a [Installation],
    recipients: Vec<&'a str>,
    kept: Kept<'a>,
    searched: BTreeMap<&'a str, Searched<'a>>,
    held: &'a BTreeMap<String, u64>,
    unavailable: &'a [LeftOut],
    excluded: &'a [LeftOut],
    files: &'a [FileEntry],
}

impl<'a> Manifest<'a> {
    pub(super) fn of(meta: &'a Meta, summary: &'a Summary, files: &'a [FileEntry]) -> Self {
        let counts = &summary.counts;
        let searched = summary.coverage.iter();
        Self {
            schema: SCHEMA,
            meta,
            include: &summary.include,
            window: summary.window,
            counts: Total {
                files: files.len(),
                bytes: files.iter().map(|file| file.size).sum(),
                installs: counts.installs,
                reports: counts.reports,
                rows: counts.rows,
                held: counts.held,
                unattributed: counts.unattributed,
            },
            installations: &summary.installations,
            recipients: RECIPIENTS
                .into_iter()
                .chain(summary.recipients.iter().map(String::as_str))
                .collect(),
            kept: Kept {
                usage_records_in_app_center: ROW_DAYS,
                reports_in_app_center: &summary.diagnostics_days,
                fetched_copies: summary.collected_days,
                this_package: summary.package_days,
            },
            searched: searched
                .map(|(app, coverage)| (app.as_str(), Searched::of(coverage)))
                .collect(),
            held: &summary.held,
            unavailable: &summary.unavailable,
            excluded: &summary.excluded,
            files,
        }
    }
}
