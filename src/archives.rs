//! The storage accounts that hold what App Center exported.
//!
//! One is set. A standard export writes to an account that App Center makes for it, and names in its configuration: it is
//! reached by the identity that reaches the one that is set, or by a connection string of its own. Blobs of such an account
//! are named `@account/…` wherever a name is kept; of the one that is set, as they are.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;

use crate::config::{AccountConnection, Storage};
use crate::storage::{Account, AccountSettings, Container, Error};
use crate::work::names;

/// Accounts that are held open.
const MAX_OPEN: usize = 64;

/// Every account of exports that can be reached.
pub struct Archives {
    own: Container,
    own_account: Option<String>,
    /// Its name under any address.
    own_name: Option<String>,
    container: String,
    /// The setting of the one that is set, by which others are reached, too.
    setting: Storage,
    listed: BTreeMap<String, Container>,
    /// Those that the identity reaches, by name.
    opened: Mutex<BTreeMap<String, Container>>,
}

/// How an account that App Center names can be reached.
#[derive(Debug, Clone)]
pub enum Reach {
    /// It is the one that is set.
    Own,
    /// It cannot be told whether it is the one that is set, which is none of Azure's own addresses.
    Unknown,
    /// It is another one.
    Other(Container),
    /// No setting tells how.
    Not,
}

impl Archives {
    /// The account that is set, and how others are reached. No I/O happens here.
    ///
    /// # Errors
    /// When a connection string cannot be used.
    pub fn new(
        own: Container,
        container: &str,
        setting: &Storage,
        listed: &[AccountConnection],
    ) -> Result<Self, Error> {
        let open = |it: &AccountConnection| {
            let settings = AccountSettings::ConnectionString(it.text.clone());
            let account = Account::open(&settings)?;
            Ok((it.account.clone(), account.container(container)))
        };
        Ok(Self {
            own,
            own_account: setting.azure_account(),
            own_name: setting.account_name(),
            container: container.to_owned(),
            setting: setting.clone(),
            listed: listed.iter().map(open).collect::<Result<_, Error>>()?,
            opened: Mutex::default(),
        })
    }

    /// The container of the account that is set.
    #[must_use]
    pub fn own(&self) -> &Container {
        &self.own
    }

    /// The name of the account that is set, where it is one of Azure's own.
    #[must_use]
    pub fn own_account(&self) -> Option<&str> {
        self.own_account.as_deref()
    }

    /// How an account is reached that App Center names.
    ///
    /// # Errors
    /// When a setting of it cannot be used.
    pub fn reach(&self, account: &str) -> Result<Reach, Error> {
        if self.own_name.as_deref() == Some(account) {
            return Ok(Reach::Own);
        }
        let opened = self.opened().get(account).cloned();
        if let Some(container) = opened.or_else(|| self.listed.get(account).cloned()) {
            return Ok(Reach::Other(container));
        }
        let Some(settings) = self.identity(account) else {
            return Ok(match self.own_account {
                Some(_) => Reach::Not,
                None => Reach::Unknown,
            });
        };
        let container = Account::open(&settings)?.container(&self.container);
        let mut opened = self.opened();
        if opened.len() >= MAX_OPEN {
            opened.clear();
        }
        opened.insert(account.to_owned(), container.clone());
        Ok(Reach::Other(container))
    }

    /// The container that holds an exported blob, and the blob's name in it.
    ///
    /// # Errors
    /// When its account is not reached any more.
    pub fn holder<'n>(&self, blob: &'n str) -> Result<(Container, &'n str), Error> {
        match names::account_of(blob) {
            (None, name) => Ok((self.own.clone(), name)),
            (Some(account), name) => Ok((self.of_account(account)?, name)),
        }
    }

    /// The container of an account that was reached before.
    ///
    /// # Errors
    /// When it is not any more.
    pub fn of_account(&self, account: &str) -> Result<Container, Error> {
        match self.reach(account)? {
            Reach::Own => Ok(self.own.clone()),
            Reach::Other(container) => Ok(container),
            Reach::Unknown | Reach::Not => Err(Error::Invalid(
                "no setting tells any more how the storage account of an export is reached",
            )),
        }
    }

    /// The same identity, cloud and kind of address, for another account.
    fn identity(&self, account: &str) -> Option<AccountSettings> {
        let Storage::Identity {
            blob_endpoint,
            client_id,
            ..
        } = &self.setting
        else {
            return None;
        };
        let own = self.own_account.as_deref()?;
        let host = blob_endpoint.host_str()?.strip_prefix(own)?;
        let mut endpoint = blob_endpoint.clone();
        endpoint.set_host(Some(&format!("{account}{host}"))).ok()?;
        Some(AccountSettings::Identity {
            queue_endpoint: endpoint.clone(),
            blob_endpoint: endpoint,
            client_id: client_id.clone(),
        })
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Container>> {
        // What a panic left is a map all the same.
        self.opened
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl fmt::Debug for Archives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archives")
            .field("own", &self.own)
            .field("listed", &self.listed.len())
            .finish_non_exhaustive()
    }
}

/// Whether a text is the name of a storage account in Azure: 3 to 24 lower-case letters and digits.
#[must_use]
pub fn is_account(name: &str) -> bool {
    (3..=24).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AccountKey=a2V5";

    fn archives(setting: &Storage, listed: &[&str]) -> Archives {
        let listed: Vec<_> = listed
            .iter()
            .map(|account| AccountConnection {
                account: (*account).to_owned(),
                text: format!("AccountName={account};{KEY}").into(),
            })
            .collect();
        let own = AccountSettings::ConnectionString(format!("AccountName=own;{KEY}").into());
        let own = Account::open(&own)
            .expect("an account")
            .container("archive");
        Archives::new(own, "archive", setting, &listed).expect("accounts")
    }

    fn identity(endpoint: &str) -> Storage {
        Storage::Identity {
            blob_endpoint: endpoint.parse().expect("an address"),
            queue_endpoint: endpoint.parse().expect("an address"),
            client_id: None,
        }
    }

    #[test]
    fn an_identity_reaches_every_account_of_its_cloud() {
        let archives = archives(&identity("https://contoso.blob.core.windows.net/"), &[]);
        assert!(matches!(archives.reach("contoso"), Ok(Reach::Own)));
        assert!(matches!(archives.reach("ex005f"), Ok(Reach::Other(_))));
        let Some(AccountSettings::Identity { blob_endpoint, .. }) = archives.identity("ex005f")
        else {
            panic!("no identity");
        };
        assert_eq!(
            blob_endpoint.as_str(),
            "https://ex005f.blob.core.windows.net/"
        );
        let (_, name) = archives.holder("@ex005f/2026/11/20/").expect("reached");
        assert_eq!(name, "2026/11/20/");
    }

    #[test]
    fn a_key_reaches_its_own_account_and_those_that_are_listed() {
        let key = Storage::ConnectionString(format!("AccountName=contoso;{KEY}").into());
        let reached = archives(&key, &["ex1"]);
        assert!(matches!(reached.reach("contoso"), Ok(Reach::Own)));
        assert!(matches!(reached.reach("ex1"), Ok(Reach::Other(_))));
        assert!(matches!(reached.reach("ex2"), Ok(Reach::Not)));
        assert!(matches!(reached.holder("@ex2/x"), Err(Error::Invalid(_))));
        let emulator = format!("AccountName=a;{KEY};BlobEndpoint=http://127.0.0.1:1/a");
        let emulated = archives(&Storage::ConnectionString(emulator.into()), &[]);
        assert!(matches!(emulated.reach("ex1"), Ok(Reach::Unknown)));
        // Under an address of one's own, its setting may name it a second time.
        let domain = format!("AccountName=contoso;{KEY};BlobEndpoint=https://files.example/");
        let domain = archives(
            &Storage::ConnectionString(domain.into()),
            &["contoso", "ex1"],
        );
        assert!(matches!(domain.reach("contoso"), Ok(Reach::Own)));
        assert!(matches!(domain.reach("ex1"), Ok(Reach::Other(_))));
    }

    #[test]
    fn accounts_have_names_of_their_own_kind() {
        for (name, expected) in [
            ("ex005f0a5ce8e08f7fb33898", true),
            ("abc", true),
            ("ab", false),
            ("EX1", false),
            ("ex1.evil.example", false),
            ("ex005f0a5ce8e08f7fb338980", false),
        ] {
            assert_eq!(is_account(name), expected, "{name}");
        }
    }
}
