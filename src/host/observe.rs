//! What the host adapter tells telemetry: which invocation it is, in which trace its messages go on, how things ended.

use axum::http::Method;
use jiff::Timestamp;

use crate::domain::TraceParent;
use crate::stages::{Context, StageError, Wait};
use crate::telemetry::{self, Event, Start, Trigger, metrics};
use crate::work::Slice;
use crate::workflow::join::CUT;
use crate::workflow::record::kind_name;
use crate::workflow::stage::Trigger as Triggered;
use crate::workflow::{Event as Happened, Function, Message, Record, Status, Step};

/// What is begun by a call of this method and path; none for what is no function, such as the host's ping.
pub(super) fn start(method: &Method, path: &str, id: &str, parent: &str) -> Option<Start> {
    let method = match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => return None,
    };
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let (function, route) = match (parts.as_slice(), method) {
        (["api", "requests"], "GET") => (Function::Requests, "/api/requests"),
        (["api", "requests"], _) => (Function::Intake, "/api/requests"),
        (["api", "requests", _], "GET") => (Function::Requests, "/api/requests/{id}"),
        (["api", "requests", _, _], "GET") => (Function::Requests, "/api/requests/{id}/{part}"),
        (["api", "requests", _, _], _) => (Function::Decide, "/api/requests/{id}/{part}"),
        ([name], "POST") => (Function::of_name(name)?, ""),
        _ => return None,
    };
    Some(Start {
        function: function.name(),
        trigger: match function.trigger() {
            Triggered::Http => Trigger::Http { method, route },
            Triggered::Queue => Trigger::Queue,
            Triggered::Timer => Trigger::Timer,
        },
        id: id.to_owned(),
        parent: parent.to_owned(),
    })
}

/// The message as it is sent: it goes on with this invocation where that is of the same trace, or where it is of none.
pub(super) fn carry(message: &Message) -> Message {
    let mine: Option<TraceParent> = telemetry::traceparent().and_then(|it| it.parse().ok());
    match (mine, message.traceparent()) {
        (Some(mine), Some(theirs)) if !mine.is_with(theirs) => message.clone(),
        (None, _) => message.clone(),
        (mine, _) => message.clone().within(mine),
    }
}

/// What a message is about.
pub(super) fn received(message: &Message) {
    telemetry::continue_trace(message.traceparent().map(TraceParent::as_str));
    match message {
        Message::Step {
            request,
            run,
            step,
            slice,
            ..
        } => {
            telemetry::request(request.as_str(), *run);
            telemetry::step(step.name(), *slice);
        }
        Message::Day { app, day, .. } => {
            telemetry::searched(&app.to_string(), &day.to_string());
        }
    }
}

/// A new request was stored.
pub(super) fn accepted(record: &Record, source: &'static str) {
    telemetry::request(record.id.as_str(), record.run);
    let (kind, jurisdiction) = (kind_name(record.kind), record.jurisdiction.name());
    metrics::request_received(kind, jurisdiction, source);
}

/// An event was applied to a record: what joined, and whether that ended the request.
pub(super) fn applied(record: &Record, event: &Happened) {
    if let Happened::Joined { step, done, failed } = event {
        metrics::step_joined(step.name(), *done, *failed);
    }
    ended(record, None);
}

/// A request that has just ended, if it has; with the step at which it failed.
pub(super) fn ended(record: &Record, failed_at: Option<Step>) {
    if !record.status.is_ended() {
        return;
    }
    let (kind, status) = (kind_name(record.kind), record.status.name());
    let ended_at = record.ended_at.unwrap_or(record.updated_at);
    let seconds = ended_at.duration_since(record.received_at).as_secs_f64();
    metrics::request_ended(kind, record.jurisdiction.name(), status, seconds);
    if record.status == Status::Failed {
        let step = failed_at.unwrap_or(Step::Aggregate);
        telemetry::event(Event::RequestFailed {
            request: record.id.as_str(),
            function: function(step),
            step: step.name(),
            // Of one that was concluded the report has the reasons, with the names of what they are about.
            reason: match failed_at {
                Some(_) => record.exceptions.last().map_or("", String::as_str),
                None => "see the report",
            },
        });
    }
}

/// A slice, or (as [`CUT`]) the cutting of a step, failed and comes back at a time.
pub(super) fn again(cx: Context<'_>, slice: &Slice, wait: Wait, reason: &str, until: Timestamp) {
    if matches!(wait, Wait::Throttled(_) | Wait::Held(_)) {
        telemetry::throttled(until.duration_since(cx.now()).as_secs_f64());
        telemetry::outcome(telemetry::Outcome::Waiting);
        return;
    }
    telemetry::outcome(telemetry::Outcome::Retried);
    telemetry::event(Event::SliceRetried {
        request: slice.request.as_str(),
        function: function(slice.step),
        step: slice.step.name(),
        slice: (slice.number != CUT).then_some(slice.number),
        tries: slice.state.tries,
        wait: wait.name(),
        reason,
    });
}

/// A slice was tried enough.
pub(super) fn given_up(slice: &Slice, reason: &str) {
    telemetry::outcome(telemetry::Outcome::GivenUp);
    telemetry::event(Event::SliceGivenUp {
        request: slice.request.as_str(),
        function: function(slice.step),
        step: slice.step.name(),
        slice: slice.number,
        reason,
    });
}

/// A slice is over, for the first time or once more.
pub(super) fn over(slice: &Slice, is_first: bool, is_given_up: bool) {
    let Some(end) = &slice.state.end else { return };
    telemetry::items(end.done, end.failed);
    if is_first {
        metrics::slice_ended(slice.step.name(), is_given_up);
    }
}

/// A day is searched again.
pub(super) fn day_failed(error: &StageError) {
    telemetry::outcome(match error {
        StageError::Retry {
            wait: Wait::Throttled(_) | Wait::Held(_),
            ..
        } => telemetry::Outcome::Waiting,
        _ => telemetry::Outcome::Retried,
    });
}

fn function(step: Step) -> &'static str {
    step.function().map_or("", Function::name)
}

#[cfg(test)]
mod tests {
    use axum::http::Method;

    use super::{carry, start};
    use crate::domain::RequestId;
    use crate::workflow::{Message, Step};

    #[test]
    fn calls_are_invocations_of_functions() {
        for (method, path, expected) in [
            (Method::GET, "/", None),
            (Method::GET, "/delete", None),
            (Method::POST, "/nothing", None),
            (Method::PUT, "/api/requests", None),
            (Method::POST, "/delete", Some(("delete", ""))),
            (Method::POST, "/sweep", Some(("sweep", ""))),
            (
                Method::POST,
                "/api/requests",
                Some(("intake", "/api/requests")),
            ),
            (
                Method::GET,
                "/api/requests",
                Some(("requests", "/api/requests")),
            ),
            (
                Method::GET,
                "/api/requests/someone@example.com",
                Some(("requests", "/api/requests/{id}")),
            ),
            (
                Method::POST,
                "/api/requests/1/approve",
                Some(("decide", "/api/requests/{id}/{part}")),
            ),
        ] {
            let found = start(&method, path, "", "").map(|it| {
                let route = match it.trigger {
                    crate::telemetry::Trigger::Http { route, .. } => route,
                    _ => "",
                };
                (it.function, route)
            });
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    fn without_telemetry_a_message_keeps_its_trace() {
        let request = RequestId::derive("delete", "CRM-1042");
        let message = Message::step(&request, 1, Step::Delete, None);
        assert_eq!(carry(&message), message);
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse();
        let traced = message.within(trace.ok());
        assert_eq!(carry(&traced), traced);
    }
}
