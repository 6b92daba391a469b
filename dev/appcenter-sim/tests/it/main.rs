//! The simulator held against what is known of the real service.

mod api;
mod archive;
mod client;
mod failures;
mod ingestion;
