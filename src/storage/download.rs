//! Asking for a part of a blob by one request.

use std::num::NonZero;

use azure_core::http::headers::{HeaderName, Headers};
use azure_core::time::OffsetDateTime;
use azure_storage_blob::BlobClient;
use azure_storage_blob::models::{BlobClientDownloadOptions, BlobClientDownloadResult, HttpRange};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use jiff::Timestamp;

use super::error::is_missing;
use super::{ETag, Error};

/// An answer to a request for a part of a blob; its body is not read yet.
pub(super) struct Part {
    pub(super) etag: ETag,
    /// Length of the whole blob.
    pub(super) size: u64,
    /// Length of this part.
    pub(super) length: u64,
    pub(super) last_modified: Timestamp,
    pub(super) result: BlobClientDownloadResult,
}

/// Asks for a part of a blob by one request; an empty blob takes two, since no range of it can be satisfied.
pub(super) async fn get(
    blob: &BlobClient,
    offset: u64,
    length: usize,
    if_match: Option<&ETag>,
) -> Result<Option<Part>, Error> {
    let options = BlobClientDownloadOptions {
        range: Some(HttpRange::new(offset, length as u64)),
        // As large as the range: then the SDK does not divide it into requests of its own.
        partition_size: NonZero::new(length),
        parallel: NonZero::new(1),
        if_match: if_match.map(ETag::to_azure),
        ..BlobClientDownloadOptions::default()
    };
    let result = match Box::pin(blob.download(Some(options))).await {
        Ok(result) => result,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let length = result.properties.content_length.unwrap_or_default();
    Ok(Some(Part {
        etag: required_etag(result.properties.etag.as_ref())?,
        size: total(&result.headers).unwrap_or(length),
        length,
        last_modified: timestamp(result.properties.last_modified),
        result,
    }))
}

/// Reads the body into one piece of memory.
pub(super) async fn collect(result: BlobClientDownloadResult, length: u64) -> Result<Bytes, Error> {
    let mut body = result.body;
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = body.try_next().await? {
        if first.is_empty() && rest.is_empty() {
            first = chunk;
            continue;
        }
        if rest.is_empty() {
            rest.reserve(usize::try_from(length).unwrap_or_default());
            rest.extend_from_slice(&first);
        }
        rest.extend_from_slice(&chunk);
    }
    Ok(if rest.is_empty() {
        first
    } else {
        rest.freeze()
    })
}

/// The length of the whole blob, from `Content-Range: bytes 0-9/200`.
fn total(headers: &Headers) -> Option<u64> {
    let range = headers.get_optional_str(&HeaderName::from_static("content-range"))?;
    range.rsplit_once('/')?.1.trim().parse().ok()
}

pub(super) fn required_etag(etag: Option<&azure_core::http::Etag>) -> Result<ETag, Error> {
    etag.map(ETag::from_azure)
        .ok_or(Error::Invalid("storage answered without an ETag"))
}

/// Storage always says when a blob was written; if it did not, it was long ago.
pub(super) fn timestamp(at: Option<OffsetDateTime>) -> Timestamp {
    at.and_then(|at| Timestamp::from_second(at.unix_timestamp()).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}
