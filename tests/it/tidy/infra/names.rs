//! Names that stand in more than one file: queues, containers, and what the code calls them.

use appcenter_dsr::config::env;
use appcenter_dsr::domain::RequestId;
use appcenter_dsr::work::names;
use appcenter_dsr::workflow::Function;
use appcenter_dsr::workflow::stage::Trigger;

use super::super::{files, read};
use super::{block, count, default_of, variable_of};

#[test]
fn queues_are_those_of_functions() {
    let storage = read("infra/modules/work-storage.bicep");
    let queues = block(&storage, "var queueNames = [", "]");
    let expected: Vec<String> = Function::ALL
        .iter()
        .filter(|function| function.trigger() == Trigger::Queue)
        .map(|function| format!("'{}'", function.name()))
        .collect();
    assert_eq!(
        queues, expected,
        "infra/modules/work-storage.bicep and src/workflow/stage.rs"
    );
}

#[test]
fn containers_and_times_are_those_of_the_settings() {
    let main = read("infra/main.bicep");
    let work = env::WORK_CONTAINER.default.unwrap_or_default();
    assert!(
        main.contains(&format!("\nvar workContainer = '{work}'\n")),
        "WORK_CONTAINER"
    );
    for (parameter, setting) in [
        ("archiveContainer", env::ARCHIVE_CONTAINER),
        ("exportType", env::EXPORT_TYPE),
        ("packageDays", env::RETENTION_PACKAGE_DAYS),
    ] {
        let default = setting.default.unwrap_or_default();
        assert_eq!(default_of(&main, parameter), default, "{}", setting.name);
    }
    // The rule by which packages expire looks where packages are.
    let id = RequestId::derive("export", "CRM-1");
    let package = names::package(&id, 1);
    let folder = package.split('/').next().unwrap_or_default();
    let rule = format!("'${{workContainer}}/{folder}/'");
    assert!(
        read("infra/modules/work-storage.bicep").contains(&rule),
        "{rule}"
    );
}

/// A secret is written, read and explained under one name, which stands in `main.bicep` only.
#[test]
fn secrets_have_one_name() {
    let main = read("infra/main.bicep");
    let app = read("infra/modules/function-app.bicep");
    let security = read("docs/SECURITY.md");
    let deploy = read("docs/DEPLOY.md");
    for variable in ["tokenName", "connectionName"] {
        let name = variable_of(&main, variable);
        let written = format!("\n    name: {variable}\n");
        let passed = format!("\n    {variable}: {variable}\n");
        assert_eq!(count(&main, &written), 1, "the secret {name} is written");
        assert_eq!(count(&main, &passed), 1, "the app is told of {name}");
        let read_by = format!("${{vaultUri}}secrets/${{{variable}}})'");
        assert_eq!(count(&app, &read_by), 1, "the app reads {name}");
        for (page, text) in [("docs/SECURITY.md", &security), ("docs/DEPLOY.md", &deploy)] {
            let is_named = text.contains(&format!("`{name}`"));
            assert!(is_named, "{page} does not say where the secret `{name}` is");
        }
    }
    // No reference goes round it.
    for file in files("infra") {
        for rest in file.text.split("}secrets/").skip(1) {
            assert!(
                rest.starts_with("${"),
                "{}: a name in a reference",
                file.path
            );
        }
    }
    let command = "az keyvault secret set --name ";
    let named = security.split(command).nth(1).unwrap_or_default();
    let named = named.split(' ').next().unwrap_or_default();
    assert_eq!(named, variable_of(&main, "tokenName"), "docs/SECURITY.md");
}

/// Who runs the script for the database is told the names that are deployed.
#[test]
fn the_database_script_names_what_is_deployed() {
    let main = read("infra/main.bicep");
    let script = read("infra/database-user.sql");
    assert!(main.contains("\n  name: '${name}-identity'\n"), "identity");
    let identity = format!("Identity=\"{}-identity\"", default_of(&main, "name"));
    let database = format!(" -d {} ", variable_of(&main, "databaseName"));
    for part in [identity, database] {
        assert!(script.contains(&part), "infra/database-user.sql: {part}");
    }
}

/// The container that is made is the one that the app's package is put into.
#[test]
fn the_package_has_one_container() {
    let main = read("infra/main.bicep");
    let name = variable_of(&main, "deploymentContainer");
    assert_eq!(count(&main, &format!("'{name}'")), 1);
    let passed = "\n    deploymentContainer: deploymentContainer\n";
    assert_eq!(count(&main, passed), 2, "to the storage, and to the app");
    for (file, line) in [
        ("work-storage", "  name: deploymentContainer\n"),
        (
            "function-app",
            "value: '${workBlobEndpoint}${deploymentContainer}'\n",
        ),
    ] {
        let text = read(&format!("infra/modules/{file}.bicep"));
        assert_eq!(count(&text, line), 1, "{file}: {line}");
    }
    assert_ne!(name, variable_of(&main, "workContainer"));
}
