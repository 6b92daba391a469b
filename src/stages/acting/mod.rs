//! Acting on a slice's items one wave at a time: block, delete, collect.
//!
//! The slice remembers how far it got. Before a wave it is saved with the number of items that will have been attempted,
//! so that a second run knows which calls an earlier one may have made: an item that is gone then was deleted by us.
//!
//! An item that fails for a reason that may pass is set aside for the rest of the invocation and the others go on, those
//! that failed least often first: whatever is stuck in front, every item has its turn.

use std::collections::BTreeSet;
use std::future::Future;

use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Context, Outcome, StageError, Wait};
use crate::work::{Error, Slice, SliceEnd};

/// Items whose calls are in flight at once.
pub const IN_FLIGHT: usize = 8;
/// Items that are attempted between two saves.
const WAVE: usize = 24;

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Done: blocked, deleted, collected.
    Done,
    /// It was gone before we came.
    AlreadyGone,
    /// Not done.
    Failed(String),
}

/// An item with what is known of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Work<T> {
    /// The item.
    pub item: T,
    /// Its fate, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<Fate>,
    /// What else is to be said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Whether a call for it may have been made.
    #[serde(default)]
    pub attempted: bool,
    /// How often it failed for a reason that may pass.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stops: u32,
    /// The last of these reasons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(stops: &u32) -> bool {
    *stops == 0
}

/// A slice's items.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Items<T> {
    /// In the plan's order.
    pub items: Vec<Work<T>>,
}

impl<T> Default for Items<T> {
    fn default() -> Self {
        Self { items: Vec::new() }
    }
}

impl<T> Items<T> {
    /// Items of which nothing is known yet.
    pub fn new(items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().map(Work::new).collect();
        Self { items }
    }

    /// The next items without a fate, less those that were set aside: those that failed least often first.
    fn wave(&self, aside: &BTreeSet<usize>) -> Vec<usize> {
        let is_open = |n: &usize| self.items[*n].fate.is_none() && !aside.contains(n);
        let mut open: Vec<usize> = (0..self.items.len()).filter(is_open).collect();
        open.sort_by_key(|n| self.items[*n].stops);
        open.truncate(WAVE);
        open
    }

    /// Notes that calls for these items may be made from now on; whether they may have been made before, for each.
    fn attempt(&mut self, wave: &[usize]) -> Vec<bool> {
        wave.iter()
            .map(|n| std::mem::replace(&mut self.items[*n].attempted, true))
            .collect()
    }

    /// Fails what has no fate.
    fn give_up(&mut self, reason: &str) -> SliceEnd {
        for work in self.items.iter_mut().filter(|work| work.fate.is_none()) {
            let own = work.stopped.take();
            work.fate = Some(Fate::Failed(own.unwrap_or_else(|| reason.to_owned())));
        }
        self.end()
    }

    /// The slice's end as its items tell it.
    #[must_use]
    pub fn end(&self) -> SliceEnd {
        let failed = self
            .items
            .iter()
            .filter(|work| matches!(work.fate, None | Some(Fate::Failed(_))))
            .count();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        SliceEnd {
            done: count(self.items.len() - failed),
            failed: count(failed),
            event: None,
        }
    }
}

/// What one call came to.
pub type Fated = Result<(Fate, Option<String>), Undone>;

/// A call that came to nothing yet.
#[derive(Debug)]
pub struct Undone {
    /// Why, and when to try again.
    pub error: StageError,
    /// What a later try must know of it.
    pub detail: Option<String>,
}

impl<E: Into<StageError>> From<E> for Undone {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            detail: None,
        }
    }
}

/// What is known of an item before its call.
#[derive(Debug, Clone)]
pub struct Earlier {
    /// Whether a call for it may have been made.
    pub attempted: bool,
    /// What an earlier try left to be known.
    pub detail: Option<String>,
}

/// What the waves need of their invocation.
trait Keeper<T>: Send {
    /// Stores the items; `progressed` when one has got a fate since the last time.
    fn save(
        &mut self,
        items: &Items<T>,
        progressed: bool,
    ) -> impl Future<Output = Result<(), StageError>> + Send;

    /// Whether it is time to save and continue in a new message.
    fn is_out_of_time(&self) -> bool;
}

struct SliceKeeper<'a> {
    cx: Context<'a>,
    slice: &'a mut Slice,
}

impl<T: Serialize + Sync> Keeper<T> for SliceKeeper<'_> {
    async fn save(&mut self, items: &Items<T>, progressed: bool) -> Result<(), StageError> {
        if progressed {
            self.slice.state.forget_tries();
        }
        self.slice.set_body(items)?;
        self.cx.app.store.save_slice(self.slice).await?;
        Ok(())
    }

    fn is_out_of_time(&self) -> bool {
        self.cx.is_out_of_time()
    }
}

/// Acts on a slice's items until all have a fate, all that have none were tried, or time is up.
///
/// `act` is told what an earlier run may have done to the item. An item that fails for a reason that may pass is
/// tried again in a later invocation; the others go on.
///
/// # Errors
/// The error that says most of those that stopped an item, once what was done is saved.
pub async fn act<T, F, Fut>(
    cx: Context<'_>,
    slice: &mut Slice,
    act: F,
) -> Result<Outcome, StageError>
where
    T: Clone + Serialize + DeserializeOwned + Send + Sync,
    F: Fn(T, Earlier) -> Fut,
    Fut: Future<Output = Fated>,
{
    if slice.state.body.is_null() {
        // It was cut with items; an empty slice would pass for one that is done.
        return Err(StageError::Work(Error::Corrupt {
            what: "a slice",
            reason: "it is missing".to_owned(),
        }));
    }
    let mut items: Items<T> = slice.body()?;
    waves(&mut items, &mut SliceKeeper { cx, slice }, act).await
}

async fn waves<T, K, F, Fut>(
    items: &mut Items<T>,
    keeper: &mut K,
    act: F,
) -> Result<Outcome, StageError>
where
    T: Clone,
    K: Keeper<T>,
    F: Fn(T, Earlier) -> Fut,
    Fut: Future<Output = Fated>,
{
    let mut aside = BTreeSet::new();
    let mut stopped = None;
    let mut wave = items.wave(&aside);
    let mut before = items.attempt(&wave);
    if before.contains(&false) {
        keeper.save(items, false).await?;
    }
    while !wave.is_empty() {
        let calls = wave.iter().zip(before).map(|(n, attempted)| {
            let work = &items.items[*n];
            let detail = work.detail.clone();
            let call = act(work.item.clone(), Earlier { attempted, detail });
            async move { (*n, call.await) }
        });
        let fates: Vec<(usize, Fated)> = futures::stream::iter(calls.collect::<Vec<_>>())
            .buffer_unordered(IN_FLIGHT)
            .collect()
            .await;
        let mut progressed = false;
        for (n, fated) in fates {
            match items.items[n].note(fated) {
                None => progressed = true,
                Some(error) => {
                    aside.insert(n);
                    stopped = Some(worse(stopped, error));
                }
            }
        }
        wave = items.wave(&aside);
        let goes_on = !stopped.as_ref().is_some_and(stops_all) && !keeper.is_out_of_time();
        // One save tells of this wave and announces the next.
        before = if goes_on {
            items.attempt(&wave)
        } else {
            Vec::new()
        };
        keeper.save(items, progressed).await?;
        if !goes_on {
            break;
        }
    }
    match stopped {
        Some(error) => Err(error),
        None if wave.is_empty() => Ok(Outcome::Over(items.end())),
        None => Ok(Outcome::Continue),
    }
}

impl<T> Work<T> {
    /// An item of which nothing is known yet.
    pub fn new(item: T) -> Self {
        Self {
            item,
            fate: None,
            detail: None,
            attempted: false,
            stops: 0,
            stopped: None,
        }
    }

    /// Notes what a call came to; the error when that was nothing yet.
    fn note(&mut self, fated: Fated) -> Option<StageError> {
        let (fate, detail) = match fated {
            Ok(fated) => fated,
            Err(Undone {
                error: StageError::Permanent { reason },
                ..
            }) => (Fate::Failed(reason), None),
            Err(Undone { error, detail }) => {
                if detail.is_some() {
                    self.detail = detail;
                }
                if let StageError::Retry { reason, wait } = &error
                    && !matches!(wait, Wait::Throttled(_) | Wait::Held(_))
                {
                    self.stops = self.stops.saturating_add(1);
                    self.stopped = Some(reason.clone());
                }
                return Some(error);
            }
        };
        (self.fate, self.detail) = (Some(fate), detail);
        self.stopped = None;
        None
    }
}

/// Whether what stopped one item would stop every other, too.
fn stops_all(error: &StageError) -> bool {
    match error {
        StageError::Retry { wait, .. } => matches!(wait, Wait::Throttled(_) | Wait::Held(_)),
        StageError::Permanent { .. } => false,
        StageError::Stopped | StageError::Work(_) => true,
    }
}

/// Of two errors the one that says more about what to do: a stop, then stored state, then the later retry.
fn worse(known: Option<StageError>, error: StageError) -> StageError {
    match (known, error) {
        (Some(StageError::Stopped), _) | (_, StageError::Stopped) => StageError::Stopped,
        (Some(known @ StageError::Work(_)), _) => known,
        (Some(StageError::Retry { wait, reason }), StageError::Retry { wait: other, .. })
            if !other.outweighs(wait) =>
        {
            StageError::Retry { reason, wait }
        }
        (_, error) => error,
    }
}

/// Fails what is left of a slice: each item with what it failed with last, or else with the slice's reason.
///
/// # Errors
/// When its state cannot be read.
pub fn give_up<T>(slice: &mut Slice, reason: &str) -> Result<SliceEnd, StageError>
where
    T: Serialize + DeserializeOwned,
{
    let mut items: Items<T> = slice.body()?;
    let end = items.give_up(reason);
    slice.set_body(&items)?;
    Ok(end)
}

#[cfg(test)]
mod tests;
