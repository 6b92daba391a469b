//! How far a request is in a day, and what was found for it. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::here::{Counts, Here};
use super::scan::{Ended, Found, ScanError};
use super::{DayResult, Missed, Within};
use crate::domain::plan::Unreadable;
use crate::work::names;

/// Unreadable blobs that are named; more are counted in the last one's reason.
const MAX_NAMED: usize = 1000;
/// Of a blob that is not there any more there is nothing to find.
const DELETED: &str = "it was deleted during the search";

/// How far a request is in a day.
///
/// A pass comes to each of thousands of blobs with each of a hundred requests: a blob that holds nothing for one costs it
/// neither a call nor an allocation, and where it is abreast of others, next to nothing.
pub(super) struct Progress {
    /// What its slice says of it.
    pub(super) result: DayResult,
    /// Hits that are not written yet, a line each.
    pub(super) pending: Vec<u8>,
    since: Option<Timestamp>,
    other_apps: Vec<String>,
    accounts: BTreeSet<String>,
    /// How much of `pending` is of blobs before the one at hand, where that gave anything.
    before: usize,
    /// Whether the request wants the blob at hand.
    is_wanted: bool,
    /// It wants that one and all that follow: what they count is counted for all who are abreast.
    is_abreast: bool,
}

impl Progress {
    /// Goes on where a slice says. Only blobs written after `since` are new to it; `other_apps` are the request's other apps,
    /// `accounts` those that it searches beside the one that is set.
    pub(super) fn new(
        result: DayResult,
        since: Option<Timestamp>,
        other_apps: Vec<String>,
        accounts: BTreeSet<String>,
    ) -> Self {
        Self {
            result,
            pending: Vec::new(),
            since,
            other_apps,
            accounts,
            before: 0,
            is_wanted: false,
            is_abreast: false,
        }
    }

    /// Whether a blob is still to be read for it.
    pub(super) fn wants(&self, here: &Here<'_>) -> bool {
        if self.is_abreast {
            return true;
        }
        let (account, _name) = names::account_of(&here.entry.name);
        if account.is_some_and(|account| !self.accounts.contains(account)) {
            return false;
        }
        let place = here.place.as_str();
        let is_ahead = match (&self.result.within, &self.result.resume_after) {
            (Some(within), _) => place >= within.place.as_str(),
            (None, Some(done)) => place > done.as_str(),
            (None, None) => true,
        };
        let is_of_turn = match &self.result.missed {
            Some(missed) => (place <= missed.up_to.as_str()) == missed.is_next,
            None => true,
        };
        let written = here.entry.last_modified;
        is_ahead && is_of_turn && self.since.is_none_or(|since| written >= since)
    }

    /// Whether nothing of the day was searched for it yet.
    pub(super) fn is_new(&self) -> bool {
        let result = &self.result;
        result.resume_after.is_none() && result.within.is_none() && result.missed.is_none()
    }

    /// Begins behind a place: what is before it was missed, and comes last.
    pub(super) fn miss(&mut self, up_to: Option<String>) {
        self.result.missed = up_to.map(|up_to| Missed {
            up_to,
            is_next: false,
        });
    }

    /// Comes to the end of the day. Returns whether the day is over; if not, what was missed comes next.
    pub(super) fn reach_end(&mut self) -> bool {
        self.leave();
        self.result.missed = self.result.missed.take().filter(|it| !it.is_next);
        if let Some(missed) = &mut self.result.missed {
            missed.is_next = true;
            self.result.resume_after = None;
        }
        self.is_over()
    }

    /// Whether nothing is missing once the end of the day was reached.
    pub(super) fn is_over(&self) -> bool {
        self.result.missed.is_none()
    }

    /// The place of the blob within which the time of an earlier pass was over.
    pub(super) fn cut_at(&self) -> Option<&str> {
        let within = self.result.within.as_ref();
        within.filter(|it| it.tries > 0).map(|it| it.place.as_str())
    }

    /// Whether what the next blobs count for it is counted for all who are abreast.
    #[cfg(test)]
    pub(super) fn is_abreast(&self) -> bool {
        self.is_abreast
    }

    /// Whether it wants the blob at hand and all that follow in a pass over these accounts, and is not abreast of others yet.
    pub(super) fn can_be_abreast(&self, accounts: &BTreeSet<String>) -> bool {
        let result = &self.result;
        !self.is_abreast
            && self.is_wanted
            && result.within.is_none()
            && result.missed.as_ref().is_none_or(|it| !it.is_next)
            && self.since.is_none()
            && accounts.is_subset(&self.accounts)
    }

    /// Is abreast of others from the blob at hand on, if it can be.
    pub(super) fn come_abreast(&mut self, accounts: &BTreeSet<String>) {
        self.is_abreast |= self.can_be_abreast(accounts);
    }

    /// Takes what all who are abreast have behind them.
    pub(super) fn settle(&mut self, counts: &Counts, done: &str) {
        if self.is_abreast {
            counts.add_to(&mut self.result);
            done.clone_into(self.result.resume_after.get_or_insert_default());
        }
    }

    /// Comes to a blob.
    pub(super) fn arrive(&mut self, here: &Here<'_>) {
        if self.is_abreast {
            return;
        }
        self.is_wanted = self.wants(here);
        let within = self.result.within.as_ref();
        if self.is_wanted && within.is_some_and(|within| within.place != here.place) {
            self.leave();
        }
    }

    /// Leaves a blob that ended an earlier pass and is not there any more. What was found in it was there.
    pub(super) fn leave(&mut self) {
        if let Some(within) = self.result.within.take() {
            let blob = within.place.get(1..).unwrap_or_default();
            name(&mut self.result.unreadable, blob, DELETED);
            self.result.resume_after = Some(within.place);
        }
    }

    /// Begins with the blob at hand, or goes on where an earlier pass left this version of it.
    pub(super) fn open(&mut self, here: &Here<'_>) {
        if !self.is_wanted {
            return;
        }
        let result = &mut self.result;
        if let Some(within) = result.within.take_if(|within| within.etag != here.etag) {
            // What was taken of another version does not count.
            result.parts.truncate(within.parts);
            (result.hits, result.foreign) = (within.hits, within.foreign);
        }
    }

    /// How far the blob at hand is taken, if the request wants it: from now on there is something to say of it.
    fn within(&mut self, here: &Here<'_>) -> Option<&mut Within> {
        if !self.is_wanted {
            return None;
        }
        let result = &mut self.result;
        if result.within.is_none() {
            self.before = self.pending.len();
        }
        Some(result.within.get_or_insert_with(|| Within {
            place: here.place.clone(),
            etag: here.etag.clone(),
            record: 0,
            parts: result.parts.len(),
            hits: result.hits,
            foreign: result.foreign,
            tries: 0,
        }))
    }

    /// Takes a hit of the blob at hand, unless an earlier pass took it.
    pub(super) fn take(&mut self, here: &Here<'_>, app_id: &str, found: &Found) {
        let Some(within) = self.within(here) else {
            return;
        };
        if found.record < within.record {
            return;
        }
        within.record = found.record + 1;
        let result = &mut self.result;
        match &found.app_id {
            Some(named) if named.eq_ignore_ascii_case(app_id) => {}
            // The same day is searched for the request's other apps: each takes its own.
            Some(named)
                if self
                    .other_apps
                    .iter()
                    .any(|it| it.eq_ignore_ascii_case(named)) =>
            {
                return;
            }
            Some(_) => {
                result.foreign += 1;
                return;
            }
            // It does not say whose it is; `install-id-resolve` finds out.
            None => {}
        }
        result.hits += 1;
        self.pending.extend_from_slice(&found.line);
    }

    /// Passes over a blob that holds nothing, as the index says.
    pub(super) fn pass_over(&mut self, here: &Here<'_>, ended: &Ended) {
        if !self.is_wanted || self.is_abreast {
            return;
        }
        self.open(here);
        let mut counts = Counts::default();
        counts.pass_over(here, ended);
        counts.add_to(&mut self.result);
        self.leave_behind(here);
    }

    /// Counts that the time was over within the blob at hand. Returns how often it was.
    pub(super) fn count_cut(&mut self, here: &Here<'_>) -> Option<u32> {
        let within = self.within(here)?;
        within.tries += 1;
        Some(within.tries)
    }

    /// Goes on behind the blob at hand.
    fn leave_behind(&mut self, here: &Here<'_>) {
        self.result.within = None;
        if self.is_abreast {
            return;
        }
        self.is_wanted = false;
        let done = self.result.resume_after.get_or_insert_default();
        here.place.clone_into(done);
    }

    /// Is done with the blob at hand.
    pub(super) fn end(&mut self, here: &Here<'_>, ended: &Result<Ended, ScanError>) {
        if !self.is_wanted {
            return;
        }
        let blob = &here.entry.name;
        match ended {
            Ok(ended) => {
                if !self.is_abreast {
                    let mut counts = Counts::default();
                    counts.count(here, ended);
                    counts.add_to(&mut self.result);
                }
                for part in &ended.not_searched {
                    name(&mut self.result.not_searched, blob, &part.to_string());
                }
                if !ended.is_whole {
                    let reason = format!(
                        "not searched beyond record {} (at byte {} of {}): {} invocations were too short",
                        ended.records,
                        ended.bytes,
                        here.entry.size,
                        self.result.within.as_ref().map_or(0, |it| it.tries)
                    );
                    name(&mut self.result.not_searched, blob, &reason);
                }
            }
            Err(error) => {
                let reason = match error {
                    // Deleted between list and read: by a lifecycle rule, say.
                    ScanError::Gone => DELETED.to_owned(),
                    ScanError::Storage(error) => format!("it could not be read: {error}"),
                    ScanError::Broken => "the search of it broke off".to_owned(),
                };
                name(&mut self.result.unreadable, blob, &reason);
            }
        }
        self.leave_behind(here);
    }

    /// Gives what is to be written: the hits of blobs before the one at hand, and apart from them its own, so that they
    /// can be dropped alone.
    pub(super) fn unwritten(&mut self) -> [(Vec<u8>, bool); 2] {
        let mut earlier = std::mem::take(&mut self.pending);
        let own = match &self.result.within {
            Some(_) => earlier.split_off(self.before.min(earlier.len())),
            None => Vec::new(),
        };
        self.before = 0;
        [(earlier, false), (own, true)]
    }

    /// Names a part that was written, and whether it is of the blob at hand.
    pub(super) fn wrote(&mut self, part: String, is_own: bool) {
        let result = &mut self.result;
        result.parts.push(part);
        if let Some(within) = result.within.as_mut().filter(|_| !is_own) {
            within.parts = result.parts.len();
        }
    }
}

fn name(list: &mut Vec<Unreadable>, blob: &str, reason: &str) {
    if list.len() < MAX_NAMED {
        list.push(Unreadable {
            blob: blob.to_owned(),
            reason: reason.to_owned(),
        });
    } else if let Some(last) = list.last_mut() {
        "… and more, which are not named".clone_into(&mut last.reason);
    }
}
