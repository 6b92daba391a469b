//! What was done to the simulator: every call, and everything that a call changed.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use crate::world::{AppInstall, AppReport, AppTestRun};

/// One call, in the order of arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// When it arrived, on the simulator's clock.
    pub at: Timestamp,
    /// `GET`, `PUT`, …
    pub method: String,
    /// The operation of the API description; `blob_download`, `ingest` or `unknown` for what is not in it.
    pub operation_id: String,
    /// The path without its query.
    pub path: String,
    /// The status of the reply; 0 while it is under way, and when the connection was cut instead.
    pub status: u16,
    /// The call was turned away by the rate limit of [`crate::Options`].
    pub is_over_rate: bool,
}

/// What was asked and what was changed, since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Every call.
    pub calls: Vec<Call>,
    /// Installs that send in vain from now on.
    pub blocked: BTreeSet<AppInstall>,
    /// Apps (`owner/name`) that were blocked as a whole: no client of ours should ever do this.
    pub app_blocked: BTreeSet<String>,
    /// Reports deleted, over the current or the legacy API.
    pub deleted: BTreeSet<AppReport>,
    /// Reports whose deletion left blobs behind (`blobsFailed`) and did not happen since.
    pub half_deleted: BTreeSet<AppReport>,
    /// Test runs archived, which is what the API calls their deletion.
    pub archived_test_runs: BTreeSet<AppTestRun>,
    /// Retention settings and group states that were written: operation and path.
    pub settings_changed: Vec<(String, String)>,
    /// Export configurations made, changed, switched or deleted: operation and path.
    pub configurations_changed: Vec<(String, String)>,
    /// Downloads that carried the API token to the storage host: none may.
    pub tokens_leaked: usize,
    /// Log entries accepted over ingestion.
    pub logs_accepted: usize,
    /// Log entries of blocked installs or apps, dropped.
    pub logs_dropped: usize,
}

impl Audit {
    /// The calls of one operation.
    #[must_use]
    pub fn calls_of(&self, operation_id: &str) -> Vec<&Call> {
        self.calls
            .iter()
            .filter(|it| it.operation_id == operation_id)
            .collect()
    }

    /// The calls that count against the limit of the API: all but downloads and ingestion.
    pub fn api_calls(&self) -> impl Iterator<Item = &Call> {
        self.calls
            .iter()
            .filter(|it| !matches!(it.operation_id.as_str(), "blob_download" | "ingest"))
    }

    /// The most API calls that any window of this length held; those turned away are counted too.
    #[must_use]
    pub fn max_calls_in_window(&self, window: Duration) -> usize {
        let mut times: Vec<i128> = self.api_calls().map(|it| it.at.as_nanosecond()).collect();
        times.sort_unstable();
        let window = i128::try_from(window.as_nanos()).unwrap_or(i128::MAX);
        let mut first = 0;
        let mut most = 0;
        for (index, time) in times.iter().enumerate() {
            while time - times[first] >= window {
                first += 1;
            }
            most = most.max(index + 1 - first);
        }
        most
    }

    /// How many calls the rate limit turned away.
    #[must_use]
    pub fn over_rate(&self) -> usize {
        self.calls.iter().filter(|it| it.is_over_rate).count()
    }

    /// Blocked installs, as the expected result of a world has them.
    #[must_use]
    pub fn blocked(&self) -> &BTreeSet<AppInstall> {
        &self.blocked
    }

    /// Deleted reports, as the expected result of a world has them.
    #[must_use]
    pub fn deleted(&self) -> &BTreeSet<AppReport> {
        &self.deleted
    }
}

#[cfg(test)]
mod tests {
    use super::{Audit, Call};
    use jiff::Timestamp;
    use std::time::Duration;

    #[test]
    fn windows_are_half_open() {
        let call = |second: i64, operation_id: &str| Call {
            at: Timestamp::from_second(second).expect("a time"),
            method: "GET".to_owned(),
            operation_id: operation_id.to_owned(),
            path: String::new(),
            status: 200,
            is_over_rate: false,
        };
        for (seconds, window, expected) in [
            (vec![], 10, 0),
            (vec![0, 1, 2], 10, 3),
            (vec![0, 10, 20], 10, 1),
            (vec![0, 9, 10, 18, 19], 10, 3),
        ] {
            let mut audit = Audit::default();
            audit
                .calls
                .extend(seconds.iter().map(|it| call(*it, "users_get")));
            audit
                .calls
                .extend(seconds.iter().map(|it| call(*it, "blob_download")));
            let most = audit.max_calls_in_window(Duration::from_secs(window));
            assert_eq!(most, expected, "{seconds:?}");
        }
    }
}
