//! Writing parts of log rows into a package, as they are or as a table.

use std::io::Write as _;

use tokio::runtime::Handle;

use super::{Zip, package_error};
use crate::package::{FileAbout, RowTable};
use crate::stages::StageError;
use crate::storage::Container;
use crate::work::Error;

/// Largest part, in bytes: they are written at 8 MiB, and one row can add up to 16 MiB.
const MAX_PART: usize = 64 * 1024 * 1024;

/// The form of a file of log rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// One JSON value a line.
    Lines,
    /// Comma-separated values.
    Table,
}

/// Writes one file of log rows, part by part. It blocks.
pub(super) fn write(
    zip: &mut Zip,
    container: &Container,
    parts: &[String],
    (folder, name, about): (&[&str], &str, FileAbout),
    form: Form,
) -> Result<(), StageError> {
    let failed = || StageError::retry("the package could not be written");
    let mut file = zip.file(folder, name, about).map_err(package_error)?;
    match form {
        Form::Lines => {
            for part in parts {
                let rows = read(container, part)?;
                file.write_all(&rows).map_err(|_error| failed())?;
            }
        }
        Form::Table => {
            let mut table = RowTable::new(&mut file).map_err(|_error| failed())?;
            for part in parts {
                let rows = read(container, part)?;
                let lines = rows.split(|byte| *byte == b'\n');
                for row in lines.filter(|row| !row.is_empty()) {
                    table.row(row).map_err(|_error| failed())?;
                }
            }
            table.end().map_err(|_error| failed())?;
        }
    }
    file.end().map_err(package_error)?;
    Ok(())
}

fn read(container: &Container, part: &str) -> Result<bytes::Bytes, StageError> {
    let read = Handle::current().block_on(container.read(part, MAX_PART));
    let stored = read.map_err(Error::from)?.ok_or(Error::Corrupt {
        what: "rows of the package",
        reason: "a part is missing".to_owned(),
    })?;
    Ok(stored.bytes)
}
