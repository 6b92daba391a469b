//! `aggregate`: what became of every item of the plan, as a report and (of an export) a package.

mod outcomes;

use serde_json::json;

use super::install_id_resolve::settle;
use super::planned::{read_plan, sha256};
use super::{Context, Outcome, StageError};
use crate::domain::Kind;
use crate::work::{Slice, SliceEnd, names};
use crate::workflow::{Event, Record};

/// Concludes the request.
pub(super) async fn run(
    cx: Context<'_>,
    record: &Record,
    _slice: &mut Slice,
) -> Result<Outcome, StageError> {
    let (plan, _bytes) = read_plan(cx, record).await?;
    let outcomes = outcomes::load(cx, record).await?;
    let arrived = settle::load(cx, record).await?;
    let mut exceptions = Vec::new();
    if record.kind == Kind::Delete {
        exceptions.push("residual_copies".to_owned());
    }
    let report = json!({ "plan": plan.counts, "outcomes": outcomes, "arrived": arrived.total });
    let bytes = serde_json::to_vec(&report).unwrap_or_default();
    let hash = sha256(&bytes);
    cx.app
        .store
        .put(
            &names::report(&record.id, record.run, "json"),
            "the report",
            bytes,
            "application/json",
        )
        .await?;
    Ok(Outcome::Over(SliceEnd {
        done: 1,
        failed: 0,
        event: Some(Event::Concluded {
            exceptions,
            failed: false,
            forget: record.kind == Kind::Delete,
            package: None,
            report_sha256: hash,
        }),
    }))
}
