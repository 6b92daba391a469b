//! Requests that are filed together: one pass over a day serves them all.

use std::time::Duration;

use anyhow::Context as _;
use appcenter_sim::World;
use serde_json::Value;
use telemetry_sink::{Sink, Span};

use crate::harness::{LIMIT, settings, start};

const SMALL: &str = include_str!("../scenarios/small.toml");
/// As many as a host works on at once, and some more.
const REQUESTS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_read_once_for_all_who_wait() -> anyhow::Result<()> {
    let sink = Sink::start().await?;
    let disabled = "AzureWebJobs.blob-search.Disabled";
    let settings = settings()
        .with(disabled, "true")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url());
    let stack = start(World::parse(SMALL)?, settings).await?;
    let export = stack.sim.world(|world| world.request("export").cloned());
    let mut document = export.context("the world has it")?.document;
    let mut ids = Vec::new();
    for n in 0..REQUESTS {
        document["reference"] = format!("TOGETHER-{n}").into();
        ids.push(stack.api.submit(&document).await?);
    }
    for id in &ids {
        loop {
            if stack.api.status(id).await?["step"] == "find" {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    let searching = stack.another_host(&[(disabled, "false")]).await?;
    let mut reports = Vec::new();
    for id in &ids {
        let ended = stack.api.wait_ended(id, LIMIT).await?;
        assert_eq!(ended["status"], "completed", "{ended:#}");
        let path = format!("/api/requests/{id}/report");
        let (_, report) = stack.api.json(reqwest::Method::GET, &path, None).await?;
        reports.push(report);
    }
    // Each got what the others got.
    let searched = |report: &Value| report["searched"].clone();
    assert!(
        reports[0]["reports"]
            .as_array()
            .is_some_and(|it| !it.is_empty())
    );
    for report in &reports {
        assert_eq!(searched(report), searched(&reports[0]));
        assert_eq!(report["reports"], reports[0]["reports"]);
    }
    // One pass for those who waited at its beginning, one for those who came right then; the same for `link` and `widen`.
    let is_search = |span: &&Span| {
        span.name == "blob-search" && span.attributes.contains_key("dsr.search.bytes")
    };
    let of_find = |span: &&Span| span.text("dsr.step") == "find";
    // Spans leave every five seconds.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let received = sink.received();
    drop(searching);
    let bytes = |span: &Span| span.attributes["dsr.search.bytes"].as_u64().unwrap_or(0);
    let spans: Vec<&Span> = received.spans.iter().filter(is_search).collect();
    let found: u64 = spans
        .iter()
        .filter(|it| of_find(it))
        .map(|it| bytes(it))
        .sum();
    let all: u64 = spans.iter().map(|it| bytes(it)).sum();
    let once = searched(&reports[0])["contoso/shop"]["bytes"].as_u64();
    let once = once.context("bytes were searched")?;
    assert!((once..=3 * once).contains(&found), "{found} of {once}");
    assert!(all <= 8 * once, "{all} of {once}");
    Ok(())
}
