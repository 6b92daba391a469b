//! How long our own copies are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::domain::{AppRef, RequestId};
use crate::ledger;
use crate::report::{Form, Report};
use crate::stages::aggregate::store_report;
use crate::stages::planned::sha256;
use crate::stages::{Context, StageError, setup};
use crate::work::{Error, names};
use crate::workflow::Record;

/// How often retention is looked at: it reads every record.
const EVERY: Duration = Duration::from_secs(6 * 3600);
/// Largest report that is read, in bytes: tens of thousands of items.
const MAX_REPORT: usize = 256 * 1024 * 1024;
const STATE: &str = "sweep/retention.json";

#[derive(Debug, Serialize, Deserialize)]
struct State {
    looked_at: Timestamp,
    /// Apps whose rows were removed from the ledger, with the end of their last request: it need not be asked again.
    #[serde(default)]
    forgotten: BTreeMap<String, Timestamp>,
}

/// Removes what is kept no longer, if it is time to look.
pub(super) async fn run(cx: Context<'_>) -> Result<(), Error> {
    let read = cx.app.store.read_json::<State>(STATE, "retention").await?;
    if let Some((state, _etag)) = &read
        && cx.now().duration_since(state.looked_at).unsigned_abs() < EVERY
    {
        return Ok(());
    }
    let mut last_open: BTreeMap<AppRef, Timestamp> = BTreeMap::new();
    let mut listing = cx.app.store.container().list(names::RECORDS);
    while let Some(page) = listing.next_page().await? {
        for entry in page {
            let name = entry.name.strip_prefix(names::RECORDS).unwrap_or_default();
            let Ok(id) = name.trim_end_matches(".json").parse::<RequestId>() else {
                continue;
            };
            let record = match cx.app.store.record(&id).await {
                Ok(Some(loaded)) => loaded.record,
                Ok(None) | Err(Error::Corrupt { .. } | Error::Newer { .. }) => continue,
                Err(error) => return Err(error),
            };
            let until = record.ended_at.unwrap_or(Timestamp::MAX);
            for app in &record.apps {
                let last = last_open.entry(app.clone()).or_insert(until);
                *last = (*last).max(until);
            }
            if let Some(ended_at) = record.ended_at {
                expire(cx, &record, ended_at).await?;
            }
        }
    }
    let collected = cx.app.config.limits.collected;
    let known = read.as_ref().map(|(state, _etag)| &state.forgotten);
    let mut forgotten = BTreeMap::new();
    for (app, last) in last_open {
        if !is_over(cx, last, collected) {
            continue;
        }
        let name = app.to_string();
        let was_forgotten = known.and_then(|known| known.get(&name)) == Some(&last);
        let prefix = names::collected_prefix(&app);
        // Rows can be there without anything fetched: of a request that was cancelled, or whose reports were all erased.
        let is_left = cx.app.store.container().exists_under(&prefix).await?;
        if (is_left || !was_forgotten) && !forget_listed(cx, &app).await? {
            continue;
        }
        if is_left {
            let store = &cx.app.store;
            let deleted = store.delete_under(&prefix, "collected data").await?;
            tracing::info!(%app, deleted, "collected data was removed");
        }
        forgotten.insert(name, last);
    }
    expire_refused(cx).await?;
    let state = State {
        looked_at: cx.now(),
        forgotten,
    };
    let etag = read.map(|(_, etag)| etag);
    match cx
        .app
        .store
        .replace_json(STATE, "retention", &state, etag.as_ref())
        .await
    {
        // Another instance looked at the same time.
        Ok(_) | Err(Error::Lost { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes an app's rows from the ledger, before what was collected of it: while that is there, it is tried again.
/// Whether they are gone.
async fn forget_listed(cx: Context<'_>, app: &AppRef) -> Result<bool, Error> {
    let app_id = match setup::recall(cx, app).await.map(|it| it.app_id) {
        Ok(Some(app_id)) => app_id,
        // No report of an app without an ID was ever listed.
        Ok(None) => return Ok(true),
        Err(StageError::Work(error)) => return Err(error),
        Err(error) => {
            tracing::warn!(%app, "the ledger keeps its rows for now: {error}");
            return Ok(false);
        }
    };
    let Ok(table) = setup::ledger_id(&app_id) else {
        return Ok(true);
    };
    let dropped = cx.app.ledger.drop_app(table).await;
    if let Err(ledger::Error::Unavailable) = dropped {
        // Without a ledger nothing is listed.
        return Ok(true);
    }
    if let Err(error) = &dropped {
        tracing::warn!(%app, "the ledger keeps its rows for now: {error}");
    }
    Ok(dropped.is_ok())
}

fn is_over(cx: Context<'_>, since: Timestamp, kept: Duration) -> bool {
    let age = cx.now().duration_since(since);
    age.is_positive() && age.unsigned_abs() >= kept
}

fn is_report_over(cx: Context<'_>, since: Timestamp) -> bool {
    let months = Span::new().months(cx.app.config.limits.report_months);
    let kept = since.to_zoned(TimeZone::UTC).saturating_add(months);
    cx.now() >= kept.timestamp()
}

/// A request that ended: package and identifiers after their days, the rest after its months.
async fn expire(cx: Context<'_>, record: &Record, ended_at: Timestamp) -> Result<(), Error> {
    let store = &cx.app.store;
    if is_report_over(cx, ended_at) {
        for prefix in ["plans", "reports", "packages"] {
            store
                .delete_under(&format!("{prefix}/{}/", record.id), "an expired request")
                .await?;
        }
        store
            .delete(&names::record(&record.id), "an expired request")
            .await?;
        tracing::info!(request = %record.id, "a request is no longer kept");
        return Ok(());
    }
    if record.work_removed || !is_over(cx, ended_at, cx.app.config.limits.package) {
        return Ok(());
    }
    let report_sha256 = archive_reports(cx, record).await?;
    store
        .delete_under(&format!("packages/{}/", record.id), "an expired package")
        .await?;
    store
        .delete_under(&format!("plans/{}/", record.id), "an expired plan")
        .await?;
    let now = cx.now();
    let updated = store.update_record(&record.id, |stored| {
        if stored.ended_at != Some(ended_at) {
            return Err(());
        }
        if let Some(package) = &mut stored.package {
            package.deleted_at = Some(now);
        }
        if let Some(sha256) = &report_sha256 {
            stored.report_sha256 = Some(sha256.clone());
        }
        stored.plan = None;
        stored.subject = None;
        stored.work_removed = true;
        stored.note(
            now,
            "package, plan and identifiers removed by retention",
            None,
            None,
        );
        Ok(())
    });
    updated.await?;
    Ok(())
}

/// Replaces the report of every run by its archive form; gives the hash of the last run's, once it is replaced.
///
/// Repeating it changes nothing: a report in its archive form stays as it is.
async fn archive_reports(cx: Context<'_>, record: &Record) -> Result<Option<String>, Error> {
    let mut last = None;
    for run in 1..=record.run {
        let name = names::report(&record.id, run, "json");
        let Some(stored) = cx.app.store.container().read(&name, MAX_REPORT).await? else {
            continue;
        };
        let bytes = match serde_json::from_slice::<Report>(&stored.bytes) {
            Ok(report) => {
                // The Markdown of an archived one is stored again: a kill may have come between the two.
                let report = match report.form {
                    Form::Full => Report {
                        full_sha256: Some(sha256(&stored.bytes)),
                        ..report.without_identifiers()
                    },
                    Form::Archive => report,
                };
                let of_run = Record {
                    run,
                    ..record.clone()
                };
                match store_report(cx, &of_run, &report).await {
                    Ok(bytes) => bytes,
                    Err(StageError::Work(error)) => return Err(error),
                    Err(error) => {
                        tracing::error!(request = %record.id, run, "the report stays: {error}");
                        continue;
                    }
                }
            }
            Err(_error) => {
                // What cannot be read names people all the same, and would for 24 months.
                tracing::error!(request = %record.id, run, "a report that cannot be read is removed");
                for extension in ["json", "md"] {
                    let name = names::report(&record.id, run, extension);
                    cx.app.store.delete(&name, "an unreadable report").await?;
                }
                continue;
            }
        };
        if run == record.run {
            last = Some(sha256(&bytes));
        }
    }
    Ok(last)
}

async fn expire_refused(cx: Context<'_>) -> Result<(), Error> {
    let mut listing = cx.app.store.container().list(names::REFUSED);
    while let Some(page) = listing.next_page().await? {
        for entry in page
            .iter()
            .filter(|entry| is_report_over(cx, entry.last_modified))
        {
            cx.app.store.delete(&entry.name, "a refused intake").await?;
        }
    }
    Ok(())
}
