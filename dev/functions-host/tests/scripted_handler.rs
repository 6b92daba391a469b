//! A custom handler that does what its messages say, and writes down what it was sent.
//!
//! A message is `{"do": …}`: `ok`, `fail`, `empty`, `null`, `text`, `exit:N`, `die` (SIGABRT), `sleep:MS`, `hang`,
//! `output:JSON`. What is no such JSON is `ok`. Each request is one JSON line in the file named by `RECORD`. `START`
//! says how the process starts: `exit:N` ends it at once, `once-exit:N` ends only the first one, `slow:MS` waits.

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri, header};
use serde_json::{Value, json};

struct Recorder(PathBuf);

impl Recorder {
    fn write(&self, line: &Value) {
        let file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(&self.0);
        if let Ok(mut file) = file {
            // One write for a line, so that lines of concurrent requests stay whole.
            let _ = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "this process is a fixture: its environment is its input"
)]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

#[expect(clippy::exit, reason = "the fixture's job is to end in many ways")]
fn end(code: &str) -> ! {
    std::process::exit(code.parse().unwrap_or(1))
}

fn main() -> anyhow::Result<()> {
    let recorder = Recorder(PathBuf::from(variable("RECORD")));
    let before = std::fs::read_to_string(&recorder.0).unwrap_or_default();
    recorder.write(&json!({
        "started": std::process::id(),
        "arguments": std::env::args().skip(1).collect::<Vec<_>>(),
        "folder": std::env::current_dir()?,
        "port": variable("FUNCTIONS_CUSTOMHANDLER_PORT"),
        "old_port": variable("FUNCTIONS_HTTPWORKER_PORT"),
        "worker": variable("FUNCTIONS_CUSTOMHANDLER_WORKER_ID"),
        "root": variable("FUNCTIONS_APP_ROOT_PATH"),
        "setting": variable("SETTING"),
    }));
    let start = variable("START");
    match start.split_once(':') {
        Some(("exit", code)) => end(code),
        Some(("once-exit", code)) if before.is_empty() => end(code),
        Some(("slow", ms)) => std::thread::sleep(Duration::from_millis(ms.parse()?)),
        _ => {}
    }
    serve(recorder)
}

#[tokio::main]
async fn serve(recorder: Recorder) -> anyhow::Result<()> {
    let port: u16 = variable("FUNCTIONS_CUSTOMHANDLER_PORT").parse()?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await?;
    let router = Router::new()
        .fallback(answer)
        .with_state(Arc::new(recorder));
    axum::serve(listener, router).await?;
    Ok(())
}

async fn answer(
    State(recorder): State<Arc<Recorder>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let shown: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let text = String::from_utf8_lossy(&body);
    recorder.write(&json!({
        "pid": std::process::id(),
        "method": method.as_str(),
        "uri": uri.to_string(),
        "headers": shown,
        "body": text,
    }));
    if uri.path().to_ascii_lowercase().starts_with("/api/") {
        return forwarded(&uri, &text);
    }
    let command = command(&text);
    let (verb, rest) = command.split_once(':').unwrap_or((&command, ""));
    match verb {
        "fail" => reply(
            StatusCode::INTERNAL_SERVER_ERROR,
            "application/json",
            r#"{"Logs":["lost"]}"#,
        ),
        "empty" => reply(StatusCode::OK, "application/json", ""),
        "null" => reply(StatusCode::OK, "application/json", "null"),
        "text" => reply(StatusCode::OK, "text/plain", "{}"),
        "exit" => end(rest),
        "die" => std::process::abort(),
        "hang" => std::future::pending().await,
        "output" => reply(StatusCode::OK, "application/json", rest),
        "sleep" => {
            tokio::time::sleep(Duration::from_millis(rest.parse().unwrap_or(0))).await;
            reply(StatusCode::OK, "application/json; charset=utf-8", "{}")
        }
        _ => {
            let logged = r#"{"Outputs":{},"Logs":["a line of the handler"],"ReturnValue":null}"#;
            reply(StatusCode::OK, "application/json; charset=utf-8", logged)
        }
    }
}

/// What the message says, from the doubly encoded text that the host sends.
fn command(body: &str) -> String {
    let found = || {
        let body: Value = serde_json::from_str(body).ok()?;
        let data = body.get("Data")?.as_object()?.values().next()?.as_str()?;
        let text: String = serde_json::from_str(data).ok()?;
        let message: Value = serde_json::from_str(&text).ok()?;
        Some(message.get("do")?.as_str()?.to_owned())
    };
    found().unwrap_or_default()
}

fn forwarded(uri: &Uri, body: &str) -> Response<Body> {
    let mut response = if uri.path().ends_with("/missing") {
        reply(
            StatusCode::NOT_FOUND,
            "application/problem+json",
            r#"{"status":404}"#,
        )
    } else if uri.path().ends_with("/moved") {
        let mut response = reply(StatusCode::FOUND, "text/plain", "");
        response.headers_mut().insert(
            header::LOCATION,
            header::HeaderValue::from_static("/api/elsewhere"),
        );
        response
    } else {
        reply(StatusCode::ACCEPTED, "text/plain", body)
    };
    response
        .headers_mut()
        .insert("x-handler", header::HeaderValue::from_static("yes"));
    response
}

fn reply(status: StatusCode, content_type: &'static str, body: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(body.to_owned()));
    *response.status_mut() = status;
    let value = header::HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, value);
    response
}
