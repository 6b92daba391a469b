//! Rules on text: how long a file may be, and what stands in none.

use super::{File, files, rust_files};

/// Lines that a file of `src` and `dev` may have.
const LIMIT: usize = 500;

/// Files that may be longer, how long, and why.
const LONG: &[(&str, usize, &str)] = &[];

#[test]
fn files_stay_short() {
    let mut files = rust_files("src");
    files.extend(rust_files("dev"));
    for File { path, text } in &files {
        let lines = text.lines().count();
        let limit = LONG
            .iter()
            .find(|(long, _, _)| long == path)
            .map_or(LIMIT, |(_, limit, _)| *limit);
        assert!(
            lines <= limit,
            "{path} has {lines} lines, more than {limit}: split it by idea"
        );
    }
    for (path, _, _) in LONG {
        let file = files.iter().find(|file| file.path == *path);
        let lines = file.map_or(0, |file| file.text.lines().count());
        // A little less is no reason to change the list back and forth.
        assert!(
            lines > LIMIT - LIMIT / 10,
            "{path} has {lines} lines: take it off the list"
        );
    }
}

/// What stands in no file, with the reason. Written in parts, so that this file is not its own first breach.
const NEVER: &[(&[&str], &str)] = &[
    (&["/wo", "rk/"], "a path of somebody's machine"),
    (&["/ho", "me/"], "a path of somebody's machine"),
    (&["/ro", "ot/"], "a path of somebody's machine"),
    (&["/Us", "ers/"], "a path of somebody's machine"),
    (
        &["/tm", "p/"],
        "a path of a machine: ask for a temporary folder",
    ),
    (&["../sha", "red"], "a path outside of the project"),
    (
        &["TO", "DO"],
        "do it, or write down as a known gap what is missing",
    ),
    (
        &["FIX", "ME"],
        "mend it, or write down as a known gap what is missing",
    ),
    (
        &["#[allo", "w("],
        "`#[expect(…, reason = …)]` says why and goes away by itself",
    ),
    (&["<<<<", "<<< "], "a merge that was not finished"),
];

fn breaches(path: &str, text: &str) -> Vec<String> {
    let mut breaches = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (parts, why) in NEVER {
            let pattern = parts.concat();
            // A path of the project, such as `src/` and what follows, goes on from a name.
            let is_part = |at: usize| {
                pattern.starts_with('/')
                    && line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.}…".contains(c))
            };
            if line.match_indices(&pattern).any(|(at, _)| !is_part(at)) {
                breaches.push(format!("{path}:{}: `{pattern}`: {why}", number + 1));
            }
        }
    }
    breaches
}

#[test]
fn files_hold_nothing_of_one_machine() {
    let is_made = |path: &str| path.ends_with("package-lock.json") || path.ends_with("Cargo.lock");
    let files = files("");
    assert!(files.len() > 100, "the project's files were not found");
    let breaches: Vec<String> = files
        .iter()
        .filter(|file| !is_made(&file.path))
        .flat_map(|file| breaches(&file.path, &file.text))
        .collect();
    assert!(breaches.is_empty(), "{breaches:#?}");
}

#[test]
fn breaches_are_found() {
    for (text, expected) in [
        (["see /ho", "me/ana/x"].concat(), 1),
        (["// TO", "DO: later"].concat(), 1),
        (["#[allo", "w(dead_code)]"].concat(), 1),
        (
            "src/work/names.rs, work/{request}/, a home, a tmp folder".to_owned(),
            0,
        ),
        (["src/wo", "rk/x and /wo", "rk/x"].concat(), 1),
    ] {
        assert_eq!(breaches("a file", &text).len(), expected, "{text}");
    }
}

/// Who reads one page only has to learn there what the mark stands for.
#[test]
fn the_mark_of_what_was_not_run_is_explained() {
    let mark = '\u{25cc}';
    let mut pages = 0;
    for file in files("") {
        let is_page = file.path.starts_with("docs/") || file.path.starts_with("infra/");
        if (is_page || file.path == "README.md") && file.text.contains(mark) {
            let explained = format!("marked {mark} was never run");
            assert!(
                file.text.contains(&explained),
                "{}: `{explained}` stands nowhere",
                file.path
            );
            pages += 1;
        }
    }
    assert!(pages >= 3, "the mark is another one: look at this test");
}

#[test]
fn files_end_with_a_line_break() {
    for file in files("").iter().filter(|file| {
        let known = ["rs", "toml", "json", "md", "yml"];
        known
            .iter()
            .any(|it| file.path.ends_with(&format!(".{it}")))
    }) {
        let is_fine = file.text.is_empty() || file.text.ends_with('\n');
        assert!(is_fine, "{}: no line break at its end", file.path);
        assert!(!file.text.contains('\r'), "{}: carriage returns", file.path);
    }
}
