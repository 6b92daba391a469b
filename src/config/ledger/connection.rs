//! Connection strings of SQL databases, in the form of ADO.NET.

use std::time::Duration;

use secrecy::SecretString;

use super::{FORMS, SqlEncryption, SqlLogin, SqlServer, is_loopback};

/// Why a connection string cannot be used. It never quotes the string.
type Reason = String;

const DEFAULT_PORT: u16 = 1433;
/// Names and values of one string.
const MAX_PARTS: usize = 100;

/// Reads a connection string. Parts that say nothing about what we do, such as those about pools, are skipped.
pub(super) fn parse(text: &str) -> Result<SqlServer, Reason> {
    let mut address = None;
    let (mut database, mut user, mut password) = (None, None, None);
    let (mut authentication, mut host_in_certificate) = (None, None);
    let (mut encrypt, mut trust, mut is_windows) = (None, false, false);
    let (mut connect, mut statement) = (15, 30);
    for (name, value) in parts(text)? {
        // `User Id`, `UserID` and `user id` are one name.
        let name: String = name.to_ascii_lowercase().split_whitespace().collect();
        match name.as_str() {
            "server" | "datasource" | "addr" | "address" | "networkaddress" => {
                address = Some(value);
            }
            "database" | "initialcatalog" => database = Some(value),
            "userid" | "uid" | "user" => user = Some(value),
            "password" | "pwd" => password = Some(value),
            "authentication" => authentication = Some(value),
            "encrypt" => encrypt = Some(value.to_ascii_lowercase()),
            "trustservercertificate" => trust = flag("TrustServerCertificate", &value)?,
            "hostnameincertificate" => host_in_certificate = Some(value),
            "connecttimeout" | "connectiontimeout" | "timeout" => {
                connect = seconds("Connect Timeout", &value)?;
            }
            "commandtimeout" => statement = seconds("Command Timeout", &value)?,
            "integratedsecurity" | "trusted_connection" => {
                is_windows =
                    value.eq_ignore_ascii_case("sspi") || flag("Integrated Security", &value)?;
            }
            _ => {}
        }
    }
    if is_windows {
        return Err(
            "Windows sign-in is not supported: give `User ID` and `Password`, or \
             `Authentication=Active Directory Managed Identity`"
                .to_owned(),
        );
    }
    let filled = |value: Option<String>| value.filter(|it| !it.is_empty());
    let address = filled(address).ok_or_else(|| format!("no `Server`: give {FORMS}"))?;
    let (host, port) = host_and_port(&address)?;
    let database =
        filled(database).ok_or("the connection string has no `Database` (or `Initial Catalog`)")?;
    let login = login(filled(authentication), filled(user), filled(password))?;
    let encryption = encryption(encrypt.as_deref(), trust, is_loopback(&host))?;
    Ok(SqlServer {
        host,
        port,
        database,
        login,
        encryption,
        host_in_certificate: filled(host_in_certificate),
        connect_timeout: Duration::from_secs(connect),
        statement_timeout: Duration::from_secs(statement),
    })
}

fn login(
    authentication: Option<String>,
    user: Option<String>,
    password: Option<String>,
) -> Result<SqlLogin, Reason> {
    let method: Option<String> = authentication.map(|it| {
        it.to_ascii_lowercase()
            .split_whitespace()
            .collect::<String>()
    });
    match method.as_deref() {
        None | Some("sqlpassword") => match (user, password) {
            (Some(user), Some(password)) => Ok(SqlLogin::Password {
                user,
                password: SecretString::from(password),
            }),
            _ => Err("give `User ID` and `Password`, or `Authentication=Active Directory Managed Identity`".to_owned()),
        },
        Some("activedirectorymanagedidentity" | "activedirectorymsi" | "activedirectorydefault") => {
            if password.is_some() {
                return Err("a managed identity has no `Password`: take it out".to_owned());
            }
            Ok(SqlLogin::Identity { client_id: user })
        }
        Some(_) => Err(
            "`Authentication` is `Sql Password`, `Active Directory Managed Identity` or `Active Directory Default`"
                .to_owned(),
        ),
    }
}

fn encryption(
    encrypt: Option<&str>,
    trust: bool,
    is_loopback: bool,
) -> Result<SqlEncryption, Reason> {
    let is_local_only = match encrypt {
        None | Some("true" | "yes" | "mandatory" | "required") if trust => SqlEncryption::Unchecked,
        None | Some("true" | "yes" | "mandatory" | "required") => {
            return Ok(SqlEncryption::Required);
        }
        Some("strict") => return Ok(SqlEncryption::Strict),
        Some("danger_plaintext") => SqlEncryption::Plaintext,
        Some(_) => {
            return Err("`Encrypt` is `True` or `Strict`: a password and report IDs do not travel in the clear".to_owned());
        }
    };
    match (is_loopback, is_local_only) {
        (true, _) => Ok(is_local_only),
        (false, SqlEncryption::Unchecked) => Err(
            "`TrustServerCertificate=True` is for this machine only: anybody on the way could pose as the server"
                .to_owned(),
        ),
        (false, _) => Err("`Encrypt=DANGER_PLAINTEXT` is for this machine only (127.0.0.1, localhost): use `Encrypt=True`".to_owned()),
    }
}

fn host_and_port(address: &str) -> Result<(String, u16), Reason> {
    let address = address.strip_prefix("tcp:").unwrap_or(address);
    let (host, port) = match address.split_once(',') {
        Some((host, port)) => {
            let port = port.trim().parse();
            let port = port.map_err(|_error| "the port after `Server=…,` is 1 to 65535")?;
            (host.trim(), port)
        }
        None => (address.trim(), DEFAULT_PORT),
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if host.is_empty() || host.len() > 253 || !host.chars().all(is_host) || port == 0 {
        return Err(
            "`Server` is `tcp:NAME.database.windows.net,1433`: a host and a port, no instance name"
                .to_owned(),
        );
    }
    Ok((host.to_owned(), port))
}

fn flag(name: &str, value: &str) -> Result<bool, Reason> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" => Ok(true),
        "false" | "no" | "" => Ok(false),
        _ => Err(format!("`{name}` is `True` or `False`")),
    }
}

fn seconds(name: &str, value: &str) -> Result<u64, Reason> {
    let seconds = value.parse().ok();
    let seconds = seconds.filter(|it| (1..=120).contains(it));
    seconds.ok_or_else(|| format!("`{name}` is 1 to 120 seconds"))
}

/// Names and values. A value can be in single or double quotes, and has them doubled inside; or in braces.
fn parts(text: &str) -> Result<Vec<(&str, String)>, Reason> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start_matches([';', ' ']);
    while !rest.is_empty() {
        // Not a word of the text: whoever forgot `Server=` may have given a password.
        let (name, after) = rest.split_once('=').ok_or_else(|| {
            format!("a connection string is made of Name=value parts: give {FORMS}")
        })?;
        let (value, after) = value(after.trim_start())?;
        parts.push((name.trim(), value));
        if parts.len() > MAX_PARTS {
            return Err("the connection string has too many parts".to_owned());
        }
        rest = after.trim_start_matches([';', ' ']);
    }
    Ok(parts)
}

/// The value at the beginning, and what comes after it.
fn value(text: &str) -> Result<(String, &str), Reason> {
    let unclosed = "a value of the connection string has a quote that is not closed";
    let (value, after) = match text.chars().next() {
        Some('{') => {
            let (value, after) = text[1..].split_once('}').ok_or(unclosed)?;
            (value.to_owned(), after)
        }
        Some(quote @ ('\'' | '"')) => {
            let (mut value, mut rest) = (String::new(), &text[1..]);
            loop {
                let (before, after) = rest.split_once(quote).ok_or(unclosed)?;
                value.push_str(before);
                let Some(after) = after.strip_prefix(quote) else {
                    break (value, after);
                };
                value.push(quote);
                rest = after;
            }
        }
        _ => {
            let end = text.find(';').unwrap_or(text.len());
            (text[..end].trim_end().to_owned(), &text[end..])
        }
    };
    let after = after.trim_start();
    if !after.is_empty() && !after.starts_with(';') {
        return Err("a value of the connection string goes on after its closing quote".to_owned());
    }
    Ok((value, after))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn password(text: &str) -> Option<String> {
        match parse(text).ok()?.login {
            SqlLogin::Password { password, .. } => Some(password.expose_secret().to_owned()),
            SqlLogin::Identity { .. } => None,
        }
    }

    #[test]
    fn the_portal_s_string_is_read() {
        let text = "Server=tcp:contoso.database.windows.net,1433;Initial Catalog=dsr;Persist Security Info=False;\
                    User ID=dsr-writer;Password=s3cret==;MultipleActiveResultSets=False;Encrypt=True;\
                    TrustServerCertificate=False;Connection Timeout=30;";
        let server = parse(text).expect("valid");
        assert_eq!(server.host, "contoso.database.windows.net");
        assert_eq!(server.port, 1433);
        assert_eq!(server.database, "dsr");
        assert_eq!(server.encryption, SqlEncryption::Required);
        assert_eq!(server.connect_timeout, Duration::from_secs(30));
        assert_eq!(password(text).as_deref(), Some("s3cret=="));
        assert!(!format!("{server:?}").contains("s3cret"));
    }

    #[test]
    fn identities_are_read() {
        for (text, expected) in [
            ("Authentication=Active Directory Managed Identity", None),
            ("Authentication=\"Active Directory Default\"", None),
            (
                "authentication=ActiveDirectoryManagedIdentity; User Id=11-22",
                Some("11-22"),
            ),
        ] {
            let text = format!("Data Source=x.database.windows.net;Database=d;{text}");
            let login = parse(&text).expect("valid").login;
            assert!(
                matches!(&login, SqlLogin::Identity { client_id } if client_id.as_deref() == expected),
                "{login:?}"
            );
        }
    }

    #[test]
    fn values_can_be_quoted() {
        for (value, expected) in [
            ("plain", "plain"),
            (" spaced out ", "spaced out"),
            ("'a;b'", "a;b"),
            ("\"a;b=\"\"c\"\"\"", "a;b=\"c\""),
            ("'it''s' ", "it's"),
            ("{a;'b}", "a;'b"),
            ("ä=ö", "ä=ö"),
        ] {
            let text = format!("Server=x;Database=d;UID=u;PWD={value};");
            assert_eq!(password(&text).as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn only_this_machine_goes_without_tls() {
        let base = "Database=d;User ID=u;Password=p";
        for (server, more, expected) in [
            ("x.example", "", Some(SqlEncryption::Required)),
            ("x.example", "Encrypt=strict", Some(SqlEncryption::Strict)),
            ("x.example", "Encrypt=DANGER_PLAINTEXT", None),
            ("x.example", "Encrypt=False", None),
            ("x.example", "TrustServerCertificate=true", None),
            ("127.0.0.1.example", "Encrypt=DANGER_PLAINTEXT", None),
            ("localhost", "Encrypt=False", None),
            (
                "tcp:127.0.0.1,5000",
                "Encrypt=DANGER_PLAINTEXT",
                Some(SqlEncryption::Plaintext),
            ),
            (
                "localhost",
                "Encrypt=danger_plaintext",
                Some(SqlEncryption::Plaintext),
            ),
            (
                "localhost",
                "TrustServerCertificate=yes",
                Some(SqlEncryption::Unchecked),
            ),
        ] {
            let found = parse(&format!("Server={server};{base};{more}"));
            assert_eq!(
                found.ok().map(|it| it.encryption),
                expected,
                "{server} {more}"
            );
        }
    }

    #[test]
    fn faults_say_what_to_do_and_quote_nothing() {
        for text in [
            "s3cret",
            "Database=d;User ID=u;Password=s3cret",
            "Server=x;User ID=u;Password=s3cret",
            "Server=x;Database=d;Password=s3cret",
            "Server=x;Database=d;User ID=u",
            "Server=x\\s3cret;Database=d;User ID=u;Password=p",
            "Server=x,s3cret;Database=d;User ID=u;Password=p",
            "Server=x;Database=d;User ID=u;Password='s3cret",
            "Server=x;Database=d;User ID=u;Password='p's3cret",
            "Server=x;Database=d;Authentication=s3cret",
            "Server=x;Database=d;Authentication=Active Directory Default;Password=s3cret",
            "Server=x;Database=d;Integrated Security=SSPI",
            "Server=x;Database=d;User ID=u;Password=p;Encrypt=s3cret",
            "Server=x;Database=d;User ID=u;Password=p;Connect Timeout=s3cret",
        ] {
            let reason = parse(text).expect_err(text);
            assert!(!reason.contains("s3cret"), "{reason}");
            assert!(reason.len() > 20, "{reason}");
        }
    }
}
