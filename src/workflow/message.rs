//! What travels in our queues: which work to look at, never what it is about.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Step;
use crate::domain::{AppRef, RequestId, TraceParent};

/// Version of the messages' shape.
pub const VERSION: u32 = 1;
/// Why a text is no message.
const NOT_OURS: &str = "not one of our messages";

/// A message. It wakes a function; the record decides what there is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Message {
    /// Work on a request's step: on one slice, or (without) on cutting it into slices.
    Step {
        /// [`VERSION`].
        v: u32,
        /// The request.
        request: RequestId,
        /// Its run: `retry` starts a new one, which makes the messages of the old one void.
        run: u32,
        /// The step.
        step: Step,
        /// The slice.
        #[serde(skip_serializing_if = "Option::is_none")]
        slice: Option<u32>,
        /// The trace that it goes on with.
        #[serde(skip_serializing_if = "Option::is_none")]
        traceparent: Option<TraceParent>,
    },
    /// Search one app and day for every request that waits for it.
    Day {
        /// [`VERSION`].
        v: u32,
        /// The app.
        app: AppRef,
        /// The UTC day, by the archive's folders.
        day: Date,
        /// The trace that it goes on with.
        #[serde(skip_serializing_if = "Option::is_none")]
        traceparent: Option<TraceParent>,
    },
}

/// What either kind of message may hold: read at once, where one kind after the other would be tried on a copy.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u32,
    request: Option<RequestId>,
    run: Option<u32>,
    step: Option<Step>,
    slice: Option<u32>,
    app: Option<AppRef>,
    day: Option<Date>,
    #[serde(default, deserialize_with = "TraceParent::lenient")]
    traceparent: Option<TraceParent>,
}

impl Message {
    /// A message for a step, or one slice of it.
    #[must_use]
    pub fn step(request: &RequestId, run: u32, step: Step, slice: Option<u32>) -> Self {
        Self::Step {
            v: VERSION,
            request: request.clone(),
            run,
            step,
            slice,
            traceparent: None,
        }
    }

    /// A message for one app and day.
    #[must_use]
    pub fn day(app: &AppRef, day: Date) -> Self {
        Self::Day {
            v: VERSION,
            app: app.clone(),
            day,
            traceparent: None,
        }
    }

    /// The same message, as a part of this trace.
    #[must_use]
    pub fn within(mut self, trace: Option<TraceParent>) -> Self {
        let (Self::Step { traceparent, .. } | Self::Day { traceparent, .. }) = &mut self;
        *traceparent = trace;
        self
    }

    /// The trace that it goes on with.
    #[must_use]
    pub fn traceparent(&self) -> Option<&TraceParent> {
        let (Self::Step { traceparent, .. } | Self::Day { traceparent, .. }) = self;
        traceparent.as_ref()
    }

    /// The text that is sent (before base64).
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// When it is no message of this version; the reason quotes nothing.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let wire: Wire = serde_json::from_str(text).map_err(|_error| NOT_OURS)?;
        let (v, traceparent) = (wire.v, wire.traceparent);
        let message = match wire {
            Wire {
                request: Some(request),
                run: Some(run),
                step: Some(step),
                slice,
                app: None,
                day: None,
                ..
            } => Self::Step {
                v,
                request,
                run,
                step,
                slice,
                traceparent,
            },
            Wire {
                request: None,
                run: None,
                step: None,
                slice: None,
                app: Some(app),
                day: Some(day),
                ..
            } => Self::Day {
                v,
                app,
                day,
                traceparent,
            },
            _ => return Err(NOT_OURS),
        };
        if v == VERSION {
            Ok(message)
        } else {
            Err("a message of another version")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_round_trip_and_stay_small() {
        let request = RequestId::derive("delete", "CRM-1042");
        let app = AppRef::new("contoso", "shop").expect("valid");
        for message in [
            Message::step(&request, 1, Step::Delete, Some(12)),
            Message::step(&request, 1, Step::Plan, None),
            Message::day(&app, jiff::civil::date(2026, 11, 20)),
        ] {
            let text = message.text();
            assert!(text.len() < 200, "{text}");
            assert_eq!(Message::parse(&text).as_ref(), Ok(&message));
            let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse();
            let traced = message.clone().within(trace.ok());
            let text = traced.text();
            assert!(text.len() < 300 && text.contains("traceparent"), "{text}");
            assert_eq!(Message::parse(&text).as_ref(), Ok(&traced));
            // Work does not stop over a trace that cannot be read.
            let broken = text.replace("00-4bf9", "zz-4bf9");
            assert_eq!(Message::parse(&broken), Ok(message));
        }
        for bad in [
            "",
            "{}",
            "null",
            r#"{"v":2,"app":{"owner":"a","name":"b"},"day":"2026-11-20"}"#,
            r#"{"v":1,"app":{"owner":"a","name":"b"},"day":"2026-11-20","run":1}"#,
            r#"{"v":1,"app":{"owner":"a","name":"b"},"day":"2026-11-20","more":1}"#,
            r#"{"v":1,"app":{"owner":"a","name":"b"}}"#,
        ] {
            assert!(Message::parse(bad).is_err(), "{bad}");
        }
    }
}
