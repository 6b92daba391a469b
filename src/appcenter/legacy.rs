//! The legacy crash API: deprecated, "removed" by the documents, and still described in 2025. Used where the current one is not there.

use bytes::Bytes;
use futures::FutureExt as _;
use jiff::Timestamp;
use serde::Deserialize;

use super::body::{decode, decode_any};
use super::client::Client;
use super::content::Attachment;
use super::document::Document;
use super::error::Error;
use super::errors::ErrorKind;
use super::hosts::Location;
use super::http::Call;
use super::lenient;
use super::page::{Keyed, Listing, Next, Pages};
use super::path::{Path, PathId};
use super::personal::Personal;
use crate::domain::{AppRef, ErrorId, GroupId};

/// A crash group in the legacy API.
#[derive(Debug, Clone, Deserialize)]
pub struct CrashGroup {
    /// Its legacy ID (40 hex digits); none when the service sent one that cannot be used.
    #[serde(
        default,
        rename = "crash_group_id",
        deserialize_with = "lenient::parsed"
    )]
    pub id: Option<GroupId>,
    /// The same group's ID in the current API.
    #[serde(
        default,
        rename = "new_crash_group_id",
        deserialize_with = "lenient::parsed"
    )]
    pub new_id: Option<GroupId>,
    /// The version.
    #[serde(default, deserialize_with = "lenient::text")]
    pub app_version: Option<String>,
    /// How many reports it counts.
    #[serde(default, deserialize_with = "lenient::count")]
    pub count: Option<u64>,
    /// Whether it is a crash and not a handled error.
    #[serde(default, deserialize_with = "lenient::flag")]
    pub fatal: Option<bool>,
    /// The first report.
    #[serde(default, deserialize_with = "lenient::time")]
    pub first_occurrence: Option<Timestamp>,
    /// The last one.
    #[serde(default, deserialize_with = "lenient::time")]
    pub last_occurrence: Option<Timestamp>,
    /// The first report's message.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub crash_reason: Option<Personal<String>>,
}

impl Keyed for CrashGroup {
    fn key(&self) -> Option<&str> {
        self.id.as_ref().map(GroupId::as_str)
    }
}

/// A report in the legacy API.
#[derive(Debug, Clone, Deserialize)]
pub struct Crash {
    /// Its legacy ID; none when the service sent one that cannot be used.
    #[serde(default, rename = "crash_id", deserialize_with = "lenient::parsed")]
    pub id: Option<ErrorId>,
    /// The same report's ID in the current API.
    #[serde(default, rename = "new_crash_id", deserialize_with = "lenient::parsed")]
    pub new_id: Option<ErrorId>,
    /// Its group's ID in the current API.
    #[serde(
        default,
        rename = "new_crash_group_id",
        deserialize_with = "lenient::parsed"
    )]
    pub new_group_id: Option<GroupId>,
    /// When it happened.
    #[serde(default, deserialize_with = "lenient::time")]
    pub timestamp: Option<Timestamp>,
    /// The developer's ID or name of the user.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub user_name: Option<Personal<String>>,
    /// The user's address.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub user_email: Option<Personal<String>>,
    /// The device's model.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub device: Option<Personal<String>>,
}

impl Client {
    /// `crashGroups_list`: every crash group, followed by continuation tokens.
    ///
    /// # Errors
    /// [`Error::Setup`] for a name that cannot be in a path.
    pub fn crash_groups(&self, app: &AppRef) -> Result<Pages<CrashGroup>, Error> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default, deserialize_with = "lenient::flag")]
            limited_result_set: Option<bool>,
            #[serde(default, deserialize_with = "lenient::text")]
            continuation_token: Option<String>,
            #[serde(deserialize_with = "lenient::list")]
            crash_groups: Vec<CrashGroup>,
        }
        let path = Path::app(self, app, &["crash_groups"])?;
        Ok(Pages::new(self, "crashGroups_list", path, |body| {
            let list: List = decode(body)?;
            let next = Next::token(list.continuation_token);
            Ok(Listing::new(
                list.crash_groups,
                next,
                list.limited_result_set == Some(true),
            ))
        }))
    }

    /// `crashes_list`: the reports of a crash group, all at once.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn crashes_in_group(
        &self,
        app: &AppRef,
        group: &GroupId,
        kind: ErrorKind,
    ) -> Result<Vec<Crash>, Error> {
        /// A list, or its only entry.
        #[derive(Deserialize)]
        struct Crashes(#[serde(deserialize_with = "lenient::list")] Vec<Crash>);
        let path = Path::app(self, app, &["crash_groups", group.as_str(), "crashes"])?;
        let path = match kind {
            ErrorKind::All => path,
            ErrorKind::Unhandled => path.query("error_type", "CrashingErrors"),
            ErrorKind::Handled => path.query("error_type", "HandledErrors"),
        };
        let call = Call::get("crashes_list", path);
        let crashes: Crashes = decode_any(&self.send(&call).await?)?;
        Ok(crashes.0)
    }

    /// `crashes_get`, answered with 201.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn crash(
        &self,
        app: &AppRef,
        group: &GroupId,
        crash: &ErrorId,
    ) -> Result<Document<Crash>, Error> {
        let path = crash_path(self, app, group, crash, &[])?
            .query("include_report", "true")
            .query("include_log", "true")
            .query("include_details", "true");
        self.document(&Call::get("crashes_get", path)).await
    }

    /// `crashes_getStacktrace`, as JSON.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn crash_stack_trace(
        &self,
        app: &AppRef,
        group: &GroupId,
        crash: &ErrorId,
    ) -> Result<Personal<Bytes>, Error> {
        let path = crash_path(self, app, group, crash, &["stacktrace"])?;
        let call = Call::get("crashes_getStacktrace", path);
        Ok(Personal::new(self.send(&call).await?))
    }

    /// `crashes_getRawCrashLocation`: where the raw log can be fetched.
    ///
    /// # Errors
    /// Those of a call; [`Error::Protocol`] when there is no address in the answer.
    pub async fn crash_location(
        &self,
        app: &AppRef,
        group: &GroupId,
        crash: &ErrorId,
    ) -> Result<Location, Error> {
        let path = crash_path(self, app, group, crash, &["raw", "location"])?;
        self.location(&Call::get("crashes_getRawCrashLocation", path))
            .await
    }

    /// The raw log behind [`Client::crash_location`].
    ///
    /// # Errors
    /// Those of a call.
    pub async fn crash_raw_log(
        &self,
        app: &AppRef,
        group: &GroupId,
        crash: &ErrorId,
        limit: u64,
    ) -> Result<Personal<Bytes>, Error> {
        let location = || self.crash_location(app, group, crash).boxed();
        self.fetch_fresh(&location, limit).await
    }

    /// `crashes_getNativeCrashDownload`: a native crash as text.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn crash_native(
        &self,
        app: &AppRef,
        group: &GroupId,
        crash: &ErrorId,
    ) -> Result<Personal<String>, Error> {
        let path = crash_path(self, app, group, crash, &["native", "download"])?;
        self.text(&Call::get_file("crashes_getNativeCrashDownload", path))
            .await
    }

    /// `crashes_listAttachments`
    ///
    /// # Errors
    /// Those of a call.
    pub async fn crash_attachments(
        &self,
        app: &AppRef,
        crash: &ErrorId,
    ) -> Result<Vec<Attachment>, Error> {
        let path = Path::app(self, app, &["crashes", crash.as_str(), "attachments"])?;
        self.attachment_list(&Call::get("crashes_listAttachments", path))
            .await
    }

    /// `crashes_getCrashTextAttachmentContent`
    ///
    /// # Errors
    /// Those of a call.
    pub async fn crash_attachment_text(
        &self,
        app: &AppRef,
        crash: &ErrorId,
        attachment: &PathId,
    ) -> Result<Personal<String>, Error> {
        let segments = [
            "crashes",
            crash.as_str(),
            "attachments",
            attachment.as_str(),
            "text",
        ];
        let path = Path::app(self, app, &segments)?;
        self.text(&Call::get_file(
            "crashes_getCrashTextAttachmentContent",
            path,
        ))
        .await
    }

    /// `crashes_getCrashAttachmentLocation`
    ///
    /// # Errors
    /// Those of a call; [`Error::Protocol`] when there is no address in the answer.
    pub async fn crash_attachment_location(
        &self,
        app: &AppRef,
        crash: &ErrorId,
        attachment: &PathId,
    ) -> Result<Location, Error> {
        let segments = [
            "crashes",
            crash.as_str(),
            "attachments",
            attachment.as_str(),
            "location",
        ];
        let path = Path::app(self, app, &segments)?;
        self.location(&Call::get("crashes_getCrashAttachmentLocation", path))
            .await
    }

    /// The bytes of an attachment: the file, or its text where there is no file to be had.
    ///
    /// # Errors
    /// As [`Client::crash_raw_log`].
    pub async fn crash_attachment_bytes(
        &self,
        app: &AppRef,
        crash: &ErrorId,
        attachment: &PathId,
        limit: u64,
    ) -> Result<Personal<Bytes>, Error> {
        let location = || {
            self.crash_attachment_location(app, crash, attachment)
                .boxed()
        };
        let text = || self.crash_attachment_text(app, crash, attachment);
        self.file_or_text(&location, limit, text).await
    }
}

/// `…/crash_groups/{crash_group_id}/crashes/{crash_id}/<more>`
pub(super) fn crash_path(
    client: &Client,
    app: &AppRef,
    group: &GroupId,
    crash: &ErrorId,
    more: &[&str],
) -> Result<Path, Error> {
    let mut segments = vec!["crash_groups", group.as_str(), "crashes", crash.as_str()];
    segments.extend(more);
    Path::app(client, app, &segments)
}
