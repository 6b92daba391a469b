//! The ledger in Azure SQL, over the wire protocol of SQL Server (TDS).

mod connect;
mod transient;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use tiberius::ToSql;
use tokio::sync::Semaphore;

use super::error::{Cause, Error, Failure};
use super::key::AppId;
use super::statement::{Dialect, Parameter, Row, Statement, Value};
use crate::config::SqlServer;
use connect::{Connection, Connector};

/// Connections of one process.
const CONNECTIONS: usize = 4;
/// Tries of a statement while the database is out of order.
const TRIES: u32 = 6;
/// No new try is begun this long after the first one: an invocation is short, and comes back by itself.
const MAX_ELAPSED: Duration = Duration::from_secs(45);
/// Pause before the second try; it doubles from there.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(12);

/// A database and a few connections to it, made when they are needed.
#[derive(Debug)]
pub(super) struct Server {
    connector: Connector,
    statement_timeout: Duration,
    first_pause: Duration,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Server {
    pub(super) fn new(server: &SqlServer) -> Self {
        Self {
            connector: Connector::new(server),
            statement_timeout: server.statement_timeout,
            first_pause: FIRST_PAUSE,
            idle: Mutex::new(Vec::new()),
            permits: Semaphore::new(CONNECTIONS),
        }
    }

    /// The same with short pauses.
    #[cfg(test)]
    pub(super) fn hurried(mut self) -> Self {
        self.first_pause = Duration::from_millis(5);
        self
    }

    /// The same with a further authority on certificates.
    #[cfg(test)]
    pub(super) fn with_authority(mut self, authority: Option<Vec<u8>>) -> Self {
        self.connector = self.connector.with_authority(authority);
        self
    }

    /// The same with tokens from elsewhere.
    #[cfg(test)]
    pub(super) fn with_credential(
        mut self,
        credential: std::sync::Arc<dyn azure_core::credentials::TokenCredential>,
    ) -> Self {
        self.connector = self.connector.with_credential(credential);
        self
    }

    /// Runs a statement, again and over a new connection while the database is out of order. Every statement can be
    /// repeated: whether an answer was lost or a question does not matter.
    pub(super) async fn run(
        &self,
        statement: Statement,
        app: AppId,
        parameters: &[Parameter],
    ) -> Result<Vec<Row>, Failure> {
        let text = statement.text(Dialect::Tsql, app);
        let begin = Instant::now();
        let mut tries = 0;
        loop {
            tries += 1;
            let failure = match self.attempt(&text, parameters).await {
                Err(Failure::Error(error)) if error.is_transient() => error,
                other => return other,
            };
            let pause = self.pause(tries);
            if tries >= TRIES || begin.elapsed() + pause > MAX_ELAPSED {
                return Err(failure.into());
            }
            tracing::info!(tries, reason = %cause(&failure), "the ledger's database is asked again");
            tokio::time::sleep(pause).await;
        }
    }

    fn pause(&self, tries: u32) -> Duration {
        let doubled = self.first_pause * 2_u32.saturating_pow(tries.saturating_sub(1).min(10));
        doubled
            .min(MAX_PAUSE)
            .mul_f64(rand::rng().random_range(0.8..=1.2))
    }

    async fn attempt(&self, text: &str, parameters: &[Parameter]) -> Result<Vec<Row>, Failure> {
        let permit = tokio::time::timeout(MAX_ELAPSED, self.permits.acquire()).await;
        let Ok(Ok(_permit)) = permit else {
            return Err(Error::Transient(Cause::TimedOut).into());
        };
        let mut connection = match self.take() {
            Some(connection) => connection,
            None => self.connector.connect().await?,
        };
        // Whoever stops waiting here drops the connection: nothing of an old answer is ever read as a new one.
        let answer = ask(&mut connection, text, parameters);
        match tokio::time::timeout(self.statement_timeout, answer).await {
            Ok(Ok(rows)) => {
                self.give_back(connection);
                Ok(rows)
            }
            Ok(Err(failure)) => {
                if matches!(failure, Failure::Error(Error::Transient(_))) {
                    // What broke one connection has broken the others, as far as can be told.
                    self.idle().clear();
                }
                Err(failure)
            }
            Err(_elapsed) => Err(Error::Transient(Cause::TimedOut).into()),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Connection> {
        self.idle().pop()
    }

    fn give_back(&self, connection: Connection) {
        self.idle().push(connection);
    }
}

async fn ask(
    connection: &mut Connection,
    text: &str,
    parameters: &[Parameter],
) -> Result<Vec<Row>, Failure> {
    let given: Vec<&dyn ToSql> = parameters
        .iter()
        .map(|parameter| match parameter {
            Parameter::Text(text) => text as &dyn ToSql,
            Parameter::Number(number) => number as &dyn ToSql,
        })
        .collect();
    let failure = |error| transient::failure(&error);
    let answer = connection.query(text, &given).await.map_err(failure)?;
    let rows = answer.into_first_result().await.map_err(failure)?;
    rows.iter().map(row).collect()
}

fn row(row: &tiberius::Row) -> Result<Row, Failure> {
    let unreadable = || Failure::from(Error::Refused(Cause::Answer));
    let value = |n| match row.try_get::<i64, _>(n) {
        Ok(number) => number.map(Value::Number),
        Err(_text) => {
            let text = row.try_get::<&str, _>(n).ok().flatten();
            text.map(|text| Value::Text(text.to_owned()))
        }
    };
    (0..row.len())
        .map(|n| value(n).ok_or_else(unreadable))
        .collect()
}

fn cause(error: &Error) -> Cause {
    match error {
        Error::Denied(cause) | Error::Transient(cause) | Error::Refused(cause) => *cause,
        Error::Unavailable => Cause::Ending,
    }
}
