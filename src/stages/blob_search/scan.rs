//! One blob through the engine, off the async threads: chunks in, hits of each request out, in batches.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use memchr::memmem;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::needles::Needles;
use crate::domain::ErrorId;
use crate::domain::hit::{Hit, Stream};
use crate::search::facts::{Facts, ids_in_name};
use crate::search::index::{BlobTokens, Key};
use crate::search::{Match, NotSearched, Options, Searcher, Sink};
use crate::storage::{self, ETag};

/// Longest record whose text is kept with its hit, in bytes; a longer one is read from the archive again.
const MAX_TEXT: usize = 256 * 1024;
/// Text that is kept of one blob, in bytes; what is found beyond it is read from the archive again.
const MAX_KEPT: usize = 8 * 1024 * 1024;
/// What a batch of hits holds, in bytes of JSON; the hit that goes beyond it is its last.
const MAX_BATCH: usize = 64 * 1024;
/// Rows of reports of one blob that are told apart; each further row counts.
const MAX_ROWS: usize = 100_000;
/// Bytes between two looks at the clock.
const STRIDE: usize = 64 * 1024;
/// Bytes of a blob that are read whatever the clock says: a blob up to this length is never cut.
pub(super) const MIN_READ: u64 = 8 * 1024 * 1024;

/// One request as a pass serves it.
#[derive(Debug)]
pub(super) struct Customer {
    /// What it looks for.
    pub(super) needles: Needles,
    /// Whether it needs the records' text.
    pub(super) keeps_text: bool,
}

/// What a pass looks for in each of its blobs, and until when.
#[derive(Debug, Clone)]
pub(super) struct Job {
    /// The identifiers of all requests.
    pub(super) searcher: Arc<Searcher>,
    /// The requests, by the number that the searcher knows them by.
    pub(super) customers: Arc<[Arc<Customer>]>,
    /// In a folder that apps may share: the app whose reports are counted.
    pub(super) count: Option<Uuid>,
    /// When the pass must have saved itself.
    pub(super) deadline: Instant,
    /// Where the day gets an index: its key. Every record is looked at closely then.
    pub(super) tokens: Option<Key>,
}

/// What is read of a blob, on its way to the scan.
pub(super) enum Chunk {
    /// The next bytes.
    Bytes(Bytes),
    /// There are no more.
    End,
    /// There is no time for more.
    OutOfTime,
}

/// What a scan tells while it goes on.
pub(super) enum News {
    /// The blob is there; its version.
    Opened(ETag),
    /// Hits, in the order of their records.
    Found(Vec<Found>),
    /// It is over.
    Ended(Result<Ended, ScanError>),
}

/// A hit of one request.
pub(super) struct Found {
    /// The request, by its number.
    pub(super) customer: usize,
    /// The record's index.
    pub(super) record: u64,
    /// The app that the record names.
    pub(super) app_id: Option<String>,
    /// The hit as it is stored: a line of JSON.
    pub(super) line: Vec<u8>,
}

/// Reports of one app in a blob that other apps may share.
#[derive(Debug, Default)]
pub(super) struct OwnReports {
    /// That say so themselves.
    pub(super) named: u64,
    /// Of which a log row says so.
    pub(super) rows: u64,
}

/// What the scan of one blob came to.
#[derive(Debug)]
pub(super) struct Ended {
    /// Whether that is all of it; else time was over, and what follows the last whole record was not searched.
    pub(super) is_whole: bool,
    /// Reports of the app that was asked for.
    pub(super) own: OwnReports,
    /// Records searched.
    pub(super) records: u64,
    /// Bytes read.
    pub(super) bytes: u64,
    /// What of these records was not searched.
    pub(super) not_searched: Vec<NotSearched>,
    /// What an index says of the blob, if one is made and it was read whole.
    pub(super) tokens: Option<BlobTokens>,
}

/// Why a blob was not read whole.
#[derive(Debug)]
pub(super) enum ScanError {
    /// It was deleted meanwhile.
    Gone,
    /// The storage failed.
    Storage(storage::Error),
    /// The scan itself ended early, which it never should.
    Broken,
}

/// Scans the chunks of a blob and sends what is found. `None` when nobody sends or listens any more.
pub(super) fn scan_chunks(
    mut chunks: mpsc::Receiver<Chunk>,
    job: &Job,
    (blob, etag): (&str, &ETag),
    news: &mpsc::Sender<News>,
) -> Option<Ended> {
    let options = Options {
        path: Some(blob),
        ..Options::default()
    };
    let mut scan = job.searcher.scan(options);
    let mut known_by = 0;
    if let Some(key) = &job.tokens {
        known_by = key.blob(blob, etag.as_str());
        scan = scan.with_tokens(key);
    }
    let mut collect = Collect {
        customers: &job.customers,
        blob,
        news,
        batch: Vec::new(),
        weight: 0,
        kept: 0,
        count: job.count,
        own: OwnReports::default(),
        rows: HashSet::new(),
        seen: 0,
        is_open: false,
        is_cut: false,
    };
    let mut bytes = 0;
    let is_whole = 'read: loop {
        match chunks.blocking_recv()? {
            Chunk::End => break true,
            Chunk::OutOfTime => break false,
            Chunk::Bytes(chunk) => {
                for part in chunk.chunks(STRIDE) {
                    if bytes >= MIN_READ && Instant::now() >= job.deadline {
                        break 'read false;
                    }
                    if scan.push(part, &mut collect).is_break() {
                        return None;
                    }
                    bytes += part.len() as u64;
                }
            }
        }
    };
    // The record that is open was cut by the clock: what its beginning looks like is nothing to count on.
    collect.is_cut = !is_whole;
    let whole = collect.seen - u64::from(collect.is_open);
    let (summary, tokens) = scan.finish_with_tokens(known_by, &mut collect);
    if collect.flush().is_break() {
        return None;
    }
    let records = if is_whole { summary.records } else { whole };
    let mut not_searched = summary.not_searched;
    if !is_whole {
        not_searched.retain(|it| it.record < records);
    }
    let mut own = collect.own;
    own.rows += u64::try_from(collect.rows.len()).unwrap_or(u64::MAX);
    let tokens = tokens.filter(|_| is_whole);
    Some(Ended {
        is_whole,
        tokens: tokens.map(|it| it.with_notes([own.named, own.rows])),
        own,
        records,
        bytes,
        not_searched,
    })
}

/// A hit as it is stored: whether its record names the app, and the rest.
#[derive(serde::Serialize)]
struct Stored<'a> {
    app: bool,
    #[serde(flatten)]
    hit: &'a Hit,
}

/// Turns the engine's matches into hits.
struct Collect<'a> {
    customers: &'a [Arc<Customer>],
    blob: &'a str,
    news: &'a mpsc::Sender<News>,
    /// Hits that are not sent yet.
    batch: Vec<Found>,
    /// Their length.
    weight: usize,
    kept: usize,
    count: Option<Uuid>,
    own: OwnReports,
    /// Rows of the app's reports by their message's ID: a re-created export writes them again.
    rows: HashSet<Uuid>,
    /// Records whose beginning was seen.
    seen: u64,
    /// Whether the last of them may go on: it is searched in windows.
    is_open: bool,
    /// Whether what comes is no whole record any more.
    is_cut: bool,
}

impl Collect<'_> {
    /// Sends what was found, and waits while those who take it are behind.
    fn flush(&mut self) -> ControlFlow<()> {
        if self.batch.is_empty() {
            return ControlFlow::Continue(());
        }
        self.weight = 0;
        let batch = std::mem::take(&mut self.batch);
        match self.news.blocking_send(News::Found(batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_closed) => ControlFlow::Break(()),
        }
    }
}

impl Sink for Collect<'_> {
    fn seen(&mut self, record: &[u8]) {
        if self.is_cut {
            return;
        }
        self.seen += 1;
        self.is_open = record.len() >= Options::default().max_record;
        let Some(app) = self.count else { return };
        match Stream::of(self.blob) {
            Stream::Crashes | Stream::Errors => {
                let is_own = Facts::of_record(record).app_id == Some(app);
                self.own.named += u64::from(is_own);
            }
            Stream::Logs if memmem::find(record, b"ErrorLog").is_some() => {
                let facts = Facts::of_record(record);
                let message_type = facts.message_type.as_deref();
                let is_report = matches!(message_type, Some("ErrorLog" | "HandledErrorLog"));
                if !is_report || facts.app_id != Some(app) {
                    return;
                }
                match facts.message_id {
                    Some(id) if self.rows.len() < MAX_ROWS => drop(self.rows.insert(id)),
                    Some(id) => self.own.rows += u64::from(!self.rows.contains(&id)),
                    None => self.own.rows += 1,
                }
            }
            Stream::Logs | Stream::Attachments | Stream::Other => {}
        }
    }

    fn matched(&mut self, found: &Match<'_>) -> ControlFlow<()> {
        if self.is_cut {
            return ControlFlow::Continue(());
        }
        let named = ids_in_name(self.blob);
        // What an attachment says is somebody's text: whose it is, only its name tells.
        let facts = match Stream::of(self.blob) {
            Stream::Attachments => Facts::default(),
            _ => Facts::of_record(found.bytes),
        };
        let guid = |id: &Option<ErrorId>| id.as_ref().and_then(ErrorId::guid);
        let disagrees = matches!(
            (guid(&facts.error_id), guid(&named.error_id)),
            (Some(said), Some(named)) if said != named
        );
        for (n, customer) in self.customers.iter().enumerate() {
            let mine = || found.hits.iter().filter(|hit| hit.subject == n);
            if mine().next().is_none() {
                continue;
            }
            let mut reasons: Vec<_> = mine().map(Needles::reason).collect();
            reasons.sort_unstable();
            reasons.dedup();
            let mut holds: Vec<_> = mine()
                .filter_map(|hit| customer.needles.install(hit))
                .collect();
            holds.sort_unstable();
            holds.dedup();
            let mut links: Vec<_> = mine()
                .filter_map(|hit| customer.needles.link(hit).cloned())
                .collect();
            links.sort_unstable();
            links.dedup();
            let text = (customer.keeps_text
                && found.bytes.len() <= MAX_TEXT
                && self.kept <= MAX_KEPT
                && !found.oversized)
                .then(|| std::str::from_utf8(found.bytes).ok().map(str::to_owned))
                .flatten();
            self.kept += text.as_ref().map_or(0, String::len);
            let hit = Hit {
                blob: self.blob.to_owned(),
                record: found.record,
                offset: found.offset,
                length: found.length,
                decoded: found.decoded,
                oversized: found.oversized,
                disagrees,
                reasons,
                holds,
                links,
                install: facts.install_id,
                install_from: facts.install_from,
                users: facts.user_ids.clone(),
                model: facts.model.clone(),
                at: facts.timestamp,
                message_type: facts.message_type.clone(),
                message_id: facts.message_id.map(|id| id.to_string()),
                error_id: facts.error_id.clone().or_else(|| named.error_id.clone()),
                group_id: facts.group_id.clone(),
                legacy: facts.legacy.clone(),
                payload: facts.payload_blob.clone(),
                text,
            };
            let app_id = facts.app_id.or(named.app_id).map(|id| id.to_string());
            let stored = Stored {
                app: app_id.is_some(),
                hit: &hit,
            };
            let Ok(mut line) = serde_json::to_vec(&stored) else {
                return ControlFlow::Break(());
            };
            line.push(b'\n');
            self.weight += line.len();
            self.batch.push(Found {
                customer: n,
                record: found.record,
                app_id,
                line,
            });
            if self.weight >= MAX_BATCH {
                self.flush()?;
            }
        }
        ControlFlow::Continue(())
    }
}
