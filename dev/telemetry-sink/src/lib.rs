//! A receiver of telemetry on 127.0.0.1, for tests: what a collector would get by OTLP over HTTP (protobuf), and what
//! Application Insights would get on its track API, as rows of the tables that queries see.
//!
//! It reads bytes by itself and knows nothing of who sends: a shared type would hide a wrong field on both sides.

mod otlp;
mod server;
mod track;
mod wire;

pub use otlp::{Kind, Log, Point, Span};
pub use server::{Received, Sink};
