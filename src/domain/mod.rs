//! What the product talks about: requests, subjects, apps, reports. Nothing here does I/O.

pub mod document;
pub mod due;
pub mod fields;
pub mod hit;
pub mod ids;
pub mod plan;
pub mod retired;
pub(crate) mod strict;
pub mod subject;
pub mod trace;

pub use document::{Document, Include, Jurisdiction, Kind, Window};
pub use fields::Fault;
pub use ids::{AppRef, ErrorId, GroupId, InstallId, LegacyIds, RequestId};
pub use subject::Subject;
pub use trace::TraceParent;
