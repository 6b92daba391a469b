//! The ledger in a file of this machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::Mutex;

use super::error::{Cause, Error, Failure};
use super::key::AppId;
use super::statement::{Dialect, Parameter, Row, Statement, Value};

/// How long a statement waits for another process's write.
const BUSY: Duration = Duration::from_secs(10);
/// How soon a ledger that is in use is opened again.
const AGAIN: Duration = Duration::from_millis(20);
/// Statements that stay prepared: those of a few apps.
const PREPARED: usize = 64;

/// One connection, opened at the first statement; statements run one after the other, on threads that may block.
#[derive(Debug)]
pub(super) struct Sqlite {
    path: PathBuf,
    connection: Arc<Mutex<Option<Connection>>>,
}

impl Sqlite {
    pub(super) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            connection: Arc::new(Mutex::new(None)),
        }
    }

    /// Runs a statement. One that is begun ends, even if nobody waits for it any more.
    pub(super) async fn run(
        &self,
        statement: Statement,
        app: AppId,
        parameters: Vec<Parameter>,
    ) -> Result<Vec<Row>, Failure> {
        let mut guard = Arc::clone(&self.connection).lock_owned().await;
        let path = self.path.clone();
        let task = tokio::task::spawn_blocking(move || {
            let connection = match guard.take() {
                Some(connection) => guard.insert(connection),
                None => guard.insert(open(&path)?),
            };
            perform(connection, statement, app, &parameters)
        });
        match task.await {
            Ok(result) => result,
            Err(_ended) => Err(Error::Transient(Cause::Ending).into()),
        }
    }
}

fn open(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        // Readers do not wait for a writer, nor it for them. What was answered is on the disk (`synchronous` stays full):
        // a stage counts on it.
        let mode: String = connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
        if !mode.eq_ignore_ascii_case("wal") {
            connection.pragma_update(None, "journal_mode", "WAL")?;
        }
        Ok(connection)
    };
    // A change of the journal is refused at once while another process uses the file: `busy_timeout` does not hold for it
    // (https://sqlite.org/c3ref/busy_handler.html). The first processes to open a new ledger meet there.
    let until = Instant::now() + BUSY;
    loop {
        match open() {
            Err(error) if is_busy(&error) && Instant::now() < until => {
                std::thread::sleep(AGAIN);
            }
            ended => return ended.map_err(|error| failure(&error)),
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn perform(
    connection: &Connection,
    statement: Statement,
    app: AppId,
    parameters: &[Parameter],
) -> Result<Vec<Row>, Failure> {
    let text = statement.text(Dialect::Sqlite, app);
    let perform = || {
        if parameters.is_empty() && matches!(statement, Statement::CreateTable) {
            connection.execute_batch(&text)?;
            return Ok(Vec::new());
        }
        let mut prepared = connection.prepare_cached(&text)?;
        for (n, parameter) in parameters.iter().enumerate() {
            match parameter {
                Parameter::Text(text) => prepared.raw_bind_parameter(n + 1, text)?,
                Parameter::Number(number) => prepared.raw_bind_parameter(n + 1, number)?,
            }
        }
        let columns = prepared.column_count();
        if columns == 0 {
            let changed = i64::try_from(prepared.raw_execute()?).unwrap_or(i64::MAX);
            return Ok(vec![vec![Value::Number(changed)]]);
        }
        let mut answer = Vec::new();
        let mut rows = prepared.raw_query();
        while let Some(row) = rows.next()? {
            let mut values = Vec::with_capacity(columns);
            for column in 0..columns {
                values.push(match row.get_ref(column)? {
                    ValueRef::Integer(number) => Value::Number(number),
                    ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
                    ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => {
                        Value::Text(String::new())
                    }
                });
            }
            answer.push(values);
        }
        Ok(answer)
    };
    perform().map_err(|error| failure(&error))
}

fn failure(error: &rusqlite::Error) -> Failure {
    let rusqlite::Error::SqliteFailure(code, text) = error else {
        return Error::Refused(Cause::Answer).into();
    };
    let cause = Cause::Sqlite(code.extended_code);
    let is_missing = |text: &String| text.starts_with("no such table");
    match code.code {
        _ if text.as_ref().is_some_and(is_missing) => Failure::NoTable,
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::SystemIoFailure
        | ErrorCode::DiskFull
        | ErrorCode::OutOfMemory
        | ErrorCode::FileLockingProtocolFailed
        | ErrorCode::SchemaChanged => Error::Transient(cause).into(),
        ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen => {
            Error::Denied(cause).into()
        }
        _ => Error::Refused(cause).into(),
    }
}
