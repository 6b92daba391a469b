//! What a budget is: `500/300s`.

use std::fmt;
use std::time::Duration;

/// Most calls in a window.
const MAX_LIMIT: u32 = 10_000_000;
/// Longest window, in seconds; it bounds the ledger's size.
const MAX_WINDOW: u32 = 3600;

/// At most so many calls in any window of so many seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetSpec {
    limit: u32,
    window: u32,
}

/// A text was no budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a budget is written as calls/seconds like 500/300s, with 1 to 10000000 calls and 1 to 3600 seconds"
)]
pub struct InvalidSpec;

impl BudgetSpec {
    /// Reads `500/300s`.
    ///
    /// # Errors
    /// When it is written otherwise or a number is zero or too large.
    pub fn parse(text: &str) -> Result<Self, InvalidSpec> {
        let (limit, window) = text
            .trim()
            .strip_suffix('s')
            .and_then(|text| text.split_once('/'))
            .ok_or(InvalidSpec)?;
        let number = |text: &str, most: u32| {
            text.parse::<u32>()
                .ok()
                .filter(|number| {
                    text.bytes().all(|byte| byte.is_ascii_digit()) && (1..=most).contains(number)
                })
                .ok_or(InvalidSpec)
        };
        Ok(Self {
            limit: number(limit, MAX_LIMIT)?,
            window: number(window, MAX_WINDOW)?,
        })
    }

    /// Most calls in a window.
    #[must_use]
    pub fn limit(self) -> u32 {
        self.limit
    }

    /// The window's length; whole seconds.
    #[must_use]
    pub fn window(self) -> Duration {
        Duration::from_secs(u64::from(self.window))
    }

    /// How long a token may wait in its process before the call is made.
    #[must_use]
    pub fn use_within(self) -> Duration {
        Duration::from_secs(if self.window >= 60 { 2 } else { 1 })
    }

    /// How long the call may take to reach the API, clocks of instances that differ ([`Self::clocks_within`]) included.
    ///
    /// It is larger than any sound network needs: a busy machine delays calls too, and a second costs only a three
    /// hundredth of the usual budget.
    #[must_use]
    pub fn arrive_within(self) -> Duration {
        Duration::from_secs(u64::from(self.window / 60).clamp(1, 4))
    }

    /// How much the clocks of two instances may differ: half of [`Self::arrive_within`], in whole seconds, at least one.
    #[must_use]
    pub fn clocks_within(self) -> Duration {
        Duration::from_secs(self.arrive_within().as_secs().div_ceil(2))
    }
}

impl fmt::Display for BudgetSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}s", self.limit, self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::{BudgetSpec, InvalidSpec};
    use std::time::Duration;

    #[test]
    fn budgets_are_read() {
        for (text, expected) in [
            ("500/300s", Some((500, 300))),
            ("60000/300s", Some((60_000, 300))),
            (" 1/1s ", Some((1, 1))),
            ("10000000/3600s", Some((10_000_000, 3600))),
            ("", None),
            ("500", None),
            ("500/300", None),
            ("500/5m", None),
            ("0/300s", None),
            ("500/0s", None),
            ("-5/300s", None),
            ("+5/300s", None),
            ("5 / 300s", None),
            ("10000001/300s", None),
            ("500/3601s", None),
            ("99999999999999999999/300s", None),
        ] {
            let found = BudgetSpec::parse(text);
            let expected = expected.ok_or(InvalidSpec);
            assert_eq!(
                found.map(|spec| (spec.limit, spec.window)),
                expected,
                "{text}"
            );
            if let Ok(spec) = found {
                assert_eq!(BudgetSpec::parse(&spec.to_string()), Ok(spec));
            }
        }
    }

    #[test]
    fn margins_follow_the_window() {
        for (text, use_within, arrive_within) in [
            ("500/300s", 2, 4),
            ("5/3600s", 2, 4),
            ("5/60s", 2, 1),
            ("5/2s", 1, 1),
        ] {
            let spec = BudgetSpec::parse(text).expect("a budget");
            assert_eq!(spec.use_within(), Duration::from_secs(use_within), "{text}");
            assert_eq!(
                spec.arrive_within(),
                Duration::from_secs(arrive_within),
                "{text}"
            );
        }
    }
}
