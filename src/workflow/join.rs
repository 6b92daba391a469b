//! How fanned-out work joins, at a cost a slice that does not grow with the number of slices.
//!
//! A step's slices are numbered. Each [`BIN`] of them share one small blob (a [`Bin`]) with a mark for each; the step has
//! one [`Root`] with a bit for each bin. Finishing a slice marks its bin: at most one read and one conditional write of a
//! bounded size, which slices that one process finishes at the same time share. Only the slice that fills a bin writes to
//! the root, and only the one that fills the root moves the request on; where there is one bin, the one that fills that.
//! Marking twice changes nothing, so every part can be repeated after a kill.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Slices that share a bin.
pub const BIN: u32 = 128;
/// Most slices a step can have.
pub const MAX_SLICES: u32 = 40_000;
/// The place among a step's slices where it is noted that cutting the step waits or was tried; no slice has it.
pub const CUT: u32 = u32::MAX;

/// What is known of one slice, outside of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SliceMark {
    /// It is over: all its items have an outcome.
    #[serde(default)]
    pub over: bool,
    /// Items that are done.
    #[serde(default)]
    pub done: u64,
    /// Items that failed.
    #[serde(default)]
    pub failed: u64,
    /// When it is looked at again, if it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// What it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// Whether a person has to do something about it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub for_person: bool,
}

/// The marks of up to [`BIN`] slices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bin {
    /// By the slice's number.
    pub marks: BTreeMap<u32, SliceMark>,
}

/// A step's slices as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// How many slices there are.
    pub slices: u32,
    /// How many items they hold together.
    pub items: u64,
    /// When they were cut.
    pub planned_at: Timestamp,
    /// The bins whose slices are all over, with their sums; an only bin stays out.
    pub bins: BTreeMap<u32, BinSum>,
    /// What the step itself has to remember, such as the days of a search.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub memo: serde_json::Value,
}

/// The sums of a bin that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BinSum {
    /// Items done.
    pub done: u64,
    /// Items failed.
    pub failed: u64,
}

impl Bin {
    /// The bin that a slice belongs to.
    #[must_use]
    pub fn of(slice: u32) -> u32 {
        slice / BIN
    }

    /// Sets a slice's mark; whether anything changed. A slice that is over stays over.
    pub fn mark(&mut self, slice: u32, mark: SliceMark) -> bool {
        let known = self.marks.entry(slice).or_default();
        if known.over || *known == mark {
            return false;
        }
        *known = mark;
        true
    }

    /// The sums, once every slice of bin number `bin` is over.
    #[must_use]
    pub fn sum_if_over(&self, bin: u32, slices: u32) -> Option<BinSum> {
        let first = bin * BIN;
        let expected = slices.saturating_sub(first).min(BIN);
        let over = self.marks.values().filter(|mark| mark.over);
        let mut sum = BinSum { done: 0, failed: 0 };
        let mut count = 0;
        for mark in over {
            count += 1;
            sum.done += mark.done;
            sum.failed += mark.failed;
        }
        (count == expected).then_some(sum)
    }
}

impl Root {
    /// A root without any slice over.
    #[must_use]
    pub fn new(slices: u32, items: u64, planned_at: Timestamp, memo: serde_json::Value) -> Self {
        Self {
            slices,
            items,
            planned_at,
            bins: BTreeMap::new(),
            memo,
        }
    }

    /// How many bins there are.
    #[must_use]
    pub fn bin_count(&self) -> u32 {
        self.slices.div_ceil(BIN)
    }

    /// Records that a bin is over; whether that is new.
    pub fn close(&mut self, bin: u32, sum: BinSum) -> bool {
        self.bins.insert(bin, sum).is_none()
    }

    /// Whether every slice is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        u32::try_from(self.bins.len()) == Ok(self.bin_count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn over(failed: u64) -> SliceMark {
        SliceMark {
            over: true,
            done: 2,
            failed,
            ..SliceMark::default()
        }
    }

    proptest! {
        /// Whatever the order and however often slices finish, the step joins exactly when the last one does, once.
        #[test]
        fn joins_once_at_the_last_slice(
            slices in 0_u32..600,
            seed in any::<u64>(),
            repeats in 0_usize..50,
        ) {
            let mut order: Vec<u32> = (0..slices).collect();
            let mut state = seed | 1;
            let mut random = |limit: usize| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                usize::try_from(state % u64::try_from(limit.max(1)).unwrap_or(1)).unwrap_or(0)
            };
            for n in (1..order.len()).rev() {
                order.swap(n, random(n + 1));
            }
            for _ in 0..repeats.min(order.len()) {
                let again = order[random(order.len())];
                order.push(again);
            }
            let mut bins: BTreeMap<u32, Bin> = BTreeMap::new();
            let mut root = Root::new(slices, 0, Timestamp::UNIX_EPOCH, serde_json::Value::Null);
            let mut finished = std::collections::BTreeSet::new();
            prop_assert_eq!(root.is_over(), slices == 0);
            for slice in order {
                finished.insert(slice);
                let bin = bins.entry(Bin::of(slice)).or_default();
                bin.mark(slice, over(1));
                if let Some(sum) = bin.sum_if_over(Bin::of(slice), slices) {
                    root.close(Bin::of(slice), sum);
                }
                prop_assert_eq!(root.is_over(), finished.len() == slices as usize);
            }
            let failed: u64 = root.bins.values().map(|sum| sum.failed).sum();
            prop_assert_eq!(failed, u64::from(slices));
        }
    }

    #[test]
    fn a_slice_that_is_over_stays_over() {
        let mut bin = Bin::default();
        assert!(bin.mark(3, SliceMark::default()) || bin.marks.contains_key(&3));
        assert!(bin.mark(3, over(0)));
        assert!(!bin.mark(3, over(0)));
        assert!(!bin.mark(3, SliceMark::default()));
        assert_eq!(bin.marks.get(&3), Some(&over(0)));
    }
}
