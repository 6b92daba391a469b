//! Fetching one report whole: document, long raw log, attachments. The document is stored last: where it is, all is.

use std::future::Future;

use bytes::Bytes;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::document::{AttachmentPart, Document, MAX_EMBEDDED, Parts, RawPart, part};
use super::view::{Ids, View};
use super::{CollectItem, Collected, CollectedFile, Desk};
use crate::appcenter::{Attachment, Error, Gone};
use crate::domain::hit::InstallFrom;
use crate::domain::{AppRef, ErrorId, GroupId};
use crate::stages::inventory::Bridge;
use crate::stages::{Context, StageError};
use crate::work::names;

/// Largest document that is read back, in bytes.
const MAX_DOCUMENT: usize = 64 * 1024 * 1024;

/// What became of fetching a report.
pub(super) enum Fetched {
    /// It is stored.
    Stored(Collected),
    /// App Center has it no longer.
    Gone,
}

/// Fetches a report, unless it is there already; what is there is read only when its parts are `wanted`. A part whose
/// answer makes no sense is waited for, unless this `is_last`.
pub(super) async fn fetch(
    desk: Desk<'_>,
    item: &CollectItem,
    wanted: bool,
    is_last: bool,
) -> Result<Fetched, StageError> {
    let by_id = || document_name(&item.app, &item.group, &item.error, None);
    if let Some(name) = item.document.clone().or_else(by_id)
        && let Some(collected) = stored(desk.cx, &name, wanted).await?
    {
        return Ok(Fetched::Stored(collected));
    }
    let ids = match &item.legacy {
        Some(legacy) => Ids::Legacy(&legacy.group, &legacy.crash),
        None if item.group.is_legacy() => Ids::Legacy(&item.group, &item.error),
        None => Ids::Current(&item.group, &item.error),
    };
    let app = &item.app;
    let view = View {
        client: desk.client,
        app,
        ids,
        is_last,
    };
    by(desk, view, item).await
}

/// The blob of a report's document; its day is that of its ID, else of when it was made.
fn document_name(
    app: &AppRef,
    group: &GroupId,
    error: &ErrorId,
    at: Option<Timestamp>,
) -> Option<String> {
    let day = error.timestamp().or(at).map(utc_day)?;
    let is_crash = group.may_hold_crashes();
    Some(names::collected_report(app, day, is_crash, error))
}

/// The same of a report that only the legacy API lists.
pub(super) fn document_of(app: &AppRef, bridge: &Bridge) -> Option<String> {
    document_name(app, &bridge.group, &bridge.error, bridge.at)
}

/// What is stored of a report, if it is.
async fn stored(
    cx: Context<'_>,
    name: &str,
    wanted: bool,
) -> Result<Option<Collected>, StageError> {
    let container = cx.app.store.container();
    if !wanted {
        // It is stored last, so where it is all is.
        let known = container.head(name).await;
        let known = known.map_err(crate::work::Error::from)?;
        return Ok(known.map(|_properties| Collected::default()));
    }
    let read = container.read(name, MAX_DOCUMENT).await;
    let Some(stored) = read.map_err(crate::work::Error::from)? else {
        return Ok(None);
    };
    // One that cannot be read is fetched anew.
    let Ok(parts) = serde_json::from_slice::<Parts>(&stored.bytes) else {
        return Ok(None);
    };
    Ok(Some(collected(name.to_owned(), parts)))
}

fn collected(name: String, parts: Parts) -> Collected {
    let file = |blob: String, kind: &str| CollectedFile {
        blob,
        kind: kind.to_owned(),
        name: None,
        content_type: None,
    };
    let mut files = vec![file(name, "report")];
    let raw = parts.raw_log.and_then(|raw| raw.blob);
    files.extend(raw.map(|blob| file(blob, "raw_log")));
    files.extend(parts.attachments.into_iter().map(|it| CollectedFile {
        name: it.file_name,
        content_type: it.content_type,
        ..file(it.blob, "attachment")
    }));
    Collected {
        files,
        missing: parts.missing,
    }
}

async fn by(desk: Desk<'_>, view: View<'_>, item: &CollectItem) -> Result<Fetched, StageError> {
    let cx = desk.cx;
    let details = match view.details().await {
        Ok(details) => details,
        Err(Error::NotFound(_)) => return not_found(&view).await,
        // The archive's copy is in the package all the same.
        Err(Error::Gone) => return Ok(Fetched::Gone),
        Err(error) => return Err(error.into()),
    };
    let (group, error) = match details.new {
        Some((group, error)) => (group.unwrap_or(item.group.clone()), error),
        None => (item.group.clone(), item.error.clone()),
    };
    let mut document = Document::new(error.clone(), group.clone(), &details.json);
    document.app_id = item.app_id.clone();
    document.timestamp = details.at.or_else(|| error.timestamp());
    document.set_legacy(view.legacy());
    let place = Place {
        cx,
        item,
        day: utc_day(error.timestamp().or(details.at).unwrap_or(cx.now())),
        is_crash: group.may_hold_crashes(),
        error: &error,
    };
    let mut raw_log = twice(|| view.raw_log()).await;
    if let Err(error) = &raw_log
        && view.lacks(error)
        && let Some(found) = legacy_raw_log(desk, &view).await?
    {
        raw_log = Ok(found);
    }
    match raw_log {
        Ok((bytes, from)) => {
            document.learn_install(&bytes, InstallFrom::RawLog);
            document.raw_log = Some(place.raw(bytes, from).await?);
        }
        Err(error) => missing(&mut document, &view, "raw log", error)?,
    }
    if document.install_id.is_none() {
        native_text(&view, &mut document).await?;
    }
    match twice(|| view.stack_trace()).await {
        Ok(trace) => document.stack_trace = Some(part(&trace)),
        Err(error) => missing(&mut document, &view, "stack trace", error)?,
    }
    if view.may_have_session_logs() {
        session_logs(&view, &mut document).await?;
    }
    attachments(&view, &place, &mut document).await?;
    place.document(&document).await.map(Fetched::Stored)
}

/// A report is gone when the token that does not see it sees its app; else it is asked for again later.
async fn not_found(view: &View<'_>) -> Result<Fetched, StageError> {
    let gone = match view.ids {
        Ids::Current(group, error) => view.client.confirm_gone(view.app, group, error).await?,
        Ids::Legacy(group, crash) => {
            view.client
                .confirm_crash_gone(view.app, group, crash)
                .await?
        }
    };
    match gone {
        Gone::Confirmed => Ok(Fetched::Gone),
        Gone::StillThere => Err(StageError::retry(
            "App Center answered 404 to a report that it shows",
        )),
        Gone::AppUnreachable => Err(StageError::person(
            "App Center answers 404 and does not show the app to the token: a person must check `APPCENTER_API_TOKEN`",
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

/// The raw log of a report of the current API that only the legacy one still gives. What that one calls the report, only
/// its list of the group tells.
async fn legacy_raw_log(
    desk: Desk<'_>,
    view: &View<'_>,
) -> Result<Option<(Bytes, &'static str)>, StageError> {
    let Ids::Current(group, error) = view.ids else {
        return Ok(None);
    };
    let names = desk.names.of(desk, view, (group, error)).await?;
    let Some((group, crash)) = names else {
        return Ok(None);
    };
    let legacy = View {
        ids: Ids::Legacy(&group, &crash),
        ..*view
    };
    match twice(|| legacy.raw_log()).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if view.lacks(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A report without one is no fault: only native crashes have it.
async fn native_text(view: &View<'_>, document: &mut Document) -> Result<(), StageError> {
    match view.native_text().await {
        Ok(text) if text.len() <= MAX_EMBEDDED => {
            document.learn_install(&text, InstallFrom::RawLog);
            if document.install_id.is_some() {
                document.native_text = Some(part(&text));
            }
            Ok(())
        }
        Ok(_) => Ok(()),
        Err(Error::NotFound(_) | Error::Gone | Error::Rejected { .. } | Error::Protocol { .. }) => {
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

async fn session_logs(view: &View<'_>, document: &mut Document) -> Result<(), StageError> {
    match twice(|| view.session_logs()).await {
        Ok((pages, is_complete)) => {
            for page in pages {
                document.learn_install(&page, InstallFrom::SessionLogs);
                document.session_logs.push(part(&page));
            }
            if !is_complete {
                let reason = "session logs beyond the last page".to_owned();
                document.missing.push(reason);
            }
        }
        Err(Error::NotFound(_) | Error::Gone) => {}
        Err(error) => missing(document, view, "session logs", error)?,
    }
    Ok(())
}

async fn attachments(
    view: &View<'_>,
    place: &Place<'_>,
    document: &mut Document,
) -> Result<(), StageError> {
    let listed = match twice(|| view.attachments()).await {
        Ok(listed) => listed,
        Err(Error::NotFound(_) | Error::Gone) => return Ok(()),
        Err(error) => return missing(document, view, "attachments", error),
    };
    for attachment in listed {
        let Some(id) = &attachment.id else {
            let reason = "an attachment without an ID".to_owned();
            document.missing.push(reason);
            continue;
        };
        let kind = attachment.content_type.as_deref();
        let is_text = kind.is_some_and(|kind| kind.starts_with("text/"));
        match twice(|| view.attachment(id, is_text)).await {
            Ok(bytes) => {
                let part = place.attachment(attachment, bytes).await?;
                document.attachments.extend(part);
            }
            Err(error) => missing(document, view, "an attachment", error)?,
        }
    }
    Ok(())
}

/// Notes what is not to be had; an error that may pass stops the report instead.
fn missing(
    document: &mut Document,
    view: &View<'_>,
    what: &str,
    error: Error,
) -> Result<(), StageError> {
    if !view.lacks(&error) {
        return Err(error.into());
    }
    document.missing.push(format!("{what}: {error}"));
    Ok(())
}

/// Where the parts of one report are stored.
struct Place<'a> {
    cx: Context<'a>,
    item: &'a CollectItem,
    day: Date,
    is_crash: bool,
    error: &'a ErrorId,
}

impl Place<'_> {
    async fn put(&self, name: &str, bytes: Vec<u8>, kind: &str) -> Result<(), StageError> {
        let store = &self.cx.app.store;
        store.put(name, "collected data", bytes, kind).await?;
        Ok(())
    }

    async fn raw(&self, bytes: Bytes, from: &'static str) -> Result<RawPart, StageError> {
        if bytes.len() <= MAX_EMBEDDED {
            return Ok(RawPart {
                from,
                log: Some(part(&bytes)),
                blob: None,
            });
        }
        let name = names::collected_raw(&self.item.app, self.day, self.is_crash, self.error);
        self.put(&name, bytes.to_vec(), "application/octet-stream")
            .await?;
        Ok(RawPart {
            from,
            log: None,
            blob: Some(name),
        })
    }

    async fn attachment(
        &self,
        attachment: Attachment,
        bytes: Bytes,
    ) -> Result<Option<AttachmentPart>, StageError> {
        let Some(id) = attachment.id else {
            return Ok(None);
        };
        let folder = names::collected_attachments(&self.item.app, self.day, self.error);
        let name = format!("{folder}{}", id.as_str());
        self.put(&name, bytes.to_vec(), "application/octet-stream")
            .await?;
        Ok(Some(AttachmentPart {
            attachment_id: id.as_str().to_owned(),
            file_name: attachment
                .file_name
                .map(crate::appcenter::Personal::into_exposed),
            content_type: attachment.content_type,
            blob: name,
        }))
    }

    async fn document(&self, document: &Document) -> Result<Collected, StageError> {
        let name = names::collected_report(&self.item.app, self.day, self.is_crash, self.error);
        let bytes = serde_json::to_vec(document)
            .map_err(|_error| StageError::permanent("what was collected cannot be stored"))?;
        let parts = serde_json::from_slice(&bytes)
            .map_err(|_error| StageError::permanent("what was collected cannot be read"))?;
        self.put(&name, bytes, "application/json").await?;
        Ok(collected(name, parts))
    }
}

fn utc_day(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}
