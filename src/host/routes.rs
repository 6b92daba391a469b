//! The handler's routes: `POST /<function>` for queue and timer triggers, `/api/…` for forwarded HTTP, `GET /` for the
//! host's readiness ping.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures::{FutureExt as _, StreamExt as _};
use serde::Deserialize;
use tracing::Instrument as _;

use super::dispatch;
use super::envelope::Invocation;
use super::http::{Problem, bytes, chain, json};
use super::observe;
use crate::app::App;
use crate::domain::RequestId;
use crate::domain::document::MAX_HTTP_BYTES;
use crate::stages::decide::Decision;
use crate::stages::requests::Part;
use crate::stages::{Context, decide, intake, intake_queue, requests, sweep};
use crate::telemetry;
use crate::work::Error;
use crate::workflow::{Event, Function, Message};

/// Largest invocation that the host can post: a queue message of 64 KiB, escaped twice, with its metadata.
const MAX_INVOCATION: usize = 2 * 1024 * 1024;

/// Most of a refused body that is read, in bytes: the host itself takes no more than 100 MiB.
const MAX_REFUSED: usize = 101 * 1024 * 1024;

/// The path of the timer's function, after which telemetry leaves at once.
const SWEEP: &str = "/sweep";

type Shared = State<Arc<App>>;

/// The handler.
pub fn build_handler(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(ready))
        .route("/{function}", post(invoke))
        .route("/api/requests", get(list).post(file))
        .route("/api/requests/{id}", get(status))
        .route("/api/requests/{id}/{part}", get(show).post(act))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "Not found", "no such route") })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "Not allowed",
                "another method is needed here",
            )
        })
        .layer(DefaultBodyLimit::max(MAX_INVOCATION))
        .layer(middleware::from_fn_with_state(Arc::clone(&app), guard))
        .with_state(app)
}

/// A span for each call, in the log and in telemetry, around its answer.
async fn guard(State(app): Shared, request: Request, next: Next) -> Response {
    let invocation = plain_header(&request, "x-azure-functions-invocationid");
    let trace = plain_header(&request, "traceparent");
    let path = request.uri().path();
    let is_sweep = path == SWEEP;
    let observed = if app.telemetry.is_on() {
        let start = observe::start(request.method(), path, &invocation, &trace);
        start.and_then(|start| app.telemetry.begin(start))
    } else {
        None
    };
    let Some(observed) = observed else {
        return answer(request, next, &invocation, &trace).await;
    };
    let answered = observed.run(answer(request, next, &invocation, &trace));
    let response = answered.await;
    observed.end(response.status().as_u16());
    if is_sweep {
        app.telemetry.flush();
    }
    response
}

/// An answer even where code panics: an empty one would hang the host.
async fn answer(request: Request, next: Next, invocation: &str, trace: &str) -> Response {
    let span = tracing::info_span!("invocation", id = %invocation, traceparent = %trace);
    let request = match refuse_too_large(request).await {
        Ok(request) => request,
        Err(problem) => return problem.into_response(),
    };
    let answer = std::panic::AssertUnwindSafe(next.run(request)).catch_unwind();
    match answer.instrument(span).await {
        Ok(response) => as_problem(response),
        Err(_panic) => {
            tracing::error!("an invocation panicked");
            telemetry::failed("the code panicked");
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Internal error",
                "the handler failed",
            )
            .into_response()
        }
    }
}

/// Refuses a body that is too large, after it was read to its end: a connection that closes while the host still writes
/// looks to it like a handler that broke. The host sends bodies in chunks and announces no length.
async fn refuse_too_large(request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let mut body = body.into_data_stream();
    let mut kept = Vec::new();
    let mut read = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|_error| {
            Problem::new(
                StatusCode::BAD_REQUEST,
                "Cut off",
                "the body could not be read to its end",
            )
        })?;
        read += chunk.len();
        if read <= MAX_INVOCATION {
            kept.extend_from_slice(&chunk);
        } else if read > MAX_REFUSED {
            break;
        }
    }
    if read > MAX_INVOCATION {
        return Err(too_large(MAX_INVOCATION));
    }
    Ok(Request::from_parts(parts, Body::from(kept)))
}

/// What axum itself refuses (a body that is too large, a path that is not UTF-8, a query that cannot be read) is plain
/// text that repeats parts of the call: the host wants JSON, and our callers a problem.
fn as_problem(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_ours = kind.is_some_and(|kind| kind.as_bytes().ends_with(b"json"));
    if is_ours || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let title = status.canonical_reason().unwrap_or("Refused");
    Problem::new(status, title, "the call cannot be read").into_response()
}

/// A header that is an ID; anything else could be somebody's text and is left out of the log.
fn plain_header(request: &Request, name: &str) -> String {
    let value = request
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok());
    let is_id = |value: &&str| {
        value.len() <= 100
            && value
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    value.filter(is_id).unwrap_or_default().to_owned()
}

async fn ready() -> Response {
    bytes(
        StatusCode::OK,
        "application/json",
        Bytes::from_static(b"{}"),
    )
}

/// An invocation of a queue or timer function.
async fn invoke(State(app): Shared, Path(name): Path<String>, body: Bytes) -> Response {
    let Some(function) = Function::of_name(&name) else {
        return Problem::new(StatusCode::NOT_FOUND, "Not found", "no such function")
            .into_response();
    };
    match run(&app, function, &body).await {
        // The host wants JSON, never an empty body.
        Ok(()) => {
            // The host logs these with the invocation: lines on standard output are not told apart by it.
            let lines = serde_json::Value::from(telemetry::lines());
            let answer = format!(r#"{{"Outputs":{{}},"Logs":{lines},"ReturnValue":null}}"#);
            bytes(StatusCode::OK, "application/json", Bytes::from(answer))
        }
        Err(error) => {
            tracing::error!(function = function.name(), error = %chain(&error), "stored state could not be used");
            telemetry::failed(&error.to_string());
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "Stored state could not be used",
                error.to_string(),
            )
            .into_response()
        }
    }
}

async fn run(app: &Arc<App>, function: Function, body: &[u8]) -> Result<(), Error> {
    let cx = Context::new(app);
    if function == Function::Sweep {
        let swept = Box::pin(sweep::run(cx)).await?;
        return Box::pin(dispatch::after_sweep(cx, swept)).await;
    }
    let unreadable = |reason: String| Error::Corrupt {
        what: "a queue message",
        reason,
    };
    let invocation = Invocation::parse(body).map_err(|error| unreadable(error.to_string()))?;
    let text = invocation
        .queue_text()
        .map_err(|error| unreadable(error.to_string()))?;
    if function == Function::IntakeQueue {
        let accepted = intake_queue::run(cx, &text).await?;
        return match accepted {
            Some(accepted) => start(cx, &accepted, "queue").await,
            None => Ok(()),
        };
    }
    match Message::parse(&text) {
        Ok(message) => Box::pin(dispatch::invoke(app, message)).await,
        Err(reason) => {
            // It will never be one of ours. A failure sends it to the poison queue, where `sweep` reports it.
            Err(unreadable(reason.to_owned()))
        }
    }
}

async fn start(
    cx: Context<'_>,
    accepted: &intake::Accepted,
    source: &'static str,
) -> Result<(), Error> {
    if let intake::Accepted::New(record) = accepted {
        observe::accepted(record, source);
    }
    if !accepted.is_to_start() {
        return Ok(());
    }
    let record = accepted.record();
    dispatch::advance(cx, &record.id, record.run, Event::Accepted).await
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|it| it.to_str().ok());
    kind.and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| {
            let kind = kind.trim().to_ascii_lowercase();
            kind == "application/json"
                || (kind.starts_with("application/") && kind.ends_with("+json"))
        })
}

fn needs_json() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Not JSON",
        "send the document as application/json",
    )
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "Too large",
        format!("the body may have {} KiB", limit / 1024),
    )
}

async fn file(State(app): Shared, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    if !is_json(&headers) {
        return Err(needs_json());
    }
    if body.len() > MAX_HTTP_BYTES {
        return Err(too_large(MAX_HTTP_BYTES));
    }
    let cx = Context::new(&app);
    let accepted = intake::run(cx, &body).await?;
    start(cx, &accepted, "http")
        .await
        .map_err(requests::Refusal::from)?;
    let id = accepted.record().id.clone();
    let status = match &accepted {
        intake::Accepted::New(_) => StatusCode::ACCEPTED,
        intake::Accepted::Known(_) => StatusCode::OK,
    };
    let view = requests::status(cx, &id).await?;
    let mut response = json(status, &view);
    let location = HeaderValue::from_str(&format!("/api/requests/{id}"));
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

#[derive(Debug, Default, Deserialize)]
struct ListQuery {
    status: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

async fn list(State(app): Shared, Query(query): Query<ListQuery>) -> Result<Response, Problem> {
    let query = requests::Query::read(query.status, query.limit.as_deref(), query.after)?;
    let listed = requests::list(Context::new(&app), &query).await?;
    Ok(json(StatusCode::OK, &listed))
}

fn request_id(id: &str) -> Result<RequestId, Problem> {
    id.parse().map_err(|_error| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "Not found",
            "a request's ID is 32 hex digits",
        )
    })
}

async fn status(State(app): Shared, Path(id): Path<String>) -> Result<Response, Problem> {
    let view = requests::status(Context::new(&app), &request_id(&id)?).await?;
    Ok(json(StatusCode::OK, &view))
}

#[derive(Debug, Default, Deserialize)]
struct ShowQuery {
    link: Option<String>,
    run: Option<String>,
    format: Option<String>,
}

async fn show(
    State(app): Shared,
    Path((id, part)): Path<(String, String)>,
    Query(query): Query<ShowQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let id = request_id(&id)?;
    let cx = Context::new(&app);
    match part.as_str() {
        "plan" => {
            let (plan, sha256) = requests::plan(cx, &id).await?;
            let mut response = bytes(StatusCode::OK, "application/json", plan);
            set(&mut response, "plan-sha256", &sha256);
            set(&mut response, "etag", &format!("\"{sha256}\""));
            Ok(response)
        }
        "report" => {
            let accept = headers.get(header::ACCEPT).and_then(|it| it.to_str().ok());
            let wants_markdown = query.format.as_deref() == Some("md")
                || accept.is_some_and(|accept| accept.contains("text/markdown"));
            let (extension, kind) = if wants_markdown {
                ("md", "text/markdown; charset=utf-8")
            } else {
                ("json", "application/json")
            };
            let run = match query.run.as_deref().map(str::parse) {
                None => None,
                Some(Ok(run)) => Some(run),
                Some(Err(_)) => {
                    let reason = "`run` is the number of a run".to_owned();
                    return Err(requests::Refusal::BadQuery(reason).into());
                }
            };
            let report = requests::report(cx, &id, run, extension).await?;
            Ok(bytes(StatusCode::OK, kind, report))
        }
        "package" => match query.link {
            Some(valid_for) => {
                let link = requests::link(cx, &id, &valid_for).await?;
                Ok(json(StatusCode::OK, &link))
            }
            None => package(cx, &id, &headers).await,
        },
        _ => Err(Problem::new(
            StatusCode::NOT_FOUND,
            "Not found",
            "one of plan, report, package",
        )),
    }
}

async fn package(
    cx: Context<'_>,
    id: &RequestId,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let range = headers.get(header::RANGE).and_then(|it| it.to_str().ok());
    let package = requests::package(cx, id, range).await?;
    let mut response = match package.part {
        Part::Whole(stream) => {
            let chunks = futures::stream::try_unfold(stream, |mut stream| async move {
                let chunk = stream.next().await?;
                Ok::<_, crate::storage::Error>(chunk.map(|chunk| (chunk, stream)))
            });
            let mut response = Response::new(Body::from_stream(chunks));
            set(&mut response, "content-length", &package.size.to_string());
            response
        }
        Part::Range(first, bytes) => {
            let last = first + u64::try_from(bytes.len()).unwrap_or(0).saturating_sub(1);
            let mut response = Response::new(Body::from(bytes));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(
                &mut response,
                "content-range",
                &format!("bytes {first}-{last}/{}", package.size),
            );
            response
        }
    };
    set(&mut response, "content-type", "application/zip");
    set(&mut response, "accept-ranges", "bytes");
    set(&mut response, "etag", &format!("\"{}\"", package.sha256));
    set(&mut response, "x-content-sha256", &package.sha256);
    let name = format!("attachment; filename=\"{id}.zip\"");
    set(&mut response, "content-disposition", &name);
    Ok(response)
}

fn set(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

async fn act(
    State(app): Shared,
    Path((id, action)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let id = request_id(&id)?;
    let Some(decision) = Decision::of_name(&action) else {
        let detail = "one of approve, reject, cancel, extend, retry";
        return Err(Problem::new(StatusCode::NOT_FOUND, "Not found", detail));
    };
    if !is_json(&headers) {
        return Err(needs_json());
    }
    if body.len() > decide::MAX_BODY {
        return Err(too_large(decide::MAX_BODY));
    }
    let cx = Context::new(&app);
    let decided = decide::run(cx, &id, decision, &body).await?;
    dispatch::send_all(cx, &decided.messages)
        .await
        .map_err(requests::Refusal::from)?;
    if decided.record.status.is_ended() {
        observe::ended(&decided.record, None);
        sweep::close(cx, &decided.record)
            .await
            .map_err(requests::Refusal::from)?;
    }
    let view = requests::status(cx, &id).await?;
    Ok(json(StatusCode::OK, &view))
}
