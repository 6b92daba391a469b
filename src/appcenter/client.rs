//! The client and how it is set up.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::budget::Budget;
use super::error::Error;
use super::hosts::AllowList;
use super::retry::Policy;
use super::session_logs::KnownPaths;
use crate::clock::Clock;

/// What a client is made of. [`Options::new`] fills in the limits.
#[derive(Debug, Clone)]
pub struct Options {
    /// `https://api.appcenter.ms`, or a simulator on this machine by http.
    pub base_url: Url,
    /// The value of `X-API-Token`.
    pub token: SecretString,
    /// Hosts, besides `*.blob.core.windows.net`, that downloads may come from: `host`, `host:port` or `*.domain`.
    pub download_hosts: Vec<String>,
    /// The calls that the token has left.
    pub budget: Arc<dyn Budget>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The limits.
    pub limits: Limits,
}

impl Options {
    /// Options with the default limits and no download hosts of their own.
    #[must_use]
    pub fn new(
        base_url: Url,
        token: SecretString,
        budget: Arc<dyn Budget>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            base_url,
            token,
            download_hosts: Vec::new(),
            budget,
            clock,
            limits: Limits::default(),
        }
    }
}

/// The bounds of everything that the client does.
#[derive(Debug, Clone)]
pub struct Limits {
    /// To connect.
    pub connect_timeout: Duration,
    /// Between two reads of an answer.
    pub read_timeout: Duration,
    /// One attempt of an API call, from connecting to the last byte.
    pub request_timeout: Duration,
    /// One download, from connecting to the last byte.
    pub download_timeout: Duration,
    /// Retries in this process.
    pub retry: Policy,
    /// The wait after a 429 that names none.
    pub default_hold: Duration,
    /// Bytes of one API answer.
    pub answer_bytes: u64,
    /// Pages of one list.
    pub pages: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            request_timeout: Duration::from_secs(60),
            download_timeout: Duration::from_secs(180),
            retry: Policy::default(),
            default_hold: Duration::from_secs(30),
            answer_bytes: 32 * 1024 * 1024,
            pages: 2_000,
        }
    }
}

/// A client of the App Center API for one token. Cheap to make and to clone; it connects when first used.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    base: Url,
    token: HeaderValue,
    allow_list: AllowList,
    budget: Arc<dyn Budget>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    session_logs_paths: KnownPaths,
    api: OnceLock<reqwest::Client>,
    downloads: OnceLock<reqwest::Client>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.inner.base.as_str())
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Checks the options. Nothing is connected yet.
    ///
    /// # Errors
    /// [`Error::Setup`] when the address is neither https nor on this machine, or the token or a download host cannot be one.
    pub fn new(options: Options) -> Result<Self, Error> {
        let mut token = HeaderValue::from_str(options.token.expose_secret())
            .ok()
            .filter(|token| !token.is_empty())
            .ok_or(Error::Setup { what: "token" })?;
        token.set_sensitive(true);
        Ok(Self {
            inner: Arc::new(Inner {
                base: checked_base(&options.base_url)?,
                token,
                allow_list: AllowList::new(&options.download_hosts)?,
                budget: options.budget,
                clock: options.clock,
                limits: options.limits,
                session_logs_paths: KnownPaths::default(),
                api: OnceLock::new(),
                downloads: OnceLock::new(),
            }),
        })
    }

    pub(super) fn base(&self) -> &Url {
        &self.inner.base
    }

    pub(super) fn token(&self) -> HeaderValue {
        self.inner.token.clone()
    }

    pub(super) fn allow_list(&self) -> &AllowList {
        &self.inner.allow_list
    }

    pub(super) fn budget(&self) -> &dyn Budget {
        self.inner.budget.as_ref()
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        self.inner.clock.as_ref()
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    pub(super) fn session_logs_paths(&self) -> &KnownPaths {
        &self.inner.session_logs_paths
    }

    pub(super) fn api(&self) -> Result<&reqwest::Client, Error> {
        let timeout = self.inner.limits.request_timeout;
        let base = &self.inner.base;
        let is_local = is_this_machine(base);
        // The token goes to this address only: a simulator's, which is plain http, needs no certificates.
        let is_plain = base.scheme() == "http";
        self.http(&self.inner.api, timeout, is_local, is_plain)
    }

    /// A transport of its own for downloads: nothing that is set up for the API can leak into it.
    pub(super) fn downloads(&self) -> Result<&reqwest::Client, Error> {
        let timeout = self.inner.limits.download_timeout;
        self.http(
            &self.inner.downloads,
            timeout,
            is_this_machine(&self.inner.base),
            false,
        )
    }

    fn http<'a>(
        &self,
        cell: &'a OnceLock<reqwest::Client>,
        timeout: Duration,
        is_local: bool,
        is_plain: bool,
    ) -> Result<&'a reqwest::Client, Error> {
        if let Some(http) = cell.get() {
            return Ok(http);
        }
        let mut builder = reqwest::Client::builder()
            // A redirect would carry `X-API-Token` to another host.
            .redirect(reqwest::redirect::Policy::none())
            // Every attempt asks the budget, so none may happen below us.
            .retry(reqwest::retry::never())
            .referer(false)
            .user_agent(concat!("appcenter-dsr/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(self.inner.limits.connect_timeout)
            .read_timeout(self.inner.limits.read_timeout)
            .timeout(timeout);
        if is_local {
            builder = builder.no_proxy();
        }
        if is_plain {
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|_error| Error::Setup {
            what: "machine's TLS certificates",
        })?;
        Ok(cell.get_or_init(|| http))
    }
}

/// Whether an address is this machine's own, where plain http is safe.
pub(super) fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// The base address without a slash at its end; the token goes nowhere else.
fn checked_base(url: &Url) -> Result<Url, Error> {
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_this_machine(url));
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_safe || !is_plain || !url.has_host() {
        return Err(Error::Setup { what: "address" });
    }
    let mut base = url.clone();
    // `/api` is right on the portal's host and a 404 on the API's own; both are in circulation.
    let path = base.path().trim_end_matches('/').to_owned();
    let is_api_host = base.host_str() == Some("api.appcenter.ms");
    base.set_path(if is_api_host && path == "/api" {
        ""
    } else {
        &path
    });
    Ok(base)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appcenter::budget::Unlimited;
    use crate::clock::SystemClock;

    fn client(base: &str, token: &str, hosts: &[&str]) -> Result<Client, Error> {
        let mut options = Options::new(
            base.parse().expect("a URL"),
            SecretString::from(token),
            Arc::new(Unlimited),
            Arc::new(SystemClock),
        );
        options.download_hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        Client::new(options)
    }

    #[test]
    fn the_base_is_https_or_this_machine() {
        let cases = [
            (
                "https://api.appcenter.ms",
                Some("https://api.appcenter.ms/"),
            ),
            (
                "https://api.appcenter.ms/",
                Some("https://api.appcenter.ms/"),
            ),
            (
                "https://api.appcenter.ms/api/",
                Some("https://api.appcenter.ms/"),
            ),
            ("https://appcenter.ms/api", Some("https://appcenter.ms/api")),
            ("http://127.0.0.1:8080/", Some("http://127.0.0.1:8080/")),
            ("http://localhost:8080", Some("http://localhost:8080/")),
            ("http://[::1]:8080", Some("http://[::1]:8080/")),
            ("http://api.appcenter.ms", None),
            ("http://localhost.evil.com", None),
            ("https://user:pass@api.appcenter.ms", None),
            ("https://api.appcenter.ms/?a=b", None),
            ("file:///etc", None),
        ];
        for (url, expected) in cases {
            let base = client(url, "t", &[]).ok().map(|it| it.base().to_string());
            assert_eq!(base.as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn the_token_is_never_shown() {
        let client = client("https://api.appcenter.ms", "canary", &[]).expect("options are right");
        assert!(!format!("{client:?} {:?}", client.token()).contains("canary"));
    }

    #[test]
    fn bad_tokens_and_hosts_are_refused() {
        let base = "https://api.appcenter.ms";
        for token in ["", "a\nb", "a\0"] {
            assert!(client(base, token, &[]).is_err());
        }
        for host in ["", "*", "*.com", "a/b", "user@host", "https://host"] {
            assert!(client(base, "t", &[host]).is_err(), "{host}");
        }
    }
}
