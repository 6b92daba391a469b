//! One pass over one app and day, for every request that waits for it.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use jiff::civil::Date;
use rand::RngExt as _;
use serde::Deserialize as _;

use super::days::{Memo, sources};
use super::scan::{Customer, ScanError, Scanned, scan};
use super::{DayResult, marks, needles, observe};
use crate::domain::hit::{Hit, Stream};
use crate::domain::plan::Unreadable;
use crate::domain::{AppRef, Kind, RequestId};
use crate::search::Searcher;
use crate::stages::{Context, StageError, Wait, tries};
use crate::storage::{self, Entry};
use crate::work::{Error, Finished, Slice, SliceEnd, names};
use crate::workflow::join::{Root, SliceMark};
use crate::workflow::{Event, Record, Step};

/// The source of a day that several apps may share: the archive's folder without an app's ID.
const SHARED: usize = 1;
/// Blobs that are read at once.
const PARALLEL: usize = 8;
/// Hits that are kept in memory, in bytes of JSON, before they are written.
const MAX_PART: usize = 4 * 1024 * 1024;
/// Unreadable blobs that are named; more are counted in the last one's reason.
const MAX_NAMED: usize = 1000;
/// Tries of a day after which a blob that fails is named as unreadable and the rest goes on.
const PATIENCE: u32 = 4;

/// What a pass led to. It is filled as the pass goes, so that nothing is lost when it ends early.
#[derive(Debug, Default)]
pub struct DayPass {
    /// Requests whose search joined, with the event that moves them on.
    pub joined: Vec<(Record, Step, Event)>,
    /// The day is not done: continue in a new message.
    pub unfinished: bool,
}

/// A request that this pass serves.
pub(super) struct Seat {
    pub(super) record: Record,
    root: Arc<Root>,
    since: Option<Timestamp>,
    other_apps: Vec<String>,
    pub(super) slice: Slice,
    result: DayResult,
    pending: Vec<u8>,
}

/// Searches one app and day for every request that waits for it.
///
/// # Errors
/// When the archive cannot be read; what was found so far is stored, and `pass` tells what joined.
pub async fn search_day(
    cx: Context<'_>,
    app: &AppRef,
    day: Date,
    pass: &mut DayPass,
) -> Result<(), StageError> {
    let (mut seats, app_id) = seats(cx, app, day, pass).await?;
    let Some(app_id) = app_id else {
        return Ok(());
    };
    observe::seated(&seats);
    let customers = customers(cx, &seats).await?;
    let identifiers: Vec<_> = customers
        .iter()
        .map(|it| it.needles.identifiers())
        .collect();
    let searcher = Searcher::new(&identifiers)
        .map_err(|error| StageError::permanent(format!("nothing to search for: {error}")))?;
    let (searcher, customers) = (Arc::new(searcher), Arc::new(customers));
    let own_id = uuid::Uuid::try_parse(&app_id).ok();

    let is_patient = seats
        .iter()
        .flatten()
        .all(|seat| seat.slice.state.tries < PATIENCE);
    for (n, source) in sources(app, &app_id, day).into_iter().enumerate() {
        let mut listing = if source.is_collected {
            cx.app.store.container().list(&source.prefix)
        } else {
            cx.app.archive.list(&source.prefix)
        };
        loop {
            let page = listing.next_page().await;
            let Some(page) = page.map_err(|error| StageError::archive(&error))? else {
                break;
            };
            let wanted: Vec<&Entry> = page
                .iter()
                .filter(|entry| {
                    let mut seats = seats.iter().flatten();
                    seats.any(|seat| seat.wants(entry, n))
                })
                .collect();
            let scans = wanted.into_iter().map(|entry| {
                let (searcher, customers) = (Arc::clone(&searcher), Arc::clone(&customers));
                let count = own_id.filter(|_| n == SHARED);
                async move {
                    let scanned = scan(cx.app, &searcher, &customers, &entry.name, count).await;
                    (entry, scanned)
                }
            });
            let mut scans = futures::stream::iter(scans.collect::<Vec<_>>()).buffered(PARALLEL);
            while let Some((entry, scanned)) = scans.next().await {
                take(&mut seats, &app_id, n, entry, scanned, is_patient)?;
                let is_full = seats
                    .iter()
                    .flatten()
                    .any(|seat| seat.pending.len() > MAX_PART);
                if cx.is_out_of_time() {
                    store(cx, &mut seats, false).await?;
                    pass.unfinished = true;
                    return Ok(());
                }
                if is_full {
                    store(cx, &mut seats, false).await?;
                }
                if seats.iter().all(Option::is_none) {
                    // Other passes over this day were faster for everybody: they go on.
                    return Ok(());
                }
            }
        }
    }
    store(cx, &mut seats, true).await?;
    for seat in seats.into_iter().flatten() {
        finish(cx, seat, pass).await?;
    }
    Ok(())
}

/// The requests that wait for this app and day, and the app's ID. A seat is emptied once another pass over the same day
/// has stored the request's slice: that one goes on with it.
async fn seats(
    cx: Context<'_>,
    app: &AppRef,
    day: Date,
    pass: &mut DayPass,
) -> Result<(Vec<Option<Seat>>, Option<String>), StageError> {
    let mut seats = Vec::new();
    let mut app_id = None;
    for mark in marks::waiting(cx.app, app).await? {
        let id = &mark.request;
        let record = match cx.app.store.record(id).await {
            Ok(Some(loaded)) => loaded.record,
            Ok(None) => continue,
            // One request that cannot be read does not stop the others.
            Err(error @ (Error::Corrupt { .. } | Error::Newer { .. })) => {
                tracing::error!(request = %id, "left as it is: {error}");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if !mark.fits(&record) {
            mark.remove(cx.app).await?;
            continue;
        }
        let Some(step) = record.step.filter(|step| step.is_search()) else {
            continue;
        };
        let Some(root) = cx.app.store.cut_of(&record, step).await? else {
            continue;
        };
        let memo: Memo = Memo::deserialize(&root.memo).unwrap_or_default();
        let Some(number) = memo.slice(app, day) else {
            continue;
        };
        let slice = cx.app.store.slice(id, record.run, step, number).await?;
        let mine = memo.apps.iter().find(|days| days.app.as_ref() == Some(app));
        let others = memo
            .apps
            .iter()
            .filter(|days| days.app.as_ref() != Some(app));
        let seat = Seat {
            other_apps: others.filter_map(|days| days.app_id.clone()).collect(),
            since: memo.since,
            result: slice.body()?,
            record,
            root,
            slice,
            pending: Vec::new(),
        };
        if seat.slice.state.end.is_some() {
            // An earlier pass stored it and was killed before it was joined.
            finish(cx, seat, pass).await?;
            continue;
        }
        app_id = app_id.or_else(|| mine.and_then(|days| days.app_id.clone()));
        seats.push(Some(seat));
    }
    Ok((seats, app_id))
}

async fn customers(cx: Context<'_>, seats: &[Option<Seat>]) -> Result<Vec<Customer>, StageError> {
    let mut customers = Vec::with_capacity(seats.len());
    for seat in seats.iter().flatten() {
        customers.push(Customer {
            needles: needles::load(cx.app, &seat.record, seat.slice.step).await?,
            keeps_text: seat.record.kind == Kind::Export,
        });
    }
    Ok(customers)
}

impl Seat {
    /// A place in the day's order: source by source.
    fn place(source: usize, blob: &str) -> String {
        format!("{source}{blob}")
    }

    fn wants(&self, entry: &Entry, source: usize) -> bool {
        let is_new = self.since.is_none_or(|since| entry.last_modified >= since);
        let resume = self.result.resume_after.as_deref().unwrap_or_default();
        is_new && Self::place(source, &entry.name).as_str() > resume
    }

    fn name(list: &mut Vec<Unreadable>, blob: &str, reason: &str) {
        if list.len() < MAX_NAMED {
            list.push(Unreadable {
                blob: blob.to_owned(),
                reason: reason.to_owned(),
            });
        } else if let Some(last) = list.last_mut() {
            "… and more, which are not named".clone_into(&mut last.reason);
        }
    }
}

/// Gives each request what the scan of a blob found for it.
fn take(
    seats: &mut [Option<Seat>],
    app_id: &str,
    source: usize,
    entry: &Entry,
    scanned: Result<Scanned, ScanError>,
    is_patient: bool,
) -> Result<(), StageError> {
    observe::scanned(seats, scanned.as_ref());
    let stream = Stream::of(&entry.name);
    // Those stand in the list of the app's reports.
    let is_collected = names::is_collected(&entry.name);
    let unreadable = match &scanned {
        Ok(_) => None,
        // Deleted between list and read: by a lifecycle rule, say. There is nothing to find in it any more.
        Err(ScanError::Gone) => Some("it was deleted during the search".to_owned()),
        Err(ScanError::Storage(error)) if is_patient => return Err(StageError::archive(error)),
        Err(ScanError::Storage(error)) => Some(describe(error)),
        Err(ScanError::Broken) => Some("the search of it broke off".to_owned()),
    };
    for seat in seats
        .iter_mut()
        .flatten()
        .filter(|seat| seat.wants(entry, source))
    {
        let result = &mut seat.result;
        if let Some(reason) = &unreadable {
            Seat::name(&mut result.unreadable, &entry.name, reason);
            continue;
        }
        *result
            .blobs
            .entry(
                if is_collected {
                    "collected"
                } else {
                    stream_name(stream)
                }
                .to_owned(),
            )
            .or_default() += 1;
        result.bytes += entry.size;
    }
    if let Ok(scanned) = scanned {
        for seat in seats
            .iter_mut()
            .flatten()
            .filter(|seat| seat.wants(entry, source))
        {
            let result = &mut seat.result;
            result.records += scanned.summary.records;
            if source == SHARED {
                result.shared_reports += scanned.own.named;
                result.shared_report_rows += scanned.own.rows;
            } else if matches!(stream, Stream::Crashes | Stream::Errors) && !is_collected {
                // A blob can hold all reports of a minute.
                result.reports += scanned.summary.records;
            }
            for part in &scanned.summary.not_searched {
                Seat::name(&mut result.not_searched, &entry.name, &part.to_string());
            }
        }
        for (n, named, hit) in scanned.hits {
            let seat = seats.get_mut(n).and_then(Option::as_mut);
            let Some(seat) = seat.filter(|seat| seat.wants(entry, source)) else {
                continue;
            };
            seat.take_hit(app_id, named.as_deref(), &hit)?;
        }
    }
    for seat in seats
        .iter_mut()
        .flatten()
        .filter(|seat| seat.wants(entry, source))
    {
        seat.result.resume_after = Some(Seat::place(source, &entry.name));
    }
    Ok(())
}

impl Seat {
    fn take_hit(&mut self, app_id: &str, named: Option<&str>, hit: &Hit) -> Result<(), StageError> {
        match named {
            Some(named) if named.eq_ignore_ascii_case(app_id) => {}
            // The same day is searched for the request's other apps: each takes its own.
            Some(named)
                if self
                    .other_apps
                    .iter()
                    .any(|id| id.eq_ignore_ascii_case(named)) =>
            {
                return Ok(());
            }
            Some(_) => {
                self.result.foreign += 1;
                return Ok(());
            }
            // It does not say whose it is; `install-id-resolve` finds out.
            None => {}
        }
        self.result.hits += 1;
        serde_json::to_writer(
            &mut self.pending,
            &Stored {
                app: named.is_some(),
                hit,
            },
        )
        .map_err(|_error| StageError::permanent("a hit cannot be stored"))?;
        self.pending.push(b'\n');
        Ok(())
    }
}

/// A hit as it is stored: whether its record names the app, and the rest.
#[derive(serde::Serialize)]
struct Stored<'a> {
    app: bool,
    #[serde(flatten)]
    hit: &'a Hit,
}

/// Writes hits and then the slices that tell of them; `done` ends the day.
async fn store(cx: Context<'_>, seats: &mut [Option<Seat>], done: bool) -> Result<(), StageError> {
    for place in seats {
        let Some(seat) = place else { continue };
        if !seat.pending.is_empty() {
            let slice = &seat.slice;
            let unique: u64 = rand::rng().random();
            let part = format!(
                "{:05}-{:04}-{unique:016x}",
                slice.number,
                seat.result.parts.len()
            );
            let name = names::hits(&slice.request, slice.run, slice.step, &part);
            let bytes = std::mem::take(&mut seat.pending);
            let content_type = "application/jsonl";
            cx.app.store.put(&name, "hits", bytes, content_type).await?;
            seat.result.parts.push(part);
        }
        seat.slice.set_body(&seat.result)?;
        if done {
            seat.slice.state.end = Some(SliceEnd {
                done: 1,
                ..SliceEnd::default()
            });
        }
        seat.slice.state.tries = 0;
        match cx.app.store.save_slice(&mut seat.slice).await {
            Ok(()) => observe::saved(&seat.slice),
            Err(Error::Lost { .. }) => *place = None,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Joins a slice that is over.
async fn finish(cx: Context<'_>, mut seat: Seat, pass: &mut DayPass) -> Result<(), StageError> {
    let end = seat.slice.state.end.clone().unwrap_or_default();
    let finished = cx
        .app
        .store
        .finish_slice(&mut seat.slice, &seat.root, end)
        .await?;
    if let Finished::Joined(event) = finished {
        pass.joined.push((seat.record, seat.slice.step, event));
    }
    Ok(())
}

/// Counts a failed try of a day for every request that waits for it, and gives up those that were tried enough.
///
/// # Errors
/// When the slices cannot be read or written.
pub async fn count_failure(
    cx: Context<'_>,
    app: &AppRef,
    day: Date,
    error: &StageError,
    pass: &mut DayPass,
) -> Result<Duration, StageError> {
    let (seats, _app_id) = seats(cx, app, day, pass).await?;
    let limits = &cx.app.config.limits;
    let now = cx.now();
    let reason = error.to_string();
    let wait = match error {
        StageError::Retry { wait, .. } => *wait,
        _ => Wait::Backoff,
    };
    let mut latest = now;
    for mut seat in seats.into_iter().flatten() {
        let next = tries::count(&mut seat.slice.state, wait, limits, now);
        if next.is_none() {
            let end = super::give_up(&mut seat.slice, &reason)?;
            seat.slice.state.end = Some(end);
        }
        match cx.app.store.save_slice(&mut seat.slice).await {
            Ok(()) => {}
            // Another pass stored it meanwhile: that one goes on.
            Err(Error::Lost { .. }) => continue,
            Err(error) => return Err(error.into()),
        }
        observe::failed(&seat.slice, wait, &reason, next.is_none());
        let Some(next) = next else {
            finish(cx, seat, pass).await?;
            continue;
        };
        latest = latest.max(next);
        let mark = SliceMark {
            until: Some(next),
            waits_for: Some(reason.clone()),
            for_person: wait == Wait::Person,
            ..SliceMark::default()
        };
        let slice = &seat.slice;
        let marked = cx
            .app
            .store
            .mark(&slice.request, slice.run, slice.step, slice.number, mark);
        marked.await?;
        pass.unfinished = true;
    }
    let delay = Duration::try_from(latest.duration_since(now)).unwrap_or(Duration::ZERO);
    observe::waits(wait, delay);
    Ok(delay)
}

/// The open slices of one app and day, of every request that waits for it.
///
/// # Errors
/// When stored state cannot be read.
pub async fn waiting_slices(
    cx: Context<'_>,
    app: &AppRef,
    day: Date,
) -> Result<Vec<(RequestId, u32, Step, u32)>, Error> {
    let seats = seats(cx, app, day, &mut DayPass::default()).await;
    let (seats, _app_id) = match seats {
        Ok(seats) => seats,
        Err(StageError::Work(error)) => return Err(error),
        Err(_) => return Ok(Vec::new()),
    };
    let slices = seats.into_iter().flatten().map(|seat| seat.slice);
    Ok(slices
        .map(|slice| (slice.request, slice.run, slice.step, slice.number))
        .collect())
}

fn describe(error: &storage::Error) -> String {
    format!("it could not be read: {error}")
}

fn stream_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Logs => "logs",
        Stream::Crashes => "crashes",
        Stream::Errors => "errors",
        Stream::Attachments => "attachments",
        Stream::Other => "other",
    }
}
