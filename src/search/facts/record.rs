//! Reads facts off a record.

use uuid::Uuid;

use super::Facts;
use crate::domain::hit::InstallFrom;
use crate::domain::{InstallId, LegacyIds};
use crate::search::escapes::{Escapes, unescape};
use crate::search::fields::normalise;
use crate::search::json::{Lexer, Text, Token, is_json};
use crate::search::texts::lossless;

/// How many JSON texts inside of each other are read.
const MAX_NESTED: u8 = 4;
/// How many lines of a text may hold its headers.
const MAX_LINES: usize = 200;
/// The longest value that is a fact, in bytes.
const MAX_VALUE: usize = 4096;
/// How many user IDs of one record are kept.
const MAX_USERS: usize = 100;

/// Values of a user field that stand for nobody. Null is written as the text `None`.
const NOBODY: [&str; 9] = [
    "none",
    "null",
    "undefined",
    "unknown",
    "anonymous",
    "guest",
    "test",
    "0",
    "-1",
];

pub(super) fn read(bytes: &[u8]) -> Facts {
    let text = lossless(bytes);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut reader = Reader::default();
    if text.trim_ascii_start().starts_with(['{', '[']) {
        reader.json(text, 0, false);
    }
    // Apple's form has a line of JSON above its headers.
    if !is_json(text) {
        reader.headers(text);
    }
    reader.finish()
}

/// A value, and how far from the root it stood.
type Ranked<T> = Option<(u32, T)>;

/// Takes a value unless a nearer one is there.
fn set<T>(slot: &mut Ranked<T>, rank: u32, value: Option<T>) {
    if let Some(value) = value
        && slot.as_ref().is_none_or(|(known, _)| rank < *known)
    {
        *slot = Some((rank, value));
    }
}

/// The rank of a member of the record itself.
const ROOT: u32 = 1;
/// What each layer of JSON inside of a string adds to a rank.
const NESTED: u32 = 10_000;

#[derive(Default)]
struct Reader {
    facts: Facts,
    app_id: Ranked<Uuid>,
    install_id: Ranked<(InstallId, InstallFrom)>,
    install_from: Ranked<InstallFrom>,
    legacy_group: Ranked<crate::domain::GroupId>,
    legacy_crash: Ranked<crate::domain::ErrorId>,
    model: Ranked<String>,
    device: Ranked<String>,
    os: Ranked<String>,
    os_version: Ranked<String>,
    timestamp: Ranked<jiff::Timestamp>,
    message_type: Ranked<String>,
    message_id: Ranked<Uuid>,
    error_id: Ranked<crate::domain::ErrorId>,
    group_id: Ranked<crate::domain::GroupId>,
    attachment_id: Ranked<String>,
    correlation_id: Ranked<Uuid>,
    session_id: Ranked<Uuid>,
    event_name: Ranked<String>,
    properties: Ranked<String>,
    /// `type`, `id` and `name` of the root: what they mean depends on the first one.
    sdk_type: Ranked<String>,
    sdk_id: Ranked<String>,
    sdk_name: Ranked<String>,
}

impl Reader {
    /// Reads every member of every object. `is_custom` when the developer chose the names.
    fn json(&mut self, text: &str, nested: u8, is_custom: bool) {
        let mut depth = 0_u32;
        let mut key = String::new();
        // At which depth the properties began that are being read.
        let mut custom_from = None;
        for token in Lexer::new(text, 0, false) {
            match token {
                Token::Open(_) => {
                    if custom_from.is_none() && is_properties(&key) {
                        custom_from = Some(depth);
                    }
                    depth = depth.saturating_add(1);
                    // The members of `device` are facts, the elements of an array under a name are not.
                    key.clear();
                }
                Token::Close => {
                    depth = depth.saturating_sub(1);
                    if custom_from.is_some_and(|from| depth <= from) {
                        custom_from = None;
                    }
                }
                Token::Key(name) => {
                    key.clear();
                    let mut buffer = [0; 32];
                    let name = plain(text, &name);
                    key.push_str(normalise(&name, &mut buffer).unwrap_or_default());
                }
                Token::String(string) if !key.is_empty() && string.range.len() <= MAX_VALUE * 8 => {
                    let value = plain(text, &string);
                    let is_custom = is_custom || custom_from.is_some();
                    let rank = u32::from(nested) * NESTED + depth;
                    self.value(&key, &value, rank, is_custom);
                    let is_inside = is_custom || is_properties(&key);
                    if nested < MAX_NESTED && value.len() > 2 && is_json(&value) {
                        self.json(&value, nested + 1, is_inside);
                    }
                    key.clear();
                }
                Token::Scalar(range) if !key.is_empty() => {
                    let value = text.get(range).unwrap_or_default();
                    let is_custom = is_custom || custom_from.is_some();
                    let rank = u32::from(nested) * NESTED + depth;
                    self.value(&key, value, rank, is_custom);
                    key.clear();
                }
                Token::String(_) | Token::Scalar(_) | Token::Gap(_) => {}
            }
        }
    }

    /// Reads lines such as `CrashReporter Key:   e589a371-…`.
    fn headers(&mut self, text: &str) {
        for (rank, line) in (0..).zip(text.lines().take(MAX_LINES)) {
            let Some((key, value)) = line.split_once(':') else {
                continue;
            };
            let mut buffer = [0; 32];
            let Some(key) = normalise(key, &mut buffer) else {
                continue;
            };
            self.value(key, value, 1_000 + rank, false);
        }
    }

    fn value(&mut self, key: &str, value: &str, rank: u32, is_custom: bool) {
        let value = value.trim();
        if value.is_empty() || value.len() > MAX_VALUE || matches!(value, "None" | "null") {
            return;
        }
        let text = || Some(value.to_owned());
        let uuid = || Uuid::try_parse(value).ok();
        // What a record says itself; a JSON text in one of its strings says it with less weight.
        let new_rank = if rank < NESTED { 0 } else { rank };
        match key {
            "userid" => add_user(&mut self.facts.user_ids, value),
            "username" | "useremail" => add_user(&mut self.facts.user_names, value),
            _ if is_custom => {}
            "appid" => set(&mut self.app_id, rank, uuid()),
            "installid" => set(
                &mut self.install_id,
                rank,
                value.parse().ok().map(|id| (id, InstallFrom::Record)),
            ),
            "crashreporterkey" => set(
                &mut self.install_id,
                rank,
                value.parse().ok().map(|id| (id, InstallFrom::AppleKey)),
            ),
            "installidfrom" => set(&mut self.install_from, rank, install_from(value)),
            "model" | "devicemodel" | "hardwaremodel" => set(&mut self.model, rank, text()),
            "devicename" => set(&mut self.device, rank, text()),
            "osname" | "ostype" => set(&mut self.os, rank, text()),
            "osversion" => set(&mut self.os_version, rank, text()),
            "timestamp" | "datetime" => set(&mut self.timestamp, rank, timestamp(value)),
            "messagetype" => set(&mut self.message_type, rank, text()),
            "messageid" => set(&mut self.message_id, rank, uuid()),
            "errorid" | "crashid" => set(&mut self.error_id, rank, value.parse().ok()),
            // Legacy objects carry both; the new one is what today's calls take.
            "newcrashid" => set(&mut self.error_id, new_rank, value.parse().ok()),
            "errorgroupid" | "crashgroupid" => set(&mut self.group_id, rank, value.parse().ok()),
            // Ours, in what was fetched by API: a text inside of a record that looks alike must not name a report to delete.
            "legacygroupid" if rank <= ROOT => {
                set(&mut self.legacy_group, rank, value.parse().ok())
            }
            "legacycrashid" if rank <= ROOT => {
                set(&mut self.legacy_crash, rank, value.parse().ok())
            }
            "newcrashgroupid" => set(&mut self.group_id, new_rank, value.parse().ok()),
            "attachmentid" => set(&mut self.attachment_id, rank, text()),
            "correlationid" => set(&mut self.correlation_id, rank, uuid()),
            "sessionid" | "sid" => set(&mut self.session_id, rank, uuid()),
            "eventname" => set(&mut self.event_name, rank, text()),
            "properties" => set(&mut self.properties, rank, text()),
            "type" => set(&mut self.sdk_type, rank, text()),
            "id" => set(&mut self.sdk_id, rank, text()),
            "name" => set(&mut self.sdk_name, rank, text()),
            _ => {}
        }
    }

    fn finish(mut self) -> Facts {
        self.translate_sdk();
        let value = |slot: Ranked<String>| slot.map(|(_, value)| value);
        let message_type = value(self.message_type);
        let payload_blob = value(self.properties).filter(|name| {
            let tells_of_a_blob = matches!(
                message_type.as_deref(),
                Some("ErrorLog" | "HandledErrorLog" | "ErrorAttachmentLog")
            );
            tells_of_a_blob && name.contains('/') && !name.starts_with(['{', '['])
        });
        Facts {
            app_id: self.app_id.map(|(_, id)| id),
            install_id: self.install_id.map(|(_, (id, _))| id),
            install_from: match (self.install_id, self.install_from) {
                // It says itself where it has it from, beside it.
                (Some((rank, _)), Some((said, from))) if said == rank => from,
                (Some((_, (_, from))), _) => from,
                (None, _) => InstallFrom::Record,
            },
            legacy: match (self.legacy_group, self.legacy_crash) {
                (Some((_, group)), Some((_, crash))) => Some(LegacyIds { group, crash }),
                _ => None,
            },
            model: value(self.model).or(value(self.device)),
            os: value(self.os),
            os_version: value(self.os_version),
            timestamp: self.timestamp.map(|(_, at)| at),
            message_type,
            message_id: self.message_id.map(|(_, id)| id),
            error_id: self.error_id.map(|(_, id)| id),
            group_id: self.group_id.map(|(_, id)| id),
            attachment_id: value(self.attachment_id),
            correlation_id: self.correlation_id.map(|(_, id)| id),
            session_id: self.session_id.map(|(_, id)| id),
            event_name: value(self.event_name),
            payload_blob,
            ..self.facts
        }
    }

    /// The SDK's logs have a `type` instead of a message type, and their own `id` is the report's GUID.
    fn translate_sdk(&mut self) {
        let (Some((rank, sdk_type)), None) = (&self.sdk_type, &self.message_type) else {
            return;
        };
        let rank = *rank;
        let at_root = |slot: &Ranked<String>| {
            let (at, value) = slot.as_ref()?;
            (*at == rank).then(|| value.clone())
        };
        let id = at_root(&self.sdk_id);
        let guid = id.as_deref().and_then(|id| Uuid::try_parse(id).ok());
        let message_type = match sdk_type.as_str() {
            "managedError" | "appleError" => "ErrorLog",
            "handledError" => "HandledErrorLog",
            "errorAttachment" => "ErrorAttachmentLog",
            "event" => "EventLog",
            "startSession" => "StartSessionLog",
            "startService" => "StartServiceLog",
            "customProperties" => "CustomPropertyLog",
            "pushInstallation" => "PushInstallationLog",
            _ => return,
        };
        match message_type {
            "ErrorLog" | "HandledErrorLog" => {
                let error_id = id.as_deref().and_then(|id| id.parse().ok());
                set(&mut self.error_id, rank, error_id);
            }
            "ErrorAttachmentLog" => set(&mut self.attachment_id, rank, id),
            "EventLog" => {
                let name = at_root(&self.sdk_name);
                set(&mut self.event_name, rank, name);
            }
            _ => {}
        }
        set(&mut self.message_id, rank, guid);
        self.message_type = Some((rank, message_type.to_owned()));
    }
}

/// As the documents under `collected/` say it.
fn install_from(value: &str) -> Option<InstallFrom> {
    match value {
        "raw_log" => Some(InstallFrom::RawLog),
        "apple_key" => Some(InstallFrom::AppleKey),
        "session_logs" => Some(InstallFrom::SessionLogs),
        _ => None,
    }
}

fn is_properties(key: &str) -> bool {
    matches!(key, "properties" | "typedproperties" | "customproperties")
}

fn add_user(users: &mut Vec<String>, value: &str) {
    let is_nobody = NOBODY
        .iter()
        .any(|nobody| value.eq_ignore_ascii_case(nobody));
    if !is_nobody && users.len() < MAX_USERS && !users.iter().any(|known| known == value) {
        users.push(value.to_owned());
    }
}

/// A string of JSON without its escapes.
fn plain(text: &str, string: &Text) -> String {
    let raw = text.get(string.range.clone()).unwrap_or_default();
    if !string.is_escaped {
        return raw.to_owned();
    }
    let mut plain = Vec::with_capacity(raw.len());
    unescape(raw, Escapes::Json, &mut plain);
    String::from_utf8_lossy(&plain).into_owned()
}

/// ISO 8601 with 0 to 7 digits of fraction; UTC where no offset stands. Apple writes a blank before the offset.
fn timestamp(value: &str) -> Option<jiff::Timestamp> {
    let value: String = match value.rsplit_once(' ') {
        Some((time, offset)) if offset.starts_with(['+', '-']) => format!("{time}{offset}"),
        _ => value.to_owned(),
    };
    value.parse().ok().or_else(|| {
        let civil: jiff::civil::DateTime = value.parse().ok()?;
        let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(zoned.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const INSTALL: &str = "e589a371-ea0c-4479-9a7b-9f834adec040";

    fn install_of(record: &str) -> Option<String> {
        read(record.as_bytes()).install_id.map(|id| id.to_string())
    }

    #[test]
    fn install_ids_in_any_spelling() {
        for record in [
            r#"{"InstallId":"e589a371-ea0c-4479-9a7b-9f834adec040"}"#,
            r#"{"installID":"E589A371-EA0C-4479-9A7B-9F834ADEC040"}"#,
            r#"{"install_id":"{e589a371-ea0c-4479-9a7b-9f834adec040}"}"#,
            r#"{"Install-ID":"e589a371ea0c44799a7b9f834adec040"}"#,
            r#"{"\u0049nstallId":"e589a371\u002dea0c-4479-9a7b-9f834adec040"}"#,
            "\u{feff}{\"a\":{\"b\":{\"installId\":\"e589a371-ea0c-4479-9a7b-9f834adec040\"}}}",
            r#"{"log":"{\"installId\":\"e589a371-ea0c-4479-9a7b-9f834adec040\"}"}"#,
            r#"{"a":"cut","installId":"e589a371-ea0c-4479-9a7b-9f834adec040","b":"cut of"#,
            "Incident Identifier: x\nCrashReporter Key:   E589A371-EA0C-4479-9A7B-9F834ADEC040\n\nThread 0:",
            "{\"app\":\"x\"}\nIncident Identifier: x\r\nCrashReporter Key: e589a371-ea0c-4479-9a7b-9f834adec040\r\n",
        ] {
            assert_eq!(install_of(record).as_deref(), Some(INSTALL), "{record}");
        }
    }

    #[test]
    fn what_is_no_install_id() {
        for record in [
            "",
            "[]",
            "null",
            r#"{"InstallId":"None"}"#,
            r#"{"InstallId":"00000000-0000-0000-0000-000000000000"}"#,
            r#"{"InstallId":17}"#,
            r#"{"InstallId":["e589a371-ea0c-4479-9a7b-9f834adec040"]}"#,
            r#"{"Properties":"{\"InstallId\":\"e589a371-ea0c-4479-9a7b-9f834adec040\"}"}"#,
            r#"{"properties":{"x":{"InstallId":"e589a371-ea0c-4479-9a7b-9f834adec040"}}}"#,
        ] {
            assert_eq!(install_of(record), None, "{record}");
        }
    }

    #[test]
    fn the_nearest_to_the_root_counts() {
        let record = r#"{"inner":{"InstallId":"0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"},
            "InstallId":"e589a371-ea0c-4479-9a7b-9f834adec040",
            "after":{"InstallId":"0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"}}"#;
        assert_eq!(install_of(record).as_deref(), Some(INSTALL));
    }

    #[test]
    fn a_row_of_the_log() {
        let facts = read(
            br#"{"AppId":"11111111-2222-3333-4444-555555555555","Timestamp":"2026-11-20T09:00:00.1234567Z",
            "InstallId":"e589a371-ea0c-4479-9a7b-9f834adec040","MessageType":"EventLog","UserId":"None",
            "MessageId":"0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0","EventName":"Open","CorrelationId":"0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f1",
            "Model":"Pixel 8","OsName":"Android","OsVersion":"15","Properties":"{\"user_id\":\"u-1\",\"Model\":\"x\",\"UserEmail\":\"a@b.c\"}"}"#,
        );
        assert_eq!(facts.user_ids, ["u-1"]);
        assert_eq!(facts.user_names, ["a@b.c"]);
        assert_eq!(facts.model.as_deref(), Some("Pixel 8"));
        assert_eq!(facts.os.as_deref(), Some("Android"));
        assert_eq!(facts.os_version.as_deref(), Some("15"));
        assert_eq!(facts.event_name.as_deref(), Some("Open"));
        assert_eq!(facts.message_type.as_deref(), Some("EventLog"));
        assert_eq!(facts.payload_blob, None);
        let at = facts.timestamp.map(|at| at.to_string());
        assert_eq!(at.as_deref(), Some("2026-11-20T09:00:00.1234567Z"));
        assert!(facts.app_id.is_some() && facts.message_id.is_some());
        assert!(facts.correlation_id.is_some());
    }

    #[test]
    fn a_row_that_names_its_blob() {
        for (message_type, properties, expected) in [
            ("ErrorLog", "2026/11/20/09/00/crashes/x.json", true),
            ("HandledErrorLog", "a/errors/x", true),
            ("ErrorAttachmentLog", "a/attachments/x/y", true),
            ("EventLog", "2026/11/20/09/00/crashes/x.json", false),
            ("ErrorLog", r#"{\"a\":\"b/c\"}"#, false),
            ("ErrorLog", "None", false),
        ] {
            let record =
                format!(r#"{{"MessageType":"{message_type}","Properties":"{properties}"}}"#);
            let blob = read(record.as_bytes()).payload_blob;
            assert_eq!(blob.as_deref(), expected.then_some(properties), "{record}");
        }
    }

    #[test]
    fn a_log_of_the_sdk() {
        let facts = read(
            br#"{"type":"handledError","id":"0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0","userId":"u-1","sid":"0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f1",
            "timestamp":"2026-11-20T09:00:00Z","device":{"model":"Pixel 8","osName":"Android"},"exception":{"type":"E","frames":[{"id":"7"}]}}"#,
        );
        assert_eq!(facts.message_type.as_deref(), Some("HandledErrorLog"));
        assert_eq!(
            facts.error_id.map(String::from).as_deref(),
            Some("0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0")
        );
        assert_eq!(facts.user_ids, ["u-1"]);
        assert_eq!(facts.model.as_deref(), Some("Pixel 8"));
    }

    #[test]
    fn reports_and_groups() {
        for (record, error, group) in [
            (
                r#"{"ErrorId":"2518291138564839999-0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0","ErrorGroupId":"4107427461u"}"#,
                Some("2518291138564839999-0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0"),
                Some("4107427461u"),
            ),
            (
                r#"{"crash_id":"aaaa","new_crash_id":"bbbb","crash_group_id":"cc","new_crash_group_id":"dd"}"#,
                Some("bbbb"),
                Some("dd"),
            ),
            (r#"{"ErrorGroupId":4107427461}"#, None, Some("4107427461")),
            (r#"{"ErrorId":"../x"}"#, None, None),
        ] {
            let facts = read(record.as_bytes());
            assert_eq!(
                facts.error_id.map(String::from).as_deref(),
                error,
                "{record}"
            );
            assert_eq!(
                facts.group_id.map(String::from).as_deref(),
                group,
                "{record}"
            );
        }
    }

    #[test]
    fn times() {
        for (value, expected) in [
            (
                "2018-09-28T16:20:15.931282Z",
                Some("2018-09-28T16:20:15.931282Z"),
            ),
            ("2022-09-23T16:41:00Z", Some("2022-09-23T16:41:00Z")),
            ("2022-09-23T16:41:00", Some("2022-09-23T16:41:00Z")),
            (
                "2022-09-23 18:41:00.999 +0200",
                Some("2022-09-23T16:41:00.999Z"),
            ),
            ("yesterday", None),
        ] {
            let at = timestamp(value).map(|at| at.to_string());
            assert_eq!(at.as_deref(), expected, "{value}");
        }
    }
}
