//! One list of settings, three places: `src/config/env.rs`, the README's table, the example for local runs.

use std::collections::BTreeMap;

use appcenter_dsr::config::{Config, env};
use serde_json::Value;

use super::{quoted, read, table};

/// Values of the example that the host reads and we do not, with the reason.
const OF_THE_HOST: [(&str, &str); 1] = [(
    "FUNCTIONS_WORKER_RUNTIME",
    "Core Tools ask for it; `custom` is a handler like ours",
)];

fn example() -> BTreeMap<String, String> {
    let file: Value = serde_json::from_str(&read("local.settings.example.json")).expect("JSON");
    assert_eq!(file["IsEncrypted"], false);
    let values = file["Values"].as_object().expect("`Values` is an object");
    let text = |(name, value): (&String, &Value)| {
        let value = value.as_str();
        let value = value.unwrap_or_else(|| panic!("{name}: Core Tools read texts only"));
        (name.clone(), value.to_owned())
    };
    values.iter().map(text).collect()
}

#[test]
fn the_example_holds_every_setting_and_nothing_else() {
    let found: Vec<String> = example().into_keys().collect();
    let mut expected: Vec<&str> = env::ALL.iter().map(|setting| setting.name).collect();
    expected.extend(OF_THE_HOST.map(|(name, _reason)| name));
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn the_example_is_valid() {
    let values = example();
    let config = Config::from_lookup(&|name| values.get(name).cloned()).expect("it can be used");
    let host = config.app_center.url.host_str();
    assert_eq!(
        host,
        Some("127.0.0.1"),
        "an example must not reach the real service"
    );
}

/// Defaults stand in the example as they are, but for what makes it local.
#[test]
fn the_example_shows_the_defaults() {
    let local = [
        "APPCENTER_API_URL",
        "APPCENTER_API_TOKEN",
        "APPCENTER_DOWNLOAD_HOSTS",
        "AzureWebJobsStorage",
    ];
    let values = example();
    for setting in env::ALL.iter().filter(|it| !local.contains(&it.name)) {
        let shown = values.get(setting.name).map(String::as_str);
        assert_eq!(
            shown,
            Some(setting.default.unwrap_or_default()),
            "{}",
            setting.name
        );
    }
}

#[test]
fn the_readme_lists_every_setting_once_and_nothing_else() {
    let rows = table(&read("README.md"), "## Settings");
    let listed: Vec<(Vec<String>, Vec<String>)> = rows
        .iter()
        .map(|row| (quoted(&row[0]), quoted(&row[1])))
        .collect();
    let expected: Vec<(Vec<String>, Vec<String>)> = env::ALL
        .iter()
        .map(|setting| {
            let default = setting.default.filter(|it| !it.is_empty());
            let default = default.map(str::to_owned).into_iter().collect();
            (vec![setting.name.to_owned()], default)
        })
        .collect();
    assert_eq!(
        listed, expected,
        "name and default of each, in the order of src/config/env.rs"
    );
    for row in rows {
        assert!(row.len() == 3 && !row[2].is_empty(), "no meaning: {row:?}");
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<&str> = env::ALL.iter().map(|setting| setting.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), env::ALL.len());
}
