//! The package of an export: log rows by install, reports with everything that was collected, streamed into one zip.
//!
//! The zip is written on a blocking thread, one file after the other; what goes in is read piece by piece.

use std::collections::BTreeMap;
use std::io::Write as _;

use tokio::runtime::Handle;

use super::Missing;
use super::outcomes::Outcomes;
use super::rows::{self, RowFilter};
use crate::domain::hit::{Hit, Stream};
use crate::domain::plan::{Action, Plan, ReportItem};
use crate::domain::{AppRef, ErrorId, InstallId};
use crate::package::{self, FileAbout, LeftOut, Meta, PackageWriter, Summary, What};
use crate::search::facts::ids_in_name;
use crate::stages::install_id_resolve::hits::{self, Day};
use crate::stages::{Context, StageError, setup};
use crate::storage::{self, BlockingWriter, Container};
use crate::work::{Error, names};
use crate::workflow::record::PackageRef;
use crate::workflow::{Record, Step};

/// Longest row that is read from the archive again, in bytes.
const MAX_ROW: u64 = 16 * 1024 * 1024;

/// A package that was stored.
#[derive(Debug)]
pub(super) struct Packed {
    /// The package.
    pub(super) package: PackageRef,
    /// Items whose content is in it.
    pub(super) exported: Vec<String>,
    /// What is not in it.
    pub(super) unavailable: Vec<LeftOut>,
}

type Zip = PackageWriter<BlockingWriter>;

/// Makes and stores the package.
pub(super) async fn pack(
    cx: Context<'_>,
    record: &Record,
    plan: &Plan,
    outcomes: &Outcomes,
) -> Result<Packed, StageError> {
    let days = rows::days(cx, record).await?;
    let setups = setup::load(cx.app, record).await?;
    let mut missing = Missing::default();
    let mut exported = Vec::new();
    let name = names::package(&record.id, record.run);
    let container = cx.app.store.container().clone();
    let writer = container.writer(&name, "application/zip").blocking();
    let meta = Meta {
        request: record.id.clone(),
        reference: record.reference.clone(),
        jurisdiction: record.jurisdiction,
        created_at: super::concluded_at(cx, record),
        apps: record.apps.clone(),
    };
    let mut zip = blocking(move || Ok(PackageWriter::new(writer, meta))).await?;

    for item in plan.rows.iter().filter(|it| it.action == Action::Act) {
        exported.push(item.id.clone());
    }
    for (app, install) in row_folders(plan) {
        zip = log_rows(cx, record, plan, &days, zip, (&app, install), &mut missing).await?;
    }
    for report in plan.reports.iter().filter(|it| it.action == Action::Act) {
        let (next, found) = Box::pin(one_report(cx, report, outcomes, zip, &mut missing)).await?;
        zip = next;
        if found {
            exported.push(report.id.clone());
        }
    }
    let unavailable = missing.into_list();
    let summary = Summary {
        counts: plan.counts,
        include: record.include.clone(),
        window: record.window,
        coverage: plan.coverage.clone(),
        held: held(plan),
        unavailable: unavailable.clone(),
        excluded: Vec::new(),
        diagnostics_days: setups
            .iter()
            .filter_map(|setup| Some((setup.app.as_ref()?.to_string(), setup.retention_days?)))
            .collect(),
        recipients: Vec::new(),
        package_days: u32::try_from(cx.app.config.limits.package.as_secs() / 86_400).ok(),
    };
    let (writer, finished) = blocking(move || zip.finish(&summary).map_err(package_error)).await?;
    writer.into_inner().commit().await.map_err(Error::from)?;
    Ok(Packed {
        package: PackageRef {
            sha256: finished.sha256,
            size: finished.size,
            deleted_at: None,
        },
        exported,
        unavailable,
    })
}

/// Runs blocking work, such as writing to the zip, off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StageError> + Send + 'static,
) -> Result<T, StageError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_error| StageError::retry("the package's writer broke off"))?
}

fn package_error(error: package::Error) -> StageError {
    match error {
        package::Error::TooManyFiles { .. } => StageError::permanent(error.to_string()),
        error => StageError::retry(error.to_string()),
    }
}

fn held(plan: &Plan) -> BTreeMap<String, u64> {
    let mut held = BTreeMap::new();
    let reasons = plan
        .installs
        .iter()
        .map(|it| (it.action, &it.reason, 1))
        .chain(plan.reports.iter().map(|it| (it.action, &it.reason, 1)))
        .chain(plan.rows.iter().map(|it| (it.action, &it.reason, it.rows)));
    for (action, reason, count) in reasons {
        if action == Action::Hold {
            *held.entry(reason.clone()).or_default() += count;
        }
    }
    held
}

/// The folders that log rows go to: one for each install, and one for rows of none.
fn row_folders(plan: &Plan) -> Vec<(AppRef, Option<InstallId>)> {
    let acted = plan.rows.iter().filter(|it| it.action == Action::Act);
    let mut folders: Vec<_> = acted.map(|it| (it.app.clone(), it.install_id)).collect();
    folders.sort_unstable();
    folders.dedup();
    folders
}

fn install_folder(install: Option<InstallId>) -> String {
    install.map_or_else(|| "without-install".to_owned(), |id| id.to_string())
}

/// Writes the log rows of one install as JSON Lines.
async fn log_rows(
    cx: Context<'_>,
    record: &Record,
    plan: &Plan,
    days: &[(Step, Day)],
    zip: Zip,
    (app, install): (&AppRef, Option<InstallId>),
    missing: &mut Missing,
) -> Result<Zip, StageError> {
    let folder = [app.owner.clone(), app.name.clone(), install_folder(install)];
    let (send, receive) = tokio::sync::mpsc::channel::<Vec<u8>>(64);
    let write = tokio::task::spawn_blocking(move || write_rows(zip, &folder, receive));
    let mut filter = RowFilter::new(plan, record.also(), record.window);
    for (step, day) in days.iter().filter(|(_, day)| day.app == *app) {
        let mut taken: Vec<Hit> = Vec::new();
        hits::each(cx.app, record, *step, day, |stored| {
            if filter.takes(&day.app, &stored) && stored.hit.install == install {
                taken.push(stored.hit);
            }
            Ok::<(), StageError>(())
        })
        .await?;
        for hit in taken {
            match row_text(cx, &hit).await? {
                Ok(text) => {
                    if send.send(text).await.is_err() {
                        break;
                    }
                }
                Err(reason) => missing.add("a log row", reason),
            }
        }
    }
    drop(send);
    write
        .await
        .map_err(|_error| StageError::retry("the package's writer broke off"))?
}

fn write_rows(
    mut zip: Zip,
    folder: &[String],
    mut rows: tokio::sync::mpsc::Receiver<Vec<u8>>,
) -> Result<Zip, StageError> {
    let folder: Vec<&str> = folder.iter().map(String::as_str).collect();
    let about = FileAbout::new(What::LogRows, "log rows that App Center exported");
    let mut file = zip
        .file(&folder, "log-rows.jsonl", about)
        .map_err(package_error)?;
    let failed = |_error| StageError::retry("the package could not be written");
    while let Some(row) = rows.blocking_recv() {
        file.write_all(&row).map_err(failed)?;
        file.write_all(b"\n").map_err(failed)?;
    }
    file.end().map_err(package_error)?;
    Ok(zip)
}

/// A row as one line: kept with its hit, or read from the archive again.
async fn row_text(cx: Context<'_>, hit: &Hit) -> Result<Result<Vec<u8>, &'static str>, StageError> {
    let text = match &hit.text {
        Some(text) => text.clone().into_bytes(),
        None if hit.decoded || hit.length > MAX_ROW => {
            return Ok(Err(
                "it is too long, or compressed, to be cut out of the archive",
            ));
        }
        None => {
            let read = cx
                .app
                .archive
                .read_range(&hit.blob, hit.offset, hit.length)
                .await;
            match read.map_err(|error| StageError::archive(&error))? {
                Some(bytes) => bytes.to_vec(),
                None => return Ok(Err("its archive blob is gone")),
            }
        }
    };
    // Pretty-printed rows have line breaks between their values, never inside of them.
    let compact = serde_json::from_slice::<&serde_json::value::RawValue>(&text).is_ok();
    Ok(Ok(if compact && text.contains(&b'\n') {
        text.into_iter()
            .filter(|byte| *byte != b'\n' && *byte != b'\r')
            .collect()
    } else {
        text
    }))
}

/// Writes everything of one report; whether there was anything.
async fn one_report(
    cx: Context<'_>,
    report: &ReportItem,
    outcomes: &Outcomes,
    mut zip: Zip,
    missing: &mut Missing,
) -> Result<(Zip, bool), StageError> {
    let folder = vec![
        report.app.owner.clone(),
        report.app.name.clone(),
        install_folder(report.install_id),
        "reports".to_owned(),
        report.error_id.to_string(),
    ];
    let mut found = false;
    for blob in &report.blobs {
        let named = ids_in_name(blob);
        // A blob that is not named after the report may hold other people's too.
        let guid = named.error_id.as_ref().and_then(ErrorId::guid);
        let is_named = named.error_id.as_ref() == Some(&report.error_id)
            || (guid.is_some() && guid == report.error_id.guid());
        if !is_named {
            missing.add(
                "an archive blob of a report",
                "it is not named after the report and may hold other people's",
            );
            continue;
        }
        let what = match Stream::of(blob) {
            Stream::Attachments => What::Attachment,
            Stream::Crashes | Stream::Errors => What::Report,
            Stream::Logs | Stream::Other => What::Other,
        };
        let name = blob.rsplit('/').next().unwrap_or("report");
        let mut folder = folder.clone();
        folder.push("archive".to_owned());
        let about = FileAbout::new(what, blob.clone());
        let (next, had) =
            Box::pin(copy(cx.app.archive.clone(), blob, zip, folder, name, about)).await?;
        zip = next;
        found |= had;
        if !had {
            missing.add("an archive blob of a report", "it is gone from the archive");
        }
    }
    if let Some(reason) = outcomes.refused.get(&report.id) {
        missing.add("a report by API", reason);
    }
    let Some(collected) = outcomes.collected.get(&report.id) else {
        return Ok((zip, found));
    };
    for what in &collected.missing {
        missing.add("a part of a report", what);
    }
    let container = cx.app.store.container().clone();
    for file in &collected.files {
        let (what, operation) = match file.kind.as_str() {
            "details" => (What::ReportDetails, "Errors_GetErrorDetails"),
            "stack_trace" => (What::StackTrace, "Errors_ErrorStackTrace"),
            "session_logs" => (What::SessionLogs, "Errors_ListSessionLogs"),
            "raw_log" => (What::RawLog, "Errors_ErrorLocation"),
            "attachment" => (What::Attachment, "Errors_ErrorAttachments"),
            _ => (What::Other, "App Center's API"),
        };
        let mut folder = folder.clone();
        if what == What::Attachment {
            folder.push("attachments".to_owned());
        }
        let stored_name = file.blob.rsplit('/').next().unwrap_or("file");
        let name = file.name.as_deref().unwrap_or(stored_name);
        let about = FileAbout::new(what, operation);
        let (next, had) = Box::pin(copy(
            container.clone(),
            &file.blob,
            zip,
            folder,
            name,
            about,
        ))
        .await?;
        zip = next;
        found |= had;
        if !had {
            missing.add("a part of a report", "its collected copy is gone");
        }
    }
    Ok((zip, found))
}

/// Copies a blob into the zip, piece by piece; false when there is no such blob.
async fn copy(
    from: Container,
    blob: &str,
    mut zip: Zip,
    folder: Vec<String>,
    name: &str,
    about: FileAbout,
) -> Result<(Zip, bool), StageError> {
    let stream = from.stream(blob).await;
    let stream = stream.map_err(|error| StageError::archive(&error))?;
    let Some(mut stream) = stream else {
        return Ok((zip, false));
    };
    let name = name.to_owned();
    let runtime = Handle::current();
    blocking(move || {
        let folder: Vec<&str> = folder.iter().map(String::as_str).collect();
        let mut file = zip.file(&folder, &name, about).map_err(package_error)?;
        let archive = |error: storage::Error| StageError::archive(&error);
        while let Some(chunk) = runtime.block_on(stream.next()).map_err(archive)? {
            file.write_all(&chunk)
                .map_err(|_error| StageError::retry("the package could not be written"))?;
        }
        file.end().map_err(package_error)?;
        Ok((zip, true))
    })
    .await
}
