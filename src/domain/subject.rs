//! The person's identifiers. They never show: `Debug` tells only how many there are.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::InstallId;

/// What is known of the person. Lists are sorted sets.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Install IDs of the person's devices.
    #[serde(default)]
    pub install_ids: Vec<InstallId>,
    /// IDs that the app's developer gave the person, exactly as they are.
    #[serde(default)]
    pub user_ids: Vec<String>,
    /// E-mail addresses, lower case.
    #[serde(default)]
    pub emails: Vec<String>,
    /// Names and other words, NFC.
    #[serde(default)]
    pub terms: Vec<String>,
}

impl Subject {
    /// Every identifier as text.
    pub fn texts(&self) -> impl Iterator<Item = String> {
        self.install_ids
            .iter()
            .map(ToString::to_string)
            .chain(self.user_ids.iter().cloned())
            .chain(self.emails.iter().cloned())
            .chain(self.terms.iter().cloned())
    }

    /// Whether it shares an identifier with another person's, so that both may be the same person.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let shares = |mine: &[String], theirs: &[String]| mine.iter().any(|it| theirs.contains(it));
        self.install_ids
            .iter()
            .any(|id| other.install_ids.contains(id))
            || shares(&self.user_ids, &other.user_ids)
            || shares(&self.emails, &other.emails)
            || shares(&self.terms, &other.terms)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("install_ids", &self.install_ids.len())
            .field("user_ids", &self.user_ids.len())
            .field("emails", &self.emails.len())
            .field("terms", &self.terms.len())
            .finish()
    }
}
