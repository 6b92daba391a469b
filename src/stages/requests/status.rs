//! What a request's callers see of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;

use super::paths::{self, PathView};
use super::{Context, Refusal, record};
use crate::domain::plan::{Counts, Large};
use crate::domain::{AppRef, Jurisdiction, Kind, RequestId, due};
use crate::stages::intake_queue::Refused;
use crate::work::{Error, names};
use crate::workflow::join::{Bin, CUT};
use crate::workflow::record::Entry;
use crate::workflow::{Record, Status, Step};

/// Requests of one page.
const MAX_PAGE: u16 = 200;
/// What lists refused queue messages in the place of requests.
const REFUSED: &str = "refused";

/// How far one step is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct StageStatus {
    /// The function that does it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub function: Option<&'static str>,
    /// Items it holds.
    pub planned: u64,
    /// Items done.
    pub done: u64,
    /// Items failed.
    pub failed: u64,
    /// Slices that wait.
    pub waiting: u64,
    /// When the first of them looks again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_until: Option<Timestamp>,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Whether a person has to do something about it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub waiting_for_person: bool,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// The plan in a status.
#[derive(Debug, Clone, Serialize)]
pub struct PlanView {
    /// SHA-256 of its bytes: what an approval names.
    pub plan_sha256: String,
    /// How much it holds.
    pub counts: Counts,
    /// What must be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub large: Option<Large>,
}

/// A request as its callers see it. It holds no identifier of the person.
#[derive(Debug, Clone, Serialize)]
pub struct StatusView {
    /// The request's ID.
    pub id: RequestId,
    /// Export or erasure.
    pub kind: Kind,
    /// The caller's name for it.
    pub reference: String,
    /// Where it stands.
    pub status: Status,
    /// The step it is at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Step>,
    /// 1, then one more with each `retry`.
    pub run: u32,
    /// Whose law sets the clock.
    pub jurisdiction: Jurisdiction,
    /// When the person asked.
    pub received_at: Timestamp,
    /// The day by whose end it must be answered.
    pub due: Date,
    /// Days to the end of that day; negative once it is over.
    pub days_left: i64,
    /// Whether the due date was extended.
    pub extended: bool,
    /// Whether only a window of time was asked for.
    pub partial: bool,
    /// The apps it is about.
    pub apps: Vec<AppRef>,
    /// By app (`owner/name`), once it is decided: where what is not yet exported is got from, and why. Once the
    /// request has ended its report tells it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub paths: BTreeMap<String, PathView>,
    /// By step, in order.
    pub stages: BTreeMap<Step, StageStatus>,
    /// What a person must do next.
    pub next_action: String,
    /// The plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanView>,
    /// Whether there is a report.
    pub has_report: bool,
    /// The package's SHA-256, while it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_sha256: Option<String>,
    /// What was left out, or why it failed.
    pub exceptions: Vec<String>,
    /// What happened.
    pub history: Vec<Entry>,
    /// When anything changed last.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// A request's status.
///
/// # Errors
/// When there is no such request, or stored state cannot be read.
pub async fn status(cx: Context<'_>, id: &RequestId) -> Result<StatusView, Refusal> {
    let record = record(cx, id).await?;
    let mut view = view(&record, cx.now());
    view.paths = paths::of(cx, &record).await?;
    if let Some(step) = record.step.filter(|step| step.function().is_some()) {
        let live = live(cx, &record, step).await?;
        if let Some(reason) = &live.waiting_for
            && live.waiting > 0
        {
            let until = live
                .waiting_until
                .map(|until| format!(" (looks again at {until})"))
                .unwrap_or_default();
            let name = step.name();
            view.next_action = if live.waiting_for_person {
                format!("{name} waits: {reason}{until}")
            } else {
                format!("nothing unless it lasts: {name} waits: {reason}{until}")
            };
        }
        view.stages.insert(step, live);
    }
    Ok(view)
}

/// The current step, from its slices' marks.
async fn live(cx: Context<'_>, record: &Record, step: Step) -> Result<StageStatus, Error> {
    let state = record.steps.get(&step).cloned().unwrap_or_default();
    let mut live = StageStatus {
        function: step.function().map(crate::workflow::Function::name),
        started_at: state.started_at,
        ..StageStatus::default()
    };
    let store = &cx.app.store;
    let bins: Vec<u32> = match store.root(&record.id, record.run, step).await? {
        Some(root) => {
            live.planned = root.items;
            for sum in root.bins.values() {
                live.done += sum.done;
                live.failed += sum.failed;
            }
            let bins = 0..root.bin_count();
            bins.filter(|bin| !root.bins.contains_key(bin)).collect()
        }
        // It is not cut into slices yet, which may be what waits.
        None => vec![Bin::of(CUT)],
    };
    for bin in bins {
        let (marks, _etag) = store.bin(&record.id, record.run, step, bin).await?;
        for mark in marks.marks.into_values() {
            live.done += mark.done;
            live.failed += mark.failed;
            let Some(until) = mark.until else { continue };
            live.waiting += 1;
            // What a person has to do is told before what passes by itself.
            let is_told = live.waiting_until.is_some_and(|known| {
                (!live.waiting_for_person, known) <= (!mark.for_person, until)
            });
            if !is_told {
                live.waiting_until = Some(until);
                live.waiting_for = mark.waits_for;
                live.waiting_for_person = mark.for_person;
            }
        }
    }
    Ok(live)
}

fn view(record: &Record, now: Timestamp) -> StatusView {
    let stages = record.steps.iter().map(|(step, state)| {
        let stage = StageStatus {
            function: step.function().map(crate::workflow::Function::name),
            planned: state.planned,
            done: state.done,
            failed: state.failed,
            started_at: state.started_at,
            ended_at: state.ended_at,
            ..StageStatus::default()
        };
        (*step, stage)
    });
    StatusView {
        id: record.id.clone(),
        kind: record.kind,
        reference: record.reference.clone(),
        status: record.status,
        step: record.step,
        run: record.run,
        jurisdiction: record.jurisdiction,
        received_at: record.received_at,
        due: record.due(),
        days_left: due::days_left(record.due(), now),
        extended: record.extended,
        partial: record.window.is_some(),
        apps: record.apps.clone(),
        paths: BTreeMap::new(),
        stages: stages.collect(),
        next_action: next_action(record),
        plan: record.plan.as_ref().map(|plan| PlanView {
            plan_sha256: plan.sha256.clone(),
            counts: plan.counts,
            large: plan.large.clone(),
        }),
        has_report: record.report_sha256.is_some(),
        package_sha256: record
            .package
            .as_ref()
            .filter(|package| package.deleted_at.is_none())
            .map(|package| package.sha256.clone()),
        exceptions: record.exceptions.clone(),
        history: record.history.clone(),
        updated_at: record.updated_at,
        ended_at: record.ended_at,
    }
}

fn next_action(record: &Record) -> String {
    match record.status {
        Status::Received | Status::Running => "nothing: it is under way".to_owned(),
        Status::AwaitingApproval => {
            "look at the plan (GET …/plan), then POST …/approve with its plan_sha256, or …/reject"
                .to_owned()
        }
        Status::Completed => match record.kind {
            Kind::Export => "give the package to the person".to_owned(),
            Kind::Delete => "tell the person".to_owned(),
        },
        Status::CompletedWithExceptions => {
            "read the report's exceptions (GET …/report), act on them, then tell the person"
                .to_owned()
        }
        Status::Failed => "read `exceptions`, mend the cause, then POST …/retry".to_owned(),
        Status::Rejected => {
            "answer the person with the reasons; POST …/retry plans anew".to_owned()
        }
        Status::Cancelled => "nothing; POST …/retry starts again".to_owned(),
    }
}

/// What to list.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// Only requests of this status; `refused` lists refused queue messages.
    pub status: Option<String>,
    /// Requests of one page.
    pub limit: Option<u16>,
    /// Where the page before ended.
    pub after: Option<String>,
}

impl Query {
    /// Reads the parameters of a call.
    ///
    /// # Errors
    /// [`Refusal::BadQuery`] for a status that there is none of, or a limit that is no number: an empty list would look
    /// like an answer.
    pub fn read(
        status: Option<String>,
        limit: Option<&str>,
        after: Option<String>,
    ) -> Result<Self, Refusal> {
        if let Some(status) = &status
            && status != REFUSED
            && Status::ALL.iter().all(|known| known.name() != status)
        {
            let known: Vec<&str> = Status::ALL.iter().map(|it| it.name()).collect();
            let known = known.join(", ");
            return Err(Refusal::BadQuery(format!(
                "`status` is one of {known}, {REFUSED}"
            )));
        }
        let limit = match limit {
            None => None,
            Some(limit) => match limit.parse() {
                Ok(limit @ 1..=MAX_PAGE) => Some(limit),
                _ => {
                    return Err(Refusal::BadQuery(format!(
                        "`limit` is a number from 1 to {MAX_PAGE}"
                    )));
                }
            },
        };
        Ok(Self {
            status,
            limit,
            after,
        })
    }
}

/// One page of the list.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Requests, or refused queue messages.
    pub values: Vec<serde_json::Value>,
    /// Give it as `after` to get the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Lists requests, or refused queue messages. A page can hold fewer than its limit, when others do not fit the status.
///
/// # Errors
/// When stored state cannot be read.
pub async fn list(cx: Context<'_>, query: &Query) -> Result<Listed, Refusal> {
    let wants_refused = query.status.as_deref() == Some(REFUSED);
    let prefix = if wants_refused {
        names::REFUSED
    } else {
        names::RECORDS
    };
    let size = query.limit.unwrap_or(50).clamp(1, MAX_PAGE);
    let container = cx.app.store.container();
    let mut listing = container.list(prefix).with_page_size(size);
    if let Some(after) = &query.after {
        listing = listing.with_marker(after.clone());
    }
    let page = listing.next_page().await?.unwrap_or_default();
    let mut values = Vec::with_capacity(page.len());
    for entry in page {
        let value = if wants_refused {
            let read = cx
                .app
                .store
                .read_json::<Refused>(&entry.name, "a refused intake")
                .await?;
            read.and_then(|(refused, _etag)| serde_json::to_value(refused).ok())
        } else {
            let name = entry.name.strip_prefix(prefix).unwrap_or_default();
            let Ok(id) = name.trim_end_matches(".json").parse::<RequestId>() else {
                continue;
            };
            match cx.app.store.record(&id).await {
                Ok(Some(loaded)) => {
                    let record = loaded.record;
                    let fits = query
                        .status
                        .as_deref()
                        .is_none_or(|it| it == record.status.name());
                    let view = view(&record, cx.now());
                    fits.then(|| serde_json::to_value(view).ok()).flatten()
                }
                Ok(None) => None,
                // One record that cannot be read does not hide the others.
                Err(error @ (Error::Corrupt { .. } | Error::Newer { .. })) => {
                    Some(serde_json::json!({
                        "id": id, "status": "unreadable", "next_action": error.to_string(),
                    }))
                }
                Err(error) => return Err(error.into()),
            }
        };
        values.extend(value);
    }
    Ok(Listed {
        values,
        next: listing.marker(),
    })
}
