//! What a reader should know beside the items: why nothing was found, facts, recipients.

use super::item::Outcome;
use super::text::many;
use super::{Recipient, Report, Tally};
use crate::domain::Kind;
use crate::workflow::record::Record;

/// Why nothing was found: a result, said with all that limits it.
pub(super) fn nothing_found(report: &Report, record: &Record) -> String {
    let mut asked = Vec::new();
    if let Some(subject) = &record.subject {
        for (n, one, several) in [
            (subject.install_ids.len(), "install ID", "install IDs"),
            (subject.user_ids.len(), "user ID", "user IDs"),
            (subject.emails.len(), "e-mail address", "e-mail addresses"),
            (subject.terms.len(), "term", "terms"),
        ] {
            if n > 0 {
                asked.push(many(n as u64, one, several));
            }
        }
    }
    let asked = if asked.is_empty() {
        "the given identifiers".to_owned()
    } else {
        asked.join(", ")
    };
    let all = || report.searched.values();
    let blobs: u64 = all().flat_map(|it| it.blobs.values()).sum();
    let records: u64 = all().map(|it| it.records).sum();
    let unread = all()
        .map(|it| it.unreadable.len() + it.not_searched.len())
        .sum::<usize>();
    let gaps = all().map(|it| it.gaps.len()).sum::<usize>();
    let absent = all()
        .filter(|it| it.blobs.values().sum::<u64>() == 0)
        .count();
    let mut limits = Vec::new();
    for (n, one, several) in [
        (
            absent,
            "app of which the archive holds nothing",
            "apps of which the archive holds nothing",
        ),
        (
            unread,
            "blob that could not be read as a whole",
            "blobs that could not be read as a whole",
        ),
        (gaps, "gap in the archive", "gaps in the archive"),
    ] {
        if n > 0 {
            limits.push(many(n as u64, one, several));
        }
    }
    let limits = if limits.is_empty() {
        "All of it could be read.".to_owned()
    } else {
        format!("Not covered: {}.", limits.join(", "))
    };
    let blocked = match report.tallies.installs.get(Outcome::Blocked.name()) {
        Some(_) => " The install IDs that the request gives were blocked all the same.",
        None => "",
    };
    format!(
        "No record was found that holds what was searched for ({asked}). This is the result of reading {} with \
         {}, as listed under \"searched\" by app, days and stream; it says nothing of what is not listed \
         there. {limits}{blocked} Data that names nobody can only be found by install ID: a person who can read theirs \
         from the app can give it in a new request.",
        many(blobs, "blob", "blobs"),
        many(records, "record", "records"),
    )
}

/// Facts that a reader of the report should know.
pub(super) fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if let (true, Some(window)) = (report.partial, report.window) {
        notes.push(format!(
            "This is a partial erasure: only records of {} to {} (UTC, by the record's own time) were asked for; what lies outside stays.",
            window.from, window.to
        ));
    }
    let deleted = report.tallies.reports.get(Outcome::Deleted.name());
    if deleted.is_some_and(|n| *n > 0) {
        notes.push(
            "App Center says of a deleted report that searchable data may take up to 30 days to go. A group of errors \
             stays, with the message of its first report; no call deletes a group."
                .to_owned(),
        );
    }
    let runs = || report.test_runs.iter();
    if report.kind == Kind::Delete && runs().any(|it| it.outcome != Outcome::Held) {
        let is_deleted = |it: &Outcome| matches!(it, Outcome::Deleted | Outcome::AlreadyGone);
        let deleted = runs().filter(|it| is_deleted(&it.outcome)).count();
        notes.push(format!(
            "App Center Test: {deleted} of {} deleted. App Center deletes a run logically, and the erasure of test data \
             is achieved only if every run of the app is deleted.",
            many(runs().count() as u64, "test run is", "test runs are")
        ));
    }
    if report.also_seen_here > 0 {
        notes.push(format!(
            "Beside the person, their installs show {}: listed in the plan, not followed.",
            many(report.also_seen_here, "other user ID", "other user IDs")
        ));
    }
    for (app, coverage) in &report.searched {
        if coverage.passed_over > 0 {
            notes.push(format!(
                "{} of {app} not read again: the index that was made when they were read says that they do not hold the person.",
                many(coverage.passed_over, "blob was", "blobs were")
            ));
        }
        if coverage.hits_of_other_apps > 0 {
            notes.push(format!(
                "While {app} was searched, the identifiers were found in {} of apps that the request does not name: left alone.",
                many(coverage.hits_of_other_apps, "record", "records")
            ));
        }
    }
    if report.late {
        notes.push(format!(
            "The request was due on {} and concluded later.",
            report.due
        ));
    }
    notes
}

/// Who has, or had, the data (GDPR, article 19: recipients are told of an erasure, and the person of them).
pub(super) fn recipients(report: &Report) -> Vec<Recipient> {
    let done = |tally: &Tally, outcome: &Outcome| tally.get(outcome.name()).copied().unwrap_or(0);
    let service = match report.kind {
        Kind::Export => "data was read; nothing was changed".to_owned(),
        Kind::Delete => format!(
            "installs blocked: {}; reports deleted: {}; already gone: {}{}",
            done(&report.tallies.installs, &Outcome::Blocked),
            done(&report.tallies.reports, &Outcome::Deleted),
            done(&report.tallies.reports, &Outcome::AlreadyGone),
            match done(&report.tallies.test_runs, &Outcome::Deleted) {
                0 => String::new(),
                n => format!("; test runs deleted: {n}"),
            }
        ),
    };
    let records: u64 = report.residual_copies.iter().map(|it| it.records).sum();
    let archive = match (report.kind, records) {
        (Kind::Export, _) => "data was read; nothing was changed".to_owned(),
        (Kind::Delete, 0) => "nothing of the person is known to be there".to_owned(),
        (Kind::Delete, n) => format!(
            "{} of the person left: see the residual copies",
            many(n, "record", "records")
        ),
    };
    [
        ("Microsoft (Visual Studio App Center)", service),
        ("Azure Storage (archive of App Center's exports)", archive),
    ]
    .map(|(name, outcome)| Recipient {
        name: name.to_owned(),
        outcome,
    })
    .into()
}
