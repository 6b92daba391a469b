//! The handler alone, spoken to as the host speaks: envelopes as they were captured, in every quoting.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use azurite::Account;
use reqwest::{Method, header};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::harness::azurite;

/// Bytes that a real host posted for a queue message, logged by a handler.
const QUEUE: &str = include_str!("../fixtures/host/queue.json");
/// Bytes that a real host posted for a timer.
const TIMER: &str = include_str!("../fixtures/host/timer.json");
/// The W3C example.
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// How long the handler may take to listen; the host waits 30 s.
const READY: Duration = Duration::from_secs(20);

/// The handler's process, without a host.
struct Handler {
    url: String,
    http: reqwest::Client,
    log: Arc<Mutex<String>>,
    child: Child,
}

/// An answer, its body read.
#[derive(Debug)]
struct Answer {
    status: u16,
    kind: String,
    body: Value,
}

fn command(settings: &[(&str, String)]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_appcenter-dsr")));
    command
        .arg("serve")
        .env_clear()
        .envs(settings.iter().map(|(name, value)| (*name, value.as_str())))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn free_port() -> anyhow::Result<u16> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port())
}

impl Handler {
    /// Starts the handler and waits for the first answer to the host's ping.
    async fn start(storage: String) -> anyhow::Result<Self> {
        let port = free_port()?;
        let mut child = command(&[
            ("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string()),
            ("AzureWebJobsStorage", storage),
            ("APPCENTER_API_URL", "http://127.0.0.1:9".to_owned()),
            ("APPCENTER_API_TOKEN", "t".to_owned()),
        ])
        .spawn()?;
        let log = Arc::new(Mutex::new(String::new()));
        let stdout = child.stdout.take().context("it is piped")?;
        let lines = Arc::clone(&log);
        tokio::spawn(async move {
            let mut reader = BufReader::new(stdout).lines();
            while let Ok(Some(line)) = reader.next_line().await {
                let mut lines = lines.lock().expect("no panic");
                lines.push_str(&line);
                lines.push('\n');
            }
        });
        let handler = Self {
            url: format!("http://127.0.0.1:{port}"),
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(60))
                .build()?,
            log,
            child,
        };
        let end = Instant::now() + READY;
        while handler.call(Method::GET, "/", None).await.is_err() {
            if Instant::now() > end {
                bail!("the handler does not listen");
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(handler)
    }

    /// Sends a call as the host does, its body chunked.
    async fn call(&self, method: Method, path: &str, body: Option<&str>) -> anyhow::Result<Answer> {
        let mut call = self
            .http
            .request(method, format!("{}{path}", self.url))
            .header(header::USER_AGENT, "Azure-Functions-Host/4.1036.1.1")
            .header("x-azure-functions-hostversion", "4.1036.1.1")
            .header(
                "x-azure-functions-invocationid",
                "0d3f8f6e-55b6-4d0c-9a8e-0a3a7f4c6a11",
            )
            .header("traceparent", TRACE);
        if let Some(body) = body {
            let chunks: Vec<Result<Vec<u8>, std::io::Error>> = body
                .as_bytes()
                .chunks(7000)
                .map(|chunk| Ok(chunk.to_vec()))
                .collect();
            call = call
                .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
                .body(reqwest::Body::wrap_stream(futures::stream::iter(chunks)));
        }
        let response = call.send().await?;
        let status = response.status().as_u16();
        let kind = response.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.to_owned();
        let bytes = response.bytes().await?;
        let body = serde_json::from_slice(&bytes).with_context(|| {
            format!(
                "{path} answered {status} with {} bytes, no JSON",
                bytes.len()
            )
        })?;
        Ok(Answer { status, kind, body })
    }

    /// Posts an envelope and holds what the host needs of every answer.
    async fn post(&self, path: &str, body: &str) -> anyhow::Result<Answer> {
        let answer = self.call(Method::POST, path, Some(body)).await?;
        assert_ne!(answer.status, 204, "{path}: the host would hang");
        assert!(answer.body.is_object(), "{path}: {answer:?}");
        let expected = if answer.status == 200 {
            "application/json"
        } else {
            "application/problem+json"
        };
        assert_eq!(answer.kind, expected, "{path}: {answer:?}");
        Ok(answer)
    }

    fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }
}

/// The captured envelope with another text in the place of its message, quoted once more as the host does.
fn envelope(text: &str) -> Value {
    let mut envelope: Value = serde_json::from_str(QUEUE).expect("the fixture is JSON");
    envelope["Data"]["queue"] = Value::String(Value::String(text.to_owned()).to_string());
    envelope
}

fn document(reference: &str) -> Value {
    json!({
        "kind": "export",
        "reference": reference,
        "apps": [{ "owner": "contoso", "name": "shop" }],
        "subject": { "user_ids": ["u-20417"] },
    })
}

const QUEUES: [&str; 8] = [
    "export-configure",
    "collect",
    "blob-search",
    "install-id-resolve",
    "block",
    "delete",
    "aggregate",
    "intake-queue",
];

#[tokio::test(flavor = "multi_thread")]
async fn every_invocation_is_answered_with_json() -> anyhow::Result<()> {
    let account = azurite().await.account();
    let handler = Handler::start(account.connection_string()).await?;

    // What is no message of ours fails, so that the host moves it to the poison queue: at a stage, not at the intake,
    // which stores what is wrong with it instead.
    for function in QUEUES {
        let answer = handler.post(&format!("/{function}"), QUEUE).await?;
        let expected = if function == "intake-queue" { 200 } else { 500 };
        assert_eq!(answer.status, expected, "{function}: {answer:?}");
        for body in [
            "",
            "[]",
            "null",
            "{",
            "{}",
            r#"{"Data":{}}"#,
            r#"{"Data":3}"#,
        ] {
            let answer = handler.post(&format!("/{function}"), body).await?;
            assert_eq!(answer.status, 500, "{function} {body}: {answer:?}");
        }
    }

    // A message whose request is not there is done with. Any key order, any quoting, any type of the metadata.
    let message = json!({ "v": 1, "request": "0".repeat(32), "run": 1, "step": "block" });
    let mut documented = envelope("");
    documented["Data"]["queue"] = Value::String(message.to_string());
    documented["Metadata"]["DequeueCount"] = json!(1);
    documented["Metadata"]["Id"] = json!("52d53c5f-e212-487e-998b-abbe3b9d51e4");
    let mut as_object = envelope("");
    as_object["Data"]["queue"] = message.clone();
    let mut leaked = envelope(&message.to_string());
    for (name, value) in [
        ("v", "1"),
        ("run", "7"),
        ("step", "\"delete\""),
        ("Id", "{}"),
    ] {
        leaked["Metadata"][name] = json!(value);
    }
    leaked["Metadata"]["$sys"] = leaked["Metadata"]["sys"].take();
    let bare = json!({ "Data": { "queue": message.to_string() } });
    for body in [
        envelope(&message.to_string()),
        documented,
        as_object,
        leaked,
        bare,
    ] {
        let answer = handler.post("/block", &body.to_string()).await?;
        assert_eq!(answer.status, 200, "{body}: {answer:?}");
        assert_eq!(
            answer.body,
            json!({ "Outputs": {}, "Logs": [], "ReturnValue": null })
        );
    }

    // The timer, with a schedule's status and without.
    let mut without = serde_json::from_str::<Value>(TIMER)?;
    without["Data"]["timer"]["ScheduleStatus"] = Value::Null;
    without["Data"]["timer"]["IsPastDue"] = json!(true);
    for body in [TIMER, &without.to_string(), "{}"] {
        assert_eq!(handler.post("/sweep", body).await?.status, 200, "{body}");
    }

    for (method, path, status) in [
        (Method::POST, "/purge", 404),
        (Method::POST, "/Block", 404),
        (Method::POST, "/block/1", 404),
        (Method::GET, "/block", 405),
        (Method::DELETE, "/api/requests", 405),
        (Method::GET, "/api/nothing", 404),
        (Method::GET, "/api/requests/%ff", 400),
        (Method::GET, "/api/requests/%ff/plan", 400),
        (Method::POST, "/%ff", 400),
        (Method::GET, "/api/requests?limit=1&limit=2", 400),
    ] {
        let body = (method == Method::POST).then_some(QUEUE);
        let answer = handler.call(method.clone(), path, body).await?;
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.kind, "application/problem+json", "{method} {path}");
    }
    let huge = "x".repeat(3 * 1024 * 1024);
    for path in ["/block", "/api/requests"] {
        let answer = handler.post(path, &huge).await?;
        assert_eq!(answer.status, 413, "{path}: {answer:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intake_message_is_read_in_every_quoting() -> anyhow::Result<()> {
    let account = azurite().await.account();
    let handler = Handler::start(account.connection_string()).await?;
    let mut quoted = envelope(&document("HOST-1").to_string());
    // The host merges a JSON message's own properties into the metadata, over its own keys.
    for (name, value) in document("HOST-1").as_object().into_iter().flatten() {
        quoted["Metadata"][name] = match value {
            Value::String(text) => json!(Value::String(text.clone()).to_string()),
            other => other.clone(),
        };
    }
    let mut once = envelope("");
    once["Data"]["queue"] = json!(document("HOST-2").to_string());
    let mut object = envelope("");
    object["Data"]["queue"] = document("HOST-3");
    for body in [quoted, once, object] {
        let answer = handler.post("/intake-queue", &body.to_string()).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let listed = handler.call(Method::GET, "/api/requests", None).await?;
    let references: Vec<&str> = listed.body["values"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it["reference"].as_str())
        .collect();
    assert_eq!(references.len(), 3, "{references:?}");
    for n in 1..=3 {
        assert!(references.contains(&format!("HOST-{n}").as_str()));
    }

    // A message's own `Id` takes the place of the queue's: a refused one is neither named by it nor lost to another's.
    let refusals = [
        ("\"../../records/x\"", "HOST-4"),
        ("{}", "HOST-5"),
        ("u-20417", "HOST-7"),
        ("u-20417", "HOST-8"),
        // The same message delivered twice is refused once.
        ("u-20417", "HOST-8"),
    ];
    for (id, reference) in refusals {
        let mut refused = document(reference);
        refused["kind"] = json!("wipe");
        let mut body = envelope(&refused.to_string());
        body["Metadata"]["Id"] = json!(id);
        let answer = handler.post("/intake-queue", &body.to_string()).await?;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    // A queue has room for 64 KiB of base64; what is longer than the document may be is refused all the same.
    let mut large = document("HOST-6");
    let terms = (0..1200).map(|n| format!("term number {n} {}", "x".repeat(30)));
    large["subject"]["terms"] = terms.collect();
    assert!(large.to_string().len() > 48 * 1024);
    let mut body = envelope(&large.to_string());
    body["Metadata"]["Id"] = json!("\"large\"");
    assert_eq!(
        handler
            .post("/intake-queue", &body.to_string())
            .await?
            .status,
        200
    );
    let listed = handler
        .call(Method::GET, "/api/requests?status=refused", None)
        .await?;
    let text = listed.body.to_string();
    assert!(!text.contains("u-20417"), "{text}");
    let listed = listed.body["values"].as_array().context("a list")?;
    let mut found: Vec<_> = listed
        .iter()
        .map(|it| {
            (
                it["reference"].as_str(),
                it["faults"][0]["pointer"].as_str(),
            )
        })
        .collect();
    found.sort_unstable();
    let kind = Some("/kind");
    // What is too long was never read: its reference may be anything.
    let expected = [
        (None, Some("")),
        (Some("HOST-4"), kind),
        (Some("HOST-5"), kind),
        (Some("HOST-7"), kind),
        (Some("HOST-8"), kind),
    ];
    assert_eq!(found, expected);
    assert!(!handler.log().contains("u-20417"));
    let records = handler.call(Method::GET, "/api/requests", None).await?;
    assert_eq!(records.body["values"].as_array().map(Vec::len), Some(3));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_the_host_is_in_the_log_and_nothing_else_of_its_headers() -> anyhow::Result<()>
{
    let account = azurite().await.account();
    let handler = Handler::start(account.connection_string()).await?;
    let message = json!({ "v": 1, "request": "0".repeat(32), "run": 1, "step": "block" });
    handler
        .post("/block", &envelope(&message.to_string()).to_string())
        .await?;
    let response = handler
        .http
        .post(format!("{}/block", handler.url))
        .header("traceparent", "ana@example.com")
        .header("x-azure-functions-invocationid", "ana@example.com")
        .body(envelope(&message.to_string()).to_string())
        .send()
        .await?;
    assert_eq!(response.status().as_u16(), 200);
    let end = Instant::now() + READY;
    while handler.log().matches("not stored").count() < 2 {
        assert!(Instant::now() < end, "the log has no such line");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let log = handler.log();
    assert!(log.contains("0af7651916cd43dd8448eb211c80319c"), "{log}");
    assert!(
        log.contains("0d3f8f6e-55b6-4d0c-9a8e-0a3a7f4c6a11"),
        "{log}"
    );
    assert!(!log.contains("ana@"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ping_is_answered_before_anything_else_is_reached() -> anyhow::Result<()> {
    // Nobody listens there: clients are built when they are needed.
    let port = free_port()?;
    let nowhere = format!(
        "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YWJj;BlobEndpoint=http://127.0.0.1:{port}/a;QueueEndpoint=http://127.0.0.1:{port}/a;"
    );
    let handler = Handler::start(nowhere).await?;
    for path in ["/", "/?anything"] {
        let asked = Instant::now();
        let answer = handler.call(Method::GET, path, None).await?;
        assert_eq!((answer.status, &answer.body), (200, &json!({})));
        assert!(asked.elapsed() < Duration::from_secs(1));
    }
    Ok(())
}

/// The host starts no handler again that ended with code 0.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_is_told_to_end_does_not_look_as_if_it_had_finished() -> anyhow::Result<()> {
    let account = azurite().await.account();
    let mut handler = Handler::start(account.connection_string()).await?;
    let pid = handler.child.id().context("it runs")?;
    let mut kill = Command::new("kill");
    let sent = kill.args(["-TERM", &pid.to_string()]).status().await?;
    anyhow::ensure!(sent.success(), "the signal was not sent");
    let ended = tokio::time::timeout(READY, handler.child.wait()).await??;
    assert_eq!(ended.code(), Some(143));
    Ok(())
}

/// What a start under these settings comes to: its exit code and standard error.
async fn failed_start(settings: &[(&str, String)]) -> anyhow::Result<(Option<i32>, String)> {
    let child = command(settings).spawn()?;
    let ended = tokio::time::timeout(READY, child.wait_with_output());
    let ended = ended.await.context("it starts, and should not")??;
    let stderr = String::from_utf8_lossy(&ended.stderr).into_owned();
    Ok((ended.status.code(), stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_fails_says_why_and_shows_no_secret() -> anyhow::Result<()> {
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ=";
    let account: Account = azurite().await.account();
    let storage = ("AzureWebJobsStorage", account.connection_string());
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    let taken = listener.local_addr()?.port().to_string();
    let of = |name, value: &str| vec![storage.clone(), (name, value.to_owned())];
    for (settings, named) in [
        (vec![], "AzureWebJobsStorage"),
        (
            vec![(
                "AzureWebJobsStorage__blobServiceUri",
                "https://contoso.blob.core.windows.net".to_owned(),
            )],
            "AzureWebJobsStorage__queueServiceUri",
        ),
        (
            vec![("AzureWebJobsStorage", format!("AccountKey={secret}"))],
            "AzureWebJobsStorage",
        ),
        (
            vec![("AzureWebJobsStorage", format!("{secret} is no such thing"))],
            "AzureWebJobsStorage",
        ),
        (of("ARCHIVE_STORAGE", secret), "ARCHIVE_STORAGE"),
        (
            of("FUNCTIONS_CUSTOMHANDLER_PORT", "x"),
            "FUNCTIONS_CUSTOMHANDLER_PORT",
        ),
        (of("FUNCTIONS_CUSTOMHANDLER_PORT", &taken), ""),
        (
            of("APPCENTER_API_URL", "http://api.appcenter.ms"),
            "APPCENTER_API_URL",
        ),
        (of("APPCENTER_RATE_BUDGET", "many"), "APPCENTER_RATE_BUDGET"),
        (of("APPCENTER_PATH", "else"), "APPCENTER_PATH"),
        (of("APPCENTER_RETIRED", "perhaps"), "APPCENTER_RETIRED"),
        (of("EXPORT_TYPE", "custom"), "EXPORT_CONNECTION_STRING"),
        (of("PLAN_MAX_REPORTS", "0"), "PLAN_MAX_REPORTS"),
        (of("ARCHIVE_CONTAINER", "No"), "ARCHIVE_CONTAINER"),
    ] {
        let (code, stderr) = failed_start(&settings)
            .await
            .with_context(|| named.to_owned())?;
        assert!(code.is_some_and(|code| code != 0), "{named}: {code:?}");
        assert!(stderr.contains(named), "{named}: {stderr}");
        assert!(!stderr.trim().is_empty(), "{named}");
        assert!(!stderr.contains("c2VjcmV0"), "{named}: {stderr}");
        assert!(!stderr.contains(account.key()), "{named}: {stderr}");
    }
    Ok(())
}
