//! The stages: one file (or folder) each, named like its function.
//!
//! A stage cuts its step into slices and works on one slice at a time. It says what happened; what comes next is for
//! [`crate::workflow::transition`], and only [`crate::host::dispatch`] sends messages. A stage never calls another and
//! never reads a queue.

pub mod acting;
pub mod aggregate;
pub mod blob_search;
pub mod block;
pub mod collect;
pub mod decide;
pub mod delete;
pub mod export_configure;
pub mod gate;
pub mod install_id_resolve;
pub mod intake;
pub mod intake_queue;
pub mod inventory;
pub mod planned;
pub mod requests;
pub mod retirement;
pub mod setup;
pub mod sweep;
pub mod test_export;
pub mod tries;

use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use tries::Wait;

use crate::app::App;
use crate::appcenter;
use crate::domain::AppRef;
use crate::ledger;
use crate::storage;
use crate::work::{self, Cut, Slice, SliceEnd};
use crate::workflow::join::Root;
use crate::workflow::{Function, Record, Step};

/// What one invocation works with.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The application.
    pub app: &'a App,
    /// When the invocation must have saved itself.
    pub deadline: Instant,
}

impl<'a> Context<'a> {
    /// A context whose time starts now.
    #[must_use]
    pub fn new(app: &'a App) -> Self {
        Self {
            app,
            deadline: Instant::now() + app.config.limits.invocation,
        }
    }

    /// Whether it is time to save and continue in a new message.
    #[must_use]
    pub fn is_out_of_time(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.app.clock.now()
    }

    /// A time from now.
    #[must_use]
    pub fn after(&self, delay: Duration) -> Timestamp {
        self.now().checked_add(delay).unwrap_or(Timestamp::MAX)
    }
}

/// What became of a slice.
#[derive(Debug)]
pub enum Outcome {
    /// It is over.
    Over(SliceEnd),
    /// It saved itself and goes on in a new message.
    Continue,
    /// It waits for something.
    Wait {
        /// When to look again.
        until: Timestamp,
        /// For what, in words for a person.
        reason: String,
    },
}

/// What became of cutting a step.
#[derive(Debug)]
pub enum CutOutcome {
    /// Its slices.
    Cut(Cut),
    /// It waits for something.
    Wait {
        /// When to look again.
        until: Timestamp,
        /// For what, in words for a person.
        reason: String,
    },
}

/// Why a stage did not come to an end. The reasons are for people and hold nothing personal.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// May work later.
    #[error("{reason}")]
    Retry {
        /// What went wrong.
        reason: String,
        /// How long to wait, and whether it counts.
        wait: Wait,
    },
    /// Will not work, however often it is tried.
    #[error("{reason}")]
    Permanent {
        /// What went wrong.
        reason: String,
    },
    /// The request was cancelled, or runs anew: this work is void.
    #[error("the request has moved on")]
    Stopped,
    /// The stored state could not be read or written.
    #[error("stored state could not be used")]
    Work(#[from] work::Error),
}

impl StageError {
    /// An error that is worth another try.
    pub(crate) fn retry(reason: impl Into<String>) -> Self {
        Self::Retry {
            reason: reason.into(),
            wait: Wait::Backoff,
        }
    }

    /// An error that only a person can do something about.
    pub(crate) fn person(reason: impl Into<String>) -> Self {
        Self::Retry {
            reason: reason.into(),
            wait: Wait::Person,
        }
    }

    /// An error that is not.
    pub(crate) fn permanent(reason: impl Into<String>) -> Self {
        Self::Permanent {
            reason: reason.into(),
        }
    }

    /// An error of the archive's storage, as the stages see it.
    pub(crate) fn archive(error: &storage::Error) -> Self {
        let reason = format!("the archive could not be read: {error}");
        match error {
            storage::Error::Denied(_) => Self::person(format!(
                "{reason}: a person must check `ARCHIVE_STORAGE` and the roles on it"
            )),
            _ => Self::retry(reason),
        }
    }
}

impl From<ledger::Error> for StageError {
    fn from(error: ledger::Error) -> Self {
        use ledger::Error;
        let cause = std::error::Error::source(&error).map(|cause| format!(" ({cause})"));
        let reason = format!("{error}{}", cause.unwrap_or_default());
        match error {
            Error::Unavailable => Self::permanent(reason),
            Error::Denied(_) => Self::person(format!(
                "{reason}: a person must check `LEDGER_DATABASE` and its rights"
            )),
            _ => Self::retry(reason),
        }
    }
}

impl From<appcenter::Error> for StageError {
    fn from(error: appcenter::Error) -> Self {
        use appcenter::Error;
        let reason = match error {
            Error::Stopped => return Self::Stopped,
            Error::Unauthorized(_) | Error::Forbidden(_) => {
                format!("{error}: a person must check `APPCENTER_API_TOKEN` and its rights")
            }
            _ => error.to_string(),
        };
        match error {
            Error::BudgetExhausted { until } => Self::Retry {
                reason,
                wait: Wait::Throttled(until),
            },
            Error::RateLimited { until } => Self::Retry {
                reason,
                wait: Wait::Held(until),
            },
            Error::Unauthorized(_) | Error::Forbidden(_) => Self::person(reason),
            // Asked to come back later, but not because of the rate: it counts as a try.
            Error::Transient {
                retry_at: Some(at), ..
            } => Self::Retry {
                reason,
                wait: Wait::NotBefore(at),
            },
            Error::Transient { retry_at: None, .. }
            | Error::Protocol { .. }
            // Of a document; who asks for files bounds them and takes this itself.
            | Error::TooLarge { .. }
            | Error::Setup { .. } => Self::retry(reason),
            _ => Self::Permanent { reason },
        }
    }
}

/// What a 404 means where none belongs: the app is not known, or the token is not accepted (which App Center may say
/// with a 404, seen in practice), or it passes.
pub(crate) async fn not_known(client: &appcenter::Client, app: &AppRef) -> StageError {
    use appcenter::Error;
    match client.app(app).await {
        Ok(_app) => {
            StageError::retry("App Center answered 404 to a call about an app that it shows")
        }
        Err(Error::NotFound(_)) => match client.user().await {
            Ok(_user) => StageError::permanent(format!(
                "App Center does not know the app {app}, or the token may not see it"
            )),
            Err(Error::NotFound(_)) => StageError::person(
                "App Center answers 404 to everything: a person must check `APPCENTER_API_TOKEN`",
            ),
            Err(error) => error.into(),
        },
        Err(error) => error.into(),
    }
}

/// Cuts a step into slices.
///
/// # Errors
/// When the stage cannot.
pub async fn cut(cx: Context<'_>, record: &Record, step: Step) -> Result<CutOutcome, StageError> {
    match step.function() {
        Some(Function::ExportConfigure) => export_configure::cut(record),
        Some(Function::BlobSearch) => blob_search::cut(cx, record, step).await,
        Some(Function::Block) => block::cut(cx, record).await,
        Some(Function::Delete) => delete::cut(cx, record).await,
        Some(Function::Inventory) => inventory::cut(cx, record, step).await,
        Some(Function::Collect) => collect::cut(cx, record, step).await,
        Some(Function::TestExport) => test_export::cut(record),
        // One slice without input.
        _ => Ok(CutOutcome::Cut(Cut {
            slices: vec![work::SliceInput {
                items: 1,
                ..work::SliceInput::default()
            }],
            ..Cut::default()
        })),
    }
}

/// One slice for each app of a request; `body` is what it begins with.
fn cut_by_app<T: serde::Serialize>(
    record: &Record,
    body: impl Fn(&AppRef) -> T,
) -> Result<CutOutcome, StageError> {
    let slices = record.apps.iter().map(|app| {
        let body = serde_json::to_value(body(app))
            .map_err(|_error| StageError::permanent("an app cannot be stored"))?;
        Ok(work::SliceInput { items: 1, body })
    });
    Ok(CutOutcome::Cut(Cut {
        slices: slices.collect::<Result<_, StageError>>()?,
        ..Cut::default()
    }))
}

/// Works on one slice until it is over, waits, or time is up.
///
/// # Errors
/// When the stage cannot.
pub async fn run(
    cx: Context<'_>,
    record: &Record,
    root: &Root,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    match slice.step {
        Step::Configure => export_configure::run(cx, record, slice).await,
        Step::Resolve | Step::Relate | Step::Plan => {
            install_id_resolve::run(cx, record, slice).await
        }
        Step::Settle => install_id_resolve::settle::run(cx, record, slice).await,
        Step::Inventory | Step::Relist => Box::pin(inventory::run(cx, record, slice)).await,
        Step::Gather | Step::Collect | Step::Regather => {
            Box::pin(collect::run(cx, record, slice)).await
        }
        Step::Tests => Box::pin(test_export::run(cx, record, slice)).await,
        Step::Block => block::run(cx, record, slice).await,
        Step::Delete => delete::run(cx, record, slice).await,
        Step::Aggregate => Box::pin(aggregate::run(cx, record, slice)).await,
        Step::Find | Step::Link | Step::Widen | Step::Recheck | Step::Approval => {
            let _ = root;
            Err(StageError::permanent("this step has no slices of its own"))
        }
    }
}

/// Ends a slice that will not work: what is left of it fails, with the reason.
///
/// # Errors
/// When its state cannot be read.
pub fn give_up(cx: Context<'_>, slice: &mut Slice, reason: &str) -> Result<SliceEnd, StageError> {
    match slice.step {
        Step::Configure => export_configure::give_up(cx, slice, reason),
        Step::Block => acting::give_up::<block::BlockItem>(slice, reason),
        Step::Delete => acting::give_up::<delete::DeleteItem>(slice, reason),
        Step::Inventory | Step::Relist => inventory::give_up(slice, reason),
        Step::Gather | Step::Collect | Step::Regather => {
            acting::give_up::<collect::CollectItem>(slice, reason)
        }
        Step::Tests => test_export::give_up(slice, reason),
        Step::Find | Step::Link | Step::Widen | Step::Recheck => {
            blob_search::give_up(slice, reason)
        }
        Step::Resolve | Step::Relate | Step::Plan => install_id_resolve::give_up(slice, reason),
        Step::Settle => install_id_resolve::settle::give_up(slice, reason),
        Step::Aggregate | Step::Approval => Ok(SliceEnd {
            failed: 1,
            ..SliceEnd::default()
        }),
    }
}
