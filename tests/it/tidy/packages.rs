//! What the project is made of: from crates.io only, nothing banned, every dependency with its reason.

use std::collections::BTreeSet;

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
    let banned: BTreeSet<&str> = deny["bans"]["deny"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|ban| {
            assert!(ban["reason"].is_str(), "{ban:?}: a ban says why");
            ban["crate"].as_str().expect("a name")
        })
        .collect();
    assert!(banned.contains("openssl-sys"));
    let lock = toml("Cargo.lock");
    let packages = lock["package"].as_array().expect("a list");
    assert!(
        packages.len() > 100,
        "the lock file is not that of this project"
    );
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        assert!(!banned.contains(name), "{name} is banned: see deny.toml");
        // Members of the workspace have no source.
        if let Some(source) = package.get("source") {
            assert_eq!(source.as_str(), Some(REGISTRY), "{name}");
        }
    }
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
