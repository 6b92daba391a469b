//! HTTP in, HTTP out: the client's own request goes to the handler, its answer back.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::{Call, content_length, empty};
use crate::invoke::{CALLED_BY_HTTP, Failure, LARGEST_ANSWER, read_body};
use crate::wire::USER_AGENT;

/// Headers of one connection: they end at the host.
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];
/// .NET keeps these with the content, so that copying the request's headers leaves them out.
const CONTENT_HEADERS: [HeaderName; 10] = [
    header::ALLOW,
    header::CONTENT_DISPOSITION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LOCATION,
    HeaderName::from_static("content-md5"),
    header::CONTENT_RANGE,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::CONTENT_LENGTH,
];
/// What .NET's URL encoder leaves as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b',')
    .remove(b';')
    .remove(b'@');
/// How often a proxied request is tried again while the handler refuses connections.
const PROXY_TRIES: u32 = 10;

/// `enableForwardingHttpRequest`: bodies only with a length, everything buffered.
pub(super) async fn forward(call: Call, request: Request<Body>) -> Response<Body> {
    let id = Uuid::new_v4();
    let Call {
        function, invoker, ..
    } = &call;
    let run = async {
        let request = forwarded(request, call.largest_body).await?;
        let response = invoker.worker.client.forward(request, id).await?;
        let (mut parts, body) = response.into_parts();
        let body = read_body(body, LARGEST_ANSWER).await?;
        strip(&mut parts.headers, &HOP_BY_HOP);
        // The answer to a HEAD request has the length of a body that it does not have.
        if !body.is_empty() {
            parts.headers.remove(header::CONTENT_LENGTH);
        }
        Ok(Response::from_parts(parts, Body::from(body)))
    };
    let done = invoker
        .guarded(function, id, CALLED_BY_HTTP, None, run)
        .await;
    done.unwrap_or_else(|failure| refused(&failure))
}

/// `enableProxyingHttpRequest`: streams both ways.
pub(super) async fn proxy(call: Call, mut request: Request<Body>) -> Response<Body> {
    let id = Uuid::new_v4();
    strip(request.headers_mut(), &HOP_BY_HOP);
    let Call {
        function, invoker, ..
    } = &call;
    let run = async {
        until_accepting(&call).await;
        let response = invoker.worker.client.forward(request, id).await?;
        let (mut parts, body) = response.into_parts();
        strip(&mut parts.headers, &HOP_BY_HOP);
        Ok(Response::from_parts(parts, body))
    };
    let done = invoker
        .guarded(function, id, CALLED_BY_HTTP, None, run)
        .await;
    done.unwrap_or_else(|failure| refused(&failure))
}

/// The proxy tries again while connections are refused, 50 to 250 ms apart. The request's body can be sent only once,
/// so that a bare connection finds out.
async fn until_accepting(call: &Call) {
    for attempt in 0..PROXY_TRIES {
        if call.invoker.worker.client.accepts().await {
            return;
        }
        let pause =
            Duration::from_millis(50 * u64::from(attempt + 1)).min(Duration::from_millis(250));
        tokio::time::sleep(pause).await;
    }
}

/// The request as the host copies it.
async fn forwarded(request: Request<Body>, largest_body: usize) -> Result<Request<Body>, Failure> {
    let has_body = content_length(&request).is_some_and(|length| length > 0);
    let (mut parts, body) = request.into_parts();
    // A chunked body has no length and is lost.
    let body = if has_body {
        read_body(body, largest_body).await?
    } else {
        parts.headers.remove(header::CONTENT_TYPE);
        axum::body::Bytes::new()
    };
    strip(&mut parts.headers, &HOP_BY_HOP);
    strip(&mut parts.headers, &CONTENT_HEADERS);
    let agent = match parts
        .headers
        .get(header::USER_AGENT)
        .map(HeaderValue::as_bytes)
    {
        Some(agent) if !agent.is_empty() => [agent, b" ", USER_AGENT.as_bytes()].concat(),
        _ => USER_AGENT.as_bytes().to_vec(),
    };
    if let Ok(agent) = HeaderValue::from_bytes(&agent) {
        parts.headers.insert(header::USER_AGENT, agent);
    }
    if let Some(query) = parts.uri.query() {
        let rebuilt = rebuilt_query(query);
        let separator = if rebuilt.is_empty() { "" } else { "?" };
        let target = format!("{}{separator}{rebuilt}", parts.uri.path());
        if let Ok(uri) = target.parse() {
            parts.uri = uri;
        }
    }
    Ok(Request::from_parts(parts, Body::from(body)))
}

/// The query taken apart and put together again: values of one name are joined by commas.
fn rebuilt_query(query: &str) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match pairs
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(&name))
        {
            Some((_, values)) => {
                values.push(',');
                *values += &value;
            }
            None => pairs.push((name.into_owned(), value.into_owned())),
        }
    }
    let encoded = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

fn strip(headers: &mut HeaderMap, names: &[HeaderName]) {
    for name in names {
        headers.remove(name);
    }
}

/// What the client gets when the function failed.
fn refused(failure: &Failure) -> Response<Body> {
    let status = match failure {
        Failure::Body => StatusCode::PAYLOAD_TOO_LARGE,
        Failure::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
        Failure::Send(_) | Failure::Answer(_) | Failure::Timeout(_) | Failure::Output(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    empty(status)
}

#[cfg(test)]
mod tests {
    use super::{forwarded, rebuilt_query};
    use axum::body::Body;
    use axum::http::Request;

    #[test]
    fn queries_are_rebuilt() {
        fn check(query: &str, expected: &str) {
            assert_eq!(rebuilt_query(query), expected);
        }
        check("a=1&b=2", "a=1&b=2");
        check("a=1&a=2&A=3", "a=1,2,3");
        check("q=x+y%2Bz", "q=x%20y%2Bz");
        check("flag", "flag=");
        check("n=%C3%A4", "n=%C3%A4");
        check("", "");
    }

    #[tokio::test]
    async fn headers_are_copied_as_dot_net_copies_them() {
        let request = Request::builder()
            .method("POST")
            .uri("/api/requests?a=1")
            .header("host", "localhost:7071")
            .header("user-agent", "curl/8")
            .header("x-functions-key", "k")
            .header("cookie", "c=1")
            .header("content-length", "2")
            .header("content-type", "application/json")
            .header("content-encoding", "gzip")
            .header("connection", "close")
            .body(Body::from("{}"))
            .expect("a request");
        let request = forwarded(request, 10).await.expect("forwarded");
        let header = |name: &str| {
            request
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        assert_eq!(header("host"), Some("localhost:7071"));
        assert_eq!(
            header("user-agent"),
            Some("curl/8 Azure-Functions-Host/4.1037.0.0")
        );
        assert_eq!(header("x-functions-key"), Some("k"));
        assert_eq!(header("cookie"), Some("c=1"));
        assert_eq!(header("content-type"), Some("application/json"));
        assert_eq!(header("content-encoding"), None);
        assert_eq!(header("connection"), None);
        assert_eq!(request.uri(), "/api/requests?a=1");
    }
}
