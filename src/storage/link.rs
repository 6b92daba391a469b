//! Addresses that let their holder read one blob for a while.

use std::time::Duration;

use azure_core::time::OffsetDateTime;
use azure_storage_blob::models::KeyInfo;
use azure_storage_sas::{SasBuilder, SasProtocol};
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use super::shared_key::AccountKey;
use super::{Container, Error, names};

/// Version of the signature's format.
const SAS_VERSION: &str = "2021-12-02";
/// Longest validity; a key for signatures by identity lives no longer.
const MAX_VALID: Duration = Duration::from_secs(7 * 24 * 3600);
/// The key for a signature by identity is asked for from a little earlier, since clocks differ.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

impl Container {
    /// An address by which anyone can read this blob, and nothing else, until `valid_for` after `now`.
    ///
    /// It is as secret as the blob: never log it.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the blob cannot be addressed or `valid_for` is zero or over 7 days; with an identity also
    /// when storage cannot be reached or refuses.
    pub async fn read_link(
        &self,
        name: &str,
        valid_for: Duration,
        now: Timestamp,
    ) -> Result<Url, Error> {
        names::check_blob(name)?;
        if valid_for.is_zero() || valid_for > MAX_VALID {
            return Err(Error::Invalid("a link is valid for up to 7 days"));
        }
        let expiry = now
            .checked_add(valid_for)
            .map_err(|_error| Error::Invalid("a link ends in a year that dates can name"))?;
        let mut url = self.client().url().clone();
        let path = format!("{}/{}", url.path(), names::encode_blob(name));
        url.set_path(&path);
        let is_https = url.scheme() == "https";
        let query = match self.account().key() {
            Some(key) => service_sas(key, self.name(), name, expiry, is_https)?,
            None => self.delegated_sas(name, now, expiry).await?,
        };
        url.set_query(Some(&query));
        Ok(url)
    }

    /// A signature by a key that the identity asks storage for.
    async fn delegated_sas(
        &self,
        name: &str,
        now: Timestamp,
        expiry: Timestamp,
    ) -> Result<String, Error> {
        let request = KeyInfo {
            start: Some(offset_date_time(now.saturating_sub(SKEW).unwrap_or(now))?),
            expiry: Some(offset_date_time(expiry)?),
            ..KeyInfo::default()
        };
        let key = self
            .account()
            .blobs()
            .get_user_delegation_key(request.try_into()?, None)
            .await?
            .into_model()?;
        let sas = SasBuilder::new(self.account().name(), &key, offset_date_time(expiry)?)?
            .protocol(SasProtocol::Https)
            .blob(self.name(), name)
            .read()
            .build();
        Ok(sas)
    }
}

/// A service SAS for one blob, as documented for versions from 2020-12-06 on.
fn service_sas(
    key: &AccountKey,
    container: &str,
    name: &str,
    expiry: Timestamp,
    is_https: bool,
) -> Result<String, Error> {
    let expiry = expiry.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let protocol = if is_https { "https" } else { "https,http" };
    let text = string_to_sign(key.account(), container, name, &expiry, protocol);
    let signature = key.sign(&text)?;
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    Ok(format!(
        "sv={SAS_VERSION}&sr=b&sp=r&se={}&spr={}&sig={}",
        encode(&expiry),
        encode(protocol),
        encode(&signature)
    ))
}

fn string_to_sign(
    account: &str,
    container: &str,
    name: &str,
    expiry: &str,
    protocol: &str,
) -> String {
    let resource = format!("/blob/{account}/{container}/{name}");
    [
        "r", // permissions
        "",  // start: at once, whatever the clocks say
        expiry,
        &resource,
        "", // stored policy
        "", // addresses
        protocol,
        SAS_VERSION,
        "b", // kind of resource
        "",  // snapshot
        "",  // encryption scope
        "",
        "",
        "",
        "",
        "", // headers of the answer
    ]
    .join("\n")
}

fn offset_date_time(at: Timestamp) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::from_unix_timestamp(at.as_second())
        .map_err(|_error| Error::Invalid("a link ends in a year that dates can name"))
}

#[cfg(test)]
mod tests {
    use super::string_to_sign;

    #[test]
    fn string_to_sign_is_as_documented() {
        assert_eq!(
            string_to_sign(
                "contoso",
                "exports",
                "a/b c.zip",
                "2026-11-20T09:00:00Z",
                "https"
            ),
            "r\n\n2026-11-20T09:00:00Z\n/blob/contoso/exports/a/b c.zip\n\n\nhttps\n2021-12-02\nb\n\n\n\n\n\n\n"
        );
    }
}
