//! Every test that docs/SEEDS.md names is there.

use appcenter_dsr::workflow::Function;

use super::{read, rust_files};

/// The cells of every row of the page's tables.
fn rows() -> Vec<Vec<String>> {
    let page = read("docs/SEEDS.md");
    page.lines()
        .filter(|line| line.starts_with('|') && !line.contains("|---|"))
        .map(|line| {
            let line = line.strip_prefix('|').unwrap_or(line);
            let line = line.strip_suffix('|').unwrap_or(line);
            line.split('|').map(|cell| cell.trim().to_owned()).collect()
        })
        .filter(|cells: &Vec<String>| cells.first().is_some_and(|first| first != "step"))
        .collect()
}

/// What stands between backticks.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// Whether a file has the test: as a function, or listed in the macro of `flow.rs`.
fn is_test(text: &str, test: &str) -> bool {
    text.contains(&format!("fn {test}(")) || text.contains(&format!("\n    {test} = ["))
}

#[test]
fn what_the_seeds_page_names_is_there() {
    let mut files = rust_files("src");
    files.extend(rust_files("tests"));
    let rows = rows();
    assert!(rows.len() > 30, "only {} rows", rows.len());
    let mut missing = Vec::new();
    for row in &rows {
        let [step, functions, tests, ..] = row.as_slice() else {
            missing.push(format!("a row of {} cells", row.len()));
            continue;
        };
        for function in quoted(functions) {
            if Function::of_name(function).is_none() {
                missing.push(format!("{step}: no function `{function}`"));
            }
        }
        let names = quoted(tests);
        let is_open = functions.is_empty();
        if names.is_empty() && !is_open {
            missing.push(format!("{step}: no test"));
        }
        for name in names {
            let (module, test) = name.rsplit_once("::").unwrap_or(("", name));
            let is_in_crate = module.starts_with("unit");
            let folder = if is_in_crate { "src/" } else { "tests/it/" };
            let place = module.trim_start_matches("unit").trim_start_matches("::");
            let place = format!("{folder}{}", place.replace("::", "/"));
            let is_there = files.iter().any(|file| {
                let stem = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
                let is_place = stem == place || stem.starts_with(&format!("{place}/"));
                is_place && !test.is_empty() && is_test(&file.text, test)
            });
            if !is_there {
                missing.push(format!("{step}: no test `{name}`"));
            }
        }
    }
    assert!(missing.is_empty(), "docs/SEEDS.md: {missing:#?}");
}
