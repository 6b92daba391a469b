//! What a found record says about itself: whose install, which report, which device. And what the name of a blob says.
//!
//! The schema of exported crashes and errors is not documented, so names are taken in any spelling (`InstallId`, `installID`,
//! `install_id`, `Install-ID`), values as texts or numbers, wherever they stand; what stands nearest to the root counts.

mod name;
mod record;

pub use name::{NameIds, ids_in_name};

use std::fmt;

use uuid::Uuid;

use crate::domain::hit::InstallFrom;
use crate::domain::{ErrorId, GroupId, InstallId, LegacyIds};

/// What a record says about itself. Whatever it does not say is `None` or empty.
///
/// `Debug` shows only which facts there are: some of them are personal data.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The app (`AppId`).
    pub app_id: Option<Uuid>,
    /// The install; in Apple's text form the `CrashReporter Key`. Not read from what the developer's own properties say.
    pub install_id: Option<InstallId>,
    /// How it tells the install.
    pub install_from: InstallFrom,
    /// The values of `UserId` in any spelling, those that stand for nobody (`None`, `anonymous`, …) left out; no value twice.
    pub user_ids: Vec<String>,
    /// The values of `user_name` and `user_email`, likewise.
    pub user_names: Vec<String>,
    /// The device model.
    pub model: Option<String>,
    /// The name of the operating system.
    pub os: Option<String>,
    /// The version of the operating system.
    pub os_version: Option<String>,
    /// When it happened, on the record's own clock.
    pub timestamp: Option<jiff::Timestamp>,
    /// `EventLog`, `ErrorLog`, `HandledErrorLog`, …; the SDK's own names are translated.
    pub message_type: Option<String>,
    /// The ID of the log row; the SDK makes it, and a report's GUID is the same.
    pub message_id: Option<Uuid>,
    /// The report (`ErrorId`, `CrashId`); in the SDK's logs of crashes and errors their own `id`.
    pub error_id: Option<ErrorId>,
    /// The group of reports (`ErrorGroupId`, `CrashGroupId`).
    pub group_id: Option<GroupId>,
    /// What the legacy API calls the report.
    pub legacy: Option<LegacyIds>,
    /// The attachment.
    pub attachment_id: Option<String>,
    /// What the service calls the batch that a row came with.
    pub correlation_id: Option<Uuid>,
    /// The session.
    pub session_id: Option<Uuid>,
    /// The name of an event.
    pub event_name: Option<String>,
    /// The blob (in the same container) that holds what the row of an `ErrorLog`, `HandledErrorLog` or `ErrorAttachmentLog` tells of.
    pub payload_blob: Option<String>,
}

impl fmt::Debug for Facts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Facts")
            .field("app_id", &self.app_id)
            .field("install_id", &self.install_id)
            .field("user_ids", &self.user_ids.len())
            .field("user_names", &self.user_names.len())
            .field("timestamp", &self.timestamp)
            .field("message_type", &self.message_type)
            .field("has_error_id", &self.error_id.is_some())
            .field("has_payload_blob", &self.payload_blob.is_some())
            .finish_non_exhaustive()
    }
}

impl Facts {
    /// Reads what a record says: JSON of any shape, or a text such as Apple's crash reports. Never fails; bad values are no facts.
    ///
    /// Give it decoded bytes ([`Match::bytes`](super::Match::bytes) are).
    #[must_use]
    pub fn of_record(bytes: &[u8]) -> Self {
        record::read(bytes)
    }
}
