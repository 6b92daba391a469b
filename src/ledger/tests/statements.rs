//! The files of SQL: they are what is sent, and they are SQL.

use sqlparser::dialect::{MsSqlDialect, SQLiteDialect};
use sqlparser::parser::Parser;

use super::{APP, app};
use crate::ledger::statement::{Dialect, Statement};

const BY_HAND: &str = include_str!("../sql/tsql/try_by_hand.sqlcmd");

#[test]
fn every_statement_is_sql() {
    for statement in Statement::ALL {
        let name = statement.file();
        let text = statement.text(Dialect::Tsql, app());
        let parsed = Parser::parse_sql(&MsSqlDialect {}, &text);
        let parsed = parsed.unwrap_or_else(|error| panic!("tsql/{name}: {error}\n{text}"));
        assert!(parsed.len() >= 2, "tsql/{name}: `SET NOCOUNT ON` and more");
        let text = statement.text(Dialect::Sqlite, app());
        let parsed = Parser::parse_sql(&SQLiteDialect {}, &text);
        let parsed = parsed.unwrap_or_else(|error| panic!("sqlite/{name}: {error}\n{text}"));
        assert!(!parsed.is_empty(), "sqlite/{name}");
    }
}

#[test]
fn the_parser_would_notice() {
    for text in [
        "SELECT TOP (@P1 FROM [x]",
        "UPDATE SET x = 1",
        "SELECT [a FROM b",
    ] {
        assert!(Parser::parse_sql(&MsSqlDialect {}, text).is_err(), "{text}");
    }
}

#[test]
fn every_statement_names_the_app_s_table_and_nothing_else() {
    for statement in Statement::ALL {
        for (dialect, table) in [
            (Dialect::Tsql, format!("[dsr].[Crashes_{APP}]")),
            (Dialect::Sqlite, format!("[dsr.Crashes_{APP}]")),
        ] {
            let text = statement.text(dialect, app());
            assert!(text.contains(&table), "{statement:?}");
            assert!(!text.contains("$("), "{statement:?}: a mark is left");
            assert!(!text.contains("--"), "{statement:?}: a comment is sent");
            let names = text.matches("rashes_").count();
            let quoted = text.matches(&format!("rashes_{APP}]")).count();
            assert_eq!(names, quoted, "{statement:?}: a name without brackets");
        }
    }
}

/// A file that is not in the list would never run; a script by hand that leaves one out proves less.
#[test]
fn no_file_is_left_over() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src/ledger/sql");
    for dialect in ["sqlite", "tsql"] {
        let folder = std::fs::read_dir(format!("{root}/{dialect}")).expect("a folder");
        let mut found: Vec<String> = folder
            .map(|entry| {
                entry
                    .expect("a file")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .filter(|name| name != "try_by_hand.sqlcmd")
            .collect();
        found.sort();
        let mut expected: Vec<&str> = Statement::ALL.iter().map(|it| it.file()).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{dialect}");
    }
    for statement in Statement::ALL {
        let line = format!(":r {}\n", statement.file());
        assert!(
            BY_HAND.contains(&line),
            "the script by hand leaves {line} out"
        );
    }
}
