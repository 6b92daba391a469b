//! Timer triggers: schedules, their recorded status, and the loop that runs them.

mod listener;
mod ncrontab;
mod schedule;
mod status;

pub(crate) use listener::{Listener, from_admin};
pub(crate) use schedule::Schedule;
