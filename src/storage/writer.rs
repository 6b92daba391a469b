//! Writing a blob of any length in bounded memory.

use std::fmt;
use std::io;

use azure_core::http::StatusCode;
use azure_storage_blob::models::{
    BlockBlobClientCommitBlockListOptions, BlockBlobClientCommitBlockListResultHeaders as _,
    BlockLookupList,
};
use bytes::{Bytes, BytesMut};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;

use super::download::required_etag;
use super::error::answer;
use super::{Container, ETag, Error};

/// Bytes in a block.
const BLOCK: usize = 4 * 1024 * 1024;
/// Blocks in a blob; storage takes no more.
const MAX_BLOCKS: u64 = 50_000;

/// Writes a block blob. It appears, or replaces the one of that name, as a whole by [`commit`](Self::commit).
///
/// Memory is one block (4 MiB). A block's ID is made from its place and its content, so a second run of the same work
/// stages the same blocks again, and two runs at once cannot mix different contents.
pub struct BlobWriter {
    container: Container,
    name: String,
    content_type: String,
    buffer: BytesMut,
    blocks: Vec<Vec<u8>>,
    written: u64,
}

impl BlobWriter {
    pub(super) fn new(container: Container, name: &str, content_type: &str) -> Self {
        Self {
            container,
            name: name.to_owned(),
            content_type: content_type.to_owned(),
            buffer: BytesMut::new(),
            blocks: Vec::new(),
            written: 0,
        }
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Appends bytes; full blocks are sent.
    ///
    /// # Errors
    /// [`Error::TooLarge`] over 195 GiB, else when storage cannot be reached or refuses. The blob is unchanged then.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            if self.buffer.capacity() == 0 {
                self.buffer.reserve(BLOCK.min(bytes.len().max(64 * 1024)));
            }
            let room = BLOCK.saturating_sub(self.buffer.len());
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            self.written = self.written.saturating_add(now.len() as u64);
            bytes = later;
            if self.buffer.len() >= BLOCK {
                self.stage().await?;
            }
        }
        Ok(())
    }

    /// Makes all that was written the blob's content.
    ///
    /// # Errors
    /// [`Error::Changed`] when somebody else wrote the blob meanwhile, so that the blocks are gone; else when storage
    /// cannot be reached or refuses.
    pub async fn commit(mut self) -> Result<ETag, Error> {
        if self.blocks.is_empty() {
            let whole = self.buffer.split().freeze();
            return self
                .container
                .put(&self.name, whole, &self.content_type)
                .await;
        }
        if !self.buffer.is_empty() {
            self.stage().await?;
        }
        let blob = self.container.blob(&self.name)?.block_blob_client();
        let list = BlockLookupList {
            latest: Some(std::mem::take(&mut self.blocks)),
            ..BlockLookupList::default()
        };
        let options = BlockBlobClientCommitBlockListOptions {
            blob_content_type: Some(self.content_type.clone()),
            ..BlockBlobClientCommitBlockListOptions::default()
        };
        match blob
            .commit_block_list(list.try_into()?, Some(options))
            .await
        {
            Ok(done) => required_etag(done.etag()?.as_ref()),
            Err(error) => match answer(&error) {
                Some((StatusCode::BadRequest, "InvalidBlockList")) => Err(Error::Changed),
                _ => Err(error.into()),
            },
        }
    }

    /// This writer as a [`std::io::Write`], for use on a blocking thread of the current runtime.
    #[must_use]
    pub fn blocking(self) -> BlockingWriter {
        BlockingWriter {
            writer: self,
            runtime: Handle::current(),
        }
    }

    async fn stage(&mut self) -> Result<(), Error> {
        let place = self.blocks.len() as u64;
        if place >= MAX_BLOCKS {
            return Err(Error::TooLarge {
                limit: MAX_BLOCKS * BLOCK as u64,
            });
        }
        let block = self.buffer.split().freeze();
        let id = block_id(place, &block);
        let blob = self.container.blob(&self.name)?.block_blob_client();
        let mut again = true;
        loop {
            let length = block.len() as u64;
            let sent = Box::pin(blob.stage_block(&id, length, block.clone().into(), None)).await;
            let Err(error) = sent else { break };
            match answer(&error) {
                Some((StatusCode::NotFound, "ContainerNotFound")) if again => {
                    again = false;
                    self.container.create_if_missing().await?;
                }
                _ => return Err(error.into()),
            }
        }
        self.blocks.push(id);
        Ok(())
    }
}

impl fmt::Debug for BlobWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobWriter")
            .field("container", &self.container)
            .field("name", &self.name)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

/// All IDs of a blob have the same length, as storage demands.
fn block_id(place: u64, block: &Bytes) -> Vec<u8> {
    let mut id = place.to_be_bytes().to_vec();
    id.extend_from_slice(Sha256::digest(block).get(..16).unwrap_or_default());
    id
}

/// A [`BlobWriter`] for code that writes synchronously, like a zip archive.
///
/// It waits for the network, so it must be used on a thread that may block (`spawn_blocking`), never on one that runs
/// async tasks.
#[derive(Debug)]
pub struct BlockingWriter {
    writer: BlobWriter,
    runtime: Handle,
}

impl BlockingWriter {
    /// The async writer again, to [`commit`](BlobWriter::commit) it.
    #[must_use]
    pub fn into_inner(self) -> BlobWriter {
        self.writer
    }
}

impl io::Write for BlockingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.runtime
            .block_on(self.writer.write(bytes))
            .map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    /// Does nothing: what is buffered goes out as a full block or at the commit.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
