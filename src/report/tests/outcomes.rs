//! From outcomes to status, exceptions and numbers.

use super::{
    Case, SHARED, app, at, blob, codes, cover, empty, erased, error, exported, install_id, record,
    tally,
};
use crate::domain::InstallId;
use crate::domain::plan::{Gap, Unattributed, Unreadable};
use crate::package::LeftOut;
use crate::report::{ArrivedItem, Code, LogCopies, Outcome, SetupException, to_markdown};
use crate::workflow::record::Status;

#[test]
fn an_erasure_leaves_copies_and_says_so() {
    let mut case = erased();
    case.last_row = Some(at("2026-11-18T20:00:00Z"));
    case.log_copies = vec![LogCopies {
        app: app(),
        blob: "2026/11/18/20/00/logs.v1.data".to_owned(),
        records: 10,
    }];
    let report = case.report();
    assert_eq!(report.status, Status::CompletedWithExceptions);
    assert!(!report.failed && !report.needs_identifiers());
    assert_eq!(
        codes(&report),
        [
            Code::Held,
            Code::Held,
            Code::LogRowsAgeOut,
            Code::ResidualCopies
        ]
    );
    assert_eq!(
        report.tallies.installs,
        tally(&[("blocked", 1), ("held", 1)])
    );
    assert_eq!(
        report.tallies.reports,
        tally(&[("already_gone", 1), ("deleted", 1), ("held", 1)])
    );
    assert_eq!(report.tallies.rows, tally(&[("ages_out", 30), ("held", 7)]));
    let ageing = report.ageing_rows.expect("there are rows");
    assert_eq!(
        (ageing.rows, ageing.gone_by.to_string().as_str()),
        (30, "2026-12-16")
    );
    let residual: Vec<(Option<&str>, u64)> = report
        .residual_copies
        .iter()
        .map(|it| (it.blob.as_deref(), it.records))
        .collect();
    let (one, two) = (blob(1), blob(2));
    assert_eq!(
        residual,
        [
            (Some(one.as_str()), 1),
            (Some(two.as_str()), 1),
            (Some("2026/11/18/20/00/logs.v1.data"), 10),
            (None, 20),
        ]
    );
    assert_eq!(report.also_seen_here, 1);
    let lines = report.exception_lines();
    assert!(
        lines.iter().any(|line| line.starts_with(
            "residual_copies: 32 records of the person in the archive (3 blobs known)"
        )),
        "{lines:?}"
    );
}

#[test]
fn released_items_are_acted_on() {
    let mut case = erased();
    if let Some(approval) = &mut case.record.approval {
        approval.also = vec![install_id(1), "report-3".to_owned()];
    }
    case.outcomes.insert(install_id(1), Outcome::Blocked.into());
    case.outcomes
        .insert("report-3".to_owned(), Outcome::Deleted.into());
    let report = case.report();
    let released: Vec<&str> = report
        .installs
        .iter()
        .chain(&report.reports)
        .filter(|it| it.released)
        .map(|it| it.id.as_str())
        .collect();
    assert_eq!(released, [install_id(1).as_str(), "report-3"]);
    // The held rows were not released.
    assert_eq!(report.held.values().sum::<u64>(), 1);
    assert_eq!(
        report
            .residual_copies
            .iter()
            .filter(|it| it.blob.is_some())
            .count(),
        3
    );
}

#[test]
fn an_outcome_of_a_held_item_is_not_believed() {
    let mut case = erased();
    case.outcomes
        .insert("report-3".to_owned(), Outcome::Deleted.into());
    assert_eq!(case.report().reports[2].outcome, Outcome::Held);
}

#[test]
fn what_a_retry_could_do_keeps_the_identifiers() {
    let failed = Outcome::Failed {
        reason: "App Center answered 403 for user ana@example.com".to_owned(),
    };
    let check = |change: &dyn Fn(&mut Case), expected: Code| {
        let mut case = erased();
        change(&mut case);
        let report = case.report();
        assert!(
            codes(&report).contains(&expected),
            "{:?}",
            report.exceptions
        );
        assert!(report.needs_identifiers(), "{expected:?}");
        assert!(!report.failed);
    };
    check(
        &|case| {
            case.outcomes
                .insert("report-1".to_owned(), failed.clone().into());
        },
        Code::ItemFailed,
    );
    check(
        &|case| {
            case.outcomes.remove("report-1");
        },
        Code::NotAttempted,
    );
    check(
        &|case| {
            case.arrived.items = vec![
                ArrivedItem::report(app(), Some(error(9)), vec![blob(9)]),
                ArrivedItem::install(app(), SHARED.parse::<InstallId>().expect("a UUID")),
            ];
        },
        Code::ArrivedAfterApproval,
    );
    check(
        &|case| case.arrived.failed = Some("storage was away".to_owned()),
        Code::RecheckFailed,
    );
    check(
        &|case| {
            let lost = Unattributed {
                id: "unattributed-1".to_owned(),
                app: app(),
                blob: blob(7),
                reason: "neither the blob, nor a log row, nor its name tells the report".to_owned(),
            };
            if let Some(plan) = &mut case.plan {
                plan.unattributed.push(lost);
            }
        },
        Code::Unattributed,
    );
    let unreadable = || {
        vec![Unreadable {
            blob: blob(8),
            reason: "it is truncated".to_owned(),
        }]
    };
    check(
        &|case| cover(case, |it| it.unreadable = unreadable()),
        Code::Unreadable,
    );
    check(
        &|case| cover(case, |it| it.not_searched = unreadable()),
        Code::NotSearched,
    );
    check(
        &|case| cover(case, |it| it.blobs.clear()),
        Code::NothingSearched,
    );
    check(
        &|case| {
            case.setup = vec![SetupException {
                app: Some(app()),
                text: "the export configuration is invalid".to_owned(),
            }];
        },
        Code::Setup,
    );
}

#[test]
fn failures_are_counted_by_reason() {
    let mut case = erased();
    for id in ["report-1", "report-2"] {
        let outcome = Outcome::Failed {
            reason: "App Center answered 403 for ana@example.com".to_owned(),
        };
        case.outcomes.insert(id.to_owned(), outcome.into());
    }
    let report = case.report();
    let failed = report.exceptions.first().expect("it is the first");
    assert_eq!(
        failed.text,
        "2 reports failed: App Center answered 403 for [removed]"
    );
    assert_eq!(failed.count, 2);
    // The install was blocked, so something was done.
    assert_eq!(report.status, Status::CompletedWithExceptions);
}

#[test]
fn nothing_done_is_a_failure() {
    let mut case = erased();
    case.outcomes.clear();
    let report = case.report();
    assert!(report.failed && report.status == Status::Failed);
    let report = Case::new(record("delete"), None, &[]).report();
    assert!(report.failed && report.needs_identifiers());
    assert_eq!(codes(&report), [Code::NoPlan]);
    let mut case = exported();
    case.package = None;
    let report = case.report();
    assert!(report.failed && codes(&report).contains(&Code::PackageMissing));
}

#[test]
fn log_rows_that_could_not_be_looked_for_age_out_all_the_same() {
    let mut case = erased();
    cover(&mut case, |it| it.blobs.clear());
    if let Some(plan) = &mut case.plan {
        plan.rows.clear();
    }
    let report = case.report();
    let told = report.exceptions.iter();
    let mut told = told.filter(|it| it.code == Code::LogRowsAgeOut);
    let told = told.next().expect("it is told");
    // 28 days after the conclusion.
    assert!(
        told.text.ends_with("by the end of 2026-12-19"),
        "{}",
        told.text
    );
    let mut case = exported();
    cover(&mut case, |it| it.blobs.clear());
    assert!(!codes(&case.report()).contains(&Code::LogRowsAgeOut));
}

#[test]
fn an_export_with_nothing_left_out_is_complete() {
    let mut case = exported();
    let report = case.report();
    assert_eq!(codes(&report), [Code::Held, Code::Held]);
    assert!(report.residual_copies.is_empty() && report.ageing_rows.is_none());
    if let Some(plan) = &mut case.plan {
        plan.installs.truncate(1);
        plan.reports.truncate(2);
        plan.rows.truncate(1);
    }
    let report = case.report();
    assert_eq!(report.status, Status::Completed, "{:?}", report.exceptions);
    assert_eq!(report.tallies.installs, tally(&[("exported", 1)]));
    assert_eq!(report.tallies.rows, tally(&[("exported", 30)]));
    // What could not be had makes it less than complete.
    case.unavailable = vec![LeftOut {
        what: "session logs".to_owned(),
        reason: "App Center keeps them 28 days".to_owned(),
        count: 2,
    }];
    let report = case.report();
    assert_eq!(report.status, Status::CompletedWithExceptions);
    assert_eq!(
        report.exceptions[0].text,
        "session logs (2) could not be had: App Center keeps them 28 days"
    );
}

#[test]
fn nothing_found_is_explained() {
    for kind in ["export", "delete"] {
        let record = record(kind);
        let plan = empty(&record);
        let mut case = Case::new(record, Some(plan), &[]);
        let report = case.report();
        assert_eq!(report.status, Status::Completed, "{:?}", report.exceptions);
        assert!(!report.failed);
        let text = report.nothing_found.clone().expect("nothing was found");
        for said in [
            "1 install ID, 1 user ID, 1 e-mail address",
            "206 blobs with 4321 records",
            "All of it could be read.",
            "by install ID",
        ] {
            assert!(text.contains(said), "{text}");
        }
        let markdown = to_markdown(&report);
        assert!(markdown.contains("**Completed: nothing was found in what was searched.**"));
        assert!(markdown.contains("| contoso/shop-android | 2026-10-20 to 2026-11-19 (31 with data) | crashes 6, logs 200 | 4321 |"), "{markdown}");
        cover(&mut case, |it| {
            it.gaps = vec![Gap {
                from: "2026-11-01".parse().expect("a day"),
                to: "2026-11-03".parse().expect("a day"),
                evidence: "whole days without data between days with data".to_owned(),
            }];
        });
        let report = case.report();
        assert_eq!(codes(&report), [Code::Gap]);
        assert_eq!(report.exceptions[0].count, 3);
        let text = report.nothing_found.expect("nothing was found");
        assert!(
            text.contains("Not covered: 1 gap in the archive."),
            "{text}"
        );
    }
}

#[test]
fn given_installs_without_data_are_blocked_and_nothing_is_found() {
    let mut case = erased();
    if let Some(plan) = &mut case.plan {
        plan.installs.truncate(1);
        plan.installs[0].rows = 0;
        plan.reports.clear();
        plan.rows.clear();
    }
    let report = case.report();
    assert_eq!(report.status, Status::Completed, "{:?}", report.exceptions);
    let text = report.nothing_found.expect("nothing was found");
    assert!(text.contains("were blocked all the same"), "{text}");
}

#[test]
fn a_rejected_plan_stays_rejected() {
    let mut case = erased();
    case.record.status = Status::Rejected;
    case.outcomes.clear();
    let report = case.report();
    assert_eq!(report.status, Status::Rejected);
    assert!(!report.failed && report.needs_identifiers());
    assert!(report.residual_copies.is_empty());
    assert_eq!(
        report.reports[0].outcome.undone(),
        Some("the plan was rejected")
    );
}

#[test]
fn many_gaps_are_one_exception() {
    let mut case = erased();
    cover(&mut case, |it| {
        it.gaps = (1..=28)
            .step_by(7)
            .map(|day| Gap {
                from: jiff::civil::date(2026, 10, day),
                to: jiff::civil::date(2026, 10, day + 1),
                evidence: "whole days without data between days with data".to_owned(),
            })
            .collect();
    });
    let report = case.report();
    let gap = report.exceptions.iter().find(|it| it.code == Code::Gap);
    let gap = gap.expect("there are gaps");
    assert_eq!(gap.count, 8);
    assert!(
        gap.text
            .starts_with("8 days in 4 gaps between 2026-10-01 and 2026-10-23 are missing"),
        "{}",
        gap.text
    );
}

#[test]
fn the_record_gets_a_bounded_number_of_lines() {
    let mut case = erased();
    case.setup = (0..500)
        .map(|n| SetupException {
            app: Some(app()),
            text: format!("fault {n}"),
        })
        .collect();
    let lines = case.report().exception_lines();
    assert_eq!(lines.len(), crate::report::MAX_LINES + 1);
    assert_eq!(
        lines.last().map(String::as_str),
        Some("and 404 more: see the report")
    );
}
