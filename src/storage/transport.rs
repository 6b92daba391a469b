//! The HTTP client that all calls of an account share.

use std::sync::OnceLock;
use std::time::Duration;

use azure_core::error::ErrorKind;
use azure_core::http::headers::HeaderName;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};

const CONTENT_RANGE: HeaderName = HeaderName::from_static("content-range");
/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer, or the next part of its body, may take to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// One connection pool, built at the first call: loading certificates takes longer than the handler may take to start.
#[derive(Debug, Default)]
pub(super) struct LazyTransport {
    client: OnceLock<reqwest::Client>,
    /// For what is plain http (an emulator): it loads no certificates, and trusts nobody over TLS.
    plain: OnceLock<reqwest::Client>,
}

impl LazyTransport {
    fn client(&self, is_plain: bool) -> azure_core::Result<&reqwest::Client> {
        let cell = if is_plain { &self.plain } else { &self.client };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let mut builder = reqwest::Client::builder();
        if is_plain {
            builder = builder.tls_certs_only([]);
        }
        let built = builder
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A redirect would carry the signature or the token to another host.
            .redirect(reqwest::redirect::Policy::none())
            // Archived blobs that are compressed are read as stored; ranges count stored bytes.
            .no_gzip()
            .no_deflate()
            .no_brotli()
            .no_zstd()
            .build()
            .map_err(|error| {
                azure_core::Error::with_error(ErrorKind::Other, error, "no HTTP client")
            })?;
        Ok(cell.get_or_init(|| built))
    }
}

#[async_trait::async_trait]
impl HttpClient for LazyTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let client = self.client(request.url().scheme() == "http")?;
        let answer = client.execute_request(request).await?;
        Ok(without_empty_range(answer))
    }
}

/// Azurite answers a range of an empty blob with `Content-Range: bytes 0--1/0`, which the SDK cannot read; the service
/// refuses such a range. Without the header it is what it should be, an empty answer.
fn without_empty_range(answer: AsyncRawResponse) -> AsyncRawResponse {
    let is_empty = answer
        .headers()
        .get_optional_str(&CONTENT_RANGE)
        .is_some_and(|range| range.ends_with("-1/0"));
    if !is_empty {
        return answer;
    }
    let (status, mut headers, body) = answer.deconstruct();
    headers.remove(CONTENT_RANGE);
    AsyncRawResponse::new(status, headers, Box::pin(body))
}
