//! The one place that sends a call to App Center.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rand::RngExt as _;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Response};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::Url;

use super::body::{Expect, check_body, decode};
use super::budget::Gate;
use super::client::Client;
use super::error::{Error, Refusal, Why};
use super::path::Path;
use super::retry::{self, Decision, Outcome, Repeat};
use crate::telemetry;

/// An error body is read up to this length.
const ERROR_BYTES: u64 = 64 * 1024;

/// One call, to be sent once or more.
pub(super) struct Call<'a> {
    /// The operation's name in the service's own description, for logs.
    operation: &'static str,
    method: Method,
    url: Url,
    body: Option<Vec<u8>>,
    repeat: Repeat,
    expect: Expect,
    gate: Option<&'a dyn Gate>,
    /// Whether an attempt may have been done although its answer did not say so.
    maybe_done: AtomicBool,
}

impl<'a> Call<'a> {
    /// A GET of a JSON document.
    pub(super) fn get(operation: &'static str, path: Path) -> Self {
        Self {
            operation,
            method: Method::GET,
            url: path.url(),
            body: None,
            repeat: Repeat::Safe,
            expect: Expect::Json,
            gate: None,
            maybe_done: AtomicBool::new(false),
        }
    }

    /// A GET of a file.
    pub(super) fn get_file(operation: &'static str, path: Path) -> Self {
        Self {
            expect: Expect::File,
            ..Self::get(operation, path)
        }
    }

    /// A POST or PATCH. Without a body it sends `{}`: App Center answers 411 to nothing.
    pub(super) fn change(
        operation: &'static str,
        method: Method,
        path: Path,
        body: Option<Vec<u8>>,
        repeat: Repeat,
    ) -> Self {
        Self {
            method,
            body: Some(body.unwrap_or_else(|| b"{}".to_vec())),
            repeat,
            ..Self::get(operation, path)
        }
    }

    /// A DELETE or a block: it cannot be taken back, so it has a gate. Repeating it changes nothing more.
    pub(super) fn irreversible(
        operation: &'static str,
        method: Method,
        path: Path,
        gate: &'a dyn Gate,
    ) -> Self {
        let body = (method != Method::DELETE).then(|| b"{}".to_vec());
        Self {
            method,
            body,
            expect: Expect::Acknowledgement,
            gate: Some(gate),
            ..Self::get(operation, path)
        }
    }

    /// The same call with another expectation.
    pub(super) fn expecting(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }

    /// Whether an attempt may have been done although its answer was lost, or said otherwise.
    pub(super) fn is_maybe_done(&self) -> bool {
        self.maybe_done.load(Ordering::Relaxed)
    }
}

/// A failed attempt: what the retry decides on, and what the caller would get.
pub(super) struct Failed {
    pub(super) outcome: Outcome,
    pub(super) error: Error,
}

impl Client {
    /// Sends a call and decodes its JSON.
    pub(super) async fn json<T: DeserializeOwned>(&self, call: &Call<'_>) -> Result<T, Error> {
        decode(&self.send(call).await?)
    }

    /// Sends a call until it succeeds, or trying again is no use or takes too long.
    pub(super) async fn send(&self, call: &Call<'_>) -> Result<Bytes, Error> {
        let began = Instant::now();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let leave = self.budget().acquire().await;
            let leave = leave.map_err(|exhausted| Error::BudgetExhausted {
                until: exhausted.until,
            })?;
            // Nothing may come between this question and the call: a cancelled request sends nothing more.
            if let Some(gate) = call.gate
                && !gate.is_open().await
            {
                return Err(Error::Stopped);
            }
            let sent = Instant::now();
            let told = telemetry::Call::begin(
                call.operation,
                call.method.as_str(),
                call.url.host_str(),
                attempt,
            );
            let (status, result) = self.attempt(call).await;
            if status > 0 {
                self.budget().answered(leave);
            }
            if let Some(told) = told {
                let outcome = result.as_ref().err().map(|failed| failed.error.outcome());
                told.end(outcome.unwrap_or("ok"), status);
            }
            let operation = call.operation;
            let duration_ms = u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX);
            let failed = match result {
                Ok(body) => {
                    tracing::debug!(operation, status, attempt, duration_ms, "answered");
                    return Ok(body);
                }
                Err(failed) => failed,
            };
            if may_be_done(&failed) {
                call.maybe_done.store(true, Ordering::Relaxed);
            }
            if let Error::RateLimited { until } = failed.error {
                self.budget().hold_until(until).await;
            }
            let policy = &self.limits().retry;
            let decision = retry::decide(
                policy,
                call.repeat,
                failed.outcome,
                attempt,
                began.elapsed(),
            );
            let why = &failed.error;
            match decision {
                Decision::GiveUp => {
                    tracing::info!(operation, status, attempt, duration_ms, %why, "failed");
                    return Err(failed.error);
                }
                Decision::Retry(wait) => {
                    tracing::info!(operation, status, attempt, duration_ms, %why, ?wait, "trying again");
                    tokio::time::sleep(spread(wait, failed.outcome)).await;
                }
            }
        }
    }

    /// Sends a call once. The status is 0 when there was none.
    async fn attempt(&self, call: &Call<'_>) -> (u16, Result<Bytes, Failed>) {
        let http = match self.api() {
            Ok(http) => http,
            Err(error) => return (0, Err(Failed::for_good(error))),
        };
        let mut request = http
            .request(call.method.clone(), call.url.clone())
            .header("X-API-Token", self.token())
            .header(ACCEPT, "application/json, */*;q=0.5");
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone());
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return (0, Err(transport(error))),
        };
        let status = response.status().as_u16();
        (status, self.judge(call, status, response).await)
    }

    async fn judge(
        &self,
        call: &Call<'_>,
        status: u16,
        response: Response,
    ) -> Result<Bytes, Failed> {
        let headers = response.headers().clone();
        if !(200..300).contains(&status) {
            // Of a refusal the status is enough; its body only adds to it.
            let body = read(response, ERROR_BYTES).await.unwrap_or_default();
            return Err(self.refused(status, &headers, &Refusal::read(&body)));
        }
        if status == 202 && call.method == Method::GET {
            let error = Error::Transient {
                why: Why::StillPending,
                retry_at: None,
                source: None,
            };
            return Err(Failed {
                outcome: Outcome::Pending,
                error,
            });
        }
        let body = read(response, self.limits().answer_bytes).await?;
        check_body(call.expect, &headers, &body).map_err(|what| Failed {
            outcome: Outcome::Unreadable,
            error: Error::protocol(what),
        })?;
        Ok(body)
    }

    fn refused(&self, status: u16, headers: &HeaderMap, refusal: &Refusal) -> Failed {
        let now = self.clock().now();
        let asked = retry::asked_wait(headers, now);
        let after = |wait: Duration| now.checked_add(wait).unwrap_or(now);
        // The service's own list of codes has one for too many calls, which need not come with a 429.
        if status == 429 || refusal.is_rate_limit() {
            let wait = asked
                .or(refusal.try_again.map(retry::bounded))
                .unwrap_or(self.limits().default_hold);
            return Failed {
                outcome: Outcome::Limited(wait),
                error: Error::RateLimited { until: after(wait) },
            };
        }
        let refusal = refusal.clone();
        let error = match status {
            401 => Error::Unauthorized(refusal),
            403 => Error::Forbidden(refusal),
            404 => Error::NotFound(refusal),
            410 => Error::Gone,
            300..=399 => Error::protocol("a redirect, which is never followed"),
            _ if retry::is_passing(status) => Error::Transient {
                why: Why::Status(status),
                retry_at: asked.map(after),
                source: None,
            },
            _ => Error::Rejected { status, refusal },
        };
        Failed {
            outcome: Outcome::Refused(status, asked),
            error,
        }
    }
}

impl Failed {
    /// A failure that no retry mends.
    pub(super) fn for_good(error: Error) -> Self {
        Self {
            outcome: Outcome::Refused(0, None),
            error,
        }
    }
}

/// Whether a failed attempt may have taken effect: everything but a clear refusal, or a call that was never sent.
fn may_be_done(failed: &Failed) -> bool {
    match failed.outcome {
        Outcome::Lost | Outcome::Unreadable => true,
        Outcome::Refused(status, _) => {
            retry::is_passing(status) || matches!(failed.error, Error::TooLarge { .. })
        }
        Outcome::NotSent | Outcome::Limited(_) | Outcome::Pending => false,
    }
}

/// Classifies an error of the transport.
pub(super) fn transport(error: reqwest::Error) -> Failed {
    // The address may hold IDs or a signature.
    let error = error.without_url();
    let (outcome, why) = if error.is_connect() {
        (Outcome::NotSent, Why::Unreachable)
    } else if error.is_timeout() {
        (Outcome::Lost, Why::TimedOut)
    } else {
        (Outcome::Lost, Why::ConnectionLost)
    };
    Failed {
        outcome,
        error: Error::Transient {
            why,
            retry_at: None,
            source: Some(error),
        },
    }
}

/// Reads a body up to a limit.
async fn read(mut response: Response, limit: u64) -> Result<Bytes, Failed> {
    let too_large = || Failed::for_good(Error::TooLarge { limit });
    if response
        .content_length()
        .is_some_and(|length| length > limit)
    {
        return Err(too_large());
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(transport_lost)? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The same as [`transport`] once the call has surely been sent.
pub(super) fn transport_lost(error: reqwest::Error) -> Failed {
    Failed {
        outcome: Outcome::Lost,
        ..transport(error)
    }
}

/// Spreads a backoff by ±20 %, and a wait that the service asked for only upwards.
pub(super) fn spread(wait: Duration, outcome: Outcome) -> Duration {
    let is_asked = matches!(
        outcome,
        Outcome::Limited(_) | Outcome::Pending | Outcome::Refused(_, Some(_))
    );
    let factor = if is_asked {
        rand::rng().random_range(1.0..1.05)
    } else {
        rand::rng().random_range(0.8..1.2)
    };
    wait.mul_f64(factor)
}
