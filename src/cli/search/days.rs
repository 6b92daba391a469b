//! The index of `appcenter-dsr search --index`: of each folder `yyyy/MM/dd` whose day is over, one file in a folder of its own.
//!
//! A file is known by where it lies, its size, and when it was last changed. One that was changed so short a time ago that the
//! next change might bear the same time is not taken in yet.

use std::collections::HashSet;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::Date;
use jiff::tz::TimeZone;
use secrecy::ExposeSecret as _;

use super::World;
use super::args::Flags;
use crate::config;
use crate::search::Identifiers;
use crate::search::index::{BlobTokens, HEAD, Index, Key, Query, first_part, write};

/// How old a change has to be: file systems tell times in steps of up to two seconds.
const SETTLED: Duration = Duration::from_secs(3);

/// The index, over all days of a run.
pub(super) struct Days {
    key: Key,
    query: Query,
    /// Where the indexes lie.
    folder: PathBuf,
    today: Date,
    /// The latest change that counts as settled.
    settled: SystemTime,
    open: Option<Day>,
    passed_over: u64,
    records_passed_over: u64,
    bytes_read: u64,
    indexed: u64,
    days_written: u64,
    bytes_written: u64,
}

/// The day that is being searched.
struct Day {
    /// Its folder as it was reached, and as it really is.
    folder: PathBuf,
    real: String,
    sidecar: PathBuf,
    index: Index,
    /// Those of its blobs that are still there.
    kept: HashSet<u64>,
    new: Vec<BlobTokens>,
}

/// What an index tells of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// It holds nobody of those who are looked for.
    PassedOver,
    /// It has to be read.
    Known,
    /// It has to be read, and then is known by this number.
    New(u64),
}

impl Days {
    /// The index that the command line asks for, if it does.
    pub(super) fn of(
        flags: &Flags,
        subjects: &[Identifiers],
        world: World<'_>,
    ) -> Result<Option<Self>, String> {
        let Some(folder) = &flags.index else {
            return Ok(None);
        };
        let key = config::index_key(world.lookup).map_err(|error| error.to_string())?;
        let Some(key) = key else {
            return Err("--index needs a key in INDEX_KEY: set it to a long secret, such as `openssl rand -base64 32` prints, and keep it, since an index is of no use with another one".to_owned());
        };
        let key = Key::new(key.expose_secret().as_bytes());
        let wrong = |error: io::Error| format!("{}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(wrong)?;
        let real = folder.canonicalize().map_err(wrong)?;
        for path in &flags.paths {
            let shown = path.to_string_lossy();
            if shown.starts_with("https://") || shown.starts_with("http://") {
                return Err("--index is for files and folders, not for a container".to_owned());
            }
            if path.canonicalize().is_ok_and(|path| real.starts_with(path)) {
                let shown = folder.display();
                return Err(format!(
                    "{shown} lies in what is searched: give --index a folder outside of it"
                ));
            }
        }
        let now = world.clock.now();
        Ok(Some(Self {
            query: Query::new(&key, subjects),
            key,
            folder: real,
            today: TimeZone::UTC.to_datetime(now).date(),
            settled: SystemTime::from(now) - SETTLED,
            open: None,
            passed_over: 0,
            records_passed_over: 0,
            bytes_read: 0,
            indexed: 0,
            days_written: 0,
            bytes_written: 0,
        }))
    }

    pub(super) fn key(&self) -> Key {
        self.key.clone()
    }

    /// Of how many identifiers an index says nothing.
    pub(super) fn without_tokens(&self) -> usize {
        self.query.without_tokens()
    }

    /// Begins a day, if the folder is that of one. An error says why its index is not used; the day is read then.
    pub(super) fn enter(&mut self, path: &Path) -> Result<bool, String> {
        let day = path.canonicalize().ok().filter(|_| self.open.is_none());
        let Some(real) = day.as_deref().and_then(Path::to_str) else {
            return Ok(false);
        };
        if date_of(Path::new(real)).is_none_or(|date| date >= self.today) {
            return Ok(false);
        }
        let sidecar = format!("{:016x}.dsrindex", self.key.blob(real, "day"));
        let sidecar = self.folder.join(sidecar);
        let read = self.read(&sidecar, self.query.is_of_uuids());
        let (index, problem) = match read {
            Ok(index) => (index.unwrap_or_default(), None),
            Err(error) => (Index::default(), Some(error)),
        };
        self.open = Some(Day {
            folder: path.to_owned(),
            real: real.to_owned(),
            sidecar,
            index,
            kept: HashSet::new(),
            new: Vec::new(),
        });
        problem.map_or(Ok(true), |error| Err(format!("{real}: {error}")))
    }

    /// Reads the index of a day, or what is needed for UUIDs. `None` when there is none, or one that cannot be used.
    fn read(&mut self, path: &Path, is_of_uuids: bool) -> io::Result<Option<Index>> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.by_ref().take(HEAD as u64).read_to_end(&mut bytes)?;
        if let Some(end) = first_part(&self.key, &bytes) {
            let most = match is_of_uuids {
                true => end.saturating_sub(HEAD as u64),
                false => u64::MAX,
            };
            file.take(most).read_to_end(&mut bytes)?;
        }
        self.bytes_read += bytes.len() as u64;
        Ok(Index::read(&self.key, &bytes))
    }

    /// What the index tells of a file; `None` of one that lies in no day, or that it cannot know.
    pub(super) fn see(&mut self, path: &Path, metadata: &Metadata) -> Option<Seen> {
        let day = self.open.as_mut()?;
        let blob = day.blob(&self.key, path, metadata)?;
        if !day.index.knows(blob) {
            return is_settled(metadata, self.settled).then_some(Seen::New(blob));
        }
        day.kept.insert(blob);
        let Some(known) = day.index.passes_over(blob, &self.query) else {
            return Some(Seen::Known);
        };
        self.passed_over += 1;
        self.records_passed_over += known.records;
        Some(Seen::PassedOver)
    }

    /// Takes a file in that was read, unless it was changed meanwhile. Returns whether it is the first one of the run.
    pub(super) fn add(&mut self, path: &Path, metadata: &Metadata, tokens: BlobTokens) -> bool {
        let Some(day) = &mut self.open else {
            return false;
        };
        if day.blob(&self.key, path, metadata) != Some(tokens.blob()) {
            return false;
        }
        day.new.push(tokens);
        self.indexed += 1;
        self.indexed == 1
    }

    /// Ends the day: its index is written if there is anything new, or something is gone.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        let Some(day) = self.open.take() else {
            return Ok(());
        };
        if day.new.is_empty() && day.index.count() == day.kept.len() {
            return Ok(());
        }
        let index = match self.query.is_of_uuids() && day.index.count() > 0 {
            // Only a part of it was read.
            true => self.read(&day.sidecar, false)?.unwrap_or_default(),
            false => day.index,
        };
        let mut blobs = index.into_blobs();
        blobs.retain(|it| day.kept.contains(&it.blob()));
        blobs.extend(day.new);
        let bytes = write(&self.key, &blobs);
        // Another run may read it, or write it too.
        let partial = format!("partial-{}", std::process::id());
        let partial = day.sidecar.with_extension(partial);
        fs::write(&partial, &bytes)?;
        fs::rename(&partial, &day.sidecar)?;
        self.days_written += 1;
        self.bytes_written += bytes.len() as u64;
        Ok(())
    }

    /// What was written, for people.
    pub(super) fn written(&self) -> Option<String> {
        let Self {
            indexed,
            days_written: days,
            bytes_written: bytes,
            ..
        } = self;
        let folder = self.folder.display();
        (*days > 0).then(|| {
            format!(
                "{indexed} files indexed, {days} days written to {folder}, {bytes} bytes: the next search reads less"
            )
        })
    }

    /// What is added to the line of `--stats`.
    pub(super) fn stats(&self, blobs: u64) -> String {
        let Self {
            passed_over,
            records_passed_over,
            bytes_read,
            bytes_written,
            ..
        } = self;
        format!(
            " blobs={blobs} blobs_passed_over={passed_over} records_passed_over={records_passed_over} index_bytes={bytes_read} index_bytes_written={bytes_written}"
        )
    }
}

impl Day {
    /// How the index knows a file; `None` of one whose name or times cannot be told exactly.
    fn blob(&self, key: &Key, path: &Path, metadata: &Metadata) -> Option<u64> {
        let name = path.strip_prefix(&self.folder).ok()?.to_str()?;
        let modified = nanoseconds(metadata.modified().ok()?)?;
        let changed = changed(metadata)?;
        let etag = format!("{} {modified} {changed}", metadata.len());
        Some(key.blob(&format!("{}\n{name}", self.real), &etag))
    }
}

fn nanoseconds(time: SystemTime) -> Option<u128> {
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_nanos())
}

/// When anything of the file was changed: unlike the time of its content nobody can set this back.
#[cfg(unix)]
fn changed(metadata: &Metadata) -> Option<u128> {
    use std::os::unix::fs::MetadataExt as _;
    let seconds = u128::try_from(metadata.ctime()).ok()?;
    Some(seconds * 1_000_000_000 + u128::try_from(metadata.ctime_nsec()).ok()?)
}

/// When the file was made.
#[cfg(not(unix))]
fn changed(metadata: &Metadata) -> Option<u128> {
    nanoseconds(metadata.created().ok()?)
}

/// Whether the file was changed before that time.
fn is_settled(metadata: &Metadata, before: SystemTime) -> bool {
    let modified = metadata.modified().ok().and_then(nanoseconds);
    let latest = modified.max(changed(metadata));
    latest.is_some() && latest <= nanoseconds(before)
}

/// The date of a folder `…/yyyy/MM/dd`.
fn date_of(path: &Path) -> Option<Date> {
    let mut parts = path.iter().rev().map(|part| part.to_str());
    let mut part = |length: usize| {
        let text = parts.next()??;
        let is_number = text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse::<i16>().ok()).flatten()
    };
    let (day, month, year) = (part(2)?, part(2)?, part(4)?);
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}
