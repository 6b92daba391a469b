//! One name for each function, everywhere; bindings of the kind that its trigger needs.

use std::collections::BTreeSet;

use appcenter_dsr::config::{Config, env};
use appcenter_dsr::report::Code;
use appcenter_dsr::workflow::stage::Trigger;
use appcenter_dsr::workflow::{Function, Status, Step};
use serde_json::{Value, json};

use super::{entries, quoted, read, root, table};

/// What lies beside the stages and is not one, with the reason.
const HELPERS: [(&str, &str); 6] = [
    ("acting", "what block, delete and collect share"),
    ("gate", "the look at the record before irreversible calls"),
    (
        "planned",
        "how the stored plan is read by whoever acts on it",
    ),
    (
        "retirement",
        "when App Center counts as retired, by evidence",
    ),
    ("setup", "what export-configure leaves for later steps"),
    ("tries", "how often and how long what failed is tried again"),
];

fn names(folder: &str) -> BTreeSet<String> {
    let name = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.trim_end_matches(".rs").to_owned()
    };
    entries(&root().join(folder))
        .into_iter()
        .map(name)
        .collect()
}

fn bindings(function: Function) -> Vec<Value> {
    let path = format!("functions/{}/function.json", function.name());
    let file: Value =
        serde_json::from_str(&read(&path)).unwrap_or_else(|it| panic!("{path}: {it}"));
    let object = file.as_object().expect("an object");
    let keys: Vec<&String> = object.keys().collect();
    assert_eq!(keys, ["bindings"], "{path}");
    object["bindings"].as_array().expect("a list").clone()
}

#[test]
fn folders_are_functions() {
    let table: BTreeSet<String> = Function::ALL
        .iter()
        .map(|it| it.name().to_owned())
        .collect();
    assert_eq!(
        names("functions"),
        table,
        "functions/ and the table of functions"
    );
}

#[test]
fn stages_are_functions() {
    let mut expected: BTreeSet<String> = Function::ALL
        .iter()
        .map(|it| it.name().replace('-', "_"))
        .collect();
    expected.extend(HELPERS.map(|(name, _reason)| name.to_owned()));
    expected.insert("mod".to_owned());
    assert_eq!(
        names("src/stages"),
        expected,
        "src/stages and the table of functions"
    );
}

#[test]
fn bindings_fit_triggers() {
    for function in Function::ALL {
        let (name, bindings) = (function.name(), bindings(*function));
        match function.trigger() {
            Trigger::Queue => assert_eq!(
                bindings,
                [json!({
                    "name": "message", "type": "queueTrigger", "direction": "in",
                    "queueName": name, "connection": "AzureWebJobsStorage",
                })],
                "{name}: exactly one queue, of its own name, in the work storage"
            ),
            Trigger::Timer => {
                let [timer] = bindings.as_slice() else {
                    panic!("{name}: one binding");
                };
                assert_eq!(timer["type"], "timerTrigger", "{name}");
                assert_eq!(timer["direction"], "in", "{name}");
                assert!(timer["schedule"].is_string(), "{name}");
            }
            // The host forwards a call as it is only with one binding in and one out.
            Trigger::Http => {
                let [request, response] = bindings.as_slice() else {
                    panic!("{name}: one binding in and one out, or the host does not forward");
                };
                assert_eq!(request["type"], "httpTrigger", "{name}");
                assert_eq!(request["direction"], "in", "{name}");
                assert_eq!(request["authLevel"], "function", "{name}: a key each");
                let route = request["route"].as_str().unwrap_or_default();
                assert!(route.starts_with("requests"), "{name}: {route}");
                assert!(request["methods"].is_array(), "{name}");
                assert_eq!(response["type"], "http", "{name}");
                assert_eq!(response["direction"], "out", "{name}");
            }
        }
    }
}

/// Who may file must not be able to read or decide: no two HTTP functions answer to one method and route.
#[test]
fn routes_are_apart() {
    let mut seen = BTreeSet::new();
    for function in Function::ALL
        .iter()
        .filter(|it| it.trigger() == Trigger::Http)
    {
        let request = &bindings(*function)[0];
        let route = request["route"].to_string();
        for method in request["methods"].as_array().expect("a list") {
            assert!(
                seen.insert((method.to_string(), route.clone())),
                "{route} twice"
            );
        }
    }
    assert_eq!(seen.len(), 3, "intake, requests, decide");
}

/// What the host does with queues has to fit what we write into them.
#[test]
fn the_host_reads_queues_as_we_write_them() {
    let host: Value = serde_json::from_str(&read("host.json")).expect("JSON");
    for (pointer, expected) in [
        ("/version", json!("2.0")),
        (
            "/customHandler/description/defaultExecutablePath",
            json!("appcenter-dsr"),
        ),
        ("/customHandler/description/arguments", json!(["serve"])),
        ("/customHandler/enableForwardingHttpRequest", json!(true)),
        ("/customHandler/enableProxyingHttpRequest", json!(true)),
        ("/extensions/http/routePrefix", json!("api")),
        ("/extensions/queues/messageEncoding", json!("base64")),
        ("/extensions/queues/maxPollingInterval", json!("00:00:02")),
    ] {
        assert_eq!(
            host.pointer(pointer),
            Some(&expected),
            "host.json {pointer}"
        );
    }
}

/// Longest that an invocation goes on after its time is over: a call that began in the last moment (tried again for 20 s,
/// the last answer read for 30 s), then what is left is saved, with as much for the storage.
const LAST_CALLS: u64 = 120;

/// A timeout kills the handler with all that runs in it: it must never be met, whatever the setting says.
#[test]
fn an_invocation_ends_before_the_host_ends_it() {
    let accepts = |seconds: u64| {
        let seconds = seconds.to_string();
        let config = Config::from_lookup(&|name| match name {
            "INVOCATION_SECONDS" => Some(seconds.clone()),
            "AzureWebJobsStorage" => Some("UseDevelopmentStorage=true".to_owned()),
            _ => None,
        });
        config.is_ok()
    };
    let longest = (1..=86_400).rev().find(|seconds| accepts(*seconds));
    let longest = longest.expect("the setting accepts something");
    assert_eq!(longest, 240, "no invocation may run longer than 4 minutes");
    let host: Value = serde_json::from_str(&read("host.json")).expect("JSON");
    let timeout = host["functionTimeout"].as_str().unwrap_or_default();
    let parts: Vec<u64> = timeout.split(':').flat_map(str::parse).collect();
    let [hours, minutes, seconds] = parts[..] else {
        panic!("functionTimeout is `{timeout}`, and not hh:mm:ss");
    };
    let timeout = hours * 3600 + minutes * 60 + seconds;
    assert!(timeout >= longest + LAST_CALLS, "{timeout} s, {longest} s");
    let default = env::INVOCATION_SECONDS.default.unwrap_or_default();
    let said = format!("`INVOCATION_SECONDS` ({default}, at most {longest})");
    assert!(read("docs/HOST.md").contains(&said), "docs/HOST.md: {said}");
    let meaning = env::INVOCATION_SECONDS.meaning;
    assert!(meaning.ends_with(&format!("(at most {longest}).")));
}

#[test]
fn the_drawn_steps_are_the_steps() {
    let architecture = read("docs/ARCHITECTURE.md");
    let drawn: Vec<(Vec<String>, Vec<String>)> = table(&architecture, "## The life of a request")
        .iter()
        .map(|row| (quoted(&row[0]), quoted(&row[1])))
        .collect();
    let steps: Vec<(Vec<String>, Vec<String>)> = Step::ALL
        .iter()
        .map(|step| {
            let function = step.function().map(|it| it.name().to_owned());
            (vec![step.name().to_owned()], function.into_iter().collect())
        })
        .collect();
    assert_eq!(drawn, steps, "the table of steps in docs/ARCHITECTURE.md");
}

#[test]
fn the_listed_functions_are_the_functions() {
    let listed: Vec<Vec<String>> = table(&read("README.md"), "## Functions")
        .iter()
        .map(|row| quoted(&row[0]))
        .collect();
    let functions: Vec<Vec<String>> = Function::ALL
        .iter()
        .map(|it| vec![it.name().to_owned()])
        .collect();
    assert_eq!(listed, functions, "the table of functions in README.md");
}

/// The statuses, in the order in which a request can meet them.
fn statuses() -> Vec<String> {
    let mut all = vec![Status::Received];
    while let Some(last) = all.last() {
        // A status that is new has to be put into the row, or this does not compile.
        all.push(match last {
            Status::Received => Status::Running,
            Status::Running => Status::AwaitingApproval,
            Status::AwaitingApproval => Status::Completed,
            Status::Completed => Status::CompletedWithExceptions,
            Status::CompletedWithExceptions => Status::Failed,
            Status::Failed => Status::Rejected,
            Status::Rejected => Status::Cancelled,
            Status::Cancelled => break,
        });
    }
    all.iter().map(|status| status.name().to_owned()).collect()
}

#[test]
fn statuses_are_explained() {
    for (path, heading) in [
        ("README.md", "### Status"),
        ("docs/RUNBOOK.md", "## Statuses"),
    ] {
        let listed: Vec<String> = table(&read(path), heading)
            .iter()
            .flat_map(|row| quoted(&row[0]))
            .collect();
        assert_eq!(listed, statuses(), "{path}: {heading}");
    }
}

#[test]
fn exceptions_are_explained() {
    let rows: Vec<(Vec<String>, String, String)> = table(&read("docs/RUNBOOK.md"), "## Exceptions")
        .iter()
        .map(|row| (quoted(&row[0]), row[2].clone(), row[3].clone()))
        .collect();
    let expected: Vec<(Vec<String>, String, String)> = Code::ALL
        .iter()
        .map(|code| {
            let retry = if code.retry_may_help() { "yes" } else { "no" };
            let name = vec![code.name().to_owned()];
            (name, retry.to_owned(), code.what_to_do().to_owned())
        })
        .collect();
    assert_eq!(rows, expected, "the table of exceptions in docs/RUNBOOK.md");
}

/// Values of a document by their place, in dots.
fn leaves(of: &Value, place: &str, all: &mut Vec<(String, String)>) {
    match of {
        Value::Object(members) => {
            for (name, value) in members {
                let dot = if place.is_empty() { "" } else { "." };
                leaves(value, &format!("{place}{dot}{name}"), all);
            }
        }
        Value::Array(values) => {
            for value in values {
                leaves(value, place, all);
            }
        }
        Value::String(text) => all.push((place.to_owned(), text.clone())),
        other => all.push((place.to_owned(), other.to_string())),
    }
}

#[test]
fn every_value_of_the_host_is_explained() {
    let host: Value = serde_json::from_str(&read("host.json")).expect("JSON");
    let mut expected = Vec::new();
    leaves(&host, "", &mut expected);
    let page = read("docs/HOST.md");
    let rows = page
        .lines()
        .skip_while(|line| !line.starts_with("| setting"));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    let cell = |text: Option<&str>| text.unwrap_or_default().trim().trim_matches('`').to_owned();
    let explained = rows.map(|row| {
        let mut cells = row.trim_matches('|').split(" | ");
        let pair = (cell(cells.next()), cell(cells.next()));
        assert!(cells.next().is_some_and(|why| why.len() > 10), "{row}");
        pair
    });
    let mut explained: Vec<_> = explained.collect();
    explained.sort();
    expected.sort();
    assert_eq!(explained, expected);
}
