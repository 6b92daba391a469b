//! What the handler prints, line by line, into the host's log.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

use crate::log::{Level, LogSink};

/// Longer lines are cut: the rest of them is dropped.
const LONGEST_LINE: usize = 64 * 1024;
/// How many lines of standard error a failure repeats.
const LAST_LINES: usize = 3;
/// Prefix of lines that are meant for the host's own log.
const SYSTEM_PREFIX: &str = "LanguageWorkerConsoleLog";

/// The last lines of standard error.
#[derive(Debug, Clone, Default)]
pub(super) struct LastErrors(Arc<Mutex<VecDeque<String>>>);

impl LastErrors {
    fn add(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }

    /// The lines, as the failure shows them.
    pub(super) fn joined(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(",")
    }
}

/// Logs standard output: information.
pub(super) async fn log_output(stream: impl AsyncRead + Unpin, log: LogSink) {
    each_line(stream, |line| {
        let line = line.strip_prefix(SYSTEM_PREFIX).unwrap_or(line);
        log.info(line);
    })
    .await;
}

/// Logs standard error: errors, or warnings when the line says so.
pub(super) async fn log_errors(stream: impl AsyncRead + Unpin, log: LogSink, last: LastErrors) {
    each_line(stream, |line| {
        let line = line.strip_prefix(SYSTEM_PREFIX).unwrap_or(line);
        log.write(level_of(line), line);
        last.add(line);
    })
    .await;
}

fn level_of(line: &str) -> Level {
    if line.to_ascii_lowercase().contains("warn") {
        Level::Warning
    } else {
        Level::Error
    }
}

async fn each_line(stream: impl AsyncRead + Unpin, mut each: impl FnMut(&str)) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        let available = match reader.fill_buf().await {
            Ok([]) | Err(_) => break,
            Ok(available) => available,
        };
        let (taken, ended) = match available.iter().position(|byte| *byte == b'\n') {
            Some(end) => (end + 1, true),
            None => (available.len(), false),
        };
        let room = LONGEST_LINE - line.len().min(LONGEST_LINE);
        line.extend(available.iter().take(taken.min(room)));
        reader.consume(taken);
        if ended {
            emit(&mut line, &mut each);
        }
    }
    emit(&mut line, &mut each);
}

/// Hands a line over; the host leaves empty ones out.
fn emit(line: &mut Vec<u8>, each: &mut impl FnMut(&str)) {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\r', '\n']);
    if !text.is_empty() {
        each(text);
    }
    line.clear();
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_LINE, each_line, level_of};
    use crate::log::Level;

    #[tokio::test]
    async fn lines_are_split_and_cut() {
        async fn check(input: &[u8], expected: &[&str]) {
            let mut lines = Vec::new();
            each_line(input, |line| lines.push(line.to_owned())).await;
            assert_eq!(lines, expected);
        }
        check(b"", &[]).await;
        check(b"a\r\n\nb", &["a", "b"]).await;
        let long = vec![b'x'; LONGEST_LINE * 2];
        let mut input = long.clone();
        input.extend(b"\nnext\n");
        let cut = "x".repeat(LONGEST_LINE);
        check(&input, &[&cut, "next"]).await;
    }

    #[test]
    fn warnings_are_told_by_the_word() {
        assert_eq!(level_of("a Warning: x"), Level::Warning);
        assert_eq!(level_of("panicked"), Level::Error);
    }
}
