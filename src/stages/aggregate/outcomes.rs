//! What became of each item, read back from the slices that acted on them.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::report::{ItemOutcome, Outcome};
use crate::stages::acting::{Fate, Items, Work};
use crate::stages::block::BlockItem;
use crate::stages::collect::{CollectItem, Collected};
use crate::stages::delete::DeleteItem;
use crate::stages::test_export::{self, TestExport};
use crate::stages::{Context, StageError};
use crate::workflow::{Record, Step};

/// Slices that are read at once.
const PARALLEL: u32 = 16;

/// Outcomes by item ID, and what was collected of each report of an export.
#[derive(Debug, Default)]
pub(super) struct Outcomes {
    pub(super) items: BTreeMap<String, ItemOutcome>,
    pub(super) collected: BTreeMap<String, Collected>,
    /// Reports that App Center did not give, with the reason.
    pub(super) refused: BTreeMap<String, String>,
    /// What was got of App Center Test, by app.
    pub(super) tests: Vec<TestExport>,
}

/// Reads every outcome of the current run.
pub(super) async fn load(cx: Context<'_>, record: &Record) -> Result<Outcomes, StageError> {
    let mut all = Outcomes {
        tests: test_export::load(cx, record).await?,
        ..Outcomes::default()
    };
    each(cx, record, Step::Block, |work: Work<BlockItem>| {
        let outcome = match work.fate {
            Some(Fate::Done | Fate::AlreadyGone) => Outcome::Blocked,
            other => undone(other, work.attempted),
        };
        all.items.insert(work.item.id, outcome.into());
    })
    .await?;
    each(cx, record, Step::Delete, |work: Work<DeleteItem>| {
        let outcome = match work.fate {
            Some(Fate::Done) => Outcome::Deleted,
            Some(Fate::AlreadyGone) => Outcome::AlreadyGone,
            other => undone(other, work.attempted),
        };
        all.items.insert(work.item.id, outcome.into());
    })
    .await?;
    each(
        cx,
        record,
        Step::Collect,
        |work: Work<CollectItem>| match work.fate {
            Some(Fate::Done) => {
                let collected = work.detail.as_deref().map(serde_json::from_str);
                let collected = collected.and_then(Result::ok).unwrap_or_default();
                all.collected.insert(work.item.id, collected);
            }
            Some(Fate::AlreadyGone) => {
                let reason = "App Center has it no longer".to_owned();
                all.refused.insert(work.item.id, reason);
            }
            Some(Fate::Failed(reason)) => {
                all.refused.insert(work.item.id, reason);
            }
            None => {
                let reason = "it was not fetched".to_owned();
                all.refused.insert(work.item.id, reason);
            }
        },
    )
    .await?;
    Ok(all)
}

fn undone(fate: Option<Fate>, attempted: bool) -> Outcome {
    match fate {
        Some(Fate::Failed(reason)) => Outcome::Failed { reason },
        _ if attempted => Outcome::Failed {
            reason: "the run was ended while it was tried: App Center may have done it".to_owned(),
        },
        _ => Outcome::NotAttempted {
            reason: "the run was ended before its turn".to_owned(),
        },
    }
}

async fn each<T: DeserializeOwned>(
    cx: Context<'_>,
    record: &Record,
    step: Step,
    mut take: impl FnMut(Work<T>),
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
            items.items.into_iter().for_each(&mut take);
        }
    }
    Ok(())
}
