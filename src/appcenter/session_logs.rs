//! What a device logged around a crash: the only answers of the API that name the install.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde::Deserialize;

use super::client::Client;
use super::document::Document;
use super::error::Error;
use super::http::Call;
use super::lenient;
use super::path::Path;
use crate::domain::{AppRef, ErrorId, InstallId};

/// A page of session logs.
#[derive(Debug, Clone, Deserialize)]
pub struct SessionLogs {
    /// There are more than these; at most 100 come at once.
    #[serde(default, deserialize_with = "lenient::flag")]
    exceeded_max_limit: Option<bool>,
    /// The `date` to ask for the next ones with.
    #[serde(default, deserialize_with = "lenient::time")]
    last_received_log_timestamp: Option<Timestamp>,
    /// The logs.
    #[serde(deserialize_with = "lenient::list")]
    pub logs: Vec<SessionLog>,
}

/// One log. Its properties and device are in the document's JSON.
#[derive(Debug, Clone, Deserialize)]
pub struct SessionLog {
    /// Its type, such as `event` or `start_session`.
    #[serde(default, rename = "type", deserialize_with = "lenient::text")]
    pub kind: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub timestamp: Option<Timestamp>,
    /// The install that sent it.
    #[serde(default, deserialize_with = "lenient::parsed")]
    pub install_id: Option<InstallId>,
    /// Its message ID, the same as in exported records.
    #[serde(default, deserialize_with = "lenient::text")]
    pub message_id: Option<String>,
}

impl SessionLogs {
    /// The `date` of the next page, when there is one.
    #[must_use]
    pub fn next_date(&self) -> Option<Timestamp> {
        self.last_received_log_timestamp
            .filter(|_date| self.exceeded_max_limit == Some(true))
    }

    /// Whether the service says that there are more.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.exceeded_max_limit == Some(true)
    }
}

/// Session logs of one report are followed for this many pages.
const PAGES: usize = 20;

/// The paths that have had the session logs: of the current API, as its documents spell it, and of the legacy API.
const PATHS: [(&str, &str, &str); 3] = [
    ("Errors_ListSessionLogs", "errors", "sessionLogs"),
    ("Errors_ListSessionLogs", "errors", "session_logs"),
    ("Crashes_ListSessionLogs", "crashes", "session_logs"),
];

/// The first of [`PATHS`] that takes what the legacy API calls a report.
const LEGACY: usize = 2;
/// Apps that are remembered; more are learned anew, at the cost of a few calls.
const APPS: usize = 1000;

/// Which of [`PATHS`] is known to answer, by app: a 404 there says that a report has no logs.
#[derive(Debug, Default)]
pub(super) struct KnownPaths(Mutex<HashMap<AppRef, usize>>);

impl KnownPaths {
    /// [`PATHS`]'s length when none is.
    fn of(&self, app: &AppRef) -> usize {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(app).copied().unwrap_or(PATHS.len())
    }

    fn answers(&self, app: &AppRef, index: usize) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= APPS && !known.contains_key(app) {
            known.clear();
        }
        let first = known.entry(app.clone()).or_insert(index);
        *first = index.min(*first);
    }
}

impl Client {
    /// The session logs of a report from `date` on; 404 on one path means trying the next.
    ///
    /// Handled errors have none, and crashes only if events arrived within 48 hours.
    ///
    /// # Errors
    /// Those of a call; [`Error::NotFound`] when there are none.
    pub async fn session_logs(
        &self,
        app: &AppRef,
        error: &ErrorId,
        date: Option<Timestamp>,
    ) -> Result<Document<SessionLogs>, Error> {
        self.session_logs_from(0, app, error, date).await
    }

    async fn session_logs_from(
        &self,
        mut index: usize,
        app: &AppRef,
        error: &ErrorId,
        date: Option<Timestamp>,
    ) -> Result<Document<SessionLogs>, Error> {
        let known = self.session_logs_paths();
        loop {
            let (operation, collection, logs) = PATHS[index];
            let mut path = Path::app(self, app, &[collection, error.as_str(), logs])?;
            if let Some(date) = date {
                path = path.query("date", &date.to_string());
            }
            match self.document(&Call::get(operation, path)).await {
                Ok(document) => {
                    known.answers(app, index);
                    return Ok(document);
                }
                Err(Error::NotFound(_) | Error::Gone)
                    if index + 1 < PATHS.len() && index < known.of(app) =>
                {
                    index += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// All session logs of a report, page by page, and whether these are all.
    ///
    /// # Errors
    /// Those of [`Client::session_logs`].
    pub async fn all_session_logs(
        &self,
        app: &AppRef,
        error: &ErrorId,
    ) -> Result<(Vec<Document<SessionLogs>>, bool), Error> {
        self.all_session_logs_from(0, app, error).await
    }

    /// The same of a report by what the legacy API calls it, which only the last path takes.
    ///
    /// # Errors
    /// Those of [`Client::session_logs`].
    pub async fn all_crash_session_logs(
        &self,
        app: &AppRef,
        crash: &ErrorId,
    ) -> Result<(Vec<Document<SessionLogs>>, bool), Error> {
        self.all_session_logs_from(LEGACY, app, crash).await
    }

    async fn all_session_logs_from(
        &self,
        first: usize,
        app: &AppRef,
        error: &ErrorId,
    ) -> Result<(Vec<Document<SessionLogs>>, bool), Error> {
        let mut documents = Vec::new();
        let mut date = None;
        for _page in 0..PAGES {
            let document = self.session_logs_from(first, app, error, date).await?;
            let next = document.value.next_date();
            let has_more = document.value.has_more();
            documents.push(document);
            if !has_more {
                return Ok((documents, true));
            }
            // The date is where the next page begins; one that stays would bring the same page for ever.
            if next.is_none() || next <= date {
                break;
            }
            date = next;
        }
        Ok((documents, false))
    }
}
