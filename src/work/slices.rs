//! Slices of a step: cut once, worked on one at a time, joined through bins (see [`crate::workflow::join`]).

use futures::StreamExt as _;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::records::pause;
use super::store::{Error, Store};
use crate::domain::RequestId;
use crate::storage::ETag;
use crate::workflow::join::{Bin, BinSum, MAX_SLICES, Root, SliceMark};
use crate::workflow::{Event, Record, Step};

/// Slices that are written or sent at once.
const PARALLEL: usize = 16;
/// Tries of a change that others keep getting ahead of.
const TRIES: u32 = 20;

/// How a slice ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceEnd {
    /// Items done.
    pub done: u64,
    /// Items failed.
    pub failed: u64,
    /// What the step, as a whole, came to (only of a step with one slice).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Event>,
}

/// The stored state of a slice.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SliceState {
    /// Tries in a row that made no progress.
    #[serde(default)]
    pub tries: u32,
    /// When the first of them failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// The end, once it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<SliceEnd>,
    /// The stage's own: input, progress, outcomes.
    #[serde(default)]
    pub body: Value,
}

impl SliceState {
    /// Counts failed tries anew, once something has worked.
    pub fn forget_tries(&mut self) {
        self.tries = 0;
        self.failing_since = None;
    }

    /// Reads the stage's own part.
    ///
    /// # Errors
    /// When it is not what the stage wrote.
    pub fn body<T: for<'de> Deserialize<'de> + Default>(&self) -> Result<T, Error> {
        if self.body.is_null() {
            return Ok(T::default());
        }
        T::deserialize(&self.body).map_err(|error| Error::Corrupt {
            what: "a slice",
            // Its text can quote values.
            reason: format!("its body does not fit its step ({})", error_kind(&error)),
        })
    }
}

/// A slice that is being worked on.
#[derive(Debug, Clone)]
pub struct Slice {
    /// The request.
    pub request: RequestId,
    /// Its run.
    pub run: u32,
    /// The step.
    pub step: Step,
    /// The slice's number.
    pub number: u32,
    /// Its state.
    pub state: SliceState,
    etag: Option<ETag>,
}

impl Slice {
    /// Reads the stage's own part.
    ///
    /// # Errors
    /// When it is not what the stage wrote.
    pub fn body<T: for<'de> Deserialize<'de> + Default>(&self) -> Result<T, Error> {
        self.state.body()
    }

    /// Sets the stage's own part; it is stored by [`Store::save_slice`].
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn set_body<T: Serialize>(&mut self, body: &T) -> Result<(), Error> {
        self.state.body = serde_json::to_value(body).map_err(|error| Error::Corrupt {
            what: "a slice",
            reason: error.to_string(),
        })?;
        Ok(())
    }

    fn name(&self) -> String {
        let name = format!("slices/{:05}.json", self.number);
        Store::step_blob(&self.request, self.run, self.step, &name)
    }
}

/// The input of one slice.
#[derive(Debug, Clone, Default)]
pub struct SliceInput {
    /// Items it holds.
    pub items: u64,
    /// The stage's own; a slice without (null) is not stored until it is worked on.
    pub body: Value,
}

/// A step cut into slices.
#[derive(Debug, Clone, Default)]
pub struct Cut {
    /// Its slices divide a list that others may change between two cuts: slices of different lists must not be mixed.
    pub is_of_a_list: bool,
    /// The slices.
    pub slices: Vec<SliceInput>,
    /// What the step has to remember.
    pub memo: Value,
}

/// What finishing a slice led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finished {
    /// Other slices are not over.
    OthersOpen,
    /// The step is over.
    Joined(Event),
}

impl Store {
    /// The root of a step, if it was cut.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn root(&self, id: &RequestId, run: u32, step: Step) -> Result<Option<Root>, Error> {
        let name = Self::step_blob(id, run, step, "root.json");
        let read = self.read_json(&name, "a step's root").await?;
        Ok(read.map(|(root, _etag)| root))
    }

    /// Stores the cut of a step: first the slices, then the root. What is there already stays.
    ///
    /// # Errors
    /// When it cannot be written, or there are too many slices.
    pub async fn cut(
        &self,
        record: &Record,
        step: Step,
        cut: Cut,
        now: Timestamp,
    ) -> Result<Root, Error> {
        let count = u32::try_from(cut.slices.len()).unwrap_or(u32::MAX);
        if count > MAX_SLICES {
            return Err(Error::Corrupt {
                what: "a step",
                reason: format!("{count} slices, more than {MAX_SLICES}"),
            });
        }
        let items = cut.slices.iter().map(|slice| slice.items).sum();
        let writes = cut
            .slices
            .into_iter()
            .zip(0_u32..)
            .filter_map(|(input, number)| {
                let is_stored = !input.body.is_null();
                is_stored.then_some(async move {
                    let slice = Slice {
                        request: record.id.clone(),
                        run: record.run,
                        step,
                        number,
                        state: SliceState {
                            body: input.body,
                            ..SliceState::default()
                        },
                        etag: None,
                    };
                    let name = slice.name();
                    let created = self.create_json(&name, "a slice", &slice.state).await?;
                    Ok::<_, Error>(created.is_none().then_some(slice))
                })
            });
        let mut writes = futures::stream::iter(writes).buffer_unordered(PARALLEL);
        let mut others = Vec::new();
        while let Some(written) = writes.next().await {
            others.extend(written?.filter(|_| cut.is_of_a_list));
        }
        drop(writes);
        if !others.is_empty()
            && let Some(root) = self.root(&record.id, record.run, step).await?
        {
            return Ok(root);
        }
        for ours in others {
            let stored = self
                .slice(&record.id, record.run, step, ours.number)
                .await?;
            // Two cuts of different lists must not be mixed: what is in neither's slices would be lost.
            if stored.state.body != ours.state.body {
                return Err(Error::Lost { what: "a slice" });
            }
        }
        let root = Root::new(count, items, now, cut.memo);
        let name = Self::step_blob(&record.id, record.run, step, "root.json");
        let created = self.create_json(&name, "a step's root", &root).await?;
        if created.is_some() {
            return Ok(root);
        }
        // Another delivery of the same message was faster: what it stored holds.
        let stored = self.root(&record.id, record.run, step).await?;
        stored.ok_or(Error::Lost {
            what: "a step's root",
        })
    }

    /// The numbers of the slices that something is left to do for: those that are not over, and the first of each bin
    /// whose slices are all over while the root does not say so. Whoever should have told it died; that slice tells it.
    ///
    /// # Errors
    /// When the bins cannot be read.
    pub async fn open_slices(
        &self,
        id: &RequestId,
        run: u32,
        step: Step,
        root: &Root,
    ) -> Result<Vec<u32>, Error> {
        let mut open = Vec::new();
        for bin in (0..root.bin_count()).filter(|bin| !root.bins.contains_key(bin)) {
            let (marks, _etag) = self.bin(id, run, step, bin).await?;
            let first = bin * crate::workflow::join::BIN;
            let last = root.slices.min(first + crate::workflow::join::BIN);
            let before = open.len();
            open.extend(
                (first..last).filter(|n| !marks.marks.get(n).is_some_and(|mark| mark.over)),
            );
            if open.len() == before {
                open.push(first);
            }
        }
        Ok(open)
    }

    /// Reads a slice; one that was never stored is empty.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn slice(
        &self,
        id: &RequestId,
        run: u32,
        step: Step,
        number: u32,
    ) -> Result<Slice, Error> {
        let mut slice = Slice {
            request: id.clone(),
            run,
            step,
            number,
            state: SliceState::default(),
            etag: None,
        };
        if let Some((state, etag)) = self.read_json(&slice.name(), "a slice").await? {
            slice.state = state;
            slice.etag = Some(etag);
        }
        Ok(slice)
    }

    /// Stores a slice if nobody else did meanwhile.
    ///
    /// # Errors
    /// [`Error::Lost`] when another invocation works on it too; that one goes on.
    pub async fn save_slice(&self, slice: &mut Slice) -> Result<(), Error> {
        let etag = self
            .replace_json(&slice.name(), "a slice", &slice.state, slice.etag.as_ref())
            .await?;
        slice.etag = Some(etag);
        Ok(())
    }

    /// Ends a slice, and joins the step if it was the last. Can be repeated: a slice that is over stays as it is.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub async fn finish_slice(
        &self,
        slice: &mut Slice,
        root: &Root,
        end: SliceEnd,
    ) -> Result<Finished, Error> {
        if slice.state.end.is_none() {
            slice.state.end = Some(end);
            self.save_slice(slice).await?;
        }
        let end = slice.state.end.clone().unwrap_or_default();
        self.close_mark(
            &slice.request,
            slice.run,
            slice.step,
            slice.number,
            root,
            &end,
        )
        .await
    }

    /// Marks a slice that is not over: what it waits for, and until when.
    ///
    /// # Errors
    /// When its bin cannot be read or written.
    pub async fn mark_open(
        &self,
        id: &RequestId,
        run: u32,
        step: Step,
        number: u32,
        mark: SliceMark,
    ) -> Result<(), Error> {
        self.mark(id, run, step, number, mark).await.map(drop)
    }

    /// Marks a slice as over in its bin and, where that fills the bin, in the root.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub async fn close_mark(
        &self,
        id: &RequestId,
        run: u32,
        step: Step,
        number: u32,
        root: &Root,
        end: &SliceEnd,
    ) -> Result<Finished, Error> {
        let bin = Bin::of(number);
        if root.slices == 1 {
            // A bin would say no more than its sum.
            let sum = BinSum {
                done: end.done,
                failed: end.failed,
            };
            return self.close_bin(id, run, step, (bin, sum), end).await;
        }
        let mark = SliceMark {
            over: true,
            done: end.done,
            failed: end.failed,
            ..SliceMark::default()
        };
        let Some(marked) = self.mark(id, run, step, number, mark).await? else {
            return Ok(Finished::OthersOpen);
        };
        let finished = match marked.bin().sum_if_over(bin, root.slices) {
            // The root would say no more than its only bin.
            Some(sum) if root.bin_count() == 1 => Finished::Joined(event(step, end, [sum])),
            Some(sum) => self.close_bin(id, run, step, (bin, sum), end).await?,
            None => Finished::OthersOpen,
        };
        marked.settle();
        Ok(finished)
    }

    /// Writes a bin's sums into the root, unless they are there.
    async fn close_bin(
        &self,
        id: &RequestId,
        run: u32,
        step: Step,
        (bin, sum): (u32, BinSum),
        end: &SliceEnd,
    ) -> Result<Finished, Error> {
        let name = Self::step_blob(id, run, step, "root.json");
        for attempt in 0..TRIES {
            let read = self.read_json::<Root>(&name, "a step's root").await?;
            let Some((mut stored, etag)) = read else {
                return Err(Error::Lost {
                    what: "a step's root",
                });
            };
            if stored.close(bin, sum) {
                let written = self
                    .replace_json(&name, "a step's root", &stored, Some(&etag))
                    .await;
                match written {
                    Ok(_) => {}
                    Err(Error::Lost { .. }) => {
                        pause(attempt).await;
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
            return Ok(if stored.is_over() {
                Finished::Joined(event(step, end, stored.bins.into_values()))
            } else {
                Finished::OthersOpen
            });
        }
        Err(Error::Lost {
            what: "a step's root",
        })
    }
}

fn error_kind(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Io => "io",
        serde_json::error::Category::Syntax => "syntax",
        serde_json::error::Category::Data => "data",
        serde_json::error::Category::Eof => "eof",
    }
}

/// The event of a step whose slices are all over: what its only one says, or the sums of its bins.
fn event(step: Step, end: &SliceEnd, bins: impl IntoIterator<Item = BinSum>) -> Event {
    if let Some(event) = &end.event {
        return event.clone();
    }
    let (mut done, mut failed) = (0, 0);
    for sum in bins {
        done += sum.done;
        failed += sum.failed;
    }
    Event::Joined { step, done, failed }
}
