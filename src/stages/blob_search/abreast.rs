//! Requests that go through a day side by side. Pure.
//!
//! Of a hundred requests that a pass serves, most want every blob that is still to come. What such a blob counts is the same
//! for each of them: it is counted once, and told to all when their slices are stored.

use std::collections::BTreeSet;

use super::here::{Counts, Here};
use super::progress::Progress;
use super::scan::{Ended, ScanError};

/// What those that are abreast have behind them, and their slices do not say yet.
#[derive(Debug, Default)]
pub(super) struct Abreast {
    counts: Counts,
    /// The last blob of it, by its place.
    done: Option<String>,
}

impl Abreast {
    /// Comes to a blob, with everybody whom the pass serves. Of a pass over these accounts, who wants the blob and all that
    /// follow is abreast from here on.
    pub(super) fn arrive(
        &mut self,
        served: &mut [&mut Progress],
        here: &Here<'_>,
        accounts: &BTreeSet<String>,
    ) {
        let mut is_anybody_new = false;
        for progress in served.iter_mut() {
            progress.arrive(here);
            is_anybody_new |= progress.can_be_abreast(accounts);
        }
        if is_anybody_new {
            // It has not seen what the others have behind them.
            self.settle(served);
            for progress in served.iter_mut() {
                progress.come_abreast(accounts);
            }
        }
    }

    /// Everybody is done with a blob.
    pub(super) fn end(
        &mut self,
        served: &mut [&mut Progress],
        here: &Here<'_>,
        ended: &Result<Ended, ScanError>,
    ) {
        for progress in served.iter_mut() {
            progress.end(here, ended);
        }
        if let Ok(ended) = ended {
            self.counts.count(here, ended);
        }
        self.leave_behind(here);
    }

    /// Everybody passes over a blob that holds nothing, as the index says.
    pub(super) fn pass_over(
        &mut self,
        served: &mut [&mut Progress],
        here: &Here<'_>,
        ended: &Ended,
    ) {
        for progress in served.iter_mut() {
            progress.pass_over(here, ended);
        }
        self.counts.pass_over(here, ended);
        self.leave_behind(here);
    }

    fn leave_behind(&mut self, here: &Here<'_>) {
        here.place.clone_into(self.done.get_or_insert_default());
    }

    /// Tells those that are abreast what they have behind them. It comes before their slices are stored.
    pub(super) fn settle(&mut self, served: &mut [&mut Progress]) {
        let Self { counts, done } = std::mem::take(self);
        if let Some(done) = done {
            for progress in served.iter_mut() {
                progress.settle(&counts, &done);
            }
        }
    }
}
