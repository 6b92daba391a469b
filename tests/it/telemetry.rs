//! Telemetry as a receiver gets it: the trace of an erasure (of the run that `canaries` makes), what the page promises,
//! and each alert over what was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use appcenter_dsr::app::App;
use appcenter_dsr::domain::RequestId;
use appcenter_dsr::host::build_handler;
use appcenter_dsr::workflow::{Message, Step};
use appcenter_sim::{ExportState, Fault, FaultKind, World};
use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use jiff::{Span as Length, Timestamp};
use serde_json::{Value, json};
use telemetry_sink::{Kind, Received, Sink, Span};
use tower::ServiceExt as _;

use crate::pump::{Disturb, Pump};
use crate::tidy::{quoted, read, root, table};

const SMALL: &str = include_str!("../scenarios/small.toml");

/// What every erasure does, in the order in which it first does it.
const CHAIN: [&str; 10] = [
    "intake",
    "export-configure",
    "inventory",
    "collect",
    "blob-search",
    "install-id-resolve",
    "decide",
    "block",
    "delete",
    "aggregate",
];

/// Whether everything of an erasure, and of a sweep after it, has arrived in both places.
pub(crate) fn is_whole(received: &Received, id: &str) -> bool {
    let is_reported = |span: &Span| span.name == "aggregate" && span.text("dsr.request.id") == id;
    let has_point = |metric: &str| received.points.iter().any(|it| it.metric == metric);
    let has_row = |table: &str, name: &str| {
        let mut rows = received.rows.iter();
        rows.any(|(of, row)| *of == table && row["Name"] == name)
    };
    let ended = received.points.iter().find(|it| {
        it.metric == "dsr.request.ended" && it.attributes["dsr.request.kind"] == "delete"
    });
    received.spans.iter().any(is_reported)
        && ended.is_some()
        && has_point("dsr.sweep.duration")
        && has_row("AppMetrics", "dsr.sweep.duration")
        && received.rows.iter().any(|(table, row)| {
            *table == "AppRequests"
                && row["Name"] == "aggregate"
                && row["Properties"]["dsr.request.id"] == id
        })
}

/// Holds that the trace of an erasure is whole: one trace from intake to report, each span with its parent.
pub(crate) fn check_erasure(received: &Received, id: &str) {
    let mine: BTreeSet<&str> = received
        .spans
        .iter()
        .filter(|span| span.text("dsr.request.id") == id)
        // To look at a request is no part of its life.
        .filter(|span| span.name != "requests")
        .map(|span| span.trace.as_str())
        .collect();
    assert_eq!(mine.len(), 1, "one trace: {mine:?}");
    let trace = mine.first().copied().unwrap_or_default();
    let mut spans: Vec<&Span> = received
        .spans
        .iter()
        .filter(|it| it.trace == trace)
        .collect();
    spans.sort_by_key(|span| (span.start, span.end));
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|it| (it.id.as_str(), *it)).collect();
    assert_eq!(by_id.len(), spans.len(), "an ID twice");
    let mut roots = Vec::new();
    for span in &spans {
        let what = format!("{} ({:?})", span.name, span.attributes);
        assert!(span.start <= span.end, "{what}");
        assert_eq!(span.resource["service.name"], "appcenter-dsr", "{what}");
        let Some(parent) = by_id.get(span.parent.as_str()) else {
            roots.push(*span);
            continue;
        };
        assert!(parent.start <= span.start, "{what} began before its parent");
        assert_ne!(parent.kind, Kind::Client, "{what}: a call has no children");
        if span.kind == Kind::Client {
            assert!(span.end <= parent.end, "{what} outlived its invocation");
        }
    }
    let [root] = roots[..] else {
        panic!("not one root: {roots:#?}");
    };
    assert_eq!((root.name.as_str(), root.kind), ("intake", Kind::Server));
    let mut met: Vec<&str> = Vec::new();
    for span in spans.iter().filter(|span| span.kind != Kind::Client) {
        if !met.contains(&span.name.as_str()) {
            met.push(&span.name);
        }
    }
    assert_eq!(met, CHAIN);
    let calls: BTreeSet<&str> = spans
        .iter()
        .filter(|span| span.kind == Kind::Client)
        .map(|span| span.text("dsr.api.operation"))
        .collect();
    for operation in ["Errors_DeleteError", "Errors_ErrorGroupsList"] {
        let is_there = calls.iter().any(|it| it.eq_ignore_ascii_case(operation));
        assert!(is_there || operation != "Errors_DeleteError", "{calls:?}");
    }
    // The same trace stands in Application Insights' tables.
    let mut functions: BTreeSet<&str> = BTreeSet::new();
    for (table, row) in &received.rows {
        if *table == "AppRequests" && row["OperationId"] == trace {
            functions.insert(row["Properties"]["faas.name"].as_str().unwrap_or_default());
            assert_eq!(row["AppRoleName"], "appcenter-dsr");
        }
    }
    assert_eq!(functions, BTreeSet::from(CHAIN));
}

/// Names and attributes of a table of the page.
fn promised(heading: &str, names: usize) -> BTreeMap<String, BTreeSet<String>> {
    let mut promised = BTreeMap::new();
    for row in table(&read("docs/TELEMETRY.md"), heading) {
        for name in quoted(&row[0]) {
            let all: BTreeSet<String> = row[1..names].iter().flat_map(|it| quoted(it)).collect();
            promised.insert(name, all);
        }
    }
    promised
}

/// Holds that nothing was received that the page does not promise: names, units, attributes.
pub(crate) fn check_names(received: &Received) {
    let known: BTreeSet<String> = promised("## Attributes", 1).into_keys().collect();
    let of_http = [
        "faas.trigger",
        "error.type",
        "http.request.method",
        "http.request.resend_count",
        "http.response.status_code",
        "http.route",
        "messaging.system",
        "messaging.operation.type",
        "server.address",
    ];
    let is_known = |key: &str| known.contains(key) || of_http.contains(&key);
    for span in &received.spans {
        for key in span.attributes.keys() {
            assert!(is_known(key), "{}: {key}", span.name);
        }
    }
    let metrics = promised("## Metrics", 3);
    for point in &received.points {
        let promised = metrics.get(&point.metric);
        let promised = promised.unwrap_or_else(|| panic!("{} is not promised", point.metric));
        for key in point.attributes.keys().chain([&point.unit]) {
            assert!(promised.contains(key), "{}: {key}", point.metric);
        }
        assert!(point.kind == "gauge" || point.is_delta, "{}", point.metric);
    }
    let events = promised("## Events", 3);
    for log in &received.logs {
        let name = log.attributes["event.name"].as_str().unwrap_or_default();
        let promised = events.get(name);
        let promised = promised.unwrap_or_else(|| panic!("{name:?} is not promised"));
        for key in log.attributes.keys().filter(|key| *key != "event.name") {
            assert!(promised.contains(key), "{name}: {key}");
        }
        assert!(log.severity >= 13 && log.body.is_string(), "{log:?}");
        assert!(!log.trace.is_empty() && !log.span.is_empty(), "{log:?}");
    }
}

/// Holds that what an undisturbed erasure counts is right.
pub(crate) fn check_metrics(received: &Received) {
    let sum = |metric: &str, attributes: &[(&str, &str)]| -> f64 {
        let points = received.points.iter().filter(|it| it.metric == metric);
        let points = points.filter(|it| {
            let mut wanted = attributes.iter();
            wanted.all(|(key, value)| it.attributes.get(*key) == Some(&json!(value)))
        });
        points.map(|it| it.value).sum()
    };
    for (metric, attributes, expected) in [
        (
            "dsr.request.received",
            &[
                ("dsr.request.kind", "delete"),
                ("dsr.request.source", "http"),
            ][..],
            1.0,
        ),
        (
            "dsr.request.received",
            &[
                ("dsr.request.kind", "export"),
                ("dsr.request.source", "queue"),
            ],
            1.0,
        ),
        ("dsr.request.ended", &[("dsr.request.kind", "delete")], 1.0),
        ("dsr.request.ended", &[("dsr.request.kind", "export")], 1.0),
        ("dsr.poison.messages", &[], 0.0),
        ("dsr.search.unreadable", &[], 0.0),
    ] {
        let found = sum(metric, attributes);
        assert!(
            (found - expected).abs() < 0.5,
            "{metric} {attributes:?}: {found}"
        );
    }
    for metric in [
        "dsr.request.duration",
        "dsr.slice.ended",
        "dsr.items",
        "dsr.search.bytes",
        "dsr.search.records",
        "dsr.search.matches",
        "dsr.stage.duration",
        "dsr.sweep.duration",
        "http.client.request.duration",
        "dsr.api.budget.used",
        "dsr.api.budget.limit",
    ] {
        assert!(sum(metric, &[]) > 0.0, "{metric}");
    }
    // Nothing is open: zeros, for every pair.
    let open = received
        .points
        .iter()
        .filter(|it| it.metric == "dsr.request.open");
    let open: Vec<f64> = open.map(|it| it.value).collect();
    assert!(open.len() >= 9 && open.len().is_multiple_of(9), "{open:?}");
}

/// The handler in this process, whose telemetry goes to a sink.
struct Observed {
    pump: Pump,
    sink: Sink,
    app: Arc<App>,
    router: Router,
    sweeps: usize,
}

impl Observed {
    async fn start() -> anyhow::Result<Self> {
        let mut pump = Pump::start(World::parse(SMALL)?).await?;
        let sink = Sink::start().await?;
        pump.set(
            "APPLICATIONINSIGHTS_CONNECTION_STRING",
            &sink.connection_string(),
        );
        let app = Arc::new(pump.app(Disturb::nothing().probe)?);
        app.store.prepare().await?;
        let router = build_handler(Arc::clone(&app));
        Ok(Self {
            pump,
            sink,
            app,
            router,
            sweeps: 0,
        })
    }

    async fn post(&self, path: &str, body: &Value) -> anyhow::Result<StatusCode> {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))?;
        Ok(self.router.clone().oneshot(request).await?.status())
    }

    /// Delivers a message to a function.
    async fn deliver(&self, function: &str, text: &str) -> anyhow::Result<StatusCode> {
        let body = json!({ "Data": { "message": text }, "Metadata": {} });
        self.post(&format!("/{function}"), &body).await
    }

    /// What the answer to a message has the host log.
    async fn logs(&self, function: &str, text: &str) -> anyhow::Result<Value> {
        let body = json!({ "Data": { "message": text }, "Metadata": {} });
        let request = Request::post(format!("/{function}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))?;
        let answer = self.router.clone().oneshot(request).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        let mut answer: Value = serde_json::from_slice(&body)?;
        Ok(answer["Logs"].take())
    }

    async fn sweep(&mut self) -> anyhow::Result<()> {
        let status = self
            .post("/sweep", &json!({ "Data": {}, "Metadata": {} }))
            .await?;
        anyhow::ensure!(status == StatusCode::OK, "sweep: {status}");
        self.sweeps += 1;
        Ok(())
    }

    /// The alerts that fire so many minutes from now, over everything that was emitted.
    async fn firing(&self, minutes: i64) -> anyhow::Result<BTreeSet<String>> {
        self.app.telemetry.stop(Duration::from_secs(30)).await;
        let sweeps = |received: &Received| -> f64 {
            let rows = received
                .rows
                .iter()
                .filter(|(table, _)| *table == "AppMetrics");
            let rows = rows.filter(|(_, row)| row["Name"] == "dsr.sweep.duration");
            rows.filter_map(|(_, row)| row["ItemCount"].as_f64()).sum()
        };
        let all = f64::from(u32::try_from(self.sweeps)?) - 0.5;
        let limit = Duration::from_secs(60);
        let received = self.sink.wait(limit, |it| sweeps(it) > all).await?;
        let now = clock_now().checked_add(Length::new().minutes(minutes))?;
        evaluate(&received, now).await
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "telemetry tells the real time, and queries are asked at one"
)]
fn clock_now() -> Timestamp {
    Timestamp::now()
}

fn alerts() -> Vec<PathBuf> {
    let folder = std::fs::read_dir(root().join("infra/queries/alerts")).expect("a folder");
    let mut files: Vec<PathBuf> = folder.map(|it| it.expect("a file").path()).collect();
    files.sort();
    assert_eq!(files.len(), 6);
    files
}

/// The evaluator, with what it needs installed.
fn evaluator() -> anyhow::Result<Command> {
    let folder = root().join("dev/kql");
    azurite::npm_ci(&folder)?;
    let mut node = Command::new("node");
    node.arg(folder.join("evaluate.js"));
    Ok(node)
}

/// The alerts whose query gives a row at a time.
async fn evaluate(received: &Received, now: Timestamp) -> anyhow::Result<BTreeSet<String>> {
    let mut tables: BTreeMap<&str, Vec<&serde_json::Map<String, Value>>> = BTreeMap::new();
    for (table, row) in &received.rows {
        tables.entry(table).or_default().push(row);
    }
    let file = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(&file, &tables)?;
    let mut node = evaluator()?;
    node.arg(file.path()).arg(now.to_string()).args(alerts());
    let output = tokio::task::spawn_blocking(move || node.output()).await??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    anyhow::ensure!(output.status.success(), "{said}");
    let found: BTreeMap<String, Vec<Value>> = serde_json::from_slice(&output.stdout)?;
    assert_eq!(found.len(), 6);
    let firing = found.into_iter().filter(|(_, rows)| !rows.is_empty());
    let names = firing.map(|(path, _)| {
        let stem = std::path::Path::new(&path)
            .file_stem()
            .map(ToOwned::to_owned);
        stem.unwrap_or_default().to_string_lossy().into_owned()
    });
    Ok(names.collect())
}

#[test]
fn the_evaluator_does_what_kql_does() -> anyhow::Result<()> {
    let output = evaluator()?.arg("--self-check").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_alert_fires_when_it_should_and_not_before() -> anyhow::Result<()> {
    let mut run = Observed::start().await?;
    let mut expected: BTreeSet<String> = BTreeSet::new();
    run.sweep().await?;
    assert_eq!(run.firing(0).await?, expected, "nothing has happened");
    assert_eq!(
        run.firing(28).await?,
        expected,
        "the sweep is seen for half an hour"
    );
    let silent = BTreeSet::from(["silent".to_owned()]);
    assert_eq!(run.firing(31).await?, silent, "no sweep for half an hour");

    let queue = run.app.store.queue("delete-poison");
    queue.create_if_missing().await?;
    queue.send("not one of ours", Duration::ZERO).await?;
    run.sweep().await?;
    expected.insert("poison".to_owned());
    assert_eq!(run.firing(0).await?, expected);

    // Found standing still once is no alert: to wake it may have helped.
    let request = run.pump.sim.world(|world| world.request("known").cloned());
    let document = request.context("the world has it")?.document;
    assert_eq!(
        run.post("/api/requests", &document).await?,
        StatusCode::ACCEPTED
    );
    let listed = run.pump.blobs("open/").await?;
    let id: RequestId = listed[0].trim_start_matches("open/").parse()?;
    for is_again in [false, true] {
        run.pump
            .account
            .queue("export-configure")?
            .clear(None)
            .await?;
        run.pump.clock.advance(Duration::from_secs(3600));
        run.sweep().await?;
        if is_again {
            expected.insert("standing-still".to_owned());
        }
        assert_eq!(run.firing(0).await?, expected, "again: {is_again}");
    }

    // An invocation that fails comes again; the third is an alert.
    for n in 1..=3 {
        let status = run.deliver("block", "no message").await?;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        if n == 3 {
            expected.insert("stage-failing".to_owned());
        }
        if n > 1 {
            assert_eq!(run.firing(0).await?, expected, "{n}");
        }
    }

    // A disabled export that nobody may enable.
    run.pump.sim.set_export_state("shop", ExportState::Disabled);
    let configure = Message::step(&id, 1, Step::Configure, None).text();
    let delivered = run.deliver("export-configure", &configure).await?;
    assert_eq!(delivered, StatusCode::OK);
    expected.insert("export-disabled".to_owned());
    assert_eq!(run.firing(0).await?, expected);

    run.pump.clock.advance(Duration::from_secs(25 * 24 * 3600));
    run.sweep().await?;
    expected.insert("due-soon".to_owned());
    assert_eq!(run.firing(0).await?, expected);

    // Each looks back as far as it says.
    let later = ["export-disabled", "silent", "standing-still"].map(str::to_owned);
    assert_eq!(run.firing(32).await?, BTreeSet::from(later));
    let later = ["export-disabled", "silent"].map(str::to_owned);
    assert_eq!(run.firing(45).await?, BTreeSet::from(later));
    assert_eq!(run.firing(65).await?, silent);
    Ok(())
}

/// A token that is refused waits for a person, which is an alert at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_slice_that_waits_for_a_person_is_an_alert() -> anyhow::Result<()> {
    let mut run = Observed::start().await?;
    let request = run.pump.sim.world(|world| world.request("known").cloned());
    let document = request.context("the world has it")?.document;
    assert_eq!(
        run.post("/api/requests", &document).await?,
        StatusCode::ACCEPTED
    );
    let listed = run.pump.blobs("open/").await?;
    let id: RequestId = listed[0].trim_start_matches("open/").parse()?;
    run.pump.sim.faults().add(Fault {
        operation: None,
        skip: 0,
        count: 3,
        kind: FaultKind::Status { status: 401 },
    });
    let configure = Message::step(&id, 1, Step::Configure, None).text();
    run.deliver("export-configure", &configure).await?;
    // The slice itself: the host logs with its invocation what it came to, and why.
    let slice = Message::step(&id, 1, Step::Configure, Some(0)).text();
    let logs = run.logs("export-configure", &slice).await?;
    let told = format!(
        "export-configure: retried, request.id {id}, request.run 1, step configure, slice 0"
    );
    assert_eq!(logs[0], told.as_str(), "{logs}");
    let why = logs[1].as_str().unwrap_or_default();
    assert!(why.starts_with("a slice is tried again, "), "{logs}");
    assert!(why.contains("APPCENTER_API_TOKEN"), "{logs}");
    run.sweep().await?;
    let expected = BTreeSet::from(["stage-failing".to_owned()]);
    assert_eq!(run.firing(0).await?, expected);
    let rows = run.sink.received().rows;
    let retried = rows.iter().find(|(table, row)| {
        *table == "AppTraces" && row["Properties"]["event.name"] == "dsr.slice.retried"
    });
    let (_, retried) = retried.context("it is told")?;
    assert_eq!(retried["Properties"]["dsr.wait"], "person");
    assert_eq!(retried["Properties"]["dsr.request.id"], id.as_str());
    let calls = rows.iter().filter(|(table, row)| {
        *table == "AppDependencies" && row["Properties"]["dsr.api.outcome"] == "unauthorized"
    });
    let calls: Vec<_> = calls.collect();
    assert!(!calls.is_empty(), "the call is told");
    for (_, call) in calls {
        assert_eq!(call["Success"], false);
        assert_eq!(call["ResultCode"], "401");
        assert_eq!(call["Data"], "", "no address");
    }
    Ok(())
}
