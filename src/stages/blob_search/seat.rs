//! The requests in a pass, with their slices: read, stored and joined side by side, since a hundred may share a pass.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use jiff::civil::Date;
use rand::RngExt as _;
use serde::Deserialize as _;

use super::days::Memo;
use super::marks::{self, Mark};
use super::observe;
use super::pass::DayPass;
use super::progress::Progress;
use crate::domain::AppRef;
use crate::stages::{Context, StageError};
use crate::work::{Error, Finished, Loaded, Slice, SliceEnd, names};
use crate::workflow::join::Root;

/// Requests that are read, stored or joined at once.
const PARALLEL: usize = 16;

/// A request that a pass serves.
pub(super) struct Seat {
    mark: Mark,
    day: Date,
    pub(super) loaded: Loaded,
    pub(super) root: Arc<Root>,
    pub(super) slice: Slice,
    pub(super) progress: Progress,
    /// The app's ID, as the request knows it.
    app_id: Option<String>,
    /// Accounts that the app's exports write to, beside the one that is set.
    accounts: BTreeSet<String>,
}

/// Where an app's data lies, as the requests that wait for it know.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) app_id: Option<String>,
    pub(super) accounts: BTreeSet<String>,
}

impl Place {
    /// Where all of them say.
    pub(super) fn of(seats: &[Option<Seat>]) -> Self {
        let mut place = Self::default();
        for seat in seats.iter().flatten() {
            place.app_id = place.app_id.or_else(|| seat.app_id.clone());
            place.accounts.extend(seat.accounts.iter().cloned());
        }
        place
    }
}

/// The requests that wait for this app and day, beside those that the pass knows. A seat is emptied once another pass
/// over the same day has stored the request's slice: that one goes on with it.
pub(super) async fn seats(
    cx: Context<'_>,
    app: &AppRef,
    day: Date,
    pass: &mut DayPass,
) -> Result<Vec<Option<Seat>>, StageError> {
    let mut marks = marks::waiting(cx.app, app, day).await?;
    marks.retain(|mark| !pass.seen.contains(mark.name()));
    let read = marks.iter().map(|mark| seat(cx, app, day, mark));
    let read: Vec<_> = read.collect();
    let read: Vec<Option<Seat>> = futures::stream::iter(read)
        .buffered(PARALLEL)
        .try_collect()
        .await?;
    pass.seen
        .extend(marks.iter().map(|it| it.name().to_owned()));
    let (over, open) = read
        .into_iter()
        .flatten()
        .partition(|seat: &Seat| seat.slice.state.end.is_some());
    // An earlier pass stored them and was killed before they were joined.
    join(cx, over, pass).await?;
    Ok(open.into_iter().map(Some).collect())
}

/// The request of a mark, unless it does not wait for the day.
async fn seat(
    cx: Context<'_>,
    app: &AppRef,
    day: Date,
    mark: &Mark,
) -> Result<Option<Seat>, StageError> {
    let id = &mark.request;
    let loaded = match cx.app.store.record(id).await {
        Ok(Some(loaded)) => loaded,
        Ok(None) => return Ok(None),
        // One request that cannot be read does not stop the others.
        Err(error @ (Error::Corrupt { .. } | Error::Newer { .. })) => {
            tracing::error!(request = %id, "left as it is: {error}");
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let record = &loaded.record;
    if !mark.fits(record) {
        mark.remove(cx.app).await?;
        return Ok(None);
    }
    let Some(step) = record.step.filter(|step| step.is_search()) else {
        return Ok(None);
    };
    let Some(root) = cx.app.store.cut_of(record, step).await? else {
        return Ok(None);
    };
    let memo: Memo = Memo::deserialize(&root.memo).unwrap_or_default();
    let Some(number) = memo.slice(app, day) else {
        return Ok(None);
    };
    let slice = cx.app.store.slice(id, record.run, step, number).await?;
    let (mine, others): (Vec<_>, Vec<_>) = memo
        .apps
        .into_iter()
        .partition(|days| days.app.as_ref() == Some(app));
    let others = others.into_iter().filter_map(|days| days.app_id).collect();
    let mine = mine.into_iter().next().unwrap_or_default();
    Ok(Some(Seat {
        mark: mark.clone(),
        day,
        progress: Progress::new(slice.body()?, memo.since, others, mine.accounts.clone()),
        loaded,
        root,
        slice,
        app_id: mine.app_id,
        accounts: mine.accounts,
    }))
}

impl Seat {
    /// Whether it can join a pass that is under way: one over the places where its data lies, of which it has seen nothing.
    pub(super) fn can_join(&self, place: &Place) -> bool {
        let is_there = self.app_id.is_none() || self.app_id == place.app_id;
        is_there && self.accounts.is_subset(&place.accounts) && self.progress.is_new()
    }

    async fn write(&mut self, cx: Context<'_>) -> Result<(), StageError> {
        for (bytes, is_own) in self.progress.unwritten() {
            if bytes.is_empty() {
                continue;
            }
            let slice = &self.slice;
            let unique: u64 = rand::rng().random();
            let number = self.progress.result.parts.len();
            let part = format!("{:05}-{number:04}-{unique:016x}", slice.number);
            let name = names::hits(&slice.request, slice.run, slice.step, &part);
            let content_type = "application/jsonl";
            cx.app.store.put(&name, "hits", bytes, content_type).await?;
            self.progress.wrote(part, is_own);
        }
        Ok(())
    }

    /// Writes hits and then the slice that tells of them. Returns whether it is still this pass's.
    async fn store(&mut self, cx: Context<'_>, done: bool) -> Result<bool, StageError> {
        self.write(cx).await?;
        self.slice.set_body(&self.progress.result)?;
        if done && self.progress.is_over() {
            self.slice.state.end = Some(SliceEnd {
                done: 1,
                ..SliceEnd::default()
            });
        }
        self.slice.state.tries = 0;
        match cx.app.store.save_slice(&mut self.slice).await {
            Ok(()) => {
                observe::saved(&self.slice);
                Ok(true)
            }
            Err(Error::Lost { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Writes hits and then the slices that tell of them; `done` ends the day for whom it is over.
pub(super) async fn store(
    cx: Context<'_>,
    seats: &mut [Option<Seat>],
    done: bool,
) -> Result<(), StageError> {
    let stores = seats
        .iter_mut()
        .filter(|place| place.is_some())
        .map(|place| async move {
            let Some(seat) = place else { return Ok(()) };
            if !seat.store(cx, done).await? {
                *place = None;
            }
            Ok(())
        });
    let stores: Vec<_> = stores.collect();
    futures::stream::iter(stores)
        .buffer_unordered(PARALLEL)
        .try_collect()
        .await
}

/// Joins slices that are over.
pub(super) async fn join(
    cx: Context<'_>,
    seats: Vec<Seat>,
    pass: &mut DayPass,
) -> Result<(), StageError> {
    let finished = seats.into_iter().map(|mut seat| async move {
        let end = seat.slice.state.end.clone().unwrap_or_default();
        let finished = cx.app.store.finish_slice(&mut seat.slice, &seat.root, end);
        let finished = finished.await?;
        Ok::<_, StageError>((seat, finished))
    });
    let finished: Vec<_> = finished.collect();
    let mut finished = futures::stream::iter(finished).buffer_unordered(PARALLEL);
    while let Some((seat, finished)) = finished.try_next().await? {
        match finished {
            Finished::Joined(event) => pass.joined.push((seat.loaded, seat.slice.step, event)),
            // Whoever ends the last of the others moves the request on.
            Finished::OthersOpen => seat.mark.note_over(cx.app, seat.day),
        }
    }
    Ok(())
}
