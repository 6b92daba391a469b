//! A way to the storage emulator that counts the calls which pass, and when.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use super::now;

/// A header that every call to Azure Storage has exactly once, and no body of ours.
const MARK: &[u8] = b"\r\nx-ms-version:";

/// Passes connections on to one address, byte by byte; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Counting {
    address: String,
    calls: Arc<Mutex<Vec<Timestamp>>>,
    listening: AbortHandle,
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl Counting {
    /// Listens on a free port of the loopback address.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(super) async fn start(target: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?.to_string();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (counted, target) = (Arc::clone(&calls), target.to_owned());
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (counted, target) = (Arc::clone(&counted), target.clone());
                // A connection that breaks is its client's to notice.
                tokio::spawn(async move { pass(client, &target, &counted).await.ok() });
            }
        });
        Ok(Self {
            address,
            calls,
            listening: task.abort_handle(),
        })
    }

    /// An endpoint's address, with ours in the place of the target's.
    pub(super) fn instead_of(&self, endpoint: &str) -> anyhow::Result<String> {
        let rest = endpoint
            .strip_prefix("http://")
            .context("the emulator is http")?;
        let (_, path) = rest
            .split_once('/')
            .context("the emulator's endpoints have a path")?;
        Ok(format!("http://{}/{path}", self.address))
    }

    /// How many calls began in this span.
    pub(super) fn between(&self, from: Timestamp, to: Timestamp) -> usize {
        let calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.iter().filter(|at| (from..to).contains(*at)).count()
    }
}

async fn pass(
    client: TcpStream,
    target: &str,
    counted: &Mutex<Vec<Timestamp>>,
) -> std::io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut marks = Marks::default();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            let found = marks.push(&buffer[..read]);
            if found > 0 {
                let mut counted = counted.lock().unwrap_or_else(PoisonError::into_inner);
                counted.extend(std::iter::repeat_n(now(), found));
            }
            to_server.write_all(&buffer[..read]).await?;
        }
    };
    let down = async {
        tokio::io::copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(up, down)?;
    Ok(())
}

/// Finds [`MARK`] in a stream of parts.
#[derive(Debug, Default)]
struct Marks {
    /// The end of what was seen: too short to hold a mark.
    end: Vec<u8>,
}

impl Marks {
    fn push(&mut self, part: &[u8]) -> usize {
        self.end.extend_from_slice(&part.to_ascii_lowercase());
        let windows = self.end.windows(MARK.len());
        let found = windows.filter(|window| *window == MARK).count();
        let keep = self.end.len().min(MARK.len() - 1);
        self.end.drain(..self.end.len() - keep);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::Marks;

    #[test]
    fn calls_are_found_across_parts() {
        let call = b"GET /a HTTP/1.1\r\nx-ms-version: 2025-01-05\r\nhost: a\r\n\r\n";
        let other = b"PUT /a HTTP/1.1\r\nX-Ms-Version:2025-01-05\r\n\r\n{\"x-ms-version:\":1}";
        let stream = [call.as_slice(), other, call].concat();
        for size in [1, 7, 14, 15, 64, 1024] {
            let mut marks = Marks::default();
            let found: usize = stream.chunks(size).map(|part| marks.push(part)).sum();
            assert_eq!(found, 3, "{size}");
        }
    }
}
