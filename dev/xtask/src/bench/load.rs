//! A small HTTP/1.1 client that measures: as little work of its own as can be, since it shares the machine's cores
//! with what it measures.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Latencies of one run.
#[derive(Debug, Clone)]
pub(super) struct Latencies {
    sorted: Vec<Duration>,
    /// Answers a second, over all connections.
    pub(super) a_second: f64,
}

impl Latencies {
    /// The latency that this share of all stays under, in microseconds.
    pub(super) fn micros(&self, share: f64) -> f64 {
        let last = self.sorted.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.sorted.get(at).map_or(0.0, |it| it.as_secs_f64() * 1e6)
    }
}

/// A request's bytes.
pub(super) fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends a request on this many connections at once, each time as soon as the answer before is there.
///
/// # Errors
/// When a connection breaks, or an answer has another status.
pub(super) async fn run(
    port: u16,
    request: Vec<u8>,
    status: u16,
    connections: usize,
    (warm_up, time): (Duration, Duration),
) -> anyhow::Result<Latencies> {
    // A thread of its own with a runtime of its own: fewer wake-ups between threads than with the shared one.
    let measured = tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()?;
        runtime.block_on(async {
            let start = Instant::now() + warm_up;
            let end = start + time;
            let one = |_| connection(port, &request, status, start, end);
            let all = futures::future::try_join_all((0..connections).map(one)).await?;
            anyhow::Ok(all.concat())
        })
    });
    let mut sorted = measured.await??;
    sorted.sort_unstable();
    let a_second = sorted.len() as f64 / time.as_secs_f64();
    Ok(Latencies { sorted, a_second })
}

async fn connection(
    port: u16,
    request: &[u8],
    status: u16,
    start: Instant,
    end: Instant,
) -> anyhow::Result<Vec<Duration>> {
    let mut stream = connect(port).await?;
    let mut buffer = vec![0; MAX_ANSWER];
    let mut latencies = Vec::new();
    loop {
        let begin = Instant::now();
        if begin >= end {
            return Ok(latencies);
        }
        let found = exchange(&mut stream, request, &mut buffer).await?;
        if found != status {
            bail!("an answer has status {found} instead of {status}");
        }
        if begin >= start {
            latencies.push(begin.elapsed());
        }
    }
}

/// Opens a connection.
///
/// # Errors
/// When nobody listens.
pub(super) async fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request and reads the whole answer; gives its status.
///
/// # Errors
/// When the connection ends, or the answer is none of HTTP with a length.
pub(super) async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    buffer: &mut [u8],
) -> anyhow::Result<u16> {
    stream.write_all(request).await?;
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..]).await?;
        anyhow::ensure!(
            read > 0,
            "the connection ended before the answer, or the answer is too long"
        );
        filled += read;
        if let Some((status, length)) = head(&buffer[..filled])?
            && filled >= length
        {
            return Ok(status);
        }
    }
}

/// The status, and the length of head and body together, once the head is whole.
fn head(answer: &[u8]) -> anyhow::Result<Option<(u16, usize)>> {
    let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&answer[..end]).context("the answer's head is no text")?;
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status
        .and_then(|it| it.parse().ok())
        .context("the answer has no status")?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .context("the answer has no length")?;
    Ok(Some((status, end + 4 + length)))
}

#[cfg(test)]
mod tests {
    use super::head;

    #[test]
    fn heads() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\n", Some(None)),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
                Some(Some((200, 40))),
            ),
            (
                "HTTP/1.1 500 X\r\ncontent-length:0\r\n\r\n",
                Some(Some((500, 36))),
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", None),
            ("\r\n\r\n", None),
        ] {
            assert_eq!(head(answer.as_bytes()).ok(), expected, "{answer:?}");
        }
    }
}
