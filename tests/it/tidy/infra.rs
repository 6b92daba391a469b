//! What infra/ names is what the code names: settings, queues, containers, functions; what queries count on is what
//! docs/TELEMETRY.md promises; and each alert has its section in the runbook.

use std::collections::{BTreeMap, BTreeSet};

use appcenter_dsr::config::{Config, LedgerDatabase, SqlEncryption, SqlLogin, Storage, env};
use appcenter_dsr::domain::RequestId;
use appcenter_dsr::work::names;
use appcenter_dsr::workflow::Function;
use appcenter_dsr::workflow::stage::Trigger;
use serde_json::Value;

use super::{files, quoted, read, table};

/// Settings that infra/ leaves at their defaults, or to its parameter `settings`, with the reason.
const LEFT: [(&str, &[&str]); 6] = [
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
        "a key is made once, and kept in the work storage",
        &["INDEX_KEY"],
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

/// The app settings of function-app.bicep: name and expression.
fn settings() -> BTreeMap<String, String> {
    block(
        &read("infra/modules/function-app.bicep"),
        "var appSettings = {",
        "}",
    )
    .iter()
    .map(|line| {
        let (name, value) = line.split_once(": ").expect("a name and a value");
        (name.to_owned(), value.to_owned())
    })
    .collect()
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
                text.unwrap_or_else(|| panic!("what is `{expression}`?"))
                    .to_owned()
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

/// What no check of others looks at: who gets in without a role, and what outlives its deletion.
#[test]
fn nothing_is_open_but_the_app() {
    for (file, line, count) in [
        (
            "modules/work-storage.bicep",
            "allowSharedKeyAccess: false",
            1,
        ),
        (
            "modules/work-storage.bicep",
            "allowBlobPublicAccess: false",
            1,
        ),
        (
            "modules/work-storage.bicep",
            "isVersioningEnabled: false",
            1,
        ),
        ("modules/work-storage.bicep", "publicAccess: 'None'", 2),
        (
            "modules/archive-storage.bicep",
            "allowSharedKeyAccess: keyAccess",
            1,
        ),
        (
            "modules/archive-storage.bicep",
            "allowBlobPublicAccess: false",
            1,
        ),
        (
            "modules/archive-storage.bicep",
            "isVersioningEnabled: false",
            1,
        ),
        ("modules/archive-storage.bicep", "publicAccess: 'None'", 1),
        ("main.bicep", "keyAccess: exportType == 'custom'", 1),
        ("main.bicep", "param privateNetwork bool = true", 1),
        (
            "modules/database.bicep",
            "azureADOnlyAuthentication: true",
            1,
        ),
        ("modules/secrets.bicep", "enableRbacAuthorization: true", 1),
        ("modules/monitoring.bicep", "DisableLocalAuth: true", 1),
        ("modules/monitoring.bicep", "disableLocalAuth: true", 1),
        ("modules/function-app.bicep", "type: 'UserAssigned'", 1),
        ("modules/function-app.bicep", "httpsOnly: true", 1),
        ("modules/function-app.bicep", "allow: false", 2),
    ] {
        let text = read(&format!("infra/{file}"));
        let found = text.lines().filter(|it| it.trim() == line).count();
        assert_eq!(found, count, "infra/{file}: `{line}`");
    }
    for file in ["work-storage", "archive-storage"] {
        let text = read(&format!("infra/modules/{file}.bicep"));
        for policy in ["deleteRetentionPolicy", "containerDeleteRetentionPolicy"] {
            let off = format!("    {policy}: {{\n      enabled: false\n    }}\n");
            assert!(
                text.contains(&off),
                "{file}: {policy} keeps what is deleted"
            );
        }
    }
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

#[test]
fn every_skipped_check_has_a_reason() {
    let mut count = 0;
    for file in files("infra") {
        for line in file
            .text
            .lines()
            .filter(|line| line.contains("checkov:skip"))
        {
            let (id, reason) = line
                .split_once("checkov:skip=")
                .and_then(|(_, skip)| skip.split_once(": "))
                .unwrap_or_else(|| panic!("{}: {line}", file.path));
            assert!(id.starts_with("CKV"), "{}: {line}", file.path);
            assert!(
                reason.len() > 20 && reason.ends_with('.'),
                "{}: {line}",
                file.path
            );
            count += 1;
        }
    }
    assert!(count > 0, "skips have another form: look at this test");
}

#[test]
fn azd_deploys_what_is_packaged() {
    let azd = read("azure.yaml");
    for line in [
        "  handler:",
        "    host: function",
        "    language: custom",
        "    dist: target/package/app",
        "        run: cargo xtask package",
    ] {
        assert!(
            azd.lines().any(|it| it == line),
            "azure.yaml has no line `{line}`"
        );
    }
    let app = read("infra/modules/function-app.bicep");
    assert!(
        app.contains("'azd-service-name': 'handler'"),
        "azd finds the app by this tag"
    );
    assert!(read("dev/xtask/src/package.rs").contains("target/package\""));
}

/// The queries: folder and name without ending, and text.
fn queries() -> Vec<(String, String)> {
    let queries: Vec<(String, String)> = files("infra/queries")
        .into_iter()
        .map(|file| {
            let name = file.path.trim_start_matches("infra/queries/");
            (name.trim_end_matches(".kql").to_owned(), file.text)
        })
        .collect();
    assert!(queries.len() > 10, "the queries were not found");
    queries
}

/// What stands between `open` and `close`, everywhere in a text.
fn between<'a>(text: &'a str, open: &str, close: &str) -> BTreeSet<&'a str> {
    let parts = text.split(open).skip(1);
    parts.filter_map(|part| part.split(close).next()).collect()
}

/// A table of docs/TELEMETRY.md: the names of a row's first cell, and the texts between backticks of all others.
fn telemetry(heading: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut named = BTreeMap::new();
    for row in table(&read("docs/TELEMETRY.md"), heading) {
        let others: BTreeSet<String> = row[1..].iter().flat_map(|cell| quoted(cell)).collect();
        for name in quoted(&row[0]) {
            let is_new = named.insert(name.clone(), others.clone()).is_none();
            assert!(is_new, "{name} twice in {heading}");
        }
    }
    named
}

#[test]
fn queries_count_on_what_telemetry_promises() {
    let attributes = telemetry("## Attributes");
    let sources = BTreeMap::from([
        ("AppMetrics", telemetry("## Metrics")),
        ("AppTraces", telemetry("## Events")),
    ]);
    let mut used: BTreeSet<String> = BTreeSet::new();
    for (path, text) in queries() {
        let code: String = text
            .lines()
            .filter(|line| !line.starts_with("//"))
            .flat_map(|line| [line, "\n"])
            .collect();
        let source = code.lines().next().unwrap_or_default();
        // A table that need not be there yet is the first of a fuzzy union.
        let fuzzy = source.strip_prefix("union isfuzzy=true ");
        let table = fuzzy.map_or(source, |legs| legs.split(',').next().unwrap_or_default());
        let known = sources
            .get(table)
            .unwrap_or_else(|| panic!("{path}: {table} has no names in docs/TELEMETRY.md"));
        // The metrics or events that it looks at.
        let texts = between(&code, "\"", "\"");
        let sources: Vec<&str> = texts
            .iter()
            .copied()
            .filter(|it| known.contains_key(*it))
            .collect();
        assert!(
            !sources.is_empty(),
            "{path}: no metric or event of docs/TELEMETRY.md"
        );
        used.extend(sources.iter().map(|it| (*it).to_owned()));
        let promised: BTreeSet<&String> = sources.iter().flat_map(|it| &known[*it]).collect();
        for attribute in between(&code, "Properties[\"", "\"]") {
            let is_promised = promised.iter().any(|it| *it == attribute);
            assert!(
                attribute == "event.name" || is_promised,
                "{path}: {attribute} is no attribute of {sources:?}"
            );
            assert!(
                attributes.contains_key(attribute),
                "{path}: {attribute} is in no row of ## Attributes"
            );
        }
        // Values that a column is compared with are values of its attribute.
        for line in code
            .lines()
            .filter(|line| line.contains("tostring(Properties["))
        {
            let Some((name, rest)) = line
                .strip_prefix("| extend ")
                .and_then(|it| it.split_once(" = "))
            else {
                continue;
            };
            let attribute = rest.split('"').nth(1).unwrap_or_default();
            for value in between(&code, &format!("{name} == \""), "\"") {
                let values = &attributes[attribute];
                let is_source = attribute == "event.name" && known.contains_key(value);
                assert!(
                    is_source || values.contains(value),
                    "{path}: {attribute} is never {value}"
                );
            }
        }
        // Every name of ours is one of the page.
        for text in texts {
            let is_ours = ["dsr.", "http.", "faas.", "messaging."]
                .iter()
                .any(|it| text.starts_with(it));
            let is_known = known.contains_key(text) || attributes.contains_key(text);
            assert!(
                !is_ours || is_known,
                "{path}: {text} is not in docs/TELEMETRY.md"
            );
        }
    }
    // What nobody looks at is not worth its price; these are for people who look for themselves.
    for (table, named) in &sources {
        for name in named.keys() {
            let is_for_people = name == "dsr.request.duration";
            assert!(
                is_for_people || used.contains(name),
                "no query looks at {name} ({table})"
            );
        }
    }
}

#[test]
fn attributes_of_metrics_and_events_are_explained() {
    let attributes = telemetry("## Attributes");
    for heading in ["## Metrics", "## Events"] {
        for (name, others) in telemetry(heading) {
            for attribute in others
                .iter()
                .filter(|it| it.starts_with("dsr.") || it.starts_with("faas."))
            {
                assert!(
                    attributes.contains_key(attribute),
                    "{name}: {attribute} is in no row of ## Attributes"
                );
            }
        }
    }
}

/// What a rule of `alerts.bicep` says under a name.
fn said(rule: &str, name: &str) -> String {
    let begin = format!("    {name}: ");
    let line = rule.lines().find_map(|line| line.strip_prefix(&begin));
    line.unwrap_or_else(|| panic!("no {name}"))
        .trim_matches('\'')
        .to_owned()
}

#[test]
fn alerts_are_explained() {
    let alerts = read("infra/modules/alerts.bicep");
    let mut rules = BTreeMap::new();
    for rule in alerts.split("\nmodule ").skip(1) {
        let name = said(rule, "name");
        let name = name.trim_start_matches("${name}-").to_owned();
        let query = format!("    query: loadTextContent('../queries/alerts/{name}.kql')");
        assert!(rule.contains(&query), "{name}: its query is {query}");
        rules.insert(name, (said(rule, "every"), said(rule, "window")));
    }
    let names: BTreeSet<String> = rules.keys().cloned().collect();
    let files: BTreeSet<String> = queries()
        .into_iter()
        .filter_map(|(name, _)| name.strip_prefix("alerts/").map(str::to_owned))
        .collect();
    assert_eq!(names, files, "infra/queries/alerts");
    let listed: BTreeSet<String> = table(&read("docs/RUNBOOK.md"), "## Alerts")
        .iter()
        .flat_map(|row| quoted(&row[0]))
        .collect();
    assert_eq!(names, listed, "docs/RUNBOOK.md, the table under Alerts");
    let rows = table(&read("docs/TELEMETRY.md"), "## Queries");
    assert_eq!(rows.len(), rules.len(), "docs/TELEMETRY.md, the alerts");
    for row in rows {
        let name = quoted(&row[0]).concat();
        let (every, window) = &rules[&name];
        let words = |time: &str| match time.trim_start_matches("PT") {
            hours if hours.ends_with('H') => format!("{} h", hours.trim_end_matches('H')),
            minutes => format!("{} min", minutes.trim_end_matches('M')),
        };
        let expected = format!("every {}, {} back", words(every), words(window));
        assert_eq!(row[2], expected, "docs/TELEMETRY.md: {name}");
    }
}

#[test]
fn the_subset_is_the_one_that_is_enforced() {
    let subset: Value = serde_json::from_str(&read("dev/kql/subset.json")).expect("JSON");
    let page = read("docs/TELEMETRY.md");
    for key in ["functions", "aggregates"] {
        let expected: Vec<&str> = subset[key]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let line = page
            .lines()
            .find(|line| line.starts_with(&format!("- {key} ")))
            .unwrap_or_else(|| panic!("docs/TELEMETRY.md has no line on {key}"));
        assert_eq!(quoted(line), expected, "docs/TELEMETRY.md: {key}");
    }
}

#[test]
fn actions_are_pinned_by_commit() {
    let mut count = 0;
    for file in files(".github") {
        for line in file.text.lines() {
            let Some((_, action)) = line.split_once("uses: ") else {
                continue;
            };
            let commit = action.split_once('@').map(|(_, commit)| commit);
            let commit = commit
                .and_then(|it| it.split(' ').next())
                .unwrap_or_default();
            let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(
                is_commit && action.contains(" # v"),
                "{}: {action}: a commit, and the version it is",
                file.path
            );
            count += 1;
        }
    }
    assert!(count > 0, "no action was found");
}
