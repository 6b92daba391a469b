//! The receiver.

use std::io::Read as _;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::routing::post;
use flate2::read::GzDecoder;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::otlp::{self, Log, Point, Span};
use crate::track;

/// Longest body, in bytes, before and after it is unpacked.
const MAX_BODY: usize = 64 * 1024 * 1024;

/// A running receiver; it ends when it is dropped.
#[derive(Debug)]
pub struct Sink {
    port: u16,
    received: Arc<Mutex<Received>>,
    serving: AbortHandle,
}

/// What was received so far.
#[derive(Debug, Clone, Default)]
pub struct Received {
    /// Spans, by OTLP.
    pub spans: Vec<Span>,
    /// Data points of metrics, by OTLP.
    pub points: Vec<Point>,
    /// Log records, by OTLP.
    pub logs: Vec<Log>,
    /// Rows of Application Insights' tables, with the table.
    pub rows: Vec<(&'static str, Map<String, Value>)>,
    /// Every body as it came, unpacked, with path and headers before it.
    pub bodies: Vec<Vec<u8>>,
    /// What could not be read, and why.
    pub faults: Vec<String>,
}

impl Sink {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn start() -> anyhow::Result<Self> {
        let received = Arc::new(Mutex::new(Received::default()));
        let router = Router::new()
            .route("/v1/traces", post(take))
            .route("/v1/metrics", post(take))
            .route("/v1/logs", post(take))
            .route("/v2/track", post(take))
            .with_state(Arc::clone(&received));
        Self::serve(router, received).await
    }

    /// One that takes everything, reads nothing and keeps nothing: for benches.
    ///
    /// # Errors
    /// When no port is to be had.
    pub async fn discarding() -> anyhow::Result<Self> {
        let router = Router::new().fallback(|_body: Bytes| async { StatusCode::OK });
        Self::serve(router, Arc::default()).await
    }

    async fn serve(router: Router, received: Arc<Mutex<Received>>) -> anyhow::Result<Self> {
        let router = router.layer(DefaultBodyLimit::max(MAX_BODY));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            port,
            received,
            serving: serving.abort_handle(),
        })
    }

    /// Its address: a collector's base address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A connection string of Application Insights that leads here.
    #[must_use]
    pub fn connection_string(&self) -> String {
        let key = "00000000-0000-0000-0000-000000000001";
        format!("InstrumentationKey={key};IngestionEndpoint={}/", self.url())
    }

    /// What was received so far.
    #[must_use]
    pub fn received(&self) -> Received {
        lock(&self.received).clone()
    }

    /// Waits until what was received is enough, and gives it.
    ///
    /// # Errors
    /// When it is not within the limit, or something could not be read.
    pub async fn wait(
        &self,
        limit: Duration,
        is_enough: impl Fn(&Received) -> bool,
    ) -> anyhow::Result<Received> {
        let end = Instant::now() + limit;
        loop {
            let received = self.received();
            if let Some(fault) = received.faults.first() {
                bail!("telemetry that cannot be read: {fault}");
            }
            if is_enough(&received) {
                return Ok(received);
            }
            if Instant::now() > end {
                bail!(
                    "too little telemetry: {} spans, {} points, {} logs, {} rows",
                    received.spans.len(),
                    received.points.len(),
                    received.logs.len(),
                    received.rows.len()
                );
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(received: &Mutex<Received>) -> MutexGuard<'_, Received> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn take(
    State(received): State<Arc<Mutex<Received>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    let mut received = lock(&received);
    match read(&mut received, uri.path(), &headers, &body) {
        Ok(()) => (StatusCode::OK, ""),
        Err(error) => {
            received.faults.push(format!("{}: {error:#}", uri.path()));
            (StatusCode::BAD_REQUEST, "")
        }
    }
}

fn read(
    received: &mut Received,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> anyhow::Result<()> {
    let encoding = headers.get(header::CONTENT_ENCODING);
    let body = match encoding.map(|it| it.as_bytes()) {
        None => body.to_vec(),
        Some(b"gzip") => {
            let mut unpacked = Vec::new();
            let limit = u64::try_from(MAX_BODY)?;
            GzDecoder::new(body)
                .take(limit)
                .read_to_end(&mut unpacked)?;
            unpacked
        }
        Some(_) => bail!("an encoding that is not expected"),
    };
    let mut whole = format!("{path}\n{headers:?}\n").into_bytes();
    whole.extend_from_slice(&body);
    received.bodies.push(whole);
    let kind = headers
        .get(header::CONTENT_TYPE)
        .context("no content type")?;
    let expected: &[u8] = match path {
        "/v2/track" => b"application/json",
        _ => b"application/x-protobuf",
    };
    anyhow::ensure!(kind.as_bytes() == expected, "a body of {kind:?}");
    match path {
        "/v1/traces" => received.spans.extend(otlp::spans(&body)?),
        "/v1/metrics" => received.points.extend(otlp::points(&body)?),
        "/v1/logs" => received.logs.extend(otlp::logs(&body)?),
        _ => received.rows.extend(track::rows(&body)?),
    }
    Ok(())
}
