//! The request's life: its steps, what comes after what, and how fanned-out work joins. Pure: no I/O.

pub mod join;
pub mod message;
pub mod record;
pub mod stage;
pub mod transition;

pub use join::{Bin, Root, SliceMark};
pub use message::Message;
pub use record::{Record, Status};
pub use stage::{Function, Step};
pub use transition::{Event, IllegalEvent, next};
