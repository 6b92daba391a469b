//! Building the handler.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context as _;
use serde_json::Value;
use tokio::process::Command;

use crate::run::program;

/// How the handler is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// Fast to build, with checks: what tests and the demo use.
    Dev,
    /// What is deployed.
    Release,
}

impl Profile {
    /// Its name, for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// `cargo` in the project's root.
pub(crate) fn cargo() -> Command {
    let mut cargo = program("cargo");
    cargo.current_dir(stack::project_root());
    cargo
}

/// The given handler, or one that is built in this way.
///
/// # Errors
/// When the given one is no file, or none can be built.
pub(crate) async fn given_or_built(
    given: Option<&Path>,
    profile: Profile,
) -> anyhow::Result<PathBuf> {
    let Some(given) = given else {
        return handler(profile).await;
    };
    let given = std::path::absolute(given)?;
    anyhow::ensure!(given.is_file(), "{} is no file", given.display());
    println!("Using the handler {}", given.display());
    Ok(given)
}

/// Builds the handler and gives its path; nothing is done when it is built already.
///
/// # Errors
/// When it does not build.
pub(crate) async fn handler(profile: Profile) -> anyhow::Result<PathBuf> {
    let mut build = cargo();
    if profile == Profile::Release {
        build.arg("--release");
    }
    println!(
        "Building the handler ({}): cargo build -p appcenter-dsr",
        profile.name()
    );
    build_with(build).await
}

/// Builds the handler with what is set on this `cargo` already, and gives its path.
///
/// # Errors
/// When it does not build.
pub(crate) async fn build_with(set: Command) -> anyhow::Result<PathBuf> {
    let set = set.into_std();
    let mut build = cargo();
    build.arg("build").args(set.get_args());
    for (name, value) in set.get_envs() {
        match value {
            Some(value) => build.env(name, value),
            None => build.env_remove(name),
        };
    }
    let output = build
        .args(["--package", "appcenter-dsr", "--bin", "appcenter-dsr"])
        .args(["--quiet", "--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .await
        .context("cargo did not start")?;
    anyhow::ensure!(output.status.success(), "the handler does not build");
    executable(&String::from_utf8_lossy(&output.stdout))
        .context("cargo did not say where it put the handler")
}

/// The handler's executable among cargo's messages.
fn executable(messages: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|it| it["reason"] == "compiler-artifact" && it["target"]["name"] == "appcenter-dsr")
        .filter_map(|it| it["executable"].as_str().map(PathBuf::from))
        .next_back()
}

#[cfg(test)]
mod tests {
    use super::executable;
    use std::path::PathBuf;

    #[test]
    fn the_executable_is_found_among_messages() {
        let library =
            r#"{"reason":"compiler-artifact","target":{"name":"appcenter-dsr"},"executable":null}"#;
        let other = r#"{"reason":"compiler-artifact","target":{"name":"x"},"executable":"/t/x"}"#;
        let handler = r#"{"reason":"compiler-artifact","target":{"name":"appcenter-dsr"},"executable":"/t/appcenter-dsr"}"#;
        for (messages, expected) in [
            (vec![], None),
            (vec![library, other], None),
            (
                vec!["no JSON", library, handler, other],
                Some("/t/appcenter-dsr"),
            ),
        ] {
            assert_eq!(
                executable(&messages.join("\n")),
                expected.map(PathBuf::from)
            );
        }
    }
}
