//! Acting on a slice's items one wave at a time: block, delete, collect.
//!
//! The slice remembers how far it got. Before a wave it is saved with the number of items that will have been attempted,
//! so that a second run knows which calls an earlier one may have made: an item that is gone then was deleted by us.

use std::future::Future;

use futures::StreamExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Context, Outcome, StageError};
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
        let items = items
            .into_iter()
            .map(|item| Work {
                item,
                fate: None,
                detail: None,
                attempted: false,
            })
            .collect();
        Self { items }
    }

    /// The next items without a fate.
    fn wave(&self) -> Vec<usize> {
        let open = (0..self.items.len()).filter(|n| self.items[*n].fate.is_none());
        open.take(WAVE).collect()
    }

    /// Notes that calls for these items may be made from now on; whether they may have been made before, for each.
    fn attempt(&mut self, wave: &[usize]) -> Vec<bool> {
        wave.iter()
            .map(|n| std::mem::replace(&mut self.items[*n].attempted, true))
            .collect()
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

/// Acts on a slice's items until all have a fate, time is up, or something stops it.
///
/// `act` is told what an earlier run may have done to the item. An item that fails for a reason that may pass is
/// tried again in a later invocation; the others go on.
///
/// # Errors
/// The first error that stopped an item, once all that could be done in this wave is saved.
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
    let mut wave = items.wave();
    let mut before = items.attempt(&wave);
    if before.contains(&false) {
        slice.set_body(&items)?;
        cx.app.store.save_slice(slice).await?;
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
        let mut stopped = None;
        for (n, fated) in fates {
            let (fate, detail) = match fated {
                Ok(fated) => fated,
                Err(Undone {
                    error: StageError::Permanent { reason },
                    ..
                }) => (Fate::Failed(reason), None),
                Err(Undone { error, detail }) => {
                    if detail.is_some() {
                        items.items[n].detail = detail;
                    }
                    stopped = Some(worse(stopped, error));
                    continue;
                }
            };
            items.items[n].fate = Some(fate);
            items.items[n].detail = detail;
            slice.state.tries = 0;
            slice.state.failing_since = None;
        }
        wave = items.wave();
        let goes_on = stopped.is_none() && !cx.is_out_of_time();
        // One save tells of this wave and announces the next.
        before = if goes_on {
            items.attempt(&wave)
        } else {
            Vec::new()
        };
        slice.set_body(&items)?;
        cx.app.store.save_slice(slice).await?;
        if let Some(error) = stopped {
            return Err(error);
        }
        if !goes_on && !wave.is_empty() {
            return Ok(Outcome::Continue);
        }
    }
    Ok(Outcome::Over(items.end()))
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

/// Fails what is left of a slice.
///
/// # Errors
/// When its state cannot be read.
pub fn give_up<T>(slice: &mut Slice, reason: &str) -> Result<SliceEnd, StageError>
where
    T: Serialize + DeserializeOwned,
{
    let mut items: Items<T> = slice.body()?;
    for work in items.items.iter_mut().filter(|work| work.fate.is_none()) {
        work.fate = Some(Fate::Failed(reason.to_owned()));
    }
    let end = items.end();
    slice.set_body(&items)?;
    Ok(end)
}
