//! Rules that hold over the whole project and that no compiler checks. Each says in its message what to do.

mod calls;
mod functions;
mod imports;
mod infra;
mod packages;
mod seeds;
mod settings;
mod source;
mod text;

use std::path::{Path, PathBuf};

/// What is not the project's own text, such as the `.git` folder (in a worktree a file).
const SKIPPED: [&str; 6] = [
    ".git",
    ".azure",
    ".azurite",
    ".venv",
    "node_modules",
    "target",
];

/// A file of the project, by its path from the root with `/`.
#[derive(Debug)]
struct File {
    path: String,
    text: String,
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every text file under a folder of the project (`""` for all of it), in order.
fn files(under: &str) -> Vec<File> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(under)];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if SKIPPED.contains(&name.as_ref()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let path = path.strip_prefix(root()).expect("it is below the root");
                let path = path.to_string_lossy().into_owned();
                files.push(File { path, text });
            }
        }
    }
    files.sort_by(|one, two| one.path.cmp(&two.path));
    files
}

/// The Rust files under a folder of the project.
fn rust_files(under: &str) -> Vec<File> {
    let mut files = files(under);
    files.retain(|file| file.path.ends_with(".rs"));
    assert!(!files.is_empty(), "no Rust file under {under}");
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder's entry").path());
    entries.collect()
}

/// The rows of the first table below a heading of a Markdown text, without head and rule, a cell a text.
pub(crate) fn table(text: &str, heading: &str) -> Vec<Vec<String>> {
    let after = text
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("the heading `{heading}` is missing"))
        .1;
    let rows: Vec<Vec<String>> = after
        .lines()
        .skip_while(|line| !line.starts_with('|') && !line.starts_with("## "))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| {
            let cells = line.trim().trim_matches('|').split('|');
            cells.map(|cell| cell.trim().to_owned()).collect()
        })
        .collect();
    assert!(!rows.is_empty(), "no table below `{heading}`");
    rows
}

/// The texts between backticks.
pub(crate) fn quoted(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn tables_are_read() {
    let text = "# A\n## B\n| x |\n|---|\n| no |\n## C\ntext\n\n| name | what |\n|---|---|\n| `a` | b, `c` |\n| d | |\n\n| e |\n";
    let rows = table(text, "## C");
    assert_eq!(rows, [vec!["`a`", "b, `c`"], vec!["d", ""]]);
    assert_eq!(quoted("`a` and `b c`"), ["a", "b c"]);
}
