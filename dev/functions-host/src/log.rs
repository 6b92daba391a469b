//! Where the host's log lines go.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock;

/// Lines that a log in memory keeps; the oldest are dropped.
const KEPT_LINES: usize = 200_000;

/// How loud a line is, named as the real host names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Information,
    Warning,
    Error,
}

/// Where log lines go; clones write to the same place.
#[derive(Clone)]
pub struct LogSink(Arc<Target>);

enum Target {
    Stderr,
    File(Mutex<File>),
    Memory(Mutex<VecDeque<String>>),
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self.0 {
            Target::Stderr => "Stderr",
            Target::File(_) => "File",
            Target::Memory(_) => "Memory",
        };
        f.debug_tuple("LogSink").field(&name).finish()
    }
}

impl Default for LogSink {
    fn default() -> Self {
        Self::stderr()
    }
}

impl LogSink {
    /// Lines go to this process's standard error.
    #[must_use]
    pub fn stderr() -> Self {
        Self(Arc::new(Target::Stderr))
    }

    /// Lines are appended to a file.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn file(path: &Path) -> std::io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        Ok(Self(Arc::new(Target::File(Mutex::new(file)))))
    }

    /// Lines are kept in memory (the last 200,000), for [`LogSink::lines`].
    #[must_use]
    pub fn memory() -> Self {
        Self(Arc::new(Target::Memory(Mutex::default())))
    }

    /// The lines kept in memory so far; none for the other kinds.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        match &*self.0 {
            Target::Memory(lines) => {
                let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.iter().cloned().collect()
            }
            Target::Stderr | Target::File(_) => Vec::new(),
        }
    }

    /// How many lines kept in memory hold this text.
    #[must_use]
    pub fn count(&self, text: &str) -> usize {
        self.lines()
            .iter()
            .filter(|line| line.contains(text))
            .count()
    }

    pub(crate) fn info(&self, text: impl fmt::Display) {
        self.write(Level::Information, text);
    }

    pub(crate) fn warn(&self, text: impl fmt::Display) {
        self.write(Level::Warning, text);
    }

    pub(crate) fn error(&self, text: impl fmt::Display) {
        self.write(Level::Error, text);
    }

    /// Writes one line: time, level and text, as Azure's log stream shows them.
    pub(crate) fn write(&self, level: Level, text: impl fmt::Display) {
        let time = clock::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
        let line = format!("{time}   [{level:?}]   {text}");
        // A log that cannot be written must not stop the host: there is nobody left to tell.
        match &*self.0 {
            Target::Stderr => {
                let _ = writeln!(std::io::stderr().lock(), "{line}");
            }
            Target::File(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = file.write_all((line + "\n").as_bytes());
            }
            Target::Memory(lines) => {
                let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                if lines.len() == KEPT_LINES {
                    lines.pop_front();
                }
                lines.push_back(line);
            }
        }
    }
}
