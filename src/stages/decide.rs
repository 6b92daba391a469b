//! `decide`: what a person decides. A decision is one conditional change of the record; what follows is woken by it.

use serde_json::{Map, Value};

use super::Context;
use super::planned::read_plan;
use super::requests::Refusal;
use crate::domain::fields::Faults;
use crate::domain::plan::{Action, Large, Plan};
use crate::domain::{Fault, RequestId, due, strict};
use crate::work::names;
use crate::workflow::record::Approval;
use crate::workflow::transition::{next, wake};
use crate::workflow::{Event, Message, Record, Status, Step};

/// Largest body of a decision, in bytes: `also` can name thousands of items.
pub const MAX_BODY: usize = 1024 * 1024;
/// Longest name or reason, in characters.
const MAX_TEXT: usize = 500;

/// What can be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The plan may be carried out.
    Approve,
    /// It may not.
    Reject,
    /// The request is not to go on.
    Cancel,
    /// The due date moves, once.
    Extend,
    /// Everything runs again, with a new plan.
    Retry,
}

impl Decision {
    /// The decision of this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "approve" => Self::Approve,
            "reject" => Self::Reject,
            "cancel" => Self::Cancel,
            "extend" => Self::Extend,
            "retry" => Self::Retry,
            _ => return None,
        })
    }
}

/// A decision that was stored, and the messages that must follow.
#[derive(Debug)]
pub struct Decided {
    /// The record after it.
    pub record: Record,
    /// What to send.
    pub messages: Vec<Message>,
}

#[derive(Debug, Default)]
struct Body {
    by: String,
    reason: String,
    plan_sha256: String,
    also: Vec<String>,
    confirm_large: Option<u64>,
}

/// Takes a decision.
///
/// # Errors
/// Faults of the body; a request that is not there, or not where the decision fits; another plan than the approved one.
pub async fn run(
    cx: Context<'_>,
    id: &RequestId,
    decision: Decision,
    body: &[u8],
) -> Result<Decided, Refusal> {
    let body = read(decision, body).map_err(Refusal::Faults)?;
    let missing = || Refusal::NotFound(format!("there is no request {id}"));
    let loaded = cx.app.store.record(id).await?.ok_or_else(missing)?;
    if decision == Decision::Approve && loaded.record.status == Status::AwaitingApproval {
        check_plan(cx, &loaded.record, &body).await?;
    }
    if decision == Decision::Retry && loaded.record.subject.is_some() {
        // A request that had ended is open again from here on; `sweep` takes the mark away if this goes no further.
        cx.app
            .store
            .put(
                &names::open(id),
                "a mark",
                b"{}".to_vec(),
                "application/json",
            )
            .await?;
    }
    let now = cx.now();
    let updated = cx
        .app
        .store
        .update_record(id, |record| apply(record, decision, &body, now))
        .await?;
    let (messages, record) = updated.ok_or_else(missing)??;
    Ok(Decided { record, messages })
}

fn read(decision: Decision, body: &[u8]) -> Result<Body, Vec<Fault>> {
    let mut faults = Faults::default();
    let value = strict::read(body, &mut faults)
        .map_err(|_error| vec![Fault::new("", "the body is not JSON")])?;
    let Some(object) = value.as_object() else {
        return Err(vec![Fault::new("", "a decision is a JSON object")]);
    };
    let known: &[&str] = match decision {
        Decision::Approve => &["plan_sha256", "approver", "also", "confirm_large"],
        Decision::Reject | Decision::Cancel | Decision::Extend => &["by", "reason"],
        Decision::Retry => &["by"],
    };
    faults.unknown_fields(object, "", known);
    let mut read = Body::default();
    if decision == Decision::Approve {
        read.by = text(object, "approver", &mut faults);
        read.plan_sha256 = text(object, "plan_sha256", &mut faults).to_lowercase();
        read.also = also(object, &mut faults);
        read.confirm_large = match object.get("confirm_large") {
            None => None,
            Some(value) => value
                .as_u64()
                .or_else(|| faults.add("/confirm_large", "a whole number")),
        };
    } else {
        read.by = text(object, "by", &mut faults);
        if decision != Decision::Retry {
            read.reason = text(object, "reason", &mut faults);
        }
    }
    let faults = faults.into_vec();
    if faults.is_empty() {
        Ok(read)
    } else {
        Err(faults)
    }
}

fn text(object: &Map<String, Value>, key: &str, faults: &mut Faults) -> String {
    let text = object
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_default()
        .trim();
    if text.is_empty() || text.chars().count() > MAX_TEXT {
        faults.add::<()>(&format!("/{key}"), "required: 1 to 500 characters");
    }
    text.to_owned()
}

fn also(object: &Map<String, Value>, faults: &mut Faults) -> Vec<String> {
    let Some(value) = object.get("also") else {
        return Vec::new();
    };
    let ids = value.as_array().map(|ids| {
        ids.iter()
            .map(|id| id.as_str().map(str::to_owned))
            .collect::<Option<Vec<String>>>()
    });
    match ids.flatten() {
        Some(mut ids) => {
            ids.sort_unstable();
            ids.dedup();
            ids
        }
        None => {
            faults.add::<()>("/also", "a list of the plan's item IDs");
            Vec::new()
        }
    }
}

/// Held against the stored plan: its hash, the released items, the confirmation of a large one.
async fn check_plan(cx: Context<'_>, record: &Record, body: &Body) -> Result<(), Refusal> {
    let Some(reference) = &record.plan else {
        return Err(Refusal::Conflict(
            "the request has no plan to approve".to_owned(),
        ));
    };
    if reference.sha256 != body.plan_sha256 {
        return Err(Refusal::WrongHash(
            "`plan_sha256` is not the hash of the stored plan: read the plan again".to_owned(),
        ));
    }
    let (plan, _bytes) = read_plan(cx, record).await?;
    let mut faults = Faults::default();
    let held = held(&plan);
    for (n, id) in body.also.iter().enumerate() {
        if !held.contains(id.as_str()) {
            faults.add::<()>(
                &format!("/also/{n}"),
                "not the ID of a held item of the plan",
            );
        }
    }
    let limits = &cx.app.config.limits;
    let asked = confirmation(
        plan.large.as_ref(),
        (
            Acted::of(
                plan.installs.iter().map(|it| (it.action, &it.id)),
                &body.also,
            ),
            limits.plan_installs,
        ),
        (
            Acted::of(
                plan.reports.iter().map(|it| (it.action, &it.id)),
                &body.also,
            ),
            limits.plan_reports,
        ),
    );
    if let Some((numbers, why)) = asked
        && !body.confirm_large.is_some_and(|it| numbers.contains(&it))
    {
        faults.add::<()>("/confirm_large", &why);
    }
    let faults = faults.into_vec();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Faults(faults))
    }
}

/// How many items of a kind are acted on: by the plan, and because they are released.
#[derive(Debug, Clone, Copy, Default)]
struct Acted {
    planned: u64,
    released: u64,
}

impl Acted {
    /// Counts items; `also` is sorted.
    fn of<'a>(items: impl Iterator<Item = (Action, &'a String)>, also: &[String]) -> Self {
        let mut acted = Self::default();
        for (action, id) in items {
            match action {
                Action::Act => acted.planned += 1,
                Action::Hold => acted.released += u64::from(also.binary_search(id).is_ok()),
            }
        }
        acted
    }

    fn all(self) -> u64 {
        self.planned + self.released
    }
}

/// What `confirm_large` must be one of, with the reason, if the approval needs it; installs and reports come with the
/// most that need none.
///
/// A large plan is confirmed with its number of reports. Where the released items alone would make it large, or do, the
/// number has to count them, too: nobody destroys thousands of reports by a list of IDs alone.
fn confirmation(
    large: Option<&Large>,
    (installs, most_installs): (Acted, u64),
    (reports, most_reports): (Acted, u64),
) -> Option<(Vec<u64>, String)> {
    let is_over = |installs: u64, reports: u64| installs > most_installs || reports > most_reports;
    let releases = installs.released + reports.released > 0;
    let counts_all = is_over(installs.released, reports.released)
        || (large.is_none() && releases && is_over(installs.all(), reports.all()));
    if counts_all {
        let (installs, reports) = (installs.all(), reports.all());
        let why = format!(
            "with what `also` releases it acts on {installs} installs and {reports} reports: set it to that number of reports"
        );
        return Some((vec![reports], why));
    }
    large.map(|large| {
        let why = format!(
            "the plan is large ({}): set it to the plan's number of reports",
            large.reasons.join("; ")
        );
        (vec![large.confirm_large, reports.all()], why)
    })
}

fn held(plan: &Plan) -> std::collections::HashSet<&str> {
    let held = plan.actions().filter(|(_, it)| *it == Action::Hold);
    held.map(|(id, _)| id).collect()
}

fn apply(
    record: &mut Record,
    decision: Decision,
    body: &Body,
    now: jiff::Timestamp,
) -> Result<Vec<Message>, Refusal> {
    let refused = |error: crate::workflow::IllegalEvent| Refusal::Conflict(error.to_string());
    let by = Some(body.by.as_str());
    let reason = (!body.reason.is_empty()).then_some(body.reason.as_str());
    match decision {
        Decision::Approve => {
            // The same approval again: its message may have been lost on the way.
            let is_same = record.approval.as_ref().is_some_and(|approval| {
                approval.plan_sha256 == body.plan_sha256
                    && approval.approver == body.by
                    && approval.also == body.also
            });
            if is_same && record.step == Some(Step::Block) {
                return Ok(wake(record));
            }
            if record.plan.as_ref().map(|plan| plan.sha256.as_str()) != Some(&body.plan_sha256)
                && record.status == Status::AwaitingApproval
            {
                return Err(Refusal::WrongHash(
                    "another plan was made meanwhile".to_owned(),
                ));
            }
            let approval = Approval {
                approver: body.by.clone(),
                at: now,
                plan_sha256: body.plan_sha256.clone(),
                also: body.also.clone(),
            };
            let messages = next(record, Event::Approved(approval), now).map_err(refused)?;
            record.note(now, "approved", by, None);
            Ok(messages)
        }
        Decision::Reject | Decision::Cancel => {
            let (event, what) = match decision {
                Decision::Reject => (Event::Rejected, "rejected by"),
                _ => (Event::Cancelled, "cancelled by"),
            };
            let messages = next(record, event, now).map_err(refused)?;
            record.note(now, what, by, reason);
            Ok(messages)
        }
        Decision::Extend => {
            if record.status.is_ended() {
                return Err(Refusal::Conflict("the request has ended".to_owned()));
            }
            if record.extended {
                return Err(Refusal::Conflict(
                    "it can be extended once, and was".to_owned(),
                ));
            }
            if due::days_left(record.due(), now) < 0 {
                return Err(Refusal::Conflict(
                    "the due date is over; an extension must come before it".to_owned(),
                ));
            }
            record.extended = true;
            record.updated_at = now;
            record.note(now, "extended", by, reason);
            Ok(Vec::new())
        }
        Decision::Retry => {
            if record.subject.is_none() {
                return Err(Refusal::Conflict(
                    "the person's identifiers have left the record: file a new request".to_owned(),
                ));
            }
            let messages = next(record, Event::Retried, now).map_err(refused)?;
            record.note(now, "retried", by, None);
            Ok(messages)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointers(decision: Decision, body: &str) -> Vec<String> {
        let faults = read(decision, body.as_bytes()).err().unwrap_or_default();
        faults.into_iter().map(|it| it.pointer).collect()
    }

    #[test]
    fn what_is_released_counts_for_a_large_plan() {
        let large = Large {
            confirm_large: 1_200,
            reasons: vec!["1200 reports, more than 1000".to_owned()],
        };
        let asked = |large: Option<&Large>, installs: (u64, u64), reports: (u64, u64)| {
            let acted = |(planned, released)| Acted { planned, released };
            let asked = confirmation(large, (acted(installs), 50), (acted(reports), 1_000));
            asked.map(|(numbers, _)| numbers)
        };
        assert_eq!(asked(None, (50, 0), (1_000, 0)), None);
        assert_eq!(asked(None, (1, 1), (2, 998)), None);
        assert_eq!(asked(None, (1, 1), (2, 999)), Some(vec![1_001]));
        assert_eq!(asked(None, (20, 31), (2, 0)), Some(vec![2]));
        assert_eq!(
            asked(Some(&large), (1, 0), (1_200, 0)),
            Some(vec![1_200, 1_200])
        );
        assert_eq!(
            asked(Some(&large), (1, 0), (1_200, 3)),
            Some(vec![1_200, 1_203])
        );
        assert_eq!(
            asked(Some(&large), (1, 0), (1_200, 5_000)),
            Some(vec![6_200])
        );
        let ids = ["a", "b", "c"].map(str::to_owned);
        let actions = [Action::Act, Action::Hold, Action::Hold];
        let counted = Acted::of(
            actions.into_iter().zip(&ids),
            &[ids[0].clone(), ids[2].clone()],
        );
        assert_eq!((counted.planned, counted.released), (1, 1));
    }

    #[test]
    fn a_decision_that_contradicts_itself_is_refused() {
        let approve = |more: &str| {
            let body = format!(r#"{{"approver":"dpo","plan_sha256":"00"{more}}}"#);
            pointers(Decision::Approve, &body)
        };
        assert_eq!(approve(""), Vec::<String>::new());
        assert_eq!(approve(r#","plan_sha256":"01""#), ["/plan_sha256"]);
        assert_eq!(approve(r#","also":["a"],"also":[]"#), ["/also"]);
        let cancel = r#"{"by":"dpo","reason":"wrong","reason":"right"}"#;
        assert_eq!(pointers(Decision::Cancel, cancel), ["/reason"]);
    }
}
