//! Operations that change something, and the oddities of those that do not.

use std::collections::BTreeSet;

use appcenter_sim::{Options, Token, World};
use serde_json::json;

use crate::client::Client;

/// A start from which every report of the demo world is seen.
fn start(client: &Client) -> String {
    let at = client.sim.clock().now() - jiff::SignedDuration::from_hours(24 * 27);
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[tokio::test]
async fn a_deleted_report_is_gone_from_the_api_but_not_from_search_nor_its_group()
-> anyhow::Result<()> {
    let client = Client::demo().await?;
    let path = client.report_path("kiosk-jo-2");
    let group = path
        .split("/errors/")
        .nth(1)
        .unwrap_or("")
        .replace("errorGroups/", "");
    let before = client
        .get(&format!("/errors/errorGroups/{group}"))
        .await?
        .json();
    let answer = client.call("DELETE", &path, "").await?;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(
        (
            &body["errorsDeleted"],
            &body["attachmentsDeleted"],
            &body["blobsFailed"]
        ),
        (&json!(1), &json!(1), &json!(0)),
    );
    assert_eq!(client.get(&path).await?.status, 404);
    assert_eq!(client.call("DELETE", &path, "").await?.status, 404);
    let after = client
        .get(&format!("/errors/errorGroups/{group}"))
        .await?
        .json();
    assert_eq!(
        before["count"], after["count"],
        "no operation lowers the counter"
    );
    let guid = path
        .rsplit('/')
        .next()
        .unwrap_or("")
        .split_once('-')
        .map_or("", |it| it.1)
        .to_owned();
    let found = client
        .get(&format!("/errors/search?q={guid}"))
        .await?
        .json();
    assert_eq!(
        found["errors"].as_array().map(Vec::len),
        Some(1),
        "search takes up to 30 days"
    );
    assert_eq!(found["errors"][0]["errorGroupId"], json!(group));
    let audit = client.sim.audit();
    let expected: BTreeSet<_> = client
        .sim
        .world(|it| it.report("kiosk-jo-2"))
        .into_iter()
        .collect();
    assert_eq!(audit.deleted, expected);
    Ok(())
}

#[tokio::test]
async fn calls_that_change_need_a_body() -> anyhow::Result<()> {
    let client = Client::demo().await?;
    let id = "e589a371-ea0c-4479-9a7b-9f834adec040";
    for (method, path, body, expected) in [
        ("PUT", format!("/devices/block_logs/{id}"), "", 411),
        ("PUT", "/devices/block_logs".to_owned(), "", 411),
        (
            "PUT",
            "/devices/block_logs/not-a-uuid".to_owned(),
            "{}",
            400,
        ),
        ("PUT", "/errors/retention_settings".to_owned(), "", 411),
        (
            "PUT",
            "/errors/retention_settings".to_owned(),
            r#"{"retention_in_days":30}"#,
            400,
        ),
        ("PUT", "/errors/retention_settings".to_owned(), "{", 400),
        ("POST", "/export_configurations".to_owned(), "", 411),
        (
            "POST",
            "/export_configurations".to_owned(),
            r#"{"export_entities":["crashes"]}"#,
            400,
        ),
        (
            "POST",
            "/export_configurations".to_owned(),
            r#"{"type":"export_blob_configuration"}"#,
            400,
        ),
        (
            "POST",
            "/export_configurations/none/enable".to_owned(),
            "{}",
            404,
        ),
        (
            "PATCH",
            "/errors/errorGroups/1u".to_owned(),
            r#"{"state":"closed"}"#,
            404,
        ),
        ("DELETE", "/test_runs/none".to_owned(), "", 404),
    ] {
        let answer = client.call(method, &path, body).await?;
        assert_eq!(answer.status, expected, "{method} {path} {body}");
    }
    let audit = client.sim.audit();
    assert!(audit.blocked.is_empty() && audit.app_blocked.is_empty());
    assert!(audit.settings_changed.is_empty() && audit.configurations_changed.is_empty());
    Ok(())
}

#[tokio::test]
async fn blocks_are_noted_by_app_and_install_and_an_empty_id_blocks_the_app() -> anyhow::Result<()>
{
    let client = Client::demo().await?;
    let id = "E589A371-EA0C-4479-9A7B-9F834ADEC040";
    for _ in 0..2 {
        let path = format!("/devices/block_logs/{id}");
        assert_eq!(client.call("PUT", &path, "{}").await?.status, 200);
    }
    let audit = client.sim.audit();
    assert_eq!(audit.blocked.len(), 1);
    assert_eq!(audit.calls_of("Devices_BlockLogs").len(), 2);
    let blocked = audit.blocked.first().expect("one is");
    assert_eq!(
        (blocked.app.as_str(), blocked.install.as_str()),
        ("contoso/shop-android", id.to_lowercase().as_str())
    );
    assert!(audit.app_blocked.is_empty());
    assert_eq!(
        client
            .call("PUT", "/devices/block_logs/", "{}")
            .await?
            .status,
        200
    );
    assert_eq!(client.sim.audit().app_blocked.len(), 1);
    Ok(())
}

#[tokio::test]
async fn settings_and_states_can_be_written() -> anyhow::Result<()> {
    let client = Client::demo().await?;
    let answer = client
        .call(
            "PUT",
            "/errors/retention_settings",
            r#"{"retention_in_days":90}"#,
        )
        .await?;
    assert_eq!(answer.json(), json!({ "retention_in_days": 90 }));
    assert_eq!(
        client.get("/errors/retention_settings").await?.json()["retention_in_days"],
        90
    );
    let list = client
        .get(&format!("/errors/errorGroups?start={}", start(&client)))
        .await?
        .json();
    let group = list["errorGroups"][0]["errorGroupId"]
        .as_str()
        .unwrap_or("")
        .to_owned();
    // Clients in the wild send the state capitalised.
    let body = r#"{"state":"Closed","annotation":"known"}"#;
    let answer = client
        .call("PATCH", &format!("/errors/errorGroups/{group}"), body)
        .await?
        .json();
    assert_eq!(
        (&answer["state"], &answer["annotation"]),
        (&json!("closed"), &json!("known"))
    );
    let runs = client.get("/test_runs").await?.json();
    let run = runs[0]["id"].as_str().unwrap_or("").to_owned();
    assert_eq!(
        client
            .call("DELETE", &format!("/test_runs/{run}"), "")
            .await?
            .json()["id"],
        json!(run)
    );
    assert_eq!(client.get("/test_runs").await?.json(), json!([]));
    assert_eq!(client.sim.audit().archived_test_runs.len(), 1);
    Ok(())
}

#[tokio::test]
async fn group_states_have_a_capital_unless_something_says_otherwise() -> anyhow::Result<()> {
    let seen = World::demo_toml().replace("described_states = true\n", "");
    for (world, quirk, expected) in [
        (seen.as_str(), None, "Open"),
        (&seen, Some(false), "open"),
        (World::demo_toml(), None, "open"),
        (World::demo_toml(), Some(true), "Open"),
    ] {
        let mut options = Options::default();
        options.quirks.capital_states = quirk.or(options.quirks.capital_states);
        let client = Client::start(World::parse(world)?, options).await?;
        let list = format!("/errors/errorGroups?start={}", start(&client));
        let groups = client.get(&list).await?.json();
        assert_eq!(groups["errorGroups"][0]["state"], expected, "{quirk:?}");
    }
    Ok(())
}

#[tokio::test]
async fn the_legacy_paths_show_and_delete_the_same_reports() -> anyhow::Result<()> {
    let client = Client::demo().await?;
    let mut legacy = BTreeSet::new();
    let mut places = Vec::new();
    let groups = client.get("/crash_groups").await?.json();
    assert_eq!(groups["limited_result_set"], json!(false));
    for group in groups["crash_groups"].as_array().into_iter().flatten() {
        let group_id = group["crash_group_id"].as_str().unwrap_or("");
        assert_eq!(group_id.len(), 40);
        let crashes = client
            .get(&format!("/crash_groups/{group_id}/crashes"))
            .await?
            .json();
        for crash in crashes.as_array().into_iter().flatten() {
            let id = crash["crash_id"].as_str().unwrap_or("");
            places.push(format!("/crash_groups/{group_id}/crashes/{id}"));
            legacy.insert((
                crash["new_crash_group_id"]
                    .as_str()
                    .unwrap_or("")
                    .to_owned(),
                crash["new_crash_id"].as_str().unwrap_or("").to_owned(),
            ));
        }
    }
    let mut current = BTreeSet::new();
    let list = client
        .get(&format!(
            "/errors/errorGroups?start={}&$top=100",
            start(&client)
        ))
        .await?
        .json();
    for group in list["errorGroups"].as_array().into_iter().flatten() {
        let group_id = group["errorGroupId"].as_str().unwrap_or("");
        let path = format!(
            "/errors/errorGroups/{group_id}/errors?start={}&$top=100",
            start(&client)
        );
        let errors = client.get(&path).await?.json();
        for error in errors["errors"].as_array().into_iter().flatten() {
            assert!(!error.to_string().to_lowercase().contains("install"));
            let id = error["errorId"].as_str().unwrap_or("").to_owned();
            current.insert((group_id.to_owned(), id));
        }
    }
    assert_eq!(legacy, current);
    assert!(current.len() > 50, "{}", current.len());
    // Each API takes its own IDs alone.
    let (group, error) = current.first().expect("there are reports");
    for foreign in [
        format!("/crash_groups/{group}"),
        format!("/crash_groups/{group}/crashes/{error}"),
        format!("/crashes/{error}/attachments"),
    ] {
        assert_eq!(client.get(&foreign).await?.status, 404, "{foreign}");
    }
    let place = places.first().expect("there are crashes");
    assert_eq!(
        client.get(place).await?.status,
        201,
        "as described, for a GET"
    );
    let answer = client.call("DELETE", place, "").await?.json();
    assert_eq!(
        (&answer["crashes_deleted"], &answer["blobs_failed"]),
        (&json!(1), &json!(0))
    );
    let gone = client.get(place).await?;
    assert_eq!(gone.status, 404);
    assert!(
        gone.json()["message"].is_string(),
        "the legacy API has errors of its own form"
    );
    assert_eq!(client.sim.audit().deleted.len(), 1);
    Ok(())
}

#[tokio::test]
async fn pages_are_followed_by_a_link_that_must_be_mended() -> anyhow::Result<()> {
    let toml = World::demo_toml().replacen(
        "name = \"shop-android\"\nos",
        "name = \"shop-android\"\nnext_link_without_app = true\nos",
        1,
    );
    for (world, prefix) in [
        (
            World::demo()?,
            "/api/v0.1/apps/contoso/shop-android/errors/",
        ),
        (World::parse(&toml)?, "/api/v0.1/apps//errors/"),
    ] {
        let client = Client::start(world, Options::default()).await?;
        let mut path = format!("/errors/errorGroups?start={}&$top=3", start(&client));
        let mut ids = Vec::new();
        for _ in 0..9 {
            let page = client.get(&path).await?.json();
            for group in page["errorGroups"].as_array().into_iter().flatten() {
                ids.push(group["errorGroupId"].to_string());
            }
            let Some(link) = page["nextLink"].as_str() else {
                break;
            };
            assert!(link.starts_with(prefix), "{link}");
            let verbatim = client.call_path("GET", link, "").await?;
            assert_eq!(verbatim.status, 404, "used as it stands it leads nowhere");
            path = format!("/errors/{}", link.trim_start_matches(prefix));
        }
        assert_eq!(ids.len(), 4);
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 4);
    }
    Ok(())
}

#[tokio::test]
async fn locations_lead_to_another_host_that_needs_no_token() -> anyhow::Result<()> {
    let client = Client::demo().await?;
    let path = client.report_path("ana-pixel-2");
    let uri = client.get(&format!("{path}/location")).await?.json()["uri"]
        .as_str()
        .unwrap_or("")
        .to_owned();
    assert!(uri.starts_with(&client.sim.downloads_url()) && uri.contains("sig="));
    let raw = client.fetch(&uri, false).await?;
    let install = client
        .sim
        .world(|it| it.install_id("ana-pixel"))
        .unwrap_or_default();
    assert_eq!(raw.json()["installID"], json!(install));
    let without_signature = uri.split('?').next().unwrap_or("").to_owned();
    assert_eq!(client.fetch(&without_signature, false).await?.status, 403);
    assert_eq!(client.sim.audit().tokens_leaked, 0);
    client.fetch(&uri, true).await?;
    assert_eq!(client.sim.audit().tokens_leaked, 1);
    let list = client
        .get(&format!(
            "/errors/{}/attachments",
            path.rsplit('/').next().unwrap_or("")
        ))
        .await?
        .json();
    assert_eq!(list[0]["fileName"], json!("trace.gz"));
    client.call("DELETE", &path, "").await?;
    assert_eq!(client.fetch(&uri, false).await?.status, 404);
    let text = client
        .get(&format!(
            "{}/download?format=txt",
            client.report_path("ana-pixel-1")
        ))
        .await?;
    assert!(text.content_type.starts_with("text/plain"));
    Ok(())
}

#[tokio::test]
async fn session_logs_show_the_install_for_crashes_only() -> anyhow::Result<()> {
    let client = Client::demo().await?;
    for (report, is_crash) in [("kiosk-kim-2", true), ("kiosk-jo-1", false)] {
        let path = client.report_path(report);
        let id = path.rsplit('/').next().unwrap_or("");
        let answer = client
            .get(&format!("/errors/{id}/sessionLogs"))
            .await?
            .json();
        let logs = answer["logs"].as_array().cloned().unwrap_or_default();
        assert!(is_crash || logs.is_empty(), "{report}");
        let install = client.sim.world(|it| it.install_id("kiosk"));
        for log in logs {
            assert_eq!(log["install_id"].as_str().map(str::to_lowercase), install);
        }
        assert_eq!(
            client
                .get(&format!("/errors/{id}/session_logs"))
                .await?
                .status,
            404
        );
    }
    Ok(())
}

#[tokio::test]
async fn tokens_have_their_limits() -> anyhow::Result<()> {
    let app = Token {
        app: Some("shop-ios".to_owned()),
        ..Token::full("of-an-app")
    };
    let reader = Token {
        is_read_only: true,
        ..Token::full("of-a-reader")
    };
    let options = Options {
        tokens: vec![Token::full("full"), app, reader],
        ..Options::default()
    };
    let mut client = Client::start(World::demo()?, options).await?;
    let block = "/devices/block_logs/e589a371-ea0c-4479-9a7b-9f834adec040";
    for (token, method, path, expected) in [
        ("", "GET", "", 401),
        ("wrong", "GET", "", 401),
        ("of-an-app", "GET", "", 403),
        ("of-a-reader", "GET", "", 200),
        ("of-a-reader", "PUT", block, 403),
        ("full", "PUT", block, 200),
    ] {
        token.clone_into(&mut client.token);
        let body = if method == "PUT" { "{}" } else { "" };
        let answer = client.call(method, path, body).await?;
        assert_eq!(
            answer.status, expected,
            "{token} {method} {path}: {}",
            answer.text
        );
    }
    client.sim.set_user_token_invalid(true);
    assert_eq!(client.call_path("GET", "/v0.1/user", "").await?.status, 401);
    Ok(())
}
