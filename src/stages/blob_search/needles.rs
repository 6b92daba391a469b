//! What a search step looks for: the person first, then what the first pass found.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app::App;
use crate::domain::hit::Reason;
use crate::domain::{InstallId, Subject};
use crate::search::{Hit as Found, Identifiers, Kind, Strength};
use crate::stages::planned::read_plan;
use crate::stages::{Context, StageError};
use crate::work::names;
use crate::workflow::{Record, Step};

/// What to look for. It holds personal data: it stays in the request's own work blobs.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Needles {
    /// The person's identifiers, and installs found.
    pub subject: Subject,
    /// Payload blobs by name: rows that name them tell whose they are.
    #[serde(default)]
    pub links: Vec<String>,
    /// Reports by GUID: what holds it is a part of the report.
    #[serde(default)]
    pub reports: Vec<Uuid>,
}

impl std::fmt::Debug for Needles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Needles")
            .field("subject", &self.subject)
            .field("links", &self.links.len())
            .field("reports", &self.reports.len())
            .finish()
    }
}

impl Needles {
    /// In the engine's terms.
    pub(super) fn identifiers(&self) -> Identifiers {
        Identifiers {
            install_ids: self
                .subject
                .install_ids
                .iter()
                .map(|id| id.uuid())
                .collect(),
            user_ids: self.subject.user_ids.clone(),
            emails: self.subject.emails.clone(),
            terms: self.subject.terms.clone(),
            report_ids: self.reports.clone(),
            literals: self.links.clone(),
        }
    }

    /// Why the engine found something, in the plan's terms.
    #[must_use]
    pub fn reason(found: &Found) -> Reason {
        match (found.kind, found.strength) {
            (Kind::InstallId, _) => Reason::InstallId,
            (Kind::UserId, Strength::Exact) => Reason::UserId,
            (Kind::UserId, Strength::Token | Strength::Word) => Reason::UserIdToken,
            (Kind::Email, _) => Reason::Email,
            (Kind::Term, _) => Reason::Term,
            (Kind::ReportId | Kind::Literal, _) => Reason::Link,
        }
    }

    /// The install ID that a finding is about.
    pub(super) fn install(&self, found: &Found) -> Option<InstallId> {
        let is_install = found.kind == Kind::InstallId;
        is_install
            .then(|| self.subject.install_ids.get(found.identifier).copied())
            .flatten()
    }

    /// The link that a finding is about.
    pub(super) fn link(&self, found: &Found) -> Option<&String> {
        let before = self.subject.install_ids.len()
            + self.subject.user_ids.len()
            + self.subject.emails.len()
            + self.subject.terms.len()
            + self.reports.len();
        let is_link = found.kind == Kind::Literal;
        is_link
            .then(|| self.links.get(found.identifier.checked_sub(before)?))
            .flatten()
    }
}

/// Where the needles of a step that come from an earlier one are stored.
#[must_use]
pub(super) fn name(record: &Record, step: Step) -> String {
    names::of_step(&record.id, record.run, step, "needles.json")
}

/// What a request looks for in this step.
///
/// # Errors
/// When it cannot be read.
pub async fn load(app: &App, record: &Record, step: Step) -> Result<Needles, StageError> {
    match (step, &record.subject) {
        (Step::Find, Some(subject)) => Ok(Needles {
            subject: subject.clone(),
            ..Needles::default()
        }),
        (Step::Find, None) => Err(StageError::permanent("the request has no identifiers")),
        _ => {
            let stored = app.store.read_json(&name(record, step), "needles").await?;
            stored
                .map(|(needles, _etag)| needles)
                .ok_or_else(|| StageError::permanent("what to search for was not stored"))
        }
    }
}

/// Stores what the search after the block looks for: the person, and every install of the plan.
///
/// # Errors
/// When it cannot be stored.
pub(super) async fn prepare_recheck(cx: Context<'_>, record: &Record) -> Result<(), StageError> {
    let (plan, _bytes) = read_plan(cx, record).await?;
    let mut subject = record.subject.clone().unwrap_or_default();
    let installs = plan.installs.iter().map(|install| install.install_id);
    subject.install_ids.extend(installs);
    subject.install_ids.sort_unstable();
    subject.install_ids.dedup();
    let needles = Needles {
        subject,
        ..Needles::default()
    };
    let name = name(record, Step::Recheck);
    cx.app.store.create_json(&name, "needles", &needles).await?;
    Ok(())
}
