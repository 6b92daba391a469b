//! Lists in pages, followed to the end and resumable at any page.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::client::Client;
use super::error::Error;
use super::http::Call;
use super::path::Path;

/// The longest query of a next page that is sent, in bytes.
const LONGEST_QUERY: usize = 8 * 1024;

/// The entries of a page. More than 100 is documented, but was seen to fail.
pub(super) const TOP: &str = "100";

/// Where a list goes on: save it to resume in another process.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The query of the next page, as the service gave it.
    query: String,
    /// The next page's number, from 1.
    page: u32,
    /// A hash of the page before, to notice one that comes again.
    last: String,
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor(page {})", self.page)
    }
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// Its entries; a page may be empty and yet have a next one.
    pub items: Vec<T>,
    /// Its number, from 1.
    pub number: u32,
    /// The service says that it left entries out (`limited_result_set` of the legacy list).
    pub is_limited: bool,
    /// Where the list goes on; none after the last page.
    pub next: Option<Cursor>,
}

/// What a list's answer says about the next page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// There is none.
    End,
    /// A `nextLink`.
    Link(String),
    /// The value of the `continuation_token` parameter.
    Token(String),
}

impl Next {
    pub(super) fn link(text: Option<String>) -> Self {
        text.filter(|text| !text.trim().is_empty())
            .map_or(Self::End, Self::Link)
    }

    pub(super) fn token(text: Option<String>) -> Self {
        text.filter(|text| !text.trim().is_empty())
            .map_or(Self::End, Self::Token)
    }
}

/// An answer, decoded.
#[derive(Debug)]
pub(super) struct Listing<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Next,
    pub(super) is_limited: bool,
    /// A hash of the IDs of its entries.
    fingerprint: String,
}

impl<T: Keyed> Listing<T> {
    pub(super) fn new(items: Vec<T>, next: Next, is_limited: bool) -> Self {
        Self {
            fingerprint: fingerprint(&items),
            items,
            next,
            is_limited,
        }
    }
}

/// An entry of a list with something that tells it from others.
pub(super) trait Keyed {
    /// Its ID.
    fn key(&self) -> Option<&str>;
}

/// The pages of a list, one call each.
#[must_use = "nothing is called until `next` is"]
pub struct Pages<T> {
    client: Client,
    operation: &'static str,
    first: Path,
    decode: fn(&[u8]) -> Result<Listing<T>, Error>,
    at: At,
    seen: HashSet<String>,
}

#[derive(Debug)]
enum At {
    Start,
    Next(Cursor),
    End,
}

impl<T> fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("operation", &self.operation)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl<T> Pages<T> {
    pub(super) fn new(
        client: &Client,
        operation: &'static str,
        first: Path,
        decode: fn(&[u8]) -> Result<Listing<T>, Error>,
    ) -> Self {
        Self {
            client: client.clone(),
            operation,
            first,
            decode,
            at: At::Start,
            seen: HashSet::new(),
        }
    }

    /// Goes on where an earlier process stopped.
    pub fn resume(mut self, cursor: Cursor) -> Self {
        self.seen.insert(cursor.last.clone());
        self.at = At::Next(cursor);
        self
    }

    /// Where the list goes on now: none before the first page and after the last.
    #[must_use]
    pub fn cursor(&self) -> Option<&Cursor> {
        match &self.at {
            At::Next(cursor) => Some(cursor),
            At::Start | At::End => None,
        }
    }

    /// The next page, or none after the last. After an error it may be called again, for the same page.
    ///
    /// # Errors
    /// Those of a call; [`Error::Protocol`] when pages come again, lead elsewhere, or do not end within the limit.
    pub async fn next(&mut self) -> Result<Option<Page<T>>, Error> {
        let (path, number) = match &self.at {
            At::End => return Ok(None),
            At::Start => (self.first.clone(), 1),
            At::Next(cursor) => (self.first.clone().with_query(&cursor.query), cursor.page),
        };
        let own = path.clone().url();
        let body = self.client.send(&Call::get(self.operation, path)).await?;
        let listing = (self.decode)(&body)?;
        let fingerprint = listing.fingerprint;
        if !listing.items.is_empty() && self.seen.contains(&fingerprint) {
            return Err(Error::protocol("a page came twice"));
        }
        let next = match &listing.next {
            Next::End => None,
            next => {
                if number >= self.client.limits().pages {
                    return Err(Error::protocol("a list has more pages than the limit"));
                }
                let query = next_query(self.client.base(), &self.first.clone().url(), next)?;
                if own.query() == Some(&query) {
                    return Err(Error::protocol("a page names itself as the next"));
                }
                Some(Cursor {
                    query,
                    page: number + 1,
                    last: fingerprint.clone(),
                })
            }
        };
        self.seen.insert(fingerprint);
        self.at = next.clone().map_or(At::End, At::Next);
        Ok(Some(Page {
            items: listing.items,
            number,
            is_limited: listing.is_limited,
            next,
        }))
    }

    /// All entries, for lists that are known to be short.
    ///
    /// # Errors
    /// Those of [`Pages::next`], and [`Error::TooLarge`] past `most` entries.
    pub async fn all(mut self, most: usize) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(page) = self.next().await? {
            all.extend(page.items);
            if all.len() > most {
                return Err(Error::protocol("a list has more entries than the limit"));
            }
        }
        Ok(all)
    }
}

/// A hash of the IDs of a page.
fn fingerprint<T: Keyed>(items: &[T]) -> String {
    let mut hash = Sha256::new();
    for item in items {
        hash.update(item.key().unwrap_or_default());
        hash.update([0]);
    }
    let hash = hash.finalize();
    hash.iter()
        .take(12)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The query of the next page, to be put on our own path.
///
/// Seen in practice: a `nextLink` is relative, has an `/api` that its host does not know, and may lack owner and app
/// (`/api/v0.1/apps//errors/errorGroups?…`). So only its query is used; what it lacks of ours, such as the required `start`, is added.
fn next_query(base: &Url, own: &Url, next: &Next) -> Result<String, Error> {
    let link = match next {
        Next::End => return Err(Error::protocol("no next page")),
        Next::Token(token) => {
            let mut url = own.clone();
            url.query_pairs_mut()
                .append_pair("continuation_token", token);
            return bounded(url.query().unwrap_or_default());
        }
        Next::Link(link) => link,
    };
    if link.len() > LONGEST_QUERY {
        return Err(Error::protocol("its nextLink is too long"));
    }
    let link = base
        .join(link)
        .map_err(|_error| Error::protocol("its nextLink is no address"))?;
    if !is_same_service(base, &link) {
        return Err(Error::protocol("its nextLink leads to another host"));
    }
    // The text is kept as it is: decoding and encoding again could change an opaque token.
    let mut query = link.query().unwrap_or_default().to_owned();
    if query.is_empty() {
        return Err(Error::protocol("its nextLink has no token"));
    }
    let has = |key: &str| link.query_pairs().any(|(given, _value)| given == key);
    let mut missing = own.clone();
    missing.set_query(None);
    for (key, value) in own.query_pairs().filter(|(key, _value)| !has(key)) {
        missing.query_pairs_mut().append_pair(&key, &value);
    }
    if let Some(missing) = missing.query() {
        query.push('&');
        query.push_str(missing);
    }
    bounded(&query)
}

fn bounded(query: &str) -> Result<String, Error> {
    if query.len() > LONGEST_QUERY {
        return Err(Error::protocol("its next page has too long a query"));
    }
    Ok(query.to_owned())
}

/// The same origin; or the API's own host and the portal's, which are one service.
fn is_same_service(base: &Url, link: &Url) -> bool {
    let names = ["api.appcenter.ms", "appcenter.ms"];
    let is_named = |url: &Url| {
        url.scheme() == "https"
            && url.port().is_none()
            && url.host_str().is_some_and(|host| names.contains(&host))
    };
    link.username().is_empty()
        && link.password().is_none()
        && (base.origin() == link.origin() || (is_named(base) && is_named(link)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: &str = "https://api.appcenter.ms";
    const OWN: &str = "https://api.appcenter.ms/v0.1/apps/contoso/shop/errors/errorGroups?start=2026-10-24T00%3A00%3A00Z&%24top=100";

    fn query(base: &str, link: &str) -> Result<String, Error> {
        let url = |text: &str| Url::parse(text).expect("a URL");
        next_query(&url(base), &url(OWN), &Next::Link(link.to_owned()))
    }

    #[test]
    fn only_the_query_of_a_link_is_used() {
        let own = "start=2026-10-24T00%3A00%3A00Z&%24top=100";
        let cases = [
            // The wrong prefix, owner and app missing, and a link that is right.
            (
                "/api/v0.1/apps/contoso/shop/errors/errorGroups?$token=a%2Bb%3D",
                "$token=a%2Bb%3D",
            ),
            ("/api/v0.1/apps//errors/errorGroups?$token=x", "$token=x"),
            (
                "/v0.1/apps/contoso/shop/errors/errorGroups?$token=x",
                "$token=x",
            ),
            (
                "https://api.appcenter.ms/v0.1/apps/a/b/c?$token=x",
                "$token=x",
            ),
            (
                "https://appcenter.ms/api/v0.1/apps/a/b/c?$token=x",
                "$token=x",
            ),
            ("?$token=x", "$token=x"),
            // A token with characters that decoding would change.
            ("/x?$token=a+b/c==", "$token=a+b/c=="),
        ];
        for (link, expected) in cases {
            let query = query(BASE, link).expect("a link");
            assert_eq!(query, format!("{expected}&{own}"), "{link}");
        }
        // What the link says itself is not said again.
        let link = "/api/x?start=2026-10-25T00:00:00Z&%24top=50&$token=x";
        let expected = "start=2026-10-25T00:00:00Z&%24top=50&$token=x";
        assert_eq!(query(BASE, link).expect("a link"), expected);
    }

    #[test]
    fn links_elsewhere_and_without_a_token_are_refused() {
        for link in [
            "https://evil.com/v0.1/apps?$token=x",
            "//evil.com/v0.1/apps?$token=x",
            "\\\\evil.com/v0.1?$token=x",
            "/\\evil.com/v0.1?$token=x",
            "http://api.appcenter.ms/v0.1/apps?$token=x",
            "https://api.appcenter.ms:8443/v0.1/apps?$token=x",
            "https://user@api.appcenter.ms/v0.1/apps?$token=x",
            "https://api.appcenter.ms.evil.com/?$token=x",
            "/v0.1/apps/contoso/shop/errors/errorGroups",
            "/v0.1/apps?",
            "https://",
        ] {
            assert!(query(BASE, link).is_err(), "{link}");
        }
        assert!(query(BASE, &format!("/x?$token={}", "a".repeat(9000))).is_err());
        assert!(
            query(
                "http://127.0.0.1:8080",
                "https://api.appcenter.ms/x?$token=x"
            )
            .is_err()
        );
    }

    #[test]
    fn a_token_is_added_to_our_own_query() {
        let url = |text: &str| Url::parse(text).expect("a URL");
        let query = next_query(&url(BASE), &url(OWN), &Next::Token("a+b&c".to_owned()));
        let expected = "start=2026-10-24T00%3A00%3A00Z&%24top=100&continuation_token=a%2Bb%26c";
        assert_eq!(query.expect("a token"), expected);
    }

    proptest! {
        #[test]
        fn a_link_never_changes_anything_but_the_query(link in "(https?://|//|/|\\\\)?[a-z@.:/\\\\]{0,20}\\?\\PC{0,40}") {
            if let Ok(query) = query(BASE, &link) {
                let mut url = Url::parse(OWN).expect("a URL");
                url.set_query(Some(&query));
                prop_assert_eq!(url.host_str(), Some("api.appcenter.ms"));
                prop_assert_eq!(url.path(), "/v0.1/apps/contoso/shop/errors/errorGroups");
                prop_assert!(url.query_pairs().any(|(key, _value)| key == "start"));
            }
        }

        #[test]
        fn a_token_survives_in_any_alphabet(token in "[A-Za-z0-9+/=_.~-]{1,80}") {
            let query = query(BASE, &format!("/api/x?$token={token}")).expect("a link");
            let expected = format!("$token={token}&");
            prop_assert!(query.starts_with(&expected));
        }
    }
}
