//! Crashes and handled errors: groups, the reports in them, and the search by report ID.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde::Deserialize;

use super::body::decode;
use super::client::Client;
use super::document::Document;
use super::error::Error;
use super::http::Call;
use super::lenient::{self, open_enum};
use super::page::{Keyed, Listing, Next, Pages, TOP};
use super::path::Path;
use super::personal::Personal;
use crate::domain::{AppRef, ErrorId, GroupId};

/// Which groups are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Crashes and handled errors.
    All,
    /// Crashes only.
    Unhandled,
    /// Handled errors only.
    Handled,
}

open_enum! {
    /// The state that somebody gave a group. Sent with a capital, documented without.
    GroupState {
        /// Nobody has dealt with it.
        Open = "open",
        /// It is dealt with.
        Closed = "closed",
        /// It is not to be dealt with.
        Ignored = "ignored",
    }
}

/// A group of reports of the same crash or error in one version of the app.
#[derive(Debug, Clone, Deserialize)]
pub struct ErrorGroup {
    /// Its ID; none when the service sent one that cannot be used.
    #[serde(default, rename = "errorGroupId", deserialize_with = "lenient::parsed")]
    pub id: Option<GroupId>,
    /// The version.
    #[serde(default, rename = "appVersion", deserialize_with = "lenient::text")]
    pub app_version: Option<String>,
    /// The build.
    #[serde(default, rename = "appBuild", deserialize_with = "lenient::text")]
    pub app_build: Option<String>,
    /// Its state.
    #[serde(default, deserialize_with = "lenient::parsed")]
    pub state: Option<GroupState>,
    /// How many reports it counts; the list of them was seen to be shorter.
    #[serde(default, deserialize_with = "lenient::count")]
    pub count: Option<u64>,
    /// On how many devices.
    #[serde(default, rename = "deviceCount", deserialize_with = "lenient::count")]
    pub device_count: Option<u64>,
    /// The first report of this version.
    #[serde(
        default,
        rename = "firstOccurrence",
        deserialize_with = "lenient::time"
    )]
    pub first_occurrence: Option<Timestamp>,
    /// The last one.
    #[serde(default, rename = "lastOccurrence", deserialize_with = "lenient::time")]
    pub last_occurrence: Option<Timestamp>,
    /// The first report's message, shown for all, and there even after that report is deleted.
    #[serde(
        default,
        rename = "exceptionMessage",
        deserialize_with = "lenient::personal"
    )]
    pub exception_message: Option<Personal<String>>,
    /// What somebody wrote about it.
    #[serde(default, deserialize_with = "lenient::personal")]
    pub annotation: Option<Personal<String>>,
}

impl Keyed for ErrorGroup {
    fn key(&self) -> Option<&str> {
        self.id.as_ref().map(GroupId::as_str)
    }
}

/// A report, as lists and the search show it. Nothing in it names the install.
#[derive(Debug, Clone, Deserialize)]
pub struct ErrorItem {
    /// Its ID; none when the service sent one that cannot be used.
    #[serde(default, rename = "errorId", deserialize_with = "lenient::parsed")]
    pub id: Option<ErrorId>,
    /// Its group. Documented nowhere, seen in answers of the search.
    #[serde(default, rename = "errorGroupId", deserialize_with = "lenient::parsed")]
    pub group_id: Option<GroupId>,
    /// When it happened.
    #[serde(default, deserialize_with = "lenient::time")]
    pub timestamp: Option<Timestamp>,
    /// The developer's ID of the user.
    #[serde(default, rename = "userId", deserialize_with = "lenient::personal")]
    pub user_id: Option<Personal<String>>,
    /// The device's model.
    #[serde(default, rename = "deviceName", deserialize_with = "lenient::personal")]
    pub device_name: Option<Personal<String>>,
    /// The operating system's version.
    #[serde(default, rename = "osVersion", deserialize_with = "lenient::text")]
    pub os_version: Option<String>,
    /// Whether it has attachments, if it says.
    #[serde(default, rename = "hasAttachments", deserialize_with = "lenient::flag")]
    pub has_attachments: Option<bool>,
}

/// A hit of the search: a report, mostly with its group.
pub type SearchHit = ErrorItem;

impl Keyed for ErrorItem {
    fn key(&self) -> Option<&str> {
        self.id.as_ref().map(ErrorId::as_str)
    }
}

/// What the search found.
#[derive(Debug, Clone)]
pub struct SearchHits {
    /// The hits, newest first.
    pub hits: Vec<SearchHit>,
    /// Whether these are all. The service's search ends at about 100 whatever it finds.
    pub is_complete: bool,
}

/// The search is asked for this many pages.
const SEARCH_PAGES: usize = 10;

impl Client {
    /// `Errors_GroupList`: the groups with reports since `start`, most reports first.
    ///
    /// # Errors
    /// [`Error::Setup`] for a name that cannot be in a path.
    pub fn error_groups(
        &self,
        app: &AppRef,
        start: Timestamp,
        kind: ErrorKind,
    ) -> Result<Pages<ErrorGroup>, Error> {
        #[derive(Deserialize)]
        struct List {
            #[serde(rename = "errorGroups", deserialize_with = "lenient::list")]
            groups: Vec<ErrorGroup>,
            #[serde(default, rename = "nextLink", deserialize_with = "lenient::text")]
            next_link: Option<String>,
        }
        let kind = match kind {
            ErrorKind::All => "all",
            ErrorKind::Unhandled => "unhandledError",
            ErrorKind::Handled => "handledError",
        };
        let path = Path::app(self, app, &["errors", "errorGroups"])?
            .query("start", &iso(start))
            .query("$top", TOP)
            .query("errorType", kind);
        Ok(Pages::new(self, "Errors_GroupList", path, |body| {
            let list: List = decode(body)?;
            let next = Next::link(list.next_link);
            Ok(Listing::new(list.groups, next, false))
        }))
    }

    /// `Errors_ListForGroup`: the reports of a group since `start`.
    ///
    /// # Errors
    /// [`Error::Setup`] for a name that cannot be in a path.
    pub fn errors_in_group(
        &self,
        app: &AppRef,
        group: &GroupId,
        start: Timestamp,
    ) -> Result<Pages<ErrorItem>, Error> {
        #[derive(Deserialize)]
        struct List {
            #[serde(deserialize_with = "lenient::list")]
            errors: Vec<ErrorItem>,
            #[serde(default, rename = "nextLink", deserialize_with = "lenient::text")]
            next_link: Option<String>,
        }
        let segments = ["errors", "errorGroups", group.as_str(), "errors"];
        let path = Path::app(self, app, &segments)?
            .query("start", &iso(start))
            .query("$top", TOP);
        Ok(Pages::new(self, "Errors_ListForGroup", path, |body| {
            let list: List = decode(body)?;
            let next = Next::link(list.next_link);
            Ok(Listing::new(list.errors, next, false))
        }))
    }

    /// `Errors_GetErrorDetails`
    ///
    /// # Errors
    /// Those of a call.
    pub async fn error_details(
        &self,
        app: &AppRef,
        group: &GroupId,
        error: &ErrorId,
    ) -> Result<Document<ErrorItem>, Error> {
        let path = report_path(self, app, group, error, &[])?;
        self.document(&Call::get("Errors_GetErrorDetails", path))
            .await
    }

    /// `Errors_LatestErrorDetails`: the group's newest report.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn latest(
        &self,
        app: &AppRef,
        group: &GroupId,
    ) -> Result<Document<ErrorItem>, Error> {
        let segments = ["errors", "errorGroups", group.as_str(), "errors", "latest"];
        let path = Path::app(self, app, &segments)?;
        self.document(&Call::get("Errors_LatestErrorDetails", path))
            .await
    }

    /// `Errors_ErrorSearch`: the reports of the last 28 days that hold `q`, such as the GUID of a report.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn error_search(&self, app: &AppRef, q: &str) -> Result<SearchHits, Error> {
        #[derive(Deserialize)]
        struct Found {
            #[serde(rename = "hasMoreResults", default, deserialize_with = "lenient::flag")]
            has_more_results: Option<bool>,
            #[serde(deserialize_with = "lenient::list")]
            errors: Vec<ErrorItem>,
        }
        let mut hits: Vec<ErrorItem> = Vec::new();
        for _page in 0..SEARCH_PAGES {
            let path = Path::app(self, app, &["errors", "search"])?
                .query("q", q)
                .query("$top", TOP)
                .query("$skip", &hits.len().to_string());
            let found: Found = self.json(&Call::get("Errors_ErrorSearch", path)).await?;
            let is_complete = found.has_more_results != Some(true);
            let before = hits.len();
            for hit in found.errors {
                // A service that ignores `$skip` sends the same hits for ever.
                if hit.id.is_none() || hits.iter().all(|known| known.id != hit.id) {
                    hits.push(hit);
                }
            }
            if is_complete || hits.len() == before {
                return Ok(SearchHits { hits, is_complete });
            }
        }
        Ok(SearchHits {
            hits,
            is_complete: false,
        })
    }
}

/// `…/errors/errorGroups/{errorGroupId}/errors/{errorId}/<more>`
pub(super) fn report_path(
    client: &Client,
    app: &AppRef,
    group: &GroupId,
    error: &ErrorId,
    more: &[&str],
) -> Result<Path, Error> {
    let mut segments = vec![
        "errors",
        "errorGroups",
        group.as_str(),
        "errors",
        error.as_str(),
    ];
    segments.extend(more);
    Path::app(client, app, &segments)
}

/// ISO 8601 in whole seconds, rounded down so that nothing is left out.
pub(super) fn iso(at: Timestamp) -> String {
    let round = TimestampRound::new()
        .smallest(Unit::Second)
        .mode(RoundMode::Floor);
    at.round(round).unwrap_or(at).to_string()
}
