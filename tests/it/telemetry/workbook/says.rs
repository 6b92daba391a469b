//! What each query of the workbook must say of the run. A query without a line in [`check`] fails the test.

use std::collections::{BTreeMap, BTreeSet};

use appcenter_dsr::workflow::Step;
use serde_json::{Map, Value, json};

use super::super::kql::Row;
use super::{Run, app_center};

/// Numbers by the texts of some columns.
pub(super) type Numbers = BTreeMap<Vec<String>, f64>;

/// Holds that a query's rows are right.
pub(super) fn check(name: &str, rows: &[Row], run: &Run) {
    match name {
        "api-budget" => app_center::api_budget(rows, run),
        "api-calls" => app_center::api_calls(rows, run),
        "api-throttled" => app_center::api_throttled(rows),
        "coverage-gaps" => app_center::coverage_gaps(rows, run),
        "deadline-heat" => deadline_heat(rows),
        "exports" => app_center::exports(rows),
        "failures" => failures(rows),
        "items" => items(rows, run),
        "least-days-left" => least_days_left(rows, run),
        "poison" => poison(rows),
        "report-exceptions" => report_exceptions(rows, run),
        "requests-flow" => requests_flow(rows, run),
        "requests-open" => requests_open(rows),
        "search" => app_center::search(rows, run),
        "slices" => slices(rows, run),
        "stages" => stages(rows, run),
        other => panic!("{other}: say here what this query of the workbook must give"),
    }
}

pub(super) fn text<'a>(row: &'a Map<String, Value>, key: &str) -> &'a str {
    row.get(key).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn number(row: &Row, column: &str) -> f64 {
    let value = &row[column];
    value
        .as_f64()
        .unwrap_or_else(|| panic!("{column}: {value}"))
}

/// Numbers of one column, by the texts of others; rows of the same texts are added.
pub(super) fn numbers(rows: &[Row], by: &[&str], of: &str) -> Numbers {
    let mut numbers = Numbers::new();
    for row in rows {
        let key = by.iter().map(|column| text(row, column).to_owned());
        *numbers.entry(key.collect()).or_default() += number(row, of);
    }
    numbers
}

pub(super) fn expected<const N: usize>(given: &[([&str; N], f64)]) -> Numbers {
    let given = given.iter();
    given
        .map(|(key, value)| (key.map(str::to_owned).to_vec(), *value))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "numbers of a test are small")]
pub(super) fn big(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "numbers of a test are small")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}

pub(super) fn in_order(rows: &[Row], column: &str, is_falling: bool) {
    for pair in rows.windows(2) {
        let (one, two) = (&pair[0][column], &pair[1][column]);
        let is_right = match (one.as_f64(), two.as_f64()) {
            (Some(one), Some(two)) => {
                if is_falling {
                    one >= two
                } else {
                    one <= two
                }
            }
            _ => {
                let (one, two) = (one.as_str(), two.as_str());
                if is_falling { one >= two } else { one <= two }
            }
        };
        assert!(is_right, "{column}: {rows:#?}");
    }
}

/// An attribute of a recorded row.
pub(super) fn attribute<'a>(row: &'a Map<String, Value>, key: &str) -> &'a str {
    row["Properties"][key].as_str().unwrap_or_default()
}

fn requests_open(rows: &[Row]) {
    let key = ["Status", "Jurisdiction"];
    let waits = (["awaiting_approval", "eu"], 1.0);
    let stands = (["running", "us-ca"], 1.0);
    assert_eq!(numbers(rows, &key, "Requests"), expected(&[waits, stands]));
    let (waits, stands) = ((waits.0, 3.0), (stands.0, 40.0));
    assert_eq!(
        numbers(rows, &key, "OldestDays"),
        expected(&[waits, stands])
    );
    in_order(rows, "Status", false);
}

/// One of California has 5 of 45 days left; one of the EU a month without 3 days.
fn deadline_heat(rows: &[Row]) {
    let row = |bucket: &str, eu: u64, california: u64| {
        let row = json!({ "DaysLeft": bucket, "EU": eu, "UK": 0, "California": california });
        row.as_object().cloned().unwrap_or_default()
    };
    let all = [
        row("overdue", 0, 0),
        row("0-3", 0, 0),
        row("4-7", 0, 1),
        row("8-14", 0, 0),
        row("15-30", 1, 0),
        row("over-30", 0, 0),
    ];
    assert_eq!(rows, all);
}

fn least_days_left(rows: &[Row], run: &Run) {
    in_order(rows, "TimeGenerated", false);
    let last: Numbers = rows
        .iter()
        .map(|row| {
            (
                vec![text(row, "Jurisdiction").to_owned()],
                number(row, "DaysLeft"),
            )
        })
        .collect();
    let month = |received: jiff::civil::Date| {
        let due = received.saturating_add(jiff::Span::new().months(1));
        f64::from((due - run.today).get_days())
    };
    let three_days_ago = run.today.saturating_sub(jiff::Span::new().days(3));
    // The one of the UK was open when it was swept, and has failed since.
    let all = [
        (["eu"], month(three_days_ago)),
        (["uk"], month(run.today)),
        (["us-ca"], 5.0),
    ];
    assert_eq!(last, expected(&all));
}

fn requests_flow(rows: &[Row], run: &Run) {
    in_order(rows, "Day", false);
    let mut all = expected(&[(["received"], count(run.records.len()))]);
    for record in run.records.iter().filter(|it| it.status.is_ended()) {
        *all.entry(vec![record.status.name().to_owned()])
            .or_default() += 1.0;
    }
    assert_eq!(all[&vec!["failed".to_owned()]].to_bits(), 1.0_f64.to_bits());
    assert_eq!(numbers(rows, &["Status"], "Requests"), all);
}

fn stages(rows: &[Row], run: &Run) {
    in_order(rows, "Invocations", true);
    let mut invoked = run.invoked.clone();
    invoked.remove("sweep");
    let listed: BTreeSet<&str> = rows.iter().map(|row| text(row, "Function")).collect();
    let all: BTreeSet<&str> = invoked.keys().map(String::as_str).collect();
    assert_eq!((listed, rows.len()), (all, invoked.len()));
    for row in rows {
        let function = text(row, "Function");
        let spans: Vec<_> = run
            .rows("AppRequests")
            .filter(|span| attribute(span, "faas.name") == function)
            .collect();
        assert_eq!(
            spans.len() as u64,
            invoked[function],
            "{function}: its spans"
        );
        let invocations = number(row, "Invocations");
        assert!((invocations - count(spans.len())).abs() < 0.5, "{row:?}");
        for (column, outcome) in [
            ("Waiting", "waiting"),
            ("Retried", "retried"),
            ("GivenUp", "given_up"),
            ("Failed", "failed"),
        ] {
            let of_outcome = spans
                .iter()
                .filter(|it| attribute(it, "dsr.outcome") == outcome);
            let found = number(row, column);
            assert!(
                (found - count(of_outcome.count())).abs() < 0.5,
                "{column}: {row:?}"
            );
        }
        // The metric is measured a moment before the span ends.
        let seconds = spans.iter().filter_map(|it| it["DurationMs"].as_f64());
        let seconds: Vec<f64> = seconds.map(|it| it / 1000.0).collect();
        let mean = seconds.iter().sum::<f64>() / count(seconds.len());
        assert!(
            (number(row, "MeanSeconds") - mean).abs() < 0.05,
            "{mean}: {row:?}"
        );
        let longest = seconds.iter().copied().fold(0.0, f64::max);
        assert!(
            (number(row, "LongestSeconds") - longest).abs() < 0.15,
            "{longest}: {row:?}"
        );
    }
    let of = |function: &str, column: &str| {
        let row = rows.iter().find(|row| text(row, "Function") == function);
        number(row.expect("it was invoked"), column).round()
    };
    let found = [
        of("export-configure", "Waiting"),
        of("export-configure", "Retried"),
        of("block", "Retried"),
        of("block", "GivenUp"),
        of("block", "Failed"),
    ];
    assert_eq!(found.map(|it| it.to_string()), ["1", "1", "1", "1", "2"]);
}

fn slices(rows: &[Row], run: &Run) {
    in_order(rows, "TimeGenerated", false);
    let mut all = Numbers::new();
    // An invocation that ends a slice tells its items.
    for span in run.rows("AppRequests") {
        if !attribute(span, "dsr.items.done").is_empty() {
            let step = attribute(span, "dsr.step").to_owned();
            *all.entry(vec![step]).or_default() += 1.0;
        }
    }
    // Of a search, a slice is a day, and an item, too.
    for (step, state) in run.records.iter().flat_map(|record| &record.steps) {
        if step.is_search() && state.done + state.failed > 0 {
            *all.entry(vec![step.name().to_owned()]).or_default() += big(state.done + state.failed);
        }
    }
    assert_eq!(numbers(rows, &["Step"], "Slices"), all);
    let found = all[&vec!["find".to_owned()]];
    let days = |plan: &Value| plan["coverage"]["contoso/shop"]["days"].as_f64();
    let days: f64 = run.plans.iter().filter_map(days).sum();
    assert_eq!(
        found.to_bits(),
        days.to_bits(),
        "days that the plans say were searched"
    );
}

/// What is stored of the steps that ended. Four end by what they decided, and a person's has no items.
fn items(rows: &[Row], run: &Run) {
    in_order(rows, "Step", false);
    let others = [
        Step::Resolve,
        Step::Relate,
        Step::Plan,
        Step::Approval,
        Step::Aggregate,
    ];
    let (mut done, mut failed) = (Numbers::new(), Numbers::new());
    for (step, state) in run.records.iter().flat_map(|record| &record.steps) {
        if state.ended_at.is_none() || others.contains(step) {
            continue;
        }
        let key = vec![step.name().to_owned()];
        *done.entry(key.clone()).or_default() += big(state.done);
        *failed.entry(key).or_default() += big(state.failed);
    }
    let deleted = done[&vec!["delete".to_owned()]];
    assert_eq!(deleted.to_bits(), 3.0_f64.to_bits(), "her reports");
    let blocked = failed[&vec!["block".to_owned()]];
    assert_eq!(blocked.to_bits(), 1.0_f64.to_bits(), "her install");
    assert_eq!(numbers(rows, &["Step"], "Done"), done);
    assert_eq!(numbers(rows, &["Step"], "Failed"), failed);
}

fn poison(rows: &[Row]) {
    in_order(rows, "Last", true);
    let all = [
        (["block-poison", "dropped"], 1.0),
        (["delete-poison", "refused"], 1.0),
        (["export-configure-poison", "given_up"], 1.0),
        (["export-configure-poison", "resent"], 3.0),
    ];
    assert_eq!(
        numbers(rows, &["Queue", "Action"], "Messages"),
        expected(&all)
    );
}

fn failures(rows: &[Row]) {
    in_order(rows, "Last", true);
    let all = [
        (["dsr.invocation.failed", "block", ""], 2.0),
        (["dsr.message.refused", "delete", ""], 1.0),
        (["dsr.request.failed", "export-configure", "configure"], 1.0),
        (["dsr.request.stalled", "", "configure"], 1.0),
        (["dsr.slice.given_up", "block", "block"], 1.0),
        (["dsr.slice.retried", "block", "block"], 1.0),
        (["dsr.slice.retried", "export-configure", "configure"], 1.0),
    ];
    let key = ["Event", "Function", "Step"];
    assert_eq!(numbers(rows, &key, "Times"), expected(&all));
    for row in rows {
        let (event, reason, todo) = (text(row, "Event"), text(row, "Reason"), text(row, "Todo"));
        let (why, what) = match (event, text(row, "Function")) {
            ("dsr.invocation.failed", _) => ("a queue message", "Look at the work storage"),
            ("dsr.message.refused", _) => ("not one of our messages", "Mend the document"),
            ("dsr.request.failed", _) => {
                ("failed again and again", "Read the request's exceptions")
            }
            ("dsr.request.stalled", _) => ("", "Nothing at the first time"),
            ("dsr.slice.given_up", _) => ("500", "Mend the cause, then retry"),
            (_, "export-configure") => ("APPCENTER_API_TOKEN", "Mend the token"),
            _ => ("500", "Nothing yet"),
        };
        assert!(reason.contains(why) && todo.starts_with(what), "{row:?}");
    }
}

/// The reports say the same.
fn report_exceptions(rows: &[Row], run: &Run) {
    in_order(rows, "Last", true);
    let (mut requests, mut items) = (Numbers::new(), Numbers::new());
    for report in &run.reports {
        let mut codes = BTreeSet::new();
        for exception in report["exceptions"].as_array().into_iter().flatten() {
            let of = |key: &str| exception[key].as_str().unwrap_or_default().to_owned();
            let key = vec![of("code"), of("what_to_do")];
            *items.entry(key.clone()).or_default() +=
                exception["count"].as_f64().unwrap_or(f64::NAN);
            codes.insert(key);
        }
        for key in codes {
            *requests.entry(key).or_default() += 1.0;
        }
    }
    let residual = requests.keys().any(|key| key[0] == "residual_copies");
    assert!(residual, "the archive still has copies: {requests:#?}");
    assert_eq!(numbers(rows, &["Code", "Todo"], "Requests"), requests);
    assert_eq!(numbers(rows, &["Code", "Todo"], "Items"), items);
}
