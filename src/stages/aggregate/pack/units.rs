//! What a package is made of: files of log rows, and reports with all that belongs to them. The same list each time.

use super::super::Missing;
use super::super::outcomes::Outcomes;
use super::spread::{Folder, Spread, folders};
use crate::domain::hit::Stream;
use crate::domain::plan::{Action, Plan, ReportItem};
use crate::domain::{AppRef, ErrorId, InstallId};
use crate::package::{FileAbout, Of, What};
use crate::search::facts::ids_in_name;
use crate::stages::test_export::TestFile;

/// Files that are written one after the other.
#[derive(Debug)]
pub(super) enum Unit<'a> {
    /// One file of the log rows of a folder, in both forms.
    Rows {
        /// The folder.
        folder: Folder,
        /// The places of its parts in [`Spread::parts`].
        parts: Vec<usize>,
        /// Which file of the folder, from 0.
        file: u32,
        /// How many rows.
        rows: u64,
    },
    /// Everything of one report.
    Report(&'a ReportItem),
    /// The test data of one app.
    Tests(&'a AppRef, &'a [TestFile]),
}

/// A file of the package.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) folder: Vec<String>,
    pub(super) name: String,
    pub(super) about: FileAbout,
    pub(super) from: From,
}

/// Where a file's content is.
#[derive(Debug)]
pub(super) enum From {
    /// In parts of log rows, by their places in [`Spread::parts`]; to be written as they are.
    Rows(Vec<usize>),
    /// The same, to be written as a table.
    Table(Vec<usize>),
    /// In a blob of the archive.
    Archive(String),
    /// In a blob of the work container.
    Work(String),
}

/// Every unit, in the order in which they are written.
pub(super) fn units<'a>(plan: &'a Plan, spread: &Spread, outcomes: &'a Outcomes) -> Vec<Unit<'a>> {
    let mut units = Vec::new();
    for (folder, number) in folders(plan).into_iter().zip(0_u32..) {
        let of_folder = spread.parts.iter().enumerate();
        let of_folder: Vec<_> = of_folder.filter(|(_, it)| it.folder == number).collect();
        let last = of_folder.iter().map(|(_, it)| it.file).max().unwrap_or(0);
        for file in 0..=last {
            let parts = of_folder.iter().filter(|(_, it)| it.file == file);
            units.push(Unit::Rows {
                folder: folder.clone(),
                parts: parts.clone().map(|(n, _)| *n).collect(),
                file,
                rows: parts.map(|(_, it)| it.rows).sum(),
            });
        }
    }
    let reports = plan.reports.iter();
    units.extend(
        reports
            .filter(|it| it.action == Action::Act)
            .map(Unit::Report),
    );
    let tests = outcomes.tests.iter().filter(|it| !it.files.is_empty());
    units.extend(tests.filter_map(|it| Some(Unit::Tests(it.app.as_ref()?, &it.files))));
    units
}

fn install_folder(install: Option<InstallId>) -> String {
    install.map_or_else(|| "no-install".to_owned(), |id| id.to_string())
}

impl Unit<'_> {
    /// The folder that all its files are in.
    pub(super) fn folder(&self) -> Vec<String> {
        let of = |app: &AppRef, install| {
            vec![app.owner.clone(), app.name.clone(), install_folder(install)]
        };
        match self {
            Self::Rows { folder, .. } => of(&folder.0, folder.1),
            Self::Report(report) => {
                let mut folder = of(&report.app, report.install_id);
                folder.extend(["reports".to_owned(), report.error_id.to_string()]);
                folder
            }
            Self::Tests(app, _) => vec![app.owner.clone(), app.name.clone(), "test".to_owned()],
        }
    }

    /// Its files, and what is known to be missing.
    pub(super) fn pieces(&self, outcomes: &Outcomes) -> (Vec<Piece>, Missing) {
        match self {
            Self::Rows {
                folder,
                parts,
                file,
                rows,
            } => (
                self.row_files(folder, parts, *file, *rows),
                Missing::default(),
            ),
            Self::Report(report) => self.report_files(report, outcomes),
            Self::Tests(app, files) => {
                let pieces = files.iter().map(|file| self.test_file(app, file));
                (pieces.collect(), Missing::default())
            }
        }
    }

    fn test_file(&self, app: &AppRef, file: &TestFile) -> Piece {
        let of = Of {
            app: Some(app.clone()),
            ..Of::default()
        };
        let source = format!("App Center's API: {}", file.operation);
        Piece {
            folder: self.folder(),
            name: file.name.clone(),
            about: FileAbout::new(What::TestFile, source).of(of),
            from: From::Work(file.blob.clone()),
        }
    }

    fn row_files(&self, folder: &Folder, parts: &[usize], file: u32, rows: u64) -> Vec<Piece> {
        let of = Of {
            app: Some(folder.0.clone()),
            install_id: folder.1,
            report: None,
        };
        let stem = match file {
            0 => "log-rows".to_owned(),
            n => format!("log-rows-{}", n + 1),
        };
        let piece = |extension: &str, what: What, from: From| Piece {
            folder: self.folder(),
            name: format!("{stem}.{extension}"),
            about: FileAbout::new(what, "log rows that App Center exported")
                .of(of.clone())
                .records(rows),
            from,
        };
        vec![
            piece("jsonl", What::LogRows, From::Rows(parts.to_vec())),
            piece("csv", What::LogRowsCsv, From::Table(parts.to_vec())),
        ]
    }

    fn report_files(&self, report: &ReportItem, outcomes: &Outcomes) -> (Vec<Piece>, Missing) {
        let mut pieces = Vec::new();
        let mut missing = Missing::default();
        let of = Of {
            app: Some(report.app.clone()),
            install_id: report.install_id,
            report: Some(report.error_id.clone()),
        };
        for blob in &report.blobs {
            if !is_named_after(blob, &report.error_id) {
                missing.add(
                    "an archive blob of a report",
                    "it is not named after the report and may hold other people's",
                );
                continue;
            }
            let what = match Stream::of(blob) {
                Stream::Attachments => What::Attachment,
                Stream::Crashes | Stream::Errors => What::Report,
                Stream::Logs | Stream::Other => What::Other,
            };
            let mut folder = self.folder();
            folder.push("archive".to_owned());
            pieces.push(Piece {
                folder,
                name: file_name(blob, "report"),
                about: FileAbout::new(what, blob.clone()).of(of.clone()),
                from: From::Archive(blob.clone()),
            });
        }
        if let Some(reason) = outcomes.refused.get(&report.id) {
            missing.add("a report by API", reason);
        }
        let collected = outcomes.collected.get(&report.id);
        for what in collected.iter().flat_map(|it| &it.missing) {
            missing.add("a part of a report", what);
        }
        for file in collected.iter().flat_map(|it| &it.files) {
            let (what, source) = kind(&file.kind);
            let mut folder = self.folder();
            if what == What::Attachment {
                folder.push("attachments".to_owned());
            }
            let stored = file_name(&file.blob, "file");
            pieces.push(Piece {
                folder,
                name: file.name.clone().unwrap_or(stored),
                about: FileAbout::new(what, source).of(of.clone()),
                from: From::Work(file.blob.clone()),
            });
        }
        (pieces, missing)
    }
}

/// What `collect` stores, by its kinds; an unknown one is kept as other data.
fn kind(kind: &str) -> (What, &'static str) {
    match kind {
        "report" => (
            What::ReportDetails,
            "App Center's API: details, stack trace, session logs and attachments of the report",
        ),
        "details" => (
            What::ReportDetails,
            "App Center's API: Errors_GetErrorDetails",
        ),
        "stack_trace" => (What::StackTrace, "App Center's API: Errors_ErrorStackTrace"),
        "session_logs" => (
            What::SessionLogs,
            "App Center's API: Errors_ListSessionLogs",
        ),
        "raw_log" => (What::RawLog, "App Center's API: Errors_ErrorLocation"),
        "attachment" => (
            What::Attachment,
            "App Center's API: Errors_ErrorAttachments",
        ),
        _ => (What::Other, "App Center's API"),
    }
}

fn file_name(blob: &str, otherwise: &str) -> String {
    let name = blob.rsplit('/').next().filter(|name| !name.is_empty());
    name.unwrap_or(otherwise).to_owned()
}

/// A blob that is not named after the report may hold other people's too.
fn is_named_after(blob: &str, error: &ErrorId) -> bool {
    let named = ids_in_name(blob).error_id;
    let guid = named.as_ref().and_then(ErrorId::guid);
    named.as_ref() == Some(error) || (guid.is_some() && guid == error.guid())
}
