//! The licences of what is linked into the handler, as they ask to be handed on with it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::cargo::cargo;

/// The package whose dependencies are meant.
const HANDLER: &str = "appcenter-dsr";
/// How files with a licence's text begin, in lower case.
const NAMES: [&str; 5] = ["license", "licence", "copying", "notice", "unlicense"];
/// Longest licence text that is read.
const MAX_BYTES: u64 = 256 * 1024;

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// None is a normal dependency; the others are of builds and of tests.
    kind: Option<String>,
}

/// The notices: every crate with its version, source and licence, then every text once, with who it is of.
///
/// # Errors
/// When cargo does not say what is linked, or a crate has no licence.
pub(super) async fn notices(target: &str) -> anyhow::Result<String> {
    let mut metadata = cargo();
    metadata.args(["metadata", "--format-version", "1", "--locked"]);
    metadata.args(["--filter-platform", target]);
    let output = metadata.output().await.context("cargo did not start")?;
    ensure!(
        output.status.success(),
        "cargo metadata: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout)?;
    tokio::task::spawn_blocking(move || write(&linked(&metadata)?)).await?
}

/// The crates that the handler is linked of, without itself, by name and version.
fn linked(metadata: &Metadata) -> anyhow::Result<Vec<&Package>> {
    let packages: HashMap<&str, &Package> = metadata
        .packages
        .iter()
        .map(|it| (it.id.as_str(), it))
        .collect();
    let nodes: HashMap<&str, &Node> = metadata
        .resolve
        .nodes
        .iter()
        .map(|it| (it.id.as_str(), it))
        .collect();
    let handler = metadata.packages.iter().find(|it| it.name == HANDLER);
    let handler = handler.context("cargo knows no handler")?;
    let (mut seen, mut next) = (BTreeSet::new(), vec![handler.id.as_str()]);
    while let Some(id) = next.pop() {
        if !seen.insert(id) {
            continue;
        }
        let node = nodes
            .get(id)
            .with_context(|| format!("cargo does not know {id}"))?;
        let deps = node.deps.iter();
        let deps = deps.filter(|it| it.dep_kinds.iter().any(|kind| kind.kind.is_none()));
        next.extend(deps.map(|it| it.pkg.as_str()));
    }
    seen.remove(handler.id.as_str());
    let found = seen.iter().map(|id| packages.get(id).copied());
    let mut linked: Vec<&Package> = found.collect::<Option<_>>().context("a crate is unknown")?;
    linked.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(linked)
}

fn write(linked: &[&Package]) -> anyhow::Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut out = "The executable of appcenter-dsr is linked of the crates below and of Rust's standard library \
                   (MIT OR Apache-2.0, https://github.com/rust-lang/rust).\n\n"
        .to_owned();
    for package in linked {
        let name = format!("{} {}", package.name, package.version);
        let Some(license) = &package.license else {
            bail!("{name} says no licence");
        };
        let repository = package.repository.as_deref().unwrap_or("crates.io");
        writeln!(out, "{name} ({license}) {repository}")?;
        let folder = package.manifest_path.parent();
        for text in license_texts(folder.context("a crate has no folder")?)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    // The texts in the order of the first crate that has them.
    let mut texts: Vec<(Vec<String>, String)> = texts
        .into_iter()
        .map(|(text, names)| (names, text))
        .collect();
    texts.sort();
    for (names, text) in texts {
        let line = "-".repeat(80);
        write!(out, "\n{line}\n{}\n\n{text}\n", names.join(", "))?;
    }
    Ok(out)
}

/// What the licence files of a crate say, in the order of their names.
fn license_texts(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let file = entry.metadata()?;
        if file.is_file() && file.len() <= MAX_BYTES && NAMES.iter().any(|it| name.starts_with(it))
        {
            files.push(entry.path());
        }
    }
    files.sort();
    let mut texts = Vec::new();
    for file in files {
        let text = String::from_utf8_lossy(&std::fs::read(file)?).into_owned();
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        texts.push(lines.join("\n").trim_matches('\n').to_owned());
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_named_once_with_its_licence() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let package = |name: &str, license: &str| {
            let place = folder.path().join(name);
            std::fs::create_dir_all(&place)?;
            std::fs::write(place.join("LICENSE-MIT"), format!("{license}\r\n"))?;
            std::fs::write(place.join("main.rs"), "no licence")?;
            let manifest = place.join("Cargo.toml");
            anyhow::Ok(serde_json::json!({
                "id": name, "name": name, "version": "1.0.0", "license": "MIT",
                "repository": null, "manifest_path": manifest,
            }))
        };
        let dep = |name: &str, kind: Option<&str>| serde_json::json!({ "pkg": name, "dep_kinds": [{ "kind": kind, "target": null }] });
        let node = |name: &str, deps: Vec<serde_json::Value>| serde_json::json!({ "id": name, "deps": deps });
        let metadata: Metadata = serde_json::from_value(serde_json::json!({
            "packages": [
                package(HANDLER, "ours")?, package("b", "same")?, package("a", "same")?,
                package("build", "of a build")?, package("test", "of a test")?, package("other", "of another")?,
            ],
            "resolve": { "nodes": [
                node(HANDLER, vec![dep("b", None), dep("build", Some("build")), dep("test", Some("dev"))]),
                node("b", vec![dep("a", None)]), node("a", vec![dep("b", None)]),
                node("build", vec![]), node("test", vec![]), node("other", vec![]),
            ] },
        }))?;
        let text = write(&linked(&metadata)?)?;
        let (list, texts) = text.split_once("----").expect("a line between");
        assert!(
            list.ends_with("a 1.0.0 (MIT) crates.io\nb 1.0.0 (MIT) crates.io\n\n"),
            "{list}"
        );
        assert!(texts.ends_with("a 1.0.0, b 1.0.0\n\nsame\n"), "{texts}");
        assert_eq!(text.matches("same").count(), 1);
        Ok(())
    }
}
