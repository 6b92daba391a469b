//! JSON, Markdown, and the archive form.

use proptest::prelude::*;

use super::{GUID, MINE, SHARED, app, at, blob, cover, erased, error, exported};
use crate::domain::Kind;
use crate::domain::plan::{ReportItem, Unattributed, Unreadable};
use crate::package::LeftOut;
use crate::report::{
    ArrivedItem, FULL_DAYS, Form, ItemOutcome, MAX_LISTED, Outcome, Report, SetupException,
    to_markdown,
};

#[test]
fn no_identifier_that_is_not_needed_is_in_it() {
    let mut case = erased();
    case.setup = vec![SetupException {
        app: None,
        text: "no export for ana@example.com".to_owned(),
    }];
    let report = case.report();
    for text in [
        serde_json::to_string(&report).expect("JSON"),
        to_markdown(&report),
        format!("{:?}", report.exceptions),
    ] {
        for canary in ["canary-other-user", "u-20417", "ana@example.com"] {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
}

#[test]
fn the_archive_form_keeps_numbers_and_outcomes() {
    let mut case = erased();
    case.arrived.items = vec![ArrivedItem::report(app(), Some(error(9)), vec![blob(9)])];
    cover(&mut case, |it| {
        it.unreadable = (1..=3)
            .map(|n| Unreadable {
                blob: blob(n),
                reason: "it is truncated".to_owned(),
            })
            .collect();
    });
    let full = case.report();
    let archive = full.without_identifiers();
    assert_eq!(archive.form, Form::Archive);
    assert_eq!(archive.tallies, full.tallies);
    assert_eq!(archive.exceptions, full.exceptions);
    let ids = |report: &Report| -> Vec<(String, Outcome)> {
        let items = report.installs.iter().chain(&report.reports);
        items
            .map(|it| (it.id.clone(), it.outcome.clone()))
            .collect()
    };
    assert_eq!(ids(&archive), ids(&full));
    let records = |report: &Report| {
        report
            .residual_copies
            .iter()
            .map(|it| it.records)
            .sum::<u64>()
    };
    assert_eq!(records(&archive), records(&full));
    let json = serde_json::to_string(&archive).expect("JSON");
    for text in [&json, &to_markdown(&archive)] {
        for canary in [MINE, SHARED, GUID, "crashes/", "1234u"] {
            assert!(!text.contains(canary), "{canary} in {text}");
        }
    }
    let unreadable = &archive.searched["contoso/shop-android"].unreadable;
    assert_eq!(unreadable[0].blob, "3 blobs (names removed)");
    // Once more changes nothing.
    let again = serde_json::to_string(&archive.without_identifiers()).expect("JSON");
    assert_eq!(again, json);
    let back: Report = serde_json::from_str(&json).expect("its own JSON");
    assert_eq!(serde_json::to_string(&back).expect("JSON"), json);
    let now = full.concluded_at;
    assert!(!full.is_due_for_archive(now, FULL_DAYS));
    let later = now
        .checked_add(jiff::SignedDuration::from_hours(24 * 30))
        .expect("a time");
    assert!(full.is_due_for_archive(later, FULL_DAYS));
    assert!(!archive.is_due_for_archive(later, FULL_DAYS));
}

#[test]
fn the_json_reads_well() {
    let report = erased().report();
    let json = serde_json::to_value(&report).expect("JSON");
    assert_eq!(json["schema"], 1);
    assert_eq!(json["status"], "completed_with_exceptions");
    assert_eq!(json["due"], "2026-12-20");
    assert_eq!(json["installs"][0]["outcome"], "blocked");
    assert_eq!(json["installs"][0]["planned"], "act");
    assert_eq!(json["installs"][0]["install_id"], MINE);
    assert_eq!(json["reports"][2]["outcome"], "held");
    assert_eq!(json["exceptions"][0]["code"], "held");
    assert_eq!(json["approval"]["approver"], "Jo of Support");
    let back: Report = serde_json::from_value(json.clone()).expect("its own JSON");
    assert_eq!(serde_json::to_value(&back).expect("JSON"), json);
}

#[test]
fn the_markdown_reads_well() {
    let markdown = to_markdown(&erased().report());
    for line in [
        "# Report on erasure CRM-1042",
        "**Completed with exceptions: 4 below.**",
        "| Approved by | Jo of Support at 2026-11-20T12:00:00Z |",
        "| reports | deleted | 1 |",
        "| log rows | ages_out | 30 |",
        "| held |  | 2 items held: shared: the install shows two or more user IDs | 2 |",
        "30 log rows cannot be deleted by API. App Center keeps none of them after **2026-12-19** (28 days after this report).",
        "| contoso/shop-android | logs | (not known) | 30 |",
        "| Microsoft (Visual Studio App Center) | installs blocked: 1; reports deleted: 1; already gone: 1 |",
    ] {
        assert!(
            markdown.lines().any(|it| it.starts_with(line)),
            "{line}\n{markdown}"
        );
    }
}

#[test]
fn the_markdown_is_bounded() {
    let mut case = erased();
    if let Some(plan) = &mut case.plan {
        let one = plan.reports[0].clone();
        plan.reports = (0..20_000)
            .map(|n| ReportItem {
                collected: Vec::new(),
                legacy: None,
                id: format!("report-{n:05}"),
                ..one.clone()
            })
            .collect();
    }
    let markdown = to_markdown(&case.report());
    assert!(markdown.contains("… and 19800 more: see the JSON."));
    assert!(markdown.contains("report-00199") && !markdown.contains("report-00200"));
    assert!(markdown.len() < MAX_LISTED * 3_000, "{}", markdown.len());
}

proptest! {
    #[test]
    fn no_text_breaks_a_table(text in "(?s).{0,60}|[|\\\\`*<>\\[\\]\r\n a-z]{0,60}") {
        let mut case = erased();
        case.record.reference.clone_from(&text);
        if let Some(approval) = &mut case.record.approval {
            approval.approver.clone_from(&text);
        }
        if let Some(plan) = &mut case.plan {
            for item in &mut plan.reports {
                item.reason.clone_from(&text);
            }
            plan.unattributed.push(Unattributed {
                id: text.clone(),
                app: app(),
                blob: text.clone(),
                reason: text.clone(),
            });
        }
        cover(&mut case, |it| it.notes = vec![text.clone()]);
        case.unavailable = vec![LeftOut { what: text.clone(), reason: text.clone(), count: 1 }];
        let outcome = ItemOutcome {
            outcome: Outcome::Failed { reason: text.clone() },
            detail: Some(text.clone()),
        };
        case.outcomes.insert("report-1".to_owned(), outcome);
        let markdown = to_markdown(&case.report());
        let mut columns = None;
        for line in markdown.split('\n') {
            prop_assert!(!line.contains(char::is_control));
            prop_assert!(!line.contains('<') && !line.contains("](") && !line.contains('\\'));
            if line.starts_with('|') {
                let n = line.matches('|').count();
                prop_assert!(line.ends_with('|'));
                prop_assert_eq!(*columns.get_or_insert(n), n, "{}", line);
            } else {
                columns = None;
                prop_assert!(!line.contains('|'));
            }
        }
    }
}

#[test]
fn kinds_are_told_apart() {
    let mut case = erased();
    case.record.window = Some(crate::domain::Window {
        from: "2026-11-01".parse().expect("a day"),
        to: "2026-11-20".parse().expect("a day"),
    });
    let report = case.report();
    assert!(report.partial && report.kind == Kind::Delete);
    assert!(to_markdown(&report).starts_with("# Report on partial erasure CRM-1042\n"));
    assert!(
        report
            .notes
            .iter()
            .any(|note| note.contains("2026-11-01 to 2026-11-20"))
    );
    let mut case = exported();
    case.record.received_at = at("2026-09-01T00:00:00Z");
    let report = case.report();
    assert!(report.late && !report.partial);
    assert!(to_markdown(&report).contains("| Due | 2026-10-01 (late) |"));
}
