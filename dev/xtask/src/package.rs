//! `cargo xtask package`: the app as Azure takes it, a folder and a zip of it.
//!
//! The executable is linked statically where that works, so that it runs on any Linux plan whatever C library it has.
//! The same sources, toolchain and place give the same zip: entries are sorted and carry one fixed time.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use sha2::{Digest as _, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::cargo::{build_with, cargo};
use crate::run::program;
use crate::table::Table;

/// What Azure's Linux plans run.
const TARGET: &str = "x86_64-unknown-linux-gnu";
/// A sixth of the executable is names of functions, which the release keeps for profilers.
const STRIP: (&str, &str) = ("CARGO_PROFILE_RELEASE_STRIP", "symbols");

/// Builds, stages and zips.
///
/// # Errors
/// When the handler does not build or start, or something cannot be written.
pub(crate) async fn run(out: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let root = stack::project_root();
    let out = out.unwrap_or_else(|| root.join("target/package"));
    let handler = build().await?;
    // What does not even start is not packaged.
    let help = program(&handler).arg("--help").output().await?;
    anyhow::ensure!(
        help.status.success(),
        "the handler that was built does not start"
    );
    let (app, zip) = (out.join("app"), out.join("appcenter-dsr.zip"));
    functions_host::stage::stage(&root, &handler, &app)?;
    let files = files(&app)?;
    let mut writer = BufWriter::new(File::create(&zip)?);
    write(&app, &files, &mut writer)?;
    writer.flush()?;
    let mut table = Table::new(&["file", "bytes"]);
    for file in &files {
        table.row(&[&file.display(), &std::fs::metadata(app.join(file))?.len()]);
    }
    println!("{table}");
    let bytes = std::fs::read(&zip)?;
    println!("  folder   {}", app.display());
    println!("  zip      {}", zip.display());
    println!(
        "  size     {:.1} MB ({} bytes)",
        bytes.len() as f64 / 1e6,
        bytes.len()
    );
    let hash = Sha256::digest(&bytes);
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("  SHA-256  {hash}");
    println!("Try it: `func start` in the folder, or publish the zip.");
    Ok(ExitCode::SUCCESS)
}

/// The release, static if that works; gives the executable.
async fn build() -> anyhow::Result<PathBuf> {
    println!("Building the handler: static release for {TARGET}");
    let mut set = cargo();
    set.args(["--release", "--locked", "--target", TARGET]);
    let root = stack::project_root();
    let mut flags = format!(
        "-C target-feature=+crt-static --remap-path-prefix={}=.",
        root.display()
    );
    // Where dependencies lie on this machine is nobody's business, and would change the result.
    if let Some(home) = std::env::home_dir() {
        flags.push_str(&format!(" --remap-path-prefix={}=home", home.display()));
    }
    set.env("RUSTFLAGS", &flags);
    set.env(STRIP.0, STRIP.1);
    match build_with(set).await {
        Ok(handler) => Ok(handler),
        Err(error) => {
            println!("  {error:#}; building one that needs this machine's C library instead");
            let mut set = cargo();
            set.args(["--release", "--locked"]);
            set.env(STRIP.0, STRIP.1);
            build_with(set).await
        }
    }
}

/// Every file below a folder, sorted, relative to it.
fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(folder)?.to_owned());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Zips files; modes are kept as far as they make a file executable or not.
fn write(
    folder: &Path,
    files: &[PathBuf],
    out: &mut (impl Write + std::io::Seek),
) -> anyhow::Result<()> {
    let mut zip = ZipWriter::new(out);
    for file in files {
        let path = folder.join(file);
        let is_executable = std::fs::metadata(&path)?.permissions().mode() & 0o111 != 0;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .compression_level(Some(9))
            .last_modified_time(DateTime::default())
            .unix_permissions(if is_executable { 0o755 } else { 0o644 });
        let name = file.to_str().context("a file's name is not UTF-8")?;
        zip.start_file(name, options)?;
        std::io::copy(&mut File::open(&path)?, &mut zip)?;
    }
    zip.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{files, write};
    use std::fs;
    use std::io::Cursor;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn the_same_files_give_the_same_zip() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("jobs"))?;
        fs::write(folder.path().join("jobs/function.json"), "{}")?;
        fs::write(folder.path().join("host.json"), "{}")?;
        fs::write(folder.path().join("handler"), "#!")?;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(folder.path().join("handler"), mode)?;
        let zip = || -> anyhow::Result<Vec<u8>> {
            let mut bytes = Cursor::new(Vec::new());
            write(folder.path(), &files(folder.path())?, &mut bytes)?;
            Ok(bytes.into_inner())
        };
        let first = zip()?;
        let later = fs::read(folder.path().join("host.json"))?;
        fs::write(folder.path().join("host.json"), later)?;
        assert_eq!(zip()?, first);
        let mut read = zip::ZipArchive::new(Cursor::new(first))?;
        let mut found = Vec::new();
        for n in 0..read.len() {
            let entry = read.by_index(n)?;
            let name = entry.name()?.into_owned();
            found.push((name, entry.unix_mode().unwrap_or(0) & 0o777));
        }
        let expected = [
            ("handler", 0o755),
            ("host.json", 0o644),
            ("jobs/function.json", 0o644),
        ];
        assert_eq!(found, expected.map(|(name, mode)| (name.to_owned(), mode)));
        Ok(())
    }
}
