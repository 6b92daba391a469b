//! The keyed index of finished days: it spares reads, and changes nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use appcenter_sim::World;
use azure_storage_blob::BlobContainerClient;
use azure_storage_blob::models::BlobContainerClientListBlobsOptions;
use futures::TryStreamExt as _;
use serde_json::{Value, json};

use crate::kill_at::KillAt;
use crate::pump::{Disturb, Pump};

const SMALL: &str = include_str!("../scenarios/small.toml");
const APP: &str = "contoso/shop";
/// Until the world's days are finished.
const LATER: Duration = Duration::from_secs(5 * 24 * 3600);
/// Of nobody.
const STRANGER: &str = "u-77310-nobody";

/// A pump over the world whose days get an index, or not.
async fn pump(key: &str) -> anyhow::Result<Pump> {
    let mut pump = Pump::start(World::parse(SMALL)?).await?.patient();
    pump.set("INDEX_KEY", key);
    pump.clock.advance(LATER);
    Ok(pump)
}

/// An export of who has this user ID; its report.
async fn export(pump: &Pump, reference: &str, user: &str) -> anyhow::Result<Value> {
    let export = pump.sim.world(|world| world.request("export").cloned());
    let mut document = export.context("the world has it")?.document;
    document["reference"] = reference.into();
    document["subject"] = json!({ "user_ids": [user] });
    let record = pump.run(&document, &Disturb::nothing()).await?;
    pump.report(&record).await
}

fn searched(report: &Value) -> &Value {
    &report["searched"][APP]
}

/// What was searched of the archive: blobs, and those of them that were passed over.
fn blobs(report: &Value) -> (u64, u64) {
    let searched = searched(report);
    let all = searched["blobs"].as_object().into_iter().flatten();
    // What an earlier request fetched by API is read each time.
    let all = all.filter(|(stream, _)| *stream != "collected");
    let all = all.filter_map(|(_, count)| count.as_u64()).sum();
    (all, searched["passed_over"].as_u64().unwrap_or(0))
}

/// Blobs under a prefix and their lengths.
async fn under(
    container: &BlobContainerClient,
    prefix: &str,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let options = BlobContainerClientListBlobsOptions {
        prefix: Some(prefix.to_owned()),
        ..BlobContainerClientListBlobsOptions::default()
    };
    let blobs = container.list_blobs(Some(options))?;
    let blobs = blobs.map_ok(|blob| {
        let length = blob.properties.and_then(|it| it.content_length);
        (blob.name.unwrap_or_default(), length.unwrap_or(0))
    });
    Ok(blobs.try_collect().await?)
}

async fn indexes(pump: &Pump) -> anyhow::Result<BTreeMap<String, u64>> {
    under(&pump.account.container("dsr")?, "index/").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_day_is_read_once() -> anyhow::Result<()> {
    let (plain, pump) = (pump("").await?, pump("a key").await?);
    let expected = export(&plain, "PLAIN", "u-20417").await?;
    assert!(
        indexes(&plain).await?.is_empty(),
        "without a key there is none"
    );

    // The pass that makes the index finds what any other would. Its later steps read what may hold the person.
    let first = export(&pump, "FIRST", "u-20417").await?;
    let days = indexes(&pump).await?;
    assert_eq!(days.len(), 2, "{days:?}");
    let again = export(&pump, "AGAIN", "u-20417").await?;
    assert_eq!(searched(&first), searched(&expected));
    for report in [&first, &again] {
        let found = report["reports"].as_array().map_or(0, Vec::len);
        assert_eq!(found, expected["reports"].as_array().map_or(0, Vec::len));
        for what in ["reports", "days", "unreadable", "not_searched"] {
            assert_eq!(searched(report)[what], searched(&expected)[what], "{what}");
        }
    }
    let (all, passed_over) = blobs(&again);
    assert_eq!(blobs(&first), (all, 0));
    assert!((1..all).contains(&passed_over), "{passed_over} of {all}");
    let read_all = export(&plain, "AGAIN", "u-20417").await?;
    assert_eq!(searched(&again)["records"], searched(&read_all)["records"]);
    assert!(searched(&again)["bytes"].as_u64() < searched(&read_all)["bytes"].as_u64());

    let nobody = export(&pump, "NOBODY", STRANGER).await?;
    let (of_nobody, passed_over) = blobs(&nobody);
    assert_eq!(of_nobody, all);
    assert!(passed_over + 1 >= all, "{passed_over} of {all}");
    assert_eq!(nobody["reports"], json!([]));
    for what in ["reports", "records"] {
        assert_eq!(searched(&nobody)[what], searched(&again)[what], "{what}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_was_written_again_is_read_again() -> anyhow::Result<()> {
    let pump = pump("a key").await?;
    export(&pump, "FIRST", STRANGER).await?;
    let archive = pump.account.container("archive")?;
    let mut is_changed = false;
    for name in under(&archive, "").await?.into_keys() {
        let blob = archive.blob_client(&name);
        let text = blob.download(None).await?.body.collect().await?;
        let text = String::from_utf8_lossy(&text);
        if !is_changed && name.ends_with("logs.v1.data") && text.contains("u-20417") {
            let text = text.replace("u-20417", STRANGER);
            blob.upload(bytes::Bytes::from(text).into(), None).await?;
            is_changed = true;
        }
    }
    assert!(is_changed, "no row of a user");
    let found = export(&pump, "CHANGED", STRANGER).await?;
    assert!(
        found["installs"]
            .as_array()
            .is_some_and(|it| !it.is_empty()),
        "{found:#}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_cannot_be_used_is_made_again() -> anyhow::Result<()> {
    let mut pump = pump("a key").await?;
    let first = export(&pump, "FIRST", STRANGER).await?;
    let (all, _) = blobs(&first);
    let work = pump.account.container("dsr")?;
    for name in indexes(&pump).await?.into_keys() {
        let garbage = bytes::Bytes::from_static(b"DSRIDX1\nnot an index");
        work.blob_client(&name).upload(garbage.into(), None).await?;
    }
    let damaged = export(&pump, "DAMAGED", STRANGER).await?;
    assert_eq!(blobs(&damaged), (all, 0));
    let mended = export(&pump, "MENDED", STRANGER).await?;
    assert!(blobs(&mended).1 > 0);
    // Of another key it is none.
    pump.set("INDEX_KEY", "another key");
    let other = export(&pump, "OTHER", STRANGER).await?;
    assert_eq!(blobs(&other), (all, 0));
    assert!(blobs(&export(&pump, "AGAIN", STRANGER).await?).1 > 0);

    // A day that has no data any more has no index either.
    let archive = pump.account.container("archive")?;
    let days = indexes(&pump).await?;
    let (index, _) = days.first_key_value().context("there are indexes")?;
    let day = index
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .replace('-', "/");
    for name in under(&archive, "")
        .await?
        .into_keys()
        .filter(|name| name.contains(&day))
    {
        archive.blob_client(&name).delete(None).await?;
    }
    export(&pump, "GONE", STRANGER).await?;
    let left = indexes(&pump).await?;
    assert_eq!(left.len() + 1, days.len());
    assert!(!left.contains_key(index));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_beside_an_index_loses_nothing() -> anyhow::Result<()> {
    // Where the writes of indexes are.
    let pump = pump("a key").await?;
    let (request, _) = pump.asked("delete");
    let count = KillAt::never();
    let disturb = Disturb {
        deliveries: 1,
        probe: count.clone(),
    };
    pump.run(&request.document, &disturb).await?;
    let names = count.names();
    let writes = names
        .iter()
        .enumerate()
        .filter(|(_, name)| name.ends_with(": an index"));
    let writes: Vec<usize> = writes.map(|(at, _)| at).collect();
    assert!(!writes.is_empty(), "{names:?}");
    for place in writes.into_iter().flat_map(|at| [(at, false), (at, true)]) {
        let pump = self::pump("a key").await?;
        let (request, _) = pump.asked("delete");
        let probe = KillAt::each([place]);
        let disturb = Disturb {
            deliveries: 1,
            probe,
        };
        let record = pump.run(&request.document, &disturb).await?;
        let differences = stack::audit::differences(&pump.sim.audit(), [&request]);
        assert!(
            differences.is_empty(),
            "{place:?}: {differences:#?}\n{record:#?}"
        );
    }
    Ok(())
}
