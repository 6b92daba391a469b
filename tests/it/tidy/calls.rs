//! Who may send: messages of the workflow from one place, calls to App Center from one place, and no call that destroys
//! more than was approved.

use std::collections::BTreeSet;

use super::source::squeezed;
use super::{File, rust_files};

/// What only some files may hold: a pattern (without white space), where it is looked for, who may, and why.
const ONLY: &[(&str, &str, &[&str], &str)] = &[
    (
        "store.send(",
        "src/",
        &["src/host/dispatch/send.rs"],
        "only the host adapter sends: save, then send, in one place",
    ),
    (
        "send_all(",
        "src/",
        &[
            "src/host/dispatch/mod.rs",
            "src/host/dispatch/send.rs",
            "src/host/routes.rs",
        ],
        "only the host adapter sends: a stage says what happened",
    ),
    (
        ".send(",
        "src/stages/",
        &[
            "src/stages/blob_search/pages.rs",
            "src/stages/blob_search/reading.rs",
        ],
        "a stage never sends; these pass names and bytes to tasks of their own",
    ),
    (
        ".queue(",
        "src/stages/",
        &["src/stages/sweep/poison.rs"],
        "a stage never touches a queue; `sweep` takes messages from poison queues",
    ),
    (
        ".receive(",
        "src/",
        &["src/stages/sweep/poison.rs", "src/storage/tests.rs"],
        "the host receives; `sweep` alone takes messages from poison queues",
    ),
    (
        ".request(",
        "src/appcenter/",
        &["src/appcenter/http.rs"],
        "one place sends calls to App Center, with budget, gate and retries",
    ),
    (
        "X-API-Token",
        "src/",
        &["src/appcenter/http.rs"],
        "the token goes to App Center and nowhere else",
    ),
    (
        "Unlimited",
        "src/",
        &["src/appcenter/"],
        "a budget without a limit is for tools and tests",
    ),
    (
        "appcenter::Open",
        "src/",
        &["src/appcenter/tests/"],
        "an irreversible call needs the gate of its request",
    ),
    (
        "&Open",
        "src/stages/",
        &[],
        "an irreversible call needs the gate of its request",
    ),
];

fn breaches(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    for File { path, text } in files {
        let code = squeezed(text);
        for (pattern, under, allowed, why) in ONLY {
            let is_allowed = allowed.iter().any(|it| path.starts_with(it));
            if path.starts_with(under) && !is_allowed && code.contains(pattern) {
                breaches.push(format!("{path} holds `{pattern}`: {why}"));
            }
        }
    }
    breaches
}

#[test]
fn only_those_send_who_may() {
    let files = rust_files("src");
    let breaches = breaches(&files);
    assert!(breaches.is_empty(), "{breaches:#?}");
    for (pattern, _, allowed, _) in ONLY {
        for path in *allowed {
            let is_used = files
                .iter()
                .filter(|file| file.path.starts_with(path))
                .any(|file| squeezed(&file.text).contains(pattern));
            assert!(
                is_used,
                "{path} does not hold `{pattern}` any more: take it off the list"
            );
        }
    }
}

#[test]
fn breaches_are_found() {
    for (path, text, expected) in [
        (
            "src/stages/delete.rs",
            "cx.app.store\n    .send(&message, delay)",
            2,
        ),
        ("src/stages/delete.rs", "// store.send(…) is not for us", 0),
        (
            "src/host/dispatch/send.rs",
            "cx.app.store.send(&message, delay)",
            0,
        ),
        ("src/stages/sweep/mod.rs", "store.queue(\"x\")", 1),
        ("src/appcenter/export.rs", "http.request(method, url)", 1),
        (
            "src/stages/block.rs",
            "client.block_install(&app, id, &Open, x)",
            1,
        ),
    ] {
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(breaches(&[file]).len(), expected, "{path}: {text}");
    }
}

/// Every call that changes something, by method.
///
/// There is none that deletes or disables an export configuration (that may delete the archive) nor the app-wide block.
const CHANGES: [(&str, &str); 7] = [
    ("Devices_BlockLogs", "PUT"),
    ("Errors_DeleteError", "DELETE"),
    ("ExportConfigurations_Create", "POST"),
    ("ExportConfigurations_Enable", "POST"),
    ("ExportConfigurations_PartialUpdate", "PATCH"),
    ("crashes_delete", "DELETE"),
    ("test_archiveTestRun", "DELETE"),
];

/// The client's files, without its tests and the file that makes calls out of their parts.
fn client() -> Vec<(String, String)> {
    rust_files("src/appcenter")
        .into_iter()
        .filter(|file| !file.path.contains("/tests") && file.path != "src/appcenter/http.rs")
        .map(|file| (file.path, squeezed(&file.text)))
        .collect()
}

#[test]
fn the_client_changes_only_what_it_must() {
    let mut found = BTreeSet::new();
    let mut methods = 0;
    for (path, code) in client() {
        for constructor in ["Call::change(", "Call::irreversible("] {
            for (at, _) in code.match_indices(constructor) {
                let (operation, after) = operation(&code, at + constructor.len());
                let method = after
                    .strip_prefix(",Method::")
                    .and_then(|it| it.split_once(','))
                    .unwrap_or_else(|| panic!("{path}: {operation} names no method"))
                    .0;
                found.insert((operation.to_owned(), method.to_owned()));
            }
        }
        methods += code.matches("Method::").count() - code.matches("Method::GET").count();
    }
    let expected = CHANGES.map(|(operation, method)| (operation.to_owned(), method.to_owned()));
    assert_eq!(found, BTreeSet::from(expected));
    assert_eq!(
        methods,
        CHANGES.len(),
        "a method is named outside of `Call::change` and `Call::irreversible`"
    );
}

/// The first argument of a call: a text, or the variable that was set to one just before.
fn operation(code: &str, at: usize) -> (&str, &str) {
    let arguments = &code[at..];
    if let Some(literal) = arguments.strip_prefix('"') {
        return literal.split_once('"').expect("a text has an end");
    }
    let set = "letoperation=\"";
    let from = code[..at]
        .rfind(set)
        .expect("`let operation = …` stands before")
        + set.len();
    let name = code[from..].split('"').next().unwrap_or_default();
    let after = arguments
        .strip_prefix("operation")
        .expect("it is the first argument");
    (name, after)
}

#[test]
fn blocks_always_name_an_install() {
    let mut count = 0;
    for (path, code) in client() {
        for (at, found) in code.match_indices("\"block_logs\"") {
            let after = &code[at + found.len()..];
            // The unit tests of paths try an empty one, which is refused.
            assert!(
                after.starts_with(",&id]") || after.starts_with(",bad]"),
                "{path}: without an install ID the whole app is blocked"
            );
            count += 1;
        }
        assert!(
            !code.contains("\"disable\""),
            "{path}: what is disabled is never exported"
        );
    }
    assert!(
        count > 0,
        "the call that blocks has another shape: look at this test"
    );
}
