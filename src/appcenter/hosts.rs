//! Which addresses downloads may come from: an answer of the API must not be able to send us anywhere.

use std::fmt;

use url::{Host, Url};

use super::client::is_this_machine;
use super::error::Error;

/// The longest address that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;

/// Where a file can be fetched: usually a blob with a signature (SAS) in its query, so it is as secret as the file.
#[derive(Clone, PartialEq, Eq)]
pub struct Location(Url);

impl Location {
    /// Parses an absolute address. Whether it may be fetched is decided when it is.
    ///
    /// # Errors
    /// [`Error::Address`] when it is not one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > LONGEST {
            return Err(Error::Address { what: "too long" });
        }
        let url = Url::parse(text).map_err(|_error| Error::Address {
            what: "not an absolute address",
        })?;
        Ok(Self(url))
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Location(REDACTED)")
    }
}

/// One entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    Exact { host: Host, port: Option<u16> },
    Below { suffix: String },
}

/// The hosts that downloads may come from.
#[derive(Debug, Clone)]
pub(super) struct AllowList {
    entries: Vec<Entry>,
}

impl AllowList {
    /// Reads `host`, `host:port` and `*.domain` entries; Azure Blob Storage is always on the list.
    pub(super) fn new(hosts: &[String]) -> Result<Self, Error> {
        let entries = hosts
            .iter()
            .map(|host| entry(host.trim()))
            .collect::<Option<_>>()
            .ok_or(Error::Setup {
                what: "list of download hosts",
            })?;
        Ok(Self { entries })
    }

    /// Decides on the parsed address, never on its text.
    pub(super) fn check(&self, url: &Url) -> Result<(), Error> {
        let refuse = |what| Err(Error::Address { what });
        match url.scheme() {
            "https" => {}
            "http" if is_this_machine(url) => {}
            _ => return refuse("neither https nor on this machine"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it holds a user name");
        }
        let Some(host) = url.host() else {
            return refuse("it has no host");
        };
        let is_default_port = url.port().is_none();
        let is_listed = self.entries.iter().any(|entry| match entry {
            Entry::Exact { host: listed, port } => {
                let is_port = match port {
                    Some(port) => url.port_or_known_default() == Some(*port),
                    // A service on this machine has any port; elsewhere another port is another service.
                    None => is_default_port || is_this_machine(url),
                };
                is_port && *listed == host.to_owned()
            }
            Entry::Below { suffix } => {
                is_default_port
                    && matches!(host, Host::Domain(name) if is_below(name, suffix).is_some())
            }
        });
        if is_listed || (is_default_port && is_blob_storage(&host)) {
            Ok(())
        } else {
            refuse("its host is not on the list")
        }
    }
}

/// What stands before `.suffix`, if the name is below it.
fn is_below<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    name.strip_suffix(suffix)?
        .strip_suffix('.')
        .filter(|rest| !rest.is_empty())
}

/// `account.blob.core.windows.net`: one label, as account names have no dots.
fn is_blob_storage(host: &Host<&str>) -> bool {
    let Host::Domain(name) = host else {
        return false;
    };
    is_below(name, "blob.core.windows.net").is_some_and(|account| {
        account
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    })
}

fn entry(text: &str) -> Option<Entry> {
    let (is_wildcard, name) = match text.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    // The address parser normalises case, punycode and IP forms in the same way as in the addresses to compare with.
    let url = Url::parse(&format!("https://{name}/")).ok()?;
    let is_plain = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && !name.contains(['/', '\\', '@', '*', '?', '#'])
        && !name.ends_with(':');
    let host = url.host()?.to_owned();
    match (is_plain, is_wildcard, host) {
        (true, false, host) => Some(Entry::Exact {
            host,
            port: explicit_port(name),
        }),
        // A wildcard over a whole top-level domain is a mistake.
        (true, true, Host::Domain(suffix))
            if suffix.contains('.') && explicit_port(name).is_none() =>
        {
            Some(Entry::Below { suffix })
        }
        _ => None,
    }
}

/// The port as written, 443 included, which the address parser would drop.
fn explicit_port(name: &str) -> Option<u16> {
    let (host, port) = name.rsplit_once(':')?;
    let is_port = !host.contains(':') || host.ends_with(']');
    if is_port { port.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(hosts: &[&str]) -> AllowList {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        AllowList::new(&hosts).expect("the hosts are right")
    }

    fn is_allowed(list: &AllowList, address: &str) -> bool {
        Location::parse(address).is_ok_and(|location| list.check(location.url()).is_ok())
    }

    #[test]
    fn blob_storage_and_nothing_like_it() {
        let list = list(&[]);
        for good in [
            "https://ex005f0a5ce8e08f7fb33898.blob.core.windows.net/c/b?sv=1&sig=a%2Bb",
            "https://ACCOUNT.BLOB.core.windows.net/c/b",
            "https://account.blob.core.windows.net:443/c/b",
            "https://account-secondary.blob.core.windows.net/c/b#x",
        ] {
            assert!(is_allowed(&list, good), "{good}");
        }
        for bad in [
            "http://account.blob.core.windows.net/c/b",
            "ftp://account.blob.core.windows.net/c/b",
            "https://evilblob.core.windows.net/c/b",
            "https://blob.core.windows.net/c/b",
            "https://.blob.core.windows.net/c/b",
            "https://account.blob.core.windows.net.evil.com/c/b",
            "https://account.blob.core.windows.net./c/b",
            "https://account.blob.core.windows.net:8443/c/b",
            "https://a.b.blob.core.windows.net/c/b",
            "https://account.blob.core.windows.net@evil.com/c/b",
            "https://evil.com@account.blob.core.windows.net/c/b",
            "https://user:pass@account.blob.core.windows.net/c/b",
            "https://evil.com/account.blob.core.windows.net",
            "https://evil.com#account.blob.core.windows.net",
            "https://evil.com?account.blob.core.windows.net",
            "https://evil.com\\account.blob.core.windows.net/",
            "https://evil.com%2faccount.blob.core.windows.net/",
            "https://accоunt.blob.core.windows.net.xn--evil-5cd/",
            "https://account.blob.core.windоws.net/c/b",
            "https://account.file.core.windows.net/c/b",
            "https://127.0.0.1/c/b",
            "http://127.0.0.1:7071/admin",
            "http://localhost:7071/admin",
            "http://169.254.169.254/metadata",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "//account.blob.core.windows.net/c/b",
            "/c/b",
            "javascript:alert(1)",
            "file:///etc/passwd",
            "data:text/plain,x",
            "",
        ] {
            assert!(!is_allowed(&list, bad), "{bad}");
        }
        let long = format!("https://account.blob.core.windows.net/{}", "a".repeat(9000));
        assert!(!is_allowed(&list, &long));
    }

    #[test]
    fn a_homograph_of_the_account_is_another_host() {
        // A Cyrillic letter in the account becomes punycode, which is a legal label of that zone: nobody else's host.
        assert!(is_allowed(
            &list(&[]),
            "https://accоunt.blob.core.windows.net/"
        ));
        assert!(!is_allowed(&list(&["example.com"]), "https://exаmple.com/"));
    }

    #[test]
    fn own_hosts_exactly_as_listed() {
        let list = list(&[
            "files.example.com",
            "Bücher.example",
            "*.cdn.example.com",
            "127.0.0.1",
            "[::1]:10000",
            "other.example.com:8443",
        ]);
        for good in [
            "https://files.example.com/a",
            "https://FILES.example.com/a",
            "https://xn--bcher-kva.example/a",
            "https://a.b.cdn.example.com/a",
            "http://127.0.0.1:10000/devstoreaccount1/c/b?sig=x",
            "http://127.1:10000/a",
            "http://[::1]:10000/a",
            "https://other.example.com:8443/a",
        ] {
            assert!(is_allowed(&list, good), "{good}");
        }
        for bad in [
            "http://files.example.com/a",
            "https://files.example.com:8443/a",
            "https://files.example.com.evil.com/a",
            "https://xfiles.example.com/a",
            "https://a.files.example.com/a",
            "https://cdn.example.com/a",
            "https://xcdn.example.com/a",
            "https://other.example.com/a",
            "http://localhost:10000/a",
            "http://127.0.0.2:10000/a",
            "http://[::1]:10001/a",
        ] {
            assert!(!is_allowed(&list, bad), "{bad}");
        }
    }

    #[test]
    fn locations_are_not_printed() {
        let location = Location::parse("https://a.blob.core.windows.net/b?sig=canary");
        assert!(!format!("{location:?}").contains("canary"));
    }
}
