//! Reading and writing the blobs of one container.

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;

use azure_core::http::StatusCode;
use azure_storage_blob::models::{
    BlobClientDeleteOptions, BlobClientGetPropertiesResultHeaders as _, BlobClientUploadOptions,
    DeleteSnapshotsOptionType,
};
use azure_storage_blob::{BlobClient, BlobContainerClient};
use bytes::Bytes;
use jiff::Timestamp;

use super::download::{collect, get, required_etag, timestamp};
use super::error::{answer, is_missing};
use super::{Account, BlobStream, BlobWriter, ETag, Error, Listing, names};

/// Largest blob that is written by one call; longer ones go through a [`BlobWriter`].
const MAX_PUT: usize = 256 * 1024 * 1024;
/// How often a small blob is asked for when its body breaks off.
const BODY_TRIES: usize = 3;

/// A container and its blobs. It needs not exist: reading finds nothing, writing creates it.
#[derive(Clone)]
pub struct Container {
    account: Account,
    name: Arc<str>,
    client: Arc<BlobContainerClient>,
}

/// A blob that was read whole.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Its content.
    pub bytes: Bytes,
    /// Its version.
    pub etag: ETag,
    /// When it was last written, by storage's clock, in whole seconds.
    pub last_modified: Timestamp,
}

/// What is known of a blob without reading it.
#[derive(Debug, Clone)]
pub struct Properties {
    /// Its version.
    pub etag: ETag,
    /// Its length in bytes.
    pub size: u64,
    /// When it was last written, by storage's clock, in whole seconds.
    pub last_modified: Timestamp,
}

/// How an attempt to create a blob ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Created {
    /// It was created, with this version.
    New(ETag),
    /// A blob of that name is there. It can be our own: a call whose answer got lost is tried again.
    Exists,
}

/// How an attempt to replace a blob ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replaced {
    /// It was replaced and has this version now.
    Done(ETag),
    /// The blob has another version or is gone. The other version can be our own: a call whose answer got lost is
    /// tried again.
    Conflict,
}

impl Container {
    pub(super) fn new(account: Account, name: &str, client: BlobContainerClient) -> Self {
        Self {
            account,
            name: name.into(),
            client: Arc::new(client),
        }
    }

    /// The container's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    pub(super) fn client(&self) -> &BlobContainerClient {
        &self.client
    }

    pub(super) fn blob(&self, name: &str) -> Result<BlobClient, Error> {
        names::check_blob(name)?;
        Ok(self.client.blob_client(name))
    }

    /// Creates the container unless it is there.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn create_if_missing(&self) -> Result<(), Error> {
        match self.client.create(None).await {
            Ok(_) => Ok(()),
            Err(error) => match answer(&error) {
                Some((StatusCode::Conflict, "ContainerAlreadyExists")) => Ok(()),
                _ => Err(error.into()),
            },
        }
    }

    /// Reads a whole blob of at most `limit` bytes by one request; `None` when blob or container is missing.
    ///
    /// # Errors
    /// [`Error::TooLarge`] over the limit, else when storage cannot be reached or refuses.
    pub async fn read(&self, name: &str, limit: usize) -> Result<Option<Stored>, Error> {
        let blob = self.blob(name)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let Some(part) = get(&blob, 0, limit.saturating_add(1), None).await? else {
                return Ok(None);
            };
            if part.size > limit as u64 {
                return Err(Error::TooLarge {
                    limit: limit as u64,
                });
            }
            match collect(part.result, part.length).await {
                Ok(bytes) => {
                    return Ok(Some(Stored {
                        bytes,
                        etag: part.etag,
                        last_modified: part.last_modified,
                    }));
                }
                Err(error) if error.is_transient() && tries < BODY_TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads at most `length` bytes from `offset` on; fewer, or none, when the blob ends before. `None` when blob or
    /// container is missing.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn read_range(
        &self,
        name: &str,
        offset: u64,
        length: u64,
    ) -> Result<Option<Bytes>, Error> {
        let blob = self.blob(name)?;
        let Ok(length) = usize::try_from(length) else {
            return Err(Error::Invalid("a range fits into memory"));
        };
        if length == 0 {
            return Ok(self.head(name).await?.map(|_| Bytes::new()));
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let part = match get(&blob, offset, length, None).await {
                Ok(Some(part)) => part,
                Ok(None) => return Ok(None),
                Err(Error::Other(cause)) if cause.status() == Some(416) => {
                    return Ok(Some(Bytes::new()));
                }
                Err(error) => return Err(error),
            };
            match collect(part.result, part.length).await {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) if error.is_transient() && tries < BODY_TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks for a blob's version and length; `None` when blob or container is missing.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn head(&self, name: &str) -> Result<Option<Properties>, Error> {
        let found = match self.blob(name)?.get_properties(None).await {
            Ok(found) => found,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let etag = found.etag()?.as_ref().map(ETag::from_azure);
        Ok(Some(Properties {
            etag: etag.ok_or(Error::Invalid("storage answered without an ETag"))?,
            size: found.content_length()?.unwrap_or_default(),
            last_modified: timestamp(found.last_modified()?),
        }))
    }

    /// Opens a blob of any length for reading part by part; `None` when blob or container is missing.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn stream(&self, name: &str) -> Result<Option<BlobStream>, Error> {
        BlobStream::open(self.blob(name)?).await
    }

    /// Writes a blob that is not there yet, and the container if need be.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn create(
        &self,
        name: &str,
        bytes: impl Into<Bytes>,
        content_type: &str,
    ) -> Result<Created, Error> {
        let options = BlobClientUploadOptions::default().if_not_exists();
        match self.upload(name, bytes.into(), content_type, options).await {
            Ok(etag) => Ok(Created::New(etag)),
            // The service answers 409 or 412, Azurite 409.
            Err(Failed::Condition) => Ok(Created::Exists),
            Err(Failed::Error(error)) => Err(error),
        }
    }

    /// Writes a blob if it still has the version `etag`.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn replace(
        &self,
        name: &str,
        bytes: impl Into<Bytes>,
        content_type: &str,
        etag: &ETag,
    ) -> Result<Replaced, Error> {
        let options = BlobClientUploadOptions {
            if_match: Some(etag.to_azure()),
            ..BlobClientUploadOptions::default()
        };
        match self.upload(name, bytes.into(), content_type, options).await {
            Ok(etag) => Ok(Replaced::Done(etag)),
            Err(Failed::Condition | Failed::Error(Error::NotFound(_))) => Ok(Replaced::Conflict),
            Err(Failed::Error(error)) => Err(error),
        }
    }

    /// Writes a blob, whether it is there or not, and the container if need be.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn put(
        &self,
        name: &str,
        bytes: impl Into<Bytes>,
        content_type: &str,
    ) -> Result<ETag, Error> {
        let options = BlobClientUploadOptions::default();
        match self.upload(name, bytes.into(), content_type, options).await {
            Ok(etag) => Ok(etag),
            Err(Failed::Condition) => Err(Error::Changed),
            Err(Failed::Error(error)) => Err(error),
        }
    }

    /// Deletes a blob with its snapshots; `false` when there was none.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn delete(&self, name: &str) -> Result<bool, Error> {
        let options = BlobClientDeleteOptions {
            delete_snapshots: Some(DeleteSnapshotsOptionType::Include),
            ..BlobClientDeleteOptions::default()
        };
        match self.blob(name)?.delete(Some(options)).await {
            Ok(_) => Ok(true),
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Lists the blobs whose names start with `prefix`, in the order of their names.
    #[must_use]
    pub fn list(&self, prefix: &str) -> Listing {
        Listing::new(Arc::clone(&self.client), prefix)
    }

    /// The first name that starts with `prefix`, in the order of names.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn first_under(&self, prefix: &str) -> Result<Option<String>, Error> {
        let found = self.list(prefix).with_page_size(1).next_page().await?;
        Ok(found
            .and_then(|page| page.into_iter().next())
            .map(|entry| entry.name))
    }

    /// Whether any blob's name starts with `prefix`.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn exists_under(&self, prefix: &str) -> Result<bool, Error> {
        Ok(self.first_under(prefix).await?.is_some())
    }

    /// Starts to write a blob of any length part by part.
    #[must_use]
    pub fn writer(&self, name: &str, content_type: &str) -> BlobWriter {
        BlobWriter::new(self.clone(), name, content_type)
    }

    async fn upload(
        &self,
        name: &str,
        bytes: Bytes,
        content_type: &str,
        options: BlobClientUploadOptions<'_>,
    ) -> Result<ETag, Failed> {
        if bytes.len() > MAX_PUT {
            return Err(Failed::Error(Error::TooLarge {
                limit: MAX_PUT as u64,
            }));
        }
        let blob = self.blob(name).map_err(Failed::Error)?;
        let creates = options.if_match.is_none();
        let options = BlobClientUploadOptions {
            blob_content_type: Some(content_type.to_owned()),
            // Always one request: conditions hold for one request only.
            partition_size: NonZero::new(MAX_PUT as u64),
            ..options
        };
        let mut again = creates;
        loop {
            let sent = Box::pin(blob.upload(bytes.clone().into(), Some(options.clone()))).await;
            let error = match sent {
                Ok(done) => return required_etag(done.etag.as_ref()).map_err(Failed::Error),
                Err(error) => error,
            };
            match answer(&error) {
                Some((_, "BlobAlreadyExists")) | Some((StatusCode::PreconditionFailed, _)) => {
                    return Err(Failed::Condition);
                }
                Some((StatusCode::NotFound, "ContainerNotFound")) if again => {
                    again = false;
                    self.create_if_missing().await.map_err(Failed::Error)?;
                }
                _ => return Err(Failed::Error(error.into())),
            }
        }
    }
}

impl fmt::Debug for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Container")
            .field("account", &self.account.name())
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

enum Failed {
    Condition,
    Error(Error),
}
