//! `cargo xtask test`: every test, then the short forms of the long runs, then the demo out of a package.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;

use crate::cargo::cargo;
use crate::chromium;
use crate::run::{check, program};
use crate::soak;

/// Runs it all; with a filter only the tests whose names hold it.
///
/// # Errors
/// When something fails.
pub(crate) async fn run(filter: Option<&str>) -> anyhow::Result<ExitCode> {
    let start = Instant::now();
    println!(
        "Installing Azurite, the storage emulator, unless it is there (npm ci in dev/azurite)"
    );
    tokio::task::spawn_blocking(azurite::install).await??;
    install_openssl().await?;
    chromium::install().await?;
    let mut tests = cargo();
    tests.args(["test", "--workspace"]);
    // Faults make errors by the thousand, and none of their traces is read; a panic still shows its own.
    tests.env("RUST_LIB_BACKTRACE", "0");
    // Most of their time is spent waiting: for polls, retries and leases.
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    tests.env("RUST_TEST_THREADS", (cores + cores.div_ceil(2)).to_string());
    if let Some(filter) = filter {
        tests.args(["--", filter]);
    }
    println!(
        "Tests: cargo test --workspace {}",
        filter.unwrap_or_default()
    );
    check(&mut tests).await?;
    println!("The tests took {:.0} s.", start.elapsed().as_secs_f64());
    if filter.is_some() {
        return Ok(ExitCode::SUCCESS);
    }
    if !short_soaks().await? || !packaged_demo().await? {
        return Ok(ExitCode::FAILURE);
    }
    println!(
        "\nEverything passed in {:.0} s.",
        start.elapsed().as_secs_f64()
    );
    Ok(ExitCode::SUCCESS)
}

/// Runs the short forms of the long runs one after the other, each as a process of its own; whether all went well.
async fn short_soaks() -> anyhow::Result<bool> {
    let itself = std::env::current_exe()?;
    // The tests have just built it, with the features that they need: to build it alone would build it anew.
    let handler = itself.with_file_name("appcenter-dsr");
    for name in soak::NAMES {
        println!();
        let begin = Instant::now();
        let mut command = program(&itself);
        command.args(["soak", name, "--short", "--handler"]);
        let status = command.arg(&handler).status().await;
        let status = status.with_context(|| format!("soak {name} did not start"))?;
        if !status.success() {
            println!("soak {name} --short failed: {status}.");
            return Ok(false);
        }
        let took = begin.elapsed().as_secs_f64();
        println!("soak {name} --short took {took:.0} s.");
    }
    Ok(true)
}

/// Packages the handler of the tests, unpacks the zip and runs the demo in what was in it; whether all went well.
///
/// The release would take minutes to build, and differs in nothing that packaging does.
async fn packaged_demo() -> anyhow::Result<bool> {
    let itself = std::env::current_exe()?;
    let handler = itself.with_file_name("appcenter-dsr");
    let out = tempfile::tempdir()?;
    let mut package = program(&itself);
    package
        .args(["package", "--dynamic", "--handler"])
        .arg(&handler);
    package.arg("--out").arg(out.path());
    let mut demo = program(&itself);
    demo.args(["demo", "--package"])
        .arg(out.path().join("appcenter-dsr.zip"));
    for (name, command) in [("package", &mut package), ("demo --package", &mut demo)] {
        println!();
        let status = command.status().await;
        let status = status.with_context(|| format!("{name} did not start"))?;
        if !status.success() {
            println!("{name} failed: {status}.");
            return Ok(false);
        }
    }
    Ok(true)
}

/// The mock of SQL Server, a dependency of tests alone, links the system's OpenSSL; most machines that build have it.
async fn install_openssl() -> anyhow::Result<()> {
    let found = program("pkg-config").args(["--exists", "openssl"]).status();
    if found.await.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    println!(
        "Installing the headers of OpenSSL, for tests (apt-get install libssl-dev pkg-config)"
    );
    check(program("apt-get").args(["update", "-q"])).await?;
    let packages = [
        "install",
        "-q",
        "-y",
        "--no-install-recommends",
        "libssl-dev",
        "pkg-config",
    ];
    check(program("apt-get").args(packages)).await
}
