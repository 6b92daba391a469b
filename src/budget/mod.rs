//! The App Center API budget: so many calls in any window of so many seconds, shared by all instances of the service.
//!
//! The budget belongs to the API token, not to a process, so it is kept in one blob ([`SharedBudget`]). Instances take
//! tokens in slices, and say with their next write which calls were answered; [`ledger`] is the arithmetic and proves
//! that no window ever holds too many calls, whenever within its time a token is used and whichever instance dies.

pub mod ledger;
mod local;
mod shared;
mod spec;

pub use shared::SharedBudget;
pub use spec::{BudgetSpec, InvalidSpec};

pub use crate::appcenter::{Budget, Exhausted, Leave};

#[cfg(test)]
mod tests;
