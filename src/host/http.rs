//! Answers over HTTP: JSON, and `application/problem+json` (RFC 9457) for everything that is wrong.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::stages::requests::Refusal;
use crate::telemetry;

/// Something that is wrong with a call.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    #[serde(skip_serializing_if = "String::is_empty")]
    detail: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<crate::domain::Fault>,
    /// How long what was asked for a part of is, in bytes (RFC 9110, section 15.5.17).
    #[serde(skip)]
    size: Option<u64>,
}

impl Problem {
    /// A problem with a status and what to do about it.
    #[must_use]
    pub fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title,
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            size: None,
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Faults(errors) => Self {
                errors,
                ..Self::new(
                    StatusCode::BAD_REQUEST,
                    "The document has faults",
                    "each fault names its place by a JSON pointer",
                )
            },
            Refusal::BadQuery(detail) => {
                Self::new(StatusCode::BAD_REQUEST, "The query has a fault", detail)
            }
            Refusal::NotFound(detail) => Self::new(StatusCode::NOT_FOUND, "Not found", detail),
            Refusal::Conflict(detail) => {
                Self::new(StatusCode::CONFLICT, "Not possible now", detail)
            }
            Refusal::WrongHash(detail) => Self::new(
                StatusCode::PRECONDITION_FAILED,
                "Another plan was made",
                detail,
            ),
            Refusal::BadRange { size } => Self {
                size: Some(size),
                ..Self::new(
                    StatusCode::RANGE_NOT_SATISFIABLE,
                    "Range not satisfiable",
                    format!("the package has {size} bytes"),
                )
            },
            Refusal::Work(error) => {
                telemetry::failed(&error.to_string());
                tracing::error!(error = %chain(&error), "stored state could not be used");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "Stored state could not be used",
                    error.to_string(),
                )
            }
        }
    }
}

/// An error with its causes, for logs.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_else(|_| b"{}".to_vec());
        let mut response = (status, body).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(size) = self.size
            && let Ok(range) = HeaderValue::from_str(&format!("bytes */{size}"))
        {
            response.headers_mut().insert(header::CONTENT_RANGE, range);
        }
        response
    }
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let body = serde_json::to_vec(value).unwrap_or_else(|_| b"{}".to_vec());
    bytes(status, "application/json", body.into())
}

/// An answer of exactly these bytes.
pub(super) fn bytes(status: StatusCode, kind: &'static str, body: bytes::Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
