//! `cargo xtask soak budget`: two hosts share the API's budget while handlers are killed; no window is ever over it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use appcenter_sim::{Spec, World};
use azurite::Azurite;
use clap::Args;
use stack::{Settings, Stack};

use crate::cargo::{Profile, given_or_built};
use crate::table::Table;

/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How often a line is printed.
const LINE: Duration = Duration::from_secs(30);
/// The share of what the budget grants that must be used at least while there is work; what a killed handler holds is lost.
const USED: f64 = 0.8;
/// A handler is killed while it calls: once so many windows' worth of calls were made.
const KILLS: [f64; 2] = [0.3, 1.3];

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Use this handler instead of building one.
    #[arg(long)]
    handler: Option<PathBuf>,
    /// 50 calls in 10 s for 60 s, instead of 500 in 300 s for ten minutes.
    #[arg(long)]
    short: bool,
}

/// A budget, and for how long it is watched.
#[derive(Debug, Clone, Copy)]
struct Watch {
    calls: usize,
    window: Duration,
    /// How long the ledger counts a call: its window and the margins of `appcenter_dsr::budget`.
    counts: Duration,
    time: Duration,
}

impl Watch {
    /// How many calls may be granted while it is watched, the first at once.
    fn grants(self) -> f64 {
        self.calls as f64 * (self.time.as_secs_f64() / self.counts.as_secs_f64()).ceil()
    }
}

/// Runs it; whether no window was over the budget.
///
/// # Errors
/// When something does not start.
pub(crate) async fn run(options: Options) -> anyhow::Result<bool> {
    let (watch, profile) = match options.short {
        true => (
            Watch {
                calls: 50,
                window: Duration::from_secs(10),
                counts: Duration::from_secs(13),
                time: Duration::from_secs(60),
            },
            Profile::Dev,
        ),
        false => (
            Watch {
                calls: 500,
                window: Duration::from_secs(300),
                counts: Duration::from_secs(307),
                time: Duration::from_secs(600),
            },
            Profile::Release,
        ),
    };
    let budget = format!("{}/{}s", watch.calls, watch.window.as_secs());
    println!(
        "soak budget: {budget} for {} s, two hosts, two kills",
        watch.time.as_secs()
    );
    let handler = given_or_built(options.handler.as_deref(), profile).await?;
    // The API's own limit is set as well, so that a call over it would be turned away as the service does.
    let mut settings = Settings::new(&handler)
        .with("APPCENTER_RATE_BUDGET", &budget)
        .with("SLICE_ITEMS", "20");
    settings.sim.rate_limit = Some((watch.calls, watch.window));
    settings.hosts = 2;
    settings.supervise = true;
    settings.lease = Duration::from_secs(5);
    let azurite = Arc::new(Azurite::start().await?);
    let stack = Stack::start(azurite, world(watch)?, settings).await?;
    let request = stack.sim.world(|world| world.request("delete").cloned());
    let request = request.context("a generated world has the request `delete`")?;
    let limit = Duration::from_secs(120);
    let id = stack.api.submit(&request.document).await?;
    let planned = stack.api.wait_planned(&id, limit + watch.time).await?;
    anyhow::ensure!(
        planned["status"] == "awaiting_approval",
        "there is no plan to approve"
    );
    // Planning used some of the budget; what is watched begins with all of it.
    tokio::time::sleep(watch.window.min(Duration::from_secs(10))).await;
    stack.api.approve(&id, &[]).await?;
    watch_it(&stack, watch).await
}

/// A world with more reports than the budget lets be deleted in the time that is watched.
fn world(watch: Watch) -> anyhow::Result<World> {
    let windows = watch.time.as_secs().div_ceil(watch.window.as_secs()) + 2;
    let reports = watch.calls * usize::try_from(windows)?;
    World::generate(&Spec {
        seed: "budget".to_owned(),
        installs: 20,
        person_installs: 2,
        reports: reports + 50,
        person_reports: reports,
        event_rows: 200,
        days: 5,
        ..Spec::default()
    })
}

async fn watch_it(stack: &Stack, watch: Watch) -> anyhow::Result<bool> {
    let start = Instant::now();
    let calls_before = stack.sim.audit().api_calls().count();
    let mut next_line = LINE;
    let mut killed = Vec::new();
    while start.elapsed() < watch.time {
        let now = start.elapsed();
        let made = stack.sim.audit().api_calls().count() - calls_before;
        let next_kill = KILLS.get(killed.len());
        if next_kill.is_some_and(|share| made as f64 >= share * watch.calls as f64) {
            let host = &stack.hosts[killed.len() % stack.hosts.len()];
            killed.push(host.kill_handler().await);
            println!(
                "{:7.1} s  killed the handler of host {} after {made} calls",
                now.as_secs_f64(),
                killed.len()
            );
        }
        if now >= next_line {
            let audit = stack.sim.audit();
            let most = audit.max_calls_in_window(watch.window);
            println!(
                "{:7.1} s  {} reports deleted, at most {most} calls in {} s",
                now.as_secs_f64(),
                audit.deleted().len(),
                watch.window.as_secs()
            );
            next_line += LINE;
        }
        tokio::time::sleep(LOOK).await;
    }
    let audit = stack.sim.audit();
    let made = audit.api_calls().count() - calls_before;
    let most = audit.max_calls_in_window(watch.window);
    let kills = killed.iter().flatten().count();
    let mut table = Table::new(&["what", "goal", "found", ""]);
    let window = format!("most API calls in any {} s", watch.window.as_secs());
    let mut is_right = table.goal(
        &window,
        &format!("<= {}", watch.calls),
        &most,
        most <= watch.calls,
    );
    let turned_away = audit.over_rate();
    is_right &= table.goal(
        "calls that the API turned away",
        "0",
        &turned_away,
        turned_away == 0,
    );
    is_right &= table.goal("kills", "2", &kills, kills == 2);
    let used = made as f64 / watch.grants();
    let share = format!("{made} ({used:.2} of what the budget grants)");
    is_right &= table.goal(
        "API calls made",
        &format!(">= {USED}"),
        &share,
        used >= USED,
    );
    table.row(&[&"reports deleted", &"", &audit.deleted().len()]);
    table.row(&[&"invocations of each host", &"", &per_host(stack)]);
    println!("{table}");
    Ok(is_right)
}

fn per_host(stack: &Stack) -> String {
    let each = stack
        .hosts
        .iter()
        .map(|host| host.succeeded() + host.failed());
    each.map(|it| it.to_string()).collect::<Vec<_>>().join(", ")
}
