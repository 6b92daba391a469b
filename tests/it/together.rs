//! Requests that come while a pass over a day runs: they join where it is, and only what they missed is read again, once
//! for all of them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use appcenter_dsr::clock::Clock as _;
use appcenter_dsr::host::dispatch;
use appcenter_dsr::work::names;
use appcenter_dsr::workflow::{Message, Step};
use appcenter_sim::World;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use azurite::Account;
use futures::TryStreamExt as _;
use stack::Stack;
use telemetry_sink::{Sink, Span};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::harness::{LIMIT, azurite, settings};
use crate::kill_at::KillAt;
use crate::pump::{Disturb, Pump};
use crate::sweep::searching;

const SMALL: &str = include_str!("../scenarios/small.toml");
/// Blobs that the day gets beside those of the world: more than are done by then and read ahead.
const BLOBS: usize = 60;
/// Requests that come while the first is searched: more than a host works on at once.
const LATER: usize = 29;
/// The blob at which the first pass is held up.
const HELD: &str = "/00/20/more.data";
/// A little longer than a pass goes without looking for newcomers.
const A_LOOK: Duration = Duration::from_millis(2_500);

/// Stands between the product and the archive, and holds up one blob until it may pass.
struct Gate {
    client: reqwest::Client,
    target: String,
    /// Gets a permit when somebody waits.
    reached: Semaphore,
    /// Has a permit once it is open.
    open: Semaphore,
}

async fn pass(State(gate): State<Arc<Gate>>, request: Request) -> Response {
    let name = request.uri().path().replace("%2F", "/");
    if name.ends_with(HELD) {
        gate.reached.add_permits(1);
        drop(gate.open.acquire().await);
    }
    let path = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let url = format!("{}{path}", gate.target);
    let (mut parts, _) = request.into_parts();
    parts.headers.remove("host");
    let sent = gate.client.request(parts.method, url);
    let Ok(answer) = sent.headers(parts.headers).send().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, headers) = (answer.status(), answer.headers().clone());
    let Ok(body) = answer.bytes().await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let mut response = (status, Body::from(body)).into_response();
    *response.headers_mut() = headers;
    response.headers_mut().remove("transfer-encoding");
    response
}

/// Starts a gate before an account; the account's connection string through it.
async fn gate(account: &Account) -> anyhow::Result<(Arc<Gate>, String)> {
    let text = account.connection_string();
    let endpoint = text
        .split(';')
        .find_map(|part| part.strip_prefix("BlobEndpoint="))
        .context("an emulator's account has an address")?;
    let target = reqwest::Url::parse(endpoint)?
        .origin()
        .ascii_serialization();
    let gate = Arc::new(Gate {
        client: reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(LIMIT)
            .build()?,
        target: target.clone(),
        reached: Semaphore::new(0),
        open: Semaphore::new(0),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let through = endpoint.replace(&target, &format!("http://{}", listener.local_addr()?));
    let router = Router::new().fallback(pass).with_state(Arc::clone(&gate));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let connection = text.replace(endpoint, &through);
    Ok((gate, connection))
}

/// Gives the first day of the archive more blobs; the day, and the bytes that it holds then.
async fn fill(account: &Account) -> anyhow::Result<(String, u64)> {
    let archive = account.container("archive")?;
    let names: Vec<_> = archive.list_blobs(None)?.try_collect().await?;
    let first = names.first().and_then(|blob| blob.name.clone());
    let first = first.context("the world exported something")?;
    let at = first.find("/20").context("a day")? + 1;
    let (before, day) = (&first[..at], &first[at..at + 10]);
    for n in 0..BLOBS {
        let name = format!("{before}{day}/00/{n:02}/more.data");
        let text = format!("{{\"row\":{n},\"text\":\"of nobody\"}}\n").repeat(20);
        let blob = archive.blob_client(&name);
        blob.upload(bytes::Bytes::from(text).into(), None).await?;
    }
    let mut blobs = archive.list_blobs(None)?;
    let mut bytes = 0;
    while let Some(blob) = blobs.try_next().await? {
        if blob.name.is_some_and(|name| name[at..].starts_with(day)) {
            let length = blob.properties.and_then(|it| it.content_length);
            bytes += length.context("a length")?;
        }
    }
    Ok((day.replace('/', "-"), bytes))
}

/// Waits until as many requests wait for the first search of the app.
async fn all_wait(stack: &Stack, count: usize) -> anyhow::Result<()> {
    let work = stack.account.container("dsr")?;
    loop {
        let blobs: Vec<_> = work.list_blobs(None)?.try_collect().await?;
        let names = blobs.into_iter().filter_map(|blob| blob.name);
        let marks = names.filter(|name| name.starts_with("waiting/") && name.ends_with("-find"));
        if marks.count() == count {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_is_read_once_and_what_was_missed_once_more() -> anyhow::Result<()> {
    let sink = Sink::start().await?;
    let emulator = azurite().await;
    let account = emulator.account();
    let (gate, through) = gate(&account).await?;
    let settings = settings()
        .with("ARCHIVE_STORAGE", &through)
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &sink.url());
    let world = World::parse(SMALL)?;
    let stack = Stack::start_on(account, emulator, world, settings).await?;
    let (day, bytes) = fill(&stack.account).await?;
    let export = stack.sim.world(|world| world.request("export").cloned());
    let mut document = export.context("the world has it")?.document;

    let mut ids = vec![stack.api.submit(&document).await?];
    tokio::time::timeout(LIMIT, gate.reached.acquire())
        .await??
        .forget();
    for n in 0..LATER {
        document["reference"] = format!("LATER-{n}").into();
        ids.push(stack.api.submit(&document).await?);
    }
    tokio::time::timeout(LIMIT, all_wait(&stack, ids.len())).await??;
    tokio::time::sleep(A_LOOK).await;
    gate.open.add_permits(1);

    let mut reports = Vec::new();
    for id in &ids {
        let ended = stack.api.wait_ended(id, LIMIT).await?;
        assert_eq!(ended["status"], "completed", "{ended:#}");
        let path = format!("/api/requests/{id}/report");
        let (_, report) = stack.api.json(reqwest::Method::GET, &path, None).await?;
        reports.push(report);
    }
    // Each got what the others got.
    let found = reports[0]["reports"].as_array();
    assert!(found.is_some_and(|it| !it.is_empty()));
    for report in &reports {
        assert_eq!(report["searched"], reports[0]["searched"]);
        assert_eq!(report["reports"], reports[0]["reports"]);
    }
    // Spans leave every five seconds.
    tokio::time::sleep(Duration::from_secs(7)).await;
    let read: u64 = sink
        .received()
        .spans
        .iter()
        .filter(|span| span.name == "blob-search" && span.text("dsr.step") == "find")
        .filter(|span| span.text("dsr.search.day") == day)
        .filter_map(|span: &Span| span.attributes.get("dsr.search.bytes")?.as_u64())
        .sum();
    assert!(read > bytes, "{read} of {bytes}: nothing was missed");
    assert!(read < 2 * bytes, "{read} of {bytes}: they did not join");
    Ok(())
}

/// Each of a hundred requests sends a message for each day, and the pass for one serves them all.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_for_a_day_that_is_over_for_all_asks_nothing_more() -> anyhow::Result<()> {
    let pump = Pump::start(World::parse(SMALL)?).await?;
    let request = pump.sim.world(|world| world.request("known").cloned());
    let document = request.context("the world has it")?.document;
    let (id, message) = searching(&pump, &document).await?;
    let Message::Day { app: of, day, .. } = &message else {
        anyhow::bail!("a search has days");
    };
    let probe = Disturb::nothing().probe;
    let app = pump.app(Arc::clone(&probe))?;
    Box::pin(dispatch::invoke(&app, message.clone())).await?;
    let slice = app.store.slice(&id, 1, Step::Find, 0).await?;
    assert!(slice.state.end.is_some(), "its first day is over");

    // Whoever asks for the day finds it claimed from now on, and has to look again.
    let until = pump.clock.now() + jiff::SignedDuration::from_secs(15);
    let claim = serde_json::json!({ "holder": 0, "until": until }).to_string();
    let name = names::searching(of, *day);
    let work = app.store.container();
    work.put(&name, claim.clone(), "application/json").await?;
    let looks_again = async |app: &appcenter_dsr::app::App, probe: &Arc<KillAt>| {
        probe.sent();
        Box::pin(dispatch::invoke(app, message.clone())).await?;
        anyhow::Ok(!probe.sent().is_empty())
    };
    assert!(!looks_again(&app, &probe).await?, "it is known to be over");
    let other = KillAt::never();
    let fresh = pump.app(Arc::clone(&other))?;
    assert!(looks_again(&fresh, &other).await?, "by this process alone");

    // What wakes a request that stands still sends its days again: they are looked at then, whatever is known.
    let start = Message::step(&id, 1, Step::Find, None);
    Box::pin(dispatch::invoke(&app, start)).await?;
    work.put(&name, claim, "application/json").await?;
    assert!(looks_again(&app, &probe).await?, "it was sent again");
    Ok(())
}
