//! Addresses of operations, built segment by segment.

use url::Url;

use super::client::Client;
use super::error::Error;
use crate::domain::AppRef;

/// An operation's address under construction.
///
/// Segments are percent-encoded one by one. An empty one is refused: `devices/block_logs/` with nothing after it is the
/// irreversible block of a whole app.
#[derive(Debug, Clone)]
pub(super) struct Path {
    url: Url,
}

impl Path {
    /// `/v0.1/<segments>`
    pub(super) fn root(client: &Client, segments: &[&str]) -> Result<Self, Error> {
        let path = Self {
            url: client.base().clone(),
        };
        path.push(&["v0.1"])?.push(segments)
    }

    /// `/v0.1/apps/{owner_name}/{app_name}/<segments>`
    pub(super) fn app(client: &Client, app: &AppRef, segments: &[&str]) -> Result<Self, Error> {
        // The fields are public, so the names are checked where they matter.
        let app = AppRef::new(&app.owner, &app.name)
            .map_err(|_invalid| Error::Setup { what: "app's name" })?;
        Self::root(client, &["apps", &app.owner, &app.name])?.push(segments)
    }

    fn push(mut self, segments: &[&str]) -> Result<Self, Error> {
        let is_bad = |segment: &&str| {
            segment.is_empty()
                || *segment == "."
                || *segment == ".."
                || segment.chars().any(char::is_control)
        };
        if segments.iter().any(is_bad) {
            return Err(Error::Setup {
                what: "path segment",
            });
        }
        let before = self
            .url
            .path_segments()
            .map_or(0, |it| it.filter(|segment| !segment.is_empty()).count());
        self.url
            .path_segments_mut()
            .map_err(|()| Error::Setup { what: "address" })?
            .pop_if_empty()
            .extend(segments);
        let after = self.url.path_segments().map_or(0, Iterator::count);
        if after != before + segments.len() {
            return Err(Error::Setup {
                what: "path segment",
            });
        }
        Ok(self)
    }

    /// Adds a query parameter.
    pub(super) fn query(mut self, key: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(key, value);
        self
    }

    /// Replaces the query by one that is encoded already.
    pub(super) fn with_query(mut self, query: &str) -> Self {
        self.url.set_query(Some(query));
        self
    }

    pub(super) fn url(self) -> Url {
        self.url
    }
}

/// An ID that the service gave and that goes back into a path: of an attachment or of an export configuration.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct PathId(String);

impl PathId {
    /// The text, safe as one path segment.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for PathId {
    type Err = crate::domain::ids::InvalidId;

    /// Accepts 1 to 200 letters, digits, `-`, `_` and `.`, not only dots.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_valid = (1..=200).contains(&text.len())
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            && text.chars().any(|c| c != '.');
        if is_valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(Self::Err {
                kind: "ID",
                reason: "1 to 200 letters, digits, `-`, `_` and `.`",
            })
        }
    }
}

impl TryFrom<String> for PathId {
    type Error = crate::domain::ids::InvalidId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PathId> for String {
    fn from(id: PathId) -> Self {
        id.0
    }
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
    fn no_segment_is_empty_or_climbs() {
        let app = AppRef::new("contoso", "shop").expect("an app");
        for base in ["https://api.appcenter.ms", "https://appcenter.ms/api/"] {
            let client = client(base);
            let url = Path::app(&client, &app, &["errors", "a b/c?d#e%2f"])
                .expect("is a path")
                .query("$top", "100")
                .url();
            let expected = format!(
                "{}/v0.1/apps/contoso/shop/errors/a%20b%2Fc%3Fd%23e%252f?%24top=100",
                base.trim_end_matches('/')
            );
            assert_eq!(url.as_str(), expected);
            for bad in ["", ".", "..", "a\nb"] {
                assert!(Path::app(&client, &app, &["devices", "block_logs", bad]).is_err());
            }
        }
    }

    #[test]
    fn apps_that_skipped_their_check_are_refused() {
        let client = client("https://api.appcenter.ms");
        for (owner, name) in [("", "a"), ("a", ""), ("..", "a"), ("a", "b/c"), (".", ".")] {
            let app = AppRef {
                owner: owner.to_owned(),
                name: name.to_owned(),
            };
            assert!(Path::app(&client, &app, &["errors"]).is_err(), "{app}");
        }
    }

    #[test]
    fn ids_of_the_service_are_checked() {
        for good in ["17", "a-b_c.d", "e589a371-ea0c-4479-9a7b-9f834adec040"] {
            assert!(good.parse::<PathId>().is_ok());
        }
        for bad in ["", ".", "..", "a/b", "a b", "é"] {
            assert!(bad.parse::<PathId>().is_err(), "{bad}");
        }
    }
}
