//! The exporter on real storage (Azurite).

use std::sync::OnceLock;
use std::time::Duration;

use anyhow::Context as _;
use appcenter_sim::{Options, Sim, World};
use azurite::{Account, Azurite};
use futures::TryStreamExt as _;
use serde_json::Value;

/// An account of the one emulator of this test program.
///
/// The emulator belongs to a thread and a runtime of its own, because each test's runtime ends with its test.
fn account() -> Account {
    static AZURITE: OnceLock<Azurite> = OnceLock::new();
    let azurite = AZURITE.get_or_init(|| {
        let (give, take) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
            let azurite = runtime.block_on(Azurite::start()).expect("Azurite starts");
            give.send(azurite).expect("somebody waits for it");
            runtime.block_on(std::future::pending::<()>());
        });
        take.recv().expect("Azurite starts")
    });
    azurite.account()
}

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
    let account = account();
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
    let account = account();
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

/// A world of two apps whose exports meet in the same minutes.
const TWO_APPS: &str = r#"
name = "two"
owner = "contoso"
[[app]]
name = "one"
os = "Android"
versions = ["1.0.0"]
[[app]]
name = "two"
os = "iOS"
versions = ["1.0.0"]
[[group]]
name = "g"
app = "one"
kind = "crash"
version = "1.0.0"
exception = "E"
message = "m"
frame = "A.b (A.kt:1)"
[[install]]
name = "a"
app = "one"
[[install]]
name = "b"
app = "two"
[[event]]
install = "a"
days_ago = 2.0
name = "of one"
[[event]]
install = "b"
days_ago = 2.0
name = "of two"
[[report]]
name = "r"
group = "g"
install = "a"
days_ago = 1.0
attachments = [{ name = "log.txt", type = "text/plain", text = "hi" }]
"#;

async fn configure(sim: &Sim, app: &str, body: &Value) -> anyhow::Result<(u16, Value)> {
    let client = reqwest::Client::builder().build()?;
    let url = format!(
        "{}/v0.1/apps/contoso/{app}/export_configurations",
        sim.url()
    );
    let request = client.post(url).header("X-API-Token", sim.token());
    let reply = request.body(body.to_string()).send().await?;
    let status = reply.status().as_u16();
    Ok((status, serde_json::from_slice(&reply.bytes().await?)?))
}

fn by_connection_string(account: &str) -> Value {
    serde_json::json!({
        "type": "blob_storage_connection_string",
        "connection_string": account,
        "export_entities": ["crashes", "attachments"],
    })
}

#[tokio::test]
async fn two_apps_without_app_id_share_their_minutes() -> anyhow::Result<()> {
    let account = account();
    let sim = Sim::start(World::parse(TWO_APPS)?, Options::default()).await?;
    for app in ["one", "two"] {
        let body = by_connection_string(&account.connection_string());
        assert_eq!(configure(&sim, app, &body).await?.0, 202);
    }
    sim.tick().await;
    let names = names(&account).await?;
    let logs: Vec<&String> = names
        .iter()
        .filter(|it| it.ends_with("logs.v1.data"))
        .collect();
    assert_eq!(logs.len(), 2, "{names:?}");
    assert!(names.iter().all(|it| it.starts_with("20")), "{names:?}");
    let shared = rows(&account, logs[0]).await?;
    assert_eq!(shared.len(), 2);
    assert_ne!(shared[0]["AppId"], shared[1]["AppId"]);
    Ok(())
}

#[tokio::test]
async fn what_is_not_asked_for_is_not_exported() -> anyhow::Result<()> {
    for (entities, backfill, expected) in [
        // Analytics only, also when the name of the published how-to is used instead.
        (
            serde_json::json!({ "exportEntities": ["crashes"] }),
            true,
            2,
        ),
        (
            serde_json::json!({ "export_entities": ["crashes"] }),
            true,
            3,
        ),
        (
            serde_json::json!({ "export_entities": ["crashes", "attachments"] }),
            true,
            4,
        ),
        (
            serde_json::json!({ "export_entities": ["crashes", "no_logs"] }),
            true,
            1,
        ),
        (
            serde_json::json!({ "export_entities": ["crashes"] }),
            false,
            0,
        ),
    ] {
        let account = account();
        let sim = Sim::start(World::parse(TWO_APPS)?, Options::default()).await?;
        let mut body = by_connection_string(&account.connection_string());
        body["export_entities"] = Value::Null;
        body["backfill"] = serde_json::json!(backfill);
        for (key, value) in entities.as_object().into_iter().flatten() {
            body[key] = value.clone();
        }
        assert_eq!(configure(&sim, "one", &body).await?.0, 202);
        sim.tick().await;
        assert_eq!(
            names(&account).await?.len(),
            expected,
            "{entities} {backfill}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn exports_fail_stop_and_leave_gaps_as_the_service_does() -> anyhow::Result<()> {
    let account = account();
    let sim = Sim::start(World::parse(TWO_APPS)?, Options::default()).await?;
    let nowhere = "AccountName=x;AccountKey=YWJj;BlobEndpoint=http://127.0.0.1:9/x";
    let (status, body) = configure(&sim, "one", &by_connection_string(nowhere)).await?;
    assert_eq!(status, 400);
    let message = body["error"]["message"].as_str().unwrap_or("");
    assert!(message.starts_with("Secret validation failed"), "{message}");
    let linked = serde_json::json!({
        "type": "blob_storage_linked_subscription",
        "subscription_id": "unknown",
    });
    assert_eq!(configure(&sim, "one", &linked).await?.0, 400);
    let body = by_connection_string(&account.connection_string());
    let (status, made) = configure(&sim, "one", &body).await?;
    assert_eq!(
        (status, &made["state"]),
        (202, &serde_json::json!("Pending"))
    );
    assert!(
        !made.to_string().contains("AccountKey"),
        "no reply holds the secret"
    );
    sim.tick().await;
    sim.set_export_state("one", appcenter_sim::ExportState::Disabled);
    let install = uuid::Uuid::from_u128(1);
    let event = |name: &str| {
        let at = sim.clock().now().to_string();
        serde_json::json!([{ "type": "event", "timestamp": at, "name": name }])
    };
    sim.ingest("one", install, &event("while it was off"))?;
    sim.clock().advance(Duration::from_secs(120));
    assert_eq!(sim.tick().await.rows, 0);
    sim.set_export_state("one", appcenter_sim::ExportState::Enabled);
    sim.ingest("one", install, &event("after"))?;
    sim.clock().advance(Duration::from_secs(120));
    assert_eq!(
        sim.tick().await.rows,
        1,
        "what arrived while it was off is lost"
    );
    Ok(())
}

#[tokio::test]
async fn an_export_whose_storage_fails_for_long_is_disabled() -> anyhow::Result<()> {
    let account = account();
    let good = account.connection_string();
    let (key, _) = good
        .split_once("AccountKey=")
        .and_then(|(_, rest)| rest.split_once(';'))
        .context("it has a key")?;
    let changed = good.replace(key, "YW5vdGhlciBrZXk=");
    let sim = Sim::start(World::parse(TWO_APPS)?, Options::default()).await?;
    configure(&sim, "one", &by_connection_string(&good)).await?;
    sim.tick().await;
    let state = async || -> anyhow::Result<(Value, bool)> {
        let client = reqwest::Client::builder().build()?;
        let url = format!("{}/v0.1/apps/contoso/one/export_configurations", sim.url());
        let reply = client.get(url).header("X-API-Token", sim.token()).send();
        let list: Value = serde_json::from_slice(&reply.await?.bytes().await?)?;
        let it = &list["values"][0];
        Ok((it["state"].clone(), it["state_info"].is_string()))
    };
    let event = |name: &str| -> anyhow::Result<()> {
        let at = sim.clock().now().to_string();
        let log = serde_json::json!([{ "type": "event", "timestamp": at, "name": name }]);
        sim.ingest("one", uuid::Uuid::from_u128(1), &log)?;
        sim.clock().advance(Duration::from_mins(2));
        Ok(())
    };
    let day = Duration::from_hours(24);
    assert_eq!(state().await?, ("Enabled".into(), false));

    // What fails for a shorter time is made up for.
    sim.set_export_storage("one", &changed);
    event("while it failed")?;
    assert_eq!(sim.tick().await.rows, 0);
    assert_eq!(state().await?, ("Invalid".into(), true));
    sim.clock().advance(day / 2);
    sim.tick().await;
    assert_eq!(state().await?, ("Invalid".into(), true));
    sim.set_export_storage("one", &good);
    assert_eq!(sim.tick().await.rows, 1);
    assert_eq!(state().await?, ("Enabled".into(), false));

    // A day of it is the end, also once the storage is good again; what arrives meanwhile is lost.
    sim.set_export_storage("one", &changed);
    sim.tick().await;
    sim.clock().advance(day);
    sim.tick().await;
    assert_eq!(state().await?, ("Disabled".into(), true));
    sim.set_export_storage("one", &good);
    event("while it was off")?;
    assert_eq!(sim.tick().await.rows, 0);
    assert_eq!(state().await?, ("Disabled".into(), true));
    sim.set_export_state("one", appcenter_sim::ExportState::Enabled);
    event("after")?;
    assert_eq!(sim.tick().await.rows, 1);
    Ok(())
}

#[tokio::test]
async fn variants_hide_what_the_service_may_hide() -> anyhow::Result<()> {
    for (style, blobs, holds, lacks) in [
        (
            "blob_ids = \"no-install\"",
            "/crashes/",
            "\"CrashId\"",
            "InstallId",
        ),
        (
            "blob_ids = \"none\"\nblob_names = \"opaque\"",
            "/crashes/",
            "\"UserId\"",
            "CrashId",
        ),
        (
            "key_case = \"lower\"",
            "/crashes/",
            "\"installid\"",
            "InstallId",
        ),
        ("shape = \"lines\"", "/crashes/crashes.json", "}\n", "["),
        (
            "row_link = \"none\"",
            "/logs.v1.data",
            "\"Properties\":\"None\"",
            "/crashes/",
        ),
        (
            "row_link = \"json\"",
            "/logs.v1.data",
            "{\\\"blob\\\":",
            "\"Properties\":\"20",
        ),
        ("bom = true", "/logs.v1.data", "\u{feff}[", "\u{feff}{"),
    ] {
        let account = account();
        let world = World::parse(&format!(
            "{TWO_APPS}\n[export]\nlayout = \"WithoutAppId\"\n{style}\n"
        ))?;
        let sim = Sim::start(world, Options::default()).await?;
        sim.write_archive(&account.connection_string()).await?;
        let names = names(&account).await?;
        let last = names.iter().rfind(|it| it.contains(blobs));
        let blob = last.with_context(|| format!("{style}: {names:?}"))?;
        let blob = account.container("archive")?.blob_client(blob);
        let bytes = blob.download(None).await?.body.collect().await?;
        let text = String::from_utf8_lossy(&bytes);
        if style.contains("lines") {
            assert!(
                text.starts_with('{') && text.ends_with(holds),
                "{style}: {text}"
            );
        } else {
            assert!(
                text.contains(holds) && !text.contains(lacks),
                "{style}: {text}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_generated_world_is_written_whole() -> anyhow::Result<()> {
    let account = account();
    let world = World::generate(&appcenter_sim::Spec {
        reports: 1_000,
        person_reports: 600,
        event_rows: 2_000,
        ..appcenter_sim::Spec::default()
    })?;
    let counts = world.counts();
    let request = world.request("delete").context("it is there")?;
    assert_eq!(request.deleted().len(), 600);
    let sim = Sim::start(world, Options::default()).await?;
    let exported = sim.export_now(&account.connection_string()).await?;
    assert_eq!(
        (exported.rows, exported.reports),
        (counts.rows, counts.reports)
    );
    Ok(())
}
