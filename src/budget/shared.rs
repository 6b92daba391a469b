//! The budget in one blob, taken in slices by compare-and-swap.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use tokio::time::{Instant, timeout};

use super::ledger::{Ledger, Unreadable};
use super::local::{Known, Local};
use super::{Budget, BudgetSpec, Exhausted, Leave};
use crate::clock::Clock;
use crate::storage::{Container, Created, ETag, Error, Replaced};
use crate::telemetry::metrics;

/// Longest stored ledger that is read.
const MAX_BYTES: usize = 256 * 1024;
/// How long a caller waits before it hears that the budget is exhausted.
const MAX_WAIT: Duration = Duration::from_secs(3);
/// Longest time for one call to storage; a token would be lapsed by then.
const STORE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a slice is tried for while other instances are first.
const MAX_CONFLICTS: u32 = 12;
/// Pause after storage failed, before it is asked again.
const PAUSE: SignedDuration = SignedDuration::from_secs(2);
/// Pause when a newer version keeps the ledger, which this one must not touch.
const NEWER_PAUSE: SignedDuration = SignedDuration::from_mins(1);

/// The API budget of all instances that share one blob.
///
/// Callers of one instance that wait at the same time are served by one write. What an instance took and does not use
/// within about two seconds is given back with its next write; if it dies, it is lost to everybody for a window.
pub struct SharedBudget {
    container: Container,
    blob: String,
    spec: BudgetSpec,
    clock: Arc<dyn Clock>,
    waiting: AtomicU64,
    local: Mutex<Local>,
    /// What the blob held when it was last seen. Whoever holds the lock talks to storage.
    seen: tokio::sync::Mutex<Option<Seen>>,
}

#[derive(Debug)]
struct Seen {
    ledger: Ledger,
    etag: Option<ETag>,
    /// The ledger is not what the blob holds: it could not be read.
    is_replacement: bool,
}

/// How a try to change the blob ended.
enum Outcome {
    Saved(ETag),
    Conflict,
}

/// Why the blob could not be used.
enum Failure {
    Storage(Error),
    Timeout,
    Newer,
}

impl SharedBudget {
    /// A budget kept in this blob, which is created when missing. Nothing is read before the first call.
    #[must_use]
    pub fn new(
        container: Container,
        blob: impl Into<String>,
        spec: BudgetSpec,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            container,
            blob: blob.into(),
            spec,
            clock,
            waiting: AtomicU64::new(0),
            local: Mutex::new(Local::new()),
            seen: tokio::sync::Mutex::new(None),
        }
    }

    fn local(&self) -> MutexGuard<'_, Local> {
        // Nothing panics while it holds the lock; if it did, the numbers would still be whole.
        self.local.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> Known {
        let now = self.clock.now();
        self.local().next(self.spec, now, Instant::now())
    }

    /// Takes a slice, or closes the budget until there may be one.
    async fn refill(&self, seen: &mut Option<Seen>) {
        let outcome = self.change(seen, true).await;
        if let Err(failure) = outcome {
            self.fail(&failure);
        }
    }

    fn fail(&self, failure: &Failure) {
        let pause = match failure {
            Failure::Storage(error) => {
                tracing::warn!(
                    error = error as &dyn std::error::Error,
                    "the API budget cannot be read or written"
                );
                PAUSE
            }
            Failure::Timeout => {
                tracing::warn!("storage is too slow for the API budget");
                PAUSE
            }
            Failure::Newer => {
                tracing::warn!("a newer version of this program keeps the API budget");
                NEWER_PAUSE
            }
        };
        let now = self.clock.now();
        let until = now.saturating_add(pause).unwrap_or(Timestamp::MAX);
        self.local().close_until(until, now, Instant::now());
    }

    /// Brings what this instance has to say into the blob: holds, unused tokens, answers, and a slice if one is wanted.
    async fn change(&self, seen: &mut Option<Seen>, wants: bool) -> Result<(), Failure> {
        let (unused, answered) = {
            let mut local = self.local();
            (local.unused(), local.answered())
        };
        for conflicts in 0..MAX_CONFLICTS {
            // Taken out: if this is cancelled, nothing is known of the blob any more.
            let before = match seen.take() {
                Some(seen) => seen,
                None => self.load().await?,
            };
            let started = Instant::now();
            let now = self.clock.now();
            let mut ledger = before.ledger.clone();
            let hold = self.local().unsaved_hold();
            if let Some(until) = hold {
                ledger.hold(now, until);
            }
            if conflicts == 0 {
                // After a conflict nobody knows whether they were told of; see `Local::unused`.
                for grant in &unused {
                    ledger.give_back(*grant);
                }
                for calls in &answered {
                    ledger.answered(self.spec, *calls);
                }
            }
            let taken = if wants {
                let waiting = self.waiting.load(Ordering::Relaxed);
                let want = self.local().want(self.spec, waiting, started);
                Some(ledger.take(self.spec, now, want))
            } else {
                None
            };
            if let Some(Err(until)) = taken {
                self.local().close_until(until, now, started);
                if hold.is_none() && !before.is_replacement {
                    *seen = Some(before);
                    if conflicts == 0 {
                        let mut local = self.local();
                        local.keep_unused(unused);
                        local.keep_answered(answered);
                    }
                    return Ok(());
                }
            }
            match self.save(&ledger, before.etag.as_ref()).await? {
                Outcome::Saved(etag) => {
                    if let Some(Ok(_)) = taken {
                        metrics::budget(ledger.counted(), self.spec.limit().into());
                    }
                    *seen = Some(Seen {
                        ledger,
                        etag: Some(etag),
                        is_replacement: false,
                    });
                    let mut local = self.local();
                    if let Some(until) = hold {
                        local.saved_hold(until);
                    }
                    if let Some(Ok(grant)) = taken {
                        local.put(self.spec, grant, now, started);
                    }
                    return Ok(());
                }
                Outcome::Conflict => {
                    let most = 8_u64 << conflicts.min(5);
                    let pause = rand::rng().random_range(1..=most);
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            }
        }
        Err(Failure::Timeout)
    }

    async fn load(&self) -> Result<Seen, Failure> {
        let read = timeout(STORE_TIMEOUT, self.container.read(&self.blob, MAX_BYTES)).await;
        let stored = match read.map_err(|_elapsed| Failure::Timeout)? {
            Ok(Some(stored)) => stored,
            Ok(None) => {
                return Ok(Seen {
                    ledger: Ledger::default(),
                    etag: None,
                    is_replacement: false,
                });
            }
            Err(Error::TooLarge { .. }) => return self.replacement().await,
            Err(error) => return Err(Failure::Storage(error)),
        };
        match Ledger::from_bytes(&stored.bytes) {
            Ok(ledger) => Ok(Seen {
                ledger,
                etag: Some(stored.etag),
                is_replacement: false,
            }),
            Err(Unreadable::Newer) => Err(Failure::Newer),
            Err(Unreadable::Corrupt) => self.replacement().await,
        }
    }

    /// What takes the place of a ledger that nobody can read: all may have been granted a moment ago.
    async fn replacement(&self) -> Result<Seen, Failure> {
        tracing::warn!("the API budget's ledger is corrupt: no calls for one window");
        let head = timeout(STORE_TIMEOUT, self.container.head(&self.blob)).await;
        let head = head
            .map_err(|_elapsed| Failure::Timeout)?
            .map_err(Failure::Storage)?;
        Ok(Seen {
            ledger: Ledger::unknown(self.spec, self.clock.now()),
            etag: head.map(|head| head.etag),
            is_replacement: true,
        })
    }

    async fn save(&self, ledger: &Ledger, etag: Option<&ETag>) -> Result<Outcome, Failure> {
        let bytes = ledger.to_bytes();
        let write = async {
            let content_type = "application/json";
            match etag {
                Some(etag) => {
                    let replace = self
                        .container
                        .replace(&self.blob, bytes, content_type, etag);
                    Ok(match replace.await? {
                        Replaced::Done(etag) => Outcome::Saved(etag),
                        Replaced::Conflict => Outcome::Conflict,
                    })
                }
                None => {
                    let create = self.container.create(&self.blob, bytes, content_type);
                    Ok(match create.await? {
                        Created::New(etag) => Outcome::Saved(etag),
                        Created::Exists => Outcome::Conflict,
                    })
                }
            }
        };
        match timeout(STORE_TIMEOUT, write).await {
            Ok(outcome) => outcome.map_err(Failure::Storage),
            Err(_elapsed) => Err(Failure::Timeout),
        }
    }
}

impl fmt::Debug for SharedBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBudget")
            .field("container", &self.container)
            .field("blob", &self.blob)
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

/// Counts a caller as waiting for as long as it lives.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl Budget for SharedBudget {
    async fn acquire(&self) -> Result<Leave, Exhausted> {
        let give_up = Instant::now() + MAX_WAIT;
        loop {
            let mut known = self.known();
            if known == Known::Nothing {
                let waiting = Waiting::new(&self.waiting);
                let mut seen = self.seen.lock().await;
                // Somebody who was first in line may have taken enough for all.
                known = self.known();
                if known == Known::Nothing {
                    self.refill(&mut seen).await;
                    known = self.known();
                }
                drop(seen);
                drop(waiting);
            }
            let rest = give_up.saturating_duration_since(Instant::now());
            let now = self.clock.now();
            match known {
                Known::Token(second) => return Ok(Leave { second }),
                Known::ClosedUntil(until) => {
                    let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
                    if wait > rest {
                        return Err(Exhausted { until });
                    }
                    // Not all at the same moment, or they would all be told the same.
                    let jitter = Duration::from_millis(rand::rng().random_range(1..20));
                    tokio::time::sleep(wait + jitter).await;
                }
                Known::Nothing if rest.is_zero() => {
                    let until = now.saturating_add(PAUSE).unwrap_or(Timestamp::MAX);
                    return Err(Exhausted { until });
                }
                // What was taken lapsed before it could be used: storage is slow.
                Known::Nothing => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    fn answered(&self, leave: Leave) {
        let now = self.clock.now();
        self.local().note_answer(leave.second, now);
    }

    async fn hold_until(&self, until: Timestamp) {
        // From now on in this instance, whatever storage says; the blob hears of it now or with the next write.
        let now = self.clock.now();
        self.local().hold_until(until, now, Instant::now());
        let mut seen = self.seen.lock().await;
        if self.local().unsaved_hold().is_none() {
            return;
        }
        if let Err(failure) = self.change(&mut seen, false).await {
            self.fail(&failure);
        }
    }
}
