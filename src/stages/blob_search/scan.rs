//! One blob through the engine, off the async threads: chunks in, hits of each request out.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use memchr::memmem;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::needles::Needles;
use crate::app::App;
use crate::domain::ErrorId;
use crate::domain::hit::{Hit, Stream};
use crate::search::facts::{Facts, ids_in_name};
use crate::search::{Match, Options, Searcher, Sink, Summary};
use crate::storage;

/// Chunks that wait between the download and the scan.
const CHUNKS: usize = 4;
/// Longest record whose text is kept with its hit, in bytes; a longer one is read from the archive again.
const MAX_TEXT: usize = 256 * 1024;

/// Text that is kept of one blob, in bytes; what is found beyond it is read from the archive again.
const MAX_KEPT: usize = 8 * 1024 * 1024;

/// One request as a pass serves it.
#[derive(Debug)]
pub(super) struct Customer {
    /// What it looks for.
    pub(super) needles: Needles,
    /// Whether it needs the records' text.
    pub(super) keeps_text: bool,
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
pub(super) struct Scanned {
    /// Reports of the app that was asked for.
    pub(super) own: OwnReports,
    /// Hits, with the customer they are of and the app that the record names.
    pub(super) hits: Vec<(usize, Option<String>, Hit)>,
    /// What the engine says of the blob.
    pub(super) summary: Summary,
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

/// Scans a blob for all customers; in a folder that apps may share, `count` is the app whose reports are counted.
pub(super) async fn scan(
    app: &App,
    searcher: &Arc<Searcher>,
    customers: &Arc<Vec<Customer>>,
    blob: &str,
    count: Option<Uuid>,
) -> Result<Scanned, ScanError> {
    let stream = app
        .holder(blob)
        .stream(blob)
        .await
        .map_err(ScanError::Storage)?;
    let Some(mut stream) = stream else {
        return Err(ScanError::Gone);
    };
    let (send, receive) = mpsc::channel(CHUNKS);
    let scan = {
        let (searcher, customers) = (Arc::clone(searcher), Arc::clone(customers));
        let blob = blob.to_owned();
        tokio::task::spawn_blocking(move || {
            scan_chunks(receive, &searcher, &customers, &blob, count)
        })
    };
    let read = async {
        while let Some(chunk) = stream.next().await? {
            if send.send(chunk).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let read: Result<(), storage::Error> = read.await;
    drop(send);
    let scanned = scan.await.map_err(|_error| ScanError::Broken)?;
    read.map_err(ScanError::Storage)?;
    Ok(scanned)
}

fn scan_chunks(
    mut chunks: mpsc::Receiver<Bytes>,
    searcher: &Searcher,
    customers: &[Customer],
    blob: &str,
    count: Option<Uuid>,
) -> Scanned {
    let mut scan = searcher.scan(Options {
        path: Some(blob),
        ..Options::default()
    });
    let mut collect = Collect {
        customers,
        blob,
        hits: Vec::new(),
        kept: 0,
        count,
        own: OwnReports::default(),
        rows: HashSet::new(),
    };
    while let Some(chunk) = chunks.blocking_recv() {
        if scan.push(&chunk, &mut collect).is_break() {
            break;
        }
    }
    let summary = scan.finish(&mut collect);
    collect.own.rows += u64::try_from(collect.rows.len()).unwrap_or(u64::MAX);
    Scanned {
        own: collect.own,
        hits: collect.hits,
        summary,
    }
}

/// Turns the engine's matches into hits.
struct Collect<'a> {
    customers: &'a [Customer],
    blob: &'a str,
    hits: Vec<(usize, Option<String>, Hit)>,
    kept: usize,
    count: Option<Uuid>,
    own: OwnReports,
    /// Rows of the app's reports by their message's ID: a re-created export writes them again.
    rows: HashSet<Uuid>,
}

impl Sink for Collect<'_> {
    fn seen(&mut self, record: &[u8]) {
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
                    Some(id) => drop(self.rows.insert(id)),
                    None => self.own.rows += 1,
                }
            }
            Stream::Logs | Stream::Attachments | Stream::Other => {}
        }
    }

    fn matched(&mut self, found: &Match<'_>) -> ControlFlow<()> {
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
            self.hits.push((n, app_id, hit));
        }
        ControlFlow::Continue(())
    }
}
