//! Parameters: those of main.bicep, of the parameter files, and of docs/DEPLOY.md.

use std::collections::BTreeSet;

use appcenter_dsr::config::env;
use serde_json::Value;

use super::super::{quoted, read, table};
use super::parameters;

#[test]
fn parameter_files_name_parameters() {
    let known = parameters();
    for file in ["main", "dev", "prod"] {
        let path = format!("infra/{file}.parameters.json");
        let json: Value = serde_json::from_str(&read(&path)).expect("JSON");
        let given = json["parameters"].as_object().expect("parameters");
        for name in given.keys() {
            assert!(known.contains(name), "{path}: main.bicep has no `{name}`");
        }
        let settings = given.get("settings").map(|it| &it["value"]);
        for name in settings
            .and_then(Value::as_object)
            .into_iter()
            .flat_map(|it| it.keys())
        {
            assert!(
                env::ALL.iter().any(|setting| setting.name == name),
                "{path}: {name}"
            );
        }
        // A secret in a file would be one that everybody has.
        for secret in ["appCenterToken", "alertWebhook"] {
            let value = given.get(secret).and_then(|it| it["value"].as_str());
            let value = value.unwrap_or_default();
            assert!(
                value.is_empty() || value.starts_with("${"),
                "{path}: {secret}"
            );
        }
    }
    let deploy = read("docs/DEPLOY.md");
    let listed: BTreeSet<String> = table(&deploy, "## Parameters")
        .iter()
        .flat_map(|row| quoted(&row[0]))
        .collect();
    assert_eq!(listed, known, "the table of parameters in docs/DEPLOY.md");
}
