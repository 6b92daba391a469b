//! `cargo xtask soak large`: the erasure of a person with very many reports.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use appcenter_sim::{Spec, World};
use azurite::Azurite;
use clap::Args;
use stack::{Settings, Stack, audit};

use super::{follow, peak_memory, slices, span};
use crate::cargo::{Profile, given_or_built};
use crate::demo::Progress;
use crate::table::Table;

/// The budget, as the setting says it.
const BUDGET: &str = "60000/300s";
/// The same as calls a second.
const BUDGET_A_SECOND: f64 = 60_000.0 / 300.0;
/// How much longer than the budget allows the deletions may take.
const TIME: f64 = 1.1;
/// API calls a report.
const CALLS: f64 = 1.02;
/// Messages a report.
const MESSAGES: f64 = 0.1;
/// Most resident memory of the handler, in MiB.
const MEMORY: f64 = 150.0;
/// How long the whole may take.
const LIMIT: Duration = Duration::from_secs(3600);
/// How often it is looked at: seldom, for a look costs storage calls too.
const LOOK: Duration = Duration::from_millis(1_000);

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Use this handler instead of building one.
    #[arg(long)]
    handler: Option<PathBuf>,
    /// Reports of the person.
    #[arg(long, default_value_t = 20_000)]
    reports: usize,
    /// 600 reports with the debug build, under a minute; the time is shown and not judged.
    #[arg(long)]
    short: bool,
    /// Leave out the cost of a slice.
    #[arg(long)]
    no_slices: bool,
    /// Only the cost of a slice.
    #[arg(long, conflicts_with = "no_slices")]
    only_slices: bool,
}

/// Runs it; whether every figure keeps its goal.
///
/// # Errors
/// When something does not start, or the request does not end.
pub(crate) async fn run(options: Options) -> anyhow::Result<bool> {
    let (reports, profile) = match options.short {
        true => (600, Profile::Dev),
        false => (options.reports, Profile::Release),
    };
    let handler = given_or_built(options.handler.as_deref(), profile).await?;
    let azurite = Arc::new(Azurite::start().await?);
    let mut is_right = true;
    if !options.only_slices {
        println!("soak large: one erasure with {reports} reports, API budget {BUDGET}");
        let settings = Settings::new(&handler).with("APPCENTER_RATE_BUDGET", BUDGET);
        is_right &= Box::pin(erase(&azurite, settings, reports, options.short)).await?;
    }
    if !options.no_slices {
        println!();
        is_right &= Box::pin(slices::run(&handler, options.short)).await?;
    }
    Ok(is_right)
}

/// A world whose person has this many reports, and others a few.
pub(super) fn world(reports: usize) -> anyhow::Result<World> {
    World::generate(&Spec {
        seed: format!("large-{reports}"),
        installs: 40,
        person_installs: 4,
        reports: reports + reports / 20,
        person_reports: reports,
        groups: 12,
        event_rows: 2_000,
        days: 20,
        reports_per_minute: 40,
        attachment_every: 0,
    })
}

async fn erase(
    azurite: &Arc<Azurite>,
    settings: Settings,
    reports: usize,
    is_short: bool,
) -> anyhow::Result<bool> {
    let begin = Instant::now();
    let stack = Stack::start(Arc::clone(azurite), world(reports)?, settings).await?;
    let seconds = begin.elapsed().as_secs_f64();
    println!("  the archive is written, everything runs ({seconds:.0} s)");
    let request = stack.sim.world(|world| world.request("delete").cloned());
    let request = request.context("a generated world has the request `delete`")?;
    let start = Instant::now();
    let mut progress = Progress::default();
    let id = stack.api.submit(&request.document).await?;
    let clock = (start, LIMIT, LOOK);
    follow(&stack, &id, &mut progress, clock, &["received", "running"]).await?;
    let (before, planned) = (invocations(&stack), stack.sim.audit().api_calls().count());
    stack.api.approve(&id, &[]).await?;
    let open = ["received", "running", "awaiting_approval"];
    let status = follow(&stack, &id, &mut progress, clock, &open).await?;
    let all_messages = invocations(&stack);
    let pid = stack
        .host()
        .handler_pid()
        .context("the handler has ended")?;
    let peak = peak_memory(pid)?;

    let done = stack.sim.audit();
    let (from, to) = span(&status, "delete")?;
    let calls = done
        .api_calls()
        .filter(|it| (from..to).contains(&it.at))
        .count();
    let took = to.duration_since(from).as_secs_f64();
    let count = f64::from(u32::try_from(reports)?);
    let allowed = count / BUDGET_A_SECOND;
    let each = |n: usize| n as f64 / count;
    let mut table = Table::new(&["what", "goal", "found", ""]);
    let mut is_right = true;
    let time = format!(
        "{took:.1} s ({:.2} of what the budget allows)",
        took / allowed
    );
    if is_short {
        table.row(&[&"time to delete", &"", &time]);
    } else {
        let goal = format!("<= {:.0} s", TIME * allowed);
        is_right &= table.goal("time to delete", &goal, &time, took <= TIME * allowed);
    }
    let mut figure = |what: &str, goal: f64, found: f64| {
        is_right &= table.goal(
            what,
            &format!("<= {goal}"),
            &format!("{found:.3}"),
            found <= goal,
        );
    };
    figure("API calls a report, while deleting", CALLS, each(calls));
    figure(
        "messages a report, after the approval",
        MESSAGES,
        each(usize::try_from(all_messages - before)?),
    );
    figure("peak memory of the handler, MiB", MEMORY, peak);
    let before_calls = format!("{planned} calls, {before} messages");
    table.row(&[&"until the approval", &"", &before_calls]);
    let window = done.max_calls_in_window(Duration::from_secs(300));
    is_right &= table.goal(
        "most API calls in 300 s",
        "<= 60000",
        &window,
        window <= 60_000,
    );
    table.row(&[
        &"the whole request",
        &"",
        &format!("{:.0} s", start.elapsed().as_secs_f64()),
    ]);
    let differences = audit::differences(&done, [&request]);
    is_right &= table.compare("differences from what is expected", &0, &differences.len());
    println!("{table}");
    for line in differences.iter().take(20) {
        println!("  {line}");
    }
    Ok(is_right)
}

fn invocations(stack: &Stack) -> u64 {
    stack.host().succeeded() + stack.host().failed()
}
