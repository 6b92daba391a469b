//! How exporters send: over the HTTP client that everything uses, from threads of their own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use azure_core::credentials::TokenCredential as _;
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use bytes::{Bytes, BytesMut};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use reqwest::header::AUTHORIZATION;
use tokio::runtime::Handle;
use url::{Host, Url};

use super::Identity;

/// What Application Insights takes a token for.
const SCOPE: &str = "https://monitor.azure.com/.default";
/// Longest time for one message to a destination.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Most that is read of an answer, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
/// A destination that does not answer is told of once in this many seconds.
const TELL_EVERY: u64 = 300;

/// Sends for an exporter. Client and identity are made with the first message.
#[derive(Debug, Clone)]
pub(super) struct Transport(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    runtime: Handle,
    identity: Option<Identity>,
    way: Way,
    client: OnceLock<reqwest::Client>,
    credential: OnceLock<Arc<ManagedIdentityCredential>>,
    began: Instant,
    /// Seconds after `began` from which a failure is told of again.
    tell_from: AtomicU64,
}

/// How a destination is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// It is on this machine: no proxy stands between.
    is_local: bool,
    /// It is on this machine, and asked for by http: some exporters turn that into https.
    is_plain: bool,
}

impl Way {
    /// The way to an address.
    pub(super) fn to(address: &Url) -> Self {
        let is_local = match address.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        Self {
            is_local,
            is_plain: is_local && address.scheme() == "http",
        }
    }

    /// The way to the endpoint that a connection string of Application Insights names.
    pub(super) fn of_connection(connection: &str) -> Self {
        let endpoint = connection.split(';').find_map(|part| {
            let (key, value) = part.split_once('=')?;
            let is_it = key.trim().eq_ignore_ascii_case("IngestionEndpoint");
            is_it.then(|| Url::parse(value.trim()).ok()).flatten()
        });
        endpoint.as_ref().map(Self::to).unwrap_or_default()
    }
}

/// Why a message was not sent. It names no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Unsent {
    #[error("no HTTP client could be made")]
    Client,
    #[error("no token was to be had from the app's identity")]
    Token,
    #[error("the destination did not answer")]
    NoAnswer,
    #[error("the process ends")]
    Ending,
}

impl Transport {
    pub(super) fn new(runtime: Handle, way: Way, identity: Option<Identity>) -> Self {
        Self(Arc::new(Shared {
            runtime,
            identity,
            way,
            client: OnceLock::new(),
            credential: OnceLock::new(),
            began: Instant::now(),
            tell_from: AtomicU64::new(0),
        }))
    }
}

#[async_trait]
impl HttpClient for Transport {
    /// Exporters wait for this on threads of their own, where the client's timers do not run: it works in the runtime.
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let shared = Arc::clone(&self.0);
        let sent = self.0.runtime.spawn(async move {
            let answer = shared.send(request).await;
            match &answer {
                Ok(answer) if !answer.status().is_success() => {
                    let status = answer.status().as_u16();
                    shared.tell(format_args!("the destination answered {status}"));
                }
                Ok(_) => {}
                Err(error) => shared.tell(error),
            }
            answer
        });
        Ok(sent.await.map_err(|_ended| Unsent::Ending)??)
    }
}

impl Shared {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Unsent> {
        let (parts, body) = request.into_parts();
        let mut address = parts.uri.to_string();
        if self.way.is_plain {
            address = address.replacen("https://", "http://", 1);
        }
        let mut message = self
            .client()?
            .request(parts.method, address)
            .headers(parts.headers)
            .body(body);
        if let Some(identity) = &self.identity {
            let token = self.token(identity).await?;
            message = message.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let mut answer = message.send().await.map_err(|_error| Unsent::NoAnswer)?;
        let mut response = Response::builder().status(answer.status());
        if let Some(headers) = response.headers_mut() {
            headers.clone_from(answer.headers());
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(|_error| Unsent::NoAnswer)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                break;
            }
            body.extend_from_slice(&chunk);
        }
        response
            .body(body.freeze())
            .map_err(|_error| Unsent::NoAnswer)
    }

    fn client(&self) -> Result<&reqwest::Client, Unsent> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let mut client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            // A redirect would carry the token to another host.
            .redirect(reqwest::redirect::Policy::none())
            .referer(false);
        if self.way.is_local {
            client = client.no_proxy();
        }
        let built = client.build();
        let built = built.map_err(|_error| Unsent::Client)?;
        Ok(self.client.get_or_init(|| built))
    }

    async fn token(&self, identity: &Identity) -> Result<String, Unsent> {
        let credential = match self.credential.get() {
            Some(credential) => credential,
            None => {
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: identity.client_id.clone().map(UserAssignedId::ClientId),
                    ..ManagedIdentityCredentialOptions::default()
                };
                let made = ManagedIdentityCredential::new(Some(options));
                let made = made.map_err(|_error| Unsent::Token)?;
                self.credential.get_or_init(|| made)
            }
        };
        // It keeps a token until that is about to expire.
        let asked = tokio::time::timeout(TIMEOUT, credential.get_token(&[SCOPE], None)).await;
        let token = asked.map_err(|_elapsed| Unsent::Token)?;
        let token = token.map_err(|_error| Unsent::Token)?;
        Ok(token.token.secret().to_owned())
    }

    /// Says in the log that telemetry is lost, now and then.
    fn tell(&self, why: impl std::fmt::Display) {
        let now = self.began.elapsed().as_secs();
        let from = self.tell_from.load(Ordering::Relaxed);
        let claimed = now >= from
            && self
                .tell_from
                .compare_exchange(from, now + TELL_EVERY, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if claimed {
            tracing::warn!("telemetry is lost: {why}");
        }
    }
}
