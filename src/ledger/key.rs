//! What the ledger's tables are named by, and what stands in them.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::domain::ids::InvalidId;
use crate::domain::{ErrorId, GroupId};

/// Characters of a key, as wide as the column.
const MAX_KEY: usize = 120;

/// An app's ID: the UUID that names its table. Lower case with hyphens, so it is safe inside an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AppId(Uuid);

impl FromStr for AppId {
    type Err = InvalidId;

    /// Accepts a UUID with hyphens, in any case.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let invalid = InvalidId {
            kind: "app ID",
            reason: "an app ID is a UUID with hyphens",
        };
        // The parser also takes UUIDs without hyphens, in braces, or as a URN.
        if text.len() != 36 {
            return Err(invalid);
        }
        Uuid::try_parse(text).map(Self).map_err(|_error| invalid)
    }
}

impl From<Uuid> for AppId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// A report: its group's ID and its own, written `<errorGroupId>/<errorId>`.
///
/// Keys are ordered as both databases order them: by the bytes of the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key {
    group: GroupId,
    error: ErrorId,
}

impl Key {
    /// The key of a report.
    ///
    /// # Errors
    /// When both IDs together do not fit into the column.
    pub fn new(group: GroupId, error: ErrorId) -> Result<Self, InvalidId> {
        if group.as_str().len() + 1 + error.as_str().len() > MAX_KEY {
            return Err(InvalidId {
                kind: "ledger key",
                reason: "group ID and error ID have at most 119 characters together",
            });
        }
        Ok(Self { group, error })
    }

    /// The group's ID.
    #[must_use]
    pub fn group(&self) -> &GroupId {
        &self.group
    }

    /// The report's ID.
    #[must_use]
    pub fn error(&self) -> &ErrorId {
        &self.error
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        let group = self.group.as_str().bytes();
        group.chain([b'/']).chain(self.error.as_str().bytes())
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for Key {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (group, error) = text.split_once('/').ok_or(InvalidId {
            kind: "ledger key",
            reason: "a key is `<errorGroupId>/<errorId>`",
        })?;
        Self::new(group.parse()?, error.parse()?)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.group, self.error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_ids_are_uuids_with_hyphens() {
        let id: AppId = "7F5CDBAB-0A4D-4E2D-9C2A-6C6F0A5D3B11"
            .parse()
            .expect("a UUID");
        assert_eq!(id.to_string(), "7f5cdbab-0a4d-4e2d-9c2a-6c6f0a5d3b11");
        for bad in [
            "",
            "7f5cdbab0a4d4e2d9c2a6c6f0a5d3b11",
            "{7f5cdbab-0a4d-4e2d-9c2a-6c6f0a5d3b11}",
            "7f5cdbab-0a4d-4e2d-9c2a-6c6f0a5d3b1]",
            "x]; DROP TABLE [dsr].[Crashes_x]; --",
        ] {
            assert!(bad.parse::<AppId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_fit_the_column() {
        let key = |group: &str, error: &str| Key::new(group.parse()?, error.parse()?);
        let usual = key(
            "1234567890u",
            "2518291138564839999-00000000-0000-0000-0000-000000000000",
        );
        let text = "1234567890u/2518291138564839999-00000000-0000-0000-0000-000000000000";
        assert_eq!(usual.expect("it fits").to_string(), text);
        assert_eq!(text.parse::<Key>().expect("a key").to_string(), text);
        assert!(key(&"a".repeat(59), &"b".repeat(60)).is_ok());
        assert!(key(&"a".repeat(60), &"b".repeat(60)).is_err());
        for bad in ["", "/", "a", "a/", "/b", "a/b/c", "a/b c", "a'/b"] {
            assert!(bad.parse::<Key>().is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_are_ordered_as_their_texts() {
        let texts = ["1/b", "1-a/b", "10/a", "1U/a", "1u/a", "1u/A", "a/1", "A/1"];
        let mut keys: Vec<Key> = texts.map(|it| it.parse().expect("a key")).to_vec();
        keys.sort();
        let mut expected = texts.map(str::to_owned).to_vec();
        expected.sort();
        let found: Vec<String> = keys.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected);
    }
}
