//! The exporter on real storage (Azurite).

use std::time::Duration;

use anyhow::Context as _;
use appcenter_sim::{Options, Sim, World};
use azurite::{Account, Azurite};
use futures::TryStreamExt as _;
use serde_json::Value;

async fn names(account: &Account) -> anyhow::Result<Vec<String>> {
    let container = account.container("archive")?;
    let mut names = Vec::new();
    let mut pages = container.list_blobs(None)?;
    while let Some(blob) = pages.try_next().await? {
        names.extend(blob.name);
    }
    Ok(names)
}

async fn rows(account: &Account, name: &str) -> anyhow::Result<Vec<Value>> {
    let blob = account.container("archive")?.blob_client(name);
    let bytes = blob.download(None).await?.body.collect().await?;
    Ok(serde_json::from_slice(&bytes)?)
}

#[tokio::test]
async fn the_archive_of_the_demo_world_is_whole() -> anyhow::Result<()> {
    let azurite = Azurite::start().await?;
    let account = azurite.account();
    let world = World::demo()?;
    let counts = world.counts();
    let sim = Sim::start(world, Options::default()).await?;
    let exported = sim.export_now(&account.connection_string()).await?;
    assert_eq!(exported.rows, counts.rows);
    assert_eq!(exported.reports, counts.reports);
    let names = names(&account).await?;
    assert_eq!(names.len(), exported.blobs);
    let count = |part: &str| names.iter().filter(|it| it.contains(part)).count();
    assert_eq!(count("/crashes/") + count("/errors/"), counts.reports);
    assert_eq!(count("/attachments/"), counts.attachments);
    let mut total = 0;
    for name in names.iter().filter(|it| it.ends_with("/logs.v1.data")) {
        for row in rows(&account, name).await? {
            let row = row.as_object().context("a row is an object")?;
            assert!(row.values().all(Value::is_string), "{name}");
            let minute = row["IngressTimestamp"].as_str().unwrap_or("");
            let folder = minute[..16].replace(['-', 'T', ':'], "/");
            assert!(name.contains(&folder), "{name} {minute}");
            if matches!(
                row["MessageType"].as_str(),
                Some("ErrorLog" | "HandledErrorLog" | "ErrorAttachmentLog")
            ) {
                let link = row["Properties"].as_str().unwrap_or("");
                assert!(names.iter().any(|it| it == link), "{link}");
            }
            total += 1;
        }
    }
    assert_eq!(total, counts.rows);
    Ok(())
}

#[tokio::test]
async fn a_new_configuration_goes_from_pending_to_enabled_and_follows_the_clock()
-> anyhow::Result<()> {
    let azurite = Azurite::start().await?;
    let account = azurite.account();
    let sim = Sim::start(World::demo()?, Options::default()).await?;
    sim.subscription("sub-1", &account.connection_string());
    let client = reqwest::Client::builder().build()?;
    let path = format!(
        "{}/v0.1/apps/contoso/shop-ios/export_configurations",
        sim.url()
    );
    let body = r#"{"type":"blob_storage_linked_subscription","subscription_id":"sub-1","export_entities":["crashes","errors","attachments"],"blob_path_format_kind":"WithAppId"}"#;
    let reply = client
        .post(&path)
        .header("X-API-Token", sim.token())
        .body(body)
        .send()
        .await?;
    assert_eq!(reply.status(), 202);
    let made: Value = serde_json::from_slice(&reply.bytes().await?)?;
    assert_eq!(made["state"], "Pending");
    assert!(made["resource_group"] == "appcenter-export-shop-ios");
    let first = sim.tick().await;
    assert!(first.rows > 1000, "{first:?}");
    let one = format!("{path}/{}", made["id"].as_str().unwrap_or(""));
    let get = async || -> anyhow::Result<Value> {
        let reply = client
            .get(&one)
            .header("X-API-Token", sim.token())
            .send()
            .await?;
        Ok(serde_json::from_slice(&reply.bytes().await?)?)
    };
    assert_eq!(get().await?["state"], "Enabled");
    assert_eq!(sim.tick().await.rows, 0);
    let install = uuid::Uuid::from_u128(7);
    let at = sim.clock().now().to_string();
    let logs =
        serde_json::json!([{ "type": "event", "id": install, "timestamp": at, "name": "Late" }]);
    assert_eq!(sim.ingest("shop-ios", install, &logs)?, 1);
    assert_eq!(sim.tick().await.rows, 0, "its minute is not over");
    sim.clock().advance(Duration::from_secs(60));
    assert_eq!(sim.tick().await.rows, 1);
    Ok(())
}
