//! How often and how long a call is tried before its caller hears of it.

use std::time::Duration;

use azure_core::http::StatusCode;
use azure_core::http::headers::RETRY_AFTER;
use azure_core::http::policies::{RetryHeaders, RetryPolicy};
use azure_core::time::Duration as SdkDuration;
use rand::RngExt as _;

/// Tries after the first one.
const RETRIES: u32 = 3;
/// No new try is started this long after the first one ended.
const MAX_ELAPSED: Duration = Duration::from_secs(20);
/// Longest pause between two tries, whatever the service asks for: a caller that must wait longer does it by queue.
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// Pause before the second try; each later one is four times as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A few quick tries. The SDK's own policy obeys any `Retry-After`, so one answer could hold a stage for hours.
#[derive(Debug)]
pub(super) struct BoundedRetry {
    headers: RetryHeaders,
}

impl BoundedRetry {
    pub(super) fn new() -> Self {
        Self {
            headers: RetryHeaders {
                retry_headers: vec![RETRY_AFTER],
            },
        }
    }
}

fn pause(retry_count: u32, asked: Option<Duration>, jitter: f64) -> Duration {
    let own = FIRST_PAUSE * 4_u32.saturating_pow(retry_count.saturating_sub(1).min(4));
    own.mul_f64(jitter)
        .max(asked.unwrap_or_default())
        .min(MAX_PAUSE)
}

#[async_trait::async_trait]
impl RetryPolicy for BoundedRetry {
    fn is_expired(&self, since_start: SdkDuration, retry_count: u32) -> bool {
        retry_count >= RETRIES || since_start >= MAX_ELAPSED
    }

    fn retry_headers(&self) -> Option<&RetryHeaders> {
        Some(&self.headers)
    }

    fn retry_status_codes(&self) -> &[StatusCode] {
        &[]
    }

    fn sleep_duration(&self, retry_count: u32) -> SdkDuration {
        SdkDuration::try_from(pause(retry_count, None, 1.0)).unwrap_or(SdkDuration::SECOND)
    }

    async fn wait(&self, retry_count: u32, retry_after: Option<SdkDuration>) {
        let asked = retry_after.and_then(|asked| Duration::try_from(asked).ok());
        let jitter = rand::rng().random_range(0.8..1.2);
        tokio::time::sleep(pause(retry_count, asked, jitter)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::{BoundedRetry, pause};
    use azure_core::http::policies::RetryPolicy as _;
    use azure_core::time::Duration as SdkDuration;
    use std::time::Duration;

    #[test]
    fn pauses_grow_and_end() {
        for (count, asked, expected) in [
            (1, None, 100),
            (2, None, 400),
            (3, None, 1600),
            (9, None, 5000),
            (1, Some(2), 2000),
            (1, Some(3600), 5000),
        ] {
            let asked = asked.map(Duration::from_secs);
            assert_eq!(
                pause(count, asked, 1.0),
                Duration::from_millis(expected),
                "{count}"
            );
        }
        let policy = BoundedRetry::new();
        assert!(!policy.is_expired(SdkDuration::seconds(19), 2));
        assert!(policy.is_expired(SdkDuration::seconds(20), 0));
        assert!(policy.is_expired(SdkDuration::ZERO, 3));
    }
}
