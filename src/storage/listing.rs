//! Listing the blobs of a container page by page.

use std::fmt;
use std::sync::Arc;

use azure_core::http::{PageIterator, Response, XmlFormat};
use azure_storage_blob::BlobContainerClient;
use azure_storage_blob::models::{
    BlobContainerClientListBlobsOptions, BlobItem, ListBlobsResponse,
};
use futures::TryStreamExt as _;
use jiff::Timestamp;

use super::download::{required_etag, timestamp};
use super::error::is_missing;
use super::{ETag, Error};

/// Blobs on a page; storage gives no more.
const PAGE: u16 = 5000;

/// One blob of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its full name.
    pub name: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its version.
    pub etag: ETag,
    /// When it was last written, by storage's clock, in whole seconds.
    pub last_modified: Timestamp,
}

/// The blobs whose names start with a prefix, in the order of their names. A missing container has none.
///
/// A blob that is written or deleted while the listing goes on may or may not be on it.
pub struct Listing {
    client: Arc<BlobContainerClient>,
    prefix: String,
    page_size: u16,
    marker: Option<String>,
    pages: Option<PageIterator<Response<ListBlobsResponse, XmlFormat>>>,
}

impl Listing {
    pub(super) fn new(client: Arc<BlobContainerClient>, prefix: &str) -> Self {
        Self {
            client,
            prefix: prefix.to_owned(),
            page_size: PAGE,
            marker: None,
            pages: None,
        }
    }

    /// Sets how many blobs a page has at most (1 to 5000, the default).
    #[must_use]
    pub fn with_page_size(mut self, page_size: u16) -> Self {
        self.page_size = page_size.clamp(1, PAGE);
        self
    }

    /// Goes on where another listing of the same prefix stood when it gave this [`marker`](Self::marker).
    #[must_use]
    pub fn with_marker(mut self, marker: impl Into<String>) -> Self {
        self.marker = Some(marker.into());
        self
    }

    /// Where the page after the last one given begins, to go on later; `None` before the first page and after the
    /// last.
    #[must_use]
    pub fn marker(&self) -> Option<String> {
        let pages = self.pages.as_ref()?;
        pages.continuation().map(|next| next.as_ref().to_owned())
    }

    /// The next page, never an empty one; `None` at the end.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Entry>>, Error> {
        loop {
            let pages = match self.pages.as_mut() {
                Some(pages) => pages,
                None => self.pages.insert(self.start()?),
            };
            let page = match pages.try_next().await {
                Ok(Some(page)) => page,
                Ok(None) => return Ok(None),
                Err(error) if is_missing(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let page: ListBlobsResponse = page.into_model()?;
            // Storage gives empty pages with a marker when it crosses its own partitions.
            if page.blob_items.is_empty() {
                continue;
            }
            return page
                .blob_items
                .into_iter()
                .map(entry)
                .collect::<Result<Vec<_>, _>>()
                .map(Some);
        }
    }

    fn start(&self) -> Result<PageIterator<Response<ListBlobsResponse, XmlFormat>>, Error> {
        let options = BlobContainerClientListBlobsOptions {
            maxresults: Some(i32::from(self.page_size)),
            prefix: Some(self.prefix.clone()).filter(|prefix| !prefix.is_empty()),
            marker: self.marker.clone(),
            ..BlobContainerClientListBlobsOptions::default()
        };
        Ok(self.client.list_blobs(Some(options))?.into_pages())
    }
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing")
            .field("prefix", &self.prefix)
            .field("page_size", &self.page_size)
            .finish_non_exhaustive()
    }
}

fn entry(item: BlobItem) -> Result<Entry, Error> {
    let properties = item
        .properties
        .ok_or(Error::Invalid("storage listed a blob without properties"))?;
    Ok(Entry {
        name: item
            .name
            .ok_or(Error::Invalid("storage listed a blob without a name"))?,
        size: properties.content_length.unwrap_or_default(),
        etag: required_etag(properties.etag.as_ref())?,
        last_modified: timestamp(properties.last_modified),
    })
}
