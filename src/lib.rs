//! Data subject requests (export and erasure) over Visual Studio App Center data, as an Azure Functions custom handler.
//!
//! A request comes in by HTTP or queue; stages, chained by storage queues, find the person in what App Center exported,
//! plan, wait for a person's approval, block and delete, or build a package. In reading order:
//!
//! - [`domain`]: what it is about. [`workflow`]: the life of a request, as one transition table and one join.
//! - [`search`]: the engine that finds people. [`appcenter`], [`storage`]: the two outside worlds; [`budget`]: calls allowed.
//! - [`work`]: stored state; [`ledger`]: which reports an app has. [`stages`]: the functions. [`host`]: the adapter that runs them and sends messages.
//! - [`report`], [`package`]: what people get. [`config`], [`app`], [`clock`]: how it is put together. [`telemetry`]: what is seen of it. [`cli`]: commands.

pub mod app;
pub mod appcenter;
pub mod archives;
pub mod budget;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod host;
pub mod ledger;
pub mod package;
pub mod report;
pub mod search;
pub mod stages;
pub mod storage;
pub mod telemetry;
pub mod work;
pub mod workflow;
