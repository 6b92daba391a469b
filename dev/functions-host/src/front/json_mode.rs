//! HTTP functions without forwarding: the request as JSON in an envelope, the answer from an output.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Call, content_length, empty};
use crate::clock;
use crate::invoke::{CALLED_BY_HTTP, read_body};
use crate::manifest::{Target, Trigger};
use crate::outputs::{decode_base64, has_return, value_of};
use crate::wire::{Envelope, Reply, doubly_encoded, sys};

/// Runs a function with a request as JSON and turns its output into a response.
pub(super) async fn answer(call: Call, request: Request<Body>) -> Response<Body> {
    let Trigger::Http(trigger) = &call.function.trigger else {
        return empty(StatusCode::NOT_FOUND);
    };
    let has_length = content_length(&request).is_some_and(|length| length > 0);
    let (parts, body) = request.into_parts();
    // A chunked body has no length and is lost.
    let body = if has_length {
        match read_body(body, call.largest_body).await {
            Ok(body) => body,
            Err(_) => return empty(StatusCode::PAYLOAD_TOO_LARGE),
        }
    } else {
        Bytes::new()
    };
    let query = query_of(parts.uri.query().unwrap_or_default());
    let body = body_of(&parts.headers, &body);
    let envelope = envelope(&call, &trigger.binding, &parts, &query, body.as_ref());
    let run = call.invoker.run(
        &call.function,
        Uuid::new_v4(),
        CALLED_BY_HTTP,
        None,
        &envelope,
    );
    match run.await {
        Ok(reply) => response(&call, &reply),
        Err(_) => empty(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn envelope(
    call: &Call,
    binding: &str,
    parts: &axum::http::request::Parts,
    query: &Map<String, Value>,
    body: Option<&String>,
) -> Envelope {
    let host = parts.headers.get(header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let target = parts.uri.path_and_query();
    let target = target.map_or("/", axum::http::uri::PathAndQuery::as_str);
    let mut headers: Map<String, Value> = Map::new();
    let mut flat: Map<String, Value> = Map::new();
    for name in parts.headers.keys() {
        let values = parts.headers.get_all(name).iter();
        let values: Vec<String> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect();
        let name = as_written_by_kestrel(name);
        flat.insert(name.clone(), Value::String(values.join(",")));
        headers.insert(name, json!(values));
    }
    let parameters: Map<String, Value> = call
        .parameters
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), Value::String(value.clone()?))))
        .collect();
    let mut request = json!({
        "Url": format!("http://{host}{target}"),
        "Method": parts.method.as_str(),
        "Query": query,
        "Headers": headers,
        "Params": parameters,
        "Identities": [anonymous()],
    });
    if let Some(body) = body {
        request["Body"] = Value::String(body.clone());
    }
    let mut envelope = Envelope::default();
    envelope.put_data(binding, request);
    envelope.put_metadata("Query", Value::Object(query.clone()));
    envelope.put_metadata("Headers", Value::Object(flat));
    envelope.put_metadata("sys", sys(&call.function.name, clock::now()));
    for (name, value) in query.iter().chain(&parameters) {
        envelope.put_metadata(name, doubly_encoded(value));
    }
    if let Some(body) = body {
        envelope.leak(body);
    }
    envelope
}

/// The one identity of a request without a key or a sign-in.
fn anonymous() -> Value {
    json!({
        "AuthenticationType": null,
        "IsAuthenticated": false,
        "Actor": null,
        "BootstrapContext": null,
        "Claims": [],
        "Label": null,
        "Name": null,
        "NameClaimType": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
        "RoleClaimType": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    })
}

/// Kestrel shows headers that it knows in their usual case, here: each word with a capital.
fn as_written_by_kestrel(name: &HeaderName) -> String {
    let known = [
        header::ACCEPT,
        header::ACCEPT_ENCODING,
        header::ACCEPT_LANGUAGE,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::COOKIE,
        header::HOST,
        header::USER_AGENT,
    ];
    if !known.contains(name) {
        return name.as_str().to_owned();
    }
    let words = name.as_str().split('-').map(|word| {
        let (first, rest) = word.split_at(1.min(word.len()));
        first.to_ascii_uppercase() + rest
    });
    words.collect::<Vec<_>>().join("-")
}

fn query_of(query: &str) -> Map<String, Value> {
    let mut found: Map<String, Value> = Map::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match found.get_mut(&*name) {
            Some(Value::String(values)) => {
                values.push(',');
                *values += &value;
            }
            _ => {
                found.insert(name.into_owned(), Value::String(value.into_owned()));
            }
        }
    }
    found
}

/// The body as text, or as base64 when its type says that it is none.
fn body_of(headers: &HeaderMap, body: &[u8]) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    let media = headers.get(header::CONTENT_TYPE);
    let media = media
        .and_then(|media| media.to_str().ok())
        .unwrap_or_default();
    let media = media.to_ascii_lowercase();
    if media.starts_with("application/octet-stream") || media.contains("multipart/") {
        return Some(STANDARD.encode(body));
    }
    Some(String::from_utf8_lossy(body).into_owned())
}

/// `Outputs.<res>` (or the return value) as a response.
fn response(call: &Call, reply: &Reply) -> Response<Body> {
    let outputs = &call.function.outputs;
    let binding = outputs
        .iter()
        .find(|output| matches!(output.target, Target::Http));
    let value =
        binding.and_then(|binding| value_of(reply, &binding.name, has_return(&call.function)));
    match value {
        None => empty(StatusCode::OK),
        Some(Value::String(text)) => {
            // Whatever happens to be valid base64 is taken for bytes.
            if let Some(bytes) = decode_base64(text) {
                return with_body(Body::from(bytes), None);
            }
            match serde_json::from_str(text) {
                Ok(Value::Object(parts)) => from_parts(&parts),
                _ => with_body(Body::from(text.clone()), Some(TEXT)),
            }
        }
        Some(Value::Object(parts)) => from_parts(parts),
        Some(value) => with_body(Body::from(value.to_string()), Some(JSON)),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

/// `{statusCode|status, headers, body}`; without a body the whole object is the body.
fn from_parts(parts: &Map<String, Value>) -> Response<Body> {
    let member = |names: &[&str]| {
        parts
            .iter()
            .find(|(name, _)| names.iter().any(|known| name.eq_ignore_ascii_case(known)))
            .map(|(_, value)| value)
    };
    let status = match member(&["statusCode", "status"]) {
        Some(Value::Number(number)) => number.as_u64().and_then(|code| u16::try_from(code).ok()),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let status = status.and_then(|code| StatusCode::from_u16(code).ok());
    let mut response = match member(&["body"]) {
        None => with_body(
            Body::from(Value::Object(parts.clone()).to_string()),
            Some(JSON),
        ),
        Some(Value::Null) => empty(StatusCode::OK),
        Some(Value::String(text)) => with_body(Body::from(text.clone()), Some(TEXT)),
        Some(body) => with_body(Body::from(body.to_string()), Some(JSON)),
    };
    *response.status_mut() = status.unwrap_or(StatusCode::OK);
    if let Some(Value::Object(headers)) = member(&["headers"]) {
        for (name, value) in headers {
            let value = match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
                response.headers_mut().insert(name, value);
            }
        }
    }
    response
}

fn with_body(body: Body, content_type: Option<&'static str>) -> Response<Body> {
    let mut response = Response::new(body);
    if let Some(content_type) = content_type {
        let value = HeaderValue::from_static(content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::{from_parts, query_of};
    use serde_json::{Value, json};

    #[test]
    fn outputs_become_responses() {
        fn check(output: &Value, status: u16, content_type: &str) {
            let Value::Object(parts) = output.clone() else {
                return;
            };
            let response = from_parts(&parts);
            assert_eq!(response.status(), status, "{output}");
            assert_eq!(response.headers()["content-type"], content_type, "{output}");
        }
        check(
            &json!({"statusCode": 201, "body": "x"}),
            201,
            "text/plain; charset=utf-8",
        );
        check(
            &json!({"status": "404", "body": {}}),
            404,
            "application/json; charset=utf-8",
        );
        check(&json!({"x": 1}), 200, "application/json; charset=utf-8");
        check(
            &json!({"body": "<p>", "headers": {"Content-Type": "text/html"}}),
            200,
            "text/html",
        );
    }

    #[test]
    fn queries_are_objects() {
        assert_eq!(
            json!(query_of("a=1&b=2&a=3")),
            json!({"a": "1,3", "b": "2"})
        );
    }
}
