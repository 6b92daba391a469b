//! The client held against exchanges written by hand from what App Center is known to send.

mod content;
mod erase;
mod exchange;
mod export;
mod fetch;
mod list;
mod send;

use exchange::{Answer, Exchange, TestBudget, app, error_id, group, json, status};
