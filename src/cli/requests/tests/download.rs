//! `download`: ranges, faults, resumption, hashes.

use clap::Parser as _;
use sha2::{Digest as _, Sha256};

use super::{Cli, ID, Service, World};
use crate::cli::requests::api::{Api, Function};
use crate::cli::requests::download::Download;
use crate::cli::requests::show::hex;

fn package_world(size: usize) -> World {
    let package: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
    World {
        sha256: hex(&Sha256::digest(&package)),
        package,
        ..World::default()
    }
}

/// Downloads to a file in `folder`; whether it worked, and what was said.
async fn download(service: &Service, folder: &std::path::Path, range: u64) -> (bool, String) {
    let cli = Cli::try_parse_from(["requests", "--url", &service.url, "list"]).expect("arguments");
    let api = Api::new(&cli.requests, &|_name| None, Function::Requests).expect("api");
    let id = ID.parse().expect("an ID");
    let output = folder.join("p.zip");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let download = Download::new(&api, &id, output, false).with_range(range);
    let result = download.run(&mut out, &mut err).await;
    if let Err(failure) = &result {
        failure.print(&mut err).expect("memory takes it");
    }
    (result.is_ok(), String::from_utf8(err).expect("UTF-8"))
}

fn files(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .collect()
}

#[tokio::test]
async fn ranges_are_joined_over_faults() {
    for (size, range) in [(1, 10), (10, 10), (11, 10), (350, 64), (350, 1000)] {
        let mut world = package_world(size);
        world.faults = vec![503, 500, 0];
        let service = Service::start(world).await;
        let folder = tempfile::tempdir().expect("a folder");
        let (is_ok, err) = download(&service, folder.path(), range).await;
        assert!(is_ok, "{size} {range}: {err}");
        let bytes = std::fs::read(folder.path().join("p.zip")).expect("the file");
        assert_eq!(bytes, service.world.lock().expect("no panic").package);
        assert_eq!(files(folder.path()), ["p.zip"]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let file = std::fs::metadata(folder.path().join("p.zip")).expect("the file");
            assert_eq!(file.permissions().mode() & 0o777, 0o600);
        }
        let (is_ok, err) = download(&service, folder.path(), range).await;
        assert!(!is_ok && err.contains("--force"), "{err}");
    }
}

#[tokio::test]
async fn a_stopped_download_goes_on_where_it_was() {
    let service = Service::start(package_world(350)).await;
    let folder = tempfile::tempdir().expect("a folder");
    let package = service.world.lock().expect("no panic").package.clone();
    let sha256 = service.world.lock().expect("no panic").sha256.clone();
    let part = folder.path().join(format!("p.zip.{}.part", &sha256[..16]));
    std::fs::write(&part, &package[..123]).expect("writes");
    let (is_ok, err) = download(&service, folder.path(), 100).await;
    assert!(
        is_ok && err.contains("going on at byte 123 of 350"),
        "{err}"
    );
    let ranges: Vec<String> = service
        .calls()
        .into_iter()
        .map(|(range, _key)| range)
        .collect();
    assert_eq!(
        ranges,
        [
            "bytes=0-0",
            "bytes=123-222",
            "bytes=223-322",
            "bytes=323-349"
        ]
    );
    assert_eq!(
        std::fs::read(folder.path().join("p.zip")).expect("the file"),
        package
    );
}

#[tokio::test]
async fn a_package_with_another_hash_never_gets_its_name() {
    // A part that is wrong from an earlier time, and a service that claims a wrong hash.
    let service = Service::start(package_world(350)).await;
    let sha256 = service.world.lock().expect("no panic").sha256.clone();
    let folder = tempfile::tempdir().expect("a folder");
    let part = folder.path().join(format!("p.zip.{}.part", &sha256[..16]));
    std::fs::write(&part, "wrong").expect("writes");
    let (is_ok, err) = download(&service, folder.path(), 100).await;
    assert!(!is_ok && err.contains("does not fit its SHA-256"), "{err}");
    assert!(files(folder.path()).is_empty());
    let (is_ok, err) = download(&service, folder.path(), 100).await;
    assert!(is_ok, "{err}");

    let mut world = package_world(350);
    world.sha256 = "0".repeat(64);
    let service = Service::start(world).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (is_ok, _err) = download(&service, folder.path(), 100).await;
    assert!(!is_ok && files(folder.path()).is_empty());
}

#[tokio::test]
async fn what_cannot_be_checked_or_does_not_recover_is_refused() {
    let mut world = package_world(350);
    world.sha256 = "none".to_owned();
    let service = Service::start(world).await;
    let folder = tempfile::tempdir().expect("a folder");
    let (is_ok, err) = download(&service, folder.path(), 100).await;
    assert!(!is_ok && err.contains("no SHA-256"), "{err}");

    for (faults, calls) in [
        (vec![404], 1),
        (vec![401], 1),
        (vec![503; 20], 6),
        (vec![200], 1),
    ] {
        let mut world = package_world(350);
        world.faults = faults.clone();
        let service = Service::start(world).await;
        let (is_ok, _err) = download(&service, folder.path(), 100).await;
        assert!(!is_ok, "{faults:?}");
        assert_eq!(service.calls().len(), calls, "{faults:?}");
    }
}
