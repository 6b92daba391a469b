//! The App Center API client: typed calls, one place that sends, and no call that could destroy more than one report.
//!
//! In reading order: [`Client`] and its [`Options`]; what it asks before it sends ([`Budget`], [`Gate`]); how it sends
//! (`http`, with the pure decisions of [`retry`]); how it lists ([`Pages`]); then a file for each group of operations.

mod account;
mod body;
mod budget;
mod client;
mod content;
mod document;
mod erase;
mod error;
mod errors;
mod export;
mod fetch;
mod hosts;
mod http;
mod legacy;
mod lenient;
mod page;
mod path;
mod personal;
pub mod retry;
mod session_logs;
mod test_data;
#[cfg(test)]
mod tests;

pub use account::{App, Os, User};
pub use budget::{Budget, Exhausted, Gate, Leave, Open, Unlimited};
pub use client::{Client, Limits, Options};
pub use content::{Attachment, RawLog, RawSource};
pub use document::Document;
pub use erase::{Deleted, Gone};
pub use error::{Error, Reason, Refusal, Why};
pub use errors::{ErrorGroup, ErrorItem, ErrorKind, GroupState, SearchHit, SearchHits};
pub use export::{ExportConfiguration, ExportState, ExportStorage, ExportTarget, ExportType};
pub use fetch::Download;
pub use hosts::Location;
pub use legacy::{Crash, CrashGroup};
pub use lenient::date;
pub use page::{Cursor, Page, Pages};
pub use path::PathId;
pub use personal::Personal;
pub use session_logs::{SessionLog, SessionLogs};
pub use test_data::{TestLink, TestPart, TestRuns, TestScope};
