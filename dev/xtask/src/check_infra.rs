//! `cargo xtask check-infra`: what can be checked of infra/ without Azure.
//!
//! Bicep is parsed by two versions of one parser, checkov looks for what is unsafe, and the Kusto language service binds
//! every query. Bicep's own compiler, which knows the types, is no package of a registry: infra/README.md says so.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Deserialize;

use crate::python;
use crate::run::program;

/// What checkov says at the end.
#[derive(Debug, Default, Deserialize)]
struct Summary {
    passed: u64,
    failed: u64,
    skipped: u64,
    parsing_errors: u64,
}

/// A check that failed.
#[derive(Debug, Deserialize)]
struct Failure {
    check_id: String,
    check_name: String,
    resource: String,
    file_path: String,
    file_line_range: Vec<u64>,
}

#[derive(Debug, Default, Deserialize)]
struct Results {
    failed_checks: Vec<Failure>,
}

/// What checkov writes as JSON.
#[derive(Debug, Deserialize)]
struct Report {
    results: Results,
    summary: Summary,
}

/// Runs all checks; each says what is wrong.
///
/// # Errors
/// When a tool cannot be installed or does not start.
pub(crate) async fn run() -> anyhow::Result<ExitCode> {
    println!("Checks of infra/: pycep-parser, checkov, the Kusto language service");
    let root = stack::project_root();
    let infra = root.join("infra");
    let mut is_fine = true;
    let checkov = tools("checkov").await?;
    // checkov brings a parser of its own, an older one.
    let pycep = tools("pycep").await?;
    for python in [&checkov, &pycep] {
        let mut parse = program(python);
        parse.arg(root.join("dev/infra/parse.py")).arg(&infra);
        is_fine &= parse.status().await?.success();
    }
    is_fine &= run_checkov(&checkov, &root).await?;
    let kql = install_kql(&root)?;
    let mut cases = program("node");
    cases.arg(kql.with_file_name("evaluate.js"));
    is_fine &= cases.arg("--self-check").status().await?.success();
    let mut queries = program("node");
    queries.arg(kql).arg(infra.join("queries")).arg(&infra);
    is_fine &= queries.status().await?.success();
    Ok(if is_fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The environment of one tool, as its file in dev/infra lists it.
async fn tools(name: &str) -> anyhow::Result<PathBuf> {
    let file = format!("dev/infra/{name}.txt");
    let wanted = std::fs::read_to_string(stack::project_root().join(&file))?;
    python::environment(
        &format!("check-infra/{name}"),
        &wanted,
        &["-r", file.as_str()],
    )
    .await
}

/// Runs checkov and says what failed. Its exit code is not enough: it is 0 for files that it cannot parse.
async fn run_checkov(python: &Path, root: &Path) -> anyhow::Result<bool> {
    let mut checkov = program(python);
    checkov.args(["-W", "ignore", "-m", "checkov.main"]);
    checkov.args(["--framework", "bicep", "--skip-download"]);
    checkov.args(["--directory", "infra", "--output", "json", "--compact"]);
    let output = checkov.current_dir(root).output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Report = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("checkov wrote no report: {said}"))?;
    for failure in &report.results.failed_checks {
        let line = failure.file_line_range.first().copied().unwrap_or_default();
        println!(
            "infra{}:{line}: {} {} ({})",
            failure.file_path, failure.check_id, failure.check_name, failure.resource
        );
    }
    // A check that breaks off is left out of the counts.
    for line in said.lines().filter(|line| line.contains("[ERROR]")) {
        println!("checkov: {line}");
    }
    let Summary {
        passed,
        failed,
        skipped,
        parsing_errors,
    } = report.summary;
    println!(
        "checkov: {passed} passed, {failed} failed, {skipped} skipped with a reason, {parsing_errors} parsing errors."
    );
    Ok(passed > 0 && failed == 0 && parsing_errors == 0 && !said.contains("[ERROR]"))
}

/// Installs the Kusto language service unless it is there; gives the script that uses it.
fn install_kql(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = root.join("dev/kql");
    azurite::npm_ci(&folder)?;
    Ok(folder.join("check.js"))
}
