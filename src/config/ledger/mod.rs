//! `LEDGER_DATABASE`: where the list of an app's reports is kept.

mod connection;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use super::{ConfigError, Lookup, env, error, number, text};

/// How a file is named.
const SQLITE: &str = "sqlite:";
/// What a valid setting looks like.
const FORMS: &str =
    "`sqlite:PATH` for local runs, or an Azure SQL connection string (`Server=…;Database=…;…`)";

/// The ledger's settings.
#[derive(Debug, Clone)]
pub struct Ledger {
    /// Where it is.
    pub database: LedgerDatabase,
    /// Keys that one statement names at most.
    pub statement_rows: usize,
}

/// Where the ledger is.
#[derive(Debug, Clone)]
pub enum LedgerDatabase {
    /// Nowhere: in Azure without a connection string. Whoever uses it gets an error; the start does not.
    None,
    /// In a file of this machine.
    Sqlite(PathBuf),
    /// In Azure SQL, or a SQL Server.
    SqlServer(Box<SqlServer>),
}

/// A database of Azure SQL.
#[derive(Clone)]
pub struct SqlServer {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The database's name.
    pub database: String,
    /// Who we are there.
    pub login: SqlLogin,
    /// How the connection is protected.
    pub encryption: SqlEncryption,
    /// A name other than the host's that the certificate has.
    pub host_in_certificate: Option<String>,
    /// How long a connection, with login, may take.
    pub connect_timeout: Duration,
    /// How long a statement may take.
    pub statement_timeout: Duration,
}

impl fmt::Debug for SqlServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlServer")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("encryption", &self.encryption)
            .finish_non_exhaustive()
    }
}

/// How we log in.
#[derive(Debug, Clone)]
pub enum SqlLogin {
    /// With a user of the database.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: SecretString,
    },
    /// With a token of the app's managed identity.
    Identity {
        /// Client ID of a user-assigned identity.
        client_id: Option<String>,
    },
}

/// How a connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlEncryption {
    /// TLS, negotiated in the protocol (TDS 7.4), with a certificate that is checked.
    Required,
    /// TLS before the first byte of the protocol (TDS 8.0), with a certificate that is checked.
    Strict,
    /// TLS without a check of the certificate: to this machine only.
    Unchecked,
    /// No TLS: to this machine only.
    Plaintext,
}

/// Reads the ledger's settings.
pub(super) fn read(lookup: Lookup<'_>) -> Result<Ledger, ConfigError> {
    let rows = number(lookup, env::LEDGER_STATEMENT_ROWS, 1..=1000)?;
    Ok(Ledger {
        database: database(lookup)?,
        statement_rows: usize::try_from(rows).unwrap_or(1),
    })
}

fn database(lookup: Lookup<'_>) -> Result<LedgerDatabase, ConfigError> {
    let name = env::LEDGER_DATABASE.name;
    let is_set = |setting: &str| lookup(setting).is_some_and(|text| !text.trim().is_empty());
    let is_azure = is_set(env::SITE);
    if is_azure && !is_set(name) {
        return Ok(LedgerDatabase::None);
    }
    let text = SecretString::from(text(lookup, env::LEDGER_DATABASE));
    if let Some(path) = text.expose_secret().strip_prefix(SQLITE) {
        let path = path.trim();
        return if is_azure {
            Err(error(
                name,
                "a file is lost with the instance and seen by no other: in Azure give an Azure SQL connection string, \
                 or leave it empty to do without the API path",
            ))
        } else if path.is_empty() || path.contains('\0') {
            Err(error(name, "`sqlite:` needs the path of a file after it"))
        } else {
            Ok(LedgerDatabase::Sqlite(PathBuf::from(path)))
        };
    }
    let server = connection::parse(text.expose_secret()).map_err(|reason| error(name, reason))?;
    Ok(LedgerDatabase::SqlServer(Box::new(server)))
}

/// Whether a host is this machine.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
            .trim_matches(['[', ']'])
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<LedgerDatabase, ConfigError> {
        let lookup = |name: &str| {
            let found = settings.iter().find(|(it, _)| *it == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        super::read(&lookup).map(|ledger| ledger.database)
    }

    #[test]
    fn a_file_is_the_local_default() {
        let database = read(&[]).expect("the default is valid");
        assert!(
            matches!(database, LedgerDatabase::Sqlite(path) if path.as_os_str() == "ledger.db")
        );
        for (value, expected) in [
            ("sqlite:/data/x.db", Some("/data/x.db")),
            ("sqlite:", None),
            ("sqlite:  ", None),
        ] {
            let found = match read(&[("LEDGER_DATABASE", value)]) {
                Ok(LedgerDatabase::Sqlite(path)) => path.to_str().map(str::to_owned),
                _ => None,
            };
            assert_eq!(found.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn a_file_is_refused_in_azure_and_nothing_is_no_error_there() {
        let site = ("WEBSITE_SITE_NAME", "contoso-dsr");
        assert!(matches!(read(&[site]), Ok(LedgerDatabase::None)));
        assert!(matches!(
            read(&[site, ("LEDGER_DATABASE", " ")]),
            Ok(LedgerDatabase::None)
        ));
        let error = read(&[site, ("LEDGER_DATABASE", "sqlite:ledger.db")]).expect_err("a file");
        assert!(error.reason.contains("Azure SQL connection string"));
        let server = "Server=x.database.windows.net;Database=dsr;Authentication=Active Directory Managed Identity";
        assert!(matches!(
            read(&[site, ("LEDGER_DATABASE", server)]),
            Ok(LedgerDatabase::SqlServer(_))
        ));
    }

    #[test]
    fn rows_of_a_statement_have_limits() {
        for (value, is_valid) in [("1", true), ("1000", true), ("0", false), ("1001", false)] {
            let found = read(&[("LEDGER_STATEMENT_ROWS", value)]);
            assert_eq!(found.is_ok(), is_valid, "{value}");
        }
    }
}
