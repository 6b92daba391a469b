//! Blobs of the archive that cannot be read as they should: the search goes on, and the report names them.

use std::io::Write as _;

use appcenter_dsr::storage::Container;
use appcenter_sim::World;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};
use stack::Stack;

use super::container;
use crate::api::{SMALL, document, get};
use crate::harness::{LIMIT, settings, start};

const MAX: usize = 16 * 1024 * 1024;
/// A name of which hardly a character is safe in an address.
const ODD: &str = "\u{e9} %2F #?&+' ~ \u{1f600}.txt";

async fn names(archive: &Container) -> anyhow::Result<Vec<String>> {
    let mut listing = archive.list("");
    let mut names = Vec::new();
    while let Some(page) = listing.next_page().await? {
        names.extend(page.into_iter().map(|entry| entry.name));
    }
    Ok(names)
}

fn gzip(content: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

fn zip_that_climbs(content: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for name in ["../../../records/x.json", "/etc/x", "a\\..\\..\\x", "."] {
        zip.start_file(name, options)?;
        zip.write_all(content)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Bad blobs by name, and whether some of it cannot be searched.
fn bad_blobs(row: &Value) -> anyhow::Result<Vec<(String, Vec<u8>, bool)>> {
    // Rows are told apart by their message's ID.
    let row = |n: u32| {
        let mut row = row.clone();
        row["MessageId"] = json!(format!("0b7cf1a2-5bd0-4c2c-8f36-00000000000{n}"));
        row.to_string()
    };
    let whole = format!("[{}]", row(0));
    let long = "x".repeat(3 * 1024 * 1024);
    let mut cut_off = gzip(whole.repeat(50).as_bytes())?;
    cut_off.truncate(cut_off.len() / 2);
    let mut wrong = gzip(whole.repeat(50).as_bytes())?;
    let middle = wrong.len() / 2;
    for byte in &mut wrong[middle..middle + 8] {
        *byte ^= 0xff;
    }
    let not_utf8 = [format!("[{},\"", row(2)).as_bytes(), b"\xff\xfe\x80\"]"].concat();
    let odd = format!("attachments/{ODD}");
    let blobs = [
        ("logs/empty/logs.v1.data", Vec::new(), false),
        ("logs/blank/logs.v1.data", b" \r\n\t ".to_vec(), false),
        (
            "logs/cut/logs.v1.data",
            format!("[{},\"{{\\\"a", row(1)).into_bytes(),
            false,
        ),
        ("logs/latin/logs.v1.data", not_utf8, false),
        (
            "logs/line/logs.v1.data",
            format!("[\"{long}\",{}]", row(3)).into_bytes(),
            false,
        ),
        (
            "logs/deep/logs.v1.data",
            "[".repeat(300_000).into_bytes(),
            false,
        ),
        (
            "logs/objects/logs.v1.data",
            format!("{}1", "{\"a\":".repeat(200_000)).into_bytes(),
            false,
        ),
        ("crashes/empty.json", Vec::new(), false),
        ("crashes/cut.json", b"{\"AppId\":\"".to_vec(), false),
        ("attachments/nothing.txt", Vec::new(), false),
        (
            "attachments/not-gzip.gz",
            b"this is no gzip".to_vec(),
            false,
        ),
        ("attachments/cut-off.gz", cut_off, true),
        ("attachments/wrong.gz", wrong, true),
        (
            "attachments/bomb.gz",
            gzip(&vec![b' '; 8 * 1024 * 1024])?,
            true,
        ),
        (
            "attachments/climbs.zip",
            zip_that_climbs(b"nothing of anybody")?,
            false,
        ),
        (&odd, whole.clone().into_bytes(), false),
        ("nowhere/of no stream", b"\x00\x01\x02".to_vec(), false),
    ];
    let named =
        |(name, bytes, is_unsearched): (&str, _, _)| (name.to_owned(), bytes, is_unsearched);
    Ok(blobs.into_iter().map(named).collect())
}

/// Puts the bad blobs into the folder of a minute that holds a row of the person; gives those not wholly searched.
async fn spoil(stack: &Stack) -> anyhow::Result<(Vec<String>, usize)> {
    let archive = container(stack, "archive")?;
    let mut found = None;
    for name in names(&archive).await? {
        let stored = archive.read(&name, MAX).await?.expect("it was listed");
        let Ok(Value::Array(rows)) = serde_json::from_slice(&stored.bytes) else {
            continue;
        };
        if let Some(row) = rows.iter().find(|row| row.to_string().contains("u-20417")) {
            found = Some((name, row.clone()));
            break;
        }
    }
    let (name, row) = found.expect("the archive has a row of the person");
    let (folder, _file) = name.rsplit_once('/').expect("it lies in a folder");
    let mut unsearched = Vec::new();
    let bad = bad_blobs(&row)?;
    let count = bad.len();
    for (name, bytes, is_unsearched) in bad {
        let name = format!("{folder}/{name}");
        archive
            .put(&name, bytes, "application/octet-stream")
            .await?;
        if is_unsearched {
            unsearched.push(name);
        }
    }
    unsearched.sort();
    Ok((unsearched, count))
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_blobs_are_named_and_the_search_goes_on() -> anyhow::Result<()> {
    let stack = start(World::parse(SMALL)?, settings()).await?;
    let api = &stack.api;
    let before = names(&container(&stack, "archive")?).await?.len();
    let (unsearched, added) = spoil(&stack).await?;
    let export = api.submit(&document("export", "ARCHIVE-1")?).await?;
    let erasure = api.submit(&document("delete", "ARCHIVE-2")?).await?;
    let planned = api.wait_planned(&erasure, LIMIT).await?;
    assert_eq!(planned["status"], "awaiting_approval", "{planned:#}");
    let ended = api.wait_ended(&export, LIMIT).await?;
    assert_eq!(ended["status"], "completed_with_exceptions", "{ended:#}");
    let report = get(api, &format!("/api/requests/{export}/report"))
        .await?
        .body;
    assert_eq!(report["tallies"]["reports"]["exported"], 3, "{report:#}");

    // Every blob was looked at, and those that could not be searched to their ends are named with the reason.
    let searched = &report["searched"]["contoso/shop"];
    let blobs: u64 = searched["blobs"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, count)| count.as_u64())
        .sum();
    assert_eq!(blobs, (before + added) as u64, "{searched:#}");
    let mut named: Vec<&str> = searched["not_searched"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it["blob"].as_str())
        .collect();
    named.sort_unstable();
    named.dedup();
    assert_eq!(named, unsearched, "{searched:#}");
    assert_eq!(searched["unreadable"], json!([]), "{searched:#}");
    let lines = ended["exceptions"].to_string();
    assert!(lines.contains("not_searched"), "{lines}");

    // What stands before, behind and beside the bad parts was found: the blobs that hold the person's row are known.
    let plan = api.plan(&erasure).await?.0;
    let text = plan.to_string() + &report.to_string();
    assert!(!text.contains("u-20417"), "no identifier in plan or report");
    let rows = plan["rows"][0]["rows"].as_u64().unwrap_or_default();
    assert_eq!(rows, 7 + 3, "{plan:#}");
    let unattributed: Vec<&str> = plan["unattributed"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| it["blob"].as_str()?.rsplit_once('/'))
        .map(|(_folder, file)| file)
        .collect();
    assert_eq!(unattributed, ["cut-off.gz", ODD], "{plan:#}");

    let package = api
        .send(
            Method::GET,
            &format!("/api/requests/{export}/package"),
            None,
        )
        .await?;
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(package.bytes().await?))?;
    let mut files = Vec::new();
    for n in 0..zip.len() {
        let mut file = zip.by_index(n)?;
        let name = file.name()?.into_owned();
        assert!(!name.contains("..") && !name.starts_with('/'), "{name}");
        std::io::copy(&mut file, &mut std::io::sink())?;
        files.push(name);
    }
    assert!(files.contains(&"manifest.json".to_owned()), "{files:?}");
    Ok(())
}
