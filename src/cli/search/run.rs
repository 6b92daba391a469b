//! One search over all paths of the command line.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write};
use std::ops::ControlFlow;
use std::path::Path;

use super::days::{Days, Seen};
use super::lines::Lines;
use super::people::People;
use super::progress::Progress;
use super::{container, say};
use crate::search::index::{BlobTokens, Key};
use crate::search::{Options, Scan, Summary, Unsearched};

/// How much of a file is read at once.
const CHUNK: usize = 1 << 20;
/// How deep folders are entered.
const MAX_FOLDERS: usize = 100;

/// One run over all paths.
pub(super) struct Run<'a> {
    people: &'a People,
    out: &'a mut dyn Write,
    err: &'a mut dyn Write,
    progress: Progress,
    buffer: Vec<u8>,
    /// The index, when one is asked for.
    pub(super) days: Option<Days>,
    pub(super) blobs: u64,
    pub(super) bytes: u64,
    pub(super) records: u64,
    pub(super) matches: u64,
    pub(super) is_incomplete: bool,
    pub(super) is_out_broken: bool,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        people: &'a People,
        out: &'a mut dyn Write,
        err: &'a mut dyn Write,
        progress: Progress,
    ) -> Self {
        Self {
            people,
            out,
            err,
            progress,
            buffer: vec![0; CHUNK],
            days: None,
            blobs: 0,
            bytes: 0,
            records: 0,
            matches: 0,
            is_incomplete: false,
            is_out_broken: false,
        }
    }

    /// Takes the index, and says what it is not good for.
    pub(super) fn begin(&mut self, days: Option<Days>) {
        if let Some(days) = &days
            && days.without_tokens() > 0
        {
            let count = days.without_tokens();
            self.say(&format!(
                "index: {count} of the identifiers cannot be asked of an index: everything is read"
            ));
        }
        self.days = days;
    }

    /// Searches a path of the command line.
    pub(super) fn path(&mut self, path: &Path) {
        let shown = path.to_string_lossy().into_owned();
        if shown.starts_with("https://") || shown.starts_with("http://") {
            return container::search(self, &shown);
        }
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                self.folder(path, shown.trim_end_matches(['/', '\\']), 0);
            }
            Ok(metadata) => {
                let name = shown.replace(std::path::MAIN_SEPARATOR, "/");
                self.file(path, &name, &metadata);
            }
            Err(error) => self.unread(&shown, &error.to_string()),
        }
    }

    /// Searches a folder, in the order of names.
    fn folder(&mut self, path: &Path, name: &str, depth: usize) {
        if depth >= MAX_FOLDERS {
            return self.unread(name, "is too deep a folder");
        }
        let mut entries = Vec::new();
        match fs::read_dir(path) {
            Ok(found) => {
                for entry in found {
                    match entry {
                        Ok(entry) => entries.push(entry),
                        Err(error) => self.unread(name, &error.to_string()),
                    }
                }
            }
            Err(error) => return self.unread(name, &error.to_string()),
        }
        entries.sort_by_key(fs::DirEntry::file_name);
        let is_day = self.enter_day(path);
        for entry in entries {
            let path = entry.path();
            let name = format!("{name}/{}", entry.file_name().to_string_lossy());
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            match fs::metadata(&path) {
                // A link to a folder may lead in circles.
                Ok(metadata) if metadata.is_dir() && is_link => {
                    self.unread(&name, "is a link to a folder, which is not followed");
                }
                Ok(metadata) if metadata.is_dir() => self.folder(&path, &name, depth + 1),
                Ok(metadata) if metadata.is_file() => self.file(&path, &name, &metadata),
                Ok(_) => self.unread(&name, "is neither a file nor a folder"),
                Err(error) => self.unread(&name, &error.to_string()),
            }
            if self.is_out_broken {
                return;
            }
        }
        if is_day {
            self.leave_day();
        }
    }

    /// Begins a day of the index, if the folder is one.
    fn enter_day(&mut self, path: &Path) -> bool {
        let Some(days) = &mut self.days else {
            return false;
        };
        match days.enter(path) {
            Ok(is_day) => is_day,
            Err(problem) => {
                self.say(&format!("index: {problem}"));
                true
            }
        }
    }

    fn leave_day(&mut self) {
        if let Some(Err(problem)) = self.days.as_mut().map(Days::leave) {
            self.say(&format!("index: cannot be written: {problem}"));
        }
    }

    fn file(&mut self, path: &Path, name: &str, metadata: &Metadata) {
        if self.is_out_broken {
            return;
        }
        let seen = self.days.as_mut().and_then(|days| days.see(path, metadata));
        if matches!(seen, Some(Seen::PassedOver)) {
            return;
        }
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) => return self.unread(name, &error.to_string()),
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        let new = match (seen, &self.days) {
            (Some(Seen::New(blob)), Some(days)) => Some((blob, days.key())),
            _ => None,
        };
        let mut blob = self.blob(name);
        if let Some((number, key)) = &new {
            blob = blob.indexed(*number, key);
        }
        let problem = loop {
            match file.read(&mut buffer) {
                Ok(0) => break None,
                Ok(length) => {
                    let chunk = buffer.get(..length).unwrap_or_default();
                    if blob.push(chunk).is_break() {
                        break None;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Some(error.to_string()),
            }
        };
        let mut end = blob.finish();
        self.buffer = buffer;
        if let (Some(days), Some(tokens), None) = (&mut self.days, end.tokens.take(), &problem)
            && let Ok(metadata) = file.metadata()
            && days.add(path, &metadata, tokens)
        {
            self.say(
                "index: not all files of the days are known: what is new is read, and indexed",
            );
        }
        self.note(name, end, problem);
    }

    /// Begins to search a blob, whatever it lies in.
    pub(super) fn blob<'r>(&'r mut self, name: &'r str) -> Blob<'r> {
        Blob {
            scan: self.people.searcher.scan(Options {
                path: Some(name),
                ..Options::default()
            }),
            lines: Lines {
                people: self.people,
                out: self.out,
                blob: name,
                error: None,
            },
            number: 0,
        }
    }

    /// Takes down how a blob ended.
    pub(super) fn note(&mut self, name: &str, end: End, problem: Option<String>) {
        let End {
            summary, broken, ..
        } = end;
        self.blobs += 1;
        self.bytes += summary.bytes;
        self.records += summary.records;
        self.matches += summary.matches;
        self.progress.blob(self.bytes, self.matches);
        if let Some(problem) = problem {
            self.unread(name, &problem);
        }
        if let Some(error) = broken {
            self.is_out_broken = true;
            self.unread("stdout", &error.to_string());
        }
        for missed in &summary.not_searched {
            self.say(&format!("{name}: {missed}"));
            self.is_incomplete |= missed.what != Unsearched::Hits;
        }
        if summary.not_searched_more > 0 {
            let more = summary.not_searched_more;
            self.unread(name, &format!("and {more} more not searched"));
        }
    }

    /// Says that something could not be read. The rest is searched.
    pub(super) fn unread(&mut self, name: &str, why: &str) {
        self.is_incomplete = true;
        self.say(&format!("{name}: {why}"));
    }

    /// Writes a line to stderr, above the progress.
    pub(super) fn say(&mut self, line: &str) {
        let Self { progress, err, .. } = self;
        progress.aside(|| say(*err, line));
    }

    /// Ends the run: what is buffered goes out, and the progress goes away.
    pub(super) fn end(&mut self) {
        self.progress.end();
        if let Some(written) = self.days.as_ref().and_then(Days::written) {
            self.say(&format!("index: {written}"));
        }
        if self.out.flush().is_err() {
            self.unread("stdout", "cannot be written");
        }
    }
}

/// One blob that is being searched.
pub(super) struct Blob<'r> {
    scan: Scan<'r>,
    lines: Lines<'r>,
    /// How an index knows it.
    number: u64,
}

/// How the search of a blob ended.
pub(super) struct End {
    summary: Summary,
    /// Why the output could not be written.
    broken: Option<io::Error>,
    /// What an index tells of it, if that was asked for.
    tokens: Option<BlobTokens>,
}

impl Blob<'_> {
    /// Gathers what an index tells of it, too.
    fn indexed(self, number: u64, key: &Key) -> Self {
        Self {
            scan: self.scan.with_tokens(key),
            number,
            ..self
        }
    }

    /// Takes the next bytes; `Break` when the output cannot be written.
    pub(super) fn push(&mut self, chunk: &[u8]) -> ControlFlow<()> {
        self.scan.push(chunk, &mut self.lines)
    }

    pub(super) fn finish(self) -> End {
        let Self {
            scan,
            mut lines,
            number,
        } = self;
        let (summary, tokens) = scan.finish_with_tokens(number, &mut lines);
        End {
            summary,
            broken: lines.error,
            tokens,
        }
    }
}
