//! The App Center API budget: so many calls in any window of so many seconds, shared by all instances of the service.
//!
//! The budget belongs to the API token, not to a process, so it is kept in one blob ([`SharedBudget`]). Instances take
//! tokens in slices; [`ledger`] is the arithmetic and proves that no window ever holds too many calls, whenever within
//! its time a token is used and whichever instance dies.

pub mod ledger;
mod local;
mod shared;
mod spec;

use std::fmt::Debug;

use jiff::Timestamp;

pub use shared::SharedBudget;
pub use spec::{BudgetSpec, InvalidSpec};

/// No call may be made for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the API budget is used up until {until}")]
pub struct Exhausted {
    /// When asking again makes sense.
    pub until: Timestamp,
}

/// Permission to call the API.
#[async_trait::async_trait]
pub trait Budget: Debug + Send + Sync {
    /// Waits a few seconds at most for permission for one call, which must be made at once.
    ///
    /// # Errors
    /// [`Exhausted`] when it takes longer.
    async fn acquire(&self) -> Result<(), Exhausted>;

    /// Gives no permission before `until`, in any instance: the API said so.
    async fn hold_until(&self, until: Timestamp);
}

#[cfg(test)]
mod tests;
