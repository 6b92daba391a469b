//! What travels in our queues: which work to look at, never what it is about.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Step;
use crate::domain::{AppRef, RequestId};

/// Version of the messages' shape.
pub const VERSION: u32 = 1;

/// A message. It wakes a function; the record decides what there is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
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
        #[serde(default, skip_serializing_if = "Option::is_none")]
        slice: Option<u32>,
    },
    /// Search one app and day for every request that waits for it.
    Day {
        /// [`VERSION`].
        v: u32,
        /// The app.
        app: AppRef,
        /// The UTC day, by the archive's folders.
        day: Date,
    },
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
        }
    }

    /// A message for one app and day.
    #[must_use]
    pub fn day(app: &AppRef, day: Date) -> Self {
        Self::Day {
            v: VERSION,
            app: app.clone(),
            day,
        }
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
        let message: Self =
            serde_json::from_str(text).map_err(|_error| "not one of our messages")?;
        let (Self::Step { v, .. } | Self::Day { v, .. }) = &message;
        if *v == VERSION {
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
            assert_eq!(Message::parse(&text), Ok(message));
        }
        for bad in [
            "",
            "{}",
            "null",
            "{\"v\":2,\"app\":{\"owner\":\"a\",\"name\":\"b\"},\"day\":\"2026-11-20\"}",
        ] {
            assert!(Message::parse(bad).is_err(), "{bad}");
        }
    }
}
