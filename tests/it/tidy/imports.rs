//! Who may import whom: the table in docs/ARCHITECTURE.md, held against the source.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{code, squeezed};
use super::{File, quoted, read, rust_files, table};

/// Dev tools that must not know the product's types: a shared one would hide a wrong field on both sides.
const STRANGERS: [&str; 4] = [
    "appcenter-sim",
    "azurite",
    "functions-host",
    "telemetry-sink",
];

/// The module of a file of `src`: its folder or its own name.
fn module(path: &str) -> &str {
    let path = path.strip_prefix("src/").unwrap_or(path);
    path.split(['/', '.']).next().unwrap_or_default()
}

/// The modules of ours that a source names by `crate::`.
fn imports(source: &str) -> BTreeSet<String> {
    let code = code(source);
    let named = code.match_indices("crate::").filter_map(|(at, found)| {
        let name = &code[at + found.len()..];
        let end = name
            .find(|c: char| !c.is_ascii_lowercase() && c != '_')
            .unwrap_or(name.len());
        // A name in capitals is a re-export of the root, of which there are none; a brace is refused below.
        (end > 0).then(|| name[..end].to_owned())
    });
    named.collect()
}

/// What each module may import.
type Rules = BTreeMap<String, BTreeSet<String>>;

/// The rules as they are drawn.
fn rules() -> Rules {
    table(&read("docs/ARCHITECTURE.md"), "## Layers")
        .iter()
        .map(|row| {
            let [module] = quoted(&row[0]).try_into().expect("one module a row");
            (module, quoted(&row[1]).into_iter().collect())
        })
        .collect()
}

fn breaches(files: &[File], rules: &Rules) -> Vec<String> {
    let mut breaches = Vec::new();
    for File { path, text } in files {
        let own = module(path);
        let Some(allowed) = rules.get(own) else {
            breaches.push(format!(
                "{path}: `{own}` has no row in docs/ARCHITECTURE.md"
            ));
            continue;
        };
        for import in imports(text) {
            if import != own && !allowed.contains(&import) {
                breaches.push(format!("{path}: `{own}` must not import `{import}`"));
            }
        }
        if squeezed(text).contains("crate::{") {
            breaches.push(format!(
                "{path}: a `use` for each module, so that rules can see it"
            ));
        }
    }
    breaches
}

#[test]
fn modules_import_what_they_may() {
    let mut files = rust_files("src");
    // The crate's root and the program only put things together.
    files.retain(|file| !["src/lib.rs", "src/main.rs"].contains(&file.path.as_str()));
    let rules = rules();
    let breaches = breaches(&files, &rules);
    assert!(breaches.is_empty(), "{breaches:#?}");
    let there: BTreeSet<&str> = files.iter().map(|file| module(&file.path)).collect();
    for module in rules.keys() {
        assert!(
            there.contains(module.as_str()),
            "a row for `{module}`, which is gone"
        );
    }
}

/// No way round: whatever a module may import is not above it.
#[test]
fn layers_have_no_circles() {
    let rules = rules();
    let mut placed: BTreeSet<&str> = BTreeSet::new();
    while placed.len() < rules.len() {
        let next: Vec<&str> = rules
            .iter()
            .filter(|(module, allowed)| {
                !placed.contains(module.as_str())
                    && allowed.iter().all(|it| placed.contains(it.as_str()))
            })
            .map(|(module, _)| module.as_str())
            .collect();
        assert!(
            !next.is_empty(),
            "a circle, or an unknown module, above {placed:?}"
        );
        placed.extend(next);
    }
}

#[test]
fn breaches_are_found() {
    let rules = BTreeMap::from([
        ("domain".to_owned(), BTreeSet::new()),
        ("search".to_owned(), BTreeSet::from(["domain".to_owned()])),
    ]);
    for (path, text, expected) in [
        (
            "src/domain/ids.rs",
            "use crate::domain::Fault; // crate::search",
            0,
        ),
        ("src/search/mod.rs", "use crate::domain::{AppRef};", 0),
        ("src/domain/ids.rs", "fn f() { crate::search::f() }", 1),
        ("src/domain.rs", "use crate::\n    search::Hit;", 0),
        ("src/domain.rs", "use crate::{search, domain};", 1),
        ("src/new/mod.rs", "", 1),
    ] {
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        assert_eq!(breaches(&[file], &rules).len(), expected, "{path}: {text}");
    }
}

#[test]
fn only_config_reads_the_environment() {
    for File { path, text } in rust_files("src") {
        let code = squeezed(&text);
        let reads = ["env::var(", "env::var_os(", "env::vars(", "env::vars_os("];
        let is_reading = reads.iter().any(|it| code.contains(it));
        assert_eq!(
            is_reading,
            path == "src/config/mod.rs",
            "{path}: settings are read in src/config"
        );
    }
}

#[test]
fn dev_tools_do_not_know_the_product() {
    for name in STRANGERS {
        let path = format!("dev/{name}/Cargo.toml");
        let manifest: toml::Table = read(&path).parse().expect("TOML");
        let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
        for table in tables
            .iter()
            .filter_map(|table| manifest.get(*table)?.as_table())
        {
            for (dependency, _) in table {
                let is_ours = ["appcenter-dsr", "stack", "xtask"].contains(&dependency.as_str());
                assert!(!is_ours, "{path}: must not depend on {dependency}");
            }
        }
        assert!(
            manifest.get("target").is_none(),
            "{path}: rules do not look into `target`"
        );
        for File { path, text } in rust_files(&format!("dev/{name}")) {
            assert!(
                !code(&text).contains("appcenter_dsr"),
                "{path}: names the product's crate"
            );
        }
    }
}
