//! What the project is made of: from crates.io only, nothing banned, every dependency with its reason.

use std::collections::{BTreeMap, BTreeSet};

use super::{quoted, read, table};

fn toml(path: &str) -> toml::Table {
    read(path)
        .parse()
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Where cargo says that crates.io is.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn packages_come_from_the_registry_and_none_is_banned() {
    let deny = toml("deny.toml");
    // By name, and who may depend on it all the same.
    let banned: BTreeMap<&str, Vec<&str>> = deny["bans"]["deny"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|ban| {
            assert!(ban["reason"].is_str(), "{ban:?}: a ban says why");
            let wrappers = ban.get("wrappers").and_then(toml::Value::as_array);
            let wrappers = wrappers.into_iter().flatten();
            let wrappers = wrappers.map(|it| it.as_str().expect("a name"));
            (ban["crate"].as_str().expect("a name"), wrappers.collect())
        })
        .collect();
    assert!(banned.contains_key("openssl-sys"));
    let lock = toml("Cargo.lock");
    let packages = lock["package"].as_array().expect("a list");
    assert!(
        packages.len() > 100,
        "the lock file is not that of this project"
    );
    let mut dependencies: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let is_banned = banned.get(name).is_some_and(Vec::is_empty);
        assert!(!is_banned, "{name} is banned: see deny.toml");
        let listed = package.get("dependencies").and_then(toml::Value::as_array);
        for dependency in listed.into_iter().flatten() {
            // A version follows where there are several.
            let dependency = dependency.as_str().expect("a name");
            let dependency = dependency.split(' ').next().unwrap_or_default();
            dependencies.entry(name).or_default().insert(dependency);
            let may = banned.get(dependency).is_none_or(|it| it.contains(&name));
            assert!(may, "{name}: {dependency} is banned: see deny.toml");
        }
        // Members of the workspace have no source.
        if let Some(source) = package.get("source") {
            assert_eq!(source.as_str(), Some(REGISTRY), "{name}");
        }
    }
    // What is shipped holds nothing that is banned, whoever asks for it.
    let manifest = toml("Cargo.toml");
    let shipped = manifest["dependencies"].as_table().expect("a table");
    let mut open: Vec<&str> = shipped.keys().map(String::as_str).collect();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    while let Some(name) = open.pop() {
        assert!(
            !banned.contains_key(name),
            "{name} is banned and would be shipped"
        );
        if seen.insert(name) {
            open.extend(dependencies.get(name).into_iter().flatten());
        }
    }
    assert!(seen.len() > 100, "the handler's packages were not found");
}

#[test]
fn deny_knows_the_one_registry() {
    let deny = toml("deny.toml");
    let allowed = deny["sources"]["allow-registry"]
        .as_array()
        .expect("a list");
    let allowed: Vec<Option<&str>> = allowed.iter().map(toml::Value::as_str).collect();
    assert_eq!(allowed, [REGISTRY.strip_prefix("registry+")]);
}

#[test]
fn the_readme_has_a_reason_for_every_dependency() {
    let manifest = toml("Cargo.toml");
    let dependencies: BTreeSet<String> = manifest["dependencies"]
        .as_table()
        .expect("a table")
        .keys()
        .cloned()
        .collect();
    let mut listed = BTreeSet::new();
    for row in table(&read("README.md"), "## Dependencies") {
        for name in quoted(&row[0]) {
            assert!(listed.insert(name.clone()), "{name} twice");
        }
        assert!(row.len() == 2 && !row[1].is_empty(), "no reason: {row:?}");
    }
    assert_eq!(
        listed, dependencies,
        "the table of dependencies in README.md"
    );
}

#[test]
fn versions_stand_in_one_place() {
    let mut manifests = vec!["Cargo.toml".to_owned()];
    manifests.extend(
        super::entries(&super::root().join("dev"))
            .iter()
            .filter(|path| path.join("Cargo.toml").is_file())
            .map(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                format!("dev/{name}/Cargo.toml")
            }),
    );
    assert!(manifests.len() > 4, "the dev tools were not found");
    for path in manifests {
        let manifest = toml(&path);
        for key in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(table) = manifest.get(key).and_then(toml::Value::as_table) else {
                continue;
            };
            for (name, value) in table {
                let is_shared = value.get("workspace").and_then(toml::Value::as_bool);
                assert_eq!(
                    is_shared,
                    Some(true),
                    "{path}: {name}: its version belongs into the workspace's table"
                );
            }
        }
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        assert_eq!(
            lints.and_then(toml::Value::as_bool),
            Some(true),
            "{path}: the workspace's lints"
        );
    }
}
