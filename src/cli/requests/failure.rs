//! What can go wrong for a user of the command line, in words.

use std::io::Write;

use serde::Deserialize;

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The arguments or settings cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The service said no.
    #[error("{}", .0.summary())]
    Problem(Box<Problem>),
    /// The service could not be reached, or the connection broke.
    #[error("the service could not be reached")]
    Transport(#[source] reqwest::Error),
    /// The answer is not one of this service.
    #[error("the answer is not one of this service: {0}")]
    Answer(&'static str),
    /// A file could not be used.
    #[error("cannot {what}")]
    File {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// A problem in the sense of RFC 9457, or what is known of an answer that is none.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    title: String,
    /// The HTTP status.
    #[serde(default)]
    pub(super) status: u16,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<Fault>,
}

#[derive(Debug, Clone, Deserialize)]
struct Fault {
    #[serde(default)]
    pointer: String,
    #[serde(default)]
    detail: String,
}

impl Problem {
    /// Reads the body of a refusal.
    pub(super) fn read(status: u16, body: &[u8], key: &str) -> Self {
        // The host answers by itself too, with other bodies or none: to a wrong key, or when the handler is not there.
        let problem: Self = serde_json::from_slice(body).unwrap_or_default();
        let title = if problem.title.is_empty() {
            match status {
                401 | 403 => format!("The key is missing or wrong (--key or {key})"),
                404 => "There is nothing at this address".to_owned(),
                502..=504 => "The service is not running".to_owned(),
                _ => "The service refused".to_owned(),
            }
        } else {
            problem.title
        };
        Self {
            title,
            status,
            ..problem
        }
    }

    fn summary(&self) -> String {
        let mut text = format!("{} ({})", plain(&self.title), self.status);
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&plain(&self.detail));
        }
        text
    }
}

impl Failure {
    pub(super) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    pub(super) fn file(what: &'static str, source: std::io::Error) -> Self {
        Self::File { what, source }
    }

    /// Whether the same call may work in a moment.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Transport(_) => true,
            Self::Problem(problem) => {
                problem.status == 408 || problem.status == 429 || problem.status >= 500
            }
            Self::Usage(_) | Self::Answer(_) | Self::File { .. } => false,
        }
    }

    /// Prints it with its causes, and each fault of a document on a line of its own.
    pub(super) fn print(&self, err: &mut dyn Write) -> std::io::Result<()> {
        let mut text = format!("error: {self}");
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            source = cause.source();
        }
        writeln!(err, "{text}")?;
        if let Self::Problem(problem) = self {
            for fault in &problem.errors {
                let place = if fault.pointer.is_empty() {
                    "the document".to_owned()
                } else {
                    plain(&fault.pointer)
                };
                writeln!(err, "  {place}: {}", plain(&fault.detail))?;
            }
        }
        Ok(())
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        Self::Transport(error.without_url())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::file("write the output", error)
    }
}

/// Text without control characters: what somebody wrote must not steer a terminal.
pub(super) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}
