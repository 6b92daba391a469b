//! Access by a shared access signature (SAS): its parameters go with every request.

use std::fmt;
use std::sync::Arc;

use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request};
use secrecy::{ExposeSecret as _, SecretString};

/// The policy that adds the parameters. Without any, requests go as anybody's.
pub(super) struct SignaturePolicy {
    query: Option<SecretString>,
}

impl SignaturePolicy {
    pub(super) fn new(query: Option<SecretString>) -> Self {
        Self { query }
    }
}

impl fmt::Debug for SignaturePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignaturePolicy(REDACTED)")
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait makes a signature that differs from the trait's when the lifetime is written"
)]
#[async_trait::async_trait]
impl Policy for SignaturePolicy {
    async fn send(
        &self,
        ctx: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        if let Some(query) = &self.query {
            let signed = url::form_urlencoded::parse(query.expose_secret().as_bytes());
            let url = request.url_mut();
            // Every try comes by here, and the first one's parameters are still there.
            let has = |url: &url::Url| url.query_pairs().any(|(name, _)| name == "sig");
            if !has(url) {
                url.query_pairs_mut().extend_pairs(signed);
            }
        }
        let Some((first, rest)) = next.split_first() else {
            return Err(azure_core::Error::with_message(
                azure_core::error::ErrorKind::Other,
                "the signing policy was the last one",
            ));
        };
        first.send(ctx, request, rest).await
    }
}
