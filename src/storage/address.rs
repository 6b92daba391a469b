//! The address of a container, or of blobs in it, as people paste it: with a signature (SAS) or without.

use std::net::IpAddr;

use secrecy::SecretString;
use url::Url;

use super::{Account, AccountSettings, Container, Error};

/// What an address names.
pub struct Address {
    /// The address of the account's blobs.
    endpoint: Url,
    container: String,
    /// The beginning of the blobs' names; empty for the whole container.
    pub prefix: String,
    /// What the address holds as its query.
    signature: Option<SecretString>,
    /// The address without its signature, for messages and results.
    pub shown: String,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Address")
            .field("container", &self.container)
            .finish_non_exhaustive()
    }
}

impl Address {
    /// Reads `https://{account}.blob.core.windows.net/{container}[/{prefix}][?{sas}]`; on a machine's own address (an
    /// emulator, a private endpoint by IP) the account comes before the container.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is none.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |what| Error::Invalid(what);
        let url = Url::parse(text).map_err(|_error| invalid("this is no address"))?;
        let is_plain = url.username().is_empty() && url.password().is_none();
        if !matches!(url.scheme(), "https" | "http") || !is_plain {
            return Err(invalid("the address of a container is http or https"));
        }
        let host = url.host_str().unwrap_or_default();
        let is_ip = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let mut segments = url.path_segments().into_iter().flatten();
        let mut endpoint = url.clone();
        endpoint.set_query(None);
        endpoint.set_fragment(None);
        endpoint.set_path("");
        if is_ip || host == "localhost" {
            let account = segments.next().unwrap_or_default();
            if account.is_empty() {
                return Err(invalid("the address names no account"));
            }
            endpoint.set_path(account);
        }
        let container = segments.next().unwrap_or_default().to_owned();
        if container.is_empty() {
            return Err(invalid("the address names no container"));
        }
        let rest: Vec<&str> = segments.collect();
        let prefix = percent_encoding::percent_decode_str(&rest.join("/"))
            .decode_utf8()
            .map_err(|_error| invalid("the address is not UTF-8"))?
            .trim_end_matches('/')
            .to_owned();
        let mut shown = url.clone();
        shown.set_query(None);
        shown.set_fragment(None);
        Ok(Self {
            endpoint,
            container,
            prefix,
            signature: url.query().map(|query| query.to_owned().into()),
            shown: shown.as_str().trim_end_matches('/').to_owned(),
        })
    }

    /// Whether the address carries a signature.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.signature.is_some()
    }

    /// The container, reached with the address's own signature; without one as anybody reaches it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the address cannot be used.
    pub fn open(&self) -> Result<Container, Error> {
        let account = Account::open(&AccountSettings::Signature {
            blob_endpoint: self.endpoint.clone(),
            query: self.signature.clone(),
        })?;
        Ok(account.container(&self.container))
    }

    /// The container as this account reaches it, if it is the account of the address.
    #[must_use]
    pub fn of(&self, account: &Account) -> Option<Container> {
        let plain = |url: &Url| url.as_str().trim_end_matches('/').to_owned();
        let is_same = plain(account.blobs().url()) == plain(&self.endpoint);
        is_same.then(|| account.container(&self.container))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(String, String, String, bool)> {
        let it = Address::parse(text).ok()?;
        let (endpoint, is_signed) = (it.endpoint.to_string(), it.is_signed());
        Some((endpoint, it.container, it.prefix, is_signed))
    }

    #[test]
    fn account_container_and_prefix() {
        let azure = "https://contoso.blob.core.windows.net/";
        let own = "http://127.0.0.1:10000/devstoreaccount1";
        for (text, endpoint, prefix, is_signed) in [
            (format!("{azure}archive"), azure, "", false),
            (format!("{azure}archive/?sv=1&sig=a%2Bb"), azure, "", true),
            (format!("{azure}archive/2026/11/"), azure, "2026/11", false),
            (format!("{azure}archive/a%20b#x"), azure, "a b", false),
            (format!("{own}/archive/2026"), own, "2026", false),
        ] {
            let expected = (
                endpoint.to_owned(),
                "archive".to_owned(),
                prefix.to_owned(),
                is_signed,
            );
            assert_eq!(parts(&text), Some(expected), "{text}");
        }
        for bad in [
            "ftp://contoso.blob.core.windows.net/archive",
            "https://contoso.blob.core.windows.net/",
            "http://127.0.0.1:10000/devstoreaccount1",
            "https://user:pass@contoso.blob.core.windows.net/archive",
            "https://contoso.blob.core.windows.net/archive/%ff",
        ] {
            assert_eq!(parts(bad), None, "{bad}");
        }
    }

    #[test]
    fn signatures_are_not_shown() {
        let text = "https://contoso.blob.core.windows.net/archive/2026?sig=canary";
        let address = Address::parse(text).expect("an address");
        assert!(!format!("{address:?}{}", address.shown).contains("canary"));
        let container = address.open().expect("it opens");
        assert!(!format!("{container:?}").contains("canary"));
        assert_eq!(
            address.shown,
            "https://contoso.blob.core.windows.net/archive/2026"
        );
    }
}
