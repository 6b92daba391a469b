#![doc = include_str!("../README.md")]

mod audit;
mod clock;
mod exporter;
mod faults;
mod ids;
mod options;
mod render;
mod reply;
mod routes;
mod server;
mod sim;
mod state;
mod text;
mod world;

pub use audit::{Audit, Call};
pub use clock::Clock;
pub use exporter::{ExportState, Exported};
pub use faults::{Fault, FaultKind, Faults};
pub use options::{DEFAULT_TOKEN, Mode, Options, Quirks, Retirement, Token};
pub use sim::Sim;
pub use world::{
    Also, AppInstall, AppReport, AppTestRun, BlobIds, BlobNames, Counts, Expected, ExpectedRequest,
    ExportStyle, GENERATED_APP, Held, KeyCase, Layout, RowLink, Shape, Spec, World,
};
