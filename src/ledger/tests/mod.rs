//! Both databases do the same: one suite over an SQLite file, and over the wire to a mock of SQL Server that answers
//! with what SQLite says.

mod conformance;
mod files;
mod properties;
mod statements;
mod wire;

use std::path::Path;

use crate::config;
use crate::ledger::{AppId, Key, Ledger};

const APP: &str = "7f5cdbab-0a4d-4e2d-9c2a-6c6f0a5d3b11";
const OTHER_APP: &str = "00000000-0000-4000-8000-00000000000a";

fn app() -> AppId {
    APP.parse().expect("a UUID")
}

fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

/// The n-th of as many keys as are wanted, as long as real ones, in no order.
fn nth(n: u64) -> Key {
    let spread = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    key(&format!(
        "{}u/2518291138564839999-00000000-0000-4000-8000-{n:012x}",
        1_000_000_000 + spread % 7
    ))
}

fn file(path: &Path) -> Ledger {
    Ledger::open(&config::Ledger {
        database: config::LedgerDatabase::Sqlite(path.to_owned()),
        statement_rows: 7,
    })
}
