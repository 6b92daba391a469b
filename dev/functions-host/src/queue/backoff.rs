//! How long the listener waits when a queue is empty.

use std::time::Duration;

use rand::RngExt as _;

/// The shortest wait, and the step that doubles.
const SHORTEST: Duration = Duration::from_millis(100);

/// Waits that double, with ±20 % jitter, up to a longest one.
#[derive(Debug)]
pub(super) struct Backoff {
    longest: Duration,
    current: Duration,
    exponent: u32,
}

impl Backoff {
    pub(super) fn new(longest: Duration) -> Self {
        Self {
            longest,
            current: SHORTEST.min(longest),
            exponent: 0,
        }
    }

    /// A message came: the waits start from the shortest again.
    pub(super) fn reset(&mut self) {
        self.current = SHORTEST.min(self.longest);
        self.exponent = 1;
    }

    /// The wait after one more fetch that found nothing.
    pub(super) fn next(&mut self) -> Duration {
        self.next_with(rand::rng().random_range(0.8..1.2))
    }

    fn next_with(&mut self, jitter: f64) -> Duration {
        if self.current >= self.longest {
            return self.longest;
        }
        let step = match self.exponent {
            0 => Duration::ZERO,
            // The exponent stops growing long before it could overflow: the longest wait is a week at most.
            exponent => SHORTEST
                .mul_f64(jitter * 2_f64.powi(i32::try_from(exponent.min(40) - 1).unwrap_or(0))),
        };
        let next = SHORTEST + step;
        if next < self.longest {
            self.current = next;
            self.exponent += 1;
        } else {
            self.current = self.longest;
        }
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    #[test]
    fn waits_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_secs(2));
        let mut waits =
            || -> Vec<u128> { (0..7).map(|_| backoff.next_with(1.0).as_millis()).collect() };
        assert_eq!(waits(), [100, 200, 300, 500, 900, 1700, 2000]);
        assert_eq!(waits(), [2000; 7]);
        backoff.reset();
        assert_eq!(backoff.next_with(0.8).as_millis(), 180);
    }

    #[test]
    fn waits_never_leave_the_bounds() {
        for longest in [100, 150, 2_000, 60_000] {
            let mut backoff = Backoff::new(Duration::from_millis(longest));
            for _ in 0..100 {
                let wait = backoff.next();
                assert!(
                    wait >= Duration::from_millis(100) && wait <= Duration::from_millis(longest)
                );
            }
        }
    }
}
