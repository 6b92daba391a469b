//! The adapter to the Functions host: routes, envelopes, and the one place that runs stages and sends messages.

pub mod dispatch;
mod envelope;
mod http;
mod observe;
mod routes;
mod state;

pub use envelope::{Invocation, InvocationError};
pub use http::Problem;
pub use routes::build_handler;
