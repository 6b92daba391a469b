//! The commands against a small stand-in for the service's HTTP API.

mod commands;
mod download;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use clap::Parser;
use sha2::{Digest as _, Sha256};

use crate::cli::requests::show::hex;
use crate::cli::requests::{Requests, execute};

const ID: &str = "0123456789abcdef0123456789abcdef";

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    requests: Requests,
}

#[derive(Default)]
struct World {
    package: Vec<u8>,
    /// The hash that is claimed.
    sha256: String,
    /// What goes wrong with the next package calls: a status, or 0 for a connection that breaks half way.
    faults: Vec<u16>,
    /// Answers to status calls, the last of them for ever.
    statuses: Vec<(u16, String)>,
    calls: Vec<(String, Option<String>)>,
}

type Shared = State<Arc<Mutex<World>>>;

struct Service {
    url: String,
    world: Arc<Mutex<World>>,
}

async fn package(State(world): Shared, headers: HeaderMap) -> Response {
    let mut world = world.lock().expect("no panic");
    let range = headers["range"].to_str().expect("text").to_owned();
    world.calls.push((range.clone(), None));
    let fault = (!world.faults.is_empty()).then(|| world.faults.remove(0));
    if let Some(status) = fault.filter(|status| *status != 0) {
        return StatusCode::from_u16(status)
            .expect("a status")
            .into_response();
    }
    let (first, last) = range["bytes=".len()..].split_once('-').expect("a range");
    let (first, last): (usize, usize) = (first.parse().expect("n"), last.parse().expect("n"));
    // As the real service, it may give less than was asked for.
    let last = last.min(first + 99).min(world.package.len() - 1);
    let size = world.package.len();
    let bytes = Bytes::copy_from_slice(&world.package[first..=last]);
    let body = if fault == Some(0) {
        let half = bytes.slice(..bytes.len() / 2);
        let pieces = [Ok(half), Err(std::io::Error::other("broken"))];
        Body::from_stream(futures::stream::iter(pieces))
    } else {
        Body::from(bytes)
    };
    Response::builder()
        .status(206)
        .header("content-range", format!("bytes {first}-{last}/{size}"))
        .header("x-content-sha256", &world.sha256)
        .body(body)
        .expect("a response")
}

async fn status(State(world): Shared) -> Response {
    let mut world = world.lock().expect("no panic");
    let (code, body) = match world.statuses.len() {
        0 => (404, String::new()),
        1 => world.statuses[0].clone(),
        _ => world.statuses.remove(0),
    };
    let code = StatusCode::from_u16(code).expect("a status");
    (code, body).into_response()
}

async fn part(Path((_id, part)): Path<(String, String)>) -> Response {
    let plan = "{\"schema\": 1}\n";
    match part.as_str() {
        "plan" => ([("plan-sha256", hex(&Sha256::digest(plan)))], plan).into_response(),
        _ => "# Report\n".into_response(),
    }
}

async fn list(Query(query): Query<HashMap<String, String>>) -> Response {
    let body = match query.get("after").map(String::as_str) {
        None => format!(r#"{{"values":[{{"id":"{ID}","kind":"delete","status":"running","due":"2026-12-20","days_left":29,"reference":"CRM-1\u001b[31m"}}],"next":"m"}}"#),
        Some(_) => r#"{"values":[{"id":"m-1","at":"2026-11-21T00:00:00Z","faults":[{"pointer":"/kind","detail":"required"}]}]}"#.to_owned(),
    };
    body.into_response()
}

async fn act(
    State(world): Shared,
    headers: HeaderMap,
    path: Option<Path<(String, String)>>,
    body: String,
) -> Response {
    let key = headers
        .get("x-functions-key")
        .map(|key| key.to_str().expect("text").to_owned());
    let action = path.map_or("submit".to_owned(), |Path((_id, action))| action);
    world
        .lock()
        .expect("no panic")
        .calls
        .push((format!("{action} {body}"), key));
    let running = format!(r#"{{"id":"{ID}","status":"running","next_action":"nothing"}}"#);
    match action.as_str() {
        "approve" => {
            let problem = r#"{"type":"about:blank","title":"Precondition failed","status":412,"detail":"another plan","errors":[{"pointer":"/plan_sha256","detail":"not it"}]}"#;
            (StatusCode::PRECONDITION_FAILED, problem).into_response()
        }
        "cancel" => StatusCode::UNAUTHORIZED.into_response(),
        "submit" => (StatusCode::ACCEPTED, running).into_response(),
        _ => running.into_response(),
    }
}

impl Service {
    async fn start(world: World) -> Self {
        let world = Arc::new(Mutex::new(world));
        let router = Router::new()
            .route("/api/requests", get(list).post(act))
            .route("/api/requests/{id}", get(status))
            .route("/api/requests/{id}/package", get(package))
            .route("/api/requests/{id}/{part}", get(part))
            .route("/api/requests/{id}/{part}", post(act))
            .with_state(Arc::clone(&world));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, world }
    }

    /// Exit code or error, output, and what was said on standard error.
    async fn run(&self, arguments: &[&str]) -> (Option<u8>, String, String) {
        let mut all = vec!["requests", "--url", &self.url];
        all.extend(arguments);
        let cli = Cli::try_parse_from(all).expect("arguments are right");
        let lookup = |name: &str| (name == "DSR_DECIDE_KEY").then(|| "canary-key".to_owned());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let result = execute(&cli.requests, &lookup, &mut out, &mut err).await;
        let code = result
            .map_err(|failure| failure.print(&mut err).expect("memory takes it"))
            .ok();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (code, text(out), text(err))
    }

    fn calls(&self) -> Vec<(String, Option<String>)> {
        self.world.lock().expect("no panic").calls.clone()
    }
}
