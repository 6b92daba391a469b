//! Each query of the workbook over a recorded run with faults, beside what is known of that run from elsewhere: what was
//! delivered, what is stored, and what the simulator saw.

mod app_center;
mod columns;
mod says;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use appcenter_dsr::clock::Clock as _;
use appcenter_dsr::domain::RequestId;
use appcenter_dsr::workflow::{Message, Record, Status, Step};
use appcenter_sim::{Call, ExportState, Fault, FaultKind};
use axum::http::StatusCode;
use jiff::ToSpan as _;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use telemetry_sink::Received;

use super::kql;
use super::observed::{Observed, clock_now};

/// Seconds that App Center asks to be left alone.
const HELD: u16 = 90;
/// What a small world does not come to is added by hand: bytes that were searched, and blobs that could not be read.
const BYTES: u64 = 3 << 30;
const UNREADABLE: u64 = 2;

/// A run, and what is known of it.
struct Run {
    received: Received,
    /// How often each function was invoked.
    invoked: BTreeMap<String, u64>,
    /// Every request, as it is stored.
    records: Vec<Record>,
    /// Plans that were made.
    plans: Vec<Value>,
    /// Reports that were made.
    reports: Vec<Value>,
    /// What App Center was asked.
    calls: Vec<Call>,
    /// The day on which all of it happened, by the handler's clock.
    today: jiff::civil::Date,
}

impl Run {
    /// Five requests, of which two end by themselves, one fails, one waits for a person and one stands still.
    async fn make() -> anyhow::Result<Self> {
        let mut run = Observed::start(&[("RETRY_TRIES", "2")]).await?;
        // The handler's day does not end during the run.
        let now = run.pump.clock.now();
        let today = now.to_zoned(TimeZone::UTC).date().tomorrow()?;
        let noon = today.at(12, 0, 0, 0).to_zoned(TimeZone::UTC)?.timestamp();
        run.pump.clock.advance(noon.duration_since(now).try_into()?);
        let received_at = |days: i64| -> anyhow::Result<String> {
            Ok(noon.checked_sub((24 * days).hours())?.to_string())
        };
        run.pump.sim.set_export_state("shop", ExportState::Disabled);
        let faults = run.pump.sim.faults();

        // A message that is none, and one of a request that nobody knows.
        run.poison("delete", "not one of ours").await?;
        let nobody = RequestId::derive("delete", "nobody's");
        let lost = Message::step(&nobody, 1, Step::Block, None).text();
        run.poison("block", &lost).await?;
        run.sweep().await?;
        for _ in 0..2 {
            let status = run.deliver("block", "no message").await?;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        }

        // An erasure: App Center is not to be asked for a while, and blocks nothing.
        let retry_after = Some(HELD.into());
        faults.add(Fault::once(
            "apps_get",
            FaultKind::TooManyRequests { retry_after },
        ));
        let delete = run.file("delete", json!({})).await?;
        run.deliver_all().await?;
        run.pump
            .clock
            .advance(Duration::from_secs(u64::from(HELD) + 1));
        let slice = Message::step(&delete, 1, Step::Configure, Some(0)).text();
        run.deliver("export-configure", &slice).await?;
        let planned = run.drive(&delete).await?;
        // Nothing else is open yet: the EU's fewest days are more than they will be.
        run.sweep().await?;
        faults.add(Fault {
            operation: Some("Devices_BlockLogs".to_owned()),
            skip: 0,
            count: 6,
            kind: FaultKind::Status { status: 500 },
        });
        run.approve(&planned).await?;
        let deleted = run.drive(&delete).await?;

        // An export from the queue: the token is refused once.
        faults.add(Fault::once("apps_get", FaultKind::Status { status: 401 }));
        let export = run.queue("export", json!({ "jurisdiction": "uk" })).await?;
        let exported = run.drive(&export).await?;

        // One whose message comes back as poison too often.
        let changes = json!({ "reference": "SMALL-11", "jurisdiction": "uk" });
        let broken = run.file("known", changes).await?;
        let text = Message::step(&broken, 1, Step::Configure, None).text();
        for _ in 0..4 {
            run.lose("export-configure").await?;
            run.poison("export-configure", &text).await?;
            run.sweep().await?;
        }

        // One that waits for its approval; the archive has one more day by then.
        let archive = run.pump.account.container("archive")?;
        let day = run.pump.sim.clock().now().strftime("%Y/%m/%d").to_string();
        let name = format!("{day}/00/01/crashes/00000000-0000-4000-8000-000000000001");
        let content = bytes::Bytes::from_static(b"{}");
        archive
            .blob_client(&name)
            .upload(content.into(), None)
            .await?;
        let changes = json!({ "reference": "SMALL-12", "received_at": received_at(3)? });
        let waits = run.file("known", changes).await?;
        let waiting = run.drive(&waits).await?;
        assert_eq!(waiting.status, Status::AwaitingApproval);

        // One that nobody works on.
        let changes = json!({
            "reference": "SMALL-13", "jurisdiction": "us-ca", "received_at": received_at(40)?,
        });
        let stands = run.file("known", changes).await?;
        run.lose("export-configure").await?;
        run.pump.clock.advance(Duration::from_secs(3600));
        run.sweep().await?;

        let mut received = run.received().await?;
        add(&mut received, "dsr.search.bytes", BYTES)?;
        add(&mut received, "dsr.search.unreadable", UNREADABLE)?;
        let mut records = Vec::new();
        for id in [&delete, &export, &broken, &waits, &stands] {
            records.push(run.pump.record(id).await?);
        }
        let mut plans = Vec::new();
        for id in [&delete, &export, &waits] {
            plans.push(run.pump.plan(id).await?);
        }
        let mut reports = Vec::new();
        for record in [&deleted, &exported] {
            reports.push(run.pump.report(record).await?);
        }
        Ok(Self {
            received,
            invoked: run.invoked,
            records,
            plans,
            reports,
            calls: run.pump.sim.audit().api_calls().cloned().collect(),
            today,
        })
    }

    fn rows(&self, table: &str) -> impl Iterator<Item = &Map<String, Value>> {
        let rows = self.received.rows.iter();
        rows.filter(move |(of, _)| *of == table).map(|(_, row)| row)
    }
}

/// Adds a measurement to those of the search.
fn add(received: &mut Received, metric: &str, value: u64) -> anyhow::Result<()> {
    let mut rows = received.rows.iter();
    let bytes = rows.find(|(_, row)| row.get("Name") == Some(&json!("dsr.search.bytes")));
    let (table, mut row) = bytes.context("something was searched")?.clone();
    row["Name"] = json!(metric);
    row["Sum"] = json!(value);
    received.rows.push((table, row));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_query_of_the_workbook_says_what_happened() -> anyhow::Result<()> {
    let run = Run::make().await?;
    let queries = kql::queries("workbook");
    let found = kql::evaluate(&kql::tables(&run.received), clock_now(), &queries).await?;
    for (name, rows) in &found {
        says::check(name, rows, &run);
    }
    Ok(())
}
