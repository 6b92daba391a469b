//! What one slice costs, at different numbers of slices.
//!
//! Each slice holds one report (`SLICE_ITEMS` is 1) and the API's budget does not limit. Blob calls are counted by a
//! proxy between the handler and the emulator, from the beginning to the end of the step `delete`; nobody looks at the
//! request meanwhile. The emulator itself gets slower with the number of blobs it holds, which is why a plain read of
//! one blob is timed beside: what our own slices cost is the number of calls.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use azurite::{Account, Azurite};
use stack::{Settings, Stack};

use super::counting::Counting;
use super::{follow, large, span};
use crate::demo::Progress;
use crate::table::Table;

/// How much more calls a slice may cost at the largest number than at the smallest.
const FLAT: f64 = 1.15;
/// How long one run may take.
const LIMIT: Duration = Duration::from_secs(3600);
/// How often it is looked at while it matters.
const LOOK: Duration = Duration::from_millis(500);
/// Plain reads that are timed.
const READS: usize = 51;

struct Cost {
    slices: usize,
    calls: f64,
    millis: f64,
    read_millis: f64,
}

/// Measures; whether the cost is flat.
///
/// # Errors
/// When something does not start, or a request does not end.
pub(super) async fn run(handler: &Path, is_short: bool) -> anyhow::Result<bool> {
    let numbers: &[usize] = if is_short {
        &[50, 300]
    } else {
        &[100, 1_000, 10_000]
    };
    println!("soak large: cost of a slice at {numbers:?} slices");
    let mut costs = Vec::new();
    for slices in numbers {
        let cost = measure(handler, *slices).await?;
        println!(
            "  {slices} slices: {:.2} blob calls and {:.2} ms a slice",
            cost.calls, cost.millis
        );
        costs.push(cost);
    }
    let mut table = Table::new(&[
        "slices",
        "blob calls a slice",
        "time a slice",
        "one plain read",
    ]);
    for cost in &costs {
        table.row(&[
            &cost.slices,
            &format!("{:.2}", cost.calls),
            &format!("{:.2} ms", cost.millis),
            &format!("{:.2} ms", cost.read_millis),
        ]);
    }
    println!("{table}");
    let (Some(first), Some(last)) = (costs.first(), costs.last()) else {
        return Ok(true);
    };
    let is_flat = last.calls <= FLAT * first.calls;
    println!(
        "  Calls a slice at {} slices are {:.2} of those at {} (goal: at most {FLAT}): {}",
        last.slices,
        last.calls / first.calls,
        first.slices,
        if is_flat { "flat" } else { "NOT flat" }
    );
    Ok(is_flat)
}

async fn measure(handler: &Path, slices: usize) -> anyhow::Result<Cost> {
    // An emulator for each, so that what an earlier run left does not slow the next one.
    let azurite = Arc::new(Azurite::start().await?);
    let account = azurite.account();
    let endpoint = account.blob_endpoint().to_owned();
    let target = endpoint.trim_start_matches("http://");
    let target = target.split('/').next().unwrap_or_default();
    let counting = Counting::start(target).await?;
    let through = account
        .connection_string()
        .replace(&endpoint, &counting.instead_of(&endpoint)?);
    let settings = Settings::new(handler)
        .with("SLICE_ITEMS", "1")
        .with("APPCENTER_RATE_BUDGET", "1000000/300s")
        .with("AzureWebJobsStorage", &through);
    let stack = Stack::start_on(account, azurite, large::world(slices)?, settings).await?;
    let request = stack.sim.world(|world| world.request("delete").cloned());
    let request = request.context("a generated world has the request `delete`")?;
    let start = Instant::now();
    let mut progress = Progress::default();
    println!("  {slices} slices");
    let id = stack.api.submit(&request.document).await?;
    let clock = (start, LIMIT, LOOK);
    follow(&stack, &id, &mut progress, clock, &["received", "running"]).await?;
    stack.api.approve(&id, &[]).await?;
    // Looking at the status would read storage: the simulator knows as well when all is deleted.
    while stack.sim.audit().deleted().len() < slices {
        anyhow::ensure!(
            start.elapsed() < LIMIT,
            "the reports were not deleted within {LIMIT:?}"
        );
        tokio::time::sleep(LOOK).await;
    }
    let read_millis = plain_read(&stack.account).await?;
    let open = ["received", "running", "awaiting_approval"];
    let status = follow(&stack, &id, &mut progress, clock, &open).await?;
    let (from, to) = span(&status, "delete")?;
    let count = f64::from(u32::try_from(slices)?);
    Ok(Cost {
        slices,
        calls: counting.between(from, to) as f64 / count,
        millis: to.duration_since(from).as_secs_f64() * 1000.0 / count,
        read_millis,
    })
}

/// The median time of reading one small blob, past the proxy.
async fn plain_read(account: &Account) -> anyhow::Result<f64> {
    let container = account.container("dsr")?;
    let blob = container.blob_client("keys/hmac");
    let mut times = Vec::with_capacity(READS);
    for _ in 0..READS {
        let begin = Instant::now();
        blob.download(None).await?;
        times.push(begin.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_unstable_by(f64::total_cmp);
    Ok(times[READS / 2])
}
