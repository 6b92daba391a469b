//! Signs each try of a call with the account key, as documented for `SharedKey` of the Blob and Queue services.
//!
//! The rules are Microsoft's "Authorize with Shared Key" (versions from 2015-02-21 on): a string made of the verb, eleven
//! standard headers, all `x-ms-` headers and the resource, signed by HMAC-SHA256. Microsoft's Rust crates do not do it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use sha2::Sha256;
use url::Url;

use super::Error;
use crate::clock::{Clock as _, SystemClock};

const DATE: HeaderName = HeaderName::from_static("x-ms-date");
const AUTHORIZATION: HeaderName = HeaderName::from_static("authorization");

/// An account's name and key.
#[derive(Clone)]
pub(super) struct AccountKey {
    account: String,
    key: Arc<SecretSlice<u8>>,
}

impl AccountKey {
    /// Takes the key as the portal shows it.
    pub(super) fn new(account: &str, key: &SecretString) -> Result<Self, Error> {
        let key = STANDARD
            .decode(key.expose_secret().trim())
            .map_err(|_error| Error::Invalid("the account key is not base64"))?;
        if key.is_empty() {
            return Err(Error::Invalid("the account key is empty"));
        }
        Ok(Self {
            account: account.to_owned(),
            key: Arc::new(SecretSlice::from(key)),
        })
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    /// HMAC-SHA256 with the key, in base64.
    pub(super) fn sign(&self, text: &str) -> Result<String, Error> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.expose_secret())
            .map_err(|_error| Error::Invalid("the account key cannot sign"))?;
        mac.update(text.as_bytes());
        Ok(STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKey")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// The policy that signs; it stands behind the retry policy, since every try needs a date of its own.
#[derive(Debug)]
pub(super) struct SharedKeyPolicy {
    key: AccountKey,
}

impl SharedKeyPolicy {
    pub(super) fn new(key: AccountKey) -> Self {
        Self { key }
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait makes a signature that differs from the trait's when the lifetime is written"
)]
#[async_trait::async_trait]
impl Policy for SharedKeyPolicy {
    async fn send(
        &self,
        ctx: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        request.insert_header(DATE, http_date(SystemClock.now()));
        let text = string_to_sign(
            request.method().as_str(),
            request.url(),
            request.headers(),
            request.body().len(),
            self.key.account(),
        );
        let signature = self.key.sign(&text).map_err(|error| {
            azure_core::Error::with_error(ErrorKind::Credential, error, "cannot sign")
        })?;
        request.insert_header(
            AUTHORIZATION,
            format!("SharedKey {}:{signature}", self.key.account()),
        );
        let Some((first, rest)) = next.split_first() else {
            return Err(azure_core::Error::with_message(
                ErrorKind::Other,
                "the signing policy was the last one",
            ));
        };
        first.send(ctx, request, rest).await
    }
}

/// RFC 1123, as in `Fri, 26 Jun 2015 23:39:12 GMT`.
fn http_date(at: Timestamp) -> String {
    at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn string_to_sign(
    method: &str,
    url: &Url,
    headers: &Headers,
    body_length: Option<u64>,
    account: &str,
) -> String {
    let header = |name: &'static str| {
        headers
            .get_optional_str(&HeaderName::from_static(name))
            .unwrap_or_default()
            .to_owned()
    };
    let length = match header("content-length") {
        given if !given.is_empty() => given,
        _ => body_length.unwrap_or_default().to_string(),
    };
    let mut text = [
        method.to_owned(),
        header("content-encoding"),
        header("content-language"),
        // Since version 2015-02-21 a length of zero is signed as nothing.
        if length == "0" { String::new() } else { length },
        header("content-md5"),
        header("content-type"),
        // The date stands in x-ms-date.
        String::new(),
        header("if-modified-since"),
        header("if-match"),
        header("if-none-match"),
        header("if-unmodified-since"),
        header("range"),
    ]
    .join("\n");
    text.push('\n');
    let ours: BTreeMap<String, String> = headers
        .iter()
        .map(|(name, value)| (name.as_str().to_ascii_lowercase(), value.as_str()))
        .filter(|(name, _)| name.starts_with("x-ms-"))
        .map(|(name, value)| (name, unfold(value)))
        .collect();
    for (name, value) in ours {
        text.push_str(&name);
        text.push(':');
        text.push_str(&value);
        text.push('\n');
    }
    text.push_str(&canonical_resource(url, account));
    text
}

/// Trims a header value and takes line breaks out of it.
fn unfold(value: &str) -> String {
    value
        .trim()
        .split(['\r', '\n'])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// `/account/path`, then a line for each query parameter: lower-case name, decoded values, sorted.
///
/// An emulator has the account in the path as well, so there it stands twice.
fn canonical_resource(url: &Url, account: &str) -> String {
    let mut text = format!("/{account}{}", url.path());
    let mut query: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in url.query_pairs() {
        query
            .entry(name.to_lowercase())
            .or_default()
            .push(value.into_owned());
    }
    for (name, mut values) in query {
        values.sort_unstable();
        text.push('\n');
        text.push_str(&name);
        text.push(':');
        text.push_str(&values.join(","));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{AccountKey, canonical_resource, http_date, string_to_sign, unfold};
    use azure_core::http::headers::Headers;
    use secrecy::SecretString;
    use url::Url;

    fn headers(given: &[(&'static str, &'static str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in given {
            headers.insert(*name, *value);
        }
        headers
    }

    #[test]
    fn documented_request_is_signed_as_documented() {
        // The example of "Authorize with Shared Key": Get Container Metadata with a date in x-ms-date.
        let url = Url::parse(
            "https://myaccount.blob.core.windows.net/mycontainer?comp=metadata&restype=container&timeout=20",
        )
        .expect("a URL");
        let given = headers(&[
            ("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"),
            ("x-ms-version", "2015-02-21"),
        ]);
        assert_eq!(
            string_to_sign("GET", &url, &given, Some(0), "myaccount"),
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20"
        );
    }

    #[test]
    fn standard_headers_have_their_places() {
        let url = Url::parse("https://myaccount.blob.core.windows.net/c/b").expect("a URL");
        let given = headers(&[
            ("content-encoding", "gzip"),
            ("content-language", "en"),
            ("content-length", "11"),
            ("content-md5", "m"),
            ("content-type", "text/plain; charset=UTF-8"),
            ("date", "not signed"),
            ("if-modified-since", "since"),
            ("if-match", "\"1\""),
            ("if-none-match", "*"),
            ("if-unmodified-since", "until"),
            ("range", "bytes=0-1"),
            ("x-ms-version", "2015-02-21"),
            ("x-ms-blob-type", "BlockBlob"),
            ("accept", "not signed"),
        ]);
        assert_eq!(
            string_to_sign("PUT", &url, &given, None, "myaccount"),
            "PUT\ngzip\nen\n11\nm\ntext/plain; charset=UTF-8\n\nsince\n\"1\"\n*\nuntil\nbytes=0-1\nx-ms-blob-type:BlockBlob\nx-ms-version:2015-02-21\n/myaccount/c/b"
        );
        let bare = headers(&[("content-length", "0")]);
        assert!(string_to_sign("PUT", &url, &bare, Some(0), "a").starts_with("PUT\n\n\n\n\n"));
        assert!(
            string_to_sign("PUT", &url, &headers(&[]), Some(7), "a").starts_with("PUT\n\n\n7\n")
        );
    }

    #[test]
    fn resources_are_canonical() {
        for (url, expected) in [
            // The documented examples.
            (
                "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=acl",
                "/myaccount/mycontainer\ncomp:acl\nrestype:container",
            ),
            (
                "https://myaccount.blob.core.windows.net/mycontainer?restype=container&comp=list&include=snapshots&include=metadata&include=uncommittedblobs",
                "/myaccount/mycontainer\ncomp:list\ninclude:metadata,snapshots,uncommittedblobs\nrestype:container",
            ),
            (
                "https://myaccount-secondary.blob.core.windows.net/mycontainer/myblob",
                "/myaccount/mycontainer/myblob",
            ),
            // An emulator's address, names that are encoded, and names and values to lower and decode.
            (
                "http://127.0.0.1:10000/myaccount/c/a%20b%2Bc",
                "/myaccount/myaccount/c/a%20b%2Bc",
            ),
            (
                "https://x.example/q?BlockID=MDE%3D&comp=block&prefix=a%2Fb+c%25",
                "/myaccount/q\nblockid:MDE=\ncomp:block\nprefix:a/b c%",
            ),
            ("https://x.example", "/myaccount/"),
        ] {
            let url = Url::parse(url).expect("a URL");
            assert_eq!(canonical_resource(&url, "myaccount"), expected);
        }
    }

    #[test]
    fn values_are_unfolded() {
        for (value, expected) in [("  a b ", "a b"), ("a\r\n  b", "a b"), ("", "")] {
            assert_eq!(unfold(value), expected);
        }
    }

    #[test]
    fn dates_are_rfc_1123() {
        let at = "2015-06-26T23:39:12.7Z".parse().expect("a time");
        assert_eq!(http_date(at), "Fri, 26 Jun 2015 23:39:12 GMT");
        let at = "2026-01-02T03:04:05Z".parse().expect("a time");
        assert_eq!(http_date(at), "Fri, 02 Jan 2026 03:04:05 GMT");
    }

    #[test]
    fn keys_sign_and_stay_secret() {
        // RFC 4231, test case 2.
        let key = SecretString::from("SmVmZQ==");
        let key = AccountKey::new("contoso", &key).expect("a key");
        assert_eq!(
            key.sign("what do ya want for nothing?").expect("signed"),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM="
        );
        assert!(!format!("{key:?}").contains("Jefe"));
        assert!(AccountKey::new("contoso", &SecretString::from("***")).is_err());
        assert!(AccountKey::new("contoso", &SecretString::from("")).is_err());
    }
}
