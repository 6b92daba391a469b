//! Access with a managed identity.

use std::sync::{Arc, OnceLock};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::ClientOptions;
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};

/// What a token for storage is asked for.
pub(super) const SCOPE: &str = "https://storage.azure.com/.default";

/// A managed identity that is looked up at the first call: looking it up reads the environment, which can be wrong.
pub(super) struct LazyIdentity {
    client_id: Option<String>,
    options: ClientOptions,
    credential: OnceLock<Arc<ManagedIdentityCredential>>,
}

impl LazyIdentity {
    /// The identity assigned by the user under this client ID, else the system's.
    pub(super) fn new(client_id: Option<String>, options: ClientOptions) -> Self {
        Self {
            client_id,
            options,
            credential: OnceLock::new(),
        }
    }

    fn credential(&self) -> azure_core::Result<&ManagedIdentityCredential> {
        if let Some(credential) = self.credential.get() {
            return Ok(credential);
        }
        let credential = ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
            user_assigned_id: self.client_id.clone().map(UserAssignedId::ClientId),
            client_options: self.options.clone(),
        }))?;
        Ok(self.credential.get_or_init(|| credential))
    }
}

impl std::fmt::Debug for LazyIdentity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LazyIdentity").finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl TokenCredential for LazyIdentity {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        self.credential()?.get_token(scopes, options).await
    }
}
