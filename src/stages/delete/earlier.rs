//! What earlier runs of a request may have deleted: from their slices while these are there, else from their reports.

use std::collections::HashMap;

use super::DeleteItem;
use crate::report::{Outcome, Report};
use crate::stages::acting::{Fate, Items, Work};
use crate::stages::{Context, StageError};
use crate::work::{Error, names};
use crate::workflow::{Record, Step};

/// Slices that are read at once.
const PARALLEL: u32 = 16;
/// Largest report that is read, in bytes.
const MAX_REPORT: usize = 256 * 1024 * 1024;

/// The items that an earlier run may have deleted, with what its last try left to be known.
#[derive(Debug, Default)]
pub(super) struct Ours(HashMap<String, Option<String>>);

impl Ours {
    /// The item with what is known of it.
    pub(super) fn known(&self, item: DeleteItem) -> Work<DeleteItem> {
        let known = self.0.get(&item.id);
        Work {
            attempted: known.is_some(),
            detail: known.cloned().flatten(),
            ..Work::new(item)
        }
    }

    fn add(&mut self, work: Work<DeleteItem>) {
        match work.fate {
            // Somebody else's doing.
            Some(Fate::AlreadyGone) => {}
            Some(Fate::Done | Fate::Failed(_)) | None => {
                if work.attempted {
                    self.0.insert(work.item.id, work.detail);
                }
            }
        }
    }
}

/// Reads what the earlier runs did.
pub(super) async fn load(cx: Context<'_>, record: &Record) -> Result<Ours, StageError> {
    let mut ours = Ours::default();
    let store = &cx.app.store;
    for run in 1..record.run {
        let Some(root) = store.root(&record.id, run, Step::Delete).await? else {
            reported(cx, record, run, &mut ours).await?;
            continue;
        };
        for first in (0..root.slices).step_by(PARALLEL as usize) {
            let last = root.slices.min(first + PARALLEL);
            let reads = (first..last).map(|n| store.slice(&record.id, run, Step::Delete, n));
            for slice in futures::future::join_all(reads).await {
                let items: Items<DeleteItem> = slice?.body()?;
                items.items.into_iter().for_each(|work| ours.add(work));
            }
        }
    }
    Ok(ours)
}

/// The same of a run whose work is removed: its report says what it deleted.
async fn reported(
    cx: Context<'_>,
    record: &Record,
    run: u32,
    ours: &mut Ours,
) -> Result<(), StageError> {
    let name = names::report(&record.id, run, "json");
    let read = cx.app.store.container().read(&name, MAX_REPORT).await;
    let Some(stored) = read.map_err(Error::from)? else {
        return Ok(());
    };
    // One that cannot be read says nothing; then a 404 is `already_gone`, which it is.
    let Ok(report) = serde_json::from_slice::<Report>(&stored.bytes) else {
        return Ok(());
    };
    for item in report.reports.into_iter().chain(report.test_runs) {
        if item.outcome == Outcome::Deleted {
            ours.0.insert(item.id, None);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::AppRef;
    use crate::stages::delete::What;
    use uuid::Uuid;

    fn item(id: &str) -> DeleteItem {
        DeleteItem {
            id: id.to_owned(),
            app: AppRef::new("contoso", "shop").expect("valid"),
            what: What::TestRun { run: Uuid::nil() },
        }
    }

    #[test]
    fn what_an_earlier_run_may_have_deleted_is_ours() {
        let mut ours = Ours::default();
        let failed = || Some(Fate::Failed("blobs are left".to_owned()));
        for (id, fate, attempted) in [
            ("done", Some(Fate::Done), true),
            ("gone", Some(Fate::AlreadyGone), true),
            ("failed", failed(), true),
            ("under way", None, true),
            ("never tried", failed(), false),
        ] {
            ours.add(Work {
                fate,
                attempted,
                detail: (id == "failed").then(|| "2 of its blobs".to_owned()),
                ..Work::new(item(id))
            });
        }
        for (id, attempted, detail) in [
            ("done", true, None),
            ("gone", false, None),
            ("failed", true, Some("2 of its blobs")),
            ("under way", true, None),
            ("never tried", false, None),
            ("new", false, None),
        ] {
            let known = ours.known(item(id));
            let is = (known.attempted, known.detail.as_deref());
            assert_eq!(is, (attempted, detail), "{id}");
            assert_eq!(known.fate, None, "it is deleted (again) in this run");
        }
    }
}
