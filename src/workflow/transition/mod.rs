//! What comes next: one table for all steps and events. Stages say what happened; only this says what follows.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::{Include, Kind};
use crate::workflow::record::{
    Approval, LeftRun, MAX_LEFT, PackageRef, PlanRef, Record, Status, StepState,
};
use crate::workflow::{Message, Step};

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The request was stored and can start.
    Accepted,
    /// Every slice of a step is over.
    Joined {
        /// The step.
        step: Step,
        /// Items done.
        done: u64,
        /// Items failed.
        failed: u64,
    },
    /// Only parts of some reports were found: a pass for what names them is needed.
    LinksToFind,
    /// Installs were found that were not known: a second pass is needed.
    MoreToFind,
    /// The plan was stored.
    Planned {
        /// The plan.
        plan: PlanRef,
        /// Whether there is anything to act on or release.
        has_items: bool,
    },
    /// A person approved the plan.
    Approved(Approval),
    /// A person rejected the plan.
    Rejected,
    /// A person cancelled the request.
    Cancelled,
    /// A person asked for another run.
    Retried,
    /// Report and package are stored.
    Concluded {
        /// Whether anything was left out.
        exceptions: Vec<String>,
        /// Whether the request as a whole could not be done.
        failed: bool,
        /// Whether the identifiers are needed no more.
        forget: bool,
        /// The package.
        package: Option<PackageRef>,
        /// Hash of the report.
        report_sha256: String,
    },
}

impl Event {
    fn name(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Joined { .. } => "joined",
            Self::LinksToFind => "links_to_find",
            Self::MoreToFind => "more_to_find",
            Self::Planned { .. } => "planned",
            Self::Approved(_) => "approved",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Retried => "retried",
            Self::Concluded { .. } => "concluded",
        }
    }
}

/// An event that cannot happen where the request is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{event}` does not fit a request that is `{status}`{at}", at = .step.map(|step| format!(" at `{}`", step.name())).unwrap_or_default())]
pub struct IllegalEvent {
    /// What was to happen.
    pub event: &'static str,
    /// The request's status.
    pub status: &'static str,
    /// Its step.
    pub step: Option<Step>,
}

/// Where an event leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Step(Step),
    End(Status),
}

/// The table: from where, by what, to where.
fn target(record: &Record, event: &Event) -> Option<To> {
    use Step::{
        Aggregate, Approval, Block, Collect, Configure, Delete, Find, Gather, Inventory, Link,
        Plan, Recheck, Regather, Relate, Relist, Resolve, Settle, Tests, Widen,
    };
    let (kind, status, at) = (record.kind, record.status, record.step);
    let to = match (at, event) {
        (None, Event::Accepted) if status == Status::Received => To::Step(Configure),
        (
            Some(Configure),
            Event::Joined {
                step: Configure, ..
            },
        ) => To::Step(Inventory),
        (
            Some(Inventory),
            Event::Joined {
                step: Inventory, ..
            },
        ) => To::Step(Gather),
        (Some(Gather), Event::Joined { step: Gather, .. })
            if record.include.contains(&Include::Test) =>
        {
            To::Step(Tests)
        }
        (Some(Gather), Event::Joined { step: Gather, .. })
        | (Some(Tests), Event::Joined { step: Tests, .. }) => To::Step(Find),
        (Some(Find), Event::Joined { step: Find, .. }) => To::Step(Resolve),
        (Some(Resolve), Event::LinksToFind) => To::Step(Link),
        (Some(Link), Event::Joined { step: Link, .. }) => To::Step(Relate),
        (Some(Resolve | Relate), Event::MoreToFind) => To::Step(Widen),
        (Some(Widen), Event::Joined { step: Widen, .. }) => To::Step(Plan),
        (
            Some(Resolve | Relate | Plan),
            Event::Planned {
                has_items: false, ..
            },
        ) => To::Step(Aggregate),
        (Some(Resolve | Relate | Plan), Event::Planned { .. }) => match kind {
            Kind::Delete => To::Step(Approval),
            Kind::Export => To::Step(Collect),
        },
        (Some(Approval), Event::Approved(_)) => To::Step(Block),
        (Some(Approval), Event::Rejected) => To::End(Status::Rejected),
        (Some(Block), Event::Joined { step: Block, .. }) => To::Step(Delete),
        (Some(Delete), Event::Joined { step: Delete, .. }) => To::Step(Relist),
        (Some(Relist), Event::Joined { step: Relist, .. }) => To::Step(Regather),
        (Some(Regather), Event::Joined { step: Regather, .. }) => To::Step(Recheck),
        (Some(Recheck), Event::Joined { step: Recheck, .. }) => To::Step(Settle),
        (Some(Settle), Event::Joined { step: Settle, .. })
        | (Some(Collect), Event::Joined { step: Collect, .. }) => To::Step(Aggregate),
        (
            Some(Aggregate),
            Event::Concluded {
                exceptions, failed, ..
            },
        ) => To::End(match (failed, exceptions.is_empty()) {
            (true, _) => Status::Failed,
            (false, true) => Status::Completed,
            (false, false) => Status::CompletedWithExceptions,
        }),
        (_, Event::Cancelled) if !status.is_ended() => To::End(Status::Cancelled),
        (_, Event::Retried) if status != Status::Received && record.left.len() < MAX_LEFT => {
            To::Step(Configure)
        }
        _ => return None,
    };
    Some(to)
}

/// Applies an event to a record and tells which messages must follow once it is saved.
///
/// # Errors
/// When the event does not fit; the record is unchanged then.
pub fn next(
    record: &mut Record,
    event: Event,
    now: Timestamp,
) -> Result<Vec<Message>, IllegalEvent> {
    let to = target(record, &event).ok_or(IllegalEvent {
        event: event.name(),
        status: record.status.name(),
        step: record.step,
    })?;
    let name = event.name();
    let left = record.step;
    if let Some(left) = left {
        let state = record.steps.entry(left).or_default();
        state.ended_at = Some(now);
        // A step of one piece has done it; one that joins tells its own numbers below.
        if left.function().is_some() && !matches!(event, Event::Cancelled | Event::Retried) {
            state.done = state.planned;
        }
    }
    match event {
        Event::Joined { step, done, failed } => {
            let state = record.steps.entry(step).or_default();
            (state.done, state.failed) = (done, failed);
        }
        Event::Planned { plan, .. } => record.plan = Some(plan),
        Event::Approved(approval) => record.approval = Some(approval),
        Event::Retried => {
            let (plan, approval) = (record.plan.take(), record.approval.take());
            let steps = std::mem::take(&mut record.steps);
            // What this run blocked and deleted stands nowhere else.
            if let (Some(approval), None) = (approval, &record.report_sha256) {
                record.left.push(LeftRun {
                    run: record.run,
                    at: record.ended_at.unwrap_or(now),
                    plan,
                    approval,
                    steps,
                });
            }
            record.run += 1;
            record.package = None;
            record.report_sha256 = None;
            record.exceptions.clear();
            record.ended_at = None;
        }
        Event::Concluded {
            exceptions,
            forget,
            package,
            report_sha256,
            ..
        } => {
            record.exceptions = exceptions;
            record.package = package;
            record.report_sha256 = Some(report_sha256);
            if forget {
                record.subject = None;
            }
        }
        Event::Accepted
        | Event::LinksToFind
        | Event::MoreToFind
        | Event::Rejected
        | Event::Cancelled => {}
    }
    record.updated_at = now;
    match to {
        To::End(status) => {
            record.status = status;
            record.step = None;
            record.ended_at = Some(now);
            record.note(now, status.name(), None, None);
            Ok(Vec::new())
        }
        To::Step(step) => {
            record.step = Some(step);
            record.status = if step == Step::Approval {
                Status::AwaitingApproval
            } else {
                Status::Running
            };
            record.steps.insert(
                step,
                StepState {
                    started_at: Some(now),
                    ..StepState::default()
                },
            );
            let what = match left {
                Some(left) => format!("{} -> {} ({name})", left.name(), step.name()),
                None => format!("{} ({name})", step.name()),
            };
            record.note(now, &what, None, None);
            Ok(wake(record))
        }
    }
}

/// Ends a request that cannot be done, from wherever it is.
pub fn fail(record: &mut Record, reason: &str, now: Timestamp) {
    record.status = Status::Failed;
    record.step = None;
    record.ended_at = Some(now);
    record.updated_at = now;
    record.exceptions.push(reason.to_owned());
    record.note(now, Status::Failed.name(), None, Some(reason));
}

/// The messages that (again) start the work of the record's step. A redelivered message sends them once more.
#[must_use]
pub fn wake(record: &Record) -> Vec<Message> {
    match record.step {
        Some(step) if step.function().is_some() => {
            vec![Message::step(&record.id, record.run, step, None)]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
