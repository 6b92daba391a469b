//! Whole requests over the demo world.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;

use appcenter_sim::{ExpectedRequest, World};
use reqwest::Method;
use serde_json::Value;
use stack::Stack;

use crate::harness::{LIMIT, settings, start};

/// Runs one request of the demo world and holds plan, audit, report and package against what the world expects.
async fn check(name: &str) -> anyhow::Result<()> {
    let world = World::demo()?;
    let request = world.request(name).expect("the demo world has it").clone();
    let stack = start(world, settings()).await?;
    let id = stack.api.submit(&request.document).await?;
    let planned = stack.api.wait_planned(&id, LIMIT).await?;
    let (plan, hash) = stack.api.plan(&id).await?;
    assert_eq!(planned["plan"]["plan_sha256"], hash.as_str());
    let differences = stack::audit::plan_differences(&plan, &request.expected);
    assert!(differences.is_empty(), "{differences:#?}\n{plan:#}");
    assert_eq!(rows_to_act_on(&plan), expected_rows(&request), "{plan:#}");
    if planned["status"] == "awaiting_approval" {
        stack.api.approve(&id, &[]).await?;
    }
    let ended = stack.api.wait_ended(&id, LIMIT).await?;
    let differences = stack::audit::differences(&stack.sim.audit(), [&request]);
    assert!(differences.is_empty(), "{differences:#?}");
    let (status, report) = stack
        .api
        .json(Method::GET, &format!("/api/requests/{id}/report"), None)
        .await?;
    assert_eq!(status, 200, "{report}");
    let done = if request.is_delete() {
        "deleted"
    } else {
        "exported"
    };
    let reports = report["tallies"]["reports"][done].as_u64().unwrap_or(0);
    assert_eq!(reports, request.expected.reports.len() as u64, "{report:#}");
    if !request.is_delete() {
        let is_whole = request.expected.held.is_empty();
        let expected = if is_whole {
            "completed"
        } else {
            "completed_with_exceptions"
        };
        assert_eq!(ended["status"], expected, "{report:#}");
        check_package(&stack, &id, &request).await?;
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

macro_rules! requests {
    ($($test:ident = $name:literal;)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $test() -> anyhow::Result<()> {
            check($name).await
        })*

        #[test]
        fn every_request_of_the_demo_world_is_run() -> anyhow::Result<()> {
            let world = World::demo()?;
            let named: Vec<&str> = world.requests().iter().map(|it| it.name.as_str()).collect();
            assert_eq!(named, [$($name),*]);
            Ok(())
        }
    };
}

requests! {
    ana_delete = "ana-delete";
    ana_export = "ana-export";
    ana_known_delete = "ana-known-delete";
    ana_ios_delete = "ana-ios-delete";
    jo_delete = "jo-delete";
    kim_delete = "kim-delete";
    kim_export = "kim-export";
    lee_delete = "lee-delete";
    lab_delete = "lab-delete";
    jose_delete = "jose-delete";
    jose_export = "jose-export";
    ann_delete = "ann-delete";
    bo_delete = "bo-delete";
    bo_export = "bo-export";
    dee_delete = "dee-delete";
    pia_delete = "pia-delete";
    pia_export = "pia-export";
    absent_delete = "absent-delete";
    absent_export = "absent-export";
}
