//! What the product talks about: requests, subjects, apps, reports. Nothing here does I/O.

pub mod ids;

pub use ids::{AppRef, ErrorId, GroupId, InstallId};
