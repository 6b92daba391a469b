//! The one JSON shape in which a report is kept under `collected/`: everything that App Center told of it, as it came.
//!
//! Its envelope has the names of the archive's own records, so that the same engine reads both. What came as JSON stands in
//! it as JSON, what came as text as a string, anything else as base64. docs/COLLECTED.md describes it.

use base64::Engine as _;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::domain::hit::InstallFrom;
use crate::domain::{ErrorId, GroupId, InstallId, LegacyIds};
use crate::search::Facts;

/// Version of the shape.
pub(super) const SCHEMA: u32 = 1;
/// Longest raw log that stands in the document, in bytes; a longer one is a blob of its own.
pub(super) const MAX_EMBEDDED: usize = 4 * 1024 * 1024;

/// A report.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Document {
    /// [`SCHEMA`].
    pub(super) schema: u32,
    /// The app's ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app_id: Option<String>,
    /// The report.
    pub(super) error_id: ErrorId,
    /// Its group.
    pub(super) error_group_id: GroupId,
    /// What the legacy API calls the group, where only that one was there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) legacy_group_id: Option<GroupId>,
    /// What it calls the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) legacy_crash_id: Option<ErrorId>,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timestamp: Option<Timestamp>,
    /// The install that sent it, read from the parts below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) install_id: Option<InstallId>,
    /// From which part: `raw_log`, `apple_key`, `session_logs`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) install_id_from: Option<InstallFrom>,
    /// What App Center shows of it.
    pub(super) details: Box<RawValue>,
    /// Its own stack trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stack_trace: Option<Box<RawValue>>,
    /// What the app did in the session before, page by page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) session_logs: Vec<Box<RawValue>>,
    /// The log as the device sent it, or as App Center makes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) raw_log: Option<RawPart>,
    /// The text form of a native crash, where the raw log does not tell the install.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) native_text: Option<Box<RawValue>>,
    /// Files that came with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) attachments: Vec<AttachmentPart>,
    /// What could not be had, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<String>,
}

/// The raw log.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawPart {
    /// `location`, `json` or `text`: where it came from.
    pub(super) from: &'static str,
    /// The log itself, when it is not too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<Box<RawValue>>,
    /// The blob that holds it, when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blob: Option<String>,
}

/// A file that came with the report.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct AttachmentPart {
    /// Its ID.
    pub(super) attachment_id: String,
    /// The name that the person's device gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file_name: Option<String>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) content_type: Option<String>,
    /// The blob that holds it.
    pub(super) blob: String,
}

/// What is read back of a document, to know which files belong to it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Parts {
    /// Files that came with it.
    #[serde(default)]
    pub(super) attachments: Vec<AttachmentPart>,
    /// The raw log's blob, if it has one.
    #[serde(default)]
    pub(super) raw_log: Option<RawBlob>,
    /// What could not be had.
    #[serde(default)]
    pub(super) missing: Vec<String>,
}

/// Where a long raw log is.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RawBlob {
    /// Its blob.
    #[serde(default)]
    pub(super) blob: Option<String>,
}

impl Document {
    /// A document without its parts.
    #[must_use]
    pub(super) fn new(error: ErrorId, group: GroupId, details: &Bytes) -> Self {
        Self {
            schema: SCHEMA,
            app_id: None,
            error_id: error,
            error_group_id: group,
            legacy_group_id: None,
            legacy_crash_id: None,
            timestamp: None,
            install_id: None,
            install_id_from: None,
            details: part(details),
            stack_trace: None,
            session_logs: Vec::new(),
            raw_log: None,
            native_text: None,
            attachments: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// Notes what the legacy API calls it.
    pub(super) fn set_legacy(&mut self, legacy: Option<LegacyIds>) {
        if let Some(legacy) = legacy {
            self.legacy_group_id = Some(legacy.group);
            self.legacy_crash_id = Some(legacy.crash);
        }
    }

    /// Takes the install that a part tells, unless an earlier part told it. Parts that tell another one are noted.
    pub(super) fn learn_install(&mut self, bytes: &[u8], from: InstallFrom) {
        let facts = Facts::of_record(bytes);
        let Some(told) = facts.install_id else { return };
        match self.install_id {
            None => {
                let from = match facts.install_from {
                    InstallFrom::AppleKey => InstallFrom::AppleKey,
                    _ => from,
                };
                self.install_id = Some(told);
                self.install_id_from = Some(from);
            }
            Some(known) if known != told => {
                let note = "its parts name different installs; the raw log's holds".to_owned();
                if !self.missing.contains(&note) {
                    self.missing.push(note);
                }
            }
            Some(_) => {}
        }
    }
}

/// Bytes as a value of JSON: as they are, as a string, or as base64.
pub(super) fn part(bytes: &[u8]) -> Box<RawValue> {
    let text = std::str::from_utf8(bytes).map(|text| text.trim_start_matches('\u{feff}'));
    if let Ok(text) = text
        && let Ok(value) = RawValue::from_string(text.trim().to_owned())
    {
        return value;
    }
    let string = match text {
        Ok(text) => text.to_owned(),
        Err(_) => base64::engine::general_purpose::STANDARD.encode(bytes),
    };
    serde_json::value::to_raw_value(&string).unwrap_or_else(|_error| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_any_kind_become_json() {
        for (bytes, expected) in [
            (br#"{"a":1}"#.as_slice(), r#"{"a":1}"#),
            (b"\xef\xbb\xbf[1]\n", "[1]"),
            (b"Incident Identifier: x\n", r#""Incident Identifier: x\n""#),
            (b"\xff\xfe", r#""//4=""#),
            (b"", r#""""#),
            (br#"{"a":"#, r#""{\"a\":""#),
        ] {
            assert_eq!(part(bytes).get(), expected);
        }
    }

    #[test]
    fn the_engine_reads_whose_it_is() {
        let raw =
            b"Incident Identifier: x\nCrashReporter Key:   E589A371-EA0C-4479-9A7B-9F834ADEC040\n";
        let error = "2518291138564839999-0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0";
        let mut document = Document::new(
            error.parse().expect("an ID"),
            "4107427461u".parse().expect("an ID"),
            &Bytes::from_static(br#"{"errorId":"other","userId":"u-1","deviceName":"Pixel 8"}"#),
        );
        document.app_id = Some("11111111-2222-3333-4444-555555555555".to_owned());
        document.learn_install(raw, InstallFrom::RawLog);
        let other = br#"{"logs":[{"install_id":"0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"}]}"#;
        document.learn_install(other, InstallFrom::SessionLogs);
        document.raw_log = Some(RawPart {
            from: "location",
            log: Some(part(raw)),
            blob: None,
        });
        let text = serde_json::to_string(&document).expect("JSON");
        let facts = Facts::of_record(text.as_bytes());
        assert_eq!(facts.install_id, document.install_id);
        assert_eq!(facts.install_from, InstallFrom::AppleKey);
        assert_eq!(facts.error_id.map(String::from).as_deref(), Some(error));
        assert_eq!(facts.user_ids, ["u-1"]);
        assert_eq!(facts.model.as_deref(), Some("Pixel 8"));
        assert!(facts.app_id.is_some());
        assert_eq!(document.missing.len(), 1);
        let parts: Parts = serde_json::from_str(&text).expect("it reads itself");
        assert!(parts.attachments.is_empty() && parts.missing.len() == 1);
    }
}
