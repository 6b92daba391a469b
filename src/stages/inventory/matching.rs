//! Which listed reports show the person: the same engine that reads the archive reads what the lists say.

use std::ops::ControlFlow;

use serde_json::json;

use crate::domain::hit::{Hit, Listed};
use crate::search::{Identifiers, Match, Options, Searcher, Sink};
use crate::stages::StageError;
use crate::stages::blob_search::Needles;
use crate::workflow::Record;

/// What is looked for, and what was found and not yet stored.
pub(super) struct Matching {
    searcher: Option<Searcher>,
    found: Vec<u8>,
}

/// The user of a report as the lists tell it.
pub(super) struct Shown<'a> {
    pub(super) user_id: Option<&'a str>,
    pub(super) user_name: Option<&'a str>,
    pub(super) user_email: Option<&'a str>,
}

impl Matching {
    pub(super) fn new(record: &Record) -> Result<Self, StageError> {
        let subject = record.subject.clone().unwrap_or_default();
        let identifiers = Identifiers {
            user_ids: subject.user_ids,
            emails: subject.emails,
            terms: subject.terms,
            ..Identifiers::default()
        };
        // A request that gives install IDs only finds nobody here: the lists hold none.
        let searcher = match identifiers.is_empty() {
            true => None,
            false => Some(Searcher::new(&[identifiers]).map_err(|error| {
                StageError::permanent(format!("nothing to search for: {error}"))
            })?),
        };
        Ok(Self {
            searcher,
            found: Vec::new(),
        })
    }

    /// Looks whether a listed report shows the person.
    pub(super) fn look(&mut self, listed: Listed, shown: &Shown<'_>) -> Result<(), StageError> {
        let Some(searcher) = &self.searcher else {
            return Ok(());
        };
        let record = json!({
            "UserId": shown.user_id, "user_name": shown.user_name, "user_email": shown.user_email,
        });
        let mut reasons = Reasons::default();
        let mut scan = searcher.scan(Options::default());
        if scan
            .push(record.to_string().as_bytes(), &mut reasons)
            .is_continue()
        {
            _ = scan.finish(&mut reasons);
        }
        if reasons.0.is_empty() {
            return Ok(());
        }
        reasons.0.sort_unstable();
        reasons.0.dedup();
        let hit = Hit::listed(listed, reasons.0);
        // Its record names no app; the call that it came from did.
        let stored = json!({ "app": true });
        let mut value = serde_json::to_value(&hit)
            .map_err(|_error| StageError::permanent("a hit cannot be stored"))?;
        if let (Some(value), Some(more)) = (value.as_object_mut(), stored.as_object()) {
            value.extend(more.clone());
        }
        self.found.extend_from_slice(value.to_string().as_bytes());
        self.found.push(b'\n');
        Ok(())
    }

    /// What was found since the last time, a line each.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.found)
    }
}

#[derive(Default)]
struct Reasons(Vec<crate::domain::hit::Reason>);

impl Sink for Reasons {
    fn matched(&mut self, found: &Match<'_>) -> ControlFlow<()> {
        self.0.extend(found.hits.iter().map(Needles::reason));
        ControlFlow::Continue(())
    }
}
