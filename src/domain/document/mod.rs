//! The request document: what a caller asks for, checked in full before anything is stored.
//!
//! Every fault is reported with a JSON pointer, all at once, and never with the value: faults reach logs and queues.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization as _;

use crate::domain::fields::{Fault, Faults, schema_words};
use crate::domain::subject::Subject;
use crate::domain::{AppRef, InstallId, strict};

/// Largest document that arrives over HTTP, in bytes.
pub const MAX_HTTP_BYTES: usize = 256 * 1024;
/// Largest document that arrives in a queue message, in bytes after base64.
pub const MAX_MESSAGE_BYTES: usize = 48 * 1024;
/// How far back a request may have been received.
const MAX_AGE_DAYS: i64 = 90;
/// A caller's clock may be this far ahead of ours before "received in the future" is a fault.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);
/// Apps one request may name.
const MAX_APPS: usize = 50;
/// Longest identifier, in bytes.
const MAX_IDENTIFIER: usize = 512;
/// User IDs that stand for "nobody", compared without case.
const WEAK_USER_IDS: [&str; 9] = [
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

/// What the person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A copy of what is held.
    Export,
    /// Erasure.
    Delete,
}

/// Whose law sets the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Jurisdiction {
    /// GDPR: one calendar month, extendable once by two.
    #[serde(rename = "eu")]
    Eu,
    /// UK GDPR: as the EU's.
    #[serde(rename = "uk")]
    Uk,
    /// CCPA: 45 days, extendable once by 45.
    #[serde(rename = "us-ca")]
    UsCa,
}

/// Which data is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Include {
    /// Crashes and handled errors.
    Diagnostics,
    /// Log rows.
    Analytics,
    /// App Center Test; only when named.
    Test,
}

/// A span of UTC days, both inclusive, on the records' own timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// First day.
    pub from: Date,
    /// Last day.
    pub to: Date,
}

impl Window {
    /// Whether a record of this time is inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        let day = at.to_zoned(jiff::tz::TimeZone::UTC).date();
        (self.from..=self.to).contains(&day)
    }
}

/// A checked request document, with defaults filled in, lists as sorted sets, identifiers normalised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Export or erasure.
    pub kind: Kind,
    /// The caller's name for it; holds none of the person's identifiers.
    pub reference: String,
    /// Whose law sets the clock.
    pub jurisdiction: Jurisdiction,
    /// When the person asked.
    pub received_at: Timestamp,
    /// The apps it is about.
    pub apps: Vec<AppRef>,
    /// The person.
    pub subject: Subject,
    /// Which data is meant.
    pub include: Vec<Include>,
    /// Which time is meant; none means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<Window>,
}

impl Document {
    /// Reads and checks a document that arrives at `now`.
    ///
    /// # Errors
    /// All faults, each with a JSON pointer and no value.
    pub fn parse(bytes: &[u8], now: Timestamp) -> Result<Self, Vec<Fault>> {
        let mut faults = Faults::default();
        let value = strict::read(bytes, &mut faults).map_err(|error| {
            vec![Fault::new(
                "",
                format!(
                    "the body is not JSON (line {}, column {})",
                    error.line(),
                    error.column()
                ),
            )]
        })?;
        let document = read(&value, now, &mut faults);
        match (document, faults.into_vec()) {
            (Some(document), faults) if faults.is_empty() => Ok(document),
            (_, faults) => Err(faults),
        }
    }

    /// The content that decides whether two documents are the same: everything but `received_at`.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let mut value = serde_json::to_value(self).unwrap_or(Value::Null);
        if let Some(object) = value.as_object_mut() {
            object.remove("received_at");
        }
        // `serde_json` keeps the keys of a map sorted, so equal documents give equal bytes.
        value.to_string().into_bytes()
    }
}

fn read(value: &Value, now: Timestamp, faults: &mut Faults) -> Option<Document> {
    let Some(object) = value.as_object() else {
        faults.add::<()>("", "a request is a JSON object");
        return None;
    };
    faults.unknown_fields(
        object,
        "",
        &[
            "kind",
            "reference",
            "jurisdiction",
            "received_at",
            "apps",
            "subject",
            "include",
            "window",
        ],
    );
    let kind = match object.get("kind").and_then(Value::as_str) {
        Some("export") => Some(Kind::Export),
        Some("delete") => Some(Kind::Delete),
        _ => faults.add("/kind", "required: `export` or `delete`"),
    };
    let reference = read_reference(object, faults);
    let jurisdiction = match object.get("jurisdiction") {
        None => Some(Jurisdiction::Eu),
        Some(value) => match value.as_str() {
            Some("eu") => Some(Jurisdiction::Eu),
            Some("uk") => Some(Jurisdiction::Uk),
            Some("us-ca") => Some(Jurisdiction::UsCa),
            _ => faults.add("/jurisdiction", "one of `eu`, `uk`, `us-ca`"),
        },
    };
    let received_at = read_received(object, now, faults);
    let apps = read_apps(object, faults);
    let subject = read_subject(object, faults);
    let include = read_include(object, faults);
    let window = match object.get("window") {
        None => Some(None),
        Some(window) => read_window(window, faults).map(Some),
    };
    if let (Some(reference), Some(subject)) = (&reference, &subject) {
        let folded = reference.to_lowercase();
        // An install ID is the same with and without its hyphens.
        let bare = folded.replace('-', "");
        let install_ids = subject.install_ids.iter();
        let mut install_ids = install_ids.map(|id| id.uuid().simple().to_string());
        if subject
            .texts()
            .any(|text| folded.contains(&text.to_lowercase()))
            || install_ids.any(|id| bare.contains(&id))
        {
            faults.add::<()>(
                "/reference",
                "holds one of the person's identifiers; references reach logs and lists",
            );
        }
    }
    Some(Document {
        kind: kind?,
        reference: reference?,
        jurisdiction: jurisdiction?,
        received_at: received_at?,
        apps: apps?,
        subject: subject?,
        include: include?,
        window: window?,
    })
}

fn read_reference(object: &Map<String, Value>, faults: &mut Faults) -> Option<String> {
    let reference = object.get("reference").and_then(Value::as_str);
    match reference {
        Some(text)
            if (1..=64).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._:/-".contains(&byte)) =>
        {
            Some(text.to_owned())
        }
        _ => faults.add(
            "/reference",
            "required: 1 to 64 letters, digits, `.`, `_`, `:`, `/`, `-`",
        ),
    }
}

fn read_received(
    object: &Map<String, Value>,
    now: Timestamp,
    faults: &mut Faults,
) -> Option<Timestamp> {
    let Some(value) = object.get("received_at") else {
        return Some(now);
    };
    let at = value
        .as_str()
        .and_then(|text| text.parse::<Timestamp>().ok());
    match at {
        None => faults.add(
            "/received_at",
            "an RFC 3339 time, such as 2026-11-20T09:00:00Z",
        ),
        Some(at) if at.duration_since(now) > CLOCK_SKEW => {
            faults.add("/received_at", "is in the future")
        }
        Some(at) if now.duration_since(at) > SignedDuration::from_hours(24 * MAX_AGE_DAYS) => {
            faults.add("/received_at", "is more than 90 days back")
        }
        Some(at) => Some(at.min(now)),
    }
}

fn read_apps(object: &Map<String, Value>, faults: &mut Faults) -> Option<Vec<AppRef>> {
    let listed = match object.get("apps").and_then(Value::as_array) {
        Some(listed) if (1..=MAX_APPS).contains(&listed.len()) => listed,
        _ => {
            return faults.add(
                "/apps",
                "required: a list of 1 to 50 apps, each `{\"owner\", \"name\"}`",
            );
        }
    };
    let mut apps = BTreeSet::new();
    for (n, value) in listed.iter().enumerate() {
        let pointer = format!("/apps/{n}");
        let Some(app) = value.as_object() else {
            faults.add::<()>(&pointer, "an object with `owner` and `name`");
            continue;
        };
        faults.unknown_fields(app, &pointer, &["owner", "name"]);
        let text = |key: &str| app.get(key).and_then(Value::as_str).unwrap_or_default();
        match AppRef::new(text("owner"), text("name")) {
            Ok(app) => {
                apps.insert(app);
            }
            Err(error) => {
                faults.add::<()>(&pointer, error.reason);
            }
        }
    }
    (apps.len() <= listed.len()).then(|| apps.into_iter().collect())
}

fn read_subject(object: &Map<String, Value>, faults: &mut Faults) -> Option<Subject> {
    let Some(subject) = object.get("subject").and_then(Value::as_object) else {
        return faults.add("/subject", "required: the person's identifiers");
    };
    let keys = ["install_ids", "user_ids", "emails", "terms"];
    faults.unknown_fields(subject, "/subject", &keys);
    let read = Subject {
        install_ids: read_list(subject, keys[0], faults, |text| {
            text.parse::<InstallId>().map_err(|error| error.reason)
        }),
        user_ids: read_list(subject, keys[1], faults, read_user_id),
        emails: read_list(subject, keys[2], faults, read_email),
        terms: read_list(subject, keys[3], faults, read_term),
    };
    if keys.iter().all(|key| {
        subject
            .get(*key)
            .is_none_or(|list| list.as_array().is_some_and(Vec::is_empty))
    }) {
        return faults.add(
            "/subject",
            "at least one of install_ids, user_ids, emails, terms",
        );
    }
    Some(read)
}

/// Reads one list of identifiers; faults name the position, never the value.
fn read_list<T: Ord>(
    subject: &Map<String, Value>,
    key: &str,
    faults: &mut Faults,
    read: impl Fn(&str) -> Result<T, &'static str>,
) -> Vec<T> {
    let Some(value) = subject.get(key) else {
        return Vec::new();
    };
    let Some(listed) = value.as_array() else {
        faults.add::<()>(&format!("/subject/{key}"), "a list of strings");
        return Vec::new();
    };
    let mut set = BTreeSet::new();
    for (n, item) in listed.iter().enumerate() {
        let read = match item.as_str() {
            None => Err("a string"),
            Some(text) if text.len() > MAX_IDENTIFIER => Err("longer than 512 bytes"),
            Some(text) => read(text),
        };
        match read {
            Ok(item) => {
                set.insert(item);
            }
            Err(reason) => {
                faults.add::<()>(&format!("/subject/{key}/{n}"), reason);
            }
        }
    }
    set.into_iter().collect()
}

fn read_user_id(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() {
        return Err("is empty");
    }
    if WEAK_USER_IDS.contains(&text.trim().to_lowercase().as_str()) {
        return Err("too weak: it stands for no person in particular");
    }
    Ok(text.to_owned())
}

fn read_email(text: &str) -> Result<String, &'static str> {
    let invalid = "not an e-mail address";
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@').ok_or(invalid)?;
    let is_bare = |text: &str| {
        !text.is_empty()
            && !text
                .chars()
                .any(|c| c.is_whitespace() || c.is_control() || c == '@')
    };
    if text.len() > 254 || !is_bare(local) || !is_bare(domain) {
        return Err(invalid);
    }
    idna::domain_to_ascii(domain).map_err(|_error| invalid)?;
    Ok(text.to_lowercase())
}

fn read_term(text: &str) -> Result<String, &'static str> {
    let term: String = text.trim().nfc().collect();
    if term.chars().count() < 4 {
        return Err("too weak: a term has at least 4 characters");
    }
    let folded = term.to_lowercase();
    if schema_words().any(|word| word.eq_ignore_ascii_case(&folded)) {
        return Err("too weak: a word of the export's own schema");
    }
    Ok(term)
}

fn read_include(object: &Map<String, Value>, faults: &mut Faults) -> Option<Vec<Include>> {
    let Some(value) = object.get("include") else {
        return Some(vec![Include::Diagnostics, Include::Analytics]);
    };
    let fault = "a list of `diagnostics`, `analytics`, `test`, at least one";
    let Some(listed) = value.as_array().filter(|listed| !listed.is_empty()) else {
        return faults.add("/include", fault);
    };
    let mut include = BTreeSet::new();
    for (n, item) in listed.iter().enumerate() {
        match serde_json::from_value::<Include>(item.clone()) {
            Ok(item) => {
                include.insert(item);
            }
            Err(_) => return faults.add(&format!("/include/{n}"), fault),
        }
    }
    Some(include.into_iter().collect())
}

fn read_window(value: &Value, faults: &mut Faults) -> Option<Window> {
    let Some(object) = value.as_object() else {
        return faults.add("/window", "an object with `from` and `to`");
    };
    faults.unknown_fields(object, "/window", &["from", "to"]);
    let mut day = |key: &str| {
        let day = object
            .get(key)
            .and_then(Value::as_str)
            .and_then(|text| text.parse::<Date>().ok());
        day.or_else(|| faults.add(&format!("/window/{key}"), "a day, such as 2026-11-20"))
    };
    let (from, to) = (day("from"), day("to"));
    let (from, to) = (from?, to?);
    if from > to {
        return faults.add("/window", "`from` is after `to`");
    }
    Some(Window { from, to })
}

#[cfg(test)]
mod tests;
