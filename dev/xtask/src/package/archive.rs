//! The zip: entries sorted, one fixed time, modes kept. And what is in one, unpacked as a Linux plan does it.

use std::fs::{self, File, Permissions};
use std::io::{Read as _, Seek, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// Largest file of a package that is unpacked.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// Every file below a folder, sorted, relative to it.
pub(super) fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next)? {
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
pub(super) fn write(
    folder: &Path,
    files: &[PathBuf],
    out: &mut (impl Write + Seek),
) -> anyhow::Result<()> {
    let mut zip = ZipWriter::new(out);
    for file in files {
        let path = folder.join(file);
        let is_executable = fs::metadata(&path)?.permissions().mode() & 0o111 != 0;
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

/// Unpacks a package into a folder, each file with the mode that the zip gives it and no other.
///
/// # Errors
/// When it cannot be read, or a file would lie outside of the folder.
pub(crate) fn unpack(zip: &Path, folder: &Path) -> anyhow::Result<()> {
    let open = || format!("the package {} cannot be read", zip.display());
    let file = File::open(zip).with_context(open)?;
    let mut archive = ZipArchive::new(file).with_context(open)?;
    for n in 0..archive.len() {
        let mut entry = archive.by_index(n)?;
        let name = entry.enclosed_name();
        let path = folder.join(name.context("a file of the package has no place in it")?);
        if entry.is_dir() {
            fs::create_dir_all(&path)?;
            continue;
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mode = entry.unix_mode().unwrap_or(0o644) & 0o777;
        let mut bytes = Vec::new();
        entry.by_ref().take(MAX_BYTES).read_to_end(&mut bytes)?;
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, Permissions::from_mode(mode))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn the_same_files_give_the_same_zip() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let app = folder.path().join("app");
        fs::create_dir_all(app.join("jobs"))?;
        fs::write(app.join("jobs/function.json"), "{}")?;
        fs::write(app.join("host.json"), "{}")?;
        fs::write(app.join("handler"), "#!")?;
        fs::set_permissions(app.join("handler"), Permissions::from_mode(0o755))?;
        let zip = || -> anyhow::Result<Vec<u8>> {
            let mut bytes = Cursor::new(Vec::new());
            write(&app, &files(&app)?, &mut bytes)?;
            Ok(bytes.into_inner())
        };
        let first = zip()?;
        let later = fs::read(app.join("host.json"))?;
        fs::write(app.join("host.json"), later)?;
        assert_eq!(zip()?, first);

        let (file, unpacked) = (
            folder.path().join("app.zip"),
            folder.path().join("unpacked"),
        );
        fs::write(&file, first)?;
        unpack(&file, &unpacked)?;
        let mut found = Vec::new();
        for name in files(&unpacked)? {
            let mode = fs::metadata(unpacked.join(&name))?.permissions().mode() & 0o777;
            found.push((name.display().to_string(), mode));
        }
        let expected = [
            ("handler", 0o755),
            ("host.json", 0o644),
            ("jobs/function.json", 0o644),
        ];
        assert_eq!(found, expected.map(|(name, mode)| (name.to_owned(), mode)));
        assert_eq!(fs::read(unpacked.join("handler"))?, b"#!");
        Ok(())
    }

    #[test]
    fn nothing_is_unpacked_outside_of_the_folder() -> anyhow::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("../outside", SimpleFileOptions::default())?;
        zip.write_all(b"x")?;
        let file = folder.path().join("app.zip");
        fs::write(&file, zip.finish()?.into_inner())?;
        assert!(unpack(&file, &folder.path().join("app")).is_err());
        assert!(!folder.path().join("outside").exists());
        Ok(())
    }
}
