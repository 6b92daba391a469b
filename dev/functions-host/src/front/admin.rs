//! `/admin/…`: the host's own state, and running a function by hand.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Front, empty, key_of};
use crate::clock;
use crate::invoke::{CALLED_BY_HTTP, Invoker, read_body};
use crate::manifest::{Function, Trigger};
use crate::wire::HOST_VERSION;
use crate::{queue, timer};

/// Answers a request below `/admin`.
pub(super) async fn answer(front: &Front, path: &str, request: Request<Body>) -> Response<Body> {
    let path: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if let (["host", "ping"], true) = (path.as_slice(), is_read(&request)) {
        return empty(StatusCode::OK);
    }
    if let Some(keys) = &front.keys
        && !key_of(&request).is_some_and(|key| keys.is_master(&key))
    {
        return empty(StatusCode::UNAUTHORIZED);
    }
    let current = front.current();
    match (path.as_slice(), request.method()) {
        (["host", "status"], &Method::GET) => {
            let state = if current.is_some() {
                "Running"
            } else {
                "Offline"
            };
            as_json(&json!({"state": state, "version": HOST_VERSION}))
        }
        (["functions"], &Method::GET) => {
            let names = front
                .manifest
                .functions
                .iter()
                .map(|function| json!({"name": function.name}));
            as_json(&names.collect())
        }
        (["functions", name], &Method::POST) => {
            let Some(function) = front.manifest.function(name).cloned() else {
                return empty(StatusCode::NOT_FOUND);
            };
            let Some(invoker) = current else {
                return empty(StatusCode::SERVICE_UNAVAILABLE);
            };
            let Ok(body) = read_body(request.into_body(), front.largest_body).await else {
                return empty(StatusCode::PAYLOAD_TOO_LARGE);
            };
            match input(&body) {
                Some(input) => start(invoker, function, &input),
                None => empty(StatusCode::BAD_REQUEST),
            }
        }
        _ => empty(StatusCode::NOT_FOUND),
    }
}

fn is_read(request: &Request<Body>) -> bool {
    matches!(*request.method(), Method::GET | Method::POST)
}

/// The text of `{"input": …}`; a body that is empty, or an object without it, has the empty input.
fn input(body: &[u8]) -> Option<String> {
    if body.trim_ascii().is_empty() {
        return Some(String::new());
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    Some(match body.as_object()?.get("input") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    })
}

/// Runs a function in the background.
fn start(invoker: Arc<Invoker>, function: Arc<Function>, input: &str) -> Response<Body> {
    let envelope = match &function.trigger {
        Trigger::Queue(trigger) => queue::from_admin(&function, trigger, input),
        Trigger::Timer(trigger) => timer::from_admin(&function, trigger, clock::now()),
        // HTTP functions are called by their route.
        Trigger::Http(_) => return empty(StatusCode::BAD_REQUEST),
    };
    tokio::spawn(async move {
        // Its end is in the log; nobody waits for it.
        let _ = invoker
            .run(&function, Uuid::new_v4(), CALLED_BY_HTTP, None, &envelope)
            .await;
    });
    empty(StatusCode::ACCEPTED)
}

fn as_json(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    let json = header::HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::input;

    #[test]
    fn inputs_are_texts() {
        for (body, expected) in [
            ("", Some("")),
            ("{}", Some("")),
            (r#"{"input":"x"}"#, Some("x")),
            (r#"{"input":{"a":1}}"#, Some(r#"{"a":1}"#)),
            ("[]", None),
            ("{", None),
        ] {
            assert_eq!(input(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }
}
