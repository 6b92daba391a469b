//! The connection to the handler: HTTP/1.1 with the host's own headers and nothing that .NET does not send.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, HOST, TRANSFER_ENCODING, USER_AGENT as USER_AGENT_HEADER};
use axum::http::{HeaderName, HeaderValue, Method, Request, Response};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use uuid::Uuid;

/// The version that this host claims to be.
pub(crate) const HOST_VERSION: &str = "4.1037.0.0";
/// What it calls itself.
pub(crate) const USER_AGENT: &str = "Azure-Functions-Host/4.1037.0.0";
/// .NET's writer hands over about that many bytes at a time, and each becomes a chunk.
const CHUNK: usize = 1024;
/// Connections that are not used are closed before .NET would.
const IDLE: Duration = Duration::from_secs(60);

/// Talks to the handler on one port.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: legacy::Client<HttpConnector, Body>,
    port: u16,
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("Connection refused (127.0.0.1:{0})")]
    Refused(u16),
    #[error("An error occurred while sending the request.")]
    Broken,
}

impl Client {
    pub(crate) fn new(port: u16) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .http1_title_case_headers(true)
            .build(connector);
        Self { http, port }
    }

    /// The readiness ping: `GET /`.
    pub(crate) async fn ping(&self) -> Result<(), SendError> {
        let request = Request::builder()
            .uri(format!("http://127.0.0.1:{}/", self.port))
            .body(Body::empty())
            .map_err(|_| SendError::Broken)?;
        self.send(request).await.map(drop)
    }

    /// Whether the handler takes connections now.
    pub(crate) async fn accepts(&self) -> bool {
        let address = (std::net::Ipv4Addr::LOCALHOST, self.port);
        tokio::net::TcpStream::connect(address).await.is_ok()
    }

    /// `POST /{function}` with an envelope: chunked, without a length.
    pub(crate) async fn invoke(
        &self,
        function: &str,
        id: Uuid,
        body: String,
    ) -> Result<Response<Body>, SendError> {
        let body = Bytes::from(body);
        let mut chunks = Vec::with_capacity(body.len() / CHUNK + 1);
        let mut start = 0;
        while start < body.len() {
            let end = body.len().min(start + CHUNK);
            chunks.push(Ok::<_, std::io::Error>(body.slice(start..end)));
            start = end;
        }
        let body = Body::from_stream(futures::stream::iter(chunks));
        // In the order in which a handler saw them.
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://127.0.0.1:{}/{function}", self.port))
            .header(HOST, format!("127.0.0.1:{}", self.port))
            .header(VERSION_HEADER, HOST_VERSION)
            .header(INVOCATION_HEADER, id.to_string())
            .header(USER_AGENT_HEADER, USER_AGENT)
            .header(TRANSFER_ENCODING, "chunked")
            .header(HeaderName::from_static("traceparent"), new_trace())
            .header(CONTENT_TYPE, "application/json; charset=utf-8")
            .body(body)
            .map_err(|_| SendError::Broken)?;
        self.send(request).await
    }

    /// Sends a client's request on, with the host's headers added. Its URI is the path and query.
    pub(crate) async fn forward(
        &self,
        mut request: Request<Body>,
        id: Uuid,
    ) -> Result<Response<Body>, SendError> {
        let path = request.uri().path_and_query();
        let path = path.map_or("/", axum::http::uri::PathAndQuery::as_str);
        let uri = format!("http://127.0.0.1:{}{path}", self.port);
        *request.uri_mut() = uri.parse().map_err(|_| SendError::Broken)?;
        *request.version_mut() = axum::http::Version::HTTP_11;
        let headers = request.headers_mut();
        let id = HeaderValue::from_str(&id.to_string()).map_err(|_| SendError::Broken)?;
        headers.insert(VERSION_HEADER, HeaderValue::from_static(HOST_VERSION));
        headers.insert(INVOCATION_HEADER, id);
        self.send(request).await
    }

    async fn send(&self, request: Request<Body>) -> Result<Response<Body>, SendError> {
        match self.http.request(request).await {
            Ok(response) => Ok(response.map(Body::new)),
            Err(error) if error.is_connect() => Err(SendError::Refused(self.port)),
            Err(_) => Err(SendError::Broken),
        }
    }
}

const VERSION_HEADER: HeaderName = HeaderName::from_static("x-azure-functions-hostversion");
const INVOCATION_HEADER: HeaderName = HeaderName::from_static("x-azure-functions-invocationid");

/// A W3C `traceparent` of a new, unsampled trace.
pub(crate) fn new_trace() -> String {
    let (trace, span) = (Uuid::new_v4().simple(), Uuid::new_v4().simple().to_string());
    format!("00-{trace}-{}-00", span.get(..16).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::new_trace;

    #[test]
    fn traces_have_the_w3c_form() {
        let trace = new_trace();
        let parts: Vec<usize> = trace.split('-').map(str::len).collect();
        assert_eq!(parts, [2, 32, 16, 2], "{trace}");
    }
}
