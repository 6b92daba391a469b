//! Downloads from where the service says: without the token, without redirects, only from listed hosts, only so much.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use std::fmt;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE};
use tokio::time::Instant;

use super::client::Client;
use super::error::{Error, Why};
use super::hosts::Location;
use super::http::{Failed, spread, transport, transport_lost};
use super::personal::Personal;
use super::retry::{self, Decision, Outcome, Repeat};

/// A download that has begun, to be read piece by piece.
pub struct Download {
    response: Response,
    limit: u64,
    read: u64,
    /// The media type that the place gives it.
    pub content_type: Option<String>,
    /// The encoding that the place says it is stored in; the bytes are not decoded.
    pub content_encoding: Option<String>,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("content_type", &self.content_type)
            .field("read", &self.read)
            .finish_non_exhaustive()
    }
}

impl Download {
    /// The length in bytes, when the place says it.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// The next piece, or none at the end.
    ///
    /// # Errors
    /// [`Error::Transient`] when the connection breaks, also before the announced length; [`Error::TooLarge`] past the limit.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.read_chunk().await.map_err(|failed| failed.error)
    }

    async fn read_chunk(&mut self) -> Result<Option<Bytes>, Failed> {
        let chunk = self.response.chunk().await.map_err(transport_lost)?;
        if let Some(chunk) = &chunk {
            self.read = self.read.saturating_add(chunk.len() as u64);
            if self.read > self.limit {
                return Err(Failed::for_good(Error::TooLarge { limit: self.limit }));
            }
        }
        Ok(chunk)
    }
}

impl Client {
    /// Begins a download of at most `limit` bytes.
    ///
    /// # Errors
    /// [`Error::Address`] when the address is not to be fetched, [`Error::Download`] when its place refuses, [`Error::Transient`] when it may work later.
    pub async fn fetch(&self, location: &Location, limit: u64) -> Result<Download, Error> {
        self.retrying(&|| self.open(location, limit).boxed()).await
    }

    /// A whole download in memory.
    ///
    /// # Errors
    /// Those of [`Client::fetch`] and [`Download::chunk`].
    pub async fn fetch_bytes(
        &self,
        location: &Location,
        limit: u64,
    ) -> Result<Personal<Bytes>, Error> {
        let (bytes, _is_page) = self.fetch_file(location, limit).await?;
        Ok(bytes)
    }

    /// A whole download in memory, and whether its place calls it a page.
    pub(super) async fn fetch_file(
        &self,
        location: &Location,
        limit: u64,
    ) -> Result<(Personal<Bytes>, bool), Error> {
        self.retrying(&|| self.whole(location, limit).boxed()).await
    }

    async fn whole(
        &self,
        location: &Location,
        limit: u64,
    ) -> Result<(Personal<Bytes>, bool), Failed> {
        let mut download = self.open(location, limit).await?;
        let is_page = download.content_type.as_deref().is_some_and(|it| {
            let media_type = it.split(';').next().unwrap_or_default().trim();
            media_type.eq_ignore_ascii_case("text/html")
        });
        let mut bytes = BytesMut::new();
        while let Some(chunk) = download.read_chunk().await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok((Personal::new(bytes.freeze()), is_page))
    }

    async fn open(&self, location: &Location, limit: u64) -> Result<Download, Failed> {
        let url = location.url();
        self.allow_list().check(url).map_err(Failed::for_good)?;
        let http = self.downloads().map_err(Failed::for_good)?;
        let response = http.get(url.clone()).send().await.map_err(transport)?;
        let status = response.status().as_u16();
        if status != 200 {
            let now = self.clock().now();
            let asked = retry::asked_wait(response.headers(), now);
            let error = if status == 429 || retry::is_passing(status) {
                Error::Transient {
                    why: Why::Status(status),
                    retry_at: asked.map(|wait| now.checked_add(wait).unwrap_or(now)),
                    source: None,
                }
            } else {
                // Also a redirect: the place that was allowed does not get to name another.
                Error::Download { status }
            };
            let outcome = match (status, asked) {
                (429, Some(asked)) => Outcome::Limited(asked),
                (429, None) => Outcome::Refused(503, None),
                _ => Outcome::Refused(status, asked),
            };
            return Err(Failed { outcome, error });
        }
        if response
            .content_length()
            .is_some_and(|length| length > limit)
        {
            return Err(Failed::for_good(Error::TooLarge { limit }));
        }
        let header = |name| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.to_owned())
        };
        Ok(Download {
            content_type: header(CONTENT_TYPE),
            content_encoding: header(CONTENT_ENCODING),
            response,
            limit,
            read: 0,
        })
    }

    async fn retrying<'a, T>(
        &self,
        once: &(dyn Fn() -> BoxFuture<'a, Result<T, Failed>> + Sync),
    ) -> Result<T, Error> {
        let began = Instant::now();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let failed = match once().await {
                Ok(done) => return Ok(done),
                Err(failed) => failed,
            };
            let policy = &self.limits().retry;
            let decision = retry::decide(
                policy,
                Repeat::Safe,
                failed.outcome,
                attempt,
                began.elapsed(),
            );
            tracing::info!(attempt, why = %failed.error, ?decision, "a download failed");
            match decision {
                Decision::GiveUp => return Err(failed.error),
                Decision::Retry(wait) => tokio::time::sleep(spread(wait, failed.outcome)).await,
            }
        }
    }
}
