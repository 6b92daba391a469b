//! The package as a whole: what is read back is what was written.

mod page;
mod segments;

use std::io::{self, Cursor, Read as _, Write};

use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

use crate::domain::plan::{Counts, Coverage, Gap, Unreadable};
use crate::domain::{AppRef, Include, Jurisdiction, RequestId};
use crate::package::{
    Error, FileAbout, Installation, LeftOut, Meta, Of, PackageWriter, Summary, What,
};

fn meta() -> Meta {
    Meta {
        request: RequestId::derive("export", "CRM-1042"),
        reference: "CRM-1042".to_owned(),
        jurisdiction: Jurisdiction::Eu,
        created_at: "2026-11-20T09:00:01Z".parse().expect("a time"),
        apps: vec![
            AppRef::new("contoso", "shop-android").expect("valid"),
            AppRef::new("contoso", "shop-ios").expect("valid"),
        ],
    }
}

fn of() -> Of {
    Of {
        app: Some(AppRef::new("contoso", "shop-android").expect("valid")),
        install_id: Some(INSTALL.parse().expect("valid")),
        // Made at 2026-11-20T08:00:00Z.
        report: Some(
            "2516071391999999999-e589a371-ea0c-4479-9a7b-9f834adec041"
                .parse()
                .expect("valid"),
        ),
    }
}

const INSTALL: &str = "e589a371-ea0c-4479-9a7b-9f834adec040";

fn summary() -> Summary {
    let day = |text: &str| text.parse().expect("a day");
    let coverage = Coverage {
        first_day: Some(day("2026-10-01")),
        last_day: Some(day("2026-11-19")),
        days: 40,
        blobs: [("logs".to_owned(), 900)].into(),
        records: 12_345,
        unreadable: vec![Unreadable {
            blob: "2026/10/01/00/00/crashes/2518-secret.json".to_owned(),
            reason: "it is truncated".to_owned(),
        }],
        gaps: vec![Gap {
            from: day("2026-10-04"),
            to: day("2026-10-05"),
            evidence: "whole days without data between days with data".to_owned(),
        }],
        ..Coverage::default()
    };
    Summary {
        counts: Counts {
            installs: 1,
            reports: 2,
            rows: 3,
            held: 4,
            unattributed: 0,
        },
        include: vec![Include::Diagnostics, Include::Analytics],
        installations: vec![Installation {
            app: AppRef::new("contoso", "shop-android").expect("valid"),
            install_id: INSTALL.parse().expect("valid"),
            reason: "a given user ID or e-mail was found on this install".to_owned(),
            found_in: vec!["InstallId of a log row".to_owned()],
        }],
        coverage: [("contoso/shop-android".to_owned(), coverage)].into(),
        held: [(
            "shared: the install shows two or more user IDs".to_owned(),
            4,
        )]
        .into(),
        collected_days: Some(7),
        unavailable: vec![LeftOut {
            what: "Session logs".to_owned(),
            reason: "App Center keeps none of <b>handled</b> errors".to_owned(),
            count: 2,
        }],
        ..Summary::default()
    }
}

fn about(what: What) -> FileAbout {
    FileAbout::new(what, "2026/11/20/09/03/logs.v1.data").of(of())
}

fn package(files: &[(&[&str], &str, What, &[u8])]) -> Vec<u8> {
    let mut package = PackageWriter::new(Vec::new(), meta());
    for (folder, name, what, content) in files {
        let mut file = package.file(folder, name, about(*what)).expect("begins");
        for part in content.chunks(7) {
            file.write_all(part).expect("a vector");
        }
        file.end().expect("ends");
    }
    let (bytes, finished) = package.finish(&summary()).expect("finishes");
    assert_eq!(finished.size, bytes.len() as u64);
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    assert_eq!(finished.sha256, super::Sha256Hex(hash).to_string());
    bytes
}

fn read(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("a zip");
    (0..archive.len())
        .map(|n| {
            let mut file = archive.by_index(n).expect("an entry");
            let name = file.name().expect("UTF-8").into_owned();
            assert!(file.enclosed_name().is_some(), "{name} climbs");
            let mut content = Vec::new();
            file.read_to_end(&mut content)
                .expect("its content, with the right CRC");
            (name, content)
        })
        .collect()
}

const FILES: &[(&[&str], &str, What, &[u8])] = &[
    (
        &["contoso_shop-android", "e589a371"],
        "log-rows.jsonl",
        What::LogRows,
        b"{\"a\":1}\n{\"a\":2}\n",
    ),
    (
        &["contoso_shop-android", "e589a371", "reports"],
        "r.json",
        What::Report,
        b"{}",
    ),
    (
        &["contoso_shop-android", "e589a371", "attachments"],
        "../../evil.html",
        What::Attachment,
        b"<script>alert(1)</script>",
    ),
    (
        &["contoso_shop-android", "e589a371", "attachments"],
        "<img src=x onerror=alert(1)>",
        What::Attachment,
        b"",
    ),
    (&[], "index.html", What::Attachment, b"not the index"),
    (&[], "manifest.json", What::Attachment, b"not the manifest"),
    (&["..", ".."], "up.txt", What::Attachment, b"up"),
];

#[test]
fn what_is_read_is_what_was_written() {
    let bytes = package(FILES);
    let files = read(&bytes);
    let names: Vec<&str> = files.iter().map(|(name, _content)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "contoso_shop-android/e589a371/log-rows.jsonl",
            "contoso_shop-android/e589a371/reports/r.json",
            "contoso_shop-android/e589a371/attachments/_._._evil.html.txt",
            "contoso_shop-android/e589a371/attachments/_img src=x onerror=alert(1)_.bin",
            "index.html.txt",
            "manifest-2.json",
            "file/file/up.txt",
            "index.html",
            "README.txt",
            "manifest.json",
        ]
    );
    for ((_, content), (_, _, _, written)) in files.iter().zip(FILES) {
        assert_eq!(content, written);
    }
}

#[test]
fn the_manifest_tells_every_file() {
    let bytes = package(FILES);
    let files = read(&bytes);
    let (_, manifest) = files.last().expect("the manifest");
    let manifest: serde_json::Value = serde_json::from_slice(manifest).expect("JSON");
    assert_eq!(manifest["schema"], 1);
    assert_eq!(manifest["reference"], "CRM-1042");
    assert_eq!(manifest["created_at"], "2026-11-20T09:00:01Z");
    let listed = manifest["files"].as_array().expect("a list");
    assert_eq!(listed.len(), files.len() - 1, "all but itself");
    for (entry, (name, content)) in listed.iter().zip(&files) {
        assert_eq!(entry["path"], name.as_str());
        assert_eq!(entry["size"], content.len());
        let hash: [u8; 32] = Sha256::digest(content).into();
        assert_eq!(entry["sha256"], super::Sha256Hex(hash).to_string());
    }
    assert_eq!(listed[2]["original_name"], "../../evil.html");
    assert!(listed[0].get("original_name").is_none());
    let searched = &manifest["searched"]["contoso/shop-android"];
    assert_eq!(searched["unreadable"]["it is truncated"], 1);
    assert_eq!(searched["gaps"][0]["from"], "2026-10-04");
    assert_eq!(
        manifest["held"]["shared: the install shows two or more user IDs"],
        4
    );
    // Blobs that could not be read may be of other people.
    assert!(!manifest.to_string().contains("secret"));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(package(FILES), package(FILES));
}

#[test]
fn an_unfinished_file_makes_the_package_void() {
    let mut package = PackageWriter::new(Vec::new(), meta());
    let mut file = package.file(&[], "a", about(What::Report)).expect("begins");
    file.write_all(b"half").expect("a vector");
    drop(file);
    let again = package.file(&[], "b", about(What::Report));
    assert!(matches!(again, Err(Error::Unfinished)));
    assert!(matches!(package.finish(&summary()), Err(Error::Unfinished)));
}

/// Fails once after so many bytes, then takes everything: what goes on after a failure must not look whole.
struct Failing {
    room: usize,
    failed: bool,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.failed && bytes.len() > self.room {
            self.failed = true;
            return Err(io::Error::other("storage is away"));
        }
        self.room = self.room.saturating_sub(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failed_write_is_never_lost() {
    for room in (0..4000).step_by(97) {
        let out = Failing {
            room,
            failed: false,
        };
        let mut package = PackageWriter::new(out, meta());
        for (folder, name, what, content) in FILES {
            let Ok(mut file) = package.file(folder, name, about(*what)) else {
                continue;
            };
            let _ = file.write_all(content);
            let _ = file.end();
        }
        if let Ok((out, _finished)) = package.finish(&summary()) {
            assert!(!out.failed, "room for {room} bytes");
        }
    }
}

/// Counts what comes, and keeps none of it.
#[derive(Default)]
struct Sink {
    bytes: u64,
    largest: usize,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len() as u64;
        self.largest = self.largest.max(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_large_file_streams() {
    // Noise that does not compress, so that what is held back would show.
    let mut noise = vec![0_u8; 64 * 1024];
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    for byte in &mut noise {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state.to_le_bytes()[3];
    }
    let mut package = PackageWriter::new(Sink::default(), meta());
    let mut file = package
        .file(&[], "big", about(What::RawLog))
        .expect("begins");
    for _ in 0..128 {
        file.write_all(&noise).expect("the sink takes all");
    }
    assert_eq!(file.written(), 8 * 1024 * 1024);
    file.end().expect("ends");
    let (sink, finished) = package.finish(&summary()).expect("finishes");
    assert!(sink.bytes > 8 * 1024 * 1024 && sink.bytes == finished.size);
    assert!(sink.largest <= 128 * 1024, "{} bytes at once", sink.largest);
}

#[test]
fn it_moves_to_the_thread_that_writes() {
    fn is_send<T: Send>() {}
    is_send::<PackageWriter<Vec<u8>>>();
    is_send::<Error>();
}
