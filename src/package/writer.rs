//! Writing the zip, one file after the other.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use super::hashing::Meter;
use super::manifest::{FileAbout, FileEntry, Manifest, Meta, Sha256Hex, Summary, What};
use super::names::{Paths, inert_name, safe_name};
use super::{Error, HashingWriter, page};

/// Most files of a package: each costs some hundred bytes of memory until the package is finished.
pub const MAX_FILES: usize = 250_000;
/// Up to this size a file is surely below 4 GiB, however badly it compresses, and needs no ZIP64 fields.
const SMALL: u64 = 2 * 1024 * 1024 * 1024;
/// Bytes that are gathered before they are compressed, where they come in small pieces.
const BUFFER: usize = 64 * 1024;
/// Longest original name or source that the manifest repeats, in characters.
const MAX_TEXT: usize = 1000;

/// A package that was written to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Files in it, pages and manifest included.
    pub files: usize,
    /// Bytes of their content.
    pub bytes: u64,
    /// SHA-256 of the zip, lower-case hex.
    pub sha256: String,
    /// Size of the zip in bytes.
    pub size: u64,
}

/// Writes a package to `W`, front to back.
pub struct PackageWriter<W: Write> {
    // Before `zip`: an abandoned package must be closed before the zip writer's own drop tries to complete it.
    valve: CloseOnDrop,
    zip: ZipWriter<StreamWriter<HashingWriter<Valve<W>>>>,
    meta: Meta,
    time: DateTime,
    paths: Paths,
    files: Vec<FileEntry>,
    is_open: bool,
}

impl<W: Write> PackageWriter<W> {
    /// Begins a package.
    pub fn new(out: W, meta: Meta) -> Self {
        let is_open = Arc::new(AtomicBool::new(true));
        let valve = Valve {
            inner: out,
            is_open: Arc::clone(&is_open),
        };
        let mut paths = Paths::default();
        for name in [page::NAME, MANIFEST] {
            paths.take("", name);
        }
        Self {
            valve: CloseOnDrop(is_open),
            zip: ZipWriter::new_stream(HashingWriter::new(valve)),
            time: dos_time(meta.created_at),
            meta,
            paths,
            files: Vec::new(),
            is_open: false,
        }
    }

    /// Begins a file; write its content and [`end`](FileWriter::end) it.
    ///
    /// Folder and name may be anything: they are made safe, and free. Where a stranger chose the content, the name also
    /// gets an extension that nothing runs.
    ///
    /// # Errors
    /// [`Error::TooManyFiles`]; [`Error::Unfinished`] when the file before was not ended; else when the package cannot
    /// be written.
    pub fn file(
        &mut self,
        folder: &[&str],
        name: &str,
        about: FileAbout,
    ) -> Result<FileWriter<'_, W>, Error> {
        if self.is_open {
            return Err(Error::Unfinished);
        }
        if self.files.len() >= MAX_FILES {
            return Err(Error::TooManyFiles { limit: MAX_FILES });
        }
        let safe = if about.what.is_untrusted() {
            inert_name(name)
        } else {
            safe_name(name)
        };
        let folder = self.paths.folder(folder);
        let path = self.paths.take(&folder, &safe);
        self.begin(path, name, about)
    }

    /// Adds a file whose content is at hand.
    ///
    /// # Errors
    /// As [`file`](Self::file).
    pub fn bytes(
        &mut self,
        folder: &[&str],
        name: &str,
        about: FileAbout,
        content: &[u8],
    ) -> Result<&FileEntry, Error> {
        let about = about.at_most(content.len() as u64);
        let mut file = self.file(folder, name, about)?;
        file.write_all(content).map_err(Error::Write)?;
        file.end()
    }

    /// The files so far.
    #[must_use]
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Writes `index.html` and `manifest.json` and completes the zip.
    ///
    /// # Errors
    /// [`Error::Unfinished`] when a file was not ended; else when the package cannot be written.
    pub fn finish(mut self, summary: &Summary) -> Result<(W, Finished), Error> {
        if self.is_open {
            return Err(Error::Unfinished);
        }
        self.pages(summary)?;
        let files = std::mem::take(&mut self.files);
        let meta = self.meta.clone();
        let document = Manifest::of(&meta, summary, &files);
        let about = made_here();
        let manifest = self.begin(MANIFEST.to_owned(), MANIFEST, about)?;
        // Pretty, one value a line: people open it too.
        let manifest =
            manifest.buffered(|out| Ok(serde_json::to_writer_pretty(out, &document)?))?;
        let size = manifest.size;
        let bytes = files.iter().map(|file| file.size).sum::<u64>() + size;
        let Self { zip, valve, .. } = self;
        let (out, digest) = zip.finish().map_err(write_error)?.into_inner().finish();
        if !valve.is_open() {
            return Err(Error::Unfinished);
        }
        let finished = Finished {
            files: files.len() + 1,
            bytes,
            sha256: digest.sha256,
            size: digest.size,
        };
        Ok((out.inner, finished))
    }

    /// Writes the pages: first those with more of the file list, which the first one links to.
    fn pages(&mut self, summary: &Summary) -> Result<(), Error> {
        let listed = std::mem::take(&mut self.files);
        let order = page::order(&listed);
        let mut made = Vec::new();
        let mut more = Vec::new();
        let chunks: Vec<&[usize]> = order.chunks(page::FILES_PER_PAGE).collect();
        for (part, number) in chunks.iter().skip(1).zip(2_usize..) {
            let path = self.paths.take("", &format!("index-{number}.html"));
            more.push(path.clone());
            let file = self.begin(path.clone(), &path, made_here())?;
            file.buffered(|out| page::continuation(out, number, chunks.len(), &listed, part))?;
        }
        let meta = self.meta.clone();
        let first = chunks.first().copied().unwrap_or_default();
        let file = self.begin(page::NAME.to_owned(), page::NAME, made_here())?;
        file.buffered(|out| page::index(out, &meta, summary, &listed, first, &more))?;
        made.append(&mut self.files);
        self.files = listed;
        self.files.append(&mut made);
        Ok(())
    }

    fn begin(
        &mut self,
        path: String,
        name: &str,
        about: FileAbout,
    ) -> Result<FileWriter<'_, W>, Error> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(self.time)
            // Else the bytes would tell, and depend on, the system that wrote them.
            .system(System::Unix)
            .unix_permissions(0o644)
            .large_file(about.at_most.is_none_or(|bytes| bytes >= SMALL));
        self.zip
            .start_file(path.as_str(), options)
            .map_err(write_error)?;
        self.is_open = true;
        let original_name =
            (path.rsplit('/').next() != Some(name)).then(|| name.chars().take(MAX_TEXT).collect());
        Ok(FileWriter {
            package: self,
            meter: Meter::default(),
            path,
            original_name,
            about,
        })
    }
}

impl<W: Write> fmt::Debug for PackageWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PackageWriter")
            .field("files", &self.files.len())
            .finish_non_exhaustive()
    }
}

const MANIFEST: &str = "manifest.json";

/// What is said of pages and manifest. Their lists are limited, so they stay far below 2 GiB.
fn made_here() -> FileAbout {
    FileAbout::new(What::Index, "made with the package").at_most(SMALL - 1)
}

/// Takes the content of one file. Dropped before its [`end`](Self::end), it makes the package void.
pub struct FileWriter<'a, W: Write> {
    package: &'a mut PackageWriter<W>,
    meter: Meter,
    path: String,
    original_name: Option<String>,
    about: FileAbout,
}

impl<'a, W: Write> FileWriter<'a, W> {
    /// Ends the file; tells what the manifest will say of it.
    ///
    /// # Errors
    /// [`Error::Unfinished`] when some of it could not be written.
    pub fn end(self) -> Result<&'a FileEntry, Error> {
        if !self.package.valve.is_open() {
            return Err(Error::Unfinished);
        }
        let (hash, size) = self.meter.raw();
        self.package.files.push(FileEntry {
            path: self.path,
            size,
            sha256: Sha256Hex(hash),
            what: self.about.what,
            source: self.about.source.chars().take(MAX_TEXT).collect(),
            original_name: self.original_name,
        });
        self.package.is_open = false;
        self.package.files.last().ok_or(Error::Unfinished)
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.meter.size()
    }

    /// Writes the whole file through a buffer, for content that comes in many small pieces, and ends it.
    fn buffered(
        self,
        write: impl FnOnce(&mut io::BufWriter<Self>) -> io::Result<()>,
    ) -> Result<&'a FileEntry, Error> {
        let mut out = io::BufWriter::with_capacity(BUFFER, self);
        write(&mut out).map_err(Error::Write)?;
        let file = out
            .into_inner()
            .map_err(|error| Error::Write(error.into_error()))?;
        file.end()
    }
}

impl<W: Write> fmt::Debug for FileWriter<'_, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileWriter")
            .field("written", &self.meter.size())
            .finish_non_exhaustive()
    }
}

impl<W: Write> Write for FileWriter<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.package.zip.write(bytes)?;
        self.meter.update(bytes.get(..taken).unwrap_or(bytes));
        Ok(taken)
    }

    /// Does nothing: flushing the compressor would only cost size.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lets nothing through once it is closed: by its first error, or because the package was given up.
///
/// The zip writer completes the archive when it is dropped, and says so on stderr when it cannot: a package that failed
/// must neither reach storage any more nor be said twice. Who goes on after an error learns it when the file ends.
struct Valve<W> {
    inner: W,
    is_open: Arc<AtomicBool>,
}

impl<W: Write> Write for Valve<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_open.load(Ordering::Relaxed) {
            return Ok(bytes.len());
        }
        let written = self.inner.write(bytes);
        if let Err(error) = &written
            && error.kind() != io::ErrorKind::Interrupted
        {
            self.is_open.store(false, Ordering::Relaxed);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_open.load(Ordering::Relaxed) {
            self.inner.flush()
        } else {
            Ok(())
        }
    }
}

struct CloseOnDrop(Arc<AtomicBool>);

impl CloseOnDrop {
    fn is_open(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// The zip crate's texts may quote a file's name, so only what the writer said is passed on.
fn write_error(error: ZipError) -> Error {
    Error::Write(match error {
        ZipError::Io(error) => error,
        _ => io::Error::other("the zip format does not take the file"),
    })
}

/// The time as zip has it: no zone, from 1980 to 2107, in steps of two seconds.
fn dos_time(at: Timestamp) -> DateTime {
    let at = at.to_zoned(TimeZone::UTC).datetime();
    let part = |n: i8| u8::try_from(n).unwrap_or_default();
    u16::try_from(at.year())
        .ok()
        .and_then(|year| {
            DateTime::from_date_and_time(
                year,
                part(at.month()),
                part(at.day()),
                part(at.hour()),
                part(at.minute()),
                part(at.second()),
            )
            .ok()
        })
        .unwrap_or_default()
}
