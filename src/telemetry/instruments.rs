//! Every instrument, made once: a name, a unit, and the bounds of histograms.

use opentelemetry::metrics::{Counter, Gauge, Histogram, Meter};

/// Bounds of calls, in seconds, as the semantic conventions advise.
const CALLS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Bounds of invocations, in seconds: the longest works for four minutes.
const INVOCATIONS: [f64; 9] = [0.01, 0.05, 0.25, 1.0, 5.0, 15.0, 60.0, 120.0, 240.0];
/// Bounds of requests, in seconds: from minutes to the months that a law allows.
const REQUESTS: [f64; 9] = [
    60.0,
    600.0,
    3600.0,
    21_600.0,
    86_400.0,
    604_800.0,
    2_592_000.0,
    5_184_000.0,
    7_776_000.0,
];

macro_rules! instruments {
    ($($field:ident: $kind:ident<$number:ty> = $make:ident, $name:literal, $unit:literal $(, $bounds:expr)?;)*) => {
        /// The instruments, by what they count.
        #[derive(Debug)]
        pub(super) struct Instruments { $(pub(super) $field: $kind<$number>,)* }

        impl Instruments {
            pub(super) fn new(meter: &Meter) -> Self {
                Self {
                    $($field: meter.$make($name).with_unit($unit)$(.with_boundaries($bounds.to_vec()))?.build(),)*
                }
            }
        }
    };
}

instruments! {
    request_received: Counter<u64> = u64_counter, "dsr.request.received", "{request}";
    request_ended: Counter<u64> = u64_counter, "dsr.request.ended", "{request}";
    request_duration: Histogram<f64> = f64_histogram, "dsr.request.duration", "s", REQUESTS;
    request_open: Gauge<u64> = u64_gauge, "dsr.request.open", "{request}";
    request_age: Gauge<f64> = f64_gauge, "dsr.request.age", "d";
    request_due: Gauge<u64> = u64_gauge, "dsr.request.due", "{request}";
    request_days_left: Gauge<i64> = i64_gauge, "dsr.request.days_left", "d";
    sweep_duration: Histogram<f64> = f64_histogram, "dsr.sweep.duration", "s", INVOCATIONS;
    stage_duration: Histogram<f64> = f64_histogram, "dsr.stage.duration", "s", INVOCATIONS;
    slice_ended: Counter<u64> = u64_counter, "dsr.slice.ended", "{slice}";
    items: Counter<u64> = u64_counter, "dsr.items", "{item}";
    call_duration: Histogram<f64> = f64_histogram, "http.client.request.duration", "s", CALLS;
    throttled_time: Counter<f64> = f64_counter, "dsr.api.throttled.time", "s";
    budget_used: Gauge<u64> = u64_gauge, "dsr.api.budget.used", "{call}";
    budget_limit: Gauge<u64> = u64_gauge, "dsr.api.budget.limit", "{call}";
    search_bytes: Counter<u64> = u64_counter, "dsr.search.bytes", "By";
    search_records: Counter<u64> = u64_counter, "dsr.search.records", "{record}";
    search_matches: Counter<u64> = u64_counter, "dsr.search.matches", "{record}";
    search_unreadable: Counter<u64> = u64_counter, "dsr.search.unreadable", "{blob}";
    poison_messages: Counter<u64> = u64_counter, "dsr.poison.messages", "{message}";
}
