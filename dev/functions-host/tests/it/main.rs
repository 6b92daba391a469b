//! The host against a scripted handler and real Azurite.

mod harness;

mod command_line;
mod http;
mod process;
mod queues;
mod timers;
