//! Writing the zip, one file after the other.

use std::fmt;
use std::io::{self, Read, Seek, Write};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use zip::result::ZipError;
use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, System, ZipArchive, ZipWriter};

use super::hashing::Meter;
use super::manifest::{FileAbout, FileEntry, Manifest, Meta, Sha256Hex, Summary, What};
use super::names::{Paths, inert_name, safe_name};
use super::valve::{CloseOnDrop, Valve};
use super::{Error, HashingWriter, explain, page};

/// Most files of a package: each costs some hundred bytes of memory until the package is finished.
pub const MAX_FILES: usize = 250_000;
/// Up to this size a file is surely below 4 GiB, however badly it compresses, and needs no ZIP64 fields.
const SMALL: u64 = 2 * 1024 * 1024 * 1024;
/// Bytes that are compressed at once. Always so many, however they come: how a file is divided decides about its
/// compressed bytes, and those must be the same each time.
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
        let (valve, is_open) = Valve::new(out);
        let mut paths = Paths::default();
        for name in [page::NAME, MANIFEST, explain::NAME] {
            paths.take("", name);
        }
        Self {
            valve: is_open,
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
        let path = self.path(folder, name, about.what);
        self.begin(path, name, about)
    }

    /// Makes a folder's path known, so that it is the same whichever files are written before. A package that is written
    /// in segments reserves its folders in the same order for each.
    pub fn reserve(&mut self, folder: &[&str]) {
        self.paths.folder(folder);
    }

    /// Takes a file's name without the file: it is missing, or another segment holds it.
    pub fn skip(&mut self, folder: &[&str], name: &str, what: What) {
        self.path(folder, name, what);
    }

    fn path(&mut self, folder: &[&str], name: &str, what: What) -> String {
        let safe = if what.is_untrusted() {
            inert_name(name)
        } else {
            safe_name(name)
        };
        let folder = self.paths.folder(folder);
        self.paths.take(&folder, &safe)
    }

    /// Ends a segment: a zip with the files so far and nothing else, to be [merged](Self::merge) into a package.
    ///
    /// # Errors
    /// [`Error::Unfinished`] when a file was not ended; else when it cannot be written.
    pub fn end_segment(self) -> Result<(W, Vec<FileEntry>), Error> {
        if self.is_open {
            return Err(Error::Unfinished);
        }
        let Self {
            zip, valve, files, ..
        } = self;
        let (out, _digest) = zip.finish().map_err(write_error)?.into_inner().finish();
        if !valve.is_open() {
            return Err(Error::Unfinished);
        }
        Ok((out.into_inner(), files))
    }

    /// Takes over the files of a segment as they are, compressed. The package's bytes do not depend on how its files
    /// were divided into segments.
    ///
    /// # Errors
    /// [`Error::TooManyFiles`]; [`Error::Segment`] when it is not what was written; else when it cannot be read or
    /// written.
    pub fn merge<R: Read + Seek>(
        &mut self,
        segment: R,
        files: Vec<FileEntry>,
    ) -> Result<(), Error> {
        if self.is_open {
            return Err(Error::Unfinished);
        }
        if self.files.len() + files.len() > MAX_FILES {
            return Err(Error::TooManyFiles { limit: MAX_FILES });
        }
        let archive = ZipArchive::new(segment).map_err(read_error)?;
        let is_whole = archive.len() == files.len()
            && files
                .iter()
                .all(|file| archive.index_for_name(&file.path).is_some());
        if !is_whole {
            return Err(Error::Segment);
        }
        for file in &files {
            self.paths.note(&file.path);
        }
        self.zip.merge_archive(archive).map_err(|error| {
            // Some of it may have been written.
            self.valve.close();
            write_error(error)
        })?;
        self.files.extend(files);
        Ok(())
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
        let manifest = manifest.whole(|out| Ok(serde_json::to_writer_pretty(out, &document)?))?;
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
        Ok((out.into_inner(), finished))
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
            file.whole(|out| page::continuation(out, number, chunks.len(), &listed, part))?;
        }
        let meta = self.meta.clone();
        let first = chunks.first().copied().unwrap_or_default();
        let file = self.begin(page::NAME.to_owned(), page::NAME, made_here())?;
        file.whole(|out| page::index(out, &meta, summary, &listed, first, &more))?;
        let file = self.begin(explain::NAME.to_owned(), explain::NAME, made_here())?;
        file.whole(|out| explain::write(out, &meta))?;
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
            buffer: Vec::new(),
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
    buffer: Vec<u8>,
    path: String,
    original_name: Option<String>,
    about: FileAbout,
}

impl<'a, W: Write> FileWriter<'a, W> {
    /// Ends the file; tells what the manifest will say of it.
    ///
    /// # Errors
    /// [`Error::Unfinished`] when some of it could not be written.
    pub fn end(mut self) -> Result<&'a FileEntry, Error> {
        self.compress().map_err(Error::Write)?;
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
            of: self.about.of,
            records: self.about.records,
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

    /// Writes the whole file and ends it.
    fn whole(
        mut self,
        write: impl FnOnce(&mut Self) -> io::Result<()>,
    ) -> Result<&'a FileEntry, Error> {
        write(&mut self).map_err(Error::Write)?;
        self.end()
    }

    fn compress(&mut self) -> io::Result<()> {
        let written = self.package.zip.write_all(&self.buffer);
        self.buffer.clear();
        if written.is_err() {
            self.package.valve.close();
        }
        written
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
        let room = BUFFER.saturating_sub(self.buffer.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        self.meter.update(taken);
        if self.buffer.len() >= BUFFER {
            self.compress()?;
        }
        Ok(taken.len())
    }

    /// Does nothing: flushing the compressor would only cost size.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The zip crate's texts may quote a file's name, so only what the writer said is passed on.
fn write_error(error: ZipError) -> Error {
    Error::Write(match error {
        ZipError::Io(error) => error,
        _ => io::Error::other("the zip format does not take the file"),
    })
}

fn read_error(error: ZipError) -> Error {
    match error {
        ZipError::Io(error) => Error::Read(error),
        _ => Error::Segment,
    }
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
