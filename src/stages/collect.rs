//! `collect`: what an export needs of each report: raw log, stack trace, session logs, attachments, into `collected/`.
//!
//! Nothing is changed in App Center, so a report can be fetched twice; what is stored is the same.

use std::future::Future;

use serde::{Deserialize, Serialize};

use super::acting::{self, Fate, Fated};
use super::planned::read_plan;
use super::{Context, CutOutcome, Outcome, StageError};
use crate::appcenter::{Client, Error, Gone, RawSource};
use crate::domain::plan::Plan;
use crate::domain::{AppRef, ErrorId, GroupId};
use crate::work::{Slice, names};
use crate::workflow::Record;

/// Reports of one slice: each takes several calls.
const SLICE: usize = 10;
/// Largest raw log or attachment, in bytes: App Center takes attachments of 7 MB.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// A report to collect.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CollectItem {
    /// The plan's item.
    pub id: String,
    /// The app.
    pub app: AppRef,
    /// The group.
    pub group: GroupId,
    /// The report.
    pub error: ErrorId,
}

/// What was stored of a report.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Collected {
    /// Files, by their names under `collected/{owner}/{app}/{error}/`.
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
    /// What it is: `raw_log`, `stack_trace`, `session_logs`, `attachment`.
    pub kind: String,
    /// The name that the person's device gave it, for attachments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The media type that App Center says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
}

/// Cuts the plan's reports into slices.
pub(super) async fn cut(cx: Context<'_>, record: &Record) -> Result<CutOutcome, StageError> {
    let (plan, _bytes) = read_plan(cx, record).await?;
    let items = plan
        .reports
        .into_iter()
        .filter(|it| Plan::acts(it.action, &it.id, &[]))
        .map(|it| CollectItem {
            id: it.id,
            app: it.app,
            group: it.group_id,
            error: it.error_id,
        });
    super::block::slices(items, SLICE.min(cx.app.config.limits.slice_items))
}

/// Collects the reports of one slice.
pub(super) async fn run(
    cx: Context<'_>,
    _record: &Record,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    if cx.app.config.app_center.retired {
        return Err(StageError::permanent(
            "App Center is set as retired: it was not asked",
        ));
    }
    let client = cx.app.app_center()?;
    acting::act(cx, slice, |item: CollectItem, _attempted| async move {
        Box::pin(collect(cx, client, &item)).await
    })
    .await
}

async fn collect(cx: Context<'_>, client: &Client, item: &CollectItem) -> Fated {
    let CollectItem {
        app, group, error, ..
    } = item;
    let details = match client.error_details(app, group, error).await {
        Ok(details) => details,
        Err(Error::NotFound(_)) => return not_found(client, item).await,
        // The archive's copy is in the package all the same.
        Err(Error::Gone) => return Ok((Fate::AlreadyGone, None)),
        Err(error) => return Err(error.into()),
    };
    let mut collected = Collected::default();
    let mut save = Save {
        cx,
        item,
        collected: &mut collected,
    };
    save.store("details.json", "details", &details.json, "application/json")
        .await?;
    match twice(|| client.raw_log(app, group, error, MAX_FILE)).await {
        Ok(raw) => {
            let (name, kind) = match raw.source {
                RawSource::Text => ("raw.txt", "text/plain"),
                RawSource::Location | RawSource::Json => ("raw.json", "application/json"),
            };
            save.store(name, "raw_log", raw.bytes.expose(), kind)
                .await?;
        }
        Err(error) => save.missing("raw log", error)?,
    }
    match twice(|| client.stack_trace(app, group, error)).await {
        Ok(trace) => {
            save.store(
                "stacktrace.json",
                "stack_trace",
                trace.expose(),
                "application/json",
            )
            .await?;
        }
        Err(error) => save.missing("stack trace", error)?,
    }
    // Session logs belong to crashes; a handled error has none, and asking costs a call for each place they may be in.
    if group.as_str().ends_with('u') || !group.as_str().bytes().all(|byte| byte.is_ascii_digit()) {
        session_logs(client, &mut save).await?;
    }
    attachments(client, &mut save).await?;
    let detail = serde_json::to_string(&collected)
        .map_err(|_error| StageError::permanent("what was collected cannot be stored"))?;
    Ok((Fate::Done, Some(detail)))
}

/// A report is gone when the token that does not see it sees its app; else it is asked for again later.
async fn not_found(client: &Client, item: &CollectItem) -> Fated {
    match client
        .confirm_gone(&item.app, &item.group, &item.error)
        .await?
    {
        Gone::Confirmed => Ok((Fate::AlreadyGone, None)),
        Gone::StillThere => Err(StageError::retry(
            "App Center answered 404 to a report that it shows",
        )),
        Gone::AppUnreachable => Err(StageError::retry(
            "App Center answers 404 and does not show the app to the token: a person must check the token",
        )),
    }
}

/// Asks once more after a 404 to a part of a report that is there: it is believed when it is said twice.
async fn twice<T, F, Fut>(call: F) -> Result<T, Error>
where
    F: Fn() -> Fut,
    Fut: Future<Output = Result<T, Error>>,
{
    match call().await {
        Err(Error::NotFound(_)) => call().await,
        other => other,
    }
}

async fn session_logs(client: &Client, save: &mut Save<'_>) -> Result<(), StageError> {
    match twice(|| client.all_session_logs(&save.item.app, &save.item.error)).await {
        Ok((pages, is_complete)) => {
            for (page, n) in pages.iter().zip(1..) {
                let name = format!("session-logs-{n:02}.json");
                save.store(&name, "session_logs", &page.json, "application/json")
                    .await?;
            }
            if !is_complete {
                save.collected
                    .missing
                    .push("session logs beyond the last page".to_owned());
            }
        }
        Err(Error::NotFound(_) | Error::Gone) => {}
        Err(error) => save.missing("session logs", error)?,
    }
    Ok(())
}

async fn attachments(client: &Client, save: &mut Save<'_>) -> Result<(), StageError> {
    let item = save.item;
    let listed = match twice(|| client.attachments(&item.app, &item.error)).await {
        Ok(listed) => listed,
        Err(Error::NotFound(_) | Error::Gone) => return Ok(()),
        Err(error) => return save.missing("attachments", error),
    };
    for attachment in listed {
        let Some(id) = attachment.id else {
            save.collected
                .missing
                .push("an attachment without an ID".to_owned());
            continue;
        };
        let is_text = attachment
            .content_type
            .as_deref()
            .is_some_and(|kind| kind.starts_with("text/"));
        let text = if is_text {
            twice(|| client.attachment_text(&item.app, &item.error, &id))
                .await
                .ok()
        } else {
            None
        };
        let bytes = match text {
            Some(text) => bytes::Bytes::from(text.into_exposed()),
            None => match twice(|| client.attachment_bytes(&item.app, &item.error, &id, MAX_FILE))
                .await
            {
                Ok(bytes) => bytes.into_exposed(),
                Err(error) => {
                    save.missing("an attachment", error)?;
                    continue;
                }
            },
        };
        let kind = attachment
            .content_type
            .unwrap_or_else(|| "application/octet-stream".to_owned());
        let blob = format!("attachments/{}", id.as_str());
        save.store(&blob, "attachment", &bytes, "application/octet-stream")
            .await?;
        if let Some(file) = save.collected.files.last_mut() {
            file.name = attachment
                .file_name
                .map(crate::appcenter::Personal::into_exposed);
            file.content_type = Some(kind);
        }
    }
    Ok(())
}

/// Stores the parts of one report.
struct Save<'a> {
    cx: Context<'a>,
    item: &'a CollectItem,
    collected: &'a mut Collected,
}

impl Save<'_> {
    async fn store(
        &mut self,
        part: &str,
        kind: &str,
        bytes: &bytes::Bytes,
        content_type: &str,
    ) -> Result<(), StageError> {
        let blob = names::collected(&self.item.app, &self.item.error, part);
        let store = &self.cx.app.store;
        store
            .put(&blob, "collected data", bytes.to_vec(), content_type)
            .await?;
        self.collected.files.push(CollectedFile {
            blob,
            kind: kind.to_owned(),
            name: None,
            content_type: Some(content_type.to_owned()),
        });
        Ok(())
    }

    /// Notes what is not to be had; an error that may pass stops the report instead.
    fn missing(&mut self, what: &str, error: Error) -> Result<(), StageError> {
        match error {
            Error::NotFound(_)
            | Error::Gone
            | Error::Rejected { .. }
            | Error::Address { .. }
            | Error::Download { .. }
            | Error::TooLarge { .. } => {
                self.collected.missing.push(format!("{what}: {error}"));
                Ok(())
            }
            error => Err(error.into()),
        }
    }
}
