//! Items and what became of them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::text::scrub;
use crate::domain::plan::Action;
use crate::domain::{AppRef, ErrorId, GroupId, InstallId};

/// What became of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// An install: App Center takes nothing from it any more.
    Blocked,
    /// A report, or a test run: App Center confirmed that it is deleted, a report with its attachments.
    Deleted,
    /// A report, or a test run: it was gone before we came, and the same token showed that it is.
    AlreadyGone,
    /// It is in the package.
    Exported,
    /// Log rows: no call deletes them; App Center drops them 28 days after their time.
    AgesOut,
    /// It was left alone, since it may be about somebody else and nobody released it.
    Held,
    /// It was tried and not done.
    Failed {
        /// Why.
        #[serde(rename = "because")]
        reason: String,
    },
    /// It was planned and not tried.
    NotAttempted {
        /// Why.
        #[serde(rename = "because")]
        reason: String,
    },
}

impl Outcome {
    /// Its name in JSON.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Deleted => "deleted",
            Self::AlreadyGone => "already_gone",
            Self::Exported => "exported",
            Self::AgesOut => "ages_out",
            Self::Held => "held",
            Self::Failed { .. } => "failed",
            Self::NotAttempted { .. } => "not_attempted",
        }
    }

    /// Why it was not done, if it was planned and was not.
    #[must_use]
    pub fn undone(&self) -> Option<&str> {
        match self {
            Self::Failed { reason } | Self::NotAttempted { reason } => Some(reason),
            Self::Blocked
            | Self::Deleted
            | Self::AlreadyGone
            | Self::Exported
            | Self::AgesOut
            | Self::Held => None,
        }
    }

    /// The same with reasons that hold nothing personal.
    pub(super) fn scrubbed(self) -> Self {
        match self {
            Self::Failed { reason } => Self::Failed {
                reason: scrub(&reason),
            },
            Self::NotAttempted { reason } => Self::NotAttempted {
                reason: scrub(&reason),
            },
            done => done,
        }
    }
}

/// What a stage tells of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemOutcome {
    /// What became of it.
    pub outcome: Outcome,
    /// What else is to be said: what of it could not be had. Nothing personal.
    pub detail: Option<String>,
}

impl From<Outcome> for ItemOutcome {
    fn from(outcome: Outcome) -> Self {
        Self {
            outcome,
            detail: None,
        }
    }
}

/// An item of the plan with its outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The item's ID.
    pub id: String,
    /// Its app.
    pub app: AppRef,
    /// The installation; gone from the archive form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub install_id: Option<InstallId>,
    /// The report's group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_id: Option<GroupId>,
    /// The report; gone from the archive form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_id: Option<ErrorId>,
    /// The run of App Center Test; gone from the archive form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_run_id: Option<Uuid>,
    /// Log rows of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// What the plan says.
    pub planned: Action,
    /// Why the plan says so.
    pub reason: String,
    /// Whether a person released it from being held.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// What else is to be said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
