//! The machine's clock, asked in one place.

use jiff::Timestamp;

/// Now, in UTC.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock that the rest of the host asks"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}
