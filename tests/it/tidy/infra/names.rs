//! Names that stand in more than one file: queues, containers, and what the code calls them.

use appcenter_dsr::config::env;
use appcenter_dsr::domain::RequestId;
use appcenter_dsr::work::names;
use appcenter_dsr::workflow::Function;
use appcenter_dsr::workflow::stage::Trigger;

use super::super::read;
use super::{block, default_of};

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
