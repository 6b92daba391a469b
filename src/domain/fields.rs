//! Faults in a document, and the words of the export's own schema.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Most faults that one document is told of.
const MAX_FAULTS: usize = 100;

/// One thing that is wrong with a document, without the value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Where: a JSON pointer.
    pub pointer: String,
    /// What, and what would be right.
    pub detail: String,
}

impl Fault {
    /// A fault at a JSON pointer.
    #[must_use]
    pub fn new(pointer: &str, detail: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            detail: detail.into(),
        }
    }
}

/// Collects faults.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Adds one and gives nothing, so that a reader can end with it.
    pub(crate) fn add<T>(&mut self, pointer: &str, detail: &str) -> Option<T> {
        if self.0.len() < MAX_FAULTS {
            self.0.push(Fault::new(pointer, detail));
        }
        None
    }

    /// Adds a fault for every field that is not known.
    pub(crate) fn unknown_fields(&mut self, object: &Map<String, Value>, at: &str, known: &[&str]) {
        for key in object.keys().filter(|key| !known.contains(&key.as_str())) {
            self.add::<()>(&format!("{at}/{}", harmless(key)), "unknown field");
        }
    }

    pub(crate) fn into_vec(self) -> Vec<Fault> {
        self.0
    }
}

/// Of a name that is the caller's own text, the harmless characters: only they are repeated.
pub(crate) fn harmless(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-')
        .take(40)
        .collect()
}

/// Field names and message types of the export: as search terms they would find every record.
pub(crate) fn schema_words() -> impl Iterator<Item = &'static str> {
    const WORDS: [&str; 62] = [
        "AppId",
        "Timestamp",
        "InstallId",
        "MessageType",
        "IngressTimestamp",
        "MessageId",
        "EventId",
        "EventName",
        "CorrelationId",
        "IsTestMessage",
        "SdkVersion",
        "Model",
        "OemName",
        "OsName",
        "OsVersion",
        "OsApiLevel",
        "Locale",
        "TimeZoneOffset",
        "ScreenSize",
        "AppVersion",
        "AppBuild",
        "AppNamespace",
        "CarrierName",
        "CarrierCountry",
        "CountryCode",
        "Country",
        "WrapperSdkVersion",
        "WrapperSdkName",
        "Properties",
        "SessionId",
        "SdkName",
        "OsBuild",
        "WrapperRuntimeVersion",
        "LiveUpdateDeploymentKey",
        "LiveUpdatePackageHash",
        "LiveUpdateReleaseLabel",
        "UserId",
        "EventLog",
        "StartSessionLog",
        "ErrorLog",
        "CrashMetricsLog",
        "PushInstallationLog",
        "ErrorAttachmentLog",
        "StartServiceLog",
        "CustomPropertyLog",
        "HandledErrorLog",
        "CrashId",
        "ErrorId",
        "CrashGroupId",
        "ErrorGroupId",
        "StackTrace",
        "Exception",
        "Error",
        "Crash",
        "Event",
        "Session",
        "Install",
        "None",
        "True",
        "False",
        "Null",
        "Language",
    ];
    WORDS.into_iter()
}
