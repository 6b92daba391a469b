//! What became of each item, read back from the slices that acted on them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::stages::acting::{Fate, Items};
use crate::stages::block::BlockItem;
use crate::stages::collect::CollectItem;
use crate::stages::delete::DeleteItem;
use crate::stages::{Context, StageError};
use crate::workflow::{Record, Step};

/// Slices that are read at once.
const PARALLEL: u32 = 16;

/// What became of one item.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Became {
    /// The step that acted on it.
    pub(super) step: Step,
    /// Its fate.
    pub(super) fate: Fate,
    /// What else is to be said of it.
    pub(super) detail: Option<String>,
}

/// An item with the plan's ID.
trait Identified {
    fn id(&self) -> &str;
}

macro_rules! identified {
    ($($item:ty),*) => { $(impl Identified for $item { fn id(&self) -> &str { &self.id } })* };
}
identified!(BlockItem, DeleteItem, CollectItem);

/// Reads every outcome of the current run, by item ID.
pub(super) async fn load(
    cx: Context<'_>,
    record: &Record,
) -> Result<BTreeMap<String, Became>, StageError> {
    let mut all = BTreeMap::new();
    step::<BlockItem>(cx, record, Step::Block, &mut all).await?;
    step::<DeleteItem>(cx, record, Step::Delete, &mut all).await?;
    step::<CollectItem>(cx, record, Step::Collect, &mut all).await?;
    Ok(all)
}

async fn step<T: DeserializeOwned + Identified>(
    cx: Context<'_>,
    record: &Record,
    step: Step,
    all: &mut BTreeMap<String, Became>,
) -> Result<(), StageError> {
    let store = &cx.app.store;
    let Some(root) = store.root(&record.id, record.run, step).await? else {
        return Ok(());
    };
    for first in (0..root.slices).step_by(PARALLEL as usize) {
        let last = root.slices.min(first + PARALLEL);
        let reads = (first..last).map(|n| store.slice(&record.id, record.run, step, n));
        for slice in futures::future::join_all(reads).await {
            let items: Items<T> = slice?.body()?;
            for work in items.items {
                let fate = work
                    .fate
                    .unwrap_or(Fate::Failed("it was not attempted".to_owned()));
                let became = Became {
                    step,
                    fate,
                    detail: work.detail,
                };
                all.insert(work.item.id().to_owned(), became);
            }
        }
    }
    Ok(())
}
