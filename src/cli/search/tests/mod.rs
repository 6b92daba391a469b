mod index;

use std::fs;

use clap::{Args as _, Command, FromArgMatches as _};

use super::*;

const ID: &str = "e589a371-ea0c-4479-9a7b-9f834adec040";
const ROW: &str = r#"{"InstallId":"E589A371-EA0C-4479-9A7B-9F834ADEC040","UserId":"u-20417"}"#;

fn parse(arguments: &[&str]) -> Result<SearchArgs, clap::Error> {
    let command = SearchArgs::augment_args(Command::new("search").no_binary_name(true));
    SearchArgs::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// Runs the command over a folder with these files; `DIR` stands for the folder.
fn check(files: &[(&str, &[u8])], arguments: &[&str], code: u8, expected: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().to_string_lossy().replace('\\', "/");
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| argument.replace("DIR", &root))
        .collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let args = parse(&arguments).expect("good arguments");
    let world = World {
        lookup: &|_| None,
        clock: &SystemClock,
    };
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let found = run_to(&args, world, &mut out, &mut err, Progress::hidden());
    let out = String::from_utf8(out).expect("UTF-8").replace(&root, "DIR");
    let err = String::from_utf8(err).expect("UTF-8").replace(&root, "DIR");
    assert_eq!(found, code, "{arguments:?}: {out}{err}");
    assert_eq!(
        out.lines().collect::<Vec<_>>(),
        expected,
        "{arguments:?}: {err}"
    );
    err
}

#[test]
fn files_and_folders() {
    let array = format!("[{{}},{ROW}]");
    let files: &[(&str, &[u8])] = &[
        ("b/logs.v1.data", array.as_bytes()),
        ("a.txt", b"nothing"),
        ("empty", b""),
    ];
    let line = r#"{"blob":"DIR/b/logs.v1.data","record":1,"offset":4,"length":71,"install_id":"e589a371-ea0c-4479-9a7b-9f834adec040","report_id":null,"matched":[0]}"#;
    for path in ["DIR", "DIR/", "DIR/b", "DIR/b/logs.v1.data"] {
        check(files, &["--user-id", "u-20417", path], FOUND, &[line]);
    }
    check(files, &["--user-id", "u-20418", "DIR"], NOTHING, &[]);
}

#[test]
fn identifiers_count_in_the_order_of_the_command_line() {
    let files: &[(&str, &[u8])] = &[("x", ROW.as_bytes())];
    let line = r#"{"blob":"DIR/x","record":0,"offset":0,"length":71,"install_id":"e589a371-ea0c-4479-9a7b-9f834adec040","report_id":null,"matched":[1,3]}"#;
    let arguments = [
        "--term",
        "none",
        "--user-id=u-20417",
        "--email",
        "a@b.c",
        "--install-id",
        ID,
        "DIR/x",
    ];
    check(files, &arguments, FOUND, &[line]);
}

#[test]
fn reports_by_name_and_decoded_bytes() {
    let name =
        "2026/11/20/09/00/attachments/2518291138564839999-0B1C2D3E-4F50-6172-8394-A5B6C7D8E9F0/x";
    let utf16: Vec<u8> = "\u{feff}for ana@example.com"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let line = format!(
        r#"{{"blob":"DIR/{name}","record":0,"offset":0,"length":19,"decoded":true,"install_id":null,"report_id":"0b1c2d3e-4f50-6172-8394-a5b6c7d8e9f0","matched":[0]}}"#
    );
    check(
        &[(name, &utf16)],
        &["--email", "ANA@example.com", "DIR"],
        FOUND,
        &[&line],
    );
}

#[test]
fn subjects_from_a_file() {
    let subjects = format!(
        "{{\"id\":\"one\",\"install_ids\":[\"{ID}\"],\"user_ids\":[\"x\",\"u-20417\"]}}\n\n{{\"id\":\"two\",\"emails\":[\"a@b.c\"]}}\n{{\"id\":\"three\",\"user_ids\":[\"u-20417\"]}}"
    );
    let files: &[(&str, &[u8])] = &[("s", subjects.as_bytes()), ("d/x", ROW.as_bytes())];
    let line = |subject: &str, matched: &str| {
        format!(
            r#"{{"subject":"{subject}","blob":"DIR/d/x","record":0,"offset":0,"length":71,"install_id":"{ID}","report_id":null,"matched":{matched}}}"#
        )
    };
    let expected = [line("one", "[0,2]"), line("three", "[0]")];
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    check(files, &["--subjects", "DIR/s", "DIR/d"], FOUND, &expected);
}

#[test]
fn what_cannot_be_read_is_said() {
    let files: &[(&str, &[u8])] = &[
        ("x", b"for ana@example.com"),
        ("y.gz", b"\x1F\x8B\x08\x00broken..."),
    ];
    let line = r#"{"blob":"DIR/x","record":0,"offset":0,"length":19,"install_id":null,"report_id":null,"matched":[0]}"#;
    let mail = ["--email", "ana@example.com"];
    let err = check(
        files,
        &[&mail[..], &["DIR/none", "DIR/x"]].concat(),
        UNREAD,
        &[line],
    );
    assert!(err.starts_with("DIR/none: "), "{err}");
    let err = check(files, &[&mail[..], &["DIR"]].concat(), UNREAD, &[line]);
    assert!(
        err.starts_with("DIR/y.gz: record 0: not searched: a damaged gzip stream"),
        "{err}"
    );
    let url = "https://account.blob.core.windows.net/?sig=secret";
    let err = check(
        files,
        &[&mail[..], &[url, "DIR/x"]].concat(),
        UNREAD,
        &[line],
    );
    assert!(
        err.contains("names no container") && !err.contains("secret"),
        "{err}"
    );
}

#[test]
fn bad_arguments() {
    let files: &[(&str, &[u8])] = &[
        ("x", b"x"),
        ("s", b"{\"id\":\"one\",\"emails\":[\"secret\",3]}"),
        ("e", b"\n"),
    ];
    for (arguments, expected) in [
        (&["DIR/x"][..], "give at least one"),
        (&["--install-id", "secret", "DIR/x"], "no UUID"),
        (&["--email", "secret", "DIR/x"], "not an e-mail address"),
        (&["--term", "", "DIR/x"], "is empty"),
        (&["--subjects", "DIR/s", "DIR/x"], "line 1 is no subject"),
        (&["--subjects", "DIR/e", "DIR/x"], "holds no subject"),
        (&["--subjects", "DIR/none", "DIR/x"], "DIR/none: "),
    ] {
        let err = check(files, arguments, UNREAD, &[]);
        assert!(err.contains(expected) && !err.contains("secret"), "{err}");
    }
    assert!(parse(&["--email", "a@b.c"]).is_err());
    assert!(parse(&["--email", "a@b.c", "--subjects", "s", "x"]).is_err());
}

#[test]
fn stats() {
    let files: &[(&str, &[u8])] = &[("x", b"{}\n{}\n")];
    let err = check(files, &["--term", "abcd", "--stats", "DIR"], NOTHING, &[]);
    assert!(err.starts_with("bytes=6 records=2 seconds="), "{err}");
    assert!(err.contains(" bytes_per_second="), "{err}");
}
