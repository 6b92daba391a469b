//! A bare HTTP client: it knows the service's paths and nothing of its types.

use std::time::Duration;

use appcenter_sim::{Options, Sim, World};
use reqwest::{Method, StatusCode, redirect};
use serde_json::Value;

/// A simulator of the demo world and a client of its Android app.
pub(crate) struct Client {
    pub(crate) sim: Sim,
    http: reqwest::Client,
    pub(crate) token: String,
}

/// Status, content type and body of a reply.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<String>,
    pub(crate) content_type: String,
    pub(crate) text: String,
}

impl Answer {
    /// The body, or null when it is no JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }
}

impl Client {
    pub(crate) async fn demo() -> anyhow::Result<Self> {
        Self::start(World::demo()?, Options::default()).await
    }

    pub(crate) async fn start(world: World, options: Options) -> anyhow::Result<Self> {
        let sim = Sim::start(world, options).await?;
        let http = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(Duration::from_secs(10))
            .build()?;
        let token = sim.token().to_owned();
        Ok(Self { sim, http, token })
    }

    /// Calls a path under the app `shop-android`.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> anyhow::Result<Answer> {
        let path = format!("/v0.1/apps/contoso/shop-android{path}");
        self.call_path(method, &path, body).await
    }

    /// Gets a path under the app `shop-android`.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.call("GET", path, "").await
    }

    /// Calls a whole path.
    pub(crate) async fn call_path(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}{path}", self.sim.url());
        let mut request = self
            .http
            .request(Method::from_bytes(method.as_bytes())?, url)
            .header("X-API-Token", &self.token);
        if !body.is_empty() {
            request = request.body(body.to_owned());
        }
        read(request).await
    }

    /// Gets an address as it stands, with or without the token.
    pub(crate) async fn fetch(&self, url: &str, with_token: bool) -> anyhow::Result<Answer> {
        let mut request = self.http.get(url);
        if with_token {
            request = request.header("X-API-Token", &self.token);
        }
        read(request).await
    }

    /// Sends logs to ingestion as an SDK does.
    pub(crate) async fn send_logs(
        &self,
        secret: &str,
        install: &str,
        logs: &Value,
    ) -> anyhow::Result<Answer> {
        let url = format!("{}/logs?Api-Version=1.0.0", self.sim.url());
        let body = serde_json::json!({ "logs": logs }).to_string();
        let request = self
            .http
            .post(url)
            .header("App-Secret", secret)
            .header("Install-ID", install)
            .body(body);
        read(request).await
    }

    /// The path of a report of the demo world under its app.
    pub(crate) fn report_path(&self, name: &str) -> String {
        let report = self
            .sim
            .world(|it| it.report(name))
            .expect("it is in the world");
        format!(
            "/errors/errorGroups/{}/errors/{}",
            report.group, report.error
        )
    }
}

async fn read(request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
    let reply = request.send().await?;
    let header = |name: &str| {
        let value = reply.headers().get(name).and_then(|it| it.to_str().ok());
        value.map(str::to_owned)
    };
    let (retry_after, content_type) = (header("retry-after"), header("content-type"));
    Ok(Answer {
        status: reply.status(),
        retry_after,
        content_type: content_type.unwrap_or_default(),
        text: reply.text().await?,
    })
}
