//! Tests over real parts: Azurite, App Center's simulator, the local host, the handler's own executable.

mod api;
mod bad_input;
mod browser;
mod budget;
mod canaries;
mod differences;
mod faults;
mod flow;
mod harness;
mod host_protocol;
mod indexed;
mod kill_at;
mod kills;
mod package;
mod paths;
mod pump;
mod search;
mod shared_archive;
mod standard_accounts;
mod sweep;
mod telemetry;
mod test_data;
mod tidy;
mod timer_kills;
mod together;
