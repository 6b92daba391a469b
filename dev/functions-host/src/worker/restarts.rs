//! When a handler that failed is started again.

use std::time::Duration;

use tokio::time::Instant;

/// Failures are forgotten when the one before is older than that.
const MEMORY: Duration = Duration::from_secs(30 * 60);
/// With that many failures the host ends: the first start and two restarts.
const MOST_FAILURES: u32 = 3;

/// Counts failures.
#[derive(Debug, Default)]
pub(super) struct Failures {
    count: u32,
    last: Option<Instant>,
}

impl Failures {
    /// Counts one more; says whether the handler may be started again.
    pub(super) fn add(&mut self, now: Instant) -> bool {
        let is_old = |last: Instant| now.duration_since(last) > MEMORY;
        if self.last.is_some_and(is_old) {
            self.count = 0;
        }
        self.last = Some(now);
        self.count += 1;
        self.count < MOST_FAILURES
    }
}

#[cfg(test)]
mod tests {
    use super::Failures;
    use std::time::Duration;
    use tokio::time::Instant;

    #[test]
    fn the_third_failure_within_half_an_hour_of_the_one_before_is_the_last() {
        fn check(minutes: &[u64], expected: &[bool]) {
            let start = Instant::now();
            let mut failures = Failures::default();
            let at = |minute: &u64| start + Duration::from_secs(minute * 60);
            let got: Vec<bool> = minutes
                .iter()
                .map(|minute| failures.add(at(minute)))
                .collect();
            assert_eq!(got, expected, "{minutes:?}");
        }
        check(&[0, 0, 0], &[true, true, false]);
        check(&[0, 29, 58], &[true, true, false]);
        check(&[0, 31, 62, 93], &[true, true, true, true]);
        check(&[0, 1, 32, 33, 34], &[true, true, true, true, false]);
    }
}
