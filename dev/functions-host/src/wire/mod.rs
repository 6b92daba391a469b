//! What goes over the wire between host and handler, as the real host writes and reads it.

mod client;
mod envelope;
mod newtonsoft;
mod reply;

pub(crate) use client::{Client, HOST_VERSION, SendError, USER_AGENT};
pub(crate) use envelope::{Envelope, MessageFacts, Payload, date_time, sys};
pub(crate) use newtonsoft::doubly_encoded;
pub(crate) use reply::{Fault, Reply, read as read_reply};
