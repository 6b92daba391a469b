//! How it is said that App Center is gone for good: the same words wherever, so that a report knows them again.

/// What becomes of an item that only the service could do.
pub const NOT_ASKED: &str = "App Center is retired: it was not asked";
/// How an app's note about it begins; the evidence follows.
pub const CONCLUDED: &str = "App Center counts as retired";

/// Whether a reason says it.
#[must_use]
pub fn is_said(reason: &str) -> bool {
    reason == NOT_ASKED || reason.starts_with(CONCLUDED)
}
