//! `cargo xtask check-api`: a checker of App Center's API, written by others, against the simulator.

use std::path::Path;
use std::process::ExitCode;

use appcenter_sim::{Options, Sim, World};

use crate::python;
use crate::run::program;

/// What the checker imports.
const PACKAGES: [&str; 2] = ["jsonschema==4.25.1", "requests==2.32.5"];

/// Runs the checker once for each app of the demo world; its worst exit code is ours.
///
/// # Errors
/// When the environment cannot be made, or something does not start.
pub(crate) async fn run(checker: &Path) -> anyhow::Result<ExitCode> {
    let checker = std::path::absolute(checker)?;
    anyhow::ensure!(checker.is_file(), "{} is no file", checker.display());
    let python = python::environment("check-api", &PACKAGES.join(" "), &PACKAGES).await?;
    let mut worst = 0;
    let apps: Vec<String> = World::demo()?
        .apps()
        .into_iter()
        .map(str::to_owned)
        .collect();
    for app in apps {
        // A world of its own for each: a checker may change what it finds.
        let world = World::demo()?;
        let owner = world.owner().to_owned();
        let sim = Sim::start(world, Options::default()).await?;
        println!("{} {} TOKEN {owner} {app}", checker.display(), sim.url());
        let status = program(&python)
            .args(["-W", "ignore::DeprecationWarning"])
            .arg(&checker)
            .args([&sim.url(), sim.token(), &owner, &app])
            .status()
            .await?;
        // A checker that a signal ended has no code.
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        worst = worst.max(code.unwrap_or(1));
    }
    Ok(ExitCode::from(worst))
}
