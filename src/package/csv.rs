//! Log rows as a table for spreadsheet programs, one row at a time.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use serde_json::{Map, Value};

/// The columns: the fields of a log row in the order of the export's documentation.
pub(super) const COLUMNS: [&str; 36] = [
    "AppId",
    "Timestamp",
    "InstallId",
    "MessageType",
    "IngressTimestamp",
    "MessageId",
    "EventId",
    "EventName",
    "CorrelationId",
    "IsTestMessage",
    "SdkVersion",
    "Model",
    "OemName",
    "OsName",
    "OsVersion",
    "OsApiLevel",
    "Locale",
    "TimeZoneOffset",
    "ScreenSize",
    "AppVersion",
    "AppBuild",
    "AppNamespace",
    "CarrierName",
    "CarrierCountry",
    "CountryCode",
    "WrapperSdkVersion",
    "WrapperSdkName",
    "Properties",
    "SessionId",
    "SdkName",
    "OsBuild",
    "WrapperRuntimeVersion",
    "LiveUpdateDeploymentKey",
    "LiveUpdatePackageHash",
    "LiveUpdateReleaseLabel",
    "UserId",
];
/// The last column: all other fields, as one JSON object.
pub(super) const OTHER: &str = "OtherFields";

/// Why a row could not be written. It quotes nothing of the row.
#[derive(Debug, thiserror::Error)]
#[error("a row of a table could not be written")]
pub struct TableError(#[source] io::Error);

/// Writes log rows as CSV: UTF-8, commas, quotes where needed, a line of headings first.
pub struct RowTable<W: Write> {
    out: csv::Writer<W>,
}

impl<W: Write> RowTable<W> {
    /// Begins a table with its headings.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn new(out: W) -> Result<Self, TableError> {
        let mut out = csv::WriterBuilder::new().from_writer(out);
        let headings = COLUMNS.into_iter().chain([OTHER]);
        out.write_record(headings).map_err(failed)?;
        Ok(Self { out })
    }

    /// Writes a row that is JSON. What is no object goes into the last column whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn row(&mut self, json: &[u8]) -> Result<(), TableError> {
        let mut cells: [Option<String>; COLUMNS.len()] = [const { None }; COLUMNS.len()];
        let mut other = String::new();
        match serde_json::from_slice(json) {
            Ok(Value::Object(fields)) => {
                let mut rest = Map::new();
                for (name, value) in fields {
                    let column = COLUMNS.iter().position(|it| it.eq_ignore_ascii_case(&name));
                    match column.and_then(|column| cells.get_mut(column)) {
                        // Two spellings of one name: neither is lost.
                        Some(cell) if cell.is_none() => *cell = Some(text(value)),
                        _ => {
                            rest.insert(name, value);
                        }
                    }
                }
                if !rest.is_empty() {
                    other = Value::Object(rest).to_string();
                }
            }
            Ok(value) => other = text(value),
            Err(_) => other = String::from_utf8_lossy(json).into_owned(),
        }
        for cell in &cells {
            let cell = cell.as_deref().unwrap_or_default();
            self.out
                .write_field(harmless(cell).as_bytes())
                .map_err(failed)?;
        }
        self.out
            .write_field(harmless(&other).as_bytes())
            .map_err(failed)?;
        self.out.write_record(None::<&[u8]>).map_err(failed)
    }

    /// Writes what is still buffered.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(mut self) -> Result<(), TableError> {
        self.out.flush().map_err(TableError)
    }
}

impl<W: Write> fmt::Debug for RowTable<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowTable").finish_non_exhaustive()
    }
}

fn failed(error: csv::Error) -> TableError {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => TableError(error),
        _ => TableError(io::Error::other("the table does not take the row")),
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        value => value.to_string(),
    }
}

/// A cell that no spreadsheet program takes for a formula.
fn harmless(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        Cow::Owned(format!("'{cell}"))
    } else {
        Cow::Borrowed(cell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(rows: &[&str]) -> Vec<Vec<String>> {
        let mut out = Vec::new();
        let mut table = RowTable::new(&mut out).expect("a vector");
        for row in rows {
            table.row(row.as_bytes()).expect("a vector");
        }
        table.end().expect("a vector");
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(out.as_slice());
        let cells = |record: csv::StringRecord| record.iter().map(str::to_owned).collect();
        reader
            .records()
            .map(|record| cells(record.expect("CSV with as many cells in every row")))
            .collect()
    }

    fn cell<'a>(row: &'a [String], name: &str) -> &'a str {
        let column = COLUMNS.iter().position(|it| *it == name);
        &row[column.expect("a column")]
    }

    #[test]
    fn rows_become_cells() {
        let table = table(&[
            r#"{"UserId":"u-1","EventName":"a \"b\", c\nd","Extra":{"a":[1]},"installid":"X","InstallId":"Y","OsApiLevel":34,"Model":null}"#,
            r#"{"Model":"Zoë's 电话"}"#,
            "[1,2]",
            "no JSON",
        ]);
        assert_eq!(table[0].len(), 37);
        assert_eq!(
            (table[0][0].as_str(), table[0][36].as_str()),
            ("AppId", OTHER)
        );
        let row = &table[1];
        assert_eq!(cell(row, "UserId"), "u-1");
        assert_eq!(cell(row, "EventName"), "a \"b\", c\nd");
        assert_eq!(cell(row, "OsApiLevel"), "34");
        assert_eq!(cell(row, "Model"), "");
        // Neither spelling is lost.
        let both = format!("{} {}", cell(row, "InstallId"), row[36]);
        assert!(
            both.contains('X') && both.contains('Y') && row[36].contains(r#""Extra":{"a":[1]}"#)
        );
        assert_eq!(cell(&table[2], "Model"), "Zoë's 电话");
        assert_eq!(
            (table[3][36].as_str(), table[4][36].as_str()),
            ("[1,2]", "no JSON")
        );
    }

    #[test]
    fn no_cell_is_a_formula() {
        for (value, expected) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("'=1", "'=1"),
            ("1=1", "1=1"),
            ("", ""),
        ] {
            let row = serde_json::json!({ "EventName": value, "Properties": value }).to_string();
            let table = table(&[&row]);
            assert_eq!(cell(&table[1], "EventName"), expected);
            assert_eq!(cell(&table[1], "Properties"), expected);
        }
    }

    proptest! {
        #[test]
        fn any_value_keeps_to_its_cell(value in "(?s).{0,60}|[=+@\\-\",\r\n\t']{0,10}", name in "[a-zA-Z]{1,12}") {
            let row = serde_json::json!({ "Locale": value, name: 1 }).to_string();
            let table = table(&[&row, &row]);
            prop_assert_eq!(table.len(), 3);
            let cell = cell(&table[1], "Locale");
            prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']));
            prop_assert_eq!(cell.strip_prefix('\'').filter(|_| !value.starts_with('\'')).unwrap_or(cell), value);
        }
    }
}
