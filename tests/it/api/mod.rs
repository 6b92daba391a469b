//! The product over HTTP, through the local host, with the real handler.

mod auth;
mod decide;
mod intake;
mod requests;

use appcenter_sim::World;
use reqwest::{Method, header};
use serde_json::{Value, json};
use stack::Api;

/// The small world: one app, two days, three reports of the person.
pub(crate) const SMALL: &str = include_str!("../../scenarios/small.toml");

/// A request of the small world under another reference.
pub(crate) fn document(name: &str, reference: &str) -> anyhow::Result<Value> {
    let world = World::parse(SMALL)?;
    let request = world.request(name).expect("the world has it");
    let mut document = request.document.clone();
    document["reference"] = json!(reference);
    Ok(document)
}

/// An answer, its body read: JSON, or null when it is none.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) location: Option<String>,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Answer {
    /// The pointers of a problem's faults, in order.
    pub(crate) fn pointers(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array();
        let pointers = errors.into_iter().flatten();
        pointers.filter_map(|it| it["pointer"].as_str()).collect()
    }

    /// Holds that it is this problem, in the form that RFC 9457 gives problems.
    pub(crate) fn expect(&self, status: u16, what: &str) {
        assert_eq!(self.status, status, "{what}: {}", self.text);
        assert_eq!(self.kind, "application/problem+json", "{what}");
        assert_eq!(self.body["status"], status, "{what}: {}", self.text);
        let title = self.body["title"].as_str().unwrap_or_default();
        assert!(!title.is_empty(), "{what}: {}", self.text);
    }
}

/// Sends a call with a body of any type.
pub(crate) async fn call(
    api: &Api,
    method: Method,
    path: &str,
    body: Option<(&str, Vec<u8>)>,
) -> anyhow::Result<Answer> {
    let response = api.send(method, path, body).await?;
    let header = |name| {
        let value = response.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let (kind, location) = (header(header::CONTENT_TYPE), header(header::LOCATION));
    let status = response.status().as_u16();
    let text = response.text().await?;
    Ok(Answer {
        status,
        kind: kind.unwrap_or_default(),
        location,
        body: serde_json::from_str(&text).unwrap_or_default(),
        text,
    })
}

/// Reads something.
pub(crate) async fn get(api: &Api, path: &str) -> anyhow::Result<Answer> {
    call(api, Method::GET, path, None).await
}

/// Sends JSON.
pub(crate) async fn post(api: &Api, path: &str, body: &Value) -> anyhow::Result<Answer> {
    let body = ("application/json", body.to_string().into_bytes());
    call(api, Method::POST, path, Some(body)).await
}
