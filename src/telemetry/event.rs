//! Events: what a person may have to do something about.

use std::fmt;

use opentelemetry::logs::{AnyValue, LogRecord, Severity};
use opentelemetry::{Key, StringValue, Value};

use super::invocation::here;
use super::values;

/// Something that happened. `request` is a request's ID, `app` is `owner/name`; texts are names of ours, or a `reason` for
/// people that holds nothing personal.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "docs/TELEMETRY.md explains each attribute")]
pub enum Event<'a> {
    /// An open request has 7 days left or fewer.
    DueSoon {
        request: &'a str,
        status: &'static str,
        jurisdiction: &'static str,
        days_left: i64,
    },
    /// A sweep found that a request stands still.
    Stalled {
        request: &'a str,
        step: &'static str,
        idle_seconds: u64,
    },
    /// A request ended as failed.
    RequestFailed {
        request: &'a str,
        function: &'static str,
        step: &'static str,
        reason: &'a str,
    },
    /// A slice, or the cutting of a step, failed and comes back.
    SliceRetried {
        request: &'a str,
        function: &'static str,
        step: &'static str,
        slice: Option<u32>,
        tries: u32,
        wait: &'static str,
        reason: &'a str,
    },
    /// A slice was tried enough.
    SliceGivenUp {
        request: &'a str,
        function: &'static str,
        step: &'static str,
        slice: u32,
        reason: &'a str,
    },
    /// An invocation was answered with 500.
    InvocationFailed {
        function: &'static str,
        reason: &'a str,
    },
    /// A message or queued document was refused.
    MessageRefused {
        function: &'static str,
        reason: &'a str,
    },
    /// The best export configuration of an app is disabled.
    ExportDisabled {
        request: &'a str,
        app: &'a str,
        state: &'static str,
        action: &'static str,
    },
    /// A plan's search has a gap.
    CoverageGap {
        request: &'a str,
        app: &'a str,
        from: &'a str,
        to: &'a str,
        evidence: &'a str,
    },
    /// A report holds this kind of exception.
    ReportException {
        request: &'a str,
        code: &'static str,
        count: u64,
        what_to_do: &'static str,
    },
}

impl Event<'_> {
    /// Its name, severity and text.
    fn kind(&self) -> (&'static str, Severity, &'static str) {
        use Severity::{Error, Warn};
        match self {
            Self::DueSoon { .. } => ("dsr.request.due_soon", Warn, "a request is due soon"),
            Self::Stalled { .. } => (
                "dsr.request.stalled",
                Warn,
                "a request stood still; it is woken",
            ),
            Self::RequestFailed { .. } => ("dsr.request.failed", Error, "a request failed"),
            Self::SliceRetried { .. } => ("dsr.slice.retried", Warn, "a slice is tried again"),
            Self::SliceGivenUp { .. } => ("dsr.slice.given_up", Error, "a slice was given up"),
            Self::InvocationFailed { .. } => {
                ("dsr.invocation.failed", Error, "an invocation failed")
            }
            Self::MessageRefused { .. } => ("dsr.message.refused", Error, "a message was refused"),
            Self::ExportDisabled { .. } => ("dsr.export.disabled", Warn, "an export is disabled"),
            Self::CoverageGap { .. } => ("dsr.coverage.gap", Warn, "the archive has a gap"),
            Self::ReportException { .. } => {
                ("dsr.report.exception", Warn, "a report holds an exception")
            }
        }
    }

    fn attributes(&self) -> Vec<(&'static str, Value)> {
        let mut list: Vec<(&'static str, Value)> = Vec::with_capacity(8);
        let mut add = |key, value: Option<StringValue>| {
            list.extend(value.map(|value| (key, Value::String(value))));
        };
        let mut numbers: Vec<(&'static str, i64)> = Vec::new();
        match *self {
            Self::DueSoon {
                request,
                status,
                jurisdiction,
                days_left,
            } => {
                add("dsr.request.id", values::request(request));
                add("dsr.request.status", Some(status.into()));
                add("dsr.request.jurisdiction", Some(jurisdiction.into()));
                numbers.push(("dsr.request.days_left", days_left));
            }
            Self::Stalled {
                request,
                step,
                idle_seconds,
            } => {
                add("dsr.request.id", values::request(request));
                add("dsr.step", Some(step.into()));
                numbers.push(("dsr.request.idle_seconds", values::number(idle_seconds)));
            }
            Self::RequestFailed {
                request,
                function,
                step,
                reason,
            } => {
                add("dsr.request.id", values::request(request));
                add("faas.name", Some(function.into()));
                add("dsr.step", Some(step.into()));
                add("dsr.reason", Some(values::reason(reason)));
            }
            Self::SliceRetried {
                request,
                function,
                step,
                slice,
                tries,
                wait,
                reason,
            } => {
                add("dsr.request.id", values::request(request));
                add("faas.name", Some(function.into()));
                add("dsr.step", Some(step.into()));
                add("dsr.wait", Some(wait.into()));
                add("dsr.reason", Some(values::reason(reason)));
                numbers.extend(slice.map(|slice| ("dsr.slice", i64::from(slice))));
                numbers.push(("dsr.slice.tries", i64::from(tries)));
            }
            Self::SliceGivenUp {
                request,
                function,
                step,
                slice,
                reason,
            } => {
                add("dsr.request.id", values::request(request));
                add("faas.name", Some(function.into()));
                add("dsr.step", Some(step.into()));
                add("dsr.reason", Some(values::reason(reason)));
                numbers.push(("dsr.slice", i64::from(slice)));
            }
            Self::InvocationFailed { function, reason }
            | Self::MessageRefused { function, reason } => {
                add("faas.name", Some(function.into()));
                add("dsr.reason", Some(values::reason(reason)));
            }
            Self::ExportDisabled {
                request,
                app,
                state,
                action,
            } => {
                add("dsr.request.id", values::request(request));
                add("dsr.app", values::app(app));
                add("dsr.export.state", Some(state.into()));
                add("dsr.export.action", Some(action.into()));
            }
            Self::CoverageGap {
                request,
                app,
                from,
                to,
                evidence,
            } => {
                add("dsr.request.id", values::request(request));
                add("dsr.app", values::app(app));
                add("dsr.gap.from", values::day(from));
                add("dsr.gap.to", values::day(to));
                add("dsr.gap.evidence", Some(values::reason(evidence)));
            }
            Self::ReportException {
                request,
                code,
                count,
                what_to_do,
            } => {
                add("dsr.request.id", values::request(request));
                add("dsr.exception.code", Some(code.into()));
                add("dsr.exception.what_to_do", Some(what_to_do.into()));
                numbers.push(("dsr.exception.count", values::number(count)));
            }
        }
        list.extend(numbers.into_iter().map(|(key, n)| (key, Value::I64(n))));
        list
    }

    /// Writes it into a log record.
    pub(super) fn write(&self, record: &mut impl LogRecord) {
        let (name, severity, text) = self.kind();
        record.set_severity_number(severity);
        record.set_severity_text(severity.name());
        record.set_body(AnyValue::String(text.into()));
        // The record's own field for the name does not reach Application Insights.
        record.add_attribute("event.name", name);
        for (key, value) in self.attributes() {
            let value = match value {
                Value::I64(number) => AnyValue::Int(number),
                other => AnyValue::String(other.as_str().into_owned().into()),
            };
            record.add_attribute(Key::from_static_str(key), value);
        }
    }
}

impl fmt::Display for Event<'_> {
    /// As a line: its text, then its attributes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_name, _severity, text) = self.kind();
        f.write_str(text)?;
        for (key, value) in self.attributes() {
            write!(f, ", {} {}", key.trim_start_matches("dsr."), value.as_str())?;
        }
        Ok(())
    }
}

/// Tells of something that happened in the invocation that runs.
pub fn event(event: Event<'_>) {
    here(|it| it.emit(&event));
}
