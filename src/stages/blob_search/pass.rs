//! One pass over one app and day, for every request that waits for it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::civil::Date;
use serde::Deserialize as _;

use super::days::{Memo, Order, Source, sources};
use super::progress::Progress;
use super::reading::Reading;
use super::scan::{Customer, Job, News, ScanError};
use super::seat::{Seat, store};
use super::{marks, needles, observe};
use crate::domain::{AppRef, Kind};
use crate::search::Searcher;
use crate::stages::{Context, StageError};
use crate::storage::Container;
use crate::work::{Error, Finished, names};
use crate::workflow::{Event, Record, Step};

/// Blobs that are read at once.
const PARALLEL: usize = 8;
/// How long after its beginning a pass is joined by those who came meanwhile. Requests that are filed together begin to wait
/// one after the other.
const JOINED_AFTER: Duration = Duration::from_secs(2);
/// Hits of one request, in bytes of JSON, that are kept in memory before they are written.
const MAX_PART: usize = 4 * 1024 * 1024;
/// The same of all requests together.
const MAX_PARTS: usize = 16 * 1024 * 1024;
/// Tries of a day after which a blob that fails is named as unreadable and the rest goes on.
const PATIENCE: u32 = 4;
/// Passes whose time may be over within the same blob; the last of them names it, and the rest goes on.
pub(super) const MAX_CUTS: u32 = 4;

/// What a pass led to. It is filled as the pass goes, so that nothing is lost when it ends early.
#[derive(Debug, Default)]
pub struct DayPass {
    /// Requests whose search joined, with the event that moves them on.
    pub joined: Vec<(Record, Step, Event)>,
    /// The day is not done: continue in a new message.
    pub unfinished: bool,
    /// The marks that were there when it began.
    seen: BTreeSet<String>,
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
    let (mut seats, place) = seats(cx, app, day, pass).await?;
    let Some(app_id) = place.app_id else {
        return Ok(());
    };
    pass.unfinished |= leave_alone(&mut seats);
    observe::seated(&seats);
    let customers = customers(cx, &seats).await?;
    let identifiers: Vec<_> = customers
        .iter()
        .map(|it| it.needles.identifiers())
        .collect();
    let searcher = Searcher::new(&identifiers)
        .map_err(|error| StageError::permanent(format!("nothing to search for: {error}")))?;
    let mut job = Job {
        searcher: Arc::new(searcher),
        customers: Arc::new(customers),
        count: None,
        deadline: cx.deadline,
    };
    let own_id = uuid::Uuid::try_parse(&app_id).ok();
    let is_patient = seats
        .iter()
        .flatten()
        .all(|seat| seat.slice.state.tries < PATIENCE);
    let mut joining = Joining::of(&seats);
    for source in sources(app, &app_id, &place.accounts, day) {
        job.count = own_id.filter(|_| source.order.is_shared());
        let container = container(cx, &source)?;
        let mut listing = container.list(&source.prefix);
        loop {
            let page = listing.next_page().await;
            let Some(page) = page.map_err(|error| StageError::archive(&error))? else {
                break;
            };
            let mut wanted = page;
            if let Some(account) = &source.account {
                for entry in &mut wanted {
                    entry.name = names::in_account(account, &entry.name);
                }
            }
            wanted.retain(|entry| {
                seats
                    .iter()
                    .flatten()
                    .any(|seat| seat.progress.wants(entry, source.order))
            });
            let mut wanted = wanted.into_iter();
            let mut readings = VecDeque::new();
            loop {
                while readings.len() < parallel(&seats) {
                    let Some(entry) = wanted.next() else { break };
                    readings.push_back(Reading::begin(container.clone(), entry, job.clone()));
                }
                let Some(reading) = readings.pop_front() else {
                    break;
                };
                let is_done =
                    take(cx, &mut seats, &app_id, source.order, reading, is_patient).await?;
                let is_joined = is_done && joining.is_due() && has_newcomers(cx, app, pass).await?;
                if !is_done || is_joined || cx.is_out_of_time() {
                    store(cx, &mut seats, false).await?;
                    pass.unfinished = true;
                    return Ok(());
                }
                if seats.iter().all(Option::is_none) {
                    // Other passes over this day were faster for everybody: they go on.
                    return Ok(());
                }
            }
        }
    }
    for seat in seats.iter_mut().flatten() {
        seat.progress.leave();
    }
    store(cx, &mut seats, true).await?;
    for seat in seats.into_iter().flatten() {
        finish(cx, seat, pass).await?;
    }
    Ok(())
}

/// When a pass looks for those who came after its beginning: once, and early. They get what they missed, and the rest of
/// the day together with the others; who comes later than that gets a pass of their own after this one.
struct Joining {
    at: Option<Instant>,
}

impl Joining {
    /// A pass in which somebody has come further already was joined before.
    fn of(seats: &[Option<Seat>]) -> Self {
        let is_first = seats
            .iter()
            .flatten()
            .all(|seat| seat.progress.result.resume_after.is_none());
        Self {
            at: is_first.then(|| Instant::now() + JOINED_AFTER),
        }
    }

    /// Whether it is time to look; said once.
    fn is_due(&mut self) -> bool {
        self.at.take_if(|at| *at <= Instant::now()).is_some()
    }
}

/// Whether requests wait for days of an app that did not when a pass over one began. To be asked once its claim is
/// released: who comes later claims the day.
///
/// # Errors
/// When the marks cannot be listed.
pub async fn has_newcomers(
    cx: Context<'_>,
    app: &AppRef,
    pass: &DayPass,
) -> Result<bool, StageError> {
    let marks = marks::waiting(cx.app, app).await?;
    Ok(marks.iter().any(|mark| !pass.seen.contains(mark.name())))
}

fn container(cx: Context<'_>, source: &Source) -> Result<Container, StageError> {
    match &source.account {
        Some(account) => cx
            .app
            .archives
            .of_account(account)
            .map_err(|error| StageError::archive(&error)),
        None if source.order == Order::Collected => Ok(cx.app.store.container().clone()),
        None => Ok(cx.app.archives.own().clone()),
    }
}

/// A blob that took longer than a pass gets the next one for itself, from its beginning to its end: who has not come so
/// far is served afterwards. Returns whether anybody is.
fn leave_alone(seats: &mut Vec<Option<Seat>>) -> bool {
    let cut = seats
        .iter()
        .flatten()
        .filter_map(|seat| seat.progress.cut_at())
        .min();
    let Some(cut) = cut.map(str::to_owned) else {
        return false;
    };
    let all = seats.len();
    seats
        .retain(|seat| seat.as_ref().and_then(|seat| seat.progress.cut_at()) == Some(cut.as_str()));
    seats.len() < all
}

/// How many blobs are read at once.
fn parallel(seats: &[Option<Seat>]) -> usize {
    let is_cut = seats
        .iter()
        .flatten()
        .any(|seat| seat.progress.cut_at().is_some());
    if is_cut { 1 } else { PARALLEL }
}

/// Gives each request what is found in a blob for it, as it is found. Returns whether the blob is done.
async fn take(
    cx: Context<'_>,
    seats: &mut [Option<Seat>],
    app_id: &str,
    source: Order,
    mut reading: Reading,
    is_patient: bool,
) -> Result<bool, StageError> {
    for seat in seats.iter_mut().flatten() {
        seat.progress.arrive(&reading.entry, source);
    }
    let mut matches = observe::Matches::default();
    let ended = loop {
        match reading.next().await {
            News::Opened(etag) => {
                for seat in seats.iter_mut().flatten() {
                    seat.progress.open(&etag);
                }
            }
            News::Found(batch) => {
                matches.count(&batch);
                for found in &batch {
                    if let Some(Some(seat)) = seats.get_mut(found.customer) {
                        seat.progress.take(app_id, found);
                    }
                }
                if is_full(seats) {
                    store(cx, seats, false).await?;
                }
                if seats.iter().all(Option::is_none) {
                    return Ok(true);
                }
            }
            News::Ended(ended) => break ended,
        }
    };
    let is_cut = ended.as_ref().is_ok_and(|ended| !ended.is_whole);
    if is_cut {
        let tries = seats
            .iter_mut()
            .flatten()
            .filter_map(|seat| seat.progress.count_cut());
        if tries.max().unwrap_or(0) < MAX_CUTS {
            return Ok(false);
        }
    }
    if let (Err(ScanError::Storage(error)), true) = (&ended, is_patient) {
        return Err(StageError::archive(error));
    }
    observe::scanned(seats, &ended, &matches);
    for seat in seats.iter_mut().flatten() {
        seat.progress.end(&reading.entry, source, &ended);
    }
    if is_full(seats) {
        store(cx, seats, false).await?;
    }
    Ok(true)
}

fn is_full(seats: &[Option<Seat>]) -> bool {
    let lengths = || {
        seats
            .iter()
            .flatten()
            .map(|seat| seat.progress.pending.len())
    };
    lengths().any(|length| length > MAX_PART) || lengths().sum::<usize>() > MAX_PARTS
}

/// Where an app's data lies, as the requests that wait for it know.
#[derive(Debug, Default)]
pub(super) struct Place {
    app_id: Option<String>,
    accounts: BTreeSet<String>,
}

/// The requests that wait for this app and day, and where its data lies. A seat is emptied once another pass over the same day
/// has stored the request's slice: that one goes on with it.
pub(super) async fn seats(
    cx: Context<'_>,
    app: &AppRef,
    day: Date,
    pass: &mut DayPass,
) -> Result<(Vec<Option<Seat>>, Place), StageError> {
    let mut seats = Vec::new();
    let mut place = Place::default();
    for mark in marks::waiting(cx.app, app).await? {
        pass.seen.insert(mark.name().to_owned());
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
        let others = others.filter_map(|days| days.app_id.clone()).collect();
        let accounts = mine.map_or_else(BTreeSet::new, |days| days.accounts.clone());
        let seat = Seat {
            progress: Progress::new(slice.body()?, memo.since, others, accounts),
            record,
            root,
            slice,
        };
        if seat.slice.state.end.is_some() {
            // An earlier pass stored it and was killed before it was joined.
            finish(cx, seat, pass).await?;
            continue;
        }
        let app_id = mine.and_then(|days| days.app_id.clone());
        place.app_id = place.app_id.or(app_id);
        if let Some(days) = mine {
            place.accounts.extend(days.accounts.iter().cloned());
        }
        seats.push(Some(seat));
    }
    Ok((seats, place))
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

/// Joins a slice that is over.
pub(super) async fn finish(
    cx: Context<'_>,
    mut seat: Seat,
    pass: &mut DayPass,
) -> Result<(), StageError> {
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
