//! A blob that is read and scanned while its hits are taken.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::scan::{Chunk, Ended, Job, MIN_READ, News, ScanError, scan_chunks};
use crate::storage::{BlobStream, Container, ETag, Entry};
use crate::work::names;

/// A blob up to this length, in bytes, is read before it is scanned: it takes no thread while it is on its way, and none is
/// woken for each of its chunks.
const SHORT: u64 = 1024 * 1024;
/// Chunks that wait between the download and the scan.
const CHUNKS: usize = 4;
/// Batches of hits that wait between the scan and those who take them.
const BATCHES: usize = 2;

/// A blob that is being read. The reading stops when this is dropped.
pub(super) struct Reading {
    /// The blob.
    pub(super) entry: Entry,
    news: mpsc::Receiver<News>,
    task: JoinHandle<()>,
}

impl Reading {
    /// Begins to read a blob. It goes no further than what fits between it and the one who takes its news.
    pub(super) fn begin(container: Container, entry: Entry, job: Job) -> Self {
        let (send, news) = mpsc::channel(BATCHES);
        let blob = entry.name.clone();
        let task = tokio::spawn(async move {
            let ended = read(&container, &blob, job, &send).await;
            // Nobody listens any more: then nobody needs to know.
            _ = send.send(News::Ended(ended)).await;
        });
        Self { entry, news, task }
    }

    /// What of it may be in memory, in bytes: of a long one, the chunks that wait for its scan.
    pub(super) fn weight(&self) -> u64 {
        self.entry.size.min(SHORT)
    }

    /// What comes next. The last is [`News::Ended`].
    pub(super) async fn next(&mut self) -> News {
        let news = self.news.recv().await;
        news.unwrap_or(News::Ended(Err(ScanError::Broken)))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn read(
    container: &Container,
    blob: &str,
    job: Job,
    news: &mpsc::Sender<News>,
) -> Result<Ended, ScanError> {
    let (_account, name) = names::account_of(blob);
    let stream = container.stream(name).await.map_err(ScanError::Storage)?;
    let Some(mut stream) = stream else {
        return Err(ScanError::Gone);
    };
    _ = news.send(News::Opened(stream.etag.clone())).await;
    if stream.size <= SHORT {
        let chunks = collect(&mut stream).await?;
        return scan(chunks, job, blob, &stream.etag, news)
            .await
            .map_err(|_error| ScanError::Broken)?
            .ok_or(ScanError::Broken);
    }
    let deadline = tokio::time::Instant::from_std(job.deadline);
    let (send, receive) = mpsc::channel(CHUNKS);
    let scan = scan(receive, job, blob, &stream.etag, news);
    let fed = feed(&mut stream, &send, deadline).await;
    drop(send);
    let ended = scan.await.map_err(|_error| ScanError::Broken)?;
    fed?;
    ended.ok_or(ScanError::Broken)
}

/// Scans on a thread of its own.
fn scan(
    chunks: mpsc::Receiver<Chunk>,
    job: Job,
    blob: &str,
    etag: &ETag,
    news: &mpsc::Sender<News>,
) -> JoinHandle<Option<Ended>> {
    let (blob, etag, news) = (blob.to_owned(), etag.clone(), news.clone());
    tokio::task::spawn_blocking(move || scan_chunks(chunks, &job, (blob.as_str(), &etag), &news))
}

/// Reads a short blob whole.
async fn collect(stream: &mut BlobStream) -> Result<mpsc::Receiver<Chunk>, ScanError> {
    let mut chunks = Vec::new();
    while let Some(bytes) = stream.next().await.map_err(ScanError::Storage)? {
        chunks.push(Chunk::Bytes(bytes));
    }
    chunks.push(Chunk::End);
    let (send, receive) = mpsc::channel(chunks.len());
    for chunk in chunks {
        // There is room for each of them.
        _ = send.try_send(chunk);
    }
    Ok(receive)
}

/// Gives a blob's bytes to its scan, until they or the time are at an end.
async fn feed(
    stream: &mut BlobStream,
    scan: &mpsc::Sender<Chunk>,
    deadline: tokio::time::Instant,
) -> Result<(), ScanError> {
    let mut read = 0;
    loop {
        let next = if read < MIN_READ {
            stream.next().await
        } else {
            match tokio::time::timeout_at(deadline, stream.next()).await {
                Ok(next) => next,
                Err(_elapsed) => {
                    _ = scan.send(Chunk::OutOfTime).await;
                    return Ok(());
                }
            }
        };
        let chunk = match next.map_err(ScanError::Storage)? {
            Some(bytes) => {
                read += bytes.len() as u64;
                Chunk::Bytes(bytes)
            }
            None => Chunk::End,
        };
        let is_end = matches!(chunk, Chunk::End);
        // It stopped by itself when it takes no more.
        if scan.send(chunk).await.is_err() || is_end {
            return Ok(());
        }
    }
}
