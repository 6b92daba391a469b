//! What can go wrong with storage, by what the caller does about it.

use std::error::Error as StdError;
use std::fmt;

use azure_core::error::ErrorKind;
use azure_core::http::StatusCode;

/// Causes deeper than this are not followed.
const MAX_DEPTH: usize = 8;

/// Why a storage call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key, the identity or its roles do not allow the call; only a person can change that.
    #[error("storage denied access")]
    Denied(#[source] Cause),
    /// The container, blob or queue is not there, in a call that cannot mean "nothing there" by itself.
    #[error("not found in storage")]
    NotFound(#[source] Cause),
    /// What was to be read or written is longer than it may be.
    #[error("longer than the limit of {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The blob was changed by somebody else in the middle of the call.
    #[error("the blob was changed meanwhile")]
    Changed,
    /// Storage or the way to it is out of order for now; the same call can succeed later.
    #[error("storage is not available for now")]
    Transient(#[source] Cause),
    /// The call makes no sense, and never will: a blob name that cannot be addressed, a setting that cannot be read.
    #[error("invalid storage call: {0}")]
    Invalid(&'static str),
    /// Anything else; trying again is not expected to help.
    #[error("storage refused the call")]
    Other(#[source] Cause),
}

impl Error {
    /// Whether the same call can succeed later without anybody doing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_))
    }
}

/// What a call failed with: HTTP status and storage's error code, or what the transport said.
///
/// It holds neither addresses nor bodies, since an address may carry a signature and a body what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    status: Option<u16>,
    code: Option<String>,
    text: String,
}

impl Cause {
    /// The HTTP status, when there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.status
    }

    /// Storage's own error code, like `BlobNotFound`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    fn new(error: &azure_core::Error) -> Self {
        if let ErrorKind::HttpResponse {
            status, error_code, ..
        } = error.kind()
        {
            let code = error_code.clone().filter(|code| is_error_code(code));
            return Self {
                status: Some(u16::from(*status)),
                text: format!("HTTP {}", u16::from(*status)),
                code,
            };
        }
        let mut text = match error.kind() {
            ErrorKind::Connection => "no connection",
            ErrorKind::Io => "broken transfer",
            ErrorKind::DataConversion => "unreadable answer",
            ErrorKind::Credential => "no token from the identity",
            _ => "failed",
        }
        .to_owned();
        let mut next = error.source();
        let mut deepest = None;
        for _ in 0..MAX_DEPTH {
            let Some(source) = next else { break };
            next = source.source();
            if let Some(http) = source.downcast_ref::<reqwest::Error>() {
                if http.is_timeout() {
                    text.push_str(", timed out");
                }
            } else if let Some(io) = source.downcast_ref::<std::io::Error>() {
                deepest = Some(io.kind().to_string());
            } else if let Some(inner) = source.downcast_ref::<azure_core::Error>()
                && let Some(status) = inner.http_status()
            {
                deepest = Some(format!("HTTP {}", u16::from(status)));
            }
        }
        if let Some(deepest) = deepest {
            text.push_str(", ");
            text.push_str(&deepest);
        }
        Self {
            status: None,
            code: None,
            text,
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.code {
            Some(code) => write!(f, "{} {code}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

impl StdError for Cause {}

/// Error codes are one word; anything else in their place is free text and is not repeated.
fn is_error_code(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The status and code of an answer, or `None` when there was none.
pub(super) fn answer(error: &azure_core::Error) -> Option<(StatusCode, &str)> {
    match error.kind() {
        ErrorKind::HttpResponse {
            status, error_code, ..
        } => Some((*status, error_code.as_deref().unwrap_or_default())),
        _ => None,
    }
}

/// Whether this answer says that the blob, container or queue is not there.
pub(super) fn is_missing(error: &azure_core::Error) -> bool {
    answer(error).is_some_and(|(status, _)| status == StatusCode::NotFound)
}

impl From<azure_core::Error> for Error {
    fn from(error: azure_core::Error) -> Self {
        let cause = Cause::new(&error);
        match error.kind() {
            ErrorKind::HttpResponse { status, .. } => by_status(*status, cause),
            ErrorKind::Connection | ErrorKind::Io => Self::Transient(cause),
            ErrorKind::Credential => by_credential(&error, cause),
            _ => Self::Other(cause),
        }
    }
}

fn by_status(status: StatusCode, cause: Cause) -> Error {
    match u16::from(status) {
        401 | 403 => match cause.code() {
            // The service says this when it cannot reach what decides on the request.
            Some("AuthorizationServiceUnavailable") => Error::Transient(cause),
            _ => Error::Denied(cause),
        },
        404 => Error::NotFound(cause),
        412 => Error::Changed,
        408 | 429 | 500..=599 => Error::Transient(cause),
        409 => match cause.code() {
            // A container or queue that was just deleted cannot be made again for about 30 seconds.
            Some("ContainerBeingDeleted" | "QueueBeingDeleted" | "OperationTimedOut") => {
                Error::Transient(cause)
            }
            _ => Error::Other(cause),
        },
        _ => Error::Other(cause),
    }
}

/// The identity endpoint is a service like any other: it can be away for a moment, or refuse for good.
fn by_credential(error: &azure_core::Error, cause: Cause) -> Error {
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    for _ in 0..MAX_DEPTH {
        let Some(source) = next else { break };
        if let Some(inner) = source.downcast_ref::<azure_core::Error>() {
            match inner.kind() {
                ErrorKind::Connection | ErrorKind::Io => return Error::Transient(cause),
                ErrorKind::HttpResponse { status, .. }
                    if matches!(u16::from(*status), 408 | 410 | 429 | 500..=599) =>
                {
                    return Error::Transient(cause);
                }
                _ => {}
            }
        }
        next = source.source();
    }
    Error::Denied(cause)
}

#[cfg(test)]
mod tests {
    use super::{Cause, Error, is_error_code};
    use azure_core::error::ErrorKind;
    use azure_core::http::StatusCode;

    fn http(status: u16, code: &str) -> Error {
        let kind = ErrorKind::HttpResponse {
            status: StatusCode::from(status),
            error_code: Some(code.to_owned()),
            raw_response: None,
        };
        azure_core::Error::with_message(kind, "https://x/?sig=secret body").into()
    }

    #[track_caller]
    fn check(error: &Error, expected: &str) {
        let name = match error {
            Error::Denied(_) => "denied",
            Error::NotFound(_) => "not found",
            Error::TooLarge { .. } => "too large",
            Error::Changed => "changed",
            Error::Transient(_) => "transient",
            Error::Invalid(_) => "invalid",
            Error::Other(_) => "other",
        };
        assert_eq!(name, expected, "{error}");
        let mut said = format!("{error} {error:?}");
        let mut next = std::error::Error::source(error);
        while let Some(source) = next {
            said.push_str(&format!(" {source} {source:?}"));
            next = source.source();
        }
        assert!(!said.contains("secret"), "{said}");
    }

    #[test]
    fn variants_are_decisions() {
        for (status, code, expected) in [
            (401, "NoAuthenticationInformation", "denied"),
            (403, "AuthenticationFailed", "denied"),
            (403, "AuthorizationServiceUnavailable", "transient"),
            (404, "BlobNotFound", "not found"),
            (408, "OperationTimedOut", "transient"),
            (409, "ContainerBeingDeleted", "transient"),
            (409, "LeaseIdMissing", "other"),
            (412, "ConditionNotMet", "changed"),
            (429, "TooManyRequests", "transient"),
            (500, "InternalError", "transient"),
            (503, "ServerBusy", "transient"),
            (400, "InvalidHeaderValue", "other"),
        ] {
            check(&http(status, code), expected);
        }
        for (kind, expected) in [
            (ErrorKind::Connection, "transient"),
            (ErrorKind::Io, "transient"),
            (ErrorKind::Credential, "denied"),
            (ErrorKind::DataConversion, "other"),
        ] {
            let error = azure_core::Error::with_message(kind, "sig=secret");
            check(&error.into(), expected);
        }
        let gone = azure_core::Error::with_message(ErrorKind::Io, "sig=secret");
        let token = azure_core::Error::with_error(ErrorKind::Credential, gone, "sig=secret");
        check(&token.into(), "transient");
    }

    #[test]
    fn causes_name_status_and_code_only() {
        let Error::Denied(cause) = http(403, "AuthenticationFailed") else {
            unreachable!("403 is a denial")
        };
        assert_eq!(cause.to_string(), "HTTP 403 AuthenticationFailed");
        assert_eq!(cause.status(), Some(403));
        let free = azure_core::Error::with_message(ErrorKind::Other, "sig=secret");
        assert_eq!(Cause::new(&free).to_string(), "failed");
        assert!(!is_error_code("403 Forbidden: sig"));
    }
}
