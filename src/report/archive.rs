//! The form that is kept for 24 months: counts, item IDs and outcomes, nothing that leads to the person.

use std::collections::BTreeMap;

use super::item::Item;
use super::{ArrivedAfterApproval, Form, Report, ResidualCopy, UnattributedItem};
use crate::domain::plan::{Coverage, Unreadable};

impl Report {
    /// The same report in its archive form: without install IDs, report IDs, group IDs and blob names.
    ///
    /// Numbers, item IDs, outcomes, reasons and the approval stay. An item ID is a hash of random IDs (see
    /// [`crate::domain::plan::item_id`]): it proves what was done to who knows the ID, and tells it to nobody else. What
    /// was in the archive form stays as it is.
    #[must_use]
    pub fn without_identifiers(&self) -> Self {
        let items = |items: &[Item]| {
            let item = |item: &Item| Item {
                install_id: None,
                group_id: None,
                error_id: None,
                test_run_id: None,
                ..item.clone()
            };
            items.iter().map(item).collect()
        };
        Self {
            form: Form::Archive,
            installs: items(&self.installs),
            reports: items(&self.reports),
            rows: items(&self.rows),
            test_runs: items(&self.test_runs),
            unattributed: self
                .unattributed
                .iter()
                .map(|it| UnattributedItem {
                    blob: None,
                    ..it.clone()
                })
                .collect(),
            arrived_after_approval: ArrivedAfterApproval {
                total: self.arrived_after_approval.total,
                items: Vec::new(),
            },
            residual_copies: bounded(self.residual_copies.clone(), 0),
            searched: self
                .searched
                .iter()
                .map(|(app, coverage)| (app.clone(), unnamed(coverage)))
                .collect(),
            ..self.clone()
        }
    }
}

/// At most `max` copies by name; the rest as sums by app and stream, at the end.
pub(super) fn bounded(copies: Vec<ResidualCopy>, max: usize) -> Vec<ResidualCopy> {
    let mut kept = Vec::new();
    let mut sums: BTreeMap<_, (u64, u64)> = BTreeMap::new();
    for copy in copies {
        if copy.blob.is_some() && kept.len() < max {
            kept.push(copy);
        } else {
            let (blobs, records) = sums.entry((copy.app, copy.stream)).or_default();
            *blobs += copy.blobs;
            *records += copy.records;
        }
    }
    kept.extend(
        sums.into_iter()
            .map(|((app, stream), (blobs, records))| ResidualCopy {
                app,
                stream,
                blob: None,
                blobs,
                records,
            }),
    );
    kept
}

/// Coverage with blobs counted by reason instead of named.
fn unnamed(coverage: &Coverage) -> Coverage {
    let counted = |parts: &[Unreadable]| -> Vec<Unreadable> {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for part in parts {
            *counts.entry(&part.reason).or_default() += parse_count(&part.blob).unwrap_or(1);
        }
        counts
            .into_iter()
            .map(|(reason, n)| Unreadable {
                blob: format!("{n} {COUNTED}"),
                reason: reason.to_owned(),
            })
            .collect()
    };
    Coverage {
        unreadable: counted(&coverage.unreadable),
        not_searched: counted(&coverage.not_searched),
        ..coverage.clone()
    }
}

/// What a number of blobs is followed by where their names are gone.
const COUNTED: &str = "blobs (names removed)";

/// The number of blobs that a line stands for already.
fn parse_count(blob: &str) -> Option<u64> {
    blob.strip_suffix(COUNTED)?.trim_end().parse().ok()
}
