//! What the workbook must say of App Center, of its budget, and of the archive.

use std::collections::BTreeMap;

use appcenter_sim::Call;
use jiff::Timestamp;
use serde_json::json;

use super::super::kql::Row;
use super::says::{Numbers, attribute, big, count, expected, in_order, number, numbers, text};
use super::{BYTES, HELD, Run, UNREADABLE};

/// The most that counted in each five minutes, of what instances told.
pub(super) fn api_budget(rows: &[Row], run: &Run) {
    in_order(rows, "TimeGenerated", false);
    let mut most = BTreeMap::new();
    let used = run.rows("AppMetrics");
    for row in used.filter(|row| row["Name"] == "dsr.api.budget.used") {
        let at: Timestamp = text(row, "TimeGenerated").parse().expect("a time");
        let used = number(row, "Sum");
        let bin = most.entry(at.as_second() / 300 * 300).or_insert(used);
        *bin = used.max(*bin);
    }
    let all: Vec<(i64, f64)> = most.into_iter().collect();
    let found = rows.iter().map(|row| {
        let at: Timestamp = text(row, "TimeGenerated").parse().expect("a time");
        (at.as_second(), number(row, "Used"))
    });
    assert_eq!(found.collect::<Vec<_>>(), all);
    // Some are taken ahead of demand.
    let calls = count(run.calls.len());
    let is_near = |used: f64| (1.0..2.0 * calls).contains(&used);
    assert!(all.iter().all(|(_, used)| is_near(*used)), "{rows:#?}");
    assert!(
        rows.iter().all(|row| row["Limit"] == 60_000),
        "the setting: {rows:#?}"
    );
}

pub(super) fn api_throttled(rows: &[Row]) {
    let found = numbers(rows, &["Reason"], "Seconds");
    let seconds = found.get(&vec!["rate_limit".to_owned()]).copied();
    let held = f64::from(HELD);
    let is_right = seconds.is_some_and(|it| (held - 10.0..=held).contains(&it));
    assert!(is_right && found.len() == 1, "{found:?}");
}

/// What the telemetry calls the answer that the simulator gave.
fn outcome(call: &Call) -> &'static str {
    match call.status {
        200..300 => "ok",
        401 => "unauthorized",
        404 => "not_found",
        429 => "rate_limited",
        500..600 => "transient",
        other => panic!("{other}: no fault of this run: {call:?}"),
    }
}

pub(super) fn api_calls(rows: &[Row], run: &Run) {
    in_order(rows, "Calls", true);
    let mut all = Numbers::new();
    for call in &run.calls {
        let key = vec![call.operation_id.to_lowercase(), outcome(call).to_owned()];
        *all.entry(key).or_default() += 1.0;
    }
    let lower = |row: &Row| {
        let mut row = row.clone();
        row["Operation"] = json!(text(&row, "Operation").to_lowercase());
        row
    };
    let lower: Vec<Row> = rows.iter().map(lower).collect();
    assert_eq!(numbers(&lower, &["Operation", "Outcome"], "Calls"), all);
    for row in rows {
        let (mean, longest) = (number(row, "MeanSeconds"), number(row, "LongestSeconds"));
        assert!(mean >= 0.0 && mean <= longest + 0.06, "{row:?}");
    }
}

/// What the spans say as well, and what was added to the run by hand.
pub(super) fn search(rows: &[Row], run: &Run) {
    in_order(rows, "Day", false);
    let sum = |key: &str| -> f64 {
        let values = run.rows("AppRequests").map(|span| attribute(span, key));
        values.filter_map(|it| it.parse::<f64>().ok()).sum()
    };
    let found = |column: &str| rows.iter().map(|row| number(row, column)).sum::<f64>();
    let (records, matches) = (sum("dsr.search.records"), sum("dsr.search.matches"));
    assert!(0.0 < matches && matches < records, "{matches} of {records}");
    assert_eq!(found("Records").to_bits(), records.to_bits(), "{rows:?}");
    assert_eq!(found("Matched").to_bits(), matches.to_bits(), "{rows:?}");
    assert_eq!(
        found("UnreadableBlobs").to_bits(),
        big(UNREADABLE).to_bits(),
        "{rows:?}"
    );
    let gib = (big(BYTES) + sum("dsr.search.bytes")) / 1_073_741_824.0;
    assert!((found("GiB") - gib).abs() < 0.001, "{gib}: {rows:?}");
}

/// The plans say the same.
pub(super) fn coverage_gaps(rows: &[Row], run: &Run) {
    let mut all = Numbers::new();
    for plan in &run.plans {
        for (app, coverage) in plan["coverage"].as_object().into_iter().flatten() {
            for gap in coverage["gaps"].as_array().into_iter().flatten() {
                let of = |key: &str| gap[key].as_str().unwrap_or_default().to_owned();
                let key = vec![app.clone(), of("from"), of("to"), of("evidence")];
                *all.entry(key).or_default() += 1.0;
            }
        }
    }
    let key = ["App", "From", "To", "Evidence"];
    assert_eq!(numbers(rows, &key, "Requests"), all);
}

/// Each request that asked found it so, and was not allowed to change it.
pub(super) fn exports(rows: &[Row]) {
    let all = expected(&[(["contoso/shop", "left"], 3.0)]);
    assert_eq!(numbers(rows, &["App", "Action"], "Times"), all);
}
