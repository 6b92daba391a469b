//! Reading a blob of any length in bounded memory.

use std::fmt;
use std::time::Duration;

use azure_core::http::response::AsyncResponseBody;
use azure_storage_blob::BlobClient;
use bytes::Bytes;
use futures::TryStreamExt as _;

use super::download::{Part, get};
use super::{ETag, Error};

/// Bytes asked for by one request. A long answer is cut off when its reader is slow; a short one costs round trips.
const CHUNK: usize = 16 * 1024 * 1024;
/// How often in a row a request may break off without giving a byte.
const MAX_BREAKS: u32 = 3;
/// Pause before a broken request is made again, times the breaks in a row.
const PAUSE: Duration = Duration::from_millis(200);

/// A blob that is read part by part; all parts are of the same version.
pub struct BlobStream {
    /// The version that is read.
    pub etag: ETag,
    /// The blob's length in bytes.
    pub size: u64,
    blob: BlobClient,
    position: u64,
    body: Option<AsyncResponseBody>,
    breaks: u32,
}

impl BlobStream {
    pub(super) async fn open(blob: BlobClient) -> Result<Option<Self>, Error> {
        let Some(part) = get(&blob, 0, CHUNK, None).await? else {
            return Ok(None);
        };
        let Part {
            etag, size, result, ..
        } = part;
        Ok(Some(Self {
            etag,
            size,
            blob,
            position: 0,
            body: Some(result.body),
            breaks: 0,
        }))
    }

    /// The next part, of any length above zero; `None` at the end. After an error the stream is over.
    ///
    /// # Errors
    /// [`Error::Changed`] when the blob was replaced or deleted since it was opened, else when storage cannot be
    /// reached or refuses.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.position >= self.size {
                return Ok(None);
            }
            let Some(body) = self.body.as_mut() else {
                self.body = Some(reopen(&self.blob, self.position, &self.etag).await?);
                continue;
            };
            match body.try_next().await {
                Ok(Some(bytes)) if !bytes.is_empty() => {
                    self.position = self.position.saturating_add(bytes.len() as u64);
                    self.breaks = 0;
                    return Ok(Some(bytes));
                }
                Ok(Some(_)) => {}
                // The end of this answer; an answer without any byte counts as broken, or this might never end.
                Ok(None) => {
                    self.body = None;
                    self.breaks += 1;
                    if self.breaks > MAX_BREAKS {
                        return Err(Error::Changed);
                    }
                }
                Err(error) => {
                    self.body = None;
                    self.breaks += 1;
                    if self.breaks > MAX_BREAKS {
                        return Err(error.into());
                    }
                    tokio::time::sleep(PAUSE * self.breaks).await;
                }
            }
        }
    }
}

/// Goes on from this position, in the same version. (A body can move between threads but not be shared by them, so this
/// does not borrow the stream.)
async fn reopen(blob: &BlobClient, position: u64, etag: &ETag) -> Result<AsyncResponseBody, Error> {
    match get(blob, position, CHUNK, Some(etag)).await {
        Ok(Some(part)) if part.etag == *etag => Ok(part.result.body),
        // The service checks the version itself; this costs nothing and needs no trust.
        Ok(_) => Err(Error::Changed),
        Err(Error::Other(cause)) if cause.status() == Some(416) => Err(Error::Changed),
        Err(error) => Err(error),
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream")
            .field("etag", &self.etag)
            .field("size", &self.size)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
