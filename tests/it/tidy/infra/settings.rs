//! The app settings that a deployment gives are settings, and together a valid configuration.

use std::collections::{BTreeMap, BTreeSet};

use appcenter_dsr::config::{Config, LedgerDatabase, SqlEncryption, SqlLogin, Storage, env};

use serde_json::Value;

use super::super::read;
use super::{block, count, default_of};

/// Settings that infra/ leaves at their defaults, or to its parameter `settings`, with the reason.
const LEFT: [(&str, &[&str]); 5] = [
    (
        "accounts that App Center makes are reached by the identity",
        &["ARCHIVE_ACCOUNTS"],
    ),
    (
        "how App Center is asked",
        &[
            "APPCENTER_API_URL",
            "APPCENTER_RATE_BUDGET",
            "APPCENTER_DOWNLOAD_HOSTS",
            "APPCENTER_RETIRED",
            "EXPORT_PENDING_HOURS",
        ],
    ),
    (
        "telemetry goes to Application Insights",
        &["OTEL_EXPORTER_OTLP_ENDPOINT"],
    ),
    (
        "limits",
        &[
            "LEDGER_STATEMENT_ROWS",
            "PLAN_MAX_INSTALLS",
            "PLAN_MAX_REPORTS",
            "PLAN_MAX_SHARE_PERCENT",
            "RETENTION_COLLECTED_DAYS",
            "RETENTION_REPORT_MONTHS",
            "RETRY_FIRST_SECONDS",
            "RETRY_LONGEST_SECONDS",
            "RETRY_TRIES",
            "RETRY_HOURS",
            "INVOCATION_SECONDS",
            "SLICE_ITEMS",
            "STALLED_SECONDS",
        ],
    ),
    ("how much is logged", &["DSR_LOG"]),
];

/// App settings of function-app.bicep: name and expression.
fn settings_of(block_of: &str) -> BTreeMap<String, String> {
    let app = read("infra/modules/function-app.bicep");
    let lines = block(&app, &format!("var {block_of} = {{"), "}");
    let pairs = lines.iter().map(|line| {
        let (name, value) = line.split_once(": ").expect("a name and a value");
        (name.to_owned(), value.to_owned())
    });
    pairs.collect()
}

/// All of them.
fn settings() -> BTreeMap<String, String> {
    let mut all = settings_of("usualSettings");
    for (name, value) in settings_of("fixedSettings") {
        let is_new = all.insert(name.clone(), value).is_none();
        assert!(is_new, "{name} twice in function-app.bicep");
    }
    all
}

#[test]
fn app_settings_are_settings() {
    let given: BTreeSet<String> = settings()
        .keys()
        .map(|name| name.split("__").next().unwrap_or_default().to_owned())
        .collect();
    let mut expected: BTreeSet<String> = env::ALL.iter().map(|it| it.name.to_owned()).collect();
    for name in LEFT.iter().flat_map(|(_reason, names)| *names) {
        assert!(
            expected.remove(*name),
            "{name} is left alone, and is no setting"
        );
    }
    assert_eq!(
        given, expected,
        "infra/modules/function-app.bicep and src/config/env.rs: give it, or name it above with the reason"
    );
}

/// Expressions that stand for what a deployment fills in.
fn deployed(expression: &str, export_type: &str, ledger: &str) -> String {
    match expression {
        "workAccount" => "contosowork".to_owned(),
        "archiveAccount" => "contosoarchive".to_owned(),
        "identityClientId" => "11111111-2222-3333-4444-555555555555".to_owned(),
        "archiveContainer" => default_of(&read("infra/main.bicep"), "archiveContainer"),
        "workContainer" => env::WORK_CONTAINER.default.unwrap_or_default().to_owned(),
        "exportType" => export_type.to_owned(),
        "ledgerDatabase" => ledger.to_owned(),
        "insightsConnectionString" => "InstrumentationKey=0".to_owned(),
        "string(packageDays)" => default_of(&read("infra/main.bicep"), "packageDays"),
        _ => match expression.split_once(" ? ") {
            Some((condition, values)) => {
                let (yes, no) = values.split_once(" : ").expect("two values");
                let holds = match condition.split_once(" == ") {
                    Some(("exportType", kind)) => kind.trim_matches('\'') == export_type,
                    None if condition == "archiveIndex" => true,
                    _ => {
                        assert_eq!(condition, "empty(ledgerDatabase)");
                        ledger.is_empty()
                    }
                };
                deployed(if holds { yes } else { no }, export_type, ledger)
            }
            None if expression == "subscription().subscriptionId" => "a-subscription".to_owned(),
            None => {
                let text = expression.strip_prefix('\'');
                let text = text.and_then(|text| text.strip_suffix('\''));
                let text = text.unwrap_or_else(|| panic!("what is `{expression}`?"));
                match text.strip_prefix("@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/") {
                    Some(name) => format!("what the vault has as {name}"),
                    None => text.to_owned(),
                }
            }
        },
    }
}

#[test]
fn what_is_deployed_is_a_valid_configuration() {
    let main = read("infra/main.bicep");
    let line = main
        .lines()
        .find_map(|line| line.trim().strip_prefix("ledgerDatabase: ledger ? '"))
        .expect("the ledger's connection string");
    let ledger = line
        .split('\'')
        .next()
        .unwrap_or_default()
        .replace("${databaseHost}", "contoso.database.windows.net")
        .replace("${databaseName}", "ledger")
        .replace("${identity.properties.clientId}", "11111111-2222");
    let allowed = block(&main, "@allowed([", "])");
    assert_eq!(
        allowed,
        ["'none'", "'standard'", "'custom'"],
        "the first list of main.bicep"
    );
    for export_type in allowed.iter().map(|it| it.trim_matches('\'')) {
        for ledger in [ledger.as_str(), ""] {
            let values: BTreeMap<String, String> = settings()
                .into_iter()
                .map(|(name, value)| (name, deployed(&value, export_type, ledger)))
                .chain([(env::SITE.to_owned(), "contoso-dsr".to_owned())])
                .collect();
            let config = Config::from_lookup(&|name| values.get(name).cloned());
            let config = config.unwrap_or_else(|error| panic!("{export_type}: {error}"));
            let is_identity = |storage: &Storage| {
                matches!(
                    storage,
                    Storage::Identity {
                        client_id: Some(_),
                        ..
                    }
                )
            };
            assert!(is_identity(&config.work) && is_identity(&config.archive));
            assert_eq!(
                config.archive.azure_account().as_deref(),
                Some("contosoarchive")
            );
            match config.ledger.database {
                LedgerDatabase::SqlServer(server) => {
                    assert!(
                        matches!(&server.login, SqlLogin::Identity { client_id: Some(id) } if id == "11111111-2222")
                    );
                    assert_eq!(server.encryption, SqlEncryption::Strict);
                    assert_eq!(server.database, "ledger");
                }
                LedgerDatabase::None => assert!(ledger.is_empty()),
                LedgerDatabase::Sqlite(_) => panic!("a file is lost with its instance"),
            }
        }
    }
}

/// `settings` of a deployment is for what has no parameter: who could say a thing in two places would say it in one.
#[test]
fn what_has_a_parameter_is_said_by_it_alone() {
    let app = read("infra/modules/function-app.bicep");
    let order = "items(union(usualSettings, settings, fixedSettings))";
    assert!(app.contains(order), "the last one of a union wins");
    let fixed = settings_of("fixedSettings");
    for (name, value) in settings() {
        let value = value.trim_start_matches("string(").trim_end_matches(')');
        let is_given = app.contains(&format!("\nparam {value} "));
        // A database and a collector can be somebody else's.
        let is_free = ["ledgerDatabase", "insightsConnectionString"].contains(&value);
        assert!(
            !is_given || is_free || fixed.contains_key(&name),
            "{name} is a parameter, and `settings` could say something else"
        );
    }
    // The rule that removes packages counts the days of the setting.
    let main = read("infra/main.bicep");
    assert_eq!(count(&main, "\n    packageDays: packageDays\n"), 2);
    assert_eq!(fixed["RETENTION_PACKAGE_DAYS"], "string(packageDays)");
    let storage = read("infra/modules/work-storage.bicep");
    assert!(storage.contains("daysAfterModificationGreaterThan: packageDays + 7\n"));
    for file in ["dev", "prod"] {
        let path = format!("infra/{file}.parameters.json");
        let json: Value = serde_json::from_str(&read(&path)).expect("JSON");
        let given = &json["parameters"]["settings"]["value"];
        for name in given.as_object().into_iter().flat_map(|it| it.keys()) {
            assert!(!fixed.contains_key(name), "{path}: {name} has no effect");
        }
    }
}
