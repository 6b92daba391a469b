//! What can go wrong with the ledger, by what the caller does about it.

/// Why the ledger could not be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is none.
    #[error(
        "there is no ledger: the setting `LEDGER_DATABASE` needs an Azure SQL connection string"
    )]
    Unavailable,
    /// The user, the identity or the firewall does not allow it; only a person can change that.
    #[error("the ledger's database denied access")]
    Denied(#[source] Cause),
    /// The database or the way to it is out of order for now; the same call can succeed later.
    #[error("the ledger's database is not available for now")]
    Transient(#[source] Cause),
    /// Anything else; trying again is not expected to help.
    #[error("the ledger's database refused the statement")]
    Refused(#[source] Cause),
}

impl Error {
    /// Whether the same call can succeed later without anybody doing anything.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient(_))
    }
}

/// What a database said, as a number, or what happened on the way to it. Its own words are not repeated: they quote
/// what was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// An error number of SQL Server.
    #[error("SQL Server error {0}")]
    SqlServer(u32),
    /// An extended result code of SQLite.
    #[error("SQLite error {0}")]
    Sqlite(i32),
    /// The connection could not be made, or broke.
    #[error("no connection ({0})")]
    Connection(std::io::ErrorKind),
    /// It took too long.
    #[error("timed out")]
    TimedOut,
    /// No token from the identity.
    #[error("no token from the managed identity")]
    Token,
    /// TLS could not be set up, such as with a certificate that is not trusted.
    #[error("no secure connection")]
    Tls,
    /// An answer that cannot be read.
    #[error("an unreadable answer")]
    Answer,
    /// The app's table was removed by another instance at the same time.
    #[error("the app's table is gone")]
    NoTable,
    /// A task of this process ended too early.
    #[error("the process is ending")]
    Ending,
}

/// Why a statement failed, for the code that runs statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// The app has no table.
    NoTable,
    /// Another instance made or wrote the same at the same time; once more, and it is there.
    Conflict(Cause),
    /// All else.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Failure {
    /// What a caller hears when nothing else helps.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::NoTable => Error::Transient(Cause::NoTable),
            Self::Conflict(cause) => Error::Transient(cause),
            Self::Error(error) => error,
        }
    }
}
