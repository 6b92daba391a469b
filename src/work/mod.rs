//! The request's stored state: records, slices, plans, hits. Every write to the work storage goes through here.

mod bins;
mod known;
pub mod names;
mod over;
mod readings;
mod records;
mod slices;
mod store;

pub use readings::{Place, Reading, Readings};
pub use records::Loaded;
pub use slices::{Cut, Finished, Slice, SliceEnd, SliceInput, SliceState};
pub use store::{Error, NoProbe, Probe, Store};
