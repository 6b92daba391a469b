//! A local Azure Functions host for custom handlers.
//!
//! It reads an app folder (host.json, `<function>/function.json`, the handler) and drives the handler as the real host
//! does: environment and readiness ping, envelopes with their double encoding and leaks, chunked bodies, queue leases
//! with renewal, dequeue counts, poison queues, timers, HTTP forwarding, timeouts, and the rules by which a handler
//! that dies is started again. What the real host answers with silence (an empty reply hangs an invocation there) is
//! loud here.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use functions_host::{Host, LogSink, Options};
//! let host = Host::start(Options {
//!     app_root: "target/app".into(),
//!     env: vec![("AzureWebJobsStorage".into(), "UseDevelopmentStorage=true".into())],
//!     log: LogSink::memory(),
//!     ..Default::default()
//! })
//! .await?;
//! host.wait_ready().await?;
//! host.stop().await;
//! # Ok(())
//! # }
//! ```

mod clock;
mod counters;
mod front;
mod host;
mod invoke;
mod log;
mod manifest;
mod options;
mod outputs;
mod queue;
mod settings;
pub mod stage;
mod storage;
mod time_span;
mod timer;
mod wire;
mod worker;

pub use host::{Ended, Host};
pub use log::LogSink;
pub use options::Options;
