//! One pass over one app and day, for every request that waits for it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::civil::Date;

use super::abreast::Abreast;
use super::coming::{self, Coming};
use super::days::{Order, Source, sources};
use super::here::Here;
use super::index::{DayIndex, Known};
use super::pages::Pages;
use super::progress::Progress;
use super::reading::Reading;
use super::scan::{Customer, Job, News, ScanError};
use super::seat::{Place, Seat, join, seats, store};
use super::{marks, needles, observe};
use crate::domain::{AppRef, Kind};
use crate::search::{Identifiers, Searcher};
use crate::stages::{Context, StageError};
use crate::storage::{Container, Entry};
use crate::work::Loaded;
use crate::workflow::{Event, Step};

/// How often a pass looks for those who came meanwhile.
const LOOKED_EVERY: Duration = Duration::from_secs(2);
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
    /// Requests whose search joined, as they were read, with the event that moves them on.
    pub joined: Vec<(Loaded, Step, Event)>,
    /// The day is not done: continue in a new message.
    pub unfinished: bool,
    /// The marks that it knows.
    pub(super) seen: BTreeSet<String>,
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
    let mut seats = seats(cx, app, day, pass).await?;
    let place = Place::of(&seats);
    if place.app_id.is_none() {
        return Ok(());
    }
    pass.unfinished |= leave_alone(&mut seats);
    observe::seated(&seats);
    let job = job(cx, &seats, &[]).await?;
    let index = DayIndex::of(cx, app, day, &people(&job)).await;
    let search = Search {
        cx,
        app,
        day,
        place,
        is_patient: seats
            .iter()
            .flatten()
            .all(|seat| seat.slice.state.tries < PATIENCE),
        seats,
        abreast: Abreast::default(),
        job,
        index,
        reached: None,
        looked: Instant::now(),
    };
    search.run(pass).await
}

/// What the pass looks for, with customers it has already; one for each seat.
async fn job(
    cx: Context<'_>,
    seats: &[Option<Seat>],
    known: &[Arc<Customer>],
) -> Result<Job, StageError> {
    let mut customers = known.to_vec();
    for seat in seats.iter().skip(known.len()).flatten() {
        customers.push(Arc::new(Customer {
            needles: needles::load(cx.app, &seat.loaded.record, seat.slice.step).await?,
            keeps_text: seat.loaded.record.kind == Kind::Export,
        }));
    }
    let identifiers: Vec<_> = customers
        .iter()
        .map(|it| it.needles.identifiers())
        .collect();
    let searcher = Searcher::new(&identifiers)
        .map_err(|error| StageError::permanent(format!("nothing to search for: {error}")))?;
    Ok(Job {
        searcher: Arc::new(searcher),
        customers: customers.into(),
        count: None,
        deadline: cx.deadline,
        tokens: None,
    })
}

/// What all of them look for.
fn people(job: &Job) -> Vec<Identifiers> {
    let customers = job.customers.iter();
    customers.map(|it| it.needles.identifiers()).collect()
}

/// A pass that is under way.
struct Search<'a> {
    cx: Context<'a>,
    app: &'a AppRef,
    day: Date,
    place: Place,
    /// Who is served; a newcomer sits down behind the others.
    seats: Vec<Option<Seat>>,
    /// What they have in common.
    abreast: Abreast,
    job: Job,
    /// What tells which blobs need not be read.
    index: Option<DayIndex<'a>>,
    /// A blob that fails ends the pass, and is not named yet.
    is_patient: bool,
    /// The last blob that is read or passed over, by its place.
    reached: Option<String>,
    /// When it last looked for newcomers.
    looked: Instant,
}

impl Search<'_> {
    async fn run(mut self, pass: &mut DayPass) -> Result<(), StageError> {
        let is_all = self.read(pass).await?;
        if is_all {
            self.abreast.settle(&mut progress(&mut self.seats));
            for seat in self.seats.iter_mut().flatten() {
                pass.unfinished |= !seat.progress.reach_end();
            }
            store(self.cx, &mut self.seats, true).await?;
            let seats = self.seats.into_iter().flatten();
            let over = seats.filter(|seat| seat.slice.state.end.is_some());
            join(self.cx, over.collect(), pass).await?;
        }
        if let Some(index) = self.index {
            index.store(self.cx, is_all).await;
        }
        Ok(())
    }

    /// Reads the day's blobs. Returns whether it came to their end; otherwise it has saved itself, or nobody needs it.
    async fn read(&mut self, pass: &mut DayPass) -> Result<bool, StageError> {
        let app_id = self.place.app_id.clone().unwrap_or_default();
        let own_id = uuid::Uuid::try_parse(&app_id).ok();
        let sources = sources(self.app, &app_id, &self.place.accounts, self.day);
        let sources = sources.into_iter().map(|source| {
            let container = container(self.cx, &source)?;
            Ok((source, container))
        });
        let mut pages = Pages::list(sources.collect::<Result<_, StageError>>()?);
        let mut coming = VecDeque::new();
        loop {
            while self.takes_more(&coming) {
                // What is not listed yet is waited for only when there is nothing else to do.
                let Some((at, entry)) = pages.next(coming.is_empty()).await? else {
                    break;
                };
                self.job.count = own_id.filter(|_| at.order.is_shared());
                let begun = self.begin(&at.container, at.order, entry);
                coming.extend(begun.map(|it| (at.order, it)));
            }
            let Some((order, next)) = coming.pop_front() else {
                return Ok(true);
            };
            let is_done = match next {
                Coming::Read(reading) => self.take(order, reading).await?,
                Coming::Known(entry, ended) => {
                    let here = Here::listed(&entry, order);
                    let mut served = progress(&mut self.seats);
                    self.abreast
                        .arrive(&mut served, &here, &self.place.accounts);
                    self.abreast.pass_over(&mut served, &here, &ended);
                    true
                }
            };
            if !is_done || self.cx.is_out_of_time() {
                self.abreast.settle(&mut progress(&mut self.seats));
                store(self.cx, &mut self.seats, false).await?;
                pass.unfinished = true;
                return Ok(false);
            }
            if self.seats.iter().all(Option::is_none) {
                // Other passes over this day were faster for everybody: they go on.
                return Ok(false);
            }
            if self.looked.elapsed() >= LOOKED_EVERY && !self.is_alone() {
                self.looked = Instant::now();
                self.welcome(pass).await?;
            }
        }
    }

    /// Comes to a blob of a page, and begins to read it where anybody needs that.
    fn begin(&mut self, container: &Container, order: Order, entry: Entry) -> Option<Coming> {
        let here = Here::listed(&entry, order);
        let is_wanted = |seat: &Seat| seat.progress.wants(&here);
        let is_wanted = self.seats.iter().flatten().any(is_wanted);
        self.reached = Some(here.into_place());
        let listed = self.index.as_mut();
        let listed = listed.and_then(|index| index.list(&entry, order));
        if !is_wanted {
            return None;
        }
        let known = match (&self.index, listed) {
            (Some(index), Some(blob)) => index.look_up(blob, entry.size),
            _ => Known::default(),
        };
        if let Some(ended) = known.passed_over {
            return Some(Coming::Known(entry, ended));
        }
        let mut job = self.job.clone();
        job.tokens = known.wanted;
        Some(Coming::Read(Reading::begin(container.clone(), entry, job)))
    }

    /// Serves those who came meanwhile from here on. What they missed is searched for them in the next pass.
    async fn welcome(&mut self, pass: &mut DayPass) -> Result<(), StageError> {
        let came = match seats(self.cx, self.app, self.day, pass).await {
            Ok(came) => came,
            // The end of the pass looks again.
            Err(error) => {
                tracing::warn!(app = %self.app, day = %self.day, "newcomers were not read: {error}");
                return Ok(());
            }
        };
        let all = came.len();
        let mut came: Vec<_> = came
            .into_iter()
            .filter(|seat| seat.as_ref().is_some_and(|seat| seat.can_join(&self.place)))
            .collect();
        // Whoever cannot join gets the next pass.
        pass.unfinished |= came.len() < all;
        if came.is_empty() {
            return Ok(());
        }
        for seat in came.iter_mut().flatten() {
            seat.progress.miss(self.reached.clone());
        }
        observe::joined(&came);
        self.seats.append(&mut came);
        let count = self.job.count;
        self.job = job(self.cx, &self.seats, &self.job.customers).await?;
        self.job.count = count;
        if let Some(index) = &mut self.index {
            index.ask_for(self.cx, &people(&self.job)).await;
        }
        Ok(())
    }

    /// Whether it is for one long blob.
    fn is_alone(&self) -> bool {
        let mut served = self.seats.iter().flatten();
        served.any(|seat| seat.progress.cut_at().is_some())
    }

    /// Whether one more blob is begun while these are read.
    fn takes_more(&self, coming: &VecDeque<(Order, Coming)>) -> bool {
        if self.is_alone() {
            return coming.is_empty();
        }
        coming::takes_more(coming.iter().map(|(_, it)| it))
    }

    /// Gives each request what is found in a blob for it, as it is found. Returns whether the blob is done.
    async fn take(&mut self, source: Order, mut reading: Reading) -> Result<bool, StageError> {
        let Self {
            cx,
            seats,
            abreast,
            place,
            index,
            ..
        } = self;
        let app_id = place.app_id.as_deref().unwrap_or_default();
        let entry = reading.entry.clone();
        let mut here = Here::listed(&entry, source);
        abreast.arrive(&mut progress(seats), &here, &place.accounts);
        let mut matches = observe::Matches::default();
        let mut ended = loop {
            match reading.next().await {
                News::Opened(etag) => {
                    here.opened(etag);
                    for seat in seats.iter_mut().flatten() {
                        seat.progress.open(&here);
                    }
                }
                News::Found(batch) => {
                    matches.count(&batch);
                    for found in &batch {
                        if let Some(Some(seat)) = seats.get_mut(found.customer) {
                            seat.progress.take(&here, app_id, found);
                        }
                    }
                    if is_full(seats) {
                        abreast.settle(&mut progress(seats));
                        store(*cx, seats, false).await?;
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
                .filter_map(|seat| seat.progress.count_cut(&here));
            if tries.max().unwrap_or(0) < MAX_CUTS {
                return Ok(false);
            }
        }
        if let (Err(ScanError::Storage(error)), true) = (&ended, self.is_patient) {
            return Err(StageError::archive(error));
        }
        if let (Ok(ended), Some(index)) = (&mut ended, index) {
            index.gathered.extend(ended.tokens.take());
        }
        observe::scanned(seats, &ended, &matches);
        abreast.end(&mut progress(seats), &here, &ended);
        if is_full(seats) {
            abreast.settle(&mut progress(seats));
            store(*cx, seats, false).await?;
        }
        Ok(true)
    }
}

/// Whether this process has seen the day end for everybody who waits for days of the app.
///
/// Each of a hundred requests sends a message for it, and one pass serves them all. Where that is not known, it says no.
pub async fn is_over(cx: Context<'_>, app: &AppRef, day: Date) -> bool {
    cx.app.store.ended_any(day)
        && (marks::waiting(cx.app, app, day).await).is_ok_and(|marks| marks.is_empty())
}

/// Whether requests wait for days of an app that did not when a pass over one last looked. To be asked once its claim is
/// released: who comes later claims the day.
///
/// # Errors
/// When the marks cannot be listed.
pub async fn has_newcomers(
    cx: Context<'_>,
    app: &AppRef,
    day: Date,
    pass: &DayPass,
) -> Result<bool, StageError> {
    let marks = marks::waiting(cx.app, app, day).await?;
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

/// How far those are who are served.
fn progress(seats: &mut [Option<Seat>]) -> Vec<&mut Progress> {
    let served = seats.iter_mut().flatten();
    served.map(|seat| &mut seat.progress).collect()
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
