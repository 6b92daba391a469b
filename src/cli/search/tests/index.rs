//! With an index the search finds what it finds without one, and reads less.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::clock::ShiftedClock;

const KEY: &str = "the key of a test";

/// A folder of days, and one for the index.
struct Archive {
    folder: tempfile::TempDir,
    clock: ShiftedClock,
    key: &'static str,
}

/// What a run gave.
#[derive(Debug)]
struct Ran {
    code: u8,
    out: String,
    err: String,
    /// The numbers of `--stats`.
    stats: BTreeMap<String, u64>,
}

impl Archive {
    /// Of a few days with a few files each.
    fn new() -> Self {
        let clock = ShiftedClock::default();
        clock.advance(Duration::from_secs(60));
        let archive = Self {
            folder: tempfile::tempdir().expect("a folder"),
            clock,
            key: KEY,
        };
        for day in 1..=3 {
            for minute in 0..20 {
                let rows: Vec<String> = (0..5).map(|n| row(day, minute, n)).collect();
                archive.write(
                    &format!("2024/05/{day:02}/10/{minute:02}/logs.v1.data"),
                    &format!("[{}]", rows.join(",")),
                );
            }
        }
        archive.write("other/notes.txt", "for ana@example.com");
        archive
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join("data").join(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn run(&self, arguments: &[&str], is_indexed: bool) -> Ran {
        let root = self.folder.path().to_string_lossy().replace('\\', "/");
        let data = format!("{root}/data");
        let index = format!("{root}/index");
        let mut all = arguments.to_vec();
        if is_indexed {
            all.extend(["--index", &index]);
        }
        all.extend(["--stats", &data]);
        let args = parse(&all).expect("good arguments");
        let world = World {
            lookup: &|name| (name == "INDEX_KEY").then(|| self.key.to_owned()),
            clock: &self.clock,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run_to(&args, world, &mut out, &mut err, Progress::hidden());
        let err = String::from_utf8(err).expect("UTF-8");
        let stats = err.lines().last().unwrap_or_default();
        let stats = stats.split(' ').filter_map(|pair| {
            let (name, number) = pair.split_once('=')?;
            Some((name.to_owned(), number.parse().ok()?))
        });
        Ran {
            code,
            out: String::from_utf8(out).expect("UTF-8"),
            stats: stats.collect(),
            err,
        }
    }

    /// Searches with and without an index, asserts that both find the same, and says how many files were passed over.
    fn same(&self, arguments: &[&str]) -> (u64, String) {
        let with = self.run(arguments, true);
        let without = self.run(arguments, false);
        assert_eq!(with.out, without.out, "{arguments:?}: {}", with.err);
        assert_eq!(with.code, without.code, "{arguments:?}: {}", with.err);
        let passed = with.stats["blobs_passed_over"];
        let records = with.stats["records"] + with.stats["records_passed_over"];
        assert_eq!(records, without.stats["records"], "{with:?}");
        (passed, with.err)
    }
}

fn row(day: u32, minute: u32, n: u32) -> String {
    format!(
        r#"{{"InstallId":"{day:08x}-0000-4000-8000-{minute:06x}{n:06x}","UserId":"user-{day}-{minute}-{n}","Properties":"{{\"mail\":\"p{day}.{minute}.{n}@example.com\",\"note\":\"Ana Lima d{day}x\"}}"}}"#
    )
}

#[test]
fn the_second_search_reads_less() {
    let archive = Archive::new();
    let absent = ["--user-id", "u-20417"];
    let (passed, err) = archive.same(&absent);
    assert_eq!(passed, 0, "{err}");
    assert!(err.contains("what is new is read, and indexed"), "{err}");
    assert!(err.contains("60 files indexed, 3 days written"), "{err}");
    let (passed, err) = archive.same(&absent);
    assert!(passed > 55, "{passed}: {err}");
    assert!(!err.contains("indexed"), "{err}");
    for (arguments, least) in [
        (
            &["--install-id", "00000002-0000-4000-8000-000007000003"][..],
            55,
        ),
        (
            &["--install-id", "00000009-0000-4000-8000-000007000003"],
            57,
        ),
        (&["--user-id", "user-1-3-4"], 40),
        (&["--email", "P2.19.0@EXAMPLE.com"], 40),
        (&["--email", "ana@example.com"], 55),
        (&["--term", "ana lima d2x"], 38),
        (&["--term", "Zoe"], 55),
        (&["--term", "cafe"], 0),
        (&["--term", "-"], 0),
    ] {
        let (passed, err) = archive.same(arguments);
        assert!(passed >= least, "{arguments:?} {passed}: {err}");
        let is_said = err.contains("1 of the identifiers cannot be asked of an index");
        assert_eq!(is_said, least == 0, "{err}");
    }
}

#[test]
fn what_changes_is_read_again() {
    let archive = Archive::new();
    let mail = ["--email", "new@example.org"];
    archive.same(&mail);
    let row = r#"[{"Email":"new@example.org"}]"#;
    archive.write("2024/05/02/10/07/logs.v1.data", row);
    archive.write("2024/05/02/10/07/more.data", row);
    let found = archive.run(&mail, true);
    assert_eq!((found.code, found.out.lines().count()), (FOUND, 2));
    assert!(
        found.err.contains("2 files indexed, 1 days written"),
        "{found:?}"
    );
    archive.same(&mail);
    // What is gone is no longer known, though only a part of the index was read.
    let gone = archive
        .folder
        .path()
        .join("data/2024/05/02/10/07/more.data");
    fs::remove_file(gone).expect("it is there");
    let someone = ["--install-id", ID];
    let first = archive.run(&someone, true);
    assert!(
        first.err.contains("0 files indexed, 1 days written"),
        "{first:?}"
    );
    let second = archive.run(&someone, true);
    assert_eq!(second.stats["index_bytes_written"], 0, "{second:?}");
    let (passed, err) = archive.same(&mail);
    assert!(passed > 55, "{passed}: {err}");
}

#[test]
fn an_index_that_cannot_be_used_is_made_again() {
    let mut archive = Archive::new();
    let mail = ["--email", "p1.1.1@example.com"];
    archive.same(&mail);
    let sidecars = |archive: &Archive| -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir(archive.folder.path().join("index")).expect("a folder");
        entries.map(|it| it.expect("an entry").path()).collect()
    };
    let first = sidecars(&archive);
    assert_eq!(first.len(), 3);
    let bytes = fs::read(&first[0]).expect("an index");
    assert!(!bytes.windows(7).any(|part| part == b"example"));
    for path in &first {
        let mut bytes = fs::read(path).expect("an index");
        bytes.truncate(bytes.len() - 3);
        fs::write(path, bytes).expect("an index");
    }
    let (passed, err) = archive.same(&mail);
    assert_eq!(passed, 0, "{err}");
    let (passed, err) = archive.same(&mail);
    assert!(passed > 30, "{err}");
    // Another key has an index of its own.
    archive.key = "another key";
    let (passed, err) = archive.same(&mail);
    assert_eq!(passed, 0, "{err}");
    assert_eq!(sidecars(&archive).len(), 6);
}

#[test]
fn days_that_go_on_are_not_indexed() {
    let archive = Archive::new();
    let now = archive.clock.now().strftime("%Y/%m/%d").to_string();
    archive.write(&format!("{now}/10/00/logs.v1.data"), &row(1, 1, 1));
    archive.write("2024/13/45/logs.v1.data", &row(1, 1, 1));
    let install = ["--install-id", "00000001-0000-4000-8000-000001000001"];
    let (_, err) = archive.same(&install);
    assert!(err.contains("60 files indexed, 3 days written"), "{err}");
    let ran = archive.run(&install, true);
    // One of each kind that is not indexed, and the one that holds it; seldom another one.
    assert!((4..10).contains(&ran.stats["blobs"]), "{ran:?}");
    // A file that was changed a moment ago may be changed again at the same time.
    let fresh = Archive {
        clock: ShiftedClock::default(),
        ..Archive::new()
    };
    let (_, err) = fresh.same(&install);
    assert!(!err.contains("indexed"), "{err}");
    let ran = fresh.run(&install, true);
    assert_eq!(ran.stats["blobs"], 61, "{ran:?}");
}

#[test]
fn what_an_index_needs() {
    let mut archive = Archive::new();
    let mail = ["--email", "a@b.c"];
    archive.key = " ";
    let ran = archive.run(&mail, true);
    assert_eq!(ran.code, UNREAD);
    assert!(ran.err.contains("set it to a long secret"), "{ran:?}");
    archive.key = KEY;
    let folder = |name: &str| archive.folder.path().join(name);
    let refused = |path: &Path, index: &Path, expected: &str| {
        let paths = [path, index].map(|path| path.to_string_lossy().into_owned());
        let args = parse(&["--email", "a@b.c", "--index", &paths[1], &paths[0]]);
        let world = World {
            lookup: &|_| Some(KEY.to_owned()),
            clock: &archive.clock,
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let args = args.expect("good arguments");
        let code = run_to(&args, world, &mut out, &mut err, Progress::hidden());
        let err = String::from_utf8(err).expect("UTF-8");
        assert!(code == UNREAD && err.contains(expected), "{code} {err}");
    };
    let inside = "lies in what is searched";
    refused(&folder("data"), &folder("data/2024/index"), inside);
    refused(&folder("data"), &folder("data"), inside);
    refused(
        Path::new("https://account.blob.core.windows.net/archive"),
        &folder("index"),
        "not for a container",
    );
    refused(
        &folder("data"),
        &folder("data/other/notes.txt"),
        "notes.txt: ",
    );
}
