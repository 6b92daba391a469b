//! Telemetry as a receiver gets it: the trace of an erasure (of the run that `canaries` makes), what the page promises,
//! each alert, each tile of the workbook and each gauge over what was recorded.

mod alerts;
mod gauges;
mod kql;
mod observed;
mod workbook;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use telemetry_sink::{Kind, Received, Span};

use crate::tidy::{quoted, read, table};

const SMALL: &str = include_str!("../../scenarios/small.toml");

/// What every erasure does, in the order in which it first does it.
const CHAIN: [&str; 10] = [
    "intake",
    "export-configure",
    "inventory",
    "collect",
    "blob-search",
    "install-id-resolve",
    "decide",
    "block",
    "delete",
    "aggregate",
];

/// What the erasure asks of App Center, stage by stage. The answer to one deletion is cut off in this run, so it asks whether
/// the report is gone.
const OPERATIONS: [&str; 9] = [
    "apps_get",
    "errors_getRetentionSettings",
    "ExportConfigurations_List",
    "Errors_GroupList",
    "Errors_ListForGroup",
    "crashGroups_list",
    "Devices_BlockLogs",
    "Errors_DeleteError",
    "Errors_GetErrorDetails",
];

/// Whether everything of an erasure, and of a sweep after it, has arrived in both places.
pub(crate) fn is_whole(received: &Received, id: &str) -> bool {
    let is_reported = |span: &Span| span.name == "aggregate" && span.text("dsr.request.id") == id;
    let has_point = |metric: &str| received.points.iter().any(|it| it.metric == metric);
    let has_row = |table: &str, name: &str| {
        let mut rows = received.rows.iter();
        rows.any(|(of, row)| *of == table && row["Name"] == name)
    };
    let ended = received.points.iter().find(|it| {
        it.metric == "dsr.request.ended" && it.attributes["dsr.request.kind"] == "delete"
    });
    received.spans.iter().any(is_reported)
        && ended.is_some()
        && has_point("dsr.sweep.duration")
        && has_row("AppMetrics", "dsr.sweep.duration")
        && received.rows.iter().any(|(table, row)| {
            *table == "AppRequests"
                && row["Name"] == "aggregate"
                && row["Properties"]["dsr.request.id"] == id
        })
}

/// Holds that the trace of an erasure is whole: one trace from intake to report, each span with its parent.
pub(crate) fn check_erasure(received: &Received, id: &str) {
    let mine: BTreeSet<&str> = received
        .spans
        .iter()
        .filter(|span| span.text("dsr.request.id") == id)
        // To look at a request is no part of its life.
        .filter(|span| span.name != "requests")
        .map(|span| span.trace.as_str())
        .collect();
    assert_eq!(mine.len(), 1, "one trace: {mine:?}");
    let trace = mine.first().copied().unwrap_or_default();
    let mut spans: Vec<&Span> = received
        .spans
        .iter()
        .filter(|it| it.trace == trace)
        .collect();
    spans.sort_by_key(|span| (span.start, span.end));
    let by_id: BTreeMap<&str, &Span> = spans.iter().map(|it| (it.id.as_str(), *it)).collect();
    assert_eq!(by_id.len(), spans.len(), "an ID twice");
    let mut roots = Vec::new();
    for span in &spans {
        let what = format!("{} ({:?})", span.name, span.attributes);
        assert!(span.start <= span.end, "{what}");
        assert_eq!(span.resource["service.name"], "appcenter-dsr", "{what}");
        let Some(parent) = by_id.get(span.parent.as_str()) else {
            roots.push(*span);
            continue;
        };
        assert!(parent.start <= span.start, "{what} began before its parent");
        assert_ne!(parent.kind, Kind::Client, "{what}: a call has no children");
        if span.kind == Kind::Client {
            assert!(span.end <= parent.end, "{what} outlived its invocation");
        }
    }
    let [root] = roots[..] else {
        panic!("not one root: {roots:#?}");
    };
    assert_eq!((root.name.as_str(), root.kind), ("intake", Kind::Server));
    let mut met: Vec<&str> = Vec::new();
    for span in spans.iter().filter(|span| span.kind != Kind::Client) {
        if !met.contains(&span.name.as_str()) {
            met.push(&span.name);
        }
    }
    assert_eq!(met, CHAIN);
    let calls: BTreeSet<&str> = spans
        .iter()
        .filter(|span| span.kind == Kind::Client)
        .map(|span| span.text("dsr.api.operation"))
        .collect();
    assert_eq!(calls, BTreeSet::from(OPERATIONS), "asked of App Center");
    // The same trace stands in Application Insights' tables.
    let mut functions: BTreeSet<&str> = BTreeSet::new();
    for (table, row) in &received.rows {
        if *table == "AppRequests" && row["OperationId"] == trace {
            functions.insert(row["Properties"]["faas.name"].as_str().unwrap_or_default());
            assert_eq!(row["AppRoleName"], "appcenter-dsr");
        }
    }
    assert_eq!(functions, BTreeSet::from(CHAIN));
}

/// Names and attributes of a table of the page.
fn promised(heading: &str, names: usize) -> BTreeMap<String, BTreeSet<String>> {
    let mut promised = BTreeMap::new();
    for row in table(&read("docs/TELEMETRY.md"), heading) {
        for name in quoted(&row[0]) {
            let all: BTreeSet<String> = row[1..names].iter().flat_map(|it| quoted(it)).collect();
            promised.insert(name, all);
        }
    }
    promised
}

/// Holds that nothing was received that the page does not promise: names, units, attributes.
pub(crate) fn check_names(received: &Received) {
    let known: BTreeSet<String> = promised("## Attributes", 1).into_keys().collect();
    let of_http = [
        "faas.trigger",
        "error.type",
        "http.request.method",
        "http.request.resend_count",
        "http.response.status_code",
        "http.route",
        "messaging.system",
        "messaging.operation.type",
        "server.address",
    ];
    let is_known = |key: &str| known.contains(key) || of_http.contains(&key);
    for span in &received.spans {
        for key in span.attributes.keys() {
            assert!(is_known(key), "{}: {key}", span.name);
        }
    }
    let metrics = promised("## Metrics", 3);
    for point in &received.points {
        let promised = metrics.get(&point.metric);
        let promised = promised.unwrap_or_else(|| panic!("{} is not promised", point.metric));
        for key in point.attributes.keys().chain([&point.unit]) {
            assert!(promised.contains(key), "{}: {key}", point.metric);
        }
        assert!(point.kind == "gauge" || point.is_delta, "{}", point.metric);
    }
    let events = promised("## Events", 3);
    for log in &received.logs {
        let name = log.attributes["event.name"].as_str().unwrap_or_default();
        let promised = events.get(name);
        let promised = promised.unwrap_or_else(|| panic!("{name:?} is not promised"));
        for key in log.attributes.keys().filter(|key| *key != "event.name") {
            assert!(promised.contains(key), "{name}: {key}");
        }
        assert!(log.severity >= 13 && log.body.is_string(), "{log:?}");
        assert!(!log.trace.is_empty() && !log.span.is_empty(), "{log:?}");
    }
}

/// Holds that what an undisturbed erasure counts is right.
pub(crate) fn check_metrics(received: &Received) {
    let sum = |metric: &str, attributes: &[(&str, &str)]| -> f64 {
        let points = received.points.iter().filter(|it| it.metric == metric);
        let points = points.filter(|it| {
            let mut wanted = attributes.iter();
            wanted.all(|(key, value)| it.attributes.get(*key) == Some(&json!(value)))
        });
        points.map(|it| it.value).sum()
    };
    for (metric, attributes, expected) in [
        (
            "dsr.request.received",
            &[
                ("dsr.request.kind", "delete"),
                ("dsr.request.source", "http"),
            ][..],
            1.0,
        ),
        (
            "dsr.request.received",
            &[
                ("dsr.request.kind", "export"),
                ("dsr.request.source", "queue"),
            ],
            1.0,
        ),
        ("dsr.request.ended", &[("dsr.request.kind", "delete")], 1.0),
        ("dsr.request.ended", &[("dsr.request.kind", "export")], 1.0),
        ("dsr.poison.messages", &[], 0.0),
        ("dsr.search.unreadable", &[], 0.0),
    ] {
        let found = sum(metric, attributes);
        assert!(
            (found - expected).abs() < 0.5,
            "{metric} {attributes:?}: {found}"
        );
    }
    for metric in [
        "dsr.request.duration",
        "dsr.slice.ended",
        "dsr.items",
        "dsr.search.bytes",
        "dsr.search.records",
        "dsr.search.matches",
        "dsr.stage.duration",
        "dsr.sweep.duration",
        "http.client.request.duration",
        "dsr.api.budget.used",
        "dsr.api.budget.limit",
    ] {
        assert!(sum(metric, &[]) > 0.0, "{metric}");
    }
    // Nothing is open: zeros, for every pair.
    let open = received
        .points
        .iter()
        .filter(|it| it.metric == "dsr.request.open");
    let open: Vec<f64> = open.map(|it| it.value).collect();
    assert!(open.len() >= 9 && open.len().is_multiple_of(9), "{open:?}");
}
