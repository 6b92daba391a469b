//! The HTTP client that all calls of an account share.

use std::sync::OnceLock;
use std::time::Duration;

use azure_core::error::ErrorKind;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};

/// How long a connection may take to stand.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer, or the next part of its body, may take to arrive.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// One connection pool, built at the first call: loading certificates takes longer than the handler may take to start.
#[derive(Debug, Default)]
pub(super) struct LazyTransport {
    client: OnceLock<reqwest::Client>,
}

impl LazyTransport {
    fn client(&self) -> azure_core::Result<&reqwest::Client> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let built = reqwest::Client::builder()
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
        Ok(self.client.get_or_init(|| built))
    }
}

#[async_trait::async_trait]
impl HttpClient for LazyTransport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.client()?.execute_request(request).await
    }
}
