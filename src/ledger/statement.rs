//! The statements, each in a text file of its own for each dialect.

use super::key::AppId;

/// What stands for the app's ID in the files; `sqlcmd` puts variables in by the same mark.
const APP_ID: &str = "$(AppId)";

/// A language of SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Tsql,
}

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $file:literal;)*) => {
        /// What is asked of a database. Answers are rows of texts and whole numbers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Statement {
            $($(#[$doc])* $name,)*
        }

        impl Statement {
            /// All of them.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name of its file.
            #[cfg(test)]
            pub(super) fn file(self) -> &'static str {
                match self {
                    $(Self::$name => $file,)*
                }
            }

            fn source(self, dialect: Dialect) -> &'static str {
                match (self, dialect) {
                    $((Self::$name, Dialect::Sqlite) => include_str!(concat!("sql/sqlite/", $file)),
                    (Self::$name, Dialect::Tsql) => include_str!(concat!("sql/tsql/", $file)),)*
                }
            }
        }
    };
}

statements! {
    /// Makes the app's table where it is missing.
    CreateTable = "create_table.sql";
    /// Adds keys of a JSON array; how many were new.
    Insert = "insert.sql";
    /// Keys after one, not yet retrieved, at most so many.
    Unretrieved = "unretrieved.sql";
    /// Keys after one and whether they are retrieved, at most so many.
    All = "all.sql";
    /// Marks keys of a JSON array as retrieved; how many were not.
    Mark = "mark.sql";
    /// Marks keys of a JSON array as not retrieved; how many were.
    Reset = "reset.sql";
    /// How many keys there are, and how many of them are retrieved.
    Counts = "counts.sql";
    /// Removes the app's table.
    DropTable = "drop_table.sql";
}

impl Statement {
    /// Its text for an app, as it is sent: the file without its comments.
    pub(super) fn text(self, dialect: Dialect, app: AppId) -> String {
        let source = self.source(dialect);
        let mut text = String::with_capacity(source.len() + 128);
        for line in source.lines().filter(|line| !line.starts_with("--")) {
            text.push_str(line);
            text.push('\n');
        }
        text.replace(APP_ID, &app.to_string())
    }
}

/// What a statement is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parameter {
    Text(String),
    Number(i64),
}

/// What stands in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
}

/// A row of an answer.
pub(super) type Row = Vec<Value>;
