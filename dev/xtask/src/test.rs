//! `cargo xtask test`: every test, then the short forms of the long runs.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use futures::StreamExt as _;

use crate::cargo::cargo;
use crate::chromium;
use crate::run::{check, program};
use crate::soak;

/// Long runs at once: each keeps about one core busy.
const SOAKS: usize = 2;

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
    if !short_soaks().await? {
        return Ok(ExitCode::FAILURE);
    }
    println!(
        "\nEverything passed in {:.0} s.",
        start.elapsed().as_secs_f64()
    );
    Ok(ExitCode::SUCCESS)
}

/// Runs the short forms of the long runs, each as a process of its own, and shows what each said when it has ended;
/// whether all went well.
async fn short_soaks() -> anyhow::Result<bool> {
    let itself = std::env::current_exe()?;
    println!("\nShort forms of the long runs: {}", soak::NAMES.join(", "));
    let runs = soak::NAMES.iter().map(|name| {
        let mut command = program(&itself);
        command.args(["soak", name, "--short"]);
        async move {
            let begin = Instant::now();
            (*name, begin, command.output().await)
        }
    });
    let mut ended = futures::stream::iter(runs).buffer_unordered(SOAKS);
    let mut is_right = true;
    while let Some((name, begin, output)) = ended.next().await {
        let output = output.with_context(|| format!("soak {name} did not start"))?;
        println!();
        print!("{}", String::from_utf8_lossy(&output.stdout));
        print!("{}", String::from_utf8_lossy(&output.stderr));
        let took = begin.elapsed().as_secs_f64();
        match output.status.success() {
            true => println!("soak {name} --short took {took:.0} s."),
            false => println!("soak {name} --short failed: {}.", output.status),
        }
        is_right &= output.status.success();
    }
    Ok(is_right)
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
