//! What an export package holds, read as anybody would: by its manifest.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use zip::ZipArchive;

/// Largest file of a package that is read here: the demo world's are small.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// What a package holds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Of the whole.
    pub(super) sha256: String,
    /// Files that are missing or differ from the manifest.
    pub(super) damaged: usize,
    /// Error IDs of the crashes and errors in it.
    pub(super) reports: BTreeSet<String>,
    /// Error ID and file name of the attachments in it.
    pub(super) attachments: BTreeSet<(String, String)>,
    /// Error IDs under which any file lies.
    pub(super) touched: BTreeSet<String>,
    /// Log rows.
    pub(super) rows: usize,
}

impl Found {
    /// Reads a package.
    ///
    /// # Errors
    /// When it is no zip, or has no manifest.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let bytes = std::fs::read(path)?;
        let mut found = Self {
            sha256: hex(&Sha256::digest(&bytes)),
            ..Self::default()
        };
        let mut zip = ZipArchive::new(Cursor::new(bytes))?;
        let manifest = file(&mut zip, "manifest.json").context("the package has no manifest")?;
        let manifest: Value = serde_json::from_slice(&manifest)?;
        let files = manifest["files"]
            .as_array()
            .context("the manifest lists no files")?;
        for entry in files {
            let content = file(&mut zip, text(entry, "path")).unwrap_or_default();
            if hex(&Sha256::digest(&content)) != text(entry, "sha256") {
                found.damaged += 1;
            }
            found.add(entry, &content);
        }
        Ok(found)
    }

    fn add(&mut self, entry: &Value, content: &[u8]) {
        let parts: Vec<&str> = text(entry, "path").split('/').collect();
        let of_report = parts.iter().position(|part| *part == "reports");
        let (error, rest) = match of_report.and_then(|at| parts.get(at + 1..)) {
            Some([error, rest @ ..]) => (Some((*error).to_owned()), rest),
            _ => (None, [].as_slice()),
        };
        self.touched.extend(error.clone());
        match (text(entry, "what"), error, rest) {
            ("report", Some(error), _) => {
                self.reports.insert(error);
            }
            // The archive's copies go by the attachment's ID; these are as App Center names them.
            ("attachment", Some(error), ["attachments", name]) => {
                let name = entry["original_name"].as_str().unwrap_or(name);
                self.attachments.insert((error, name.to_owned()));
            }
            ("log_rows", _, _) => self.rows += rows(content),
            _ => {}
        }
    }
}

fn text<'a>(entry: &'a Value, key: &str) -> &'a str {
    entry[key].as_str().unwrap_or_default()
}

fn file(zip: &mut ZipArchive<Cursor<Vec<u8>>>, path: &str) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    zip.by_name(path)?
        .take(MAX_FILE)
        .read_to_end(&mut content)?;
    Ok(content)
}

/// Rows of a file: a line each.
fn rows(content: &[u8]) -> usize {
    let lines = content.split(|byte| *byte == b'\n');
    lines.filter(|line| !line.trim_ascii().is_empty()).count()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Found, hex};
    use sha2::{Digest as _, Sha256};
    use std::io::Write as _;
    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    #[test]
    fn a_package_is_read_by_its_manifest() -> anyhow::Result<()> {
        let files = [
            ("c/a/i/log-rows.jsonl", "log_rows", "{}\n{}\r\n\n"),
            ("c/a/i/reports/25-1/archive/25-1.json", "report", "{}"),
            ("c/a/i/reports/25-1/archive/x.bin", "attachment", "b"),
            ("c/a/i/reports/25-1/attachments/b.txt", "attachment", "b"),
            ("c/a/i/reports/25-2/details.json", "report_details", "{}"),
            ("index.html", "index", "<p>"),
        ];
        let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        let options = SimpleFileOptions::default();
        let mut entries = Vec::new();
        for (path, what, content) in files {
            zip.start_file(path, options)?;
            zip.write_all(content.as_bytes())?;
            let sha256 = hex(&Sha256::digest(content));
            entries.push(serde_json::json!({ "path": path, "what": what, "sha256": sha256 }));
        }
        entries[5]["sha256"] = serde_json::json!("00");
        entries.push(serde_json::json!({ "path": "gone", "what": "other", "sha256": "00" }));
        zip.start_file("manifest.json", options)?;
        zip.write_all(
            serde_json::json!({ "files": entries })
                .to_string()
                .as_bytes(),
        )?;
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), zip.finish()?.into_inner())?;
        let found = Found::read(file.path())?;
        assert_eq!(found.damaged, 2);
        assert_eq!(found.rows, 2);
        assert_eq!(found.reports, ["25-1".to_owned()].into());
        let attachment = ("25-1".to_owned(), "b.txt".to_owned());
        assert_eq!(found.attachments, [attachment].into());
        assert_eq!(found.touched, ["25-1".to_owned(), "25-2".to_owned()].into());
        Ok(())
    }
}
