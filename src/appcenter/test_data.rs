//! App Center Test: an app's test runs, and the export of its test data with all parts and files.
//!
//! Test was retired on 2025-03-31, and what its calls answer since is documented nowhere: any of them may be gone. The
//! export's parts are described as single objects and said to be lists; its index leads to them by addresses, and they to
//! files by fields that end in `_url`.

use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::body::{decode, decode_any};
use super::client::Client;
use super::error::Error;
use super::hosts::Location;
use super::http::Call;
use super::lenient;
use super::path::{Path, PathId};
use super::personal::Personal;
use crate::domain::AppRef;

/// The parts of an export that the service describes, with their operations.
const PARTS: [(TestScope, &str, &str); 7] = [
    (TestScope::App, "apps", "test_gdprExportApp"),
    (TestScope::App, "testRuns", "test_gdprExportTestRun"),
    (
        TestScope::App,
        "pipelineTests",
        "test_gdprExportPipelineTest",
    ),
    (TestScope::App, "hashFiles", "test_gdprExportHashFile"),
    (TestScope::App, "fileSetFiles", "test_gdprExportFileSetFile"),
    (TestScope::Account, "accounts", "test_gdprExportAccount"),
    (
        TestScope::Account,
        "featureFlags",
        "test_gdprExportFeatureFlag",
    ),
];
/// Hosts of the same service; the token goes to the one that is set up and to no other.
const ALIASES: [&str; 2] = ["api.appcenter.ms", "appcenter.ms"];

/// The test runs of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TestRuns {
    /// Their IDs.
    pub ids: Vec<Uuid>,
    /// How many were listed without an ID that can be used.
    pub unusable: u64,
}

/// What an export is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestScope {
    /// Of an app.
    #[default]
    App,
    /// Of the account that the token belongs to.
    Account,
}

/// A part of an export: what stands behind `…/test/export/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TestPart {
    #[serde(default)]
    scope: TestScope,
    segments: Vec<PathId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    query: Option<String>,
}

/// Where an address of the export leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestLink {
    /// To another part.
    Part(TestPart),
    /// To a file elsewhere, to be fetched without the token and only from allowed hosts.
    File(Location),
}

impl TestPart {
    /// Every part that the service describes.
    #[must_use]
    pub fn described(of: TestScope) -> Vec<Self> {
        let parts = PARTS.into_iter().filter(|(scope, ..)| *scope == of);
        let part = |(scope, name, _): (TestScope, &str, &str)| {
            let segment = name.parse().ok()?;
            Some(Self {
                scope,
                segments: vec![segment],
                query: None,
            })
        };
        parts.filter_map(part).collect()
    }

    /// What kind of part it is, such as `testRuns`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.segments.first().map_or("", PathId::as_str)
    }

    /// Whether it is of the token's account, not of an app.
    #[must_use]
    pub fn is_of_account(&self) -> bool {
        self.scope == TestScope::Account
    }

    /// The operation that gives it.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        let mut parts = PARTS.into_iter();
        let known = parts.find(|(scope, name, _)| *scope == self.scope && *name == self.name());
        known.map_or("test_gdprExport", |(.., operation)| operation)
    }
}

#[derive(Deserialize)]
struct Runs(#[serde(deserialize_with = "lenient::list")] Vec<Run>);

#[derive(Deserialize)]
struct Run {
    #[serde(default, deserialize_with = "lenient::parsed")]
    id: Option<Uuid>,
}

#[derive(Deserialize)]
struct Index {
    #[serde(default, deserialize_with = "lenient::list")]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default, deserialize_with = "lenient::text")]
    path: Option<String>,
}

impl Client {
    /// `test_getTestRuns`: every run; the list has no pages and no filter.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn test_runs(&self, app: &AppRef) -> Result<TestRuns, Error> {
        let path = Path::app(self, app, &["test_runs"])?;
        let body = self.send(&Call::get("test_getTestRuns", path)).await?;
        let Runs(runs) = decode_any(&body)?;
        let ids: Vec<Uuid> = runs.iter().filter_map(|run| run.id).collect();
        let unusable = runs.len().saturating_sub(ids.len());
        Ok(TestRuns {
            ids,
            unusable: unusable.try_into().unwrap_or(u64::MAX),
        })
    }

    /// `test_gdprExportApps`, `test_gdprExportAccounts`: the addresses that the index of an export names, as they stand
    /// there.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn test_export(&self, app: &AppRef, of: TestScope) -> Result<Vec<String>, Error> {
        let operation = match of {
            TestScope::App => "test_gdprExportApps",
            TestScope::Account => "test_gdprExportAccounts",
        };
        let path = self.export_path(app, of, &[])?;
        let body = self.send(&Call::get(operation, path)).await?;
        let index: Index = decode(&body)?;
        Ok(index
            .resources
            .into_iter()
            .filter_map(|it| it.path)
            .collect())
    }

    fn export_path(&self, app: &AppRef, of: TestScope, rest: &[PathId]) -> Result<Path, Error> {
        let segments = ["test", "export"].into_iter();
        let segments: Vec<&str> = segments.chain(rest.iter().map(PathId::as_str)).collect();
        match of {
            TestScope::App => Path::app(self, app, &segments),
            TestScope::Account => Path::root(self, &[&["account"], segments.as_slice()].concat()),
        }
    }

    /// One part of an export, as JSON.
    ///
    /// # Errors
    /// Those of a call.
    pub async fn test_part(
        &self,
        app: &AppRef,
        part: &TestPart,
    ) -> Result<Personal<bytes::Bytes>, Error> {
        let mut path = self.export_path(app, part.scope, &part.segments)?;
        if let Some(query) = &part.query {
            path = path.with_query(query);
        }
        let call = Call::get(part.operation(), path);
        Ok(Personal::new(self.send(&call).await?))
    }

    /// Where an address in an export leads. One of this service must be a part of this app's export, or of the account's:
    /// nothing that an answer names can make us ask for anything else with the token.
    ///
    /// # Errors
    /// [`Error::Address`] when it leads nowhere that may be followed.
    pub fn test_link(&self, app: &AppRef, address: &str) -> Result<TestLink, Error> {
        let url = match Url::parse(address) {
            Ok(url) => url,
            Err(url::ParseError::RelativeUrlWithoutBase) => {
                let joined = self.base().join(address);
                joined.map_err(|_error| Error::Address {
                    what: "not an address",
                })?
            }
            Err(_) => {
                return Err(Error::Address {
                    what: "not an address",
                });
            }
        };
        let is_base = url.origin() == self.base().origin();
        let is_alias = url.scheme() == "https"
            && url.port().is_none()
            && url.host_str().is_some_and(|host| ALIASES.contains(&host));
        if !(is_base || is_alias) {
            return Location::parse(url.as_str()).map(TestLink::File);
        }
        part_of(app, &url)
            .map(TestLink::Part)
            .ok_or(Error::Address {
                what: "it is of App Center and no part of the app's Test export",
            })
    }
}

/// Reads `[…]/v0.1/apps/{owner}/{app}/test/export/<segments>[?query]`, or `[…]/v0.1/account/test/export/…`.
fn part_of(app: &AppRef, url: &Url) -> Option<TestPart> {
    let segments: Vec<&str> = url.path_segments()?.collect();
    let root = segments.iter().position(|segment| *segment == "v0.1")?;
    let below = segments.get(root + 1..)?;
    let after = |wanted: &[&str]| {
        let (fixed, rest) = below.split_at_checked(wanted.len())?;
        let mut pairs = fixed.iter().zip(wanted);
        let is_own = pairs.all(|(segment, wanted)| segment.eq_ignore_ascii_case(wanted));
        is_own.then(|| rest.to_vec())
    };
    let of_app = ["apps", &app.owner, &app.name, "test", "export"];
    let (scope, rest) = match after(&of_app) {
        Some(rest) => (TestScope::App, rest),
        None => (TestScope::Account, after(&["account", "test", "export"])?),
    };
    let segments: Vec<PathId> = rest
        .iter()
        .filter(|segment| !segment.is_empty())
        .map(|segment| segment.parse().ok())
        .collect::<Option<_>>()?;
    (!segments.is_empty()).then(|| TestPart {
        scope,
        segments,
        query: url.query().map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::appcenter::budget::Unlimited;
    use crate::appcenter::client::Options;
    use crate::clock::SystemClock;

    fn client(base: &str) -> Client {
        let (budget, clock) = (Arc::new(Unlimited), Arc::new(SystemClock));
        let base = base.parse().expect("a URL");
        Client::new(Options::new(base, "t".into(), budget, clock)).expect("options are right")
    }

    #[test]
    fn addresses_of_the_service_are_parts_of_this_app_or_nothing() {
        let app = AppRef::new("contoso", "shop").expect("an app");
        let export = "v0.1/apps/contoso/shop/test/export";
        for (base, address, expected) in [
            (
                "https://api.appcenter.ms",
                format!("/{export}/testRuns"),
                "testRuns",
            ),
            (
                "https://api.appcenter.ms",
                format!("{export}/testRuns/"),
                "testRuns",
            ),
            (
                "https://api.appcenter.ms",
                format!("https://appcenter.ms/api/{export}/hashFiles?page=2"),
                "hashFiles",
            ),
            (
                "https://appcenter.ms/api",
                format!("https://api.appcenter.ms/{export}/apps/a-1"),
                "apps",
            ),
            (
                "https://appcenter.ms/api",
                format!("/api/{export}/apps"),
                "apps",
            ),
            (
                "http://127.0.0.1:8080",
                format!("/{export}/fileSetFiles"),
                "fileSetFiles",
            ),
            (
                "https://api.appcenter.ms",
                "/v0.1/account/test/export/featureFlags".to_owned(),
                "featureFlags",
            ),
            (
                "https://api.appcenter.ms",
                "/v0.1/account/test/export".to_owned(),
                "",
            ),
            (
                "https://api.appcenter.ms",
                "/v0.1/account/tokens/x".to_owned(),
                "",
            ),
            ("http://127.0.0.1:8080", "/V0.1/x".to_owned(), ""),
            ("https://api.appcenter.ms", format!("/{export}"), ""),
            (
                "https://api.appcenter.ms",
                format!("/{export}/../../test_runs"),
                "",
            ),
            (
                "https://api.appcenter.ms",
                format!("/{export}/%2e%2e/x"),
                "",
            ),
            (
                "https://api.appcenter.ms",
                "/v0.1/apps/contoso/other/test/export/apps".to_owned(),
                "",
            ),
            ("https://api.appcenter.ms", "/v0.1/user".to_owned(), ""),
            (
                "https://api.appcenter.ms",
                "https://api.appcenter.ms/v0.1/user".to_owned(),
                "",
            ),
        ] {
            match (client(base).test_link(&app, &address), expected) {
                (Err(Error::Address { .. }), "") => {}
                (Ok(TestLink::Part(part)), expected) => {
                    assert_eq!(part.name(), expected, "{address}")
                }
                (other, _) => panic!("{base} {address}: {other:?}"),
            }
        }
    }

    #[test]
    fn other_addresses_are_files_and_get_no_token() {
        let app = AppRef::new("contoso", "shop").expect("an app");
        let client = client("https://api.appcenter.ms");
        for address in [
            "https://account.blob.core.windows.net/c/b?sig=x",
            "//evil.com/v0.1/apps/contoso/shop/test/export/apps",
            "https://api.appcenter.ms:8443/v0.1/apps/contoso/shop/test/export/apps",
            "https://api.appcenter.ms.evil.com/v0.1/apps/contoso/shop/test/export/apps",
            "http://api.appcenter.ms/v0.1/apps/contoso/shop/test/export/apps",
        ] {
            let link = client.test_link(&app, address);
            assert!(matches!(link, Ok(TestLink::File(_))), "{address}: {link:?}");
        }
        for address in ["https://", "http://[", "data:text/plain,x\u{0}"] {
            let link = client.test_link(&app, address);
            assert!(
                !matches!(link, Ok(TestLink::Part(_))),
                "{address}: {link:?}"
            );
        }
    }

    #[test]
    fn the_described_parts_have_operations() {
        let mut parts = TestPart::described(TestScope::App);
        parts.extend(TestPart::described(TestScope::Account));
        assert_eq!(parts.len(), PARTS.len());
        for part in parts {
            assert!(part.operation().len() > "test_gdprExport".len(), "{part:?}");
            let json = serde_json::to_string(&part).expect("plain");
            assert_eq!(
                serde_json::from_str::<TestPart>(&json).expect("plain"),
                part
            );
        }
    }
}
