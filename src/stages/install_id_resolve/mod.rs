//! `install-id-resolve`: from hits and given IDs to install IDs, report IDs and the plan.
//!
//! No API filters by install ID, so hits decide: a first pass finds the person, further passes (only where needed) find
//! what belongs together, and what is left is looked up. The plan is stored once a run; its bytes are what is approved.

pub mod attribute;
pub mod coverage;
pub mod decide;
pub mod fold;
pub mod hits;
pub mod rows;
pub mod settle;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use self::attribute::Lookups;
use self::decide::LargeLimits;
use self::fold::Findings;
use super::blob_search::Needles;
use super::planned::{read_plan, sha256};
use super::setup::{self, AppSetup};
use super::{Context, Outcome, StageError, inventory, test_export};
use crate::domain::plan::{Action, Counts, Coverage, Plan, SCHEMA};
use crate::domain::{AppRef, InstallId, Kind, Subject};
use crate::work::{Slice, SliceEnd, names};
use crate::workflow::record::PlanRef;
use crate::workflow::{Event, Record, Step};

#[derive(Debug, Default, Serialize, Deserialize)]
struct Progress {
    #[serde(default)]
    lookups: Lookups,
}

/// What was found of each app, folded from the passes so far.
pub(super) struct Found {
    /// By the request's order of apps.
    pub(super) apps: Vec<(AppRef, Findings)>,
    /// What was searched, by `owner/name`.
    pub(super) coverage: BTreeMap<String, Coverage>,
}

/// Folds what the passes stored.
pub(super) async fn found(
    cx: Context<'_>,
    record: &Record,
    setups: &[AppSetup],
    steps: &[Step],
    given: &[InstallId],
) -> Result<Found, StageError> {
    let mut apps: Vec<(AppRef, Findings)> = record
        .apps
        .iter()
        .map(|app| (app.clone(), Findings::new(given)))
        .collect();
    let window = record.window;
    let mut coverage = BTreeMap::new();
    for step in steps {
        let days = hits::days(cx.app, record, *step).await?;
        if *step == Step::Find || *step == Step::Recheck {
            coverage = coverage::of(setups, &days, cx.now());
        } else {
            coverage::add(&mut coverage, *step, &days);
        }
        for day in &days {
            let Some((_, findings)) = apps.iter_mut().find(|(app, _)| *app == day.app) else {
                continue;
            };
            findings.is_incomplete |= *step == Step::Widen && day.result.failed.is_some();
            hits::each(cx.app, record, *step, day, |stored| {
                findings.take(&stored.hit, stored.app, window.as_ref());
                Ok::<(), StageError>(())
            })
            .await?;
        }
    }
    let list = if steps.contains(&Step::Recheck) {
        Step::Relist
    } else {
        Step::Inventory
    };
    let inventories = inventory::load(cx, record, list).await?;
    inventory::add_coverage(&mut coverage, setups, &inventories, cx.now());
    inventory::add_fetched(cx, record, list, &mut coverage).await?;
    for listed in &inventories {
        let mut apps = apps.iter_mut();
        let Some((_, findings)) = apps.find(|(app, _)| Some(app) == listed.app.as_ref()) else {
            continue;
        };
        hits::each_part(cx.app, record, list, &listed.parts, |stored| {
            findings.take(&stored.hit, stored.app, window.as_ref());
            Ok::<(), StageError>(())
        })
        .await?;
        inventory::each_bridge(cx, record, list, &listed.bridges, |it| findings.bridge(it)).await?;
    }
    for (app, findings) in &mut apps {
        findings.close();
        if findings.outside_window > 0
            && let Some(coverage) = coverage.get_mut(&app.to_string())
        {
            coverage.notes.push(format!(
                "{} records were found outside of the window and left alone",
                findings.outside_window
            ));
        }
    }
    Ok(Found { apps, coverage })
}

/// Works on one of the steps `resolve`, `relate`, `plan`.
pub(super) async fn run(
    cx: Context<'_>,
    record: &Record,
    slice: &mut Slice,
) -> Result<Outcome, StageError> {
    let Some(subject) = &record.subject else {
        return Err(StageError::permanent("the request has no identifiers"));
    };
    let setups = setup::load(cx.app, record).await?;
    let passes: Vec<Step> = [Step::Find, Step::Link, Step::Widen]
        .into_iter()
        .filter(|step| record.steps.contains_key(step))
        .collect();
    let found = found(cx, record, &setups, &passes, &subject.install_ids).await?;
    if slice.step == Step::Resolve
        && let Some(needles) = links(&found)
    {
        store_needles(cx, record, Step::Link, &needles).await?;
        return Ok(over(Event::LinksToFind));
    }
    if slice.step != Step::Plan
        && let Some(needles) = more(&found, subject)
    {
        store_needles(cx, record, Step::Widen, &needles).await?;
        return Ok(over(Event::MoreToFind));
    }
    let mut progress: Progress = slice.body()?;
    let planned = plan(cx, record, subject, found, &mut progress.lookups).await;
    slice.set_body(&progress)?;
    cx.app.store.save_slice(slice).await?;
    let (plan, reference) = store_plan(cx, record, &planned?).await?;
    Ok(over(Event::Planned {
        has_items: plan.has_items(),
        plan: reference,
    }))
}

fn over(event: Event) -> Outcome {
    Outcome::Over(SliceEnd {
        done: 1,
        failed: 0,
        event: Some(event),
    })
}

/// What to search for to learn whose the found parts of reports are.
fn links(found: &Found) -> Option<Needles> {
    let mut needles = Needles::default();
    for (_, findings) in &found.apps {
        needles.links.extend(findings.unlinked());
        needles.reports.extend(findings.unlinked_guids());
    }
    needles.links.sort_unstable();
    needles.links.dedup();
    needles.reports.sort_unstable();
    needles.reports.dedup();
    (!needles.links.is_empty() || !needles.reports.is_empty()).then_some(needles)
}

/// Installs that were found and whose own rows and reports were not searched for yet.
fn more(found: &Found, subject: &Subject) -> Option<Needles> {
    let mut needles = Needles::default();
    for (_, findings) in &found.apps {
        let new = findings.new_installs(&subject.install_ids);
        needles.subject.install_ids.extend(new);
    }
    needles.subject.install_ids.sort_unstable();
    needles.subject.install_ids.dedup();
    (!needles.subject.install_ids.is_empty()).then_some(needles)
}

async fn store_needles(
    cx: Context<'_>,
    record: &Record,
    step: Step,
    needles: &Needles,
) -> Result<(), StageError> {
    let name = names::of_step(&record.id, record.run, step, "needles.json");
    cx.app.store.create_json(&name, "needles", needles).await?;
    Ok(())
}

async fn plan(
    cx: Context<'_>,
    record: &Record,
    subject: &Subject,
    found: Found,
    lookups: &mut Lookups,
) -> Result<Plan, StageError> {
    let mut plan = Plan {
        schema: SCHEMA,
        request: record.id.clone(),
        run: record.run,
        kind: record.kind,
        created_at: cx.now(),
        partial: record.window.is_some(),
        counts: Counts::default(),
        large: None,
        installs: Vec::new(),
        reports: Vec::new(),
        rows: Vec::new(),
        test_runs: test_export::items(cx, record).await?,
        unattributed: Vec::new(),
        also_seen_here: Vec::new(),
        coverage: found.coverage,
    };
    let mut claimed: std::collections::BTreeSet<String> = std::collections::BTreeSet::new();
    let window = record.window;
    let setups = setup::load(cx.app, record).await?;
    for (app, mut findings) in found.apps {
        let is_retired = setup::is_retired(cx.app, &setups, &app);
        let ids = attribute::attribute(cx, &app, &findings, lookups, is_retired).await?;
        for key in ids.keys() {
            findings.attribute(key);
        }
        findings.close();
        if findings.rows_of_no_app > 0
            && let Some(coverage) = plan.coverage.get_mut(&app.to_string())
        {
            coverage.notes.push(format!(
                "{} rows that were found name no app and were left alone",
                findings.rows_of_no_app
            ));
        }
        let items = decide::items(&app, &findings, &ids, subject, window.as_ref());
        claimed.extend(items.reports.iter().flat_map(|report| report.blobs.clone()));
        plan.installs.extend(items.installs);
        plan.reports.extend(items.reports);
        plan.rows.extend(items.rows);
        plan.unattributed.extend(items.unattributed);
        plan.also_seen_here.extend(items.also_seen);
    }
    // Without app IDs in their paths the same blob is searched for each app: the app that knows it claims it.
    let mut seen = std::collections::BTreeSet::new();
    plan.unattributed
        .retain(|it| !claimed.contains(&it.blob) && seen.insert(it.blob.clone()));
    for (app, lookups) in &lookups.apps {
        if let Some(reason) = &lookups.unasked
            && let Some(coverage) = plan.coverage.get_mut(app)
        {
            coverage.notes.push(format!(
                "App Center could not be asked for report IDs: {reason}"
            ));
        }
    }
    let diagnostics = record
        .include
        .contains(&crate::domain::Include::Diagnostics);
    let analytics = record.include.contains(&crate::domain::Include::Analytics);
    if !diagnostics {
        plan.reports.clear();
    }
    if !analytics {
        plan.rows.clear();
    }
    if !(diagnostics || analytics) {
        // Nothing of App Center Test is of an install.
        plan.installs.clear();
    }
    count(&mut plan);
    if record.kind == Kind::Delete {
        let known = plan
            .coverage
            .iter()
            .map(|(app, coverage)| {
                let listed = coverage.api.as_ref().map_or(0, |api| api.listed);
                (app.clone(), coverage.reports.max(listed))
            })
            .collect();
        let limits = &cx.app.config.limits;
        let limits = LargeLimits {
            installs: limits.plan_installs,
            reports: limits.plan_reports,
            share_percent: limits.plan_share_percent,
        };
        plan.large = decide::large(&plan.installs, &plan.reports, &known, limits);
    }
    Ok(plan)
}

fn count(plan: &mut Plan) {
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    let acted = |action: Action| action == Action::Act;
    let held = plan.actions().filter(|(_, it)| !acted(*it)).count();
    plan.counts = Counts {
        installs: count(plan.installs.iter().filter(|it| acted(it.action)).count()),
        reports: count(plan.reports.iter().filter(|it| acted(it.action)).count()),
        rows: plan
            .rows
            .iter()
            .filter(|it| acted(it.action))
            .map(|it| it.rows)
            .sum(),
        held: count(held),
        unattributed: count(plan.unattributed.len()),
    };
}

/// Stores the plan unless this run has one already; that one holds then.
async fn store_plan(
    cx: Context<'_>,
    record: &Record,
    plan: &Plan,
) -> Result<(Plan, PlanRef), StageError> {
    let name = names::plan(&record.id, record.run);
    cx.app.store.create_json(&name, "the plan", plan).await?;
    let (stored, bytes) = read_plan(cx, record).await?;
    let reference = PlanRef {
        sha256: sha256(&bytes),
        run: record.run,
        at: stored.created_at,
        counts: stored.counts,
        large: stored.large.clone(),
    };
    Ok((stored, reference))
}

/// Ends a plan that cannot be made: the request fails, with the reason.
///
/// # Errors
/// Never; the signature is that of every stage.
pub(super) fn give_up(_slice: &mut Slice, _reason: &str) -> Result<SliceEnd, StageError> {
    Ok(SliceEnd {
        failed: 1,
        ..SliceEnd::default()
    })
}
