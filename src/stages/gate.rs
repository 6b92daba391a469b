//! The look at the stored record directly before every irreversible call: it must still be at this step of this run.

use std::sync::Arc;

use super::Context;
use crate::appcenter::Gate;
use crate::domain::RequestId;
use crate::work::{Place, Reading, Slice};

/// Opens only while the request is where its slice is. A decision that was stored before a call asks is always seen.
#[derive(Debug)]
pub struct StepGate<'a> {
    cx: Context<'a>,
    request: RequestId,
    wanted: Place,
    reading: Arc<Reading>,
}

impl<'a> StepGate<'a> {
    /// A gate for one slice.
    #[must_use]
    pub fn new(cx: Context<'a>, slice: &Slice) -> Self {
        Self {
            cx,
            request: slice.request.clone(),
            wanted: Place {
                run: slice.run,
                step: Some(slice.step),
                is_ended: false,
            },
            reading: cx.app.readings.of(&slice.request),
        }
    }
}

#[async_trait::async_trait]
impl Gate for StepGate<'_> {
    async fn is_open(&self) -> bool {
        // A record that cannot be read closes the gate; the dispatcher finds out why.
        let place = self.reading.place(&self.cx.app.store, &self.request).await;
        place == Some(self.wanted)
    }
}
