//! `collect`: metadata, stack trace, session logs, attachments and raw log of reports, into `collected/`.
//!
//! Two steps use it: `gather` (and `regather`) fetches every report of the ledger that is not yet fetched, of apps whose
//! data is got by API; `collect` fetches what an export needs of the person's reports. Nothing is changed in App Center,
//! and a report is not asked for again once its document is stored.

mod document;
mod fetch;
mod legacy;
mod view;

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use self::fetch::{Fetched, fetch};
use self::legacy::LegacyNames;
use super::acting::{self, Fate, Fated, Items};
use super::inventory::{self, Bridge, Inventory};
use super::planned::read_plan;
use super::setup::{self, Path, ledger_id};
use super::{Context, CutOutcome, Outcome, StageError};
use crate::appcenter::Client;
use crate::domain::plan::Plan;
use crate::domain::{AppRef, ErrorId, GroupId, LegacyIds};
use crate::ledger::{self, Key};
use crate::work::{Cut, Error, Slice, SliceInput};
use crate::workflow::join::MAX_SLICES;
use crate::workflow::{Record, Step};

/// Reports of one slice: each takes several calls.
const SLICE: usize = 10;
/// Rows of the ledger that are read at once.
const PAGE: usize = 1000;

/// A report to collect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CollectItem {
    /// The plan's item, or the ledger's key.
    pub id: String,
    /// The app.
    pub app: AppRef,
    /// Its ID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// The group.
    pub group: GroupId,
    /// The report.
    pub error: ErrorId,
    /// What the legacy API calls it, where only that one knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<LegacyIds>,
    /// The blob of its document once that is stored, where its ID does not tell the day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// What was stored of a report.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Collected {
    /// Its files: the document first.
    pub files: Vec<CollectedFile>,
    /// What could not be had, and why.
    #[serde(default)]
    pub missing: Vec<String>,
}

/// One stored file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CollectedFile {
    /// Its blob's name.
    pub blob: String,
    /// What it is: `report`, `raw_log`, `attachment`.
    pub kind: String,
    /// The name that the person's device gave it, for attachments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The media type that App Center says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// Cuts the reports into slices.
pub(super) async fn cut(
    cx: Context<'_>,
    record: &Record,
    step: Step,
) -> Result<CutOutcome, StageError> {
    if step == Step::Collect {
        planned(cx, record).await
    } else {
        unretrieved(cx, record, step).await
    }
}

/// The plan's reports.
async fn planned(cx: Context<'_>, record: &Record) -> Result<CutOutcome, StageError> {
    let (plan, _bytes) = read_plan(cx, record).await?;
    let setups = setup::load(cx.app, record).await?;
    let app_id = |app: &AppRef| {
        let mut setups = setups.iter();
        let setup = setups.find(|setup| setup.app.as_ref() == Some(app))?;
        setup.app_id.clone()
    };
    let items = plan
        .reports
        .into_iter()
        .filter(|it| Plan::acts(it.action, &it.id, &[]))
        .map(|it| CollectItem {
            document: it.collected.iter().find(|blob| is_document(blob)).cloned(),
            app_id: app_id(&it.app),
            id: it.id,
            app: it.app,
            group: it.group_id,
            error: it.error_id,
            legacy: it.legacy,
        });
    super::block::slices(items, SLICE.min(cx.app.config.limits.slice_items))
}

/// The reports of the ledger that are not yet fetched, of apps whose data is got by API.
async fn unretrieved(
    cx: Context<'_>,
    record: &Record,
    step: Step,
) -> Result<CutOutcome, StageError> {
    let mut cut = Cut {
        is_of_a_list: true,
        ..Cut::default()
    };
    let is_asked = !cx.app.config.app_center.retired;
    let setups = setup::load(cx.app, record).await?;
    let apps: Vec<(AppRef, String)> = setups
        .into_iter()
        .filter(|setup| is_asked && setup.path == Path::Api)
        .filter_map(|setup| setup.app.zip(setup.app_id))
        .collect();
    if apps.is_empty() {
        return Ok(CutOutcome::Cut(cut));
    }
    let reports = &cx.app.ledger;
    let mut open = 0;
    for (_, app_id) in &apps {
        let counts = match reports.counts(ledger_id(app_id)?).await {
            Ok(counts) => counts,
            // `inventory` said so already, and the archive can be searched all the same.
            Err(ledger::Error::Unavailable) => return Ok(CutOutcome::Cut(cut)),
            Err(error) => return Err(error.into()),
        };
        open += counts.total - counts.retrieved.min(counts.total);
    }
    // A cut that was killed left slices of a list that others have changed since: they stay as they are.
    let held = held(cx, record, step, &mut cut).await?;
    // A step has a limited number of slices, so that very many reports make them larger.
    let list = if step == Step::Regather {
        Step::Relist
    } else {
        Step::Inventory
    };
    let inventories = inventory::load(cx, record, list).await?;
    let least = usize::try_from(open / u64::from(MAX_SLICES / 2)).unwrap_or(usize::MAX);
    let size = SLICE.min(cx.app.config.limits.slice_items).max(least + 1);
    for (app, app_id) in apps {
        let mut bridges = bridges(cx, record, list, &inventories, &app).await?;
        let mut after = None;
        let mut items = Vec::new();
        loop {
            let table = ledger_id(&app_id)?;
            let page = reports.unretrieved(table, after.as_ref(), PAGE).await?;
            after = page.last().cloned().or(after);
            let is_last = page.is_empty();
            let page = page.into_iter().map(|key| (key.to_string(), key));
            let page = page.filter(|(id, _)| !held.contains(&(app.clone(), id.clone())));
            items.extend(page.map(|(id, key)| {
                let bridge = bridges.remove(&key);
                CollectItem {
                    id,
                    app: app.clone(),
                    app_id: Some(app_id.clone()),
                    group: key.group().clone(),
                    error: key.error().clone(),
                    document: bridge.as_ref().and_then(|it| fetch::document_of(&app, it)),
                    legacy: bridge.map(|it| it.legacy),
                }
            }));
            while items.len() >= size || (is_last && !items.is_empty()) {
                let rest = items.split_off(size.min(items.len()));
                let part = std::mem::replace(&mut items, rest);
                cut.slices.push(slice(part)?);
            }
            if is_last {
                break;
            }
        }
    }
    Ok(CutOutcome::Cut(cut))
}

/// Both names of those of an app's reports that only the legacy API lists, by the ledger's keys.
async fn bridges(
    cx: Context<'_>,
    record: &Record,
    list: Step,
    inventories: &[Inventory],
    app: &AppRef,
) -> Result<HashMap<Key, Bridge>, StageError> {
    let mut bridges = HashMap::new();
    let mut of_app = inventories.iter();
    if let Some(listed) = of_app.find(|it| it.app.as_ref() == Some(app)) {
        inventory::each_bridge(cx, record, list, &listed.bridges, |bridge| {
            // Where there is no other API, the ledger has the legacy names.
            let (group, error) = if listed.is_legacy_only {
                (&bridge.legacy.group, &bridge.legacy.crash)
            } else {
                (&bridge.group, &bridge.error)
            };
            if let Ok(key) = Key::new(group.clone(), error.clone()) {
                bridges.insert(key, bridge);
            }
        })
        .await?;
    }
    Ok(bridges)
}

/// Whether a blob of what was fetched of a report is its document.
fn is_document(blob: &str) -> bool {
    let folder = blob.rsplit('/').nth(1);
    blob.ends_with(".json") && matches!(folder, Some("crashes" | "errors"))
}

/// What the slices hold that are stored already, each of which takes its place in the cut.
async fn held(
    cx: Context<'_>,
    record: &Record,
    step: Step,
    cut: &mut Cut,
) -> Result<BTreeSet<(AppRef, String)>, StageError> {
    let store = &cx.app.store;
    let mut held = BTreeSet::new();
    for number in 0..MAX_SLICES {
        let stored = store.slice(&record.id, record.run, step, number).await?;
        if stored.state.body.is_null() {
            break;
        }
        let items: Items<CollectItem> = stored.body()?;
        cut.slices.push(SliceInput {
            items: u64::try_from(items.items.len()).unwrap_or(u64::MAX),
            ..SliceInput::default()
        });
        held.extend(
            items
                .items
                .into_iter()
                .map(|work| (work.item.app, work.item.id)),
        );
    }
    Ok(held)
}

fn slice(items: Vec<CollectItem>) -> Result<SliceInput, StageError> {
    let count = u64::try_from(items.len()).unwrap_or(u64::MAX);
    let body = serde_json::to_value(Items::new(items))
        .map_err(|_error| StageError::permanent("a slice cannot be stored"))?;
    Ok(SliceInput { items: count, body })
}

/// Collects the reports of one slice.
pub(super) async fn run(
    cx: Context<'_>,
    record: &Record,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    let setups = &setup::load(cx.app, record).await?;
    let client = cx.app.app_center()?;
    let is_of_ledger = slice.step != Step::Collect;
    let is_last = slice.state.tries >= cx.app.config.limits.patience();
    let items: Items<CollectItem> = slice.body()?;
    let names = &LegacyNames::new(items.items.into_iter().map(|work| work.item.error));
    let desk = Desk {
        cx,
        record,
        client,
        names,
    };
    acting::act(cx, slice, |item: CollectItem, _earlier| async move {
        if setup::is_retired(cx.app, setups, &item.app) {
            return Err(setup::retired().into());
        }
        Box::pin(collect(desk, &item, is_of_ledger, is_last)).await
    })
    .await
}

/// What the reports of a slice share.
#[derive(Debug, Clone, Copy)]
struct Desk<'a> {
    cx: Context<'a>,
    record: &'a Record,
    client: &'a Client,
    names: &'a LegacyNames,
}

async fn collect(desk: Desk<'_>, item: &CollectItem, is_of_ledger: bool, is_last: bool) -> Fated {
    let cx = desk.cx;
    let fetched = fetch(desk, item, !is_of_ledger, is_last).await?;
    if let (true, Some(app_id)) = (is_of_ledger, &item.app_id) {
        // Also one that is gone: there is nothing more to retrieve of it.
        let key = Key::new(item.group.clone(), item.error.clone())
            .map_err(|error| StageError::permanent(error.to_string()))?;
        let table = ledger_id(app_id)?;
        cx.app.ledger.mark_retrieved(table, &[key]).await?;
    }
    match fetched {
        Fetched::Gone => Ok((Fate::AlreadyGone, None)),
        // The ledger knows all that a later step needs of it.
        Fetched::Stored(_) if is_of_ledger => Ok((Fate::Done, None)),
        Fetched::Stored(collected) => {
            let detail = serde_json::to_string(&collected)
                .map_err(|_error| StageError::permanent("what was collected cannot be stored"))?;
            Ok((Fate::Done, Some(detail)))
        }
    }
}

/// Removes what was fetched of a report, once it was erased.
pub(super) async fn remove(cx: Context<'_>, documents: &[String]) -> Result<(), Error> {
    let store = &cx.app.store;
    for document in documents {
        let Some((day, name)) = document.rsplit_once(['/']).and_then(|(folder, name)| {
            let (day, _kind) = folder.rsplit_once('/')?;
            Some((day, name.strip_suffix(".json")?))
        }) else {
            continue;
        };
        // The document last: while it is there, what belongs to it is known.
        for folder in ["attachments", "crashes", "errors"] {
            let prefix = format!("{day}/{folder}/{name}/");
            store.delete_under(&prefix, "collected data").await?;
        }
        store.delete(document, "collected data").await?;
    }
    Ok(())
}
