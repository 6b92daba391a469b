//! What a sweep measures of open requests, and how long work waits for calls: exact numbers, at a time that stands still.

use std::collections::BTreeMap;

use anyhow::Context as _;
use appcenter_dsr::stages::{self, Context, intake};
use appcenter_sim::{Fault, FaultKind};
use serde_json::{Value, json};
use telemetry_sink::Received;

use super::observed::Observed;

/// A day in a leap year, in the month after one of 31 days.
const NOW: &str = "2040-02-10T12:00:00Z";
/// Jurisdictions, and the states in which a request is open.
const JURISDICTIONS: [&str; 3] = ["eu", "uk", "us-ca"];
const OPEN: [&str; 3] = ["received", "running", "awaiting_approval"];
const BUCKETS: [&str; 6] = ["overdue", "0-3", "4-7", "8-14", "15-30", "over-30"];

/// The last value of each series of a metric, by the values of its attributes.
type Series = BTreeMap<Vec<String>, f64>;

fn series(received: &Received, metric: &str) -> Series {
    let rows = received.rows.iter();
    let rows = rows.filter(|(table, row)| *table == "AppMetrics" && row["Name"] == metric);
    rows.map(|(_, row)| {
        let properties = row["Properties"].as_object().into_iter().flatten();
        // Besides those of the resource.
        let properties = properties.filter(|(name, _)| !name.starts_with("service."));
        let key: Vec<String> = properties
            .map(|(name, value)| format!("{name}={}", value.as_str().unwrap_or_default()))
            .collect();
        (key, row["Sum"].as_f64().unwrap_or(f64::NAN))
    })
    .collect()
}

/// Every pair of a jurisdiction with one of these: zero, but for what is given.
fn pairs(key: &str, others: &[&str], given: &[(&str, &str, f64)]) -> Series {
    let mut all = Series::new();
    for other in others {
        for jurisdiction in JURISDICTIONS {
            let found = given
                .iter()
                .find(|it| (it.0, it.1) == (*other, jurisdiction));
            let mut name = vec![
                format!("{key}={other}"),
                format!("dsr.request.jurisdiction={jurisdiction}"),
            ];
            name.sort();
            all.insert(name, found.map_or(0.0, |it| it.2));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_measures_open_requests_by_age_and_by_days_left() -> anyhow::Result<()> {
    let mut run = Observed::start_at(NOW, &[]).await?;
    run.sweep().await?;
    let none = run.received().await?;
    assert_eq!(
        series(&none, "dsr.request.open"),
        pairs("dsr.request.status", &OPEN, &[])
    );
    assert_eq!(
        series(&none, "dsr.request.age"),
        pairs("dsr.request.status", &OPEN, &[])
    );
    assert_eq!(
        series(&none, "dsr.request.due"),
        pairs("dsr.due.bucket", &BUCKETS, &[])
    );
    assert_eq!(
        series(&none, "dsr.request.days_left"),
        Series::new(),
        "nothing is open"
    );

    for (reference, jurisdiction, received_at) in [
        // Due on 29 February, in 19 days.
        ("G-1", "eu", "2040-01-31T00:00:00Z"),
        // Due on 9 March, in 28 days.
        ("G-2", "eu", "2040-02-09T12:00:00Z"),
        // Due on 5 February, 5 days ago.
        ("G-3", "uk", "2040-01-05T12:00:00Z"),
        // Due on 13 February, in 3 days.
        ("G-4", "us-ca", "2039-12-30T12:00:00Z"),
    ] {
        let changes = json!({
            "reference": reference, "jurisdiction": jurisdiction, "received_at": received_at,
        });
        run.file("known", changes).await?;
    }
    // One that is stored and was never started: due on 26 March, in 45 days.
    let changes = json!({
        "reference": "G-5", "jurisdiction": "us-ca", "received_at": "2040-02-10T00:00:00Z",
    });
    let document = run.document("known", &changes)?.to_string();
    let accepted = intake::run(Context::new(&run.app), document.as_bytes()).await;
    assert!(accepted.is_ok(), "{accepted:?}");

    run.sweep().await?;
    let some = run.received().await?;
    let open = [
        ("running", "eu", 2.0),
        ("running", "uk", 1.0),
        ("running", "us-ca", 1.0),
        ("received", "us-ca", 1.0),
    ];
    assert_eq!(
        series(&some, "dsr.request.open"),
        pairs("dsr.request.status", &OPEN, &open)
    );
    // The oldest of each, in days.
    let age = [
        ("running", "eu", 10.5),
        ("running", "uk", 36.0),
        ("running", "us-ca", 42.0),
        ("received", "us-ca", 0.5),
    ];
    assert_eq!(
        series(&some, "dsr.request.age"),
        pairs("dsr.request.status", &OPEN, &age)
    );
    let due = [
        ("15-30", "eu", 2.0),
        ("overdue", "uk", 1.0),
        ("0-3", "us-ca", 1.0),
        ("over-30", "us-ca", 1.0),
    ];
    assert_eq!(
        series(&some, "dsr.request.due"),
        pairs("dsr.due.bucket", &BUCKETS, &due)
    );
    // The fewest of each jurisdiction.
    let left = [("eu", 19.0), ("uk", -5.0), ("us-ca", 3.0)];
    let left = left.map(|(name, days)| (vec![format!("dsr.request.jurisdiction={name}")], days));
    assert_eq!(series(&some, "dsr.request.days_left"), Series::from(left));
    Ok(())
}

/// Files a request and lets it ask App Center; what is told of waiting for calls, and until when its status says it waits.
async fn throttled(run: &mut Observed) -> anyhow::Result<(Series, f64)> {
    let id = run.file("known", json!({})).await?;
    run.deliver_all().await?;
    let status = stages::requests::status(Context::new(&run.app), &id).await;
    let status = status.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
    let waiting = status.stages.values().find_map(|it| it.waiting_until);
    let until = waiting.context("it waits")?.duration_since(NOW.parse()?);
    let received = run.received().await?;
    assert_eq!(
        waits(&received),
        ["waiting"],
        "the invocation says that it waits"
    );
    Ok((
        series(&received, "dsr.api.throttled.time"),
        until.as_secs_f64(),
    ))
}

/// How invocations of `export-configure` ended.
fn waits(received: &Received) -> Vec<&str> {
    let rows = received.rows.iter();
    let rows = rows.filter(|(table, row)| {
        *table == "AppRequests" && row["Properties"]["faas.name"] == "export-configure"
    });
    rows.filter_map(|(_, row)| row["Properties"]["dsr.outcome"].as_str())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_that_work_waits_for_calls_is_counted() -> anyhow::Result<()> {
    let reason = |name: &str| vec![format!("dsr.api.throttle.reason={name}")];
    // App Center says how long.
    let mut run = Observed::start_at(NOW, &[]).await?;
    let retry_after = Some(90);
    let kind = FaultKind::TooManyRequests { retry_after };
    run.pump.sim.faults().add(Fault::once("apps_get", kind));
    let (told, until) = throttled(&mut run).await?;
    assert_eq!(told, Series::from([(reason("rate_limit"), 90.0)]));
    assert_eq!(until.to_bits(), 90.0_f64.to_bits());
    // The budget says so when one call has used it up.
    let mut run = Observed::start_at(NOW, &[("APPCENTER_RATE_BUDGET", "1/60s")]).await?;
    let (told, until) = throttled(&mut run).await?;
    assert!(
        (60.0..90.0).contains(&until),
        "a window, and what it may be late: {until}"
    );
    assert_eq!(told, Series::from([(reason("budget"), until)]));
    let calls: Vec<Value> = run
        .pump
        .sim
        .audit()
        .api_calls()
        .map(|it| json!(it))
        .collect();
    assert_eq!(calls.len(), 1, "{calls:?}");
    Ok(())
}
