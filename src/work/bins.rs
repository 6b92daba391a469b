//! Marks of slices in their bins. Those that one process makes at the same time share a read and a write: slices end by
//! the dozen, and each would fail the conditional write of all others.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::records::pause;
use super::store::{Error, Store};
use crate::domain::RequestId;
use crate::storage::ETag;
use crate::workflow::Step;
use crate::workflow::join::{Bin, SliceMark};

const WHAT: &str = "a bin";
/// Tries of a change that others keep getting ahead of.
const TRIES: u32 = 20;
/// Desks that are kept, enough for a hundred requests that end a day together; beyond it those that nobody uses are
/// dropped. Each holds a bin of some KiB.
const MAX_KEPT: usize = 256;

/// The marks that this process is making, bin by bin.
#[derive(Debug, Default)]
pub(super) struct Bins(Mutex<HashMap<String, Arc<Desk>>>);

/// Where the marks of one bin are handed in.
#[derive(Debug, Default)]
struct Desk {
    waiting: Mutex<Waiting>,
    /// Held by the one that writes: the bin as this process wrote it last. It only serves the next conditional write,
    /// which fails when it is out of date; nothing is concluded from it.
    written: Arc<tokio::sync::Mutex<Option<(Bin, ETag)>>>,
}

/// Marks that are not written yet, in the order in which they came, and the answers to those that another wrote.
#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    marks: BTreeMap<u64, (u32, SliceMark)>,
    answers: BTreeMap<u64, Stored>,
}

/// A bin as it was stored with some marks.
#[derive(Debug, Clone)]
struct Stored {
    bin: Arc<Bin>,
    /// Whether what follows from it is stored, too.
    is_settled: Arc<AtomicBool>,
}

/// A bin in which a mark was stored, for the caller that does what follows. The others whose marks it holds wait until
/// this is settled or dropped; when it is dropped, the next of them does it.
#[derive(Debug)]
pub(super) struct Marked {
    stored: Stored,
    _desk: tokio::sync::OwnedMutexGuard<Option<(Bin, ETag)>>,
}

impl Marked {
    /// The bin.
    pub(super) fn bin(&self) -> &Bin {
        &self.stored.bin
    }

    /// Says that what follows from the bin is stored.
    pub(super) fn settle(self) {
        self.stored.is_settled.store(true, Ordering::SeqCst);
    }
}

/// A mark that was handed in. It is taken back when its caller gives up.
struct Ticket<'a> {
    desk: &'a Desk,
    number: u64,
}

impl Bins {
    fn desk(&self, name: &str) -> Arc<Desk> {
        let mut desks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if desks.len() > MAX_KEPT {
            desks.retain(|_, desk| Arc::strong_count(desk) > 1);
        }
        Arc::clone(desks.entry(name.to_owned()).or_default())
    }
}

impl Desk {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hand_in(&self, slice: u32, mark: SliceMark) -> Ticket<'_> {
        let mut waiting = self.waiting();
        let number = waiting.next;
        waiting.next += 1;
        waiting.marks.insert(number, (slice, mark));
        Ticket { desk: self, number }
    }

    /// What became of this ticket's mark: the bin in which another stored it, or all marks that wait, to be stored now.
    fn taken(&self, ticket: &Ticket<'_>) -> Result<Stored, BTreeMap<u64, (u32, SliceMark)>> {
        let waiting = self.waiting();
        match waiting.answers.get(&ticket.number) {
            Some(stored) => Ok(stored.clone()),
            None => Err(waiting.marks.clone()),
        }
    }

    /// Answers those whose marks were stored.
    fn answer(&self, taken: &BTreeMap<u64, (u32, SliceMark)>, stored: &Stored) {
        let mut waiting = self.waiting();
        for number in taken.keys() {
            // Whoever gave up meanwhile waits for no answer.
            if waiting.marks.remove(number).is_some() {
                waiting.answers.insert(*number, stored.clone());
            }
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        let mut waiting = self.desk.waiting();
        waiting.marks.remove(&self.number);
        waiting.answers.remove(&self.number);
    }
}

impl Store {
    /// Changes a slice's mark in its bin, and gives the bin as it is stored then.
    ///
    /// None when another caller of this process has stored this mark with its own, and then what follows from both:
    /// whoever is told this was not needed for the step to go on.
    ///
    /// # Errors
    /// When the bin cannot be read or written.
    pub(super) async fn mark(
        &self,
        id: &RequestId,
        run: u32,
        step: Step,
        slice: u32,
        mark: SliceMark,
    ) -> Result<Option<Marked>, Error> {
        let name = bin_name(id, run, step, Bin::of(slice));
        let desk = self.bins.desk(&name);
        let ticket = desk.hand_in(slice, mark);
        let mut written = Arc::clone(&desk.written).lock_owned().await;
        let taken = match desk.taken(&ticket) {
            Ok(stored) if stored.is_settled.load(Ordering::SeqCst) => return Ok(None),
            Ok(stored) => {
                return Ok(Some(Marked {
                    stored,
                    _desk: written,
                }));
            }
            Err(taken) => taken,
        };
        for attempt in 0..TRIES {
            let known = written.take();
            let is_fresh = known.is_none();
            let (mut bin, etag) = match known {
                Some((bin, etag)) => (bin, Some(etag)),
                None => self.read_bin(&name).await?,
            };
            let mut is_changed = false;
            for (slice, mark) in taken.values() {
                is_changed |= bin.mark(*slice, mark.clone());
            }
            if is_changed {
                match self.replace_json(&name, WHAT, &bin, etag.as_ref()).await {
                    Ok(etag) => *written = Some((bin.clone(), etag)),
                    Err(Error::Lost { .. }) => {
                        if is_fresh {
                            pause(attempt).await;
                        }
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            } else if !is_fresh {
                continue;
            }
            let stored = Stored {
                bin: Arc::new(bin),
                is_settled: Arc::default(),
            };
            desk.answer(&taken, &stored);
            return Ok(Some(Marked {
                stored,
                _desk: written,
            }));
        }
        Err(Error::Lost { what: WHAT })
    }

    /// Reads a bin; one that was never stored is empty.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn bin(
        &self,
        id: &RequestId,
        run: u32,
        step: Step,
        bin: u32,
    ) -> Result<(Bin, Option<ETag>), Error> {
        self.read_bin(&bin_name(id, run, step, bin)).await
    }

    async fn read_bin(&self, name: &str) -> Result<(Bin, Option<ETag>), Error> {
        let read = self.read_json(name, WHAT).await?;
        Ok(read.map_or((Bin::default(), None), |(bin, etag)| (bin, Some(etag))))
    }
}

fn bin_name(id: &RequestId, run: u32, step: Step, bin: u32) -> String {
    super::names::of_step(id, run, step, &format!("bins/{bin:04}.json"))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use azurite::Azurite;
    use futures::future::join_all;
    use secrecy::SecretString;

    use super::*;
    use crate::storage::{Account, AccountSettings};
    use crate::work::Probe;

    const STEP: Step = Step::Delete;

    /// Counts writes; the one with this number is where a caller is killed.
    #[derive(Debug, Default)]
    struct Writes {
        begun: AtomicUsize,
        killed: Option<usize>,
    }

    impl Probe for Writes {
        fn lives(&self, _write: &str, done: bool) -> bool {
            done || Some(self.begun.fetch_add(1, Ordering::SeqCst)) != self.killed
        }
    }

    async fn store(account: &azurite::Account, probe: &Arc<Writes>) -> Store {
        let settings =
            AccountSettings::ConnectionString(SecretString::from(account.connection_string()));
        let account = Account::open(&settings).expect("it opens");
        let container = account.container("dsr");
        container.create_if_missing().await.expect("a container");
        let probe: Arc<dyn Probe> = Arc::<Writes>::clone(probe);
        Store::new(container, account, probe)
    }

    fn over() -> SliceMark {
        SliceMark {
            over: true,
            done: 1,
            ..SliceMark::default()
        }
    }

    fn waits() -> SliceMark {
        SliceMark {
            waits_for: Some("something".to_owned()),
            ..SliceMark::default()
        }
    }

    async fn mark_all(
        store: &Store,
        id: &RequestId,
        slices: std::ops::Range<u32>,
        mark: impl Fn(u32) -> SliceMark,
    ) -> Vec<Result<Option<Arc<Bin>>, Error>> {
        let marks = slices.map(|n| {
            let marking = store.mark(id, 1, STEP, n, mark(n));
            async {
                let marked = marking.await?;
                Ok(marked.map(|marked| {
                    let bin = Arc::clone(&marked.stored.bin);
                    marked.settle();
                    bin
                }))
            }
        });
        join_all(marks).await
    }

    /// How many of them were told that the bin is full.
    fn told(answers: &[Result<Option<Arc<Bin>>, Error>], slices: u32) -> usize {
        let full = answers.iter().filter(|answer| {
            let bin = answer.as_ref().ok().and_then(Option::as_ref);
            bin.is_some_and(|bin| bin.sum_if_over(0, slices).is_some())
        });
        full.count()
    }

    #[tokio::test]
    async fn what_follows_is_done_by_the_next_where_the_first_dies() -> anyhow::Result<()> {
        let azurite = Azurite::start().await?;
        let account = azurite.account();
        let store = store(&account, &Arc::default()).await;
        let id = RequestId::derive("erasure", "handed on");
        let dead = AtomicUsize::new(0);
        let marks = (0..20).map(|n| {
            let (store, id, dead) = (&store, &id, &dead);
            async move {
                let marked = store.mark(id, 1, STEP, n, over()).await;
                let marked = marked.expect("it is marked");
                let Some(marked) = marked.filter(|it| it.bin().sum_if_over(0, 20).is_some()) else {
                    return 0;
                };
                // Two of those that see the last mark die before they have done what follows.
                if dead.fetch_add(1, Ordering::SeqCst) >= 2 {
                    marked.settle();
                }
                1
            }
        });
        let told: usize = join_all(marks).await.into_iter().sum();
        assert_eq!(told, 3);
        Ok(())
    }

    #[tokio::test]
    async fn marks_of_one_moment_share_a_write_and_one_caller_sees_the_last() -> anyhow::Result<()>
    {
        let azurite = Azurite::start().await?;
        let account = azurite.account();
        let writes = Arc::new(Writes::default());
        let store = store(&account, &writes).await;

        let id = RequestId::derive("erasure", "many");
        let answers = mark_all(&store, &id, 0..100, |_| over()).await;
        assert!(answers.iter().all(Result::is_ok));
        assert_eq!(told(&answers, 100), 1);
        let begun = writes.begun.load(Ordering::SeqCst);
        assert!(begun < 10, "{begun} writes for 100 marks");

        // Again, by messages that came twice: nothing is written, and who asks is told again.
        let again = mark_all(&store, &id, 0..100, |_| over()).await;
        assert!(told(&again, 100) >= 1);
        assert_eq!(writes.begun.load(Ordering::SeqCst), begun);

        // One that waits is not the one that sees the last, whoever comes first.
        for first in [0, 1, 7] {
            let id = RequestId::derive("erasure", &format!("first-{first}"));
            let mark = |n| if n == first { waits() } else { over() };
            let answers = mark_all(&store, &id, 0..8, mark).await;
            assert_eq!(told(&answers, 8), 0);
            let last = mark_all(&store, &id, first..first + 1, |_| over()).await;
            assert_eq!(told(&last, 8), 1);
        }
        Ok(())
    }

    #[tokio::test]
    async fn two_processes_mark_the_same_bin() -> anyhow::Result<()> {
        let azurite = Azurite::start().await?;
        let account = azurite.account();
        let writes = Arc::new(Writes::default());
        let (one, two) = (
            store(&account, &writes).await,
            store(&account, &writes).await,
        );
        let id = RequestId::derive("erasure", "two");
        // What the first remembers is out of date when it goes on.
        for begin in (0..120).step_by(20) {
            let (a, b) = tokio::join!(
                mark_all(&one, &id, begin..begin + 10, |_| over()),
                mark_all(&two, &id, begin + 10..begin + 20, |_| over()),
            );
            let ended: Vec<_> = a.into_iter().chain(b).collect();
            assert!(ended.iter().all(Result::is_ok));
            assert_eq!(told(&ended, 120) > 0, begin + 20 == 120, "{begin}");
        }
        let (bin, _etag) = one.bin(&id, 1, STEP, 0).await?;
        assert_eq!(bin.marks.len(), 120);
        Ok(())
    }

    #[tokio::test]
    async fn who_is_killed_takes_nobody_along() -> anyhow::Result<()> {
        let azurite = Azurite::start().await?;
        let account = azurite.account();
        for killed in 0..2 {
            let writes = Arc::new(Writes {
                killed: Some(killed),
                ..Writes::default()
            });
            let store = store(&account, &writes).await;
            let id = RequestId::derive("erasure", &format!("killed-{killed}"));
            // The first writes by itself, the second with all others.
            let answers = mark_all(&store, &id, 0..40, |n| match n {
                0..3 => waits(),
                _ => over(),
            })
            .await;
            let failed: Vec<usize> = (0..40).filter(|n| answers[*n].is_err()).collect();
            assert_eq!(failed.len(), 1, "{failed:?}");
            let (bin, _etag) = store.bin(&id, 1, STEP, 0).await?;
            let missing = |n: &u32| !bin.marks.contains_key(n);
            let missing: Vec<usize> = (0..40).filter(missing).map(|n| n as usize).collect();
            assert_eq!(missing, failed, "killed at write {killed}");
        }
        Ok(())
    }
}
