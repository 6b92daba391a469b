//! Tests over real parts: Azurite, App Center's simulator, the local host, the handler's own executable.

mod budget;
mod canaries;
mod faults;
mod flow;
mod harness;
mod kills;
mod pump;
mod sweep;
