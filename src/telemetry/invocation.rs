//! One invocation: its span, and what was learnt of it on the way.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _, Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::Span;

use super::event::Event;
use super::pipeline::Pipeline;
use super::values;

/// Links of one span: requests that share a day beyond this number are not told.
const MAX_LINKS: usize = 64;
/// Lines that the host logs for one invocation, at most.
const MAX_LINES: usize = 32;
/// What those lines tell of the work, in order.
const TOLD: [&str; 8] = [
    "dsr.request.id",
    "dsr.request.run",
    "dsr.step",
    "dsr.slice",
    "dsr.app",
    "dsr.search.day",
    "dsr.items.done",
    "dsr.items.failed",
];

tokio::task_local! {
    static CURRENT: Arc<Shared>;
}

/// What an invocation was started by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// A call, with its method and the route's pattern.
    Http {
        /// Such as `GET`.
        method: &'static str,
        /// Such as `/api/requests/{id}`.
        route: &'static str,
    },
    /// A message of the queue with the function's name.
    Queue,
    /// The clock.
    Timer,
}

/// What is known when an invocation begins.
#[derive(Debug, Clone)]
pub struct Start {
    /// The function.
    pub function: &'static str,
    /// What started it.
    pub trigger: Trigger,
    /// The host's ID of it.
    pub id: String,
    /// The host's `traceparent`: the parent where nothing better is known.
    pub parent: String,
}

/// What became of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The slice or decision is done.
    Over,
    /// It goes on in a new message.
    Continued,
    /// It waits: for a time, an export, the budget.
    Waiting,
    /// It failed and comes back.
    Retried,
    /// It was tried enough.
    GivenUp,
    /// The message fits no more.
    Void,
    /// Stored state could not be used, or the code panicked.
    Failed,
}

impl Outcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::Continued => "continued",
            Self::Waiting => "waiting",
            Self::Retried => "retried",
            Self::GivenUp => "given_up",
            Self::Void => "void",
            Self::Failed => "failed",
        }
    }

    fn is_error(self) -> bool {
        matches!(self, Self::GivenUp | Self::Failed)
    }
}

/// Why a slice waits for calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Throttle {
    /// The token's calls are used up.
    Budget,
    /// App Center answered 429.
    RateLimit,
}

impl Throttle {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::RateLimit => "rate_limit",
        }
    }
}

/// What an invocation searched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Searched {
    /// Bytes read, as stored.
    pub bytes: u64,
    /// Records in them.
    pub records: u64,
    /// Records that hold anybody who waits.
    pub matches: u64,
}

/// An invocation that runs. It ends with [`Invocation::end`]; one that is dropped is not told of.
#[derive(Debug)]
pub struct Invocation(Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) pipeline: Arc<Pipeline>,
    start: Start,
    at: SystemTime,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    span: Option<Span>,
    /// What the span has, until it begins.
    attributes: Vec<KeyValue>,
    links: usize,
    /// Values of [`TOLD`].
    told: [Option<String>; TOLD.len()],
    /// What happened, a line each.
    lines: Vec<String>,
    outcome: Option<Outcome>,
    throttle: Option<Throttle>,
    searched: Searched,
    failure: Option<String>,
}

impl Invocation {
    pub(super) fn begin(pipeline: Arc<Pipeline>, start: Start) -> Self {
        Self(Arc::new(Shared {
            pipeline,
            start,
            at: values::now(),
            began: Instant::now(),
            state: Mutex::default(),
        }))
    }

    /// Runs this as part of the invocation: what it emits belongs to it.
    pub async fn run<F: Future>(&self, work: F) -> F::Output {
        CURRENT.scope(Arc::clone(&self.0), work).await
    }

    /// Ends it with the status of the answer.
    pub fn end(self, status: u16) {
        let shared = self.0;
        let is_broken = status >= 500;
        let outcome = if is_broken {
            Outcome::Failed
        } else {
            shared.state().outcome.unwrap_or(Outcome::Over)
        };
        if is_broken {
            let failure = shared.state().failure.take();
            let reason = failure.as_deref().unwrap_or("the answer was a failure");
            shared.emit(&Event::InvocationFailed {
                function: shared.start.function,
                reason,
            });
        }
        let seconds = shared.began.elapsed().as_secs_f64();
        let instruments = &shared.pipeline.instruments;
        let outcome_name = KeyValue::new("dsr.outcome", outcome.name());
        if shared.start.trigger == Trigger::Timer {
            let attributes = std::slice::from_ref(&outcome_name);
            instruments.sweep_duration.record(seconds, attributes);
        } else {
            let function = KeyValue::new("faas.name", shared.start.function);
            let attributes = [function, outcome_name.clone()];
            instruments.stage_duration.record(seconds, &attributes);
        }
        let mut state = shared.state();
        shared.ensure(&mut state, None);
        let searched = state.searched;
        let Some(mut span) = state.span.take() else {
            return;
        };
        span.set_attribute(outcome_name);
        if searched != Searched::default() {
            for (key, value) in [
                ("dsr.search.bytes", searched.bytes),
                ("dsr.search.records", searched.records),
                ("dsr.search.matches", searched.matches),
            ] {
                span.set_attribute(KeyValue::new(key, values::number(value)));
            }
        }
        if matches!(shared.start.trigger, Trigger::Http { .. }) {
            let status = KeyValue::new("http.response.status_code", i64::from(status));
            span.set_attribute(status);
        }
        if outcome.is_error() {
            span.set_attribute(KeyValue::new("error.type", outcome.name()));
            span.set_status(Status::error(outcome.name()));
        }
        span.end();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins the span, unless it has begun: under this parent, else under the host's.
    fn ensure(&self, state: &mut State, parent: Option<SpanContext>) {
        if state.span.is_some() {
            return;
        }
        let Start {
            function,
            trigger,
            id,
            parent: host,
        } = &self.start;
        let (kind, faas) = match trigger {
            Trigger::Http { .. } => (SpanKind::Server, "http"),
            Trigger::Queue => (SpanKind::Consumer, "pubsub"),
            Trigger::Timer => (SpanKind::Server, "timer"),
        };
        let mut attributes = vec![
            KeyValue::new("faas.name", *function),
            KeyValue::new("faas.trigger", faas),
        ];
        attributes.extend(values::checked("faas.invocation_id", values::host_id(id)));
        match trigger {
            Trigger::Http { method, route } => {
                attributes.push(KeyValue::new("http.request.method", *method));
                attributes.push(KeyValue::new("http.route", *route));
            }
            Trigger::Queue => {
                attributes.push(KeyValue::new("messaging.system", "azure_storage_queue"));
                attributes.push(KeyValue::new("messaging.destination.name", *function));
                attributes.push(KeyValue::new("messaging.operation.type", "process"));
            }
            Trigger::Timer => {}
        }
        attributes.append(&mut state.attributes);
        let builder = SpanBuilder::from_name(*function)
            .with_kind(kind)
            .with_start_time(self.at)
            .with_attributes(attributes);
        let parent = parent.or_else(|| values::context(host));
        let parent = parent.map_or_else(Context::new, |parent| {
            Context::new().with_remote_span_context(parent)
        });
        state.span = Some(self.pipeline.tracer.build_with_context(builder, &parent));
    }

    /// The place of this invocation in its trace; its span begins with this at the latest.
    pub(super) fn context(&self) -> SpanContext {
        let mut state = self.state();
        self.ensure(&mut state, None);
        state
            .span
            .as_ref()
            .map_or(SpanContext::NONE, |span| span.span_context().clone())
    }

    fn set(&self, attributes: impl IntoIterator<Item = KeyValue>) {
        let mut state = self.state();
        let attributes: Vec<KeyValue> = attributes.into_iter().collect();
        for attribute in &attributes {
            let place = TOLD.iter().position(|key| *key == attribute.key.as_str());
            if let Some(told) = place.and_then(|place| state.told.get_mut(place)) {
                *told = Some(attribute.value.to_string());
            }
        }
        match &mut state.span {
            Some(span) => span.set_attributes(attributes),
            None => state.attributes.extend(attributes),
        }
    }

    /// What it came to, and what happened on the way.
    fn lines(&self) -> Vec<String> {
        let state = self.state();
        let outcome = state.outcome.unwrap_or(Outcome::Over).name();
        let mut line = format!("{}: {outcome}", self.start.function);
        for (key, value) in TOLD.iter().zip(&state.told) {
            if let Some(value) = value {
                let key = key.trim_start_matches("dsr.");
                line.push_str(&format!(", {key} {value}"));
            }
        }
        std::iter::once(line)
            .chain(state.lines.iter().cloned())
            .collect()
    }

    pub(super) fn emit(&self, event: &Event<'_>) {
        let context = self.context();
        self.pipeline.log(event, &context);
        let mut state = self.state();
        if state.lines.len() < MAX_LINES {
            state.lines.push(event.to_string());
        }
    }
}

/// Does something with the invocation that runs, if telemetry is on.
pub(super) fn here<T>(act: impl FnOnce(&Shared) -> T) -> Option<T> {
    CURRENT.try_with(|shared| act(shared)).ok()
}

/// The invocation that runs, to be kept for longer.
pub(super) fn current() -> Option<Arc<Shared>> {
    CURRENT.try_with(Arc::clone).ok()
}

/// Puts the invocation into the trace that this names, unless it is in one already.
pub fn continue_trace(traceparent: Option<&str>) {
    here(|it| it.ensure(&mut it.state(), traceparent.and_then(values::context)));
}

/// How this invocation's place in its trace is named, for what goes on with it; none while telemetry is off.
#[must_use]
pub fn traceparent() -> Option<String> {
    here(|it| values::traceparent(&it.context()))
}

/// Links to the trace of another request that this invocation serves, too; one of the same trace is none.
pub fn link(traceparent: Option<&str>) {
    here(|it| {
        let Some(to) = traceparent.and_then(values::context) else {
            return;
        };
        let mut state = it.state();
        it.ensure(&mut state, None);
        if state.links < MAX_LINKS
            && let Some(span) = &mut state.span
            && span.span_context().trace_id() != to.trace_id()
        {
            span.add_link(to, Vec::new());
            state.links += 1;
        }
    });
}

/// The request that it works for.
pub fn request(id: &str, run: u32) {
    here(|it| {
        it.set(values::checked("dsr.request.id", values::request(id)));
        it.set([KeyValue::new("dsr.request.run", i64::from(run))]);
    });
}

/// The step that it does, and which slice of it.
pub fn step(step: &'static str, slice: Option<u32>) {
    here(|it| {
        it.set([KeyValue::new("dsr.step", step)]);
        it.set(slice.map(|slice| KeyValue::new("dsr.slice", i64::from(slice))));
    });
}

/// What became of it; the last word counts.
pub fn outcome(outcome: Outcome) {
    here(|it| it.state().outcome = Some(outcome));
}

/// Items of its slice that ended.
pub fn items(done: u64, failed: u64) {
    here(|it| {
        it.set([
            KeyValue::new("dsr.items.done", values::number(done)),
            KeyValue::new("dsr.items.failed", values::number(failed)),
        ]);
    });
}

/// Which app (`owner/name`) and day it searches.
pub fn searched(app: &str, day: &str) {
    here(|it| {
        it.set(values::checked("dsr.app", values::app(app)));
        it.set(values::checked("dsr.search.day", values::day(day)));
    });
}

/// Adds to what it searched.
pub(super) fn add_searched(shared: &Shared, more: Searched) {
    let mut state = shared.state();
    state.searched.bytes += more.bytes;
    state.searched.records += more.records;
    state.searched.matches += more.matches;
}

/// Notes why calls are not to be had just now; the wait itself is told with [`throttled`].
pub fn throttle(why: Throttle) {
    here(|it| it.state().throttle = Some(why));
}

/// Tells how many seconds work waits for calls, for the reason that was noted last.
pub fn throttled(seconds: f64) {
    here(|it| {
        let why = it.state().throttle.unwrap_or(Throttle::Budget);
        let reason = KeyValue::new("dsr.api.throttle.reason", why.name());
        it.pipeline
            .instruments
            .throttled_time
            .add(seconds.max(0.0), &[reason]);
    });
}

/// What the host is to log with the invocation, so that the portal shows it there; nothing while telemetry is off.
#[must_use]
pub fn lines() -> Vec<String> {
    here(Shared::lines).unwrap_or_default()
}

/// Why it fails, for people: told with the answer.
pub fn failed(reason: &str) {
    here(|it| it.state().failure = Some(reason.to_owned()));
}
