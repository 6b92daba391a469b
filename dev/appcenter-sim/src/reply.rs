//! What goes over the wire: whole replies, and replies that a fault has spoilt.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, header};
use bytes::Bytes;
use futures::stream;
use serde_json::{Value, json};

use crate::faults::FaultKind;
use crate::ids;
use crate::routes::{ErrorShape, Failure, Reply};
use crate::server::gateway;
use crate::state::State;

/// Drops in which a slow body comes.
const DROPS: usize = 20;

/// The body of 429; the management API was never seen to send `Retry-After`.
pub(crate) fn too_many_requests() -> Reply {
    let message = "Rate limit exceeded. Please wait a bit before trying again.";
    Failure::new(429, "RateLimitExceeded", message).reply(ErrorShape::Nested)
}

/// The gateway's 404, also seen when only the token was wrong.
pub(crate) fn not_found_for(state: &State) -> Reply {
    let id = ids::uuid(&state.world.seed, "correlation", &state.now.to_string());
    let message = format!("Not found. Correlation ID: {id}");
    Failure::new(404, "Not Found", &message).reply(ErrorShape::Gateway)
}

/// An error of the storage host.
pub(crate) fn storage_error(status: u16, code: &str) -> Reply {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>"
    );
    Reply {
        status,
        content_type: "application/xml".to_owned(),
        body: body.into_bytes(),
    }
}

/// The reply of a fault that keeps the call from being done.
pub(crate) fn instead(state: &State, kind: &FaultKind) -> Option<Reply> {
    Some(match kind {
        FaultKind::TooManyRequests { .. } => too_many_requests(),
        FaultKind::Status { status } => broken(*status),
        FaultKind::NotFoundForBadToken => not_found_for(state),
        FaultKind::Accepted => Reply::empty(202),
        FaultKind::Redirect { .. } => Reply::empty(302),
        FaultKind::Reset => Reply::empty(0),
        FaultKind::StatusAfter { .. }
        | FaultKind::ResetAfter
        | FaultKind::SlowBody { .. }
        | FaultKind::TruncatedBody
        | FaultKind::TruncatedPage
        | FaultKind::WrongContentType
        | FaultKind::BlobsFailed { .. }
        | FaultKind::Delay { .. }
        | FaultKind::Location { .. }
        | FaultKind::HugeBody { .. } => return None,
    })
}

/// The reply of a call that was done, as the fault shows it.
pub(crate) fn after(state: &State, kind: &FaultKind, mut reply: Reply) -> Reply {
    match kind {
        FaultKind::StatusAfter { status: 404 } => not_found_for(state),
        FaultKind::StatusAfter { status } => broken(*status),
        FaultKind::TruncatedPage => {
            reply.body.truncate(reply.body.len() / 2);
            reply
        }
        FaultKind::WrongContentType => {
            let page =
                "<html><head><title>Proxy</title></head><body>One moment, please.</body></html>";
            Reply::file("text/html; charset=utf-8", page.as_bytes().to_vec())
        }
        FaultKind::Location { uri } => match serde_json::from_slice::<Value>(&reply.body) {
            Ok(mut body) if body.get("uri").is_some() => {
                body["uri"] = json!(uri);
                Reply::with_status(reply.status, &body)
            }
            _ => reply,
        },
        FaultKind::HugeBody { bytes } => {
            let text = format!("{{\"filling\":\"{}\"}}", "x".repeat(*bytes));
            Reply::file("application/json", text.into_bytes())
        }
        FaultKind::TooManyRequests { .. }
        | FaultKind::Status { .. }
        | FaultKind::Reset
        | FaultKind::ResetAfter
        | FaultKind::SlowBody { .. }
        | FaultKind::TruncatedBody
        | FaultKind::NotFoundForBadToken
        | FaultKind::Accepted
        | FaultKind::BlobsFailed { .. }
        | FaultKind::Delay { .. }
        | FaultKind::Redirect { .. } => reply,
    }
}

fn broken(status: u16) -> Reply {
    match status {
        401 => gateway(401, "Unauthorized"),
        403 => gateway(403, "Forbidden"),
        404 => gateway(404, "Not Found"),
        410 => gateway(410, "Gone"),
        503 => gateway(503, "Service Unavailable"),
        _ => gateway(status, "InternalServerError"),
    }
}

/// A reply as it is.
pub(crate) fn response(reply: &Reply) -> Response<Body> {
    build(reply, None, Body::from(reply.body.clone()))
}

/// A reply in the form that the fault gives it.
pub(crate) fn spoilt(kind: &FaultKind, reply: &Reply) -> Response<Body> {
    match kind {
        FaultKind::SlowBody { millis } => {
            let pause = Duration::from_millis(*millis) / u32::try_from(DROPS).unwrap_or(1);
            let size = reply.body.len().div_ceil(DROPS).max(1);
            let drops: Vec<Bytes> = reply
                .body
                .chunks(size)
                .map(Bytes::copy_from_slice)
                .collect();
            let body = stream::unfold(drops.into_iter(), move |mut drops| async move {
                let next = drops.next()?;
                tokio::time::sleep(pause).await;
                Some((Ok::<_, io::Error>(next), drops))
            });
            build(reply, None, Body::from_stream(body))
        }
        FaultKind::TruncatedBody => {
            let half = Bytes::copy_from_slice(&reply.body[..reply.body.len() / 2]);
            let cut = io::Error::other("the body is cut on purpose");
            let body = stream::iter([Ok(half), Err(cut)]);
            let length = reply.body.len().max(2).to_string();
            build(
                reply,
                Some((header::CONTENT_LENGTH, length)),
                Body::from_stream(body),
            )
        }
        FaultKind::TooManyRequests {
            retry_after: Some(seconds),
        } => build(
            reply,
            Some((header::RETRY_AFTER, seconds.to_string())),
            Body::from(reply.body.clone()),
        ),
        FaultKind::Redirect { to } => {
            build(reply, Some((header::LOCATION, to.clone())), Body::empty())
        }
        _ => response(reply),
    }
}

fn build(reply: &Reply, extra: Option<(header::HeaderName, String)>, body: Body) -> Response<Body> {
    let mut builder = Response::builder().status(reply.status);
    if !reply.content_type.is_empty() {
        builder = builder.header(header::CONTENT_TYPE, &reply.content_type);
    }
    if let Some((name, value)) = extra {
        builder = builder.header(name, value);
    }
    builder
        .body(body)
        .unwrap_or_else(|_| Response::new(Body::empty()))
}
