//! Parameters: those of main.bicep, of the parameter files, and of docs/DEPLOY.md.

use std::collections::{BTreeMap, BTreeSet};

use appcenter_dsr::config::env;
use serde_json::Value;

use super::super::{files, quoted, read, table};
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
        for secret in ["appCenterToken", "indexKey", "alertWebhook"] {
            let value = given.get(secret).and_then(|it| it["value"].as_str());
            let value = value.unwrap_or_default();
            assert!(
                value.is_empty() || value.starts_with("${"),
                "{path}: {secret}"
            );
        }
    }
}

/// The environment variable by which azd sets a parameter.
fn variable(parameter: &str) -> String {
    match parameter {
        "environmentName" => "AZURE_ENV_NAME".to_owned(),
        "location" => "AZURE_LOCATION".to_owned(),
        // They have the names of the settings.
        "appCenterToken" => env::API_TOKEN.name.to_owned(),
        "indexKey" => env::INDEX_KEY.name.to_owned(),
        _ => parameter.chars().fold("DSR_".to_owned(), |mut name, it| {
            if it.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(it.to_ascii_uppercase());
            name
        }),
    }
}

/// Every parameter and its variable.
fn variables() -> BTreeMap<String, String> {
    let with_variable = |name: String| (name.clone(), variable(&name));
    parameters().into_iter().map(with_variable).collect()
}

/// No default stands there: without the variable azd leaves the parameter out, and that of `main.bicep` holds.
#[test]
fn azd_sets_every_parameter() {
    let json: Value = serde_json::from_str(&read("infra/main.parameters.json")).expect("JSON");
    let given = json["parameters"].as_object().expect("parameters");
    let given: BTreeMap<String, String> = given
        .iter()
        .map(|(name, it)| {
            let value = it["value"].as_str();
            let value = value.and_then(|it| it.strip_prefix("${")?.strip_suffix('}'));
            let value = value.unwrap_or_else(|| panic!("{name}: a variable, and nothing else"));
            (name.clone(), value.to_owned())
        })
        .collect();
    assert_eq!(given, variables(), "infra/main.parameters.json");
}

#[test]
fn parameters_are_explained() {
    let mut listed = BTreeMap::new();
    for row in table(&read("docs/DEPLOY.md"), "## Parameters") {
        let (names, set_by) = (quoted(&row[0]), quoted(&row[1]));
        assert_eq!(names.len(), set_by.len(), "{row:?}");
        assert!(row.len() == 4 && !row[3].is_empty(), "no meaning: {row:?}");
        listed.extend(names.into_iter().zip(set_by));
    }
    assert_eq!(listed, variables(), "the table in docs/DEPLOY.md");
}

/// A parameter that the workflow left out would go back to its default when it provisions.
#[test]
fn the_workflow_passes_every_parameter_on() {
    let workflow = read(".github/workflows/deploy.yml");
    let passed = workflow.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(": ${{ ")?;
        let is_own =
            value == format!("vars.{name} }}}}") || value == format!("secrets.{name} }}}}");
        is_own.then(|| name.to_owned())
    });
    let passed: BTreeSet<String> = passed.collect();
    let mut expected: BTreeSet<String> = variables().into_values().collect();
    // The token and the key are in the vault: who deploys has no need of them.
    assert!(expected.remove(env::API_TOKEN.name));
    assert!(expected.remove(env::INDEX_KEY.name));
    let of_azure = [
        "CLIENT_ID",
        "TENANT_ID",
        "SUBSCRIPTION_ID",
        "RESOURCE_GROUP",
    ];
    expected.extend(of_azure.map(|name| format!("AZURE_{name}")));
    assert_eq!(passed, expected, ".github/workflows/deploy.yml");
    assert!(
        workflow.contains("DSR_ALERT_WEBHOOK: ${{ secrets."),
        "it is a secret"
    );
    // Its page lists what has to be there, and no variable that is not.
    let deploy = read("docs/DEPLOY.md");
    let section = deploy.split("\n## GitHub Actions\n").nth(1);
    let section = section.and_then(|it| it.split("\n## ").next());
    let named = quoted(section.expect("## GitHub Actions"));
    for name in expected.iter().filter(|it| it.starts_with("AZURE_")) {
        assert!(
            named.contains(name),
            "docs/DEPLOY.md, GitHub Actions: {name}"
        );
    }
}

/// Variables that a page or a workflow names are variables of a parameter.
#[test]
fn no_other_variable_is_named() {
    let known: BTreeSet<String> = variables().into_values().collect();
    // Of the handler and its client, not of a deployment.
    let others = [env::LOG.name, "DSR_URL", "DSR_KEY"];
    let mut found = 0;
    for file in files("") {
        if !["docs/", ".github/", "README.md", "azure.yaml", "infra/"]
            .iter()
            .any(|it| file.path.starts_with(it))
        {
            continue;
        }
        let is_of_name = |it: char| it.is_ascii_uppercase() || it == '_';
        for word in file.text.split(|it| !is_of_name(it)) {
            if word.starts_with("DSR_") && word.len() > 4 && !others.contains(&word) {
                assert!(known.contains(word), "{}: {word}", file.path);
                found += 1;
            }
        }
    }
    assert!(
        found > 100,
        "variables have another form: look at this test"
    );
}
