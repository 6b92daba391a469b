//! How a simulator is started.

use std::time::Duration;

use serde::Deserialize;

/// The token of a simulator that was given none: full rights on everything.
pub const DEFAULT_TOKEN: &str = "5a1d0f9c7e3b48269f0d2c4b6a8e1f3d5c7b9a02";

/// Ports, time, limits and quirks.
#[derive(Debug, Clone)]
pub struct Options {
    /// The port of the API on the loopback address; 0 for any free one.
    pub port: u16,
    /// The port that serves what `location` replies point to: a host of its own, as in the real service.
    pub downloads_port: u16,
    /// Who moves the exporter.
    pub mode: Mode,
    /// Calls a token may make in any window of this length; no limit when `None`. The service documents 500 in 300 s.
    pub rate_limit: Option<(usize, Duration)>,
    /// Accepted tokens.
    pub tokens: Vec<Token>,
    /// Oddities of the real service.
    pub quirks: Quirks,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            downloads_port: 0,
            mode: Mode::Explicit,
            rate_limit: None,
            tokens: vec![Token::full(DEFAULT_TOKEN)],
            quirks: Quirks::default(),
        }
    }
}

/// Who moves the exporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Calls of `tick`.
    Explicit,
    /// A timer.
    Auto {
        /// The time between two steps.
        every: Duration,
    },
}

/// An API token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// What stands in `X-API-Token`.
    pub value: String,
    /// An app token is good for this app only; a user token has `None`.
    pub app: Option<String>,
    /// A read-only token cannot change anything.
    pub is_read_only: bool,
    /// An invalid token stays known, so that it can be made valid again.
    pub is_valid: bool,
}

impl Token {
    /// A user's token with all rights.
    #[must_use]
    pub fn full(value: &str) -> Self {
        Self {
            value: value.to_owned(),
            app: None,
            is_read_only: false,
            is_valid: true,
        }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token")
            .field("app", &self.app)
            .field("is_read_only", &self.is_read_only)
            .field("is_valid", &self.is_valid)
            .finish_non_exhaustive()
    }
}

/// Oddities of the real service, each seen in practice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quirks {
    /// Group states come as `Open`, which contradicts the API description. When `None`, unless the world says of an app
    /// that it follows the description.
    pub capital_states: Option<bool>,
    /// Lists of errors ignore `start` and `end`.
    pub lists_ignore_window: bool,
    /// Items that one page holds at most, whatever `$top` says up to 2000.
    pub page_limit: usize,
    /// The key under which a raw log holds the install ID; `None` leaves it out.
    pub raw_install_key: Option<String>,
    /// 429 replies say when to come back; the management API was never seen to.
    pub retry_after: bool,
    /// Steps that a new export configuration stays `Pending`.
    pub pending_ticks: u32,
    /// Days that a new export configuration reaches back.
    pub backfill_days: i64,
    /// Hours for which the storage of an export may fail before the service disables it. That it does is documented, the
    /// time is not.
    pub disable_after_hours: i64,
    /// Days that the lists reach back, whatever the retention setting says; as far as the setting when `None`.
    pub reach_days: Option<u16>,
    /// Parts of the Test export come as lists of all their objects; the API description says one object.
    pub test_lists: bool,
    /// The legacy list of groups calls itself limited.
    pub limited_results: bool,
    /// Legacy objects name what the current API calls them.
    pub legacy_bridges: bool,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            capital_states: None,
            lists_ignore_window: true,
            page_limit: 100,
            raw_install_key: Some("installID".to_owned()),
            retry_after: false,
            pending_ticks: 1,
            backfill_days: 28,
            disable_after_hours: 24,
            reach_days: None,
            test_lists: false,
            limited_results: false,
            legacy_bridges: true,
        }
    }
}

/// What a retired service answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retirement {
    /// 410 to everything.
    Gone,
    /// 404 to everything.
    NotFound,
    /// The connection ends without a reply.
    Silent,
}
