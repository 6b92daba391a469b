//! Storage connection strings.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::Error;
use super::shared_key::AccountKey;

/// The account that `UseDevelopmentStorage=true` stands for; name and key are Azurite's, documented and public.
const DEVELOPMENT_ACCOUNT: &str = "devstoreaccount1";
const DEVELOPMENT_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
const DEVELOPMENT_BLOBS: &str = "http://127.0.0.1:10000/devstoreaccount1";
const DEVELOPMENT_QUEUES: &str = "http://127.0.0.1:10001/devstoreaccount1";

/// What a connection string says.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) key: AccountKey,
    pub(super) blob_endpoint: Url,
    pub(super) queue_endpoint: Url,
}

/// Reads a connection string with an account key, in any order and case of its names.
pub(super) fn parse(text: &SecretString) -> Result<Connection, Error> {
    let (mut name, mut key) = (None, None);
    let (mut blobs, mut queues) = (None, None);
    let (mut protocol, mut suffix) = ("https", "core.windows.net");
    for part in text.expose_secret().split(';') {
        let part = part.trim();
        if part.is_empty() {
            continue;
        }
        let (field, value) = part.split_once('=').ok_or(Error::Invalid(
            "a connection string is made of Name=value parts",
        ))?;
        let value = value.trim();
        match field.trim().to_ascii_lowercase().as_str() {
            "usedevelopmentstorage" if value.eq_ignore_ascii_case("true") => {
                name = Some(DEVELOPMENT_ACCOUNT);
                key = Some(DEVELOPMENT_KEY);
                blobs = Some(DEVELOPMENT_BLOBS);
                queues = Some(DEVELOPMENT_QUEUES);
            }
            "accountname" => name = Some(value),
            "accountkey" => key = Some(value),
            "blobendpoint" => blobs = Some(value),
            "queueendpoint" => queues = Some(value),
            "defaultendpointsprotocol" => protocol = value,
            "endpointsuffix" => suffix = value,
            "sharedaccesssignature" => {
                return Err(Error::Invalid(
                    "the connection string holds a shared access signature; give an account key or use an identity",
                ));
            }
            // Tables, files, secondary endpoints and the like are not used.
            _ => {}
        }
    }
    let name = name
        .filter(|name| !name.is_empty())
        .ok_or(Error::Invalid("the connection string has no AccountName"))?;
    let key = key
        .filter(|key| !key.is_empty())
        .ok_or(Error::Invalid("the connection string has no AccountKey"))?;
    let address = |given: Option<&str>, service: &str| match given {
        Some(given) => endpoint(given),
        None => endpoint(&format!("{protocol}://{name}.{service}.{suffix}")),
    };
    Ok(Connection {
        blob_endpoint: address(blobs, "blob")?,
        queue_endpoint: address(queues, "queue")?,
        key: AccountKey::new(name, &SecretString::from(key))?,
    })
}

/// Reads the address of a service.
pub(super) fn endpoint(text: &str) -> Result<Url, Error> {
    let invalid = Error::Invalid("a storage endpoint is an http or https address without a query");
    let Ok(url) = Url::parse(text.trim_end_matches('/')) else {
        return Err(invalid);
    };
    if !matches!(url.scheme(), "http" | "https") || url.query().is_some() || !url.has_host() {
        return Err(invalid);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::parse;
    use secrecy::SecretString;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str, &str)>) {
        let parsed = parse(&SecretString::from(text));
        if let Err(error) = &parsed {
            assert!(!error.to_string().contains("c2Vj"), "{error}");
        }
        let found = parsed.as_ref().ok().map(|parsed| {
            assert!(!format!("{parsed:?}").contains("secret"));
            (
                parsed.key.account(),
                parsed.blob_endpoint.as_str(),
                parsed.queue_endpoint.as_str(),
            )
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn connection_strings_are_read() {
        let cloud = Some((
            "contoso",
            "https://contoso.blob.core.windows.net/",
            "https://contoso.queue.core.windows.net/",
        ));
        check(
            "DefaultEndpointsProtocol=https;AccountName=contoso;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net",
            cloud,
        );
        check(" accountkey = c2VjcmV0 ;; AccountName=contoso; ", cloud);
        check(
            "UseDevelopmentStorage=true",
            Some((
                "devstoreaccount1",
                "http://127.0.0.1:10000/devstoreaccount1",
                "http://127.0.0.1:10001/devstoreaccount1",
            )),
        );
        check(
            "AccountName=t1;AccountKey=c2VjcmV0;BlobEndpoint=http://127.0.0.1:5000/t1/;QueueEndpoint=http://127.0.0.1:5001/t1",
            Some(("t1", "http://127.0.0.1:5000/t1", "http://127.0.0.1:5001/t1")),
        );
        check(
            "AccountName=contoso;AccountKey=c2VjcmV0;EndpointSuffix=core.chinacloudapi.cn",
            Some((
                "contoso",
                "https://contoso.blob.core.chinacloudapi.cn/",
                "https://contoso.queue.core.chinacloudapi.cn/",
            )),
        );
    }

    #[test]
    fn faults_are_told_without_values() {
        for text in [
            "",
            "AccountName=contoso",
            "AccountKey=c2VjcmV0",
            "AccountName=contoso;AccountKey=",
            "AccountName=contoso;AccountKey=not base64!",
            "AccountName=contoso;c2VjcmV0",
            "UseDevelopmentStorage=false",
            "BlobEndpoint=https://x.example;SharedAccessSignature=sig=c2VjcmV0",
            "AccountName=contoso;AccountKey=c2VjcmV0;BlobEndpoint=ftp://x.example",
            "AccountName=contoso;AccountKey=c2VjcmV0;BlobEndpoint=https://x.example?sig=c2VjcmV0",
        ] {
            check(text, None);
        }
    }
}
