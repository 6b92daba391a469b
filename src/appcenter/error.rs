//! What can go wrong with a call, by what the caller does about it.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

/// Why a call did not give a result.
///
/// No variant holds a text of the service: its messages repeat what was sent, and its correlation IDs look like people's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// 401: the token is wrong, expired or revoked. Waits for a person.
    #[error("App Center does not accept the token{}", suffix(.0))]
    Unauthorized(Refusal),
    /// 403: the token may not do this, or belongs to another app. Waits for a person.
    #[error("App Center does not allow this to the token{}", suffix(.0))]
    Forbidden(Refusal),
    /// 404: no such thing, or (seen in practice) a token that cannot see it. Not yet evidence that a report is gone.
    #[error("App Center does not know it{}", suffix(.0))]
    NotFound(Refusal),
    /// 404 to a deletion that was sent before, the answer to which was lost: it may be our own doing.
    #[error("App Center does not know it (any more){}", suffix(.0))]
    NotFoundAgain(Refusal),
    /// 410: the operation has been retired.
    #[error("App Center has retired this operation")]
    Gone,
    /// 429: come back at `until`. The budget has been told.
    #[error("App Center limits the rate until {until}")]
    RateLimited {
        /// When to try again.
        until: Timestamp,
    },
    /// Our own budget for the token is used up: come back at `until`. Nothing was sent.
    #[error("the budget of API calls is used up until {until}")]
    BudgetExhausted {
        /// When there are calls again.
        until: Timestamp,
    },
    /// Any other 4xx: sending it again will not help.
    #[error("App Center refused the call with status {status}{}", suffix(.refusal))]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// What is known of the reason.
        refusal: Refusal,
    },
    /// It may work later. Of a call that changes something it is not known whether it did.
    #[error("App Center could not be used just now: {why}")]
    Transient {
        /// What happened.
        why: Why,
        /// When the service asked to be called again, if it did.
        retry_at: Option<Timestamp>,
        /// The transport's error; it never names an address.
        source: Option<reqwest::Error>,
    },
    /// The answer is not what the service documents; for a GET it has been asked again already.
    #[error("App Center's answer makes no sense: {what}")]
    Protocol {
        /// What is wrong with it, without quoting it.
        what: &'static str,
    },
    /// The gate is closed: the request was cancelled before this irreversible call. Nothing was sent.
    #[error("stopped before an irreversible call")]
    Stopped,
    /// An address that we do not fetch from, whoever named it. Nothing was sent.
    #[error("the download address is refused: {what}")]
    Address {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The place of a download refused it. Links expire: ask for a new one.
    #[error("the download was refused with status {status}")]
    Download {
        /// The HTTP status; it says nothing about App Center.
        status: u16,
    },
    /// The answer is longer than the caller allows.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The client was set up, or called, with something it cannot use.
    #[error("the App Center client cannot use the {what}")]
    Setup {
        /// What it is.
        what: &'static str,
    },
}

impl Error {
    /// Whether the same call may work later without anybody doing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::RateLimited { .. }
                | Self::BudgetExhausted { .. }
                | Self::Transient { .. }
                | Self::Protocol { .. }
        )
    }

    /// When to call again, if somebody said so.
    #[must_use]
    pub fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::RateLimited { until } | Self::BudgetExhausted { until } => Some(*until),
            Self::Transient { retry_at, .. } => *retry_at,
            _ => None,
        }
    }

    /// Whether only a person can help: the token, or its rights.
    #[must_use]
    pub fn needs_person(&self) -> bool {
        matches!(self, Self::Unauthorized(_) | Self::Forbidden(_))
    }

    /// What an attempt came to, as telemetry names it.
    pub(super) fn outcome(&self) -> &'static str {
        match self {
            Self::Unauthorized(_) => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) | Self::NotFoundAgain(_) => "not_found",
            Self::Gone => "gone",
            Self::RateLimited { .. } => "rate_limited",
            Self::Rejected { .. } | Self::Address { .. } | Self::Download { .. } => "rejected",
            Self::Protocol { .. } => "protocol",
            Self::TooLarge { .. } => "too_large",
            Self::Transient { .. } | Self::Setup { .. } => "transient",
            // Neither is an attempt: nothing was sent.
            Self::BudgetExhausted { .. } | Self::Stopped => "not_sent",
        }
    }

    pub(super) fn protocol(what: &'static str) -> Self {
        Self::Protocol { what }
    }
}

/// Why a [`Error::Transient`] failure happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// No connection: nothing was sent.
    Unreachable,
    /// No answer in time.
    TimedOut,
    /// The connection broke while sending or reading.
    ConnectionLost,
    /// A 5xx or 408.
    Status(u16),
    /// Still 202 after several polls.
    StillPending,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable => f.write_str("no connection"),
            Self::TimedOut => f.write_str("no answer in time"),
            Self::ConnectionLost => f.write_str("the connection broke"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::StillPending => f.write_str("it is still working on the answer"),
        }
    }
}

/// What is kept of an error body: nothing that the service could have copied from a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The service's error code when it is one or two plain words: `NotFound`, `Not Found`, `RateLimitExceeded`.
    pub code: Option<String>,
    /// The reason, when the message is one that we know.
    pub reason: Option<Reason>,
    /// "Try again in X seconds".
    pub try_again: Option<Duration>,
}

/// Reasons that App Center gives in words only, as far as they are known to occur.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The storage account of an export has hierarchical namespace, which App Center cannot write to.
    HierarchicalNamespace,
    /// The connection string of an export is wrong or its account cannot be reached.
    SecretValidation,
    /// The subscription ID of an export is not one.
    SubscriptionFormat,
    /// Crashes and errors cannot be exported to that kind of target.
    DiagnosticsNotSupported,
    /// The token is one of another app.
    WrongApp,
    /// A search filter names a field that cannot be filtered on.
    CannotFilter,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HierarchicalNamespace => {
                "the storage account cannot be used; its hierarchical namespace must be disabled"
            }
            Self::SecretValidation => "the connection string does not open a storage account",
            Self::SubscriptionFormat => "the subscription ID has a wrong format",
            Self::DiagnosticsNotSupported => {
                "crashes and errors cannot be exported to this kind of target"
            }
            Self::WrongApp => "the token belongs to another app",
            Self::CannotFilter => "the search cannot filter on that field",
        })
    }
}

impl Refusal {
    /// Reads every shape of error body that App Center is known to send; an unknown shape gives an empty refusal.
    #[must_use]
    pub(super) fn read(body: &[u8]) -> Self {
        let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        // `{"error":{"code","message"}}` of the current API; the gateway and the legacy API have them at the top.
        let inner = match value.get("error") {
            Some(inner @ serde_json::Value::Object(_)) => inner,
            _ => &value,
        };
        let text = |key: &str| inner.get(key).and_then(serde_json::Value::as_str);
        let message = text("message")
            .or_else(|| value.get("error").and_then(serde_json::Value::as_str))
            .or_else(|| value.as_str())
            .unwrap_or_default()
            .to_ascii_lowercase();
        Self {
            code: text("code")
                .filter(|code| is_plain(code))
                .map(str::to_owned),
            reason: Reason::read(&message),
            try_again: try_again(&message),
        }
    }

    /// Whether the code says that there were too many calls, whatever the status.
    #[must_use]
    pub(super) fn is_rate_limit(&self) -> bool {
        self.code.as_deref().is_some_and(|code| {
            code.eq_ignore_ascii_case("TooManyRequests")
                || code.eq_ignore_ascii_case("RateLimitExceeded")
        })
    }
}

impl Reason {
    fn read(message: &str) -> Option<Self> {
        // The message on hierarchical namespace begins like the one on secrets, so it goes first.
        [
            ("hierarchical namespace", Self::HierarchicalNamespace),
            ("secret validation failed", Self::SecretValidation),
            (
                "subscription id is in invalid format",
                Self::SubscriptionFormat,
            ),
            ("exporting diagnostics ent", Self::DiagnosticsNotSupported),
            ("does not belong to the requested app", Self::WrongApp),
            ("cannot filter on the", Self::CannotFilter),
        ]
        .into_iter()
        .find_map(|(text, reason)| message.contains(text).then_some(reason))
    }
}

/// A code is a word or two of ASCII letters; anything else could be somebody's.
fn is_plain(code: &str) -> bool {
    (1..=40).contains(&code.len())
        && code.chars().all(|c| c.is_ascii_alphabetic() || c == ' ')
        && code.chars().filter(|c| *c == ' ').count() <= 2
}

/// The X of "Try again in X seconds", as the limiter of `CodePush` says it.
fn try_again(message: &str) -> Option<Duration> {
    let rest = message.split_once("try again in ")?.1;
    let (number, unit) = rest.split_once(' ')?;
    let seconds = number.parse::<u32>().ok()?;
    unit.starts_with("second")
        .then(|| Duration::from_secs(seconds.into()))
}

fn suffix(refusal: &Refusal) -> String {
    match (&refusal.code, &refusal.reason) {
        (_, Some(reason)) => format!(": {reason}"),
        (Some(code), None) => format!(" ({code})"),
        (None, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, code: Option<&str>, reason: Option<Reason>, seconds: Option<u64>) {
        let refusal = Refusal::read(body.as_bytes());
        assert_eq!(refusal.code.as_deref(), code, "{body}");
        assert_eq!(refusal.reason, reason, "{body}");
        assert_eq!(
            refusal.try_again,
            seconds.map(Duration::from_secs),
            "{body}"
        );
    }

    #[test]
    fn every_known_shape_of_error_body() {
        check(
            r#"{"error":{"code":"NotFound","message":"x"}}"#,
            Some("NotFound"),
            None,
            None,
        );
        check(r#"{"message":"no such crash"}"#, None, None, None);
        check(
            r#"{"message":"Forbidden","statusCode":403,"code":"Forbidden"}"#,
            Some("Forbidden"),
            None,
            None,
        );
        check(
            r#"{"message":"b8a4a3d2-1b5c-4cb6-a1a7-3a0d5de0a7d3","statusCode":401,"code":"Unauthorized"}"#,
            Some("Unauthorized"),
            None,
            None,
        );
        check(
            r#"{"message":"API token does not belong to the requested app.","statusCode":403,"code":"Forbidden"}"#,
            Some("Forbidden"),
            Some(Reason::WrongApp),
            None,
        );
        check(
            r#"{"message":"Not found. Correlation ID: b8a4","statusCode":404,"code":"Not Found"}"#,
            Some("Not Found"),
            None,
            None,
        );
        check(
            r#"{"code":"BadRequest","message":"…","correlationId":"b8a4"}"#,
            Some("BadRequest"),
            None,
            None,
        );
        check(
            r#"{"statusCode":429,"message":"Rate limit is exceeded. Try again in 17 seconds."}"#,
            None,
            None,
            Some(17),
        );
        check(
            r#"{"error":{"code":"BadRequest","message":"Secret validation failed. Either the format is incorrect or couldn't connect to storage account (hierarchical namespace should be disabled)"}}"#,
            Some("BadRequest"),
            Some(Reason::HierarchicalNamespace),
            None,
        );
        check(
            r#"{"error":{"code":"BadRequest","message":"Exporting diagnostics entitires is not supported for Application Insight."}}"#,
            Some("BadRequest"),
            Some(Reason::DiagnosticsNotSupported),
            None,
        );
        for odd in [
            "",
            "<html>",
            "null",
            "[]",
            "17",
            r#"{"error":null}"#,
            r#"{"error":"x"}"#,
        ] {
            check(odd, None, None, None);
        }
    }

    #[test]
    fn a_code_that_could_be_personal_is_dropped() {
        for code in ["ana@example.com", "u-20417", "a b c d", "é", "", "x1"] {
            let body = serde_json::json!({ "code": code, "message": "m" }).to_string();
            check(&body, None, None, None);
        }
        let error = Error::NotFound(Refusal::read(br#"{"code":"Not Found","message":"ana"}"#));
        assert_eq!(error.to_string(), "App Center does not know it (Not Found)");
    }
}
