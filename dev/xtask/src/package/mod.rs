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
/// What `func start` needs for Azurite on this machine.
const EXAMPLE: &str = "local.settings.example.json";
/// What may lie in the folder and is nothing to publish; the first is a copy of the example, the last what a local run leaves.
const LOCAL: [&str; 3] = ["local.settings.json", ".funcignore", "ledger.db*"];

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
    let notices = notices::notices(TARGET).await?;
    std::fs::create_dir_all(&out)?;
    // What somebody left in the folder, such as the ledger of a local run, is nothing to publish.
    let clean = tempfile::tempdir_in(&out)?;
    fill(&root, &handler, &notices, clean.path())?;
    write_zip(clean.path(), &zip)?;
    fill(&root, &handler, &notices, &app)?;
    std::fs::copy(root.join(EXAMPLE), app.join(LOCAL[0]))
        .with_context(|| format!("{EXAMPLE} cannot be copied"))?;
    std::fs::write(app.join(".funcignore"), format!("{}\n", LOCAL.join("\n")))?;
    println!("  folder   {}", app.display());
    println!("Try it: cargo xtask demo --package {}", zip.display());
    Ok(ExitCode::SUCCESS)
}

/// Puts together what Azure gets.
fn fill(root: &Path, handler: &Path, notices: &str, folder: &Path) -> anyhow::Result<()> {
    functions_host::stage::stage(root, handler, folder)?;
    std::fs::write(folder.join("THIRD-PARTY-NOTICES.txt"), notices)?;
    std::fs::copy(root.join("LICENSE"), folder.join("LICENSE"))
        .context("LICENSE cannot be copied")?;
    Ok(())
}

/// Writes the zip and says what is in it.
fn write_zip(app: &Path, zip: &Path) -> anyhow::Result<()> {
    let files = archive::files(app)?;
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

    /// Of a folder in which somebody ran the app, too.
    #[test]
    fn the_zip_has_what_azure_gets_and_nothing_else() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let (clean, zip) = (folder.path().join("app"), folder.path().join(ZIP));
        let handler = folder.path().join("handler");
        std::fs::write(&handler, "#!")?;
        let root = stack::project_root();
        fill(&root, &handler, "notices", &clean)?;
        write_zip(&clean, &zip)?;
        let unpacked = folder.path().join("unpacked");
        unpack(&zip, &unpacked)?;
        let mut names = Vec::new();
        for name in archive::files(&unpacked)? {
            let name = name.display().to_string();
            let function = name.strip_suffix("/function.json");
            if let Some(function) = function {
                assert!(root.join("functions").join(function).is_dir(), "{function}");
            } else {
                names.push(name);
            }
        }
        let others = [
            "LICENSE",
            "THIRD-PARTY-NOTICES.txt",
            "appcenter-dsr",
            "host.json",
        ];
        assert_eq!(names, others);
        Ok(())
    }

    #[test]
    fn what_local_runs_leave_is_not_published() {
        let example = std::fs::read_to_string(stack::project_root().join(EXAMPLE));
        let example: serde_json::Value =
            serde_json::from_str(&example.expect("the example")).expect("JSON");
        let ledger = example["Values"]["LEDGER_DATABASE"]
            .as_str()
            .expect("a text");
        let file = ledger.strip_prefix("sqlite:").expect("a file");
        let is_ignored = |name: &str| {
            let mut patterns = LOCAL.iter();
            patterns.any(|it| {
                it.strip_suffix('*')
                    .map_or(*it == name, |start| name.starts_with(start))
            })
        };
        for name in ["local.settings.json", ".funcignore", file] {
            assert!(is_ignored(name), "{name}");
        }
        assert!(is_ignored(&format!("{file}-wal")) && !is_ignored("host.json"));
    }
}
