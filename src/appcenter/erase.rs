//! The calls that cannot be taken back, and the evidence that something is gone.
//!
//! There is no call for the app-wide block (`PUT …/devices/block_logs` without an install ID).

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use uuid::Uuid;

use super::body::decode;
use super::budget::Gate;
use super::client::Client;
use super::error::Error;
use super::errors::report_path;
use super::http::Call;
use super::legacy::crash_path;
use super::lenient;
use super::path::Path;
use crate::domain::{AppRef, ErrorId, GroupId, InstallId};

/// What a deletion says it did. Every field is optional in the service's description.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Deleted {
    /// Reports deleted.
    #[serde(
        default,
        rename = "errorsDeleted",
        alias = "crashes_deleted",
        alias = "errors_deleted",
        deserialize_with = "lenient::strict_count"
    )]
    pub reports: Option<u64>,
    /// Attachments deleted.
    #[serde(
        default,
        rename = "attachmentsDeleted",
        alias = "attachments_deleted",
        deserialize_with = "lenient::strict_count"
    )]
    pub attachments: Option<u64>,
    /// Blobs deleted.
    #[serde(
        default,
        rename = "blobsSucceeded",
        alias = "blobs_succeeded",
        deserialize_with = "lenient::strict_count"
    )]
    pub blobs_succeeded: Option<u64>,
    /// Blobs that could not be deleted.
    #[serde(
        default,
        rename = "blobsFailed",
        alias = "blobs_failed",
        deserialize_with = "lenient::strict_count"
    )]
    pub blobs_failed: Option<u64>,
}

impl Deleted {
    /// Whether the report counts as deleted: no blob of it was left.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.blobs_failed.unwrap_or(0) == 0
    }
}

/// Whether a report that was answered with 404 is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The report is not there, and the token can see the app.
    Confirmed,
    /// The token cannot see the app (any more), so a 404 says nothing about the report.
    AppUnreachable,
    /// The report is there.
    StillThere,
}

impl Client {
    /// `Errors_DeleteError`: deletes one report with its attachments and blobs. Its search entry may stay for 30 days.
    ///
    /// # Errors
    /// Those of a call; [`Error::Stopped`] when the gate is closed. [`Error::NotFound`] says nothing yet, and
    /// [`Error::NotFoundAgain`] that an earlier attempt of this call may have succeeded: see [`Client::confirm_gone`].
    pub async fn delete_error(
        &self,
        app: &AppRef,
        group: &GroupId,
        error: &ErrorId,
        gate: &dyn Gate,
    ) -> Result<Deleted, Error> {
        let path = report_path(self, app, group, error, &[])?;
        let call = Call::irreversible("Errors_DeleteError", Method::DELETE, path, gate);
        self.delete(&call).await
    }

    /// `crashes_delete`: the same by the legacy API.
    ///
    /// # Errors
    /// As [`Client::delete_error`].
    pub async fn delete_crash(
        &self,
        app: &AppRef,
        group: &GroupId,
        crash: &ErrorId,
        gate: &dyn Gate,
    ) -> Result<Deleted, Error> {
        let path = crash_path(self, app, group, crash, &[])?;
        let call = Call::irreversible("crashes_delete", Method::DELETE, path, gate);
        self.delete(&call).await
    }

    /// `test_archiveTestRun`: deletes a test run of the app, which the service calls logical.
    ///
    /// # Errors
    /// As [`Client::delete_error`].
    pub async fn delete_test_run(
        &self,
        app: &AppRef,
        run: Uuid,
        gate: &dyn Gate,
    ) -> Result<(), Error> {
        let path = test_run_path(self, app, run)?;
        let call = Call::irreversible("test_archiveTestRun", Method::DELETE, path, gate);
        self.erase(&call).await?;
        Ok(())
    }

    async fn delete(&self, call: &Call<'_>) -> Result<Deleted, Error> {
        deleted(&self.erase(call).await?)
    }

    async fn erase(&self, call: &Call<'_>) -> Result<Bytes, Error> {
        match self.send(call).await {
            Err(Error::NotFound(refusal)) if call.is_maybe_done() => {
                Err(Error::NotFoundAgain(refusal))
            }
            other => other,
        }
    }

    /// `Devices_BlockLogs`: App Center drops, for good, everything that this install sends to this app. It deletes nothing.
    ///
    /// # Errors
    /// Those of a call; [`Error::Stopped`] when the gate is closed.
    pub async fn block_install(
        &self,
        app: &AppRef,
        install: InstallId,
        gate: &dyn Gate,
    ) -> Result<(), Error> {
        // An install ID is a UUID by type, so this segment is never empty: an empty one would block the whole app.
        let id = install.to_string();
        let path = Path::app(self, app, &["devices", "block_logs", &id])?;
        let call = Call::irreversible("Devices_BlockLogs", Method::PUT, path, gate);
        self.send(&call).await?;
        Ok(())
    }

    /// Looks, with the same token, whether a report that was answered with 404 is gone.
    ///
    /// The report is asked for first: a token that still sees the app afterwards also saw the report's absence.
    ///
    /// # Errors
    /// Those of a call that may work later.
    pub async fn confirm_gone(
        &self,
        app: &AppRef,
        group: &GroupId,
        error: &ErrorId,
    ) -> Result<Gone, Error> {
        let report = self.error_details(app, group, error).await;
        self.judge_gone(app, report.map(drop)).await
    }

    /// [`Client::confirm_gone`] by the legacy API.
    ///
    /// # Errors
    /// Those of a call that may work later.
    pub async fn confirm_crash_gone(
        &self,
        app: &AppRef,
        group: &GroupId,
        crash: &ErrorId,
    ) -> Result<Gone, Error> {
        let report = self.crash(app, group, crash).await;
        self.judge_gone(app, report.map(drop)).await
    }

    /// [`Client::confirm_gone`] of a test run.
    ///
    /// # Errors
    /// Those of a call that may work later.
    pub async fn confirm_test_run_gone(&self, app: &AppRef, run: Uuid) -> Result<Gone, Error> {
        let path = test_run_path(self, app, run)?;
        let run = self.send(&Call::get("test_getTestRun", path)).await;
        self.judge_gone(app, run.map(drop)).await
    }

    async fn judge_gone(&self, app: &AppRef, report: Result<(), Error>) -> Result<Gone, Error> {
        match report {
            Ok(()) => return Ok(Gone::StillThere),
            Err(Error::NotFound(_)) => {}
            Err(Error::Unauthorized(_) | Error::Forbidden(_)) => return Ok(Gone::AppUnreachable),
            Err(error) => return Err(error),
        }
        match self.app(app).await {
            Ok(_app) => Ok(Gone::Confirmed),
            Err(
                Error::NotFound(_) | Error::Unauthorized(_) | Error::Forbidden(_) | Error::Gone,
            ) => Ok(Gone::AppUnreachable),
            Err(error) => Err(error),
        }
    }
}

fn test_run_path(client: &Client, app: &AppRef, run: Uuid) -> Result<Path, Error> {
    Path::app(client, app, &["test_runs", &run.to_string()])
}

fn deleted(body: &Bytes) -> Result<Deleted, Error> {
    if body.trim_ascii().is_empty() {
        return Ok(Deleted::default());
    }
    decode(body)
}
