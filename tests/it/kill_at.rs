//! Ends invocations of a driven chain at exact writes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use appcenter_dsr::work::Probe;
use appcenter_dsr::workflow::Message;

/// Where an invocation ends: before or after the n-th write of a run, from 0; the flag says whether the write still happens.
pub(crate) type Place = (usize, bool);

/// Ends invocations at some writes of a run, and counts the writes.
#[derive(Debug, Default)]
pub(crate) struct KillAt {
    places: BTreeSet<Place>,
    writes: AtomicUsize,
    names: Mutex<Vec<String>>,
    killed: Mutex<Vec<(String, bool)>>,
    /// What the invocation under way works on, so that writes of one name can be told apart.
    invocation: Mutex<String>,
    /// Queues that something was sent to, or may have been, and that were not looked at since.
    sent: Mutex<BTreeSet<String>>,
}

impl KillAt {
    /// Counts only.
    pub(crate) fn never() -> Arc<Self> {
        Self::each([])
    }

    /// Ends an invocation at each of these.
    pub(crate) fn each(places: impl IntoIterator<Item = Place>) -> Arc<Self> {
        Arc::new(Self {
            places: places.into_iter().collect(),
            ..Self::default()
        })
    }

    /// An invocation begins.
    pub(crate) fn enter(&self, of: &str) {
        of.clone_into(&mut self.invocation.lock().expect("no panic"));
    }

    /// An invocation for a message begins. A day's message does not say its step, the one before it did.
    pub(crate) fn take(&self, message: &Message) {
        let last = self.invocation.lock().expect("no panic").clone();
        let last = last.trim_end_matches(", a day");
        match message {
            Message::Step { step, slice, .. } => {
                let part = slice.map_or("", |_| ", a slice");
                self.enter(&format!("{}{part}", step.name()));
            }
            Message::Day { .. } => self.enter(&format!("{last}, a day")),
        }
    }

    /// The queues that something was sent to since this was asked last.
    pub(crate) fn sent(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.sent.lock().expect("no panic"))
    }

    /// The writes so far: what was worked on, and what was written.
    pub(crate) fn names(&self) -> Vec<String> {
        self.names.lock().expect("no panic").clone()
    }

    /// At which writes an invocation ended, and whether it was behind them.
    pub(crate) fn killed(&self) -> Vec<(String, bool)> {
        self.killed.lock().expect("no panic").clone()
    }
}

impl Probe for KillAt {
    fn lives(&self, write: &str, done: bool) -> bool {
        if let Some(queue) = write.strip_prefix("send ") {
            let mut sent = self.sent.lock().expect("no panic");
            sent.insert(queue.to_owned());
        }
        let of = self.invocation.lock().expect("no panic").clone();
        let name = format!("{of}: {write}");
        let n = if done {
            self.writes.load(Ordering::SeqCst) - 1
        } else {
            self.names.lock().expect("no panic").push(name.clone());
            self.writes.fetch_add(1, Ordering::SeqCst)
        };
        let lives = !self.places.contains(&(n, done));
        if !lives {
            self.killed.lock().expect("no panic").push((name, done));
        }
        lives
    }
}
