//! A headless Chromium, driven over its pipe by the protocol of its developer tools: what a page asks for, says and holds.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// How long the browser may take to answer.
const LIMIT: Duration = Duration::from_secs(30);
/// How long a page is watched after it has loaded.
const WATCH: Duration = Duration::from_millis(150);

/// A running browser with one page; it ends when this is dropped.
pub(super) struct Chromium {
    _process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    session: String,
    next: u64,
    /// What came meanwhile.
    events: Vec<Value>,
    _profile: tempfile::TempDir,
}

impl Chromium {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let found = Command::new("sh")
            .args([
                "-c",
                "command -v chromium || command -v chromium-browser || command -v google-chrome",
            ])
            .output()
            .await?;
        let path = String::from_utf8(found.stdout)?.trim().to_owned();
        if path.is_empty() {
            bail!(
                "Chromium is missing: `cargo xtask test` installs it (or: apt-get install chromium)"
            );
        }
        let profile = tempfile::tempdir()?;
        // The browser reads commands from its third and writes to its fourth file, which are ours here.
        let mut process = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>&2", &path])
            .args(["--headless=new", "--remote-debugging-pipe", "--no-sandbox"])
            .args(["--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args([
                "--disable-background-networking",
                "--disable-component-update",
            ])
            .args(["--disable-sync", "--disable-default-apps", "--lang=en-US"])
            // Whatever a page asks for: nothing of it leaves the machine.
            .args([
                "--proxy-server=http://127.0.0.1:9",
                "--proxy-bypass-list=<-loopback>",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let input = process.stdin.take().context("a pipe")?;
        let output = BufReader::new(process.stdout.take().context("a pipe")?);
        let mut browser = Self {
            _process: process,
            input,
            output,
            session: String::new(),
            next: 0,
            events: Vec::new(),
            _profile: profile,
        };
        let target = browser
            .call("Target.createTarget", json!({ "url": "about:blank" }))
            .await?;
        let attached = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attached).await?;
        browser.session = attached["sessionId"]
            .as_str()
            .context("a session")?
            .to_owned();
        for domain in ["Page", "Network", "Runtime", "Log"] {
            browser.call(&format!("{domain}.enable"), json!({})).await?;
        }
        let size =
            json!({ "width": 1100, "height": 1400, "deviceScaleFactor": 1, "mobile": false });
        browser
            .call("Emulation.setDeviceMetricsOverride", size)
            .await?;
        let deny = json!({ "behavior": "deny" });
        browser.call("Page.setDownloadBehavior", deny).await?;
        Ok(browser)
    }

    /// Makes a call and waits for its answer.
    async fn call(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.next += 1;
        let id = self.next;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.write_all(&bytes).await?;
        let answer = tokio::time::timeout(LIMIT, async {
            loop {
                let message = self.read().await?;
                if message["id"] == id {
                    return anyhow::Ok(message);
                }
                self.note(message).await?;
            }
        });
        let answer = answer
            .await
            .with_context(|| format!("{method}: no answer"))??;
        if let Some(error) = answer.get("error") {
            bail!("{method}: {error}");
        }
        Ok(answer["result"].clone())
    }

    async fn read(&mut self) -> anyhow::Result<Value> {
        let mut bytes = Vec::new();
        self.output.read_until(0, &mut bytes).await?;
        if bytes.pop() != Some(0) {
            bail!("Chromium has ended");
        }
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// Keeps an event; a dialog is closed, or the page would stand still.
    async fn note(&mut self, event: Value) -> anyhow::Result<()> {
        if event["method"] == "Page.javascriptDialogOpening" {
            self.next += 1;
            let close = json!({
                "id": self.next, "method": "Page.handleJavaScriptDialog",
                "params": { "accept": false }, "sessionId": self.session,
            });
            self.input
                .write_all(format!("{close}\0").as_bytes())
                .await?;
        }
        if event["method"].is_string() {
            self.events.push(event);
        }
        Ok(())
    }

    /// Opens an address and watches it for a while; what it did.
    pub(super) async fn open(&mut self, url: &str) -> anyhow::Result<Seen> {
        self.events.clear();
        let opened = self.call("Page.navigate", json!({ "url": url })).await?;
        // What is downloaded, and denied, never loads.
        if opened["errorText"].is_null() {
            let loaded = tokio::time::timeout(LIMIT, async {
                while !self
                    .events
                    .iter()
                    .any(|it| it["method"] == "Page.loadEventFired")
                {
                    let event = self.read().await?;
                    self.note(event).await?;
                }
                anyhow::Ok(())
            });
            loaded
                .await
                .with_context(|| format!("{url} does not load"))??;
        }
        let watched = tokio::time::Instant::now() + WATCH;
        while let Ok(event) = tokio::time::timeout_at(watched, self.read()).await {
            self.note(event?).await?;
        }
        let mut seen = Seen {
            title: self
                .evaluate("document.title")
                .await?
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            ..Seen::default()
        };
        for event in &self.events {
            let params = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Network.requestWillBeSent" => {
                    seen.requests.push(
                        params["request"]["url"]
                            .as_str()
                            .unwrap_or_default()
                            .to_owned(),
                    );
                }
                "Network.webSocketCreated" => {
                    seen.requests
                        .push(params["url"].as_str().unwrap_or_default().to_owned());
                }
                "Page.javascriptDialogOpening" => seen.dialogs += 1,
                "Runtime.consoleAPICalled" => seen.said += 1,
                _ => {}
            }
        }
        Ok(seen)
    }

    /// The value of an expression in the page.
    pub(super) async fn evaluate(&mut self, expression: &str) -> anyhow::Result<Value> {
        let params = json!({ "expression": expression, "returnByValue": true });
        let result = self.call("Runtime.evaluate", params).await?;
        if let Some(thrown) = result.get("exceptionDetails") {
            bail!("{thrown}");
        }
        Ok(result["result"]["value"].clone())
    }

    /// A picture of the whole page, as PNG.
    pub(super) async fn picture(&mut self) -> anyhow::Result<Vec<u8>> {
        let params =
            json!({ "format": "png", "captureBeyondViewport": true, "clip": self.extent().await? });
        let picture = self.call("Page.captureScreenshot", params).await?;
        let data = picture["data"].as_str().context("a picture")?;
        Ok(base64::engine::general_purpose::STANDARD.decode(data)?)
    }

    async fn extent(&mut self) -> anyhow::Result<Value> {
        let metrics = self.call("Page.getLayoutMetrics", json!({})).await?;
        let size = &metrics["cssContentSize"];
        let height = size["height"].as_f64().unwrap_or(1400.0).min(12000.0);
        Ok(json!({ "x": 0, "y": 0, "width": size["width"], "height": height, "scale": 1 }))
    }
}

/// What a page did when it was opened.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) title: String,
    /// Addresses that it asked for, itself included.
    pub(super) requests: Vec<String>,
    pub(super) dialogs: usize,
    /// Lines that a script wrote.
    pub(super) said: usize,
}
