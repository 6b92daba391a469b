//! Queue triggers: the loop that fetches messages, and the life of one message.

mod backoff;
mod lease;
mod message;
mod pump;

pub(crate) use message::from_admin;
pub(crate) use pump::Pump;
