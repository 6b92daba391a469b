//! The ledger: which reports an app has, and which of them were retrieved.
//!
//! One table an app, `[dsr].[Crashes_<app id>]`, with two columns: `[Crash-Guid]`, the [`Key`] of a report, and
//! `[HasBeenRetrieved]`. It is in Azure SQL, or in an SQLite file for local runs; both do the same, statement by
//! statement (`sql/tsql`, `sql/sqlite`). A table is made by the first insert, and an app without one has no reports.
//!
//! Every method can be repeated with the same result, and reads go by key: no table is ever read as a whole.

mod error;
mod key;
mod server;
mod sqlite;
mod statement;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use crate::config;

use server::Server;
use sqlite::Sqlite;
use statement::{Parameter, Row, Statement, Value};

use error::Failure;
pub use error::{Cause, Error};
pub use key::{AppId, Key};

/// Rows that one read returns at most, however many are asked for.
pub const MAX_PAGE: usize = 1000;
/// How often a statement is tried against others who make and write the same.
const TRIES: u32 = 5;

/// The list of reports of each app. Opening it makes no call.
#[derive(Debug)]
pub struct Ledger {
    backend: Backend,
    statement_rows: usize,
}

#[derive(Debug)]
enum Backend {
    Unavailable,
    Sqlite(Sqlite),
    Server(Box<Server>),
}

/// A report of an app, as the ledger knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which report.
    pub key: Key,
    /// Whether it was retrieved.
    pub is_retrieved: bool,
}

/// How many reports of an app the ledger knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// All of them.
    pub total: u64,
    /// Those that were retrieved.
    pub retrieved: u64,
}

impl Ledger {
    /// The ledger of these settings.
    #[must_use]
    pub fn open(settings: &config::Ledger) -> Self {
        let backend = match &settings.database {
            config::LedgerDatabase::None => Backend::Unavailable,
            config::LedgerDatabase::Sqlite(path) => Backend::Sqlite(Sqlite::new(path)),
            config::LedgerDatabase::SqlServer(server) => {
                Backend::Server(Box::new(Server::new(server)))
            }
        };
        Self {
            backend,
            statement_rows: settings.statement_rows.max(1),
        }
    }

    /// Adds reports; those that are there keep what they have. Returns how many were new.
    ///
    /// # Errors
    /// When the database cannot be used. What was added before stays; the same call can be made again, and then counts
    /// only what is still new.
    pub async fn insert(&self, app: AppId, keys: &[Key]) -> Result<u64, Error> {
        let mut new = 0;
        for batch in self.batches(keys) {
            new += self.insert_batch(app, batch).await?;
        }
        Ok(new)
    }

    async fn insert_batch(&self, app: AppId, batch: Parameter) -> Result<u64, Error> {
        let batch = [batch];
        // The table is made when it turns out to be missing, which saves a question in all other cases; and once more
        // if another instance removes it in between.
        for _ in 0..TRIES {
            match self.run(Statement::Insert, app, &batch).await {
                Err(Failure::NoTable) => {
                    let made = self.run(Statement::CreateTable, app, &[]).await;
                    made.map_err(Failure::into_error)?;
                }
                result => return changed(&result.map_err(Failure::into_error)?),
            }
        }
        Err(Failure::NoTable.into_error())
    }

    /// Reports that were not yet retrieved, in order, after a key: at most `limit`, and at most [`MAX_PAGE`].
    ///
    /// None are left when none are returned.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn unretrieved(
        &self,
        app: AppId,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Key>, Error> {
        let entries = self.page(Statement::Unretrieved, app, after, limit).await?;
        Ok(entries.into_iter().map(|entry| entry.key).collect())
    }

    /// Reports, in order, after a key: at most `limit`, and at most [`MAX_PAGE`].
    ///
    /// None are left when none are returned.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn all(
        &self,
        app: AppId,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        self.page(Statement::All, app, after, limit).await
    }

    /// Marks reports as retrieved; those that are not there are left out. Returns how many were not marked before.
    ///
    /// # Errors
    /// When the database cannot be used; the same call can be made again.
    pub async fn mark_retrieved(&self, app: AppId, keys: &[Key]) -> Result<u64, Error> {
        self.change(Statement::Mark, app, keys).await
    }

    /// Marks reports as not retrieved. Returns how many were marked before.
    ///
    /// # Errors
    /// When the database cannot be used; the same call can be made again.
    pub async fn reset(&self, app: AppId, keys: &[Key]) -> Result<u64, Error> {
        self.change(Statement::Reset, app, keys).await
    }

    /// How many reports of an app there are.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn counts(&self, app: AppId) -> Result<Counts, Error> {
        let rows = self.rows(Statement::Counts, app, &[]).await?;
        match rows.first().map(Vec::as_slice) {
            None => Ok(Counts::default()),
            Some([Value::Number(total), Value::Number(retrieved)]) => Ok(Counts {
                total: u64::try_from(*total).unwrap_or(0),
                retrieved: u64::try_from(*retrieved).unwrap_or(0),
            }),
            Some(_) => Err(Error::Refused(Cause::Answer)),
        }
    }

    /// Forgets an app: its table goes, if there is one.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn drop_app(&self, app: AppId) -> Result<(), Error> {
        self.rows(Statement::DropTable, app, &[]).await?;
        Ok(())
    }

    async fn change(&self, statement: Statement, app: AppId, keys: &[Key]) -> Result<u64, Error> {
        let mut sum = 0;
        for batch in self.batches(keys) {
            let rows = self.rows(statement, app, &[batch]).await?;
            // No rows: no table.
            sum += if rows.is_empty() { 0 } else { changed(&rows)? };
        }
        Ok(sum)
    }

    async fn page(
        &self,
        statement: Statement,
        app: AppId,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Entry>, Error> {
        let limit = limit.min(MAX_PAGE);
        let mut after = after.map(ToString::to_string).unwrap_or_default();
        let mut entries = Vec::new();
        while entries.len() < limit {
            let wanted = limit - entries.len();
            let parameters = [
                Parameter::Text(after),
                Parameter::Number(i64::try_from(wanted).unwrap_or(i64::MAX)),
            ];
            let rows = self.rows(statement, app, &parameters).await?;
            let Some(last) = rows.last() else { break };
            let Some(Value::Text(text)) = last.first() else {
                return Err(Error::Refused(Cause::Answer));
            };
            after = text.clone();
            let is_last = rows.len() < wanted;
            // A row that somebody else put there and that is no key is passed over, and more is read in its place.
            entries.extend(rows.iter().filter_map(entry));
            if is_last {
                break;
            }
        }
        Ok(entries)
    }

    /// Keys in order, each once, as JSON arrays of at most so many as a statement may name.
    fn batches(&self, keys: &[Key]) -> Vec<Parameter> {
        let keys: Vec<&Key> = keys.iter().collect::<BTreeSet<_>>().into_iter().collect();
        let json = |keys: &[&Key]| {
            // A key is letters, digits, hyphens and a slash: nothing in it has to be escaped.
            let quoted: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
            Parameter::Text(format!("[{}]", quoted.join(",")))
        };
        keys.chunks(self.statement_rows).map(json).collect()
    }

    /// Runs a statement; without a table there are no rows.
    async fn rows(
        &self,
        statement: Statement,
        app: AppId,
        parameters: &[Parameter],
    ) -> Result<Vec<Row>, Error> {
        match self.run(statement, app, parameters).await {
            Ok(rows) => Ok(rows),
            Err(Failure::NoTable) => Ok(Vec::new()),
            Err(failure) => Err(failure.into_error()),
        }
    }

    async fn run(
        &self,
        statement: Statement,
        app: AppId,
        parameters: &[Parameter],
    ) -> Result<Vec<Row>, Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            let result = match &self.backend {
                Backend::Unavailable => return Err(Error::Unavailable.into()),
                Backend::Sqlite(sqlite) => sqlite.run(statement, app, parameters.to_vec()).await,
                Backend::Server(server) => server.run(statement, app, parameters).await,
            };
            match result {
                Err(Failure::Conflict(_)) if tries < TRIES => {}
                other => return other,
            }
        }
    }
}

/// The one number of an answer to a change.
fn changed(rows: &[Row]) -> Result<u64, Error> {
    match rows {
        [row] => match row.as_slice() {
            [Value::Number(count)] => Ok(u64::try_from(*count).unwrap_or(0)),
            _ => Err(Error::Refused(Cause::Answer)),
        },
        _ => Err(Error::Refused(Cause::Answer)),
    }
}

fn entry(row: &Row) -> Option<Entry> {
    let (Value::Text(key), is_retrieved) = (row.first()?, row.get(1)) else {
        return None;
    };
    Some(Entry {
        key: key.parse().ok()?,
        is_retrieved: is_retrieved.is_some_and(|it| *it != Value::Number(0)),
    })
}
