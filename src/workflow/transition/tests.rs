use serde_json::json;

use super::*;
use crate::domain::Document;
use crate::domain::plan::Counts;

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().expect("a time")
}

fn record(kind: &str) -> Record {
    let document = json!({
        "kind": kind, "reference": "R-1",
        "apps": [{ "owner": "contoso", "name": "shop" }],
        "subject": { "user_ids": ["u-20417"] }
    });
    let document = Document::parse(document.to_string().as_bytes(), now()).expect("valid");
    Record::new(document, "f".to_owned(), now())
}

fn joined(step: Step) -> Event {
    Event::Joined {
        step,
        done: 1,
        failed: 0,
    }
}

fn planned(has_items: bool) -> Event {
    Event::Planned {
        plan: PlanRef {
            sha256: "00".to_owned(),
            run: 1,
            at: now(),
            counts: Counts::default(),
            large: None,
        },
        has_items,
    }
}

fn approved() -> Event {
    Event::Approved(Approval {
        approver: "dpo".to_owned(),
        at: now(),
        plan_sha256: "00".to_owned(),
        also: Vec::new(),
    })
}

fn concluded(exceptions: &[&str], failed: bool) -> Event {
    Event::Concluded {
        exceptions: exceptions.iter().map(|text| (*text).to_owned()).collect(),
        failed,
        forget: true,
        package: None,
        report_sha256: "00".to_owned(),
    }
}

fn walk(kind: &str, events: Vec<Event>) -> (Record, Vec<Option<Step>>) {
    let mut record = record(kind);
    let mut steps = Vec::new();
    for event in events {
        let messages = next(&mut record, event, now()).expect("it is legal");
        assert_eq!(messages, wake(&record));
        steps.push(record.step);
    }
    (record, steps)
}

#[test]
fn an_erasure_of_unknown_installs() {
    let (record, steps) = walk(
        "delete",
        vec![
            Event::Accepted,
            joined(Step::Configure),
            joined(Step::Inventory),
            joined(Step::Gather),
            joined(Step::Find),
            Event::LinksToFind,
            joined(Step::Link),
            Event::MoreToFind,
            joined(Step::Widen),
            planned(true),
            approved(),
            joined(Step::Block),
            joined(Step::Delete),
            joined(Step::Relist),
            joined(Step::Regather),
            joined(Step::Recheck),
            joined(Step::Settle),
            concluded(&["residual_copies"], false),
        ],
    );
    let expected = [
        Step::Configure,
        Step::Inventory,
        Step::Gather,
        Step::Find,
        Step::Resolve,
        Step::Link,
        Step::Relate,
        Step::Widen,
        Step::Plan,
        Step::Approval,
        Step::Block,
        Step::Delete,
        Step::Relist,
        Step::Regather,
        Step::Recheck,
        Step::Settle,
        Step::Aggregate,
    ];
    let steps: Vec<Step> = steps.into_iter().flatten().collect();
    assert_eq!(steps, expected);
    assert_eq!(record.status, Status::CompletedWithExceptions);
    assert_eq!(record.subject, None);
    assert_eq!(record.ended_at, Some(now()));
}

#[test]
fn an_export_needs_no_approval_and_acts_on_nothing() {
    let (record, steps) = walk(
        "export",
        vec![
            Event::Accepted,
            joined(Step::Configure),
            joined(Step::Inventory),
            joined(Step::Gather),
            joined(Step::Find),
            planned(true),
            joined(Step::Collect),
            concluded(&[], false),
        ],
    );
    assert!(!steps.contains(&Some(Step::Block)) && !steps.contains(&Some(Step::Delete)));
    assert_eq!(record.status, Status::Completed);
}

#[test]
fn tests_are_asked_for_only_where_they_are_named() {
    for (include, step) in [
        (vec![Include::Test], Step::Tests),
        (vec![Include::Diagnostics, Include::Analytics], Step::Find),
    ] {
        let mut record = record("export");
        record.include = include;
        for event in [
            Event::Accepted,
            joined(Step::Configure),
            joined(Step::Inventory),
            joined(Step::Gather),
        ] {
            next(&mut record, event, now()).expect("it is legal");
        }
        assert_eq!(record.step, Some(step));
        if step == Step::Tests {
            next(&mut record, joined(Step::Tests), now()).expect("it is legal");
            assert_eq!(record.step, Some(Step::Find));
        }
    }
}

#[test]
fn nothing_found_goes_straight_to_the_report() {
    for kind in ["export", "delete"] {
        let (record, steps) = walk(
            kind,
            vec![
                Event::Accepted,
                joined(Step::Configure),
                joined(Step::Inventory),
                joined(Step::Gather),
                joined(Step::Find),
                planned(false),
            ],
        );
        assert_eq!(steps.last(), Some(&Some(Step::Aggregate)));
        assert_eq!(record.status, Status::Running);
    }
}

#[test]
fn blocking_and_deleting_need_an_approval() {
    // Every pair of step and event: only an approval leads to `block`, only a finished `block` to `delete`.
    let events = |step: Step| {
        vec![
            Event::Accepted,
            joined(step),
            Event::LinksToFind,
            Event::MoreToFind,
            planned(true),
            planned(false),
            approved(),
            Event::Rejected,
            Event::Cancelled,
            Event::Retried,
            concluded(&[], false),
            concluded(&[], true),
        ]
    };
    let mut legal = 0;
    for kind in ["export", "delete"] {
        for at in Step::ALL {
            for joined_step in Step::ALL {
                for event in events(joined_step) {
                    let mut record = record(kind);
                    record.status = if at == Step::Approval {
                        Status::AwaitingApproval
                    } else {
                        Status::Running
                    };
                    record.step = Some(at);
                    let before = record.clone();
                    match next(&mut record, event.clone(), now()) {
                        Ok(_) => {
                            legal += 1;
                            if record.step == Some(Step::Block) {
                                assert!(
                                    at == Step::Approval && matches!(event, Event::Approved(_))
                                );
                            }
                            if record.step == Some(Step::Delete) {
                                assert_eq!(at, Step::Block);
                            }
                            if event == Event::Retried {
                                assert_eq!((record.run, record.step), (2, Some(Step::Configure)));
                                assert_eq!(record.approval, None);
                            }
                        }
                        Err(_) => assert_eq!(record, before, "an illegal event changes nothing"),
                    }
                }
            }
        }
    }
    assert!(legal > 100, "{legal}");
}

#[test]
fn what_has_ended_stays_ended_but_for_a_retry() {
    for status in [
        Status::Completed,
        Status::CompletedWithExceptions,
        Status::Failed,
        Status::Rejected,
        Status::Cancelled,
    ] {
        let mut ended = record("delete");
        ended.status = status;
        for event in [
            Event::Accepted,
            joined(Step::Delete),
            approved(),
            Event::Cancelled,
            Event::Rejected,
        ] {
            let error = next(&mut ended, event, now()).expect_err("it has ended");
            assert_eq!(error.status, status.name());
        }
        assert!(next(&mut ended, Event::Retried, now()).is_ok());
    }
}
