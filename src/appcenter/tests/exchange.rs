//! A server that plays answers from a script and keeps what it was asked.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::appcenter::retry::Policy;
use crate::appcenter::{Budget, Client, Exhausted, Leave, Options};
use crate::clock::SystemClock;
use crate::domain::{AppRef, ErrorId, GroupId};

/// What the server does with one call.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// A whole answer.
    Reply {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: Vec<u8>,
    },
    /// An answer that ends before its announced length.
    CutOff { body: &'static str },
    /// The connection is closed instead of an answer.
    Reset,
    /// Nothing comes.
    Stall,
}

impl Answer {
    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Self::Reply { headers, .. } = &mut self {
            headers.retain(|(given, _value)| *given != name);
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// A JSON answer.
pub(super) fn json(status: u16, body: &str) -> Answer {
    Answer::Reply {
        status,
        headers: vec![("content-type", "application/json; charset=utf-8".to_owned())],
        body: body.as_bytes().to_vec(),
    }
}

/// An answer without a body.
pub(super) fn status(status: u16) -> Answer {
    Answer::Reply {
        status,
        headers: Vec::new(),
        body: Vec::new(),
    }
}

/// What the server was asked.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// `GET /v0.1/user`
    pub(super) line: String,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: String,
}

pub(super) struct Exchange {
    pub(super) port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
    pub(super) budget: Arc<TestBudget>,
    server: JoinHandle<()>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Exchange {
    /// Plays the answers in their order; a call too many is answered with 418.
    pub(super) async fn start(script: impl IntoIterator<Item = Answer>) -> Self {
        let script: Arc<Mutex<VecDeque<Answer>>> =
            Arc::new(Mutex::new(script.into_iter().collect()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let server = tokio::spawn(async move {
            while let Ok((stream, _peer)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&script)));
            }
        });
        Self {
            port,
            asked,
            budget: Arc::new(TestBudget::default()),
            server,
        }
    }

    pub(super) fn options(&self) -> Options {
        let base = format!("http://127.0.0.1:{}", self.port);
        let mut options = Options::new(
            base.parse().expect("a URL"),
            "canary-token".into(),
            Arc::clone(&self.budget) as Arc<dyn Budget>,
            Arc::new(SystemClock),
        );
        options.download_hosts = vec!["127.0.0.1".to_owned()];
        options.limits.retry = Policy {
            backoff: Duration::from_millis(5),
            poll_wait: Duration::from_millis(5),
            total: Duration::from_secs(3),
            ..Policy::default()
        };
        options.limits.read_timeout = Duration::from_millis(300);
        options
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.options()).expect("options are right")
    }

    pub(super) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<VecDeque<Answer>>>,
) {
    let Some(asked) = read(&mut stream).await else {
        return;
    };
    seen.lock().expect("no panic").push(asked);
    let answer = script.lock().expect("no panic").pop_front();
    let bytes = match answer.unwrap_or_else(|| status(418)) {
        Answer::Reset => return,
        Answer::Stall => {
            tokio::time::sleep(Duration::from_secs(5)).await;
            return;
        }
        Answer::CutOff { body } => {
            let length = body.len() + 10;
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
        }
        Answer::Reply {
            status,
            headers,
            body,
        } => {
            let mut head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\n");
            for (name, value) in headers {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
            [head.into_bytes(), body].concat()
        }
    };
    let _sent = stream.write_all(&bytes).await;
    let _closed = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).ok()?;
    let mut lines = head.lines();
    let line = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    while bytes.len() < head_end + 4 + length {
        stream.read_buf(&mut bytes).await.ok()?;
    }
    let body = String::from_utf8_lossy(&bytes[head_end + 4..]).into_owned();
    Some(Asked {
        line,
        headers,
        body,
    })
}

/// Counts, and runs out when told to.
#[derive(Debug, Default)]
pub(super) struct TestBudget {
    pub(super) taken: AtomicUsize,
    pub(super) most: Mutex<Option<usize>>,
    /// Which of the calls were said to be answered.
    pub(super) answered: Mutex<Vec<i64>>,
    pub(super) held: Mutex<Vec<Timestamp>>,
}

impl TestBudget {
    pub(super) fn until() -> Timestamp {
        "2026-11-21T09:00:00Z".parse().expect("a time")
    }
}

#[async_trait]
impl Budget for TestBudget {
    async fn acquire(&self) -> Result<Leave, Exhausted> {
        let most = *self.most.lock().expect("no panic");
        if most.is_some_and(|most| self.taken.load(Ordering::Relaxed) >= most) {
            return Err(Exhausted {
                until: Self::until(),
            });
        }
        let second = self.taken.fetch_add(1, Ordering::Relaxed);
        Ok(Leave {
            second: i64::try_from(second).expect("few"),
        })
    }

    fn answered(&self, leave: Leave) {
        self.answered.lock().expect("no panic").push(leave.second);
    }

    async fn hold_until(&self, until: Timestamp) {
        self.held.lock().expect("no panic").push(until);
    }
}

pub(super) fn app() -> AppRef {
    AppRef::new("contoso", "shop-android").expect("an app")
}

pub(super) fn group() -> GroupId {
    "4107427461u".parse().expect("a group")
}

pub(super) fn error_id() -> ErrorId {
    "2518291138564839999-00000000-0000-0000-0000-000000000000"
        .parse()
        .expect("an error ID")
}
