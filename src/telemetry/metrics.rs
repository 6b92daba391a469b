//! What is counted and measured. Texts are names of ours.

use opentelemetry::KeyValue;

use super::instruments::Instruments;
use super::invocation::{Searched, add_searched, here};

fn with(act: impl FnOnce(&Instruments)) {
    here(|it| act(&it.pipeline.instruments));
}

/// A new request was stored.
pub fn request_received(kind: &'static str, jurisdiction: &'static str, source: &'static str) {
    with(|it| {
        let attributes = [
            KeyValue::new("dsr.request.kind", kind),
            KeyValue::new("dsr.request.jurisdiction", jurisdiction),
            KeyValue::new("dsr.request.source", source),
        ];
        it.request_received.add(1, &attributes);
    });
}

/// A request ended, so many seconds after it was received.
pub fn request_ended(
    kind: &'static str,
    jurisdiction: &'static str,
    status: &'static str,
    seconds: f64,
) {
    with(|it| {
        let kind = KeyValue::new("dsr.request.kind", kind);
        let jurisdiction = KeyValue::new("dsr.request.jurisdiction", jurisdiction);
        let status = KeyValue::new("dsr.request.status", status);
        it.request_ended
            .add(1, &[kind.clone(), jurisdiction, status.clone()]);
        it.request_duration
            .record(seconds.max(0.0), &[kind, status]);
    });
}

/// How many requests of a status and a jurisdiction are open, and how many days ago the oldest came.
pub fn requests_open(
    status: &'static str,
    jurisdiction: &'static str,
    count: u64,
    oldest_days: f64,
) {
    with(|it| {
        let attributes = [
            KeyValue::new("dsr.request.status", status),
            KeyValue::new("dsr.request.jurisdiction", jurisdiction),
        ];
        it.request_open.record(count, &attributes);
        it.request_age.record(oldest_days, &attributes);
    });
}

/// How many open requests of a jurisdiction have days left as a bucket says.
pub fn requests_due(bucket: &'static str, jurisdiction: &'static str, count: u64) {
    with(|it| {
        let attributes = [
            KeyValue::new("dsr.due.bucket", bucket),
            KeyValue::new("dsr.request.jurisdiction", jurisdiction),
        ];
        it.request_due.record(count, &attributes);
    });
}

/// The fewest days that an open request of a jurisdiction has left.
pub fn days_left(jurisdiction: &'static str, days: i64) {
    with(|it| {
        let jurisdiction = KeyValue::new("dsr.request.jurisdiction", jurisdiction);
        it.request_days_left.record(days, &[jurisdiction]);
    });
}

/// A slice is over for the first time.
pub fn slice_ended(step: &'static str, is_given_up: bool) {
    with(|it| {
        let outcome = if is_given_up { "given_up" } else { "done" };
        let attributes = [
            KeyValue::new("dsr.step", step),
            KeyValue::new("dsr.slice.outcome", outcome),
        ];
        it.slice_ended.add(1, &attributes);
    });
}

/// A step was joined, with so many items done and failed.
pub fn step_joined(step: &'static str, done: u64, failed: u64) {
    with(|it| {
        for (outcome, count) in [("done", done), ("failed", failed)] {
            let attributes = [
                KeyValue::new("dsr.step", step),
                KeyValue::new("dsr.item.outcome", outcome),
            ];
            it.items.add(count, &attributes);
        }
    });
}

/// Calls that count in the budget's window, and how many may.
pub fn budget(used: u64, limit: u64) {
    with(|it| {
        it.budget_used.record(used, &[]);
        it.budget_limit.record(limit, &[]);
    });
}

/// A blob was searched in a pass.
pub fn blob_searched(pass: &'static str, searched: Searched) {
    here(|it| {
        let instruments = &it.pipeline.instruments;
        let attributes = [KeyValue::new("dsr.search.step", pass)];
        instruments.search_bytes.add(searched.bytes, &attributes);
        instruments
            .search_records
            .add(searched.records, &attributes);
        instruments
            .search_matches
            .add(searched.matches, &attributes);
        add_searched(it, searched);
    });
}

/// A blob could not be read in a pass.
pub fn blob_unreadable(pass: &'static str) {
    with(|it| {
        let pass = KeyValue::new("dsr.search.step", pass);
        it.search_unreadable.add(1, &[pass]);
    });
}

/// A sweep took a message from the poison queue of a function, and did this with it.
pub fn poison(function: &'static str, action: &'static str) {
    with(|it| {
        let attributes = [
            KeyValue::new("messaging.destination.name", format!("{function}-poison")),
            KeyValue::new("dsr.poison.action", action),
        ];
        it.poison_messages.add(1, &attributes);
    });
}
