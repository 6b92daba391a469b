//! Which log rows are the person's, and which were counted before: decided here once. Pure.
//!
//! The plan counts by it, and the package and an erasure's report pick by it, so that what is handed out is what the plan
//! says.

use std::collections::HashSet;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::domain::document::Window;
use crate::domain::hit::{Hit, Reason, Stream};
use crate::domain::{ErrorId, InstallId};

/// How surely something is the person's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Named {
    /// It holds a given user ID or e-mail.
    pub exact: bool,
    /// It holds a token or term only.
    pub weak: bool,
}

impl Named {
    pub(super) fn add(&mut self, reasons: &[Reason]) {
        self.exact |= reasons.iter().any(|reason| reason.names_the_person());
        self.weak |= reasons
            .iter()
            .any(|reason| matches!(reason, Reason::UserIdToken | Reason::Term));
    }
}

/// Whose a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// An installation's.
    Install(InstallId),
    /// Of no installation.
    Loose,
    /// Nothing says that it is of this app, so it is left alone.
    NoApp,
}

/// A row that has to do with the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Whose it is.
    pub owner: Owner,
    /// How surely it names the person by itself.
    pub named: Named,
    /// Whether it was not met before: neither by an earlier pass nor as another copy of the same row.
    pub is_new: bool,
}

impl Row {
    /// Whether the plan acts on it, given whether it acts on its installation.
    #[must_use]
    pub fn is_acted_on(&self, acts_on_install: bool) -> bool {
        match self.owner {
            Owner::Install(_) => acts_on_install || self.named.exact,
            Owner::Loose => self.named.exact,
            Owner::NoApp => false,
        }
    }
}

/// When a record was made, as it or the report that it belongs to says.
#[must_use]
pub fn time_of(hit: &Hit) -> Option<Timestamp> {
    hit.at
        .or_else(|| hit.error_id.as_ref().and_then(ErrorId::timestamp))
}

/// Whether a record was made outside of the time that was asked for. One that does not say when counts as inside.
#[must_use]
pub fn is_outside(hit: &Hit, window: Option<&Window>) -> bool {
    match (window, time_of(hit)) {
        (Some(window), Some(at)) => !window.contains(at),
        _ => false,
    }
}

/// The rows of one app that were met so far: some bytes each, whatever their length.
#[derive(Default)]
pub struct Rows {
    seen: HashSet<[u8; 16]>,
}

impl Rows {
    /// Takes the next hit of the app (`is_of_app` when its record or path says so). `None` for what is no log row, for
    /// rows outside of the window, and for those that only a link found: they count once they are found for what they
    /// are.
    pub fn take(&mut self, hit: &Hit, is_of_app: bool, window: Option<&Window>) -> Option<Row> {
        if !matches!(Stream::of(&hit.blob), Stream::Logs | Stream::Other) || is_outside(hit, window)
        {
            return None;
        }
        let mut named = Named::default();
        named.add(&hit.reasons);
        let is_searched = hit.install.is_some_and(|own| hit.holds.contains(&own));
        if !is_searched && !named.exact && !named.weak {
            return None;
        }
        let owner = match hit.install {
            _ if !is_of_app => Owner::NoApp,
            Some(install) => Owner::Install(install),
            None => Owner::Loose,
        };
        Some(Row {
            owner,
            named,
            is_new: self.seen.insert(key(hit)),
        })
    }
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("seen", &self.seen.len())
            .finish()
    }
}

impl Clone for Rows {
    fn clone(&self) -> Self {
        Self {
            seen: self.seen.clone(),
        }
    }
}

/// What makes a row the same row in another blob: a re-created export writes rows again, and several passes can find
/// the same row.
fn key(hit: &Hit) -> [u8; 16] {
    let mut hash = Sha256::new();
    match &hit.message_id {
        Some(id) => {
            hash.update(b"message ");
            hash.update(id);
        }
        None => {
            hash.update(b"place ");
            hash.update(hit.record.to_be_bytes());
            hash.update(&hit.blob);
        }
    }
    let hash: [u8; 32] = hash.finalize().into();
    let mut key = [0; 16];
    for (to, from) in key.iter_mut().zip(hash) {
        *to = from;
    }
    key
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::hit::InstallFrom;

    /// A log row of an install that was searched for.
    pub(crate) fn row(install: InstallId, record: u64) -> Hit {
        Hit {
            blob: "2026/11/20/09/03/logs.v1.data".to_owned(),
            record,
            offset: 0,
            length: 10,
            decoded: false,
            oversized: false,
            disagrees: false,
            reasons: vec![Reason::InstallId],
            holds: vec![install],
            links: Vec::new(),
            install: Some(install),
            install_from: InstallFrom::Record,
            users: Vec::new(),
            model: None,
            at: None,
            message_type: None,
            message_id: None,
            error_id: None,
            group_id: None,
            legacy: None,
            payload: None,
            text: None,
        }
    }

    pub(crate) fn install(n: u128) -> InstallId {
        let id = uuid::Uuid::from_u128(0xe589_a371_ea0c_4479_9a7b_9f83_4ade_c040 + n);
        InstallId::try_from(id).expect("valid")
    }

    fn take(hits: &[(Hit, bool)]) -> Vec<Option<Row>> {
        let mut rows = Rows::default();
        let window = Window {
            from: "2026-11-01".parse().expect("a day"),
            to: "2026-11-20".parse().expect("a day"),
        };
        hits.iter()
            .map(|(hit, is_of_app)| rows.take(hit, *is_of_app, Some(&window)))
            .collect()
    }

    #[test]
    fn whose_a_row_is() {
        let own = install(0);
        let base = || row(own, 1);
        let exact = Named {
            exact: true,
            weak: false,
        };
        for (what, hit, is_of_app, expected) in [
            (
                "searched for",
                base(),
                true,
                Some((Owner::Install(own), Named::default())),
            ),
            (
                "in no app",
                base(),
                false,
                Some((Owner::NoApp, Named::default())),
            ),
            (
                "of another install, mentions a searched one",
                Hit {
                    install: Some(install(1)),
                    ..base()
                },
                true,
                None,
            ),
            (
                "found by a link",
                Hit {
                    reasons: vec![Reason::Link],
                    holds: Vec::new(),
                    ..base()
                },
                true,
                None,
            ),
            (
                "names the person, of no install",
                Hit {
                    reasons: vec![Reason::Email],
                    install: None,
                    holds: Vec::new(),
                    ..base()
                },
                true,
                Some((Owner::Loose, exact)),
            ),
            (
                "a report's blob",
                Hit {
                    blob: "2026/11/20/09/03/crashes/1.json".to_owned(),
                    ..base()
                },
                true,
                None,
            ),
            (
                "before the window",
                Hit {
                    at: Some("2026-10-31T23:59:59Z".parse().expect("a time")),
                    ..base()
                },
                true,
                None,
            ),
            (
                "its report's ID tells that it is before the window",
                Hit {
                    // Ticks of 2026-10-31, counted down from the end of time.
                    error_id: Some(
                        format!(
                            "{}-{}",
                            ticks("2026-10-31T12:00:00Z"),
                            uuid::Uuid::from_u128(7)
                        )
                        .parse()
                        .expect("valid"),
                    ),
                    ..base()
                },
                true,
                None,
            ),
        ] {
            let taken = take(&[(hit, is_of_app)]);
            let taken = taken[0].map(|row| (row.owner, row.named));
            assert_eq!(taken, expected, "{what}");
        }
    }

    /// Ticks as App Center's IDs have them.
    fn ticks(at: &str) -> i128 {
        let at: Timestamp = at.parse().expect("a time");
        let ticks = 621_355_968_000_000_000 + at.as_nanosecond() / 100;
        3_155_378_975_999_999_999 - ticks
    }

    #[test]
    fn a_row_is_new_once() {
        let of = |record, id: Option<&str>, blob: &str| {
            let hit = Hit {
                message_id: id.map(str::to_owned),
                blob: blob.to_owned(),
                ..row(install(0), record)
            };
            (hit, true)
        };
        let taken = take(&[
            of(1, None, "a/logs.v1.data"),
            of(1, None, "b/logs.v1.data"),
            of(2, None, "a/logs.v1.data"),
            of(1, None, "a/logs.v1.data"),
            of(1, Some("m"), "a/logs.v1.data"),
            of(9, Some("m"), "b/logs.v1.data"),
        ]);
        let new: Vec<bool> = taken.iter().map(|it| it.expect("a row").is_new).collect();
        assert_eq!(new, [true, true, true, false, true, false]);
    }

    #[test]
    fn what_is_acted_on() {
        let named = |exact| Named { exact, weak: true };
        for (owner, exact, acts_on_install, expected) in [
            (Owner::Install(install(0)), false, true, true),
            (Owner::Install(install(0)), false, false, false),
            (Owner::Install(install(0)), true, false, true),
            (Owner::Loose, true, false, true),
            (Owner::Loose, false, true, false),
            (Owner::NoApp, true, true, false),
        ] {
            let row = Row {
                owner,
                named: named(exact),
                is_new: true,
            };
            assert_eq!(row.is_acted_on(acts_on_install), expected, "{owner:?}");
        }
    }
}
