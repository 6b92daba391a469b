//! Checked identifiers: each is parsed once, on the way in, and valid from then on.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Why a text is not the identifier it should be. It never quotes the text: it may be personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {kind}: {reason}")]
pub struct InvalidId {
    /// What it should have been.
    pub kind: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// An app in App Center: owner (user or organisation) and app name, as in `/v0.1/apps/{owner_name}/{app_name}`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppRef {
    /// The owner's name.
    pub owner: String,
    /// The app's name (not its display name).
    pub name: String,
}

impl AppRef {
    /// Checks both names against `^[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}$`.
    ///
    /// # Errors
    /// When one of them does not match; a name like `..` would climb out of the path.
    pub fn new(owner: &str, name: &str) -> Result<Self, InvalidId> {
        let is_valid = |text: &str| {
            let first = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
            text.len() <= 100
                && text.starts_with(first)
                && text.chars().all(|c| first(c) || c == '.')
        };
        if !is_valid(owner) || !is_valid(name) {
            return Err(InvalidId {
                kind: "app",
                reason: "owner and name are 1 to 100 letters, digits, `_`, `-`, `.`, not starting with `.`",
            });
        }
        Ok(Self {
            owner: owner.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for AppRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// An install ID: the UUID that the SDK made for one installation. Lower case with hyphens when shown.
///
/// The nil UUID is not one: it would be many devices, and an empty path segment in its place would block a whole app.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstallId(Uuid);

impl InstallId {
    /// The UUID.
    #[must_use]
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl FromStr for InstallId {
    type Err = InvalidId;

    /// Accepts any case, with or without hyphens or braces.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let uuid = Uuid::try_parse(text.trim()).map_err(|_error| InvalidId {
            kind: "install ID",
            reason: "an install ID is a UUID",
        })?;
        Self::try_from(uuid)
    }
}

impl TryFrom<Uuid> for InstallId {
    type Error = InvalidId;

    fn try_from(uuid: Uuid) -> Result<Self, InvalidId> {
        let bytes = uuid.as_bytes();
        let first = bytes[0];
        // Nil, max, and every UUID of one repeated digit stand for "unknown", not for a device.
        if first >> 4 == first & 15 && bytes.iter().all(|byte| *byte == first) {
            return Err(InvalidId {
                kind: "install ID",
                reason: "a UUID of one repeated digit stands for no device",
            });
        }
        Ok(Self(uuid))
    }
}

impl fmt::Display for InstallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

impl fmt::Debug for InstallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InstallId(REDACTED)")
    }
}

/// An error group's ID (`errorGroupId`): digits, with the suffix `u` for crashes; or a legacy one: 40 hex digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct GroupId(String);

/// A report's ID (`errorId`): 19 digits (counting down from the end of .NET time), `-`, the GUID of the SDK's log.
///
/// A legacy `crash_id` is a GUID, or 40 hex digits, alone; both forms are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ErrorId(String);

/// Both kinds go into a URL as one segment: letters, digits and hyphens only, never empty.
fn segment(text: &str, kind: &'static str) -> Result<String, InvalidId> {
    let is_valid = (1..=100).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    is_valid.then(|| text.to_owned()).ok_or(InvalidId {
        kind,
        reason: "1 to 100 letters, digits and hyphens",
    })
}

macro_rules! segment_id {
    ($name:ident, $kind:literal) => {
        impl $name {
            /// The text, safe as one path segment.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                segment(text, $kind).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

segment_id!(GroupId, "error group ID");
segment_id!(ErrorId, "error ID");

impl GroupId {
    /// Whether it is one of the legacy API: 40 hex digits. Only the legacy API takes it.
    #[must_use]
    pub fn is_legacy(&self) -> bool {
        self.0.len() == 40 && self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
    }

    /// Whether it holds crashes, which alone have session logs: the suffix `u`, or a legacy one, which may hold either.
    #[must_use]
    pub fn may_hold_crashes(&self) -> bool {
        self.0.ends_with('u') || !self.0.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// What the legacy API calls a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegacyIds {
    /// Its group (`crash_group_id`).
    pub group: GroupId,
    /// The report (`crash_id`).
    pub crash: ErrorId,
}

/// A request's ID: derived from its kind and reference, so that the same request has the same ID whoever sends it how
/// often, and "is it there already?" is one conditional write.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(String);

impl RequestId {
    /// The ID of the request with this kind and reference.
    #[must_use]
    pub fn derive(kind: &str, reference: &str) -> Self {
        let digest = Sha256::digest(format!("{kind}\n{reference}"));
        let hex: String = digest[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Self(hex)
    }

    /// 32 hex digits, lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequestId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_valid = text.len() == 32
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        is_valid.then(|| Self(text.to_owned())).ok_or(InvalidId {
            kind: "request ID",
            reason: "32 hex digits, lower case",
        })
    }
}

impl TryFrom<String> for RequestId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// .NET ticks (100 ns since year 1) of `9999-12-31T23:59:59.9999999Z`, from which the digits of an error ID count down.
const LAST_TICK: i128 = 3_155_378_975_999_999_999;
/// .NET ticks of the Unix epoch.
const EPOCH_TICKS: i128 = 621_355_968_000_000_000;

impl ErrorId {
    /// The GUID of the SDK's log: the last 36 characters, or the whole of a legacy ID that is a GUID.
    #[must_use]
    pub fn guid(&self) -> Option<Uuid> {
        let start = self.0.len().checked_sub(36)?;
        Uuid::try_parse(self.0.get(start..)?).ok()
    }

    /// When the report was made, as far as its digits tell.
    #[must_use]
    pub fn timestamp(&self) -> Option<jiff::Timestamp> {
        let (digits, _guid) = self.0.split_once('-')?;
        if digits.len() != 19 {
            return None;
        }
        let ticks = LAST_TICK - digits.parse::<i128>().ok()?;
        jiff::Timestamp::from_nanosecond((ticks - EPOCH_TICKS) * 100).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn apps_cannot_climb() {
        assert!(AppRef::new("contoso", "shop-android").is_ok());
        assert!(AppRef::new("_a", "a.b").is_ok());
        for bad in ["", ".", "..", ".a", "a/b", "a b", "é", "a%2f"] {
            assert!(AppRef::new("contoso", bad).is_err(), "{bad}");
        }
        assert!(AppRef::new("contoso", &"a".repeat(101)).is_err());
    }

    #[test]
    fn install_ids_in_any_spelling() {
        let expected = "e589a371-ea0c-4479-9a7b-9f834adec040";
        for text in [
            expected,
            "E589A371-EA0C-4479-9A7B-9F834ADEC040",
            "e589a371ea0c44799a7b9f834adec040",
            "{e589a371-ea0c-4479-9a7b-9f834adec040}",
        ] {
            let id: InstallId = text.parse().expect("a UUID");
            assert_eq!(id.to_string(), expected);
            assert!(!format!("{id:?}").contains("e589"));
        }
    }

    #[test]
    fn weak_install_ids_are_refused() {
        for text in [
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "11111111-1111-1111-1111-111111111111",
            "",
            "e589a371",
        ] {
            assert!(text.parse::<InstallId>().is_err(), "{text}");
        }
    }

    #[test]
    fn error_ids_carry_time_and_guid() {
        // Decodes to this time: shared facts on App Center's identifiers, section 3.
        let id: ErrorId = "2518291138564839999-00000000-0000-0000-0000-000000000000"
            .parse()
            .expect("an error ID");
        let at = id.timestamp().expect("it has digits").to_string();
        assert!(at.starts_with("2019-11-08T04:22:23.516"), "{at}");
        assert!(id.guid().is_some_and(|guid| guid.is_nil()));
        for bad in ["", "a/b", "..", "a b"] {
            assert!(bad.parse::<ErrorId>().is_err());
        }
    }
}
