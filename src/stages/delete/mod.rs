//! `delete`: delete each report of the approved plan, and each test run that a person released. It cannot be undone.
//!
//! `deleted` needs a 2xx without failed blobs. A 404 counts only after the same token sees the app and not the report;
//! it then means `deleted` when an earlier attempt of ours may have done it, and `already_gone` when none did. An attempt of
//! an earlier run of the request is one of ours.

mod earlier;

use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::acting::{self, Earlier, Fate, Fated, Undone};
use super::gate::StepGate;
use super::inventory::{self, Inventory};
use super::planned::read_plan;
use super::setup;
use super::{Context, CutOutcome, Outcome, StageError, collect};
use crate::appcenter::{Client, Deleted, Error, Gate, Gone};
use crate::domain::plan::Plan;
use crate::domain::{AppRef, ErrorId, GroupId, LegacyIds};
use crate::work::Slice;
use crate::workflow::{Record, Step};

/// Something to delete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteItem {
    /// The plan's item.
    pub id: String,
    /// The app.
    pub app: AppRef,
    /// What it is.
    #[serde(flatten)]
    pub what: What,
}

/// What is deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A crash or handled error.
    Report(Report),
    /// A run of App Center Test.
    TestRun {
        /// The run.
        run: Uuid,
    },
}

/// A report to delete.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// The group.
    pub group: GroupId,
    /// The report.
    pub error: ErrorId,
    /// What the legacy API calls it, where only that one knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy: Option<LegacyIds>,
    /// What was fetched of it by API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collected: Vec<String>,
}

/// Cuts the plan's reports and released test runs into slices.
pub(super) async fn cut(cx: Context<'_>, record: &Record) -> Result<CutOutcome, StageError> {
    let (plan, _bytes) = read_plan(cx, record).await?;
    let also = record.also();
    let reports = plan
        .reports
        .into_iter()
        .filter(|it| Plan::acts(it.action, &it.id, also))
        .map(|it| DeleteItem {
            id: it.id,
            app: it.app,
            what: What::Report(Report {
                group: it.group_id,
                error: it.error_id,
                legacy: it.legacy,
                collected: it.collected,
            }),
        });
    let runs = plan
        .test_runs
        .into_iter()
        .filter(|it| Plan::acts(it.action, &it.id, also))
        .map(|it| DeleteItem {
            id: it.id,
            app: it.app,
            what: What::TestRun { run: it.run_id },
        });
    let ours = earlier::load(cx, record).await?;
    let items = reports.chain(runs).map(|item| ours.known(item));
    super::block::slices_of_work(items, cx.app.config.limits.slice_items)
}

/// Deletes what is in one slice.
pub(super) async fn run(
    cx: Context<'_>,
    record: &Record,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    let setups = &setup::load(cx.app, record).await?;
    let listed = &Listed::new(cx, record);
    let client = cx.app.app_center()?;
    let gate = StepGate::new(cx, slice);
    let gate = &gate;
    acting::act(cx, slice, |item: DeleteItem, earlier| async move {
        let app = &item.app;
        if setup::is_retired(cx.app, setups, app) {
            return Err(setup::retired().into());
        }
        let calls = Calls { client, app, gate };
        match &item.what {
            What::Report(report) => {
                let fated = delete(calls, report, &earlier, listed).await?;
                // Our own copy goes with it: what is erased there must not be found here.
                if !matches!(fated.0, Fate::Failed(_)) {
                    collect::remove(cx, &report.collected).await?;
                }
                Ok(fated)
            }
            What::TestRun { run } => delete_run(calls, *run, earlier.attempted).await,
        }
    })
    .await
}

/// What every call needs.
#[derive(Clone, Copy)]
struct Calls<'a> {
    client: &'a Client,
    app: &'a AppRef,
    gate: &'a dyn Gate,
}

/// What was listed by API of the request's apps: read at the first 404, since nothing else asks for it.
struct Listed<'a> {
    cx: Context<'a>,
    record: &'a Record,
    inventories: OnceCell<Vec<Inventory>>,
}

impl<'a> Listed<'a> {
    fn new(cx: Context<'a>, record: &'a Record) -> Self {
        Self {
            cx,
            record,
            inventories: OnceCell::new(),
        }
    }

    /// Whether only the legacy API lists the app's reports.
    async fn is_legacy_only(&self, app: &AppRef) -> Result<bool, StageError> {
        let load = || inventory::load(self.cx, self.record, Step::Inventory);
        let inventories = self.inventories.get_or_try_init(load).await?;
        let mut of_app = inventories.iter().filter(|it| it.app.as_ref() == Some(app));
        Ok(of_app.any(|it| it.is_legacy_only))
    }
}

async fn delete(
    calls: Calls<'_>,
    report: &Report,
    earlier: &Earlier,
    listed: &Listed<'_>,
) -> Fated {
    let Calls { client, app, gate } = calls;
    let Report { group, error, .. } = report;
    if group.is_legacy() {
        return by_legacy(calls, group, error, earlier).await;
    }
    let deleted = client.delete_error(app, group, error, gate).await;
    match (deleted, &report.legacy) {
        // Where only the legacy API knows it; whether our own call reached the current one says nothing of that.
        (Err(Error::NotFound(_) | Error::NotFoundAgain(_) | Error::Gone), Some(legacy)) => {
            let LegacyIds { group, crash } = legacy;
            by_legacy(calls, group, crash, earlier).await
        }
        (Err(Error::NotFound(_) | Error::NotFoundAgain(_) | Error::Gone), None)
            if listed.is_legacy_only(app).await? =>
        {
            Err(StageError::permanent(
                "only the legacy API lists the app's reports, and what it calls this one is not known",
            )
            .into())
        }
        (Err(answer @ (Error::NotFound(_) | Error::NotFoundAgain(_))), None) => {
            let gone = client.confirm_gone(app, group, error).await?;
            judge(gone, &answer, earlier)
        }
        (deleted, _) => complete(&deleted?),
    }
}

/// The same by the legacy API, where only that one knows the report.
async fn by_legacy(calls: Calls<'_>, group: &GroupId, crash: &ErrorId, earlier: &Earlier) -> Fated {
    let Calls { client, app, gate } = calls;
    match client.delete_crash(app, group, crash, gate).await {
        Err(answer @ (Error::NotFound(_) | Error::NotFoundAgain(_))) => {
            let gone = client.confirm_crash_gone(app, group, crash).await?;
            judge(gone, &answer, earlier)
        }
        deleted => complete(&deleted?),
    }
}

/// A run that the service calls deleted only logically: it is shown no more.
async fn delete_run(calls: Calls<'_>, run: Uuid, attempted: bool) -> Fated {
    let Calls { client, app, gate } = calls;
    match client.delete_test_run(app, run, gate).await {
        Err(answer @ (Error::NotFound(_) | Error::NotFoundAgain(_))) => {
            let gone = client.confirm_test_run_gone(app, run).await?;
            let earlier = Earlier {
                attempted,
                detail: None,
            };
            judge(gone, &answer, &earlier)
        }
        deleted => {
            deleted?;
            Ok((Fate::Done, None))
        }
    }
}

fn complete(deleted: &Deleted) -> Fated {
    if deleted.is_complete() {
        return Ok((Fate::Done, None));
    }
    let left = format!(
        "App Center deleted the report and reported {} of its blobs as not deleted",
        deleted.blobs_failed.unwrap_or(0)
    );
    Err(Undone {
        error: StageError::retry(left.clone()),
        detail: Some(left),
    })
}

/// What a 404 to a deletion means, once it was looked into.
fn judge(gone: Gone, answer: &Error, earlier: &Earlier) -> Fated {
    let attempted = earlier.attempted || matches!(answer, Error::NotFoundAgain(_));
    match (gone, &earlier.detail) {
        // The report is gone, and what an answer said of its blobs still stands.
        (Gone::Confirmed, Some(left)) => Ok((
            Fate::Failed(format!("{left}, and knows it no more")),
            Some(left.clone()),
        )),
        (Gone::Confirmed, None) if attempted => Ok((Fate::Done, None)),
        (Gone::Confirmed, None) => Ok((Fate::AlreadyGone, None)),
        (Gone::StillThere, _) => Err(StageError::retry(
            "App Center answered 404 to the deletion of what it still shows",
        )
        .into()),
        (Gone::AppUnreachable, _) => Err(StageError::person(
            "App Center answers 404 and does not show the app to the token: a person must check `APPCENTER_API_TOKEN`",
        )
        .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appcenter::Refusal;

    fn fate(gone: Gone, answer: &Error, attempted: bool, detail: Option<&str>) -> Option<Fate> {
        let earlier = Earlier {
            attempted,
            detail: detail.map(str::to_owned),
        };
        judge(gone, answer, &earlier).ok().map(|(fate, _)| fate)
    }

    #[test]
    fn what_a_404_means() {
        let first = Error::NotFound(Refusal::default());
        let again = Error::NotFoundAgain(Refusal::default());
        for (gone, answer, attempted, expected) in [
            (Gone::Confirmed, &first, false, Some(Fate::AlreadyGone)),
            (Gone::Confirmed, &first, true, Some(Fate::Done)),
            (Gone::Confirmed, &again, false, Some(Fate::Done)),
            (Gone::StillThere, &first, true, None),
            (Gone::AppUnreachable, &again, true, None),
        ] {
            assert_eq!(fate(gone, answer, attempted, None), expected, "{gone:?}");
        }
        // Blobs that an answer named as not deleted do not go with a 404.
        let left = fate(Gone::Confirmed, &first, true, Some("2 of its blobs"));
        assert!(matches!(left, Some(Fate::Failed(reason)) if reason.contains("2 of its blobs")));
    }

    #[test]
    fn failed_blobs_are_remembered() {
        let deleted = Deleted {
            blobs_failed: Some(2),
            ..Deleted::default()
        };
        let undone = complete(&deleted).expect_err("it is not done");
        assert!(undone.detail.is_some_and(|left| left.contains('2')));
        assert!(matches!(undone.error, StageError::Retry { .. }));
        assert!(complete(&Deleted::default()).is_ok());
    }
}
