//! `cargo xtask package`: the app as Azure takes it, a folder and a zip of it.
//!
//! The executable is linked statically, so that it runs on any Linux plan whatever C library it has.
//! The same sources and toolchain give the same zip: entries are sorted and carry one fixed time, and no path of the
//! machine is in them.

mod archive;
mod elf;
mod notices;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Args;
use sha2::{Digest as _, Sha256};

pub(crate) use archive::unpack;

use crate::cargo::Profile;
use crate::cargo::{build_with, cargo, given_or_built};
use crate::run::program;
use crate::table::Table;

/// What Azure's Linux plans run.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// A sixth of the executable is names of functions, which the release keeps for profilers.
const STRIP: (&str, &str) = ("CARGO_PROFILE_RELEASE_STRIP", "symbols");
/// The zip's name.
const ZIP: &str = "appcenter-dsr.zip";
/// What only local tools read: in the folder, not in the zip.
const LOCAL: [&str; 2] = ["local.settings.json", ".funcignore"];

/// What is asked for.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where the folder `app` and the zip go; `target/package` without.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Package this handler instead of building the release.
    #[arg(long)]
    handler: Option<PathBuf>,
    /// Take a handler that needs the C library of the machine that runs it.
    #[arg(long)]
    dynamic: bool,
}

/// Builds, stages and zips.
///
/// # Errors
/// When the handler does not build or start, is not static, or something cannot be written.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let root = stack::project_root();
    let out = options.out.unwrap_or_else(|| root.join("target/package"));
    let handler = match &options.handler {
        Some(given) => given_or_built(Some(given), Profile::Release).await?,
        None => build(options.dynamic).await?,
    };
    if !options.dynamic {
        ensure!(
            !elf::is_dynamic(&std::fs::read(&handler)?)?,
            "the handler needs the C library of the machine that runs it, and that of a Linux plan may be older: install the static C library here (on Debian it is in libc6-dev), or pass --dynamic if it will run on a machine like this one"
        );
    }
    // What does not even start is not packaged.
    let help = program(&handler).arg("--help").output().await?;
    ensure!(
        help.status.success(),
        "the handler that was built does not start"
    );
    let (app, zip) = (out.join("app"), out.join(ZIP));
    functions_host::stage::stage(&root, &handler, &app)?;
    let notices = notices::notices(TARGET).await?;
    std::fs::write(app.join("THIRD-PARTY-NOTICES.txt"), notices)?;
    for (from, to) in [
        ("LICENSE", "LICENSE"),
        // As an example has it: what `func start` needs for Azurite on this machine.
        ("local.settings.example.json", LOCAL[0]),
    ] {
        std::fs::copy(root.join(from), app.join(to))
            .with_context(|| format!("{from} cannot be copied"))?;
    }
    std::fs::write(app.join(LOCAL[1]), format!("{}\n", LOCAL.join("\n")))?;
    write_zip(&app, &zip)?;
    println!("  folder   {}", app.display());
    println!("Try it: cargo xtask demo --package {}", zip.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes the zip and says what is in it.
fn write_zip(app: &Path, zip: &Path) -> anyhow::Result<()> {
    let mut files = archive::files(app)?;
    files.retain(|it| !LOCAL.iter().any(|local| it == Path::new(local)));
    let mut writer = BufWriter::new(File::create(zip)?);
    archive::write(app, &files, &mut writer)?;
    writer.flush()?;
    let mut table = Table::new(&["file", "bytes"]);
    for file in &files {
        table.row(&[&file.display(), &std::fs::metadata(app.join(file))?.len()]);
    }
    println!("{table}");
    let bytes = std::fs::read(zip)?;
    println!("  zip      {}", zip.display());
    println!(
        "  size     {:.1} MB ({} bytes)",
        bytes.len() as f64 / 1e6,
        bytes.len()
    );
    let hash = Sha256::digest(&bytes);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("  SHA-256  {hash}");
    Ok(())
}

/// The release; gives the executable.
async fn build(is_dynamic: bool) -> anyhow::Result<PathBuf> {
    let kind = if is_dynamic { "dynamic" } else { "static" };
    println!("Building the handler: {kind} release for {TARGET}");
    let mut set = cargo();
    set.args(["--release", "--locked", "--target", TARGET]);
    let root = stack::project_root();
    let mut flags = format!("--remap-path-prefix={}=.", root.display());
    // Where dependencies lie on this machine is nobody's business, and would change the result.
    if let Some(home) = std::env::home_dir() {
        flags.push_str(&format!(" --remap-path-prefix={}=home", home.display()));
    }
    if !is_dynamic {
        flags.push_str(" -C target-feature=+crt-static");
    }
    set.env("RUSTFLAGS", &flags);
    set.env(STRIP.0, STRIP.1);
    build_with(set).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_local_tools_read_is_not_in_the_zip() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let (app, zip) = (folder.path().join("app"), folder.path().join(ZIP));
        std::fs::create_dir_all(app.join("jobs"))?;
        for name in ["host.json", "jobs/function.json", "LICENSE"]
            .iter()
            .chain(&LOCAL)
        {
            std::fs::write(app.join(name), "{}")?;
        }
        write_zip(&app, &zip)?;
        let unpacked = folder.path().join("unpacked");
        unpack(&zip, &unpacked)?;
        let names: Vec<_> = archive::files(&unpacked)?;
        let names: Vec<_> = names.iter().map(|it| it.display().to_string()).collect();
        assert_eq!(names, ["LICENSE", "host.json", "jobs/function.json"]);
        Ok(())
    }
}
