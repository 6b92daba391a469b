//! `appcenter-dsr search` over a container, by its address.

use std::process::Stdio;

use azure_storage_blob::models::BlobClientUploadOptions;
use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::Value;
use sha2::Sha256;

use crate::harness::azurite;

const ROW: &str = r#"{"InstallId":"e589a371-ea0c-4479-9a7b-9f834adec040","UserId":"u-20417"}"#;

/// Runs the command; its exit code, lines and messages.
async fn search(
    environment: &[(&str, &str)],
    address: &str,
) -> anyhow::Result<(Option<i32>, Vec<Value>, String)> {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_appcenter-dsr"))
        .args(["search", "--user-id", "u-20417", address])
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await?;
    let lines = String::from_utf8(output.stdout)?;
    let lines = lines.lines().map(serde_json::from_str);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>()?;
    let messages = String::from_utf8(output.stderr)?;
    Ok((output.status.code(), lines, messages))
}

/// A signature that reads and lists a container, as documented for versions from 2020-12-06 on.
fn signature(account: &str, key: &str, container: &str) -> anyhow::Result<String> {
    let (version, expiry) = ("2021-12-02", "2099-01-01T00:00:00Z");
    let resource = format!("/blob/{account}/{container}");
    let text = [
        "rl",
        "",
        expiry,
        &resource,
        "",
        "",
        "https,http",
        version,
        "c",
        "",
        "",
        "",
        "",
        "",
        "",
        "",
    ]
    .join("\n");
    let engine = base64::engine::general_purpose::STANDARD;
    let mut mac = Hmac::<Sha256>::new_from_slice(&engine.decode(key)?)?;
    mac.update(text.as_bytes());
    let signed = engine.encode(mac.finalize().into_bytes());
    let pairs = [
        ("sv", version),
        ("sr", "c"),
        ("sp", "rl"),
        ("se", expiry),
        ("spr", "https,http"),
        ("sig", &signed),
    ];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    Ok(query.extend_pairs(pairs).finish())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_by_its_address() -> anyhow::Result<()> {
    let azurite = azurite().await;
    let account = azurite.account();
    let container = account.container("archive")?;
    container.create(None).await?;
    let mut large = "x".repeat(5 * 1024 * 1024);
    large.push_str(" u-20417 ");
    for (name, text) in [
        ("2026/11/20/logs.v1.data", format!("[{{}},{ROW}]")),
        ("2026/11/21/logs.v1.data", "[{}]".to_owned()),
        ("2027/large.txt", large),
    ] {
        let options = BlobClientUploadOptions::default();
        let blob = container.blob_client(name);
        let bytes = bytes::Bytes::from(text);
        blob.upload(bytes.into(), Some(options)).await?;
    }
    let address = format!("{}/archive", account.blob_endpoint().trim_end_matches('/'));
    let query = signature(account.name(), account.key(), "archive")?;
    let connection = account.connection_string();
    let nobody: &[(&str, &str)] = &[("ARCHIVE_STORAGE", ""), ("AzureWebJobsStorage", "")];
    let ours: &[(&str, &str)] = &[("ARCHIVE_STORAGE", &connection)];
    for (environment, address) in [
        (nobody, format!("{address}?{query}")),
        (ours, address.clone()),
    ] {
        let (code, lines, messages) = search(environment, &address).await?;
        assert_eq!(code, Some(0), "{messages}");
        assert_eq!(lines.len(), 2, "{lines:?}");
        let plain = address.split('?').next().unwrap_or_default();
        assert_eq!(lines[0]["blob"], format!("{plain}/2026/11/20/logs.v1.data"));
        assert_eq!(lines[0]["record"], 1);
        assert_eq!(lines[1]["blob"], format!("{plain}/2027/large.txt"));
    }
    // A folder of it, a blob of it, and nothing of it.
    for (rest, code, found) in [
        ("2026/11/20", 0, 1),
        ("2026/11/20/logs.v1.data", 0, 1),
        ("2026/11/21/", 1, 0),
        ("2025", 2, 0),
    ] {
        let (ended, lines, messages) = search(ours, &format!("{address}/{rest}")).await?;
        assert_eq!(
            (ended, lines.len()),
            (Some(code), found),
            "{rest}: {messages}"
        );
    }
    // Without rights it says what to do, and no secret.
    let wrong = query.replace("sig=", "sig=AAAA");
    for address in [address.clone(), format!("{address}?{wrong}")] {
        let (code, lines, messages) = search(nobody, &address).await?;
        assert_eq!((code, lines.len()), (Some(2), 0), "{messages}");
        assert!(
            messages.contains("signature that may read and list"),
            "{messages}"
        );
        assert!(!messages.contains("sig="), "{messages}");
    }
    Ok(())
}

/// The command as users run it: what it finds with an index is what it finds without.
#[tokio::test]
async fn an_index_of_a_folder() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    for minute in 0..30 {
        let path = data.join(format!("2024/05/06/07/{minute:02}"));
        std::fs::create_dir_all(&path)?;
        let row = match minute {
            7 => ROW,
            _ => r#"{"InstallId":"0d9f6d0a-5a5e-4a7e-9c1d-3b1c5a9d7e20","UserId":"u-20418"}"#,
        };
        std::fs::write(path.join("logs.v1.data"), format!("[{row},{{}}]"))?;
    }
    // A file that was changed a moment ago is not taken in.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    let search = async |key: &str, arguments: &[&str]| {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_appcenter-dsr"))
            .args(["search", "--user-id", "u-20417", "--stats"])
            .args(arguments)
            .arg(&data)
            .env("INDEX_KEY", key)
            .stdin(Stdio::null())
            .output()
            .await
    };
    let index = folder.path().join("index");
    let index = ["--index", index.to_str().unwrap_or_default()];
    let plain = search("", &[]).await?;
    assert_eq!(plain.status.code(), Some(0));
    for (said, least) in [("30 files indexed, 1 days written", 0), ("", 20)] {
        let ran = search("the key of a test", &index).await?;
        let err = String::from_utf8(ran.stderr)?;
        assert_eq!(ran.status.code(), Some(0), "{err}");
        assert_eq!(ran.stdout, plain.stdout, "{err}");
        let passed = err.split("blobs_passed_over=").nth(1);
        let passed = passed.and_then(|rest| rest.split(' ').next());
        let passed: u64 = passed.unwrap_or_default().parse()?;
        assert!(err.contains(said) && passed >= least, "{err}");
    }
    let refused = search("", &index).await?;
    let err = String::from_utf8(refused.stderr)?;
    assert_eq!(refused.status.code(), Some(2), "{err}");
    assert!(err.contains("INDEX_KEY"), "{err}");
    Ok(())
}
