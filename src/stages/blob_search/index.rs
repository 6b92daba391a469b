//! The keyed index of a day: which of its blobs need not be read again, for whom.
//!
//! It is made by the pass that reads them, of a day that is finished, and only where `INDEX_KEY` is set: a key that lies
//! beside what it protects would protect nothing. It spares reads and decides nothing else: what cannot be read or written
//! of it is as good as none.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use secrecy::ExposeSecret as _;
use sha2::Sha256;
use tokio::sync::SemaphorePermit;

use super::days::{AppDays, Order};
use super::scan::{Ended, OwnReports};
use crate::app::App;
use crate::domain::AppRef;
use crate::search::Identifiers;
use crate::search::index::{BlobTokens, HEAD, Index, Key, Query, first_part, write};
use crate::stages::Context;
use crate::storage::{ETag, Entry};
use crate::work::{Error, names};

/// Days after which one is finished: exports write late.
const FINISHED_AFTER: i64 = 2;
/// Longest index of a day, in bytes; blobs beyond it are read each time.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// Longest blob that gets into one, in bytes; a longer one is read each time.
const MAX_BLOB: u64 = 64 * 1024 * 1024;
/// How long a pass waits until others of this process are done with their indexes; then it goes without.
const PATIENCE: Duration = Duration::from_secs(120);
const WHAT: &str = "an index";
const CONTENT_TYPE: &str = "application/octet-stream";

/// What an index says of a blob.
#[derive(Default)]
pub(super) struct Known {
    /// It does not know this version: the key by which it gets to know it.
    pub(super) wanted: Option<Key>,
    /// It holds nobody: what a search of it comes to.
    pub(super) passed_over: Option<Ended>,
}

/// The index of a day, as a pass uses it.
pub(super) struct DayIndex<'a> {
    key: Key,
    name: String,
    /// What it says, if there is one.
    index: Index,
    query: Query,
    /// What it is to say of blobs that were read.
    pub(super) gathered: Vec<BlobTokens>,
    /// Blobs that the day has.
    listed: HashSet<u64>,
    /// An index is long: only some are in memory at a time.
    _permit: SemaphorePermit<'a>,
}

impl<'a> DayIndex<'a> {
    /// The index of a day, if it has one or gets one.
    pub(super) async fn of(
        cx: Context<'a>,
        app: &AppRef,
        day: Date,
        people: &[Identifiers],
    ) -> Option<Self> {
        let key = key(cx.app)?;
        let today = cx.now().to_zoned(TimeZone::UTC).date();
        if day > today.saturating_sub(FINISHED_AFTER.days()) {
            return None;
        }
        let permit = tokio::time::timeout(PATIENCE, cx.app.indexes.acquire()).await;
        let permit = permit.ok()?.ok()?;
        let query = Query::new(&key, people);
        let name = names::index(app, day);
        let index = match load(cx, &key, &name, query.is_of_uuids()).await {
            Ok(index) => index.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%app, %day, "a day is searched without its index: {error}");
                return None;
            }
        };
        Some(Self {
            index,
            query,
            gathered: Vec::new(),
            listed: HashSet::new(),
            _permit: permit,
            key,
            name,
        })
    }

    /// Asks for other people from now on. What was read of the index may not be enough for them.
    pub(super) async fn ask_for(&mut self, cx: Context<'_>, people: &[Identifiers]) {
        self.query = Query::new(&self.key, people);
        if !self.query.is_of_uuids() {
            let whole = load(cx, &self.key, &self.name, false).await;
            self.index = whole.ok().flatten().unwrap_or_default();
        }
    }

    /// Takes down a blob that the day has. Returns how the index knows it; what was fetched by API goes soon, and is in none.
    pub(super) fn list(&mut self, entry: &Entry, order: Order) -> Option<u64> {
        if order == Order::Collected {
            return None;
        }
        let blob = self.key.blob(&entry.name, entry.etag.as_str());
        self.listed.insert(blob);
        Some(blob)
    }

    /// What it says of a blob of so many bytes.
    pub(super) fn look_up(&self, blob: u64, size: u64) -> Known {
        if !self.index.knows(blob) {
            let is_short = size <= MAX_BLOB;
            return Known {
                wanted: is_short.then(|| self.key.clone()),
                passed_over: None,
            };
        }
        let known = self.index.passes_over(blob, &self.query);
        Known {
            wanted: None,
            passed_over: known.map(|known| Ended {
                is_whole: true,
                own: OwnReports {
                    named: known.notes[0],
                    rows: known.notes[1],
                },
                records: known.records,
                bytes: 0,
                not_searched: Vec::new(),
                tokens: None,
            }),
        }
    }

    /// Stores what is new; `is_all` when the whole day was listed, so that what it has no more is left out.
    pub(super) async fn store(mut self, cx: Context<'_>, is_all: bool) {
        if self.gathered.is_empty() {
            return;
        }
        if let Err(error) = self.merge(cx, is_all).await {
            // The next search makes it.
            tracing::warn!(name = self.name, "an index was not stored: {error}");
        }
    }

    async fn merge(&mut self, cx: Context<'_>, is_all: bool) -> Result<(), Error> {
        let read = cx.app.store.container().read(&self.name, MAX_BYTES).await?;
        let (known, etag) = read.map_or((None, None), |read| {
            (Index::read(&self.key, &read.bytes), Some(read.etag))
        });
        let mut blobs = known.map(Index::into_blobs).unwrap_or_default();
        if is_all {
            let listed = &self.listed;
            blobs.retain(|it| listed.contains(&it.blob()));
        }
        blobs.append(&mut self.gathered);
        let mut room = MAX_BYTES;
        blobs.retain(|it| match room.checked_sub(it.length()) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        });
        let bytes = write(&self.key, &blobs);
        replace(cx, &self.name, bytes, etag.as_ref()).await
    }
}

/// Writes unless another pass did: that one's is as good.
async fn replace(
    cx: Context<'_>,
    name: &str,
    bytes: Vec<u8>,
    etag: Option<&ETag>,
) -> Result<(), Error> {
    let store = &cx.app.store;
    match etag {
        Some(etag) => store.replace(name, WHAT, bytes, CONTENT_TYPE, etag).await,
        None => store.create(name, WHAT, bytes, CONTENT_TYPE).await,
    }
}

/// The key of indexes: not that of fingerprints, though both come of one setting.
fn key(app: &App) -> Option<Key> {
    let secret = app.config.index_key.as_ref()?.expose_secret();
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    let derived = mac.chain_update(b"appcenter-dsr index").finalize();
    Some(Key::new(&derived.into_bytes()))
}

/// Reads an index, or of one for UUIDs only the part that is enough for them.
async fn load(
    cx: Context<'_>,
    key: &Key,
    name: &str,
    is_of_uuids: bool,
) -> Result<Option<Index>, Error> {
    let container = cx.app.store.container();
    if !is_of_uuids {
        let read = container.read(name, MAX_BYTES).await?;
        return Ok(read.and_then(|read| Index::read(key, &read.bytes)));
    }
    let Some(head) = container.read_range(name, 0, HEAD as u64).await? else {
        return Ok(None);
    };
    let Some(end) = first_part(key, &head).filter(|end| *end <= MAX_BYTES as u64) else {
        return Ok(None);
    };
    // An index that was written anew meanwhile does not fit its old head, and is as good as none.
    let first = container.read_range(name, 0, end).await?;
    Ok(first.and_then(|first| Index::read(key, &first)))
}

/// Deletes the indexes of days that have no data any more.
pub(super) async fn prune(cx: Context<'_>, days: &AppDays) -> Result<(), Error> {
    let Some(app) = &days.app else { return Ok(()) };
    let with_data: BTreeSet<Date> = days.days().collect();
    let prefix = names::index_prefix(app);
    let mut listing = cx.app.store.container().list(&prefix);
    while let Some(page) = listing.next_page().await? {
        for entry in page {
            let day = entry.name.strip_prefix(&prefix);
            let day: Option<Date> = day.and_then(|day| day.parse().ok());
            if day.is_some_and(|day| !with_data.contains(&day)) {
                cx.app.store.delete(&entry.name, WHAT).await?;
            }
        }
    }
    Ok(())
}
