//! What infra/ names is what the code names: settings, queues, containers, functions; what queries count on is what
//! docs/TELEMETRY.md promises; and each alert has its section in the runbook.

mod alerts;
mod closed;
mod kept;
mod names;
mod parameters;
mod publishing;
mod queries;
mod settings;

use std::collections::BTreeSet;

use super::read;

/// The lines between the one that begins so and the next that is `end`.
fn block(text: &str, begin: &str, end: &str) -> Vec<String> {
    let after = text
        .split_once(&format!("\n{begin}\n"))
        .unwrap_or_else(|| panic!("`{begin}` is missing"))
        .1;
    let lines = after.lines().take_while(|line| *line != end);
    lines.map(|line| line.trim().to_owned()).collect()
}

/// The default of a parameter of `main.bicep`, as it is written there.
fn default_of(main: &str, parameter: &str) -> String {
    let begin = format!("param {parameter} ");
    let line = main.lines().find(|line| line.starts_with(&begin));
    let line = line.unwrap_or_else(|| panic!("no parameter {parameter}"));
    let default = line.split_once(" = ").map(|(_, default)| default);
    default.unwrap_or_default().trim_matches('\'').to_owned()
}

/// The parameters of `main.bicep`.
fn parameters() -> BTreeSet<String> {
    let main = read("infra/main.bicep");
    let parameters = main.lines().filter_map(|line| {
        let name = line.strip_prefix("param ")?.split(' ').next()?;
        Some(name.to_owned())
    });
    parameters.collect()
}

/// What stands between `open` and `close`, everywhere in a text.
fn between<'a>(text: &'a str, open: &str, close: &str) -> BTreeSet<&'a str> {
    let parts = text.split(open).skip(1);
    parts.filter_map(|part| part.split(close).next()).collect()
}

/// What a variable of `main.bicep` is set to, as it is written there.
fn variable_of(main: &str, variable: &str) -> String {
    let begin = format!("var {variable} = ");
    let line = main.lines().find_map(|line| line.strip_prefix(&begin));
    let line = line.unwrap_or_else(|| panic!("no variable {variable}"));
    line.trim_matches('\'').to_owned()
}

/// How often a text stands in another.
fn count(text: &str, part: &str) -> usize {
    text.match_indices(part).count()
}
