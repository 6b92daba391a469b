//! Each alert has a query, a row in docs/TELEMETRY.md and one in the runbook.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{quoted, read, table};
use super::queries::queries;

/// What a rule of `alerts.bicep` says under a name.
fn said(rule: &str, name: &str) -> String {
    let begin = format!("    {name}: ");
    let line = rule.lines().find_map(|line| line.strip_prefix(&begin));
    line.unwrap_or_else(|| panic!("no {name}"))
        .trim_matches('\'')
        .to_owned()
}

#[test]
fn alerts_are_explained() {
    let alerts = read("infra/modules/alerts.bicep");
    let mut rules = BTreeMap::new();
    for rule in alerts.split("\nmodule ").skip(1) {
        let name = said(rule, "name");
        let name = name.trim_start_matches("${name}-").to_owned();
        let query = format!("    query: loadTextContent('../queries/alerts/{name}.kql')");
        assert!(rule.contains(&query), "{name}: its query is {query}");
        rules.insert(name, (said(rule, "every"), said(rule, "window")));
    }
    let names: BTreeSet<String> = rules.keys().cloned().collect();
    let files: BTreeSet<String> = queries()
        .into_iter()
        .filter_map(|(name, _)| name.strip_prefix("alerts/").map(str::to_owned))
        .collect();
    assert_eq!(names, files, "infra/queries/alerts");
    let listed: BTreeSet<String> = table(&read("docs/RUNBOOK.md"), "## Alerts")
        .iter()
        .flat_map(|row| quoted(&row[0]))
        .collect();
    assert_eq!(names, listed, "docs/RUNBOOK.md, the table under Alerts");
    let rows = table(&read("docs/TELEMETRY.md"), "## Queries");
    assert_eq!(rows.len(), rules.len(), "docs/TELEMETRY.md, the alerts");
    for row in rows {
        let name = quoted(&row[0]).concat();
        let (every, window) = &rules[&name];
        let words = |time: &str| match time.trim_start_matches("PT") {
            hours if hours.ends_with('H') => format!("{} h", hours.trim_end_matches('H')),
            minutes => format!("{} min", minutes.trim_end_matches('M')),
        };
        let expected = format!("every {}, {} back", words(every), words(window));
        assert_eq!(row[2], expected, "docs/TELEMETRY.md: {name}");
    }
}
