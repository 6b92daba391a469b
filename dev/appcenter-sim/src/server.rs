//! From a connection to an operation: audit, retirement, rate limit, faults, token, body, app; in this order.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::audit;
use crate::clock::Clock;
use crate::exporter::{self, Written};
use crate::faults::{FaultKind, Faults};
use crate::ids;
use crate::options::Retirement;
use crate::render;
use crate::reply;
use crate::routes::{self, Call, ErrorShape, Failure, Operation, Reply};
use crate::state::State;

/// The longest body that is read.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) exporting: tokio::sync::Mutex<()>,
    pub(crate) written: Written,
}

impl Shared {
    /// The state, its present brought up to date.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.now = self.clock.now();
        state
    }
}

/// Serves until the sender is dropped.
pub(crate) fn serve(listener: TcpListener, router: Router) -> oneshot::Sender<()> {
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let server = axum::serve(listener, router).with_graceful_shutdown(async move {
            let _ = stopped.await;
        });
        if let Err(error) = server.await {
            tracing::warn!(%error, "the simulator's listener ended");
        }
    });
    stop
}

/// The API, ingestion, and the simulator's own `/_sim/…`.
pub(crate) fn api_router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(move |request: Request| {
        let shared = Arc::clone(&shared);
        async move { api(&shared, request).await }
    })
}

/// The storage host that `location` replies point to.
pub(crate) fn downloads_router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(move |request: Request| {
        let shared = Arc::clone(&shared);
        let (parts, _) = request.into_parts();
        async move { download(&shared, &parts).await }
    })
}

async fn api(shared: &Shared, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let method = parts.method.as_str().to_owned();
    let path = parts.uri.path().to_owned();
    let query = parts.uri.query().unwrap_or("").to_owned();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return reply::response(&gateway(413, "Payload Too Large"));
    };
    if let Some(path) = path.strip_prefix("/_sim/") {
        return reply::response(&routes::control(shared, &method, path, &body).await);
    }
    let header = |name: &str| {
        let value = parts.headers.get(name).and_then(|it| it.to_str().ok());
        value.unwrap_or("").to_owned()
    };
    if path == "/logs" {
        let entry = begin(shared, &method, "ingest", &path);
        let fault = shared.faults.take("ingest");
        let work = || {
            let mut state = shared.state();
            let secret = header("App-Secret").parse();
            let install = header("Install-ID").parse();
            match (secret, install, serde_json::from_slice::<Value>(&body)) {
                (Ok(secret), Ok(install), Ok(body)) => {
                    routes::ingest(&mut state, secret, install, &body["logs"]).0
                }
                _ => gateway(400, "BadRequest"),
            }
        };
        return finish(shared, entry, fault, &|_| work()).await;
    }
    let found = routes::find(&method, &path);
    let operation = found.as_ref().map(|it| it.0);
    let id = operation.map_or("unknown", |it| it.id);
    let entry = begin(shared, &method, id, &path);
    let token = header("X-API-Token");
    if let Some(turned_away) = before(shared, entry, id, &token) {
        return finish(shared, entry, turned_away.1, &|_| turned_away.0.clone()).await;
    }
    let fault = shared.faults.take(id);
    let Some((operation, params)) = found else {
        return finish(shared, entry, fault, &|_| not_found(shared)).await;
    };
    let needs_body = matches!(method.as_str(), "POST" | "PUT" | "PATCH");
    let parsed = if body.is_empty() {
        Ok(Value::Null)
    } else {
        serde_json::from_slice(&body)
    };
    let mut call = Call::new(
        operation,
        params,
        &path,
        &query,
        parsed.as_ref().cloned().unwrap_or(Value::Null),
    );
    let is_bad_body = parsed.is_err();
    let mut refusal = None;
    if matches!(
        id,
        "ExportConfigurations_Create" | "ExportConfigurations_PartialUpdate"
    ) {
        let destination = routes::destination(&shared.state(), &call.body);
        if let Some(destination) = destination
            && !exporter::can_connect(&destination).await
        {
            refusal = Some(Failure::bad_request(
                "Secret validation failed. Either the format is incorrect or couldn't connect to storage account (hierarchical namespace should be disabled)",
            ));
        }
    }
    let is_empty = body.is_empty();
    if let Some(FaultKind::BlobsFailed { count }) = fault {
        call.blobs_failed = count;
    }
    let call = Mutex::new(call);
    let work = |_: &Shared| -> Reply {
        let mut call = call.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = shared.state();
        if let Some(failure) = access(&state, &token, operation, &mut call) {
            return failure;
        }
        if needs_body && is_empty {
            return gateway(411, "Length Required");
        }
        if is_bad_body {
            return Failure::bad_request("The body is not valid JSON.").reply(operation.shape);
        }
        if let Some(refusal) = &refusal {
            return refusal.reply(operation.shape);
        }
        match (operation.run)(&mut state, &call) {
            Ok(reply) => reply,
            Err(failure) => failure.reply(operation.shape),
        }
    };
    finish(shared, entry, fault, &work).await
}

/// Retirement and rate limit.
fn before(
    shared: &Shared,
    entry: usize,
    id: &str,
    token: &str,
) -> Option<(Reply, Option<FaultKind>)> {
    let mut state = shared.state();
    let is_test = id.starts_with("test_") && state.is_test_retired;
    let retirement = state.retirement.or(is_test.then_some(Retirement::NotFound));
    match retirement {
        Some(Retirement::Gone) => return Some((gateway(410, "Gone"), None)),
        Some(Retirement::NotFound) => {
            drop(state);
            return Some((not_found(shared), None));
        }
        Some(Retirement::Silent) => return Some((gateway(410, "Gone"), Some(FaultKind::Reset))),
        None => {}
    }
    let (limit, window) = state.rate_limit?;
    let now = state.now;
    let recent = state.recent_calls.entry(token.to_owned()).or_default();
    while recent
        .front()
        .is_some_and(|at| now.duration_since(*at) >= window)
    {
        recent.pop_front();
    }
    if recent.len() < limit {
        recent.push_back(now);
        return None;
    }
    let oldest = recent.front().copied().unwrap_or(now);
    let wait = (window - now.duration_since(oldest)).max(SignedDuration::from_secs(1));
    let wait = u64::try_from(wait.as_secs() + 1).unwrap_or(1);
    state.audit.calls[entry].is_over_rate = true;
    let header = state.quirks.retry_after.then_some(wait);
    Some((
        reply::too_many_requests(),
        Some(FaultKind::TooManyRequests {
            retry_after: header,
        }),
    ))
}

/// Token and app. Fills in the call's app.
fn access(state: &State, token: &str, operation: &Operation, call: &mut Call) -> Option<Reply> {
    let known = state.tokens.iter().find(|it| it.value == token);
    let Some(token) = known.filter(|it| it.is_valid) else {
        // Seen in practice: the message is a correlation ID and nothing else.
        let id = ids::uuid(&state.world.seed, "correlation", &state.now.to_string());
        let body = json!({ "message": id, "statusCode": 401, "code": "Unauthorized" });
        return Some(Reply::with_status(401, &body));
    };
    if let Some((owner, name)) = call.owner_and_app() {
        let apps = &state.world.apps;
        let index = apps.iter().position(|it| it.name == name);
        let Some(index) = index.filter(|_| owner == state.world.owner) else {
            return Some(reply::not_found_for(state));
        };
        if token.app.as_deref().is_some_and(|it| it != name) {
            let message = "API token does not belong to the requested app.";
            return Some(Failure::new(403, "Forbidden", message).reply(ErrorShape::Gateway));
        }
        call.app = index;
    }
    if token.is_read_only && operation.method != "GET" {
        return Some(gateway(403, "Forbidden"));
    }
    None
}

fn not_found(shared: &Shared) -> Reply {
    reply::not_found_for(&shared.state())
}

/// A reply of the gateway before the service.
pub(crate) fn gateway(status: u16, code: &'static str) -> Reply {
    Failure::new(status, code, code).reply(ErrorShape::Gateway)
}

/// Notes that a call has arrived.
fn begin(shared: &Shared, method: &str, operation_id: &str, path: &str) -> usize {
    let mut state = shared.state();
    let at = state.now;
    state.audit.calls.push(audit::Call {
        at,
        method: method.to_owned(),
        operation_id: operation_id.to_owned(),
        path: path.to_owned(),
        status: 0,
        is_over_rate: false,
    });
    state.audit.calls.len() - 1
}

/// Does the work unless the fault forbids it, notes the status, and spoils the reply as the fault says.
async fn finish(
    shared: &Shared,
    entry: usize,
    fault: Option<FaultKind>,
    work: &(dyn Fn(&Shared) -> Reply + Sync),
) -> Response {
    if let Some(FaultKind::Delay { millis }) = fault {
        tokio::time::sleep(std::time::Duration::from_millis(millis)).await;
    }
    let instead = match &fault {
        Some(kind) => reply::instead(&shared.state(), kind),
        None => None,
    };
    let done = instead.unwrap_or_else(|| {
        let done = work(shared);
        match &fault {
            Some(kind) => reply::after(&shared.state(), kind, done),
            None => done,
        }
    });
    if matches!(fault, Some(FaultKind::Reset | FaultKind::ResetAfter)) {
        // The task of the connection ends here, and the connection with it; no panic hook runs.
        std::panic::resume_unwind(Box::new("the connection is cut on purpose"));
    }
    if let Some(call) = shared.state().audit.calls.get_mut(entry) {
        call.status = done.status;
    }
    match fault {
        None => reply::response(&done),
        Some(kind) => reply::spoilt(&kind, &done),
    }
}

async fn download(shared: &Shared, request: &Parts) -> Response {
    let path = request.uri.path().to_owned();
    let entry = begin(shared, request.method.as_str(), "blob_download", &path);
    if request.headers.contains_key("X-API-Token") {
        shared.state().audit.tokens_leaked += 1;
    }
    let query = request.uri.query().unwrap_or("").to_owned();
    let fault = shared.faults.take("blob_download");
    let work = |_: &Shared| {
        let state = shared.state();
        let signature = url::form_urlencoded::parse(query.as_bytes())
            .find(|it| it.0 == "sig")
            .map(|it| it.1.into_owned());
        if signature != Some(render::signature(&state, &path)) {
            return reply::storage_error(403, "AuthenticationFailed");
        }
        routes::download(&state, &path).unwrap_or_else(|| reply::storage_error(404, "BlobNotFound"))
    };
    finish(shared, entry, fault, &work).await
}
