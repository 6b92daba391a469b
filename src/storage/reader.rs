//! Reading a blob by position, for code that reads synchronously, like a zip archive.

use std::fmt;
use std::io;

use bytes::Bytes;
use tokio::runtime::Handle;

use super::{Container, Error};

/// Bytes that are asked for at once, and kept.
const WINDOW: u64 = 4 * 1024 * 1024;

/// A blob as a [`std::io::Read`] and [`std::io::Seek`]; memory is one window (4 MiB).
///
/// The blob must not change while it is read. It waits for the network, so it must be used on a thread that may block
/// (`spawn_blocking`), never on one that runs async tasks.
pub struct BlockingReader {
    container: Container,
    name: String,
    runtime: Handle,
    size: u64,
    position: u64,
    window: Bytes,
    /// Where the window begins.
    start: u64,
}

impl BlockingReader {
    /// Opens a blob; `None` when blob or container is missing.
    ///
    /// # Errors
    /// When storage cannot be reached or refuses.
    pub async fn open(container: Container, name: &str) -> Result<Option<Self>, Error> {
        let Some(properties) = container.head(name).await? else {
            return Ok(None);
        };
        Ok(Some(Self {
            container,
            name: name.to_owned(),
            runtime: Handle::current(),
            size: properties.size,
            position: 0,
            window: Bytes::new(),
            start: 0,
        }))
    }

    /// What the window holds from the position on.
    fn ahead(&self) -> &[u8] {
        let skip = self.position.checked_sub(self.start);
        let skip = skip.and_then(|skip| usize::try_from(skip).ok());
        skip.and_then(|skip| self.window.get(skip..))
            .unwrap_or_default()
    }

    /// Moves the window; near the end it holds all that follows, since archives are read from there.
    fn fill(&mut self) -> io::Result<()> {
        let start = self.position.min(self.size.saturating_sub(WINDOW));
        let length = WINDOW.min(self.size - start);
        let read = self.container.read_range(&self.name, start, length);
        let read = self.runtime.block_on(read).map_err(io::Error::other)?;
        let gone = || io::Error::new(io::ErrorKind::UnexpectedEof, "the blob is gone or shorter");
        self.window = read.ok_or_else(gone)?;
        self.start = start;
        if self.ahead().is_empty() {
            return Err(gone());
        }
        Ok(())
    }
}

impl io::Read for BlockingReader {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if to.is_empty() || self.position >= self.size {
            return Ok(0);
        }
        if self.ahead().is_empty() {
            self.fill()?;
        }
        let ahead = self.ahead();
        let length = ahead.len().min(to.len());
        if let (Some(to), Some(from)) = (to.get_mut(..length), ahead.get(..length)) {
            to.copy_from_slice(from);
        }
        self.position += length as u64;
        Ok(length)
    }
}

impl io::Seek for BlockingReader {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let position = match to {
            io::SeekFrom::Start(position) => Some(position),
            io::SeekFrom::End(offset) => self.size.checked_add_signed(offset),
            io::SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a position before the start")
        })?;
        Ok(self.position)
    }
}

impl fmt::Debug for BlockingReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingReader")
            .field("container", &self.container)
            .field("size", &self.size)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, SeekFrom};

    use secrecy::SecretString;

    use super::*;
    use crate::storage::{Account, AccountSettings};

    #[tokio::test]
    async fn blobs_are_read_by_position() -> anyhow::Result<()> {
        let azurite = azurite::Azurite::start().await?;
        let connection = SecretString::from(azurite.account().connection_string());
        let account = Account::open(&AccountSettings::ConnectionString(connection))?;
        let work = account.container("work");
        assert!(BlockingReader::open(work.clone(), "blob").await?.is_none());
        let content: Vec<u8> = (0..10_000_000_u32).map(|n| (n / 7) as u8).collect();
        work.put("blob", content.clone(), "application/octet-stream")
            .await?;
        work.put("empty", Vec::new(), "application/octet-stream")
            .await?;
        let mut reader = BlockingReader::open(work.clone(), "blob")
            .await?
            .expect("it is there");
        let mut empty = BlockingReader::open(work, "empty")
            .await?
            .expect("it is there");
        tokio::task::spawn_blocking(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all)?;
            assert!(all == content);
            for (to, expected) in [
                (SeekFrom::Start(4_194_300), 4_194_300),
                (SeekFrom::End(-7), 9_999_993),
                (SeekFrom::Start(5), 5),
                (SeekFrom::Current(8_000_000), 8_000_010),
                (SeekFrom::End(1), 10_000_001),
            ] {
                assert_eq!(reader.seek(to)?, expected);
                let mut five = Vec::new();
                reader.by_ref().take(5).read_to_end(&mut five)?;
                let start = usize::try_from(expected)?.min(content.len());
                let end = (start + 5).min(content.len());
                assert_eq!(five, content[start..end], "{expected}");
            }
            assert!(reader.seek(SeekFrom::Current(-20_000_000)).is_err());
            assert_eq!(empty.read_to_end(&mut Vec::new())?, 0);
            anyhow::Ok(())
        })
        .await?
    }
}
