//! What the client asks before it sends: may it now, and may it still.

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;

/// The calls of the token are used up until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no calls until {until}")]
pub struct Exhausted {
    /// When there are calls again.
    pub until: Timestamp,
}

/// Leave to make one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    /// The Unix second in which it is counted.
    pub second: i64,
}

/// Hands out the API calls of a token, over all instances that use it.
#[async_trait]
pub trait Budget: Debug + Send + Sync {
    /// Takes one call, asked before every attempt. It may wait a short time itself.
    ///
    /// # Errors
    /// When the next call is too far away to wait for: the stage saves and comes back then.
    async fn acquire(&self) -> Result<Leave, Exhausted>;

    /// The service answered the call, so it arrived before now and need not be waited for any more.
    fn answered(&self, leave: Leave);

    /// The service said 429: nobody calls before `until`.
    async fn hold_until(&self, until: Timestamp);
}

/// A budget without a limit, for tools and tests that talk to a simulator.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unlimited;

#[async_trait]
impl Budget for Unlimited {
    async fn acquire(&self) -> Result<Leave, Exhausted> {
        Ok(Leave { second: 0 })
    }

    fn answered(&self, _leave: Leave) {}

    async fn hold_until(&self, _until: Timestamp) {}
}

/// Says whether an irreversible call may still be sent. It is asked directly before each one, retries included.
#[async_trait]
pub trait Gate: Send + Sync {
    /// `false` once the request is cancelled.
    async fn is_open(&self) -> bool;
}

/// A gate that is never closed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Open;

#[async_trait]
impl Gate for Open {
    async fn is_open(&self) -> bool {
        true
    }
}
