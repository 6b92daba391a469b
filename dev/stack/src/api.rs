//! The product's HTTP API, called as its users do.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, Response, header};
use serde_json::{Value, json};
use tokio::time::Instant;

/// How often a status is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// A client of the product's HTTP API.
#[derive(Debug, Clone)]
pub struct Api {
    http: reqwest::Client,
    url: String,
    key: Option<String>,
}

impl Api {
    /// A client for a host at this address.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60))
            .build()?;
        Ok(Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
            key: None,
        })
    }

    /// The same client with a function's key.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        Self {
            key: Some(key.to_owned()),
            ..self.clone()
        }
    }

    /// Sends a call; the path begins with a slash.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> anyhow::Result<Response> {
        let mut call = self.http.request(method, format!("{}{path}", self.url));
        if let Some(key) = &self.key {
            call = call.header("x-functions-key", key);
        }
        if let Some((kind, body)) = body {
            call = call.header(header::CONTENT_TYPE, kind).body(body);
        }
        Ok(call.send().await?)
    }

    /// Sends JSON and reads JSON, whatever the status.
    ///
    /// # Errors
    /// When there is no answer, or it is no JSON.
    pub async fn json(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<(u16, Value)> {
        let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
        let response = self.send(method, path, body).await?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await?;
        let value = serde_json::from_slice(&bytes)
            .with_context(|| format!("{path} answered {status} with what is no JSON"))?;
        Ok((status, value))
    }

    /// Files a request and gives its ID.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn submit(&self, document: &Value) -> anyhow::Result<String> {
        let (status, body) = self
            .json(Method::POST, "/api/requests", Some(document))
            .await?;
        if status != 202 && status != 200 {
            bail!("the request was answered with {status}: {body}");
        }
        let id = body["id"].as_str().context("the answer has no ID")?;
        Ok(id.to_owned())
    }

    /// A request's status.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn status(&self, id: &str) -> anyhow::Result<Value> {
        let (status, body) = self
            .json(Method::GET, &format!("/api/requests/{id}"), None)
            .await?;
        if status != 200 {
            bail!("the status was answered with {status}: {body}");
        }
        Ok(body)
    }

    /// A request's plan and its hash.
    ///
    /// # Errors
    /// When there is none.
    pub async fn plan(&self, id: &str) -> anyhow::Result<(Value, String)> {
        let response = self
            .send(Method::GET, &format!("/api/requests/{id}/plan"), None)
            .await?;
        let status = response.status();
        let bytes = response.bytes().await?;
        if !status.is_success() {
            bail!("the plan was answered with {status}");
        }
        use sha2::Digest as _;
        let hash: String = sha2::Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok((serde_json::from_slice(&bytes)?, hash))
    }

    /// Approves a request's plan as it stands, releasing the given held items.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn approve(&self, id: &str, also: &[String]) -> anyhow::Result<()> {
        let (plan, hash) = self.plan(id).await?;
        let mut body = json!({ "plan_sha256": hash, "approver": "a tester", "also": also });
        if let Some(large) = plan["large"]["confirm_large"].as_u64() {
            body["confirm_large"] = json!(large);
        }
        self.decide(id, "approve", &body).await
    }

    /// Takes a decision.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn decide(&self, id: &str, action: &str, body: &Value) -> anyhow::Result<()> {
        let (status, answer) = self
            .json(
                Method::POST,
                &format!("/api/requests/{id}/{action}"),
                Some(body),
            )
            .await?;
        if status != 200 {
            bail!("{action} was answered with {status}: {answer}");
        }
        Ok(())
    }

    /// Waits until a request's status is none of these.
    ///
    /// # Errors
    /// When it still is after `limit`; the message holds the last status. A call that fails meanwhile is not an error.
    pub async fn wait_while(
        &self,
        id: &str,
        statuses: &[&str],
        limit: Duration,
    ) -> anyhow::Result<Value> {
        let end = Instant::now() + limit;
        let mut last = Value::Null;
        loop {
            if let Ok(status) = self.status(id).await {
                let now = status["status"].as_str().unwrap_or_default();
                if !statuses.contains(&now) {
                    return Ok(status);
                }
                last = status;
            }
            if Instant::now() >= end {
                bail!("the request did not move on within {limit:?}: {last:#}");
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a request awaits approval or has ended.
    ///
    /// # Errors
    /// When it does neither in time.
    pub async fn wait_planned(&self, id: &str, limit: Duration) -> anyhow::Result<Value> {
        self.wait_while(id, &["received", "running"], limit).await
    }

    /// Waits until a request has ended.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn wait_ended(&self, id: &str, limit: Duration) -> anyhow::Result<Value> {
        self.wait_while(id, &["received", "running", "awaiting_approval"], limit)
            .await
    }

    /// Files a request, approves its plan with the given released items, and waits for its end.
    ///
    /// # Errors
    /// When any of that fails.
    pub async fn run(
        &self,
        document: &Value,
        also: &[String],
        limit: Duration,
    ) -> anyhow::Result<(String, Value)> {
        let id = self.submit(document).await?;
        let planned = self.wait_planned(&id, limit).await?;
        if planned["status"] == "awaiting_approval" {
            self.approve(&id, also).await?;
        }
        let ended = self.wait_ended(&id, limit).await?;
        Ok((id, ended))
    }
}
