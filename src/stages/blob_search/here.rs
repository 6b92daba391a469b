//! A blob that a pass comes to, and what is counted of blobs. Pure.

use std::collections::BTreeMap;

use super::DayResult;
use super::days::Order;
use super::scan::Ended;
use crate::domain::hit::Stream;
use crate::storage::{ETag, Entry};
use crate::work::names;

/// A place in the day's order: source by source.
pub(super) fn place(source: Order, blob: &str) -> String {
    format!("{}{blob}", source as u8)
}

/// A blob that a pass comes to, made once for everybody it serves.
#[derive(Debug)]
pub(super) struct Here<'a> {
    pub(super) entry: &'a Entry,
    source: Order,
    /// In the day's order.
    pub(super) place: String,
    /// Its version: the listed one, until it is opened.
    pub(super) etag: ETag,
}

impl<'a> Here<'a> {
    /// A blob as it is listed.
    pub(super) fn listed(entry: &'a Entry, source: Order) -> Self {
        Self {
            entry,
            source,
            place: place(source, &entry.name),
            etag: entry.etag.clone(),
        }
    }

    /// The same, of which this version is read.
    pub(super) fn opened(&mut self, etag: ETag) {
        self.etag = etag;
    }

    /// Its place in the day's order.
    pub(super) fn into_place(self) -> String {
        self.place
    }
}

/// What blobs count for whoever wants them.
#[derive(Debug, Default)]
pub(super) struct Counts {
    blobs: BTreeMap<&'static str, u64>,
    passed_over: u64,
    records: u64,
    bytes: u64,
    reports: u64,
    shared_reports: u64,
    shared_report_rows: u64,
}

impl Counts {
    /// Counts a blob that was read.
    pub(super) fn count(&mut self, here: &Here<'_>, ended: &Ended) {
        let blob = &here.entry.name;
        let stream = Stream::of(blob);
        // Those stand in the list of the app's reports.
        let is_collected = names::is_collected(blob);
        let kind = if is_collected {
            "collected"
        } else {
            stream_name(stream)
        };
        *self.blobs.entry(kind).or_default() += 1;
        self.bytes += ended.bytes;
        self.records += ended.records;
        if here.source.is_shared() {
            self.shared_reports += ended.own.named;
            self.shared_report_rows += ended.own.rows;
        } else if matches!(stream, Stream::Crashes | Stream::Errors) && !is_collected {
            // A blob can hold all reports of a minute.
            self.reports += ended.records;
        }
    }

    /// Counts a blob that an index spared.
    pub(super) fn pass_over(&mut self, here: &Here<'_>, ended: &Ended) {
        self.count(here, ended);
        self.passed_over += 1;
    }

    /// Adds them to what a slice says.
    pub(super) fn add_to(&self, result: &mut DayResult) {
        for (kind, count) in &self.blobs {
            match result.blobs.get_mut(*kind) {
                Some(known) => *known += count,
                None => drop(result.blobs.insert((*kind).to_owned(), *count)),
            }
        }
        result.passed_over += self.passed_over;
        result.records += self.records;
        result.bytes += self.bytes;
        result.reports += self.reports;
        result.shared_reports += self.shared_reports;
        result.shared_report_rows += self.shared_report_rows;
    }
}

fn stream_name(stream: Stream) -> &'static str {
    match stream {
        Stream::Logs => "logs",
        Stream::Crashes => "crashes",
        Stream::Errors => "errors",
        Stream::Attachments => "attachments",
        Stream::Other => "other",
    }
}
