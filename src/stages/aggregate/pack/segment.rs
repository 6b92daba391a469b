//! Writing a segment: as many files as time allows, into a zip of their own.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use super::super::Missing;
use super::super::outcomes::Outcomes;
use super::units::{From, Piece, Unit};
use super::{Progress, Zip, blocking, meta, package_error, rows};
use crate::package::{FileEntry, LeftOut, PackageWriter};
use crate::stages::{Context, StageError};
use crate::storage::{self, Container};
use crate::work::names;
use crate::workflow::Record;

/// Longest time that goes into one segment: what a kill costs.
const LONGEST: Duration = Duration::from_secs(30);
/// Most files of a segment.
const MAX_FILES: usize = 10_000;
/// Largest blob that is copied, in bytes: it must not take longer than an invocation may.
const MAX_BLOB: u64 = 1024 * 1024 * 1024;

/// The next file: a unit, and one of its files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    unit: usize,
    piece: usize,
}

/// What is said of a segment's files, stored beside it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Side {
    pub(super) files: Vec<FileEntry>,
    /// Reports of which something is in it.
    pub(super) exported: BTreeSet<String>,
    pub(super) missing: Vec<LeftOut>,
}

/// A segment that was stored.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) files: usize,
    /// Whether every file is in this segment or one before.
    pub(super) is_last: bool,
}

/// Writes the next segment.
pub(super) async fn write(
    cx: Context<'_>,
    record: &Record,
    units: &[Unit<'_>],
    outcomes: &Outcomes,
    progress: &Progress,
) -> Result<Written, StageError> {
    let begun = Instant::now();
    // Two runs of the same work may stop at different files, so no name is used twice.
    let unique: u64 = rand::rng().random();
    let name = format!("{:05}-{unique:016x}", progress.segments.len());
    let blob = names::package_segment(&record.id, record.run, &name, "zip");
    let store = &cx.app.store;
    let writer = store
        .container()
        .writer(&blob, "application/zip")
        .blocking();
    let mut zip = PackageWriter::new(writer, meta(cx, record));
    for unit in units {
        let folder = unit.folder();
        zip.reserve(&strs(&folder));
    }
    let mut side = Side::default();
    let mut missing = Missing::default();
    let mut place = progress.place;
    let is_full = |zip: &Zip| {
        cx.is_out_of_time() || begun.elapsed() > LONGEST || zip.files().len() >= MAX_FILES
    };
    'units: while let Some(unit) = units.get(place.unit) {
        let (pieces, absent) = unit.pieces(outcomes);
        if place.piece == 0 {
            missing.extend(&absent.into_list());
        }
        for (n, piece) in pieces.into_iter().enumerate() {
            if n < place.piece {
                // An earlier segment has it; a later file of the same name must not get its path.
                zip.skip(&strs(&piece.folder), &piece.name, piece.about.what);
                continue;
            }
            let gone = match &piece.from {
                From::Archive(_) => ("an archive blob of a report", "it is gone from the archive"),
                _ => ("a part of a report", "its collected copy is gone"),
            };
            let (next, copied) = Box::pin(copy(cx, record, progress, zip, piece)).await?;
            zip = next;
            match (copied, unit) {
                (Copied::Done, Unit::Report(report)) => {
                    side.exported.insert(report.id.clone());
                }
                (Copied::Done, Unit::Rows { .. } | Unit::Tests(..)) => {}
                (Copied::Gone, _) => missing.add(gone.0, gone.1),
                (Copied::TooLarge, _) => missing.add(gone.0, "it is larger than 1 GiB"),
            }
            place.piece = n + 1;
            if is_full(&zip) {
                break 'units;
            }
        }
        place = Place {
            unit: place.unit + 1,
            piece: 0,
        };
    }
    // After a unit's last file comes the next unit, so that nothing is left to say of it.
    let is_last = match units.get(place.unit) {
        None => true,
        Some(unit) if place.piece > 0 && unit.pieces(outcomes).0.len() == place.piece => {
            place = Place {
                unit: place.unit + 1,
                piece: 0,
            };
            place.unit == units.len()
        }
        Some(_) => false,
    };
    let (writer, files) = blocking(move || zip.end_segment().map_err(package_error)).await?;
    store
        .commit(writer.into_inner(), "a segment of the package")
        .await?;
    let count = files.len();
    side.files = files;
    side.missing = missing.into_list();
    let beside = names::package_segment(&record.id, record.run, &name, "json");
    store
        .create_json(&beside, "a segment's files", &side)
        .await?;
    Ok(Written {
        name,
        place,
        files: count,
        is_last,
    })
}

fn strs(folder: &[String]) -> Vec<&str> {
    folder.iter().map(String::as_str).collect()
}

enum Copied {
    Done,
    Gone,
    TooLarge,
}

/// Writes one file into the zip, piece by piece.
async fn copy(
    cx: Context<'_>,
    record: &Record,
    progress: &Progress,
    zip: Zip,
    piece: Piece,
) -> Result<(Zip, Copied), StageError> {
    let work = cx.app.store.container().clone();
    let (container, blob, form) = match &piece.from {
        From::Archive(blob) => {
            let holder = cx.app.archives.holder(blob);
            let (container, name) = holder.map_err(|error| StageError::archive(&error))?;
            (container, name.to_owned(), None)
        }
        From::Work(blob) => (work, blob.clone(), None),
        From::Rows(parts) => (work, String::new(), Some((parts, rows::Form::Lines))),
        From::Table(parts) => (work, String::new(), Some((parts, rows::Form::Table))),
    };
    let Some((parts, form)) = form else {
        return Box::pin(copy_blob(container, &blob, zip, piece)).await;
    };
    let parts = parts.iter().filter_map(|n| progress.spread.parts.get(*n));
    let parts: Vec<String> = parts.map(|part| part.blob(record)).collect();
    blocking(move || {
        let mut zip = zip;
        let folder = strs(&piece.folder);
        // A file of rows is small enough, and a table a little larger than its rows at most.
        let about = piece.about.at_most(1024 * 1024 * 1024);
        rows::write(
            &mut zip,
            &container,
            &parts,
            (&folder, &piece.name, about),
            form,
        )?;
        Ok((zip, Copied::Done))
    })
    .await
}

async fn copy_blob(
    from: Container,
    blob: &str,
    mut zip: Zip,
    piece: Piece,
) -> Result<(Zip, Copied), StageError> {
    let archive = |error: storage::Error| StageError::archive(&error);
    let stream = from.stream(blob).await.map_err(archive)?;
    let refused = match &stream {
        None => Some(Copied::Gone),
        Some(stream) if stream.size > MAX_BLOB => Some(Copied::TooLarge),
        Some(_) => None,
    };
    let (Some(mut stream), None) = (stream, &refused) else {
        zip.skip(&strs(&piece.folder), &piece.name, piece.about.what);
        return Ok((zip, refused.unwrap_or(Copied::Gone)));
    };
    let runtime = Handle::current();
    blocking(move || {
        let folder = strs(&piece.folder);
        let about = piece.about.at_most(stream.size);
        let mut file = zip
            .file(&folder, &piece.name, about)
            .map_err(package_error)?;
        while let Some(chunk) = runtime.block_on(stream.next()).map_err(archive)? {
            file.write_all(&chunk)
                .map_err(|_error| StageError::retry("the package could not be written"))?;
        }
        file.end().map_err(package_error)?;
        Ok((zip, Copied::Done))
    })
    .await
}
