//! Calls of our own HTTP API.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue, RANGE};
use reqwest::{Method, Response};
use serde_json::Value;
use url::{Host, Url};

use super::Requests;
use super::failure::{Failure, Problem};
use crate::config::Lookup;

/// Largest answer that is held in memory, in bytes: that of a report.
const MAX_ANSWER: u64 = 256 * 1024 * 1024;
/// Where `func start` and the local host listen.
const DEFAULT_URL: &str = "http://localhost:7071";

/// The function that a call goes to: each has a key of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    /// Files requests.
    Intake,
    /// Reads them.
    Requests,
    /// Decides on them.
    Decide,
}

impl Function {
    fn key_name(self) -> &'static str {
        match self {
            Self::Intake => "DSR_INTAKE_KEY",
            Self::Requests => "DSR_REQUESTS_KEY",
            Self::Decide => "DSR_DECIDE_KEY",
        }
    }
}

/// The service at one address, with the key of one function.
pub(super) struct Api {
    http: reqwest::Client,
    base: Url,
    key: Option<HeaderValue>,
    key_name: &'static str,
}

impl Api {
    pub(super) fn new(
        requests: &Requests,
        lookup: Lookup<'_>,
        function: Function,
    ) -> Result<Self, Failure> {
        let given = |name: &str| lookup(name).filter(|value| !value.is_empty());
        let url = requests.url.clone().or_else(|| given("DSR_URL"));
        let base = base(url.as_deref().unwrap_or(DEFAULT_URL))?;
        let key_name = function.key_name();
        let key = requests
            .key
            .clone()
            .or_else(|| given(key_name))
            .or_else(|| given("DSR_KEY"));
        let key = match key {
            None => None,
            Some(key) => {
                let mut key = HeaderValue::from_str(&key)
                    .map_err(|_error| Failure::usage("the key has characters that no key has"))?;
                key.set_sensitive(true);
                Some(key)
            }
        };
        let mut http = reqwest::Client::builder();
        if is_local(&base) {
            http = http.no_proxy();
        }
        let http = http
            // A redirect would carry the key to another host.
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(Duration::from_secs(120))
            .build()?;
        Ok(Self {
            http,
            base,
            key,
            key_name,
        })
    }

    /// `GET /api/<segments>?<query>`, a JSON document.
    pub(super) async fn get(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<Value, Failure> {
        let bytes = self.get_bytes(segments, query).await?.1;
        parse(&bytes)
    }

    /// The same as bytes, and the value of `plan-sha256`.
    pub(super) async fn get_bytes(
        &self,
        segments: &[&str],
        query: &[(&str, &str)],
    ) -> Result<(Option<String>, Bytes), Failure> {
        let mut url = self.url(segments)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let response = self.checked(self.call(Method::GET, url)).await?;
        let sha256 = header(&response, "plan-sha256");
        Ok((sha256, read(response, MAX_ANSWER).await?))
    }

    /// `GET` of a range of bytes; the answer is checked for its status only.
    pub(super) async fn range(
        &self,
        segments: &[&str],
        first: u64,
        last: u64,
    ) -> Result<Response, Failure> {
        let call = self
            .call(Method::GET, self.url(segments)?)
            .header(RANGE, format!("bytes={first}-{last}"));
        self.checked(call).await
    }

    /// Files a document; whether it is new.
    pub(super) async fn submit(&self, document: Vec<u8>) -> Result<(Value, bool), Failure> {
        let call = self
            .call(Method::POST, self.url(&["requests"])?)
            .header(CONTENT_TYPE, "application/json")
            .body(document);
        let response = self.checked(call).await?;
        let is_new = response.status() == reqwest::StatusCode::ACCEPTED;
        Ok((parse(&read(response, MAX_ANSWER).await?)?, is_new))
    }

    /// `POST /api/<segments>` of a decision.
    pub(super) async fn post(&self, segments: &[&str], body: &Value) -> Result<Value, Failure> {
        let call = self
            .call(Method::POST, self.url(segments)?)
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string());
        let response = self.checked(call).await?;
        parse(&read(response, MAX_ANSWER).await?)
    }

    fn url(&self, segments: &[&str]) -> Result<Url, Failure> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::usage("the address cannot be used"))?
            .pop_if_empty()
            .push("api")
            .extend(segments);
        Ok(url)
    }

    fn call(&self, method: Method, url: Url) -> reqwest::RequestBuilder {
        let call = self.http.request(method, url).header(
            ACCEPT,
            "application/json, application/problem+json, */*;q=0.5",
        );
        match &self.key {
            Some(key) => call.header("x-functions-key", key.clone()),
            None => call,
        }
    }

    async fn checked(&self, call: reqwest::RequestBuilder) -> Result<Response, Failure> {
        let response = call.send().await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = read(response, 1024 * 1024).await.unwrap_or_default();
        let problem = Problem::read(status.as_u16(), &body, self.key_name);
        Err(Failure::Problem(Box::new(problem)))
    }
}

/// A header's text.
pub(super) fn header(response: &Response, name: &str) -> Option<String> {
    let value = response.headers().get(name)?.to_str().ok()?;
    Some(value.to_owned())
}

async fn read(mut response: Response, limit: u64) -> Result<Bytes, Failure> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(Failure::Answer("it is longer than anything it sends"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn parse(body: &[u8]) -> Result<Value, Failure> {
    serde_json::from_slice(body).map_err(|_error| Failure::Answer("it is not JSON"))
}

/// The address with the key goes over https, or stays on this machine.
fn base(text: &str) -> Result<Url, Failure> {
    let url: Url = text
        .parse()
        .map_err(|_error| Failure::usage("the address is none: it begins with https://"))?;
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_local(&url));
    if !is_safe || url.query().is_some() || !url.username().is_empty() {
        return Err(Failure::usage(
            "the address is https://…, or http:// on this machine, without a query",
        ));
    }
    // What the portal shows as the address of a function ends like this.
    let mut url = url;
    let path = url.path().trim_end_matches('/').to_owned();
    let path = path.strip_suffix("/requests").unwrap_or(&path);
    let path = path.strip_suffix("/api").unwrap_or(path).to_owned();
    url.set_path(&path);
    Ok(url)
}

fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let cases = [
            ("http://localhost:7071", Some("http://localhost:7071/")),
            ("http://127.0.0.1:7071/", Some("http://127.0.0.1:7071/")),
            (
                "https://dsr.azurewebsites.net/api/requests",
                Some("https://dsr.azurewebsites.net/"),
            ),
            (
                "https://dsr.azurewebsites.net/api/",
                Some("https://dsr.azurewebsites.net/"),
            ),
            ("http://dsr.azurewebsites.net", None),
            ("https://u:p@dsr.azurewebsites.net", None),
            ("https://dsr.azurewebsites.net/api?code=x", None),
            ("localhost:7071", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let base = base(text).ok().map(|url| url.to_string());
            assert_eq!(base.as_deref(), expected, "{text}");
        }
    }
}
