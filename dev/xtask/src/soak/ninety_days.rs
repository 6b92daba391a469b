//! `cargo xtask soak ninety-days`: an app whose reports are all got by API, while the handler is killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use appcenter_sim::{Audit, Spec, World};
use azurite::Azurite;
use clap::Args;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use stack::{Settings, Stack, audit};

use super::{peak_memory, span};
use crate::cargo::{Profile, given_or_built};
use crate::table::Table;

/// The budget: calls in a window of this length.
const CALLS: usize = 100_000;
const WINDOW: Duration = Duration::from_secs(300);
/// Reports that are fetched at once: 24 messages of one function, 8 reports each.
const IN_FLIGHT: usize = 24 * 8;
/// The share of the budget that is used in a window in which nothing is killed.
const USED: f64 = 0.95;
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How often `sweep` runs: its timer of five minutes would be too slow here.
const SWEEP: Duration = Duration::from_secs(15);
/// How long the whole may take.
const LIMIT: Duration = Duration::from_secs(3600);

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Use this handler instead of building one.
    #[arg(long)]
    handler: Option<PathBuf>,
    /// Reports of the app.
    #[arg(long, default_value_t = 50_000)]
    reports: usize,
    /// How often the handler is killed.
    #[arg(long, default_value_t = 20)]
    kills: usize,
    /// 400 reports and 3 kills with the debug build, under a minute; no window is long enough for the share of the budget.
    #[arg(long)]
    short: bool,
}

/// Runs it; whether every figure keeps its goal.
///
/// # Errors
/// When something does not start, or the request does not end.
pub(crate) async fn run(options: Options) -> anyhow::Result<bool> {
    let (reports, kills, profile) = match options.short {
        true => (400, 3, Profile::Dev),
        false => (options.reports, options.kills, Profile::Release),
    };
    println!(
        "soak ninety-days: {reports} reports by API, {kills} kills, API budget {CALLS}/{}s",
        WINDOW.as_secs()
    );
    let handler = given_or_built(options.handler.as_deref(), profile).await?;
    let mut settings = Settings::new(&handler)
        .with("APPCENTER_PATH", "api")
        .with("EXPORT_TYPE", "none")
        .with(
            "APPCENTER_RATE_BUDGET",
            &format!("{CALLS}/{}s", WINDOW.as_secs()),
        )
        .with("STALLED_SECONDS", "30")
        .with("INVOCATION_SECONDS", "30");
    settings.is_exported = false;
    settings.supervise = true;
    settings.lease = Duration::from_secs(5);
    settings.sim.rate_limit = Some((CALLS, WINDOW));
    let azurite = Arc::new(Azurite::start().await?);
    let stack = Stack::start(azurite, world(reports)?, settings).await?;
    let request = stack.sim.world(|world| world.request("export").cloned());
    let request = request.context("a generated world has the request `export`")?;
    let id = stack.api.submit(&request.document).await?;
    let mut killing = Killing::new(reports, kills);
    let status = killing.until_ended(&stack, &id).await?;

    let done = stack.sim.audit();
    let (from, to) = span(&status, "gather")?;
    let took = to.duration_since(from).as_secs_f64();
    let mut table = Table::new(&["what", "goal", "found", ""]);
    let ended = status["status"].as_str().unwrap_or_default();
    let mut is_right = table.goal(
        "the request",
        "completed",
        &ended,
        ended.starts_with("completed"),
    );
    is_right &= table.goal(
        "kills while reports were fetched",
        &kills.to_string(),
        &killing.done.len(),
        killing.done.len() == kills,
    );
    let twice = fetched_again(&done);
    let most = kills * IN_FLIGHT;
    is_right &= table.goal(
        "reports fetched more than once",
        &format!("<= {most}"),
        &twice,
        twice <= most,
    );
    is_right &= stored(&stack, reports, &mut table).await?;
    let window = done.max_calls_in_window(WINDOW);
    is_right &= table.goal(
        &format!("most API calls in any {} s", WINDOW.as_secs()),
        &format!("<= {CALLS}"),
        &window,
        window <= CALLS,
    );
    if !options.short {
        let (used, windows) = least_used(&done, (from, to), &killing.done).unwrap_or_default();
        is_right &= table.goal(
            "least share of the budget used in a window without a kill",
            &format!(">= {USED}"),
            &format!("{used:.2} ({windows} windows)"),
            used >= USED,
        );
    }
    let calls = done.api_calls().filter(|it| (from..to).contains(&it.at));
    table.row(&[&"API calls while fetching", &"", &calls.count()]);
    table.row(&[&"time to fetch", &"", &format!("{took:.0} s")]);
    killing.note_peak(&stack);
    table.row(&[
        &"peak memory of any handler",
        &"",
        &format!("{:.0} MiB", killing.peak),
    ]);
    let differences = audit::differences(&done, [&request]);
    is_right &= table.compare("differences from what is expected", &0, &differences.len());
    println!("{table}");
    for line in differences.iter().take(20) {
        println!("  {line}");
    }
    Ok(is_right)
}

fn world(reports: usize) -> anyhow::Result<World> {
    World::generate(&Spec {
        seed: format!("ninety-days-{reports}"),
        installs: 200,
        person_installs: 2,
        reports,
        person_reports: reports / 200,
        groups: 12,
        event_rows: 0,
        days: 26,
        reports_per_minute: 40,
        attachment_every: 20,
    })
}

/// Kills the handler at even steps of the first half of what is fetched; the second half has windows without a kill.
struct Killing {
    reports: usize,
    kills: usize,
    done: Vec<Timestamp>,
    /// The most memory of any handler, in MiB, those that were killed included.
    peak: f64,
}

impl Killing {
    fn new(reports: usize, kills: usize) -> Self {
        Self {
            reports,
            kills,
            done: Vec::new(),
            peak: 0.0,
        }
    }

    /// Notes the peak of the handler that runs; one that ends at this moment has none.
    fn note_peak(&mut self, stack: &Stack) {
        let pid = stack.host().handler_pid();
        let peak = pid.and_then(|pid| peak_memory(pid).ok());
        self.peak = self.peak.max(peak.unwrap_or(0.0));
    }

    /// Follows the request to its end, killing and sweeping on the way.
    async fn until_ended(&mut self, stack: &Stack, id: &str) -> anyhow::Result<serde_json::Value> {
        let start = Instant::now();
        let mut next_sweep = start + SWEEP;
        let mut next_line = start;
        loop {
            let fetched = stack.sim.audit().calls_of("Errors_GetErrorDetails").len();
            let due = self.reports / 2 * (self.done.len() + 1) / (self.kills + 1);
            let is_due = self.done.len() < self.kills && fetched >= due;
            if is_due {
                self.note_peak(stack);
                if stack.host().kill_handler().await.is_some() {
                    self.done.push(super::now());
                }
            }
            if Instant::now() >= next_line {
                println!(
                    "{:7.1} s  {fetched} reports asked for, {} kills",
                    start.elapsed().as_secs_f64(),
                    self.done.len()
                );
                next_line += Duration::from_secs(30);
            }
            if Instant::now() >= next_sweep {
                // Refused while the host starts again: the next one is soon.
                let body = Some(("application/json", b"{}".to_vec()));
                drop(
                    stack
                        .api
                        .send(Method::POST, "/admin/functions/sweep", body)
                        .await,
                );
                next_sweep = Instant::now() + SWEEP;
            }
            if let Ok(status) = stack.api.status(id).await
                && !matches!(status["status"].as_str(), Some("received" | "running"))
            {
                return Ok(status);
            }
            anyhow::ensure!(
                start.elapsed() < LIMIT,
                "the request has not ended within {LIMIT:?}"
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Reports whose details were given more than once.
fn fetched_again(audit: &Audit) -> usize {
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for call in audit.calls_of("Errors_GetErrorDetails") {
        if call.status == 200 {
            *times.entry(&call.path).or_default() += 1;
        }
    }
    times.values().filter(|n| **n > 1).count()
}

/// Ledger and `collected/` hold each report of the app once, and nothing else.
async fn stored(stack: &Stack, reports: usize, table: &mut Table) -> anyhow::Result<bool> {
    let path = stack.ledger();
    let rows = tokio::task::spawn_blocking(move || ledger(&path)).await??;
    let retrieved = rows.values().filter(|it| **it).count();
    let mut is_right = table.compare("rows of the ledger", &reports, &rows.len());
    is_right &= table.compare("of them retrieved", &reports, &retrieved);
    let mut documents = BTreeSet::new();
    for name in stack.blobs("collected/").await? {
        let parts: Vec<&str> = name.split('/').collect();
        if let [.., "crashes" | "errors", file] = parts.as_slice()
            && let Some(id) = file.strip_suffix(".json")
        {
            documents.insert(id.to_owned());
        }
    }
    let ids: BTreeSet<String> = rows
        .keys()
        .filter_map(|key| Some(key.split_once('/')?.1.to_owned()))
        .collect();
    let strange = ids.symmetric_difference(&documents).count();
    let unknown = stack.sim.world(|world| {
        let is_unknown = |id: &&String| world.report_name(id.as_str()).is_none();
        ids.iter().filter(is_unknown).count()
    });
    is_right &= table.compare("documents in `collected/`", &reports, &documents.len());
    is_right &= table.compare(
        "that are in one of both only, or of no report",
        &0,
        &(strange + unknown),
    );
    Ok(is_right)
}

/// The rows of the only table: key, and whether it was retrieved.
fn ledger(path: &std::path::Path) -> anyhow::Result<BTreeMap<String, bool>> {
    let database = rusqlite::Connection::open(path)?;
    let table: String = database.query_row(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%Crashes_%'",
        [],
        |row| row.get(0),
    )?;
    let sql = format!("SELECT \"Crash-Guid\", HasBeenRetrieved FROM \"{table}\"");
    let mut statement = database.prepare(&sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The least share of the budget that was used in a window without a kill: every window that begins at a whole second
/// after `from` and ends before `to`. `None` when a kill is in each.
fn least_used(
    audit: &Audit,
    span: (Timestamp, Timestamp),
    kills: &[Timestamp],
) -> Option<(f64, usize)> {
    let mut calls: Vec<Timestamp> = audit.api_calls().map(|it| it.at).collect();
    calls.sort_unstable();
    let windows = windows_without_a_kill(&calls, span, kills);
    let least = windows.iter().min()?;
    Some((*least as f64 / CALLS as f64, windows.len()))
}

/// The calls in each of those windows.
fn windows_without_a_kill(
    calls: &[Timestamp],
    (from, to): (Timestamp, Timestamp),
    kills: &[Timestamp],
) -> Vec<usize> {
    let window = SignedDuration::try_from(WINDOW).unwrap_or(SignedDuration::MAX);
    let until = |at: Timestamp| calls.partition_point(|it| *it < at);
    let seconds = (0..to.duration_since(from).as_secs()).map(SignedDuration::from_secs);
    seconds
        .filter_map(|second| {
            let begin = from.checked_add(second).ok()?;
            let end = begin.checked_add(window).ok()?;
            let is_quiet = end <= to && !kills.iter().any(|at| (begin..end).contains(at));
            is_quiet.then(|| until(end) - until(begin))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calls in windows without a kill, of so many calls in each second.
    fn found(rates: &[usize], kills: &[i64]) -> Vec<usize> {
        let at = |second: i64, nth: i64| {
            Timestamp::from_millisecond(second * 1_000 + nth).expect("a time")
        };
        let seconds = rates.iter().zip(0_i64..);
        let calls: Vec<Timestamp> = seconds
            .flat_map(|(rate, second)| (0_i64..).take(*rate).map(move |nth| at(second, nth)))
            .collect();
        let end = i64::try_from(rates.len()).expect("short");
        let kills: Vec<Timestamp> = kills.iter().map(|second| at(*second, 0)).collect();
        windows_without_a_kill(&calls, (at(0, 0), at(end, 0)), &kills)
    }

    #[test]
    fn windows_without_a_kill_are_whole_and_quiet() {
        assert!(found(&[10; 299], &[]).is_empty());
        assert_eq!(found(&[10; 300], &[]), [3_000]);
        assert_eq!(found(&[10; 302], &[]), [3_000; 3]);
        // All at once and then nothing is as good, as long as the next begins in time.
        let burst = [vec![20; 150], vec![0; 150], vec![20; 150]].concat();
        assert_eq!(found(&burst, &[]), [3_000; 151]);
        let late = [vec![20; 150], vec![0; 160], vec![20; 150]].concat();
        assert_eq!(found(&late, &[]).iter().min(), Some(&2_800));
        // A kill is in every window of the 300 seconds before it.
        assert_eq!(found(&[10; 610], &[305]).len(), 6 + 5);
        assert!(found(&[10; 400], &[200]).is_empty());
    }
}
