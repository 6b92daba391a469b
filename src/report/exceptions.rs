//! What keeps a request from being completed without a but: one table of codes, texts and what a person can do.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Report;
use super::compose::Inputs;
use super::copies::gone_by;
use super::item::{Item, Outcome};
use super::text::{many, scrub};
use crate::domain::plan::{Coverage, Gap, Unreadable};
use crate::domain::{Include, Kind, retired};
use crate::workflow::record::Status;

/// Different reasons that are told apart for one code; the rest are told together.
const MAX_REASONS: usize = 20;

macro_rules! codes {
    ($($(#[$doc:meta])* $code:ident = $name:literal, retry: $retry:literal, $todo:literal;)*) => {
        /// Kinds of exceptions, in the order in which they are listed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Code { $($(#[$doc])* #[serde(rename = $name)] $code,)* }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$code,)*];

            /// Its name in JSON.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$code => $name,)* }
            }

            /// Whether another run could change it.
            #[must_use]
            pub fn retry_may_help(self) -> bool {
                match self { $(Self::$code => $retry,)* }
            }

            /// What a person can do about it.
            #[must_use]
            pub fn what_to_do(self) -> &'static str {
                match self { $(Self::$code => $todo,)* }
            }
        }
    };
}

codes! {
    /// There is no plan: the search or its evaluation did not come to an end.
    NoPlan = "no_plan", retry: true,
        "Look at the request's history for the step that failed, repair its cause, then retry.";
    /// Planned, tried, not done.
    ItemFailed = "item_failed", retry: true,
        "Repair the cause, then retry: a new plan holds what is left.";
    /// Only App Center could have done it, which is gone.
    Retired = "retired", retry: false,
        "App Center is gone, and what it held with it; erase what the archive holds, and tell the person what could not be asked. If it is not gone, take `APPCENTER_RETIRED` away, and retry.";
    /// Planned, not tried.
    NotAttempted = "not_attempted", retry: true,
        "Retry: a new plan holds what is left.";
    /// An export without a package.
    PackageMissing = "package_missing", retry: true,
        "Retry: the package is made anew.";
    /// Found after the block, not in the plan.
    ArrivedAfterApproval = "arrived_after_approval", retry: true,
        "Retry and approve the new plan: what arrived is in it.";
    /// The search after the block did not come to an end.
    RecheckFailed = "recheck_failed", retry: true,
        "Retry: what arrived between plan and block is not known.";
    /// Found, and leading to no report.
    Unattributed = "unattributed", retry: true,
        "Look at the named archive blobs; App Center may index a new report late, so a retry can attribute it.";
    /// Held and not released.
    Held = "held", retry: false,
        "Decide whether they are the person's: of an erasure, name their IDs in `also` when a new plan is approved; of an export, ask the person for an install ID and file a new request.";
    /// Blobs that could not be read.
    Unreadable = "unreadable", retry: true,
        "Look at the named archive blobs: repair or replace them, then retry.";
    /// Parts of blobs beyond a limit of the search.
    NotSearched = "not_searched", retry: true,
        "Look at the named archive blobs by hand, or raise the limit that is named, then retry.";
    /// Nothing of an app was there to be searched.
    NothingSearched = "nothing_searched", retry: true,
        "Check ARCHIVE_CONTAINER and the app's export to Blob Storage, then retry.";
    /// What setting up the export met.
    Setup = "setup", retry: true,
        "Repair the app's export to Blob Storage, or accept what the archive holds; then retry.";
    /// Days that are missing in the archive.
    Gap = "gap", retry: false,
        "Nothing brings these days back once App Center has dropped them; tell the person, and see that the export stays enabled.";
    /// What App Center did not give.
    Unavailable = "unavailable", retry: true,
        "Retry if the cause has gone; else tell the person what could not be had.";
    /// App Center keeps log rows until they are too old.
    LogRowsAgeOut = "log_rows_age_out", retry: false,
        "Nothing: App Center has no call for it and drops them by itself. Tell the person the date.";
    /// Copies that stay in the archive.
    ResidualCopies = "residual_copies", retry: false,
        "Erase the person's records from the listed archive blobs, or keep them with a reason that the law knows; tell the person.";
}

/// One thing that keeps a request from being completed without a but.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// What kind.
    pub code: Code,
    /// The app (`owner/name`), if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// What it is, in words.
    pub text: String,
    /// How many items, blobs, records or days.
    pub count: u64,
    /// What a person can do.
    pub what_to_do: String,
    /// Whether another run could change it.
    pub retry_may_help: bool,
}

impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.text)?;
        if let Some(app) = &self.app {
            write!(f, " ({app})")?;
        }
        Ok(())
    }
}

pub(super) fn exception(code: Code, app: Option<&str>, count: u64, text: String) -> Exception {
    Exception {
        code,
        app: app.map(str::to_owned),
        text,
        count,
        what_to_do: code.what_to_do().to_owned(),
        retry_may_help: code.retry_may_help(),
    }
}

/// Every exception of a report whose other parts are composed.
pub(super) fn of(report: &Report, inputs: &Inputs<'_>) -> Vec<Exception> {
    let mut all = Vec::new();
    let is_undecided = matches!(report.status, Status::Rejected | Status::Cancelled);
    if inputs.plan.is_none() && !is_undecided {
        all.push(exception(
            Code::NoPlan,
            None,
            1,
            "no plan could be made: nothing was blocked, deleted or exported".to_owned(),
        ));
    }
    for (items, one, several) in [
        (&report.installs, "install", "installs"),
        (&report.reports, "report", "reports"),
        (&report.rows, "group of log rows", "groups of log rows"),
        (&report.test_runs, "test run", "test runs"),
    ] {
        all.extend(undone(items, one, several));
    }
    let is_acted_on = report.items().any(|item| item.outcome != Outcome::Held);
    if report.kind == Kind::Export
        && report.package.is_none()
        && inputs.plan.is_some()
        && is_acted_on
        && !is_undecided
    {
        all.push(exception(
            Code::PackageMissing,
            None,
            1,
            "the package could not be made".to_owned(),
        ));
    }
    let arrived = report.arrived_after_approval.total;
    if arrived > 0 {
        all.push(exception(
            Code::ArrivedAfterApproval,
            None,
            arrived,
            format!(
                "the search after the block found {} not in the approved plan",
                many(arrived, "install or report", "installs or reports")
            ),
        ));
    }
    if let Some(reason) = &inputs.arrived.failed {
        all.push(exception(
            Code::RecheckFailed,
            None,
            1,
            format!("the search after the block failed: {}", scrub(reason)),
        ));
    }
    let unattributed = by_reason(report.unattributed.iter().map(|it| it.reason.as_str()));
    all.extend(unattributed.into_iter().map(|(reason, n)| {
        exception(
            Code::Unattributed,
            None,
            n,
            format!(
                "{} leading to no report: {reason}",
                many(n, "record", "records")
            ),
        )
    }));
    all.extend(report.held.iter().map(|(reason, n)| {
        exception(
            Code::Held,
            None,
            *n,
            format!("{} held: {reason}", many(*n, "item", "items")),
        )
    }));
    for (app, coverage) in &report.searched {
        all.extend(of_coverage(app, coverage));
    }
    all.extend(inputs.setup.iter().map(|it| {
        let app = it.app.as_ref().map(ToString::to_string);
        let code = or_retired(Code::Setup, &it.text);
        exception(code, app.as_deref(), 1, scrub(&it.text))
    }));
    all.extend(report.unavailable.iter().map(|it| {
        let text = format!("{} ({}) could not be had: {}", it.what, it.count, it.reason);
        exception(
            or_retired(Code::Unavailable, &it.reason),
            None,
            it.count,
            text,
        )
    }));
    all.extend(of_erasure(report));
    all.sort_by_key(|it| it.code);
    all
}

/// The code, but where the reason is that App Center is gone: no repair and no retry brings it back.
fn or_retired(code: Code, reason: &str) -> Code {
    if retired::is_said(reason) {
        Code::Retired
    } else {
        code
    }
}

/// Items that were planned and not done, by reason.
fn undone(items: &[Item], one: &str, several: &str) -> Vec<Exception> {
    let of = |code: Code, is: fn(&Outcome) -> bool, how: &str| -> Vec<Exception> {
        let reasons = items
            .iter()
            .filter(|item| is(&item.outcome))
            .filter_map(|item| item.outcome.undone());
        let row = |(reason, n): (String, u64)| {
            exception(
                or_retired(code, &reason),
                None,
                n,
                format!("{} {how}: {reason}", many(n, one, several)),
            )
        };
        by_reason(reasons).into_iter().map(row).collect()
    };
    let failed = of(
        Code::ItemFailed,
        |it| matches!(it, Outcome::Failed { .. }),
        "failed",
    );
    let skipped = of(
        Code::NotAttempted,
        |it| matches!(it, Outcome::NotAttempted { .. }),
        "not attempted",
    );
    failed.into_iter().chain(skipped).collect()
}

/// How many, by reason; beyond a number of different ones, together.
fn by_reason<'a>(reasons: impl Iterator<Item = &'a str>) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for reason in reasons {
        if let Some(n) = counts.get_mut(reason) {
            *n += 1;
        } else if counts.len() < MAX_REASONS {
            counts.insert(reason.to_owned(), 1);
        } else {
            *counts
                .entry("other reasons: see the items".to_owned())
                .or_default() += 1;
        }
    }
    counts
}

/// Whether the archive has nothing of an app.
fn holds_nothing(coverage: &Coverage) -> bool {
    coverage.blobs.values().sum::<u64>() == 0
}

fn of_coverage(app: &str, coverage: &Coverage) -> Vec<Exception> {
    let parts = |code: Code, what: &str, parts: &[Unreadable]| -> Vec<Exception> {
        let row = |(reason, n): (String, u64)| {
            exception(
                code,
                Some(app),
                n,
                format!("{} {what}: {reason}", many(n, "blob", "blobs")),
            )
        };
        let reasons = by_reason(parts.iter().map(|it| it.reason.as_str()));
        reasons.into_iter().map(row).collect()
    };
    let mut all = parts(Code::Unreadable, "not readable", &coverage.unreadable);
    all.extend(parts(
        Code::NotSearched,
        "not searched as a whole",
        &coverage.not_searched,
    ));
    if holds_nothing(coverage) {
        all.push(exception(
            Code::NothingSearched,
            Some(app),
            1,
            match &coverage.api {
                Some(api) => format!(
                    "the archive holds nothing of this app for the time asked for: no log rows could be searched; crashes and errors were listed by API ({})",
                    api.listed
                ),
                None => "the archive holds nothing of this app for the time asked for: its answer is no answer"
                    .to_owned(),
            },
        ));
    }
    all.extend(gaps(app, &coverage.gaps));
    all
}

/// Gaps, one exception for each kind of evidence: an app can have hundreds of them.
fn gaps(app: &str, gaps: &[Gap]) -> Vec<Exception> {
    let mut kinds: BTreeMap<&str, Vec<&Gap>> = BTreeMap::new();
    for gap in gaps {
        kinds.entry(&gap.evidence).or_default().push(gap);
    }
    let days = |gap: &Gap| {
        let days = gap.to.since(gap.from).map_or(0, |span| span.get_days());
        u64::try_from(days).unwrap_or(0) + 1
    };
    let told = |(evidence, gaps): (&str, Vec<&Gap>)| {
        let total = gaps.iter().map(|gap| days(gap)).sum();
        let first = gaps.iter().map(|gap| gap.from).min().unwrap_or_default();
        let last = gaps.iter().map(|gap| gap.to).max().unwrap_or_default();
        let text = match gaps.len() {
            1 => format!("{first} to {last} is missing: {}", scrub(evidence)),
            n => format!(
                "{total} days in {n} gaps between {first} and {last} are missing: {}",
                scrub(evidence)
            ),
        };
        exception(Code::Gap, Some(app), total, text)
    };
    kinds.into_iter().map(told).collect()
}

/// What an erasure cannot reach.
fn of_erasure(report: &Report) -> Vec<Exception> {
    let mut all = Vec::new();
    if let Some(ageing) = &report.ageing_rows {
        let today = report.concluded_at.to_zoned(jiff::tz::TimeZone::UTC).date();
        if ageing.gone_by >= today {
            all.push(exception(
                Code::LogRowsAgeOut,
                None,
                ageing.rows,
                format!(
                    "{} cannot be deleted by API; App Center drops them by the end of {}",
                    many(ageing.rows, "log row", "log rows"),
                    ageing.gone_by
                ),
            ));
        }
    }
    let is_asked = report.kind == Kind::Delete && report.include.contains(&Include::Analytics);
    if is_asked && report.status != Status::Rejected {
        let unsearched = report.searched.iter();
        let unsearched = unsearched.filter(|(_, coverage)| holds_nothing(coverage));
        all.extend(unsearched.map(|(app, _)| {
            let text = format!(
                "the person's log rows, if App Center holds any, could not be looked for and cannot be deleted by API; App Center drops them by the end of {}",
                gone_by(report.concluded_at)
            );
            exception(Code::LogRowsAgeOut, Some(app), 1, text)
        }));
    }
    let records: u64 = report.residual_copies.iter().map(|it| it.records).sum();
    let blobs: u64 = report.residual_copies.iter().map(|it| it.blobs).sum();
    if !report.residual_copies.is_empty() {
        all.push(exception(
            Code::ResidualCopies,
            None,
            records,
            format!(
                "{} of the person in the archive ({} known)",
                many(records, "record", "records"),
                many(blobs, "blob", "blobs")
            ),
        ));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_serde() {
        for code in Code::ALL {
            let json = serde_json::to_string(code).expect("a plain enum");
            assert_eq!(json, format!("\"{}\"", code.name()));
            assert!(code.what_to_do().ends_with('.'));
        }
    }

    #[test]
    fn many_reasons_stay_few() {
        let reasons: Vec<String> = (0..1000).map(|n| format!("reason {n}")).collect();
        let counts = by_reason(reasons.iter().map(String::as_str));
        assert_eq!(counts.len(), MAX_REASONS + 1);
        assert_eq!(counts.values().sum::<u64>(), 1000);
    }
}
