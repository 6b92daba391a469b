//! Connections to SQL Server: address, TLS, login, and the other address a gateway may send us to.

use std::fmt;
use std::sync::{Arc, OnceLock};

use azure_core::credentials::TokenCredential;
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions, UserAssignedId};
use secrecy::ExposeSecret as _;
use tiberius::error::Error as TdsError;
use tiberius::{AuthMethod, Client, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt as _};

use super::transient::failure;
use crate::config::{SqlEncryption, SqlLogin, SqlServer};
use crate::ledger::error::{Cause, Error, Failure};

/// What a token for Azure SQL is asked for.
const SCOPE: &str = "https://database.windows.net/.default";
/// How often a gateway may send us on.
const MAX_ROUTES: u32 = 2;
/// What the server's lists of sessions show.
const APPLICATION: &str = "appcenter-dsr";

/// A connection that is logged in.
pub(super) type Connection = Client<Compat<TcpStream>>;

/// Makes connections.
pub(super) struct Connector {
    server: SqlServer,
    credential: OnceLock<Arc<dyn TokenCredential>>,
    /// A further authority on certificates, beside the system's.
    #[cfg(test)]
    authority: Option<Vec<u8>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl Connector {
    pub(super) fn new(server: &SqlServer) -> Self {
        Self {
            server: server.clone(),
            credential: OnceLock::new(),
            #[cfg(test)]
            authority: None,
        }
    }

    /// The same with a further authority on certificates.
    #[cfg(test)]
    pub(super) fn with_authority(self, authority: Option<Vec<u8>>) -> Self {
        Self { authority, ..self }
    }

    /// The same with tokens from elsewhere.
    #[cfg(test)]
    pub(super) fn with_credential(self, credential: Arc<dyn TokenCredential>) -> Self {
        drop(self.credential.set(credential));
        self
    }

    /// Makes a connection, in the time that the settings allow.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        let limit = self.server.connect_timeout;
        match tokio::time::timeout(limit, self.connect_in_time()).await {
            Ok(result) => result,
            Err(_elapsed) => Err(Error::Transient(Cause::TimedOut).into()),
        }
    }

    async fn connect_in_time(&self) -> Result<Connection, Failure> {
        let login = self.login().await?;
        let (mut host, mut port) = (self.server.host.clone(), self.server.port);
        let mut routes = 0;
        loop {
            let config = self.config(&host, port, &login);
            let address = (host.trim_matches(['[', ']']), port);
            let stream = TcpStream::connect(address).await;
            let stream = stream.map_err(|error| broken(error.kind()))?;
            stream
                .set_nodelay(true)
                .map_err(|error| broken(error.kind()))?;
            match Box::pin(Client::connect(config, stream.compat_write())).await {
                Err(TdsError::Routing {
                    host: other_host,
                    port: other_port,
                }) if routes < MAX_ROUTES && self.may_follow(&other_host) => {
                    (host, port) = (other_host, other_port);
                    routes += 1;
                }
                Err(TdsError::Routing { .. }) => return Err(Error::Refused(Cause::Answer).into()),
                Err(error) => return Err(failure(&error)),
                Ok(connection) => return Ok(connection),
            }
        }
    }

    /// A password or token goes only where TLS holds the other side to its name, or stays on this machine.
    fn may_follow(&self, host: &str) -> bool {
        let is_checked = matches!(
            self.server.encryption,
            SqlEncryption::Required | SqlEncryption::Strict
        );
        let domain = |host: &str| host.split_once('.').map(|(_, domain)| domain.to_owned());
        if is_checked {
            // `x.database.windows.net` is sent on to `….database.windows.net`, maybe below a region.
            let ours = domain(&self.server.host).map(|domain| domain.to_ascii_lowercase());
            ours.is_some_and(|ours| host.to_ascii_lowercase().ends_with(&format!(".{ours}")))
        } else {
            host.eq_ignore_ascii_case(&self.server.host)
        }
    }

    fn config(&self, host: &str, port: u16, login: &AuthMethod) -> tiberius::Config {
        let mut config = tiberius::Config::new();
        config.host(host);
        config.port(port);
        config.database(&self.server.database);
        config.application_name(APPLICATION);
        config.authentication(login.clone());
        if let Some(name) = &self.server.host_in_certificate {
            config.hostname_in_certificate(name);
        }
        config.encryption(match self.server.encryption {
            SqlEncryption::Required | SqlEncryption::Unchecked => EncryptionLevel::Required,
            SqlEncryption::Strict => EncryptionLevel::Strict,
            SqlEncryption::Plaintext => EncryptionLevel::NotSupported,
        });
        if self.server.encryption == SqlEncryption::Unchecked {
            config.trust_cert();
        }
        #[cfg(test)]
        if let Some(authority) = &self.authority {
            config.trust_cert_ca_bundle(authority.clone());
        }
        config
    }

    async fn login(&self) -> Result<AuthMethod, Failure> {
        match &self.server.login {
            SqlLogin::Password { user, password } => {
                Ok(AuthMethod::sql_server(user, password.expose_secret()))
            }
            SqlLogin::Identity { client_id } => {
                let no_token = |_error| Failure::from(Error::Transient(Cause::Token));
                let credential = self.credential(client_id.as_deref()).map_err(no_token)?;
                let token = credential
                    .get_token(&[SCOPE], None)
                    .await
                    .map_err(no_token)?;
                Ok(AuthMethod::aad_token(token.token.secret()))
            }
        }
    }

    /// The identity is looked up at the first connection: looking it up reads the environment, which can be wrong.
    fn credential(&self, client_id: Option<&str>) -> azure_core::Result<&dyn TokenCredential> {
        if let Some(credential) = self.credential.get() {
            return Ok(credential.as_ref());
        }
        let user_assigned = client_id.map(|id| UserAssignedId::ClientId(id.to_owned()));
        let credential = ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
            user_assigned_id: user_assigned,
            ..ManagedIdentityCredentialOptions::default()
        }))?;
        Ok(self.credential.get_or_init(|| credential).as_ref())
    }
}

fn broken(kind: std::io::ErrorKind) -> Failure {
    Error::Transient(Cause::Connection(kind)).into()
}
