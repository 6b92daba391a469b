//! Traces, metrics and events to wherever a setting points; nothing at all without one.
//!
//! What is emitted, and under which names, stands in docs/TELEMETRY.md. Everything goes through the small API here, whose
//! arguments are names of ours (`&'static str`), numbers, and values whose form is checked in [`values`]: there is no way
//! in for a free text but `reason`, which is written for people and holds nothing personal.
//!
//! An invocation carries its [`Invocation`] as a task-local, so that whoever has something to tell needs no handle; outside
//! of one, and without a destination, every function here does nothing.
//! Batches are bounded and dropped when full; nobody waits for a destination.

mod call;
mod event;
mod instruments;
mod invocation;
pub mod metrics;
mod pipeline;
mod transport;
mod values;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

pub use call::Call;
pub use event::{Event, event};
pub use invocation::{
    Invocation, Outcome, Searched, Start, Throttle, Trigger, continue_trace, failed, items, lines,
    link, outcome, request, searched, step, throttle, throttled, traceparent,
};
use pipeline::Pipeline;

/// Where telemetry goes, and who says so.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// An OpenTelemetry collector, by OTLP over HTTP: the address without `/v1/…`.
    pub otlp: Option<Url>,
    /// Application Insights.
    pub connection_string: Option<SecretString>,
    /// The identity whose token Application Insights wants; none sends without a token.
    pub identity: Option<Identity>,
    /// The instance that speaks, as Azure names it; none makes one up.
    pub instance: Option<String>,
}

/// A managed identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its client ID; none means the system's.
    pub client_id: Option<String>,
}

/// The telemetry of a process. It can be cloned; nothing is built before the first invocation.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    inner: Option<Arc<Inner>>,
}

#[derive(Debug)]
struct Inner {
    settings: Settings,
    pipeline: OnceLock<Option<Arc<Pipeline>>>,
}

impl Telemetry {
    /// Telemetry to the destinations of the settings; without one it is off.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let is_on = settings.otlp.is_some() || settings.connection_string.is_some();
        Self {
            inner: is_on.then(|| {
                Arc::new(Inner {
                    settings,
                    pipeline: OnceLock::new(),
                })
            }),
        }
    }

    /// Whether there is a destination.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.inner.is_some()
    }

    /// Begins an invocation, within the async runtime; none while telemetry is off.
    #[must_use]
    pub fn begin(&self, start: Start) -> Option<Invocation> {
        let inner = self.inner.as_ref()?;
        let pipeline = inner
            .pipeline
            .get_or_init(|| Pipeline::build(&inner.settings).map(Arc::new));
        Some(Invocation::begin(Arc::clone(pipeline.as_ref()?), start))
    }

    fn built(&self) -> Option<Arc<Pipeline>> {
        self.inner.as_ref()?.pipeline.get()?.clone()
    }

    /// Sends what has gathered, without waiting for it.
    pub fn flush(&self) {
        if let Some(pipeline) = self.built() {
            // It waits for the exporters' threads, so it has one of its own.
            drop(tokio::task::spawn_blocking(move || pipeline.flush()));
        }
    }

    /// Sends what has gathered and waits for it, at most this long.
    pub async fn stop(&self, limit: Duration) {
        if let Some(pipeline) = self.built() {
            let flushed = tokio::task::spawn_blocking(move || pipeline.flush());
            drop(tokio::time::timeout(limit, flushed).await);
        }
    }
}

#[cfg(test)]
mod tests;
