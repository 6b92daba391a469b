//! A call to App Center: a span and a measurement for each attempt.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _,
};
use opentelemetry::{Context, KeyValue};

use super::invocation::{Shared, current};
use super::values;

/// An attempt that is under way.
#[derive(Debug)]
pub struct Call {
    shared: Arc<Shared>,
    operation: &'static str,
    method: &'static str,
    host: String,
    attempt: u32,
    at: SystemTime,
    began: Instant,
}

impl Call {
    /// Begins an attempt of an operation, counted from 1, at a host; none while telemetry is off.
    #[must_use]
    pub fn begin(
        operation: &'static str,
        method: &str,
        host: Option<&str>,
        attempt: u32,
    ) -> Option<Self> {
        Some(Self {
            shared: current()?,
            operation,
            method: match method {
                "GET" => "GET",
                "POST" => "POST",
                "PATCH" => "PATCH",
                "PUT" => "PUT",
                "DELETE" => "DELETE",
                _ => "_OTHER",
            },
            host: host.unwrap_or_default().to_owned(),
            attempt,
            at: values::now(),
            began: Instant::now(),
        })
    }

    /// Ends it: with what it came to (as docs/TELEMETRY.md names it), and the status, 0 where there was none.
    pub fn end(self, outcome: &'static str, status: u16) {
        let seconds = self.began.elapsed().as_secs_f64();
        let mut attributes = vec![
            KeyValue::new("dsr.api.operation", self.operation),
            KeyValue::new("dsr.api.outcome", outcome),
            KeyValue::new("http.request.method", self.method),
            KeyValue::new("server.address", self.host),
        ];
        if status != 0 {
            let status = KeyValue::new("http.response.status_code", i64::from(status));
            attributes.push(status);
        }
        let pipeline = &self.shared.pipeline;
        pipeline
            .instruments
            .call_duration
            .record(seconds, &attributes);
        if self.attempt > 1 {
            let again = i64::from(self.attempt - 1);
            attributes.push(KeyValue::new("http.request.resend_count", again));
        }
        let is_fine = matches!(outcome, "ok" | "not_found" | "gone");
        if !is_fine {
            attributes.push(KeyValue::new("error.type", outcome));
        }
        let builder = SpanBuilder::from_name(self.operation)
            .with_kind(SpanKind::Client)
            .with_start_time(self.at)
            .with_attributes(attributes);
        let parent = Context::new().with_remote_span_context(self.shared.context());
        let mut span = pipeline.tracer.build_with_context(builder, &parent);
        if !is_fine {
            span.set_status(Status::error(outcome));
        }
        span.end();
    }
}
