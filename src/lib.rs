//! Data subject requests over Visual Studio App Center data.

pub mod appcenter;
pub mod clock;
pub mod config;
pub mod domain;
pub mod package;
pub mod report;
pub mod search;
pub mod storage;
pub mod workflow;
