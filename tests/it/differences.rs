//! Where the seeds and the service's description differ from the service as it is: a scenario for each difference that a
//! client can meet, in `tests/scenarios/differences`. Each runs a request of a small world to its exact end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::ensure;
use appcenter_dsr::domain::plan::Plan;
use appcenter_sim::{ExportState, Fault, Options, Quirks, World};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::Value;

use crate::faults::{LOST, SMALL};
use crate::pump::{Disturb, Pump};

/// Differences of texts alone: what a parameter is called in a path, a header's case, a sentence out of place.
const OF_TEXTS: [u8; 3] = [3, 20, 32];
/// How many differences are known (they are numbered from 1).
const KNOWN: u8 = 34;
/// Runs at once.
const PARALLEL: usize = 4;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// Which differences it is about.
    differences: Vec<u8>,
    /// What it shows.
    #[expect(dead_code, reason = "it is for readers of the file")]
    what: String,
    /// The world.
    #[serde(default)]
    world: WorldOf,
    /// Its request.
    request: String,
    /// Changes of the world's text.
    #[serde(default)]
    replace: Vec<[String; 2]>,
    /// Whether App Center exports already, with everything.
    #[serde(default = "yes")]
    exported: bool,
    /// What has become of that export.
    #[serde(default)]
    export_state: Option<Became>,
    /// Settings of the product. `$ARCHIVE` is the connection string of the archive, `$API` the service's address.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    #[serde(default)]
    quirks: Oddities,
    /// What an operator sent to the service before.
    #[serde(default)]
    operator: Vec<Sent>,
    #[serde(default)]
    fault: Vec<Fault>,
    #[serde(default)]
    expect: Expect,
}

/// A world of the scenarios.
#[derive(Debug, Default, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WorldOf {
    /// One app, two days, a person who is not known by install.
    #[default]
    Small,
    /// Its archive does not tell the reports' IDs.
    Lost,
}

fn yes() -> bool {
    true
}

/// A state that an export came to.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Became {
    Disabled,
    Invalid,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Oddities {
    capital_states: Option<bool>,
    page_limit: Option<usize>,
    raw_install_key: Option<String>,
    pending_ticks: Option<u32>,
    test_lists: bool,
    reach_days: Option<u16>,
    limited_results: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    method: String,
    /// Below the app.
    path: String,
    body: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Expect {
    /// Operations that are called.
    called: Vec<String>,
    /// Operations that are not.
    not_called: Vec<String>,
    /// Operations that are called once.
    once: Vec<String>,
    /// What the report or the plan says.
    says: Vec<String>,
    /// What the report and the plan say, each.
    says_both: Vec<String>,
    /// What the package's page says.
    page: Vec<String>,
    /// What documents of the package hold: a JSON pointer, and a text in what it points to.
    holds: Vec<[String; 2]>,
    /// Names of files in the package, as they end.
    files: Vec<String>,
}

fn scenarios() -> Vec<(String, Scenario)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios/differences");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut all: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("it can be read").path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            let text = std::fs::read_to_string(&path).expect("it can be read");
            let scenario = toml::from_str(&text);
            let scenario = scenario.unwrap_or_else(|error| panic!("{name}: {error}"));
            (name.into_owned(), scenario)
        })
        .collect();
    all.sort_by(|(name, _), (other, _)| name.cmp(other));
    all
}

async fn start(scenario: &Scenario) -> anyhow::Result<Pump> {
    let mut text = match scenario.world {
        WorldOf::Small => SMALL,
        WorldOf::Lost => LOST,
    }
    .to_owned();
    for [from, to] in &scenario.replace {
        ensure!(text.contains(from.as_str()), "the world has no `{from}`");
        text = text.replace(from, to);
    }
    let oddities = &scenario.quirks;
    let usual = Quirks::default();
    let quirks = Quirks {
        capital_states: oddities.capital_states,
        page_limit: oddities.page_limit.unwrap_or(usual.page_limit),
        raw_install_key: oddities.raw_install_key.clone().or(usual.raw_install_key),
        pending_ticks: oddities.pending_ticks.unwrap_or(usual.pending_ticks),
        test_lists: oddities.test_lists,
        reach_days: oddities.reach_days,
        limited_results: oddities.limited_results,
        ..usual
    };
    let options = Options {
        quirks,
        ..Options::default()
    };
    let mut pump = Pump::start_with(World::parse(&text)?, options).await?;
    let archive = pump.account.connection_string();
    let api = pump.sim.url();
    let fill = |text: &str| text.replace("$ARCHIVE", &archive).replace("$API", &api);
    pump.sim
        .subscription("00000000-0000-4000-8000-000000000001", &archive);
    if scenario.exported {
        pump.sim.export_now(&archive).await?;
    }
    if let Some(state) = scenario.export_state {
        let state = match state {
            Became::Disabled => ExportState::Disabled,
            Became::Invalid => ExportState::Invalid,
        };
        pump.sim.set_export_state("shop", state);
    }
    for sent in &scenario.operator {
        let url = format!("{api}/v0.1/apps/contoso/shop/{}", sent.path);
        let client = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let answer = client
            .request(sent.method.parse()?, url)
            .header("X-API-Token", pump.sim.token())
            .header("content-type", "application/json")
            .body(fill(&sent.body))
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        pump.sim.tick().await;
    }
    for (name, value) in &scenario.settings {
        pump.set(name, &fill(value));
    }
    for fault in &scenario.fault {
        pump.sim.faults().add(fault.clone());
    }
    Ok(pump)
}

/// Runs a scenario; how it ended otherwise than it must.
async fn run(scenario: &Scenario) -> anyhow::Result<()> {
    let pump = start(scenario).await?;
    let before = pump.sim.audit().calls.len();
    let (request, released) = pump.asked(&scenario.request);
    let disturb = Disturb::nothing();
    let ran = pump.run_ticking(&request.document, &released, &disturb);
    let record = Box::pin(ran).await?;
    let audit = pump.sim.audit();
    let differences = stack::audit::differences(&audit, [&request]);
    ensure!(differences.is_empty(), "{differences:#?}\n{record:#?}");
    ensure!(audit.app_blocked.is_empty() && audit.tokens_leaked == 0);
    // Also of an export, which changes nothing: the same installs and reports as the world expects.
    let planned = pump.plan(&record.id).await?;
    let plan: Plan = serde_json::from_value(planned.clone())?;
    let found: BTreeSet<String> = plan
        .reports
        .iter()
        .map(|it| it.error_id.to_string())
        .collect();
    let reports = request.expected.reports.iter();
    let expected: BTreeSet<String> = reports.map(|it| it.error.clone()).collect();
    let guids = |ids: &BTreeSet<String>| -> BTreeSet<String> {
        ids.iter()
            .map(|id| id[id.len().saturating_sub(36)..].to_owned())
            .collect()
    };
    ensure!(
        guids(&found) == guids(&expected),
        "{found:?} instead of {expected:?}"
    );
    let calls = |operation: &String| {
        let calls = &audit.calls[before..];
        calls
            .iter()
            .filter(|call| call.operation_id == *operation)
            .count()
    };
    let expect = &scenario.expect;
    for operation in &expect.called {
        ensure!(calls(operation) > 0, "{operation} was not called");
    }
    for operation in &expect.not_called {
        ensure!(calls(operation) == 0, "{operation} was called");
    }
    for operation in &expect.once {
        let n = calls(operation);
        ensure!(n == 1, "{operation} was called {n} times");
    }
    let report = pump.report(&record).await?;
    let text = format!("{report}{planned}");
    for says in &expect.says {
        ensure!(
            text.contains(says.as_str()),
            "the report does not say `{says}`: {report:#}"
        );
    }
    for says in &expect.says_both {
        for text in [report.to_string(), planned.to_string()] {
            ensure!(text.contains(says.as_str()), "not said: `{says}`: {text}");
        }
    }
    let package = pump.package(&record).await?;
    ensure!(package.is_some() || expect.page.is_empty());
    ensure!(package.is_some() == (request.document["kind"] == "export"));
    if let Some(bytes) = package {
        let page = page(&bytes)?;
        for says in &expect.page {
            ensure!(
                page.contains(says.as_str()),
                "the page does not say `{says}`: {page}"
            );
        }
        let documents = documents(&bytes)?;
        for [pointer, text] in &expect.holds {
            let mut found = documents.iter().filter_map(|it| it.pointer(pointer));
            let is_held = found.any(|it| it.to_string().contains(text.as_str()));
            ensure!(is_held, "no document holds `{text}` at {pointer}");
        }
        let names = names(bytes)?;
        let attachments = request.expected.attachments.iter();
        for name in attachments.map(|(_, name)| name).chain(&expect.files) {
            let is_there = names.iter().any(|it| it.contains(name.as_str()));
            ensure!(is_there, "`{name}` is not in the package: {names:?}");
        }
    }
    Ok(())
}

/// The first page of a package.
fn page(bytes: &[u8]) -> anyhow::Result<String> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    Ok(std::io::read_to_string(zip.by_name("index.html")?)?)
}

/// Every JSON document in a package.
fn documents(bytes: &[u8]) -> anyhow::Result<Vec<Value>> {
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let mut documents = Vec::new();
    for index in 0..zip.len() {
        let file = zip.by_index(index)?;
        if file.name()?.ends_with(".json") {
            documents.push(serde_json::from_reader(file)?);
        }
    }
    Ok(documents)
}

/// Every name in a package.
fn names(bytes: Vec<u8>) -> anyhow::Result<Vec<String>> {
    let zip = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let names = zip.file_names().map(|name| Ok(name?.into_owned()));
    names.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_is_met() -> anyhow::Result<()> {
    let scenarios = scenarios();
    let runs = scenarios.iter().map(|(name, scenario)| async move {
        let end = Box::pin(run(scenario)).await;
        end.err().map(|error| format!("{name}: {error:#}"))
    });
    let failed: Vec<String> = futures::stream::iter(runs)
        .buffer_unordered(PARALLEL)
        .filter_map(|fault| async { fault })
        .collect()
        .await;
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    Ok(())
}

#[test]
fn every_difference_has_a_scenario() {
    let mut met: BTreeSet<u8> = OF_TEXTS.into();
    for (name, scenario) in scenarios() {
        assert!(!scenario.differences.is_empty(), "{name}");
        met.extend(scenario.differences);
    }
    assert_eq!(met, (1..=KNOWN).collect());
}

/// A field that is misspelt must not make a scenario expect less.
#[test]
fn unknown_fields_are_refused() {
    let text = "differences = [1]\nwhat = \"x\"\nrequest = \"delete\"\n[expect]\ncaled = []\n";
    assert!(toml::from_str::<Scenario>(text).is_err());
    let _: Value = toml::from_str(text).expect("it is TOML");
}
