//! Whole requests over the demo world.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use appcenter_sim::{ExpectedRequest, World};
use reqwest::Method;
use serde_json::Value;
use stack::Stack;

use crate::harness::{LIMIT, settings, start};

/// Runs requests of the demo world that have nothing to do with each other, at once over one archive, and holds each plan,
/// report and package, and what App Center did for all of them, against what the world expects.
async fn check(names: &[&str]) -> anyhow::Result<()> {
    let world = World::demo()?;
    let find = |name: &&str| world.request(name).expect("the demo world has it").clone();
    let requests: Vec<ExpectedRequest> = names.iter().map(find).collect();
    let stack = start(world, settings()).await?;
    let runs = requests
        .iter()
        .map(|request| Box::pin(run(&stack, request)));
    let ids = futures::future::try_join_all(runs).await?;
    let differences = stack::audit::differences(&stack.sim.audit(), &requests);
    assert!(differences.is_empty(), "{differences:#?}");
    for (request, id) in requests.iter().zip(ids) {
        check_end(&stack, &id, request).await?;
    }
    Ok(())
}

/// Files a request, holds its plan against what is expected, approves it and waits for its end.
async fn run(stack: &Stack, request: &ExpectedRequest) -> anyhow::Result<String> {
    let name = &request.name;
    let id = stack.api.submit(&request.document).await?;
    let planned = stack.api.wait_planned(&id, LIMIT).await?;
    let (plan, hash) = stack.api.plan(&id).await?;
    assert_eq!(planned["plan"]["plan_sha256"], hash.as_str(), "{name}");
    let differences = stack::audit::plan_differences(&plan, &request.expected);
    assert!(differences.is_empty(), "{name}: {differences:#?}\n{plan:#}");
    let rows = rows_to_act_on(&plan);
    assert_eq!(rows, expected_rows(request), "{name}: {plan:#}");
    if planned["status"] == "awaiting_approval" {
        stack.api.approve(&id, &[]).await?;
    }
    stack.api.wait_ended(&id, LIMIT).await?;
    Ok(id)
}

/// Holds the report of a request that has ended, and its package, against what is expected.
async fn check_end(stack: &Stack, id: &str, request: &ExpectedRequest) -> anyhow::Result<()> {
    let name = &request.name;
    let (status, report) = stack
        .api
        .json(Method::GET, &format!("/api/requests/{id}/report"), None)
        .await?;
    assert_eq!(status, 200, "{name}: {report}");
    let done = if request.is_delete() {
        "deleted"
    } else {
        "exported"
    };
    let reports = report["tallies"]["reports"][done].as_u64().unwrap_or(0);
    assert_eq!(
        reports,
        request.expected.reports.len() as u64,
        "{name}: {report:#}"
    );
    if !request.is_delete() {
        let is_whole = request.expected.held.is_empty();
        let expected = if is_whole {
            "completed"
        } else {
            "completed_with_exceptions"
        };
        let ended = stack.api.status(id).await?;
        assert_eq!(ended["status"], expected, "{name}: {report:#}");
        check_package(stack, id, request).await?;
    }
    Ok(())
}

fn expected_rows(request: &ExpectedRequest) -> BTreeMap<String, usize> {
    let rows = request.expected.rows.iter().filter(|(_, n)| **n > 0);
    rows.map(|(app, n)| (app.clone(), *n)).collect()
}

fn rows_to_act_on(plan: &Value) -> BTreeMap<String, usize> {
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    for item in plan["rows"].as_array().into_iter().flatten() {
        if item["action"] == "act" {
            let app = format!(
                "{}/{}",
                item["app"]["owner"].as_str().unwrap_or_default(),
                item["app"]["name"].as_str().unwrap_or_default()
            );
            let count = item["rows"].as_u64().unwrap_or(0);
            *rows.entry(app).or_default() += usize::try_from(count).unwrap_or(0);
        }
    }
    rows
}

/// Downloads the package and holds its rows, reports and attachments against what the world expects.
async fn check_package(stack: &Stack, id: &str, request: &ExpectedRequest) -> anyhow::Result<()> {
    let response = stack
        .api
        .send(Method::GET, &format!("/api/requests/{id}/package"), None)
        .await?;
    assert_eq!(response.status().as_u16(), 200);
    let hash = response.headers()["x-content-sha256"].to_str()?.to_owned();
    let bytes = response.bytes().await?;
    assert_eq!(appcenter_dsr::stages::planned::sha256(&bytes), hash);
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(bytes))?;
    let mut rows: BTreeMap<String, usize> = BTreeMap::new();
    let mut reports = BTreeSet::new();
    let mut attachments = 0;
    for n in 0..zip.len() {
        let mut file = zip.by_index(n)?;
        let path = file.name()?.into_owned();
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            [owner, app, _install, "log-rows.jsonl"] => {
                let count = content.iter().filter(|byte| **byte == b'\n').count();
                *rows.entry(format!("{owner}/{app}")).or_default() += count;
                for line in content
                    .split(|byte| *byte == b'\n')
                    .filter(|line| !line.is_empty())
                {
                    serde_json::from_slice::<Value>(line)?;
                }
            }
            [owner, app, _install, "reports", error, rest @ ..] => {
                reports.insert((format!("{owner}/{app}"), (*error).to_owned()));
                attachments += usize::from(rest.first() == Some(&"attachments"));
            }
            [_owner, _app, _install, "log-rows.csv"] => {}
            ["index.html" | "manifest.json" | "README.txt"] => {}
            other => panic!("an unexpected file: {other:?}"),
        }
    }
    let expected: BTreeSet<_> = request
        .expected
        .reports
        .iter()
        .map(|it| (it.app.clone(), it.error.clone()))
        .collect();
    assert_eq!(reports, expected);
    assert_eq!(attachments, request.expected.attachments.len());
    assert_eq!(rows, expected_rows(request));
    Ok(())
}

/// Requests by the tests that run them. Those of one test touch nothing in common.
macro_rules! requests {
    ($($test:ident = $names:expr;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() -> anyhow::Result<()> {
            check(&$names).await
        })*

        #[test]
        fn every_request_of_the_demo_world_is_run() -> anyhow::Result<()> {
            let world = World::demo()?;
            let named: BTreeSet<&str> = world.requests().iter().map(|it| it.name.as_str()).collect();
            let run: BTreeSet<&str> = [$(&$names[..]),*].concat().into_iter().collect();
            assert_eq!(named, run);
            Ok(())
        }
    };
}

requests! {
    exports = ["ana-export", "kim-export", "jose-export", "bo-export", "pia-export", "absent-export"];
    ana_delete = ["ana-delete"];
    ana_known_delete = ["ana-known-delete", "jo-delete", "lee-delete", "absent-delete"];
    ana_ios_delete = ["ana-ios-delete", "kim-delete", "bo-delete", "pia-delete"];
    other_deletes = ["lab-delete", "jose-delete", "ann-delete", "dee-delete"];
}
