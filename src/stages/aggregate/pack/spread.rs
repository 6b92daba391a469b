//! One pass over the hits that sorts the person's log rows out by folder, into parts in the work container.
//!
//! A part is named after the stretch of hits that it is made of, so a second run of the same stretch writes the same
//! blob, and only parts that the slice names count.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::super::Missing;
use super::super::rows::{self, RowFilter};
use crate::domain::hit::Hit;
use crate::domain::plan::{Action, Plan};
use crate::domain::{AppRef, InstallId};
use crate::package::LeftOut;
use crate::stages::install_id_resolve::hits::{self, StoredHit};
use crate::stages::{Context, StageError};
use crate::work::names;
use crate::workflow::Record;

/// Longest row that is read from the archive again, in bytes.
const MAX_ROW: u64 = 16 * 1024 * 1024;
/// Rows that are gathered before they are written, in bytes.
const MAX_GATHERED: usize = 8 * 1024 * 1024;
/// Longest time between two saves.
const SAVE_EVERY: Duration = Duration::from_secs(20);

/// How large one file of log rows gets: it is written by one invocation, and spreadsheet programs take a million rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct FileLimits {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

pub(super) const FILE_LIMITS: FileLimits = FileLimits {
    rows: 100_000,
    bytes: 64 * 1024 * 1024,
};

/// A folder for log rows: an install's, or that of rows of none.
pub(super) type Folder = (AppRef, Option<InstallId>);

/// A place among the hits: a day of the run's passes, and a hit of that day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct HitPlace(u32, u64);

/// Some rows of one folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part {
    /// Their folder, as [`folders`] numbers them.
    pub(super) folder: u32,
    /// The file that they go to, from 0.
    pub(super) file: u32,
    from: HitPlace,
    to: HitPlace,
    /// How many.
    pub(super) rows: u64,
    bytes: u64,
}

impl Part {
    /// The blob that holds them.
    pub(super) fn blob(&self, record: &Record) -> String {
        let HitPlace(day, hit) = self.from;
        let HitPlace(to_day, to_hit) = self.to;
        let (folder, file) = (self.folder, self.file);
        let name = format!("{folder:05}/{file:04}-{day:05}.{hit}-{to_day:05}.{to_hit}");
        names::package_rows(&record.id, record.run, &name)
    }
}

/// What was sorted out so far.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Spread {
    next: HitPlace,
    /// The parts, in the order of their rows.
    pub(super) parts: Vec<Part>,
    /// Rows that could not be had.
    pub(super) missing: Vec<LeftOut>,
    /// Whether all hits were looked at.
    pub(super) is_done: bool,
}

/// The folders that log rows go to, in order.
pub(super) fn folders(plan: &Plan) -> Vec<Folder> {
    let acted = plan.rows.iter().filter(|it| it.action == Action::Act);
    let mut folders: Vec<_> = acted.map(|it| (it.app.clone(), it.install_id)).collect();
    folders.sort_unstable();
    folders.dedup();
    folders
}

/// Sorts rows out until it is worth saving: all is done, time is up, or some time has passed.
pub(super) async fn spread(
    cx: Context<'_>,
    record: &Record,
    plan: &Plan,
    spread: &mut Spread,
) -> Result<(), StageError> {
    let numbers: BTreeMap<Folder, u32> = folders(plan).into_iter().zip(0..).collect();
    if numbers.is_empty() {
        spread.is_done = true;
        return Ok(());
    }
    let mut missing = Missing::default();
    missing.extend(&spread.missing);
    let mut filter = RowFilter::new(plan, record.also(), record.window);
    let mut shelf = Shelf::new(FILE_LIMITS, spread);
    let mut saved = Instant::now();
    let begun = spread.next;
    let days = rows::days(cx, record).await?;
    let mut place = HitPlace::default();
    for ((step, day), number) in days.iter().zip(0_u32..) {
        place = HitPlace(number, 0);
        for part in &day.result.parts {
            let part = hits::part(cx.app, record, *step, part).await?;
            for stored in part.hits() {
                let stored: StoredHit = stored?;
                let is_taken = filter.takes(&day.app, &stored);
                let is_ahead = place >= shelf.next;
                place.1 += 1;
                // What was sorted out before is only folded: the filter has to know it.
                if !is_taken || !is_ahead {
                    continue;
                }
                let folder = (day.app.clone(), stored.hit.install);
                if let Some(folder) = numbers.get(&folder) {
                    match text(cx, &stored.hit).await? {
                        Ok(text) => shelf.put(*folder, &text),
                        Err(reason) => missing.add("a log row", reason),
                    }
                }
                if shelf.gathered >= MAX_GATHERED {
                    store(cx, record, &mut shelf, place).await?;
                }
                if cx.is_out_of_time() || saved.elapsed() > SAVE_EVERY {
                    store(cx, record, &mut shelf, place).await?;
                    shelf.save(spread);
                    spread.missing = missing.clone().into_list();
                    if cx.is_out_of_time() {
                        return Ok(());
                    }
                    saved = Instant::now();
                }
            }
            // Also where no row is theirs; but never without having moved on.
            if cx.is_out_of_time() && place > begun {
                store(cx, record, &mut shelf, place).await?;
                shelf.save(spread);
                spread.missing = missing.into_list();
                return Ok(());
            }
        }
    }
    // Past the last day.
    place.0 = place.0.saturating_add(1);
    store(cx, record, &mut shelf, place).await?;
    shelf.save(spread);
    spread.missing = missing.into_list();
    spread.is_done = true;
    Ok(())
}

/// Rows on their way into parts.
struct Shelf {
    limits: FileLimits,
    /// The place after the last row that is stored.
    next: HitPlace,
    parts: Vec<Part>,
    /// The file that each folder's next row goes to, and how much is in it.
    open: BTreeMap<u32, OpenFile>,
    chunks: BTreeMap<(u32, u32), Chunk>,
    gathered: usize,
}

#[derive(Default)]
struct OpenFile {
    number: u32,
    rows: u64,
    bytes: u64,
}

#[derive(Default)]
struct Chunk {
    rows: u64,
    bytes: Vec<u8>,
}

impl Shelf {
    /// Goes on where a slice says that it was.
    fn new(limits: FileLimits, spread: &Spread) -> Self {
        let mut shelf = Self {
            limits,
            next: spread.next,
            parts: spread.parts.clone(),
            open: BTreeMap::new(),
            chunks: BTreeMap::new(),
            gathered: 0,
        };
        for part in &spread.parts {
            let open = shelf.open.entry(part.folder).or_default();
            if part.file > open.number {
                *open = OpenFile {
                    number: part.file,
                    ..OpenFile::default()
                };
            }
            open.rows += part.rows;
            open.bytes += part.bytes;
        }
        shelf
    }

    /// Puts a row into its folder's file, or into the next when that is full.
    fn put(&mut self, folder: u32, row: &[u8]) {
        let length = row.len() as u64 + 1;
        let open = self.open.entry(folder).or_default();
        if open.rows > 0
            && (open.rows >= self.limits.rows || open.bytes + length > self.limits.bytes)
        {
            *open = OpenFile {
                number: open.number + 1,
                ..OpenFile::default()
            };
        }
        open.rows += 1;
        open.bytes += length;
        let chunk = self.chunks.entry((folder, open.number)).or_default();
        chunk.rows += 1;
        chunk.bytes.extend_from_slice(row);
        chunk.bytes.push(b'\n');
        self.gathered += row.len() + 1;
    }

    /// What was gathered, as parts that end before `to`.
    fn take(&mut self, to: HitPlace) -> Vec<(Part, Vec<u8>)> {
        let from = std::mem::replace(&mut self.next, to);
        self.gathered = 0;
        std::mem::take(&mut self.chunks)
            .into_iter()
            .map(|((folder, file), chunk)| {
                let part = Part {
                    folder,
                    file,
                    from,
                    to,
                    rows: chunk.rows,
                    bytes: chunk.bytes.len() as u64,
                };
                (part, chunk.bytes)
            })
            .collect()
    }

    fn save(&self, spread: &mut Spread) {
        spread.next = self.next;
        spread.parts.clone_from(&self.parts);
    }
}

/// Stores what was gathered.
async fn store(
    cx: Context<'_>,
    record: &Record,
    shelf: &mut Shelf,
    to: HitPlace,
) -> Result<(), StageError> {
    for (part, bytes) in shelf.take(to) {
        let name = part.blob(record);
        let store = &cx.app.store;
        store
            .put(&name, "rows of the package", bytes, "application/x-ndjson")
            .await?;
        shelf.parts.push(part);
    }
    Ok(())
}

/// A row as one line: kept with its hit, or read from the archive again.
async fn text(cx: Context<'_>, hit: &Hit) -> Result<Result<Vec<u8>, &'static str>, StageError> {
    let text = match &hit.text {
        Some(text) => text.clone().into_bytes(),
        None if hit.decoded || hit.length > MAX_ROW => {
            return Ok(Err(
                "it is too long, or compressed, to be cut out of the archive",
            ));
        }
        None => {
            let of_archive = |error| StageError::archive(&error);
            let (archive, name) = cx.app.archives.holder(&hit.blob).map_err(of_archive)?;
            let read = archive.read_range(name, hit.offset, hit.length).await;
            match read.map_err(of_archive)? {
                Some(bytes) => bytes.to_vec(),
                None => return Ok(Err("its archive blob is gone")),
            }
        }
    };
    Ok(Ok(one_line(text)))
}

/// Pretty-printed rows have line breaks between their values, never inside of them; what is no JSON keeps its text, as a
/// JSON string.
fn one_line(text: Vec<u8>) -> Vec<u8> {
    if !text.contains(&b'\n') && !text.contains(&b'\r') {
        return text;
    }
    if serde_json::from_slice::<&serde_json::value::RawValue>(&text).is_ok() {
        return text
            .into_iter()
            .filter(|byte| *byte != b'\n' && *byte != b'\r')
            .collect();
    }
    serde_json::to_vec(&String::from_utf8_lossy(&text)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Puts rows on a shelf that is left and gone on with after some of them; gives what each file holds.
    fn files(
        limits: FileLimits,
        rows: &[(u32, String)],
        stops: &[bool],
    ) -> BTreeMap<(u32, u32), String> {
        let mut spread = Spread::default();
        let mut blobs: BTreeMap<(u32, u32), String> = BTreeMap::new();
        let mut store = |shelf: &mut Shelf, to: u64| {
            for (part, bytes) in shelf.take(HitPlace(0, to)) {
                assert_eq!(part.bytes, bytes.len() as u64);
                let text = String::from_utf8(bytes).expect("UTF-8");
                assert_eq!(part.rows, text.lines().count() as u64);
                *blobs.entry((part.folder, part.file)).or_default() += &text;
                shelf.parts.push(part);
            }
        };
        let mut shelf = Shelf::new(limits, &spread);
        for (n, (folder, row)) in rows.iter().enumerate() {
            shelf.put(*folder, row.as_bytes());
            if stops.get(n).copied().unwrap_or_default() {
                store(&mut shelf, n as u64 + 1);
                shelf.save(&mut spread);
                let stored = serde_json::to_string(&spread).expect("JSON");
                spread = serde_json::from_str(&stored).expect("JSON");
                shelf = Shelf::new(limits, &spread);
            }
        }
        store(&mut shelf, rows.len() as u64);
        blobs
    }

    #[test]
    fn a_full_file_is_followed_by_another() {
        let limits = FileLimits { rows: 3, bytes: 10 };
        let rows: Vec<(u32, String)> = ["a", "b", "c", "d", "eeeeeeeeeeeeeeeeeeee", "f"]
            .into_iter()
            .map(|row| (7, row.to_owned()))
            .collect();
        let files = files(limits, &rows, &[]);
        let expected = [
            ((7, 0), "a\nb\nc\n"),
            ((7, 1), "d\n"),
            ((7, 2), "eeeeeeeeeeeeeeeeeeee\n"),
            ((7, 3), "f\n"),
        ];
        assert_eq!(
            files,
            expected.map(|(key, text)| (key, text.to_owned())).into()
        );
    }

    #[test]
    fn a_row_is_one_line() {
        for (text, expected) in [
            ("{\"a\":1}", "{\"a\":1}"),
            ("{\n  \"a\": \"\\n\"\r\n}", "{  \"a\": \"\\n\"}"),
            ("no\njson", "\"no\\njson\""),
            ("no json", "no json"),
        ] {
            assert_eq!(one_line(text.into()), expected.as_bytes(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn files_do_not_depend_on_where_it_stopped(
            rows in prop::collection::vec((0_u32..3, "[a-z]{0,12}"), 0..40),
            stops in prop::collection::vec(any::<bool>(), 40),
            most in 1_u64..6,
        ) {
            let limits = FileLimits { rows: most, bytes: 40 };
            prop_assert_eq!(files(limits, &rows, &stops), files(limits, &rows, &[]));
        }
    }
}
