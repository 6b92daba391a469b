//! What queries count on is what docs/TELEMETRY.md promises.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::{files, quoted, read, table};
use super::between;

/// The queries: folder and name without ending, and text.
pub(super) fn queries() -> Vec<(String, String)> {
    let queries: Vec<(String, String)> = files("infra/queries")
        .into_iter()
        .map(|file| {
            let name = file.path.trim_start_matches("infra/queries/");
            (name.trim_end_matches(".kql").to_owned(), file.text)
        })
        .collect();
    assert!(queries.len() > 10, "the queries were not found");
    queries
}

/// A table of docs/TELEMETRY.md: the names of a row's first cell, and the texts between backticks of all others.
fn telemetry(heading: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut named = BTreeMap::new();
    for row in table(&read("docs/TELEMETRY.md"), heading) {
        let others: BTreeSet<String> = row[1..].iter().flat_map(|cell| quoted(cell)).collect();
        for name in quoted(&row[0]) {
            let is_new = named.insert(name.clone(), others.clone()).is_none();
            assert!(is_new, "{name} twice in {heading}");
        }
    }
    named
}

#[test]
fn queries_count_on_what_telemetry_promises() {
    let attributes = telemetry("## Attributes");
    let sources = BTreeMap::from([
        ("AppMetrics", telemetry("## Metrics")),
        ("AppTraces", telemetry("## Events")),
    ]);
    let mut used: BTreeSet<String> = BTreeSet::new();
    for (path, text) in queries() {
        let code: String = text
            .lines()
            .filter(|line| !line.starts_with("//"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let source = code.lines().next().unwrap_or_default();
        // A table that need not be there yet is the first of a fuzzy union.
        let fuzzy = source.strip_prefix("union isfuzzy=true ");
        let table = fuzzy.map_or(source, |legs| legs.split(',').next().unwrap_or_default());
        let known = sources
            .get(table)
            .unwrap_or_else(|| panic!("{path}: {table} has no names in docs/TELEMETRY.md"));
        // The metrics or events that it looks at.
        let texts = between(&code, "\"", "\"");
        let sources: Vec<&str> = texts
            .iter()
            .copied()
            .filter(|it| known.contains_key(*it))
            .collect();
        assert!(
            !sources.is_empty(),
            "{path}: no metric or event of docs/TELEMETRY.md"
        );
        used.extend(sources.iter().map(|it| (*it).to_owned()));
        let promised: BTreeSet<&String> = sources.iter().flat_map(|it| &known[*it]).collect();
        for attribute in between(&code, "Properties[\"", "\"]") {
            let is_promised = promised.iter().any(|it| *it == attribute);
            assert!(
                attribute == "event.name" || is_promised,
                "{path}: {attribute} is no attribute of {sources:?}"
            );
            assert!(
                attributes.contains_key(attribute),
                "{path}: {attribute} is in no row of ## Attributes"
            );
        }
        // Values that a column is compared with are values of its attribute.
        for line in code
            .lines()
            .filter(|line| line.contains("tostring(Properties["))
        {
            let Some((name, rest)) = line
                .strip_prefix("| extend ")
                .and_then(|it| it.split_once(" = "))
            else {
                continue;
            };
            let attribute = rest.split('"').nth(1).unwrap_or_default();
            for value in between(&code, &format!("{name} == \""), "\"") {
                let values = &attributes[attribute];
                let is_source = attribute == "event.name" && known.contains_key(value);
                assert!(
                    is_source || values.contains(value),
                    "{path}: {attribute} is never {value}"
                );
            }
        }
        // Every name of ours is one of the page.
        for text in texts {
            let is_ours = ["dsr.", "http.", "faas.", "messaging."]
                .iter()
                .any(|it| text.starts_with(it));
            let is_known = known.contains_key(text) || attributes.contains_key(text);
            assert!(
                !is_ours || is_known,
                "{path}: {text} is not in docs/TELEMETRY.md"
            );
        }
    }
    // What nobody looks at is not worth its price; these are for people who look for themselves.
    for (table, named) in &sources {
        for name in named.keys() {
            let is_for_people = name == "dsr.request.duration";
            assert!(
                is_for_people || used.contains(name),
                "no query looks at {name} ({table})"
            );
        }
    }
}

#[test]
fn attributes_of_metrics_and_events_are_explained() {
    let attributes = telemetry("## Attributes");
    for heading in ["## Metrics", "## Events"] {
        for (name, others) in telemetry(heading) {
            for attribute in others
                .iter()
                .filter(|it| it.starts_with("dsr.") || it.starts_with("faas."))
            {
                assert!(
                    attributes.contains_key(attribute),
                    "{name}: {attribute} is in no row of ## Attributes"
                );
            }
        }
    }
}

#[test]
fn the_subset_is_the_one_that_is_enforced() {
    let subset: Value = serde_json::from_str(&read("dev/kql/subset.json")).expect("JSON");
    let page = read("docs/TELEMETRY.md");
    for key in ["functions", "aggregates"] {
        let expected: Vec<&str> = subset[key]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let line = page
            .lines()
            .find(|line| line.starts_with(&format!("- {key} ")))
            .unwrap_or_else(|| panic!("docs/TELEMETRY.md has no line on {key}"));
        assert_eq!(quoted(line), expected, "docs/TELEMETRY.md: {key}");
    }
}
