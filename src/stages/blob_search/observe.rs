//! What a pass tells telemetry.

use std::time::Duration;

use super::scan::{Ended, Found, ScanError};
use super::seat::Seat;
use crate::domain::TraceParent;
use crate::stages::Wait;
use crate::telemetry::{self, Event, Searched, metrics};
use crate::work::Slice;
use crate::workflow::{Function, Step};

/// Whom a pass serves: it is of the step of the first, and linked to the traces of all.
pub(super) fn seated(seats: &[Option<Seat>]) {
    if let Some(first) = seats.iter().flatten().next() {
        telemetry::step(first.slice.step.name(), None);
    }
    joined(seats);
}

/// Whom a pass serves from now on, too.
pub(super) fn joined(seats: &[Option<Seat>]) {
    for seat in seats.iter().flatten() {
        let trace = seat.loaded.record.traceparent.as_ref();
        telemetry::link(trace.map(TraceParent::as_str));
    }
}

/// Records of a blob that hold anybody who waits. They come in order, one hit for each whom they hold.
#[derive(Debug, Default)]
pub(super) struct Matches {
    records: u64,
    last: Option<u64>,
}

impl Matches {
    pub(super) fn count(&mut self, batch: &[Found]) {
        for found in batch {
            if self.last != Some(found.record) {
                self.last = Some(found.record);
                self.records += 1;
            }
        }
    }
}

/// A blob was read, or could not be: told once, however many wait for it.
pub(super) fn scanned(seats: &[Option<Seat>], ended: &Result<Ended, ScanError>, matches: &Matches) {
    let step = seats.iter().flatten().map(|seat| seat.slice.step).next();
    let pass = step.map_or(Step::Find.name(), Step::name);
    match ended {
        Ok(ended) => metrics::blob_searched(
            pass,
            Searched {
                bytes: ended.bytes,
                records: ended.records,
                matches: matches.records,
            },
        ),
        Err(_) => metrics::blob_unreadable(pass),
    }
}

/// A request's day was saved: it may be over with that.
pub(super) fn saved(slice: &Slice) {
    if slice.state.end.is_some() {
        metrics::slice_ended(slice.step.name(), false);
    }
}

/// A day waits this long; only where it waits for calls that is told.
pub(super) fn waits(wait: Wait, delay: Duration) {
    if matches!(wait, Wait::Throttled(_) | Wait::Held(_)) {
        telemetry::throttled(delay.as_secs_f64());
    }
}

/// A request's day failed: it is tried again, or was tried enough.
pub(super) fn failed(slice: &Slice, wait: Wait, reason: &str, is_given_up: bool) {
    let (request, step) = (slice.request.as_str(), slice.step.name());
    let function = Function::BlobSearch.name();
    if is_given_up {
        telemetry::event(Event::SliceGivenUp {
            request,
            function,
            step,
            slice: slice.number,
            reason,
        });
        metrics::slice_ended(step, true);
    } else if !matches!(wait, Wait::Throttled(_) | Wait::Held(_)) {
        telemetry::event(Event::SliceRetried {
            request,
            function,
            step,
            slice: Some(slice.number),
            tries: slice.state.tries,
            wait: wait.name(),
            reason,
        });
    }
}
