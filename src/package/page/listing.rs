//! The list of all files, folder by folder.

use std::io::{self, Write};

use super::words::described;
use crate::domain::ErrorId;
use crate::package::html::{Href, Text, size};
use crate::package::manifest::FileEntry;

/// The order in which files are listed: by path, so that each folder's stand together.
pub(in crate::package) fn order(files: &[FileEntry]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    let key = |n: &usize| {
        let path = files.get(*n).map_or("", |file| file.path.as_str());
        path.rsplit_once('/')
            .map_or(("", path), |(folder, name)| (folder, name))
    };
    order.sort_by_key(key);
    order
}

/// The name of the place in the list where a report's files begin.
pub(super) fn anchor(report: &ErrorId) -> String {
    format!("report-{report}")
}

/// What one table of the list holds: a report's files with all their folders, else those of one folder.
#[derive(PartialEq)]
enum Group<'a> {
    Report(&'a ErrorId),
    Folder(&'a str),
}

/// Writes a part of the list.
pub(super) fn write(out: &mut impl Write, files: &[FileEntry], part: &[usize]) -> io::Result<()> {
    let mut group = None;
    let mut folder = "";
    for file in part.iter().filter_map(|n| files.get(*n)) {
        let above = file.path.rsplit_once('/').map_or("", |(above, _)| above);
        let this = match &file.of.report {
            Some(report) => Group::Report(report),
            None => Group::Folder(above),
        };
        if group.as_ref() != Some(&this) {
            if group.is_some() {
                writeln!(out, "</tbody></table>")?;
            }
            // The folder of a report comes before those in it, unless they are all that there is.
            folder = above
                .strip_suffix("/archive")
                .or_else(|| above.strip_suffix("/attachments"))
                .unwrap_or(above);
            heading(out, folder, file.of.report.as_ref())?;
            group = Some(this);
            writeln!(
                out,
                "<table class=\"files\"><thead><tr><th>File</th><th>What</th><th>From</th><th class=\"n\">Size</th></tr></thead><tbody>"
            )?;
        }
        let name = file.path.strip_prefix(folder).unwrap_or(&file.path);
        row(out, file, name.trim_start_matches('/'))?;
    }
    if group.is_some() {
        writeln!(out, "</tbody></table>")?;
    }
    Ok(())
}

fn heading(out: &mut impl Write, folder: &str, report: Option<&ErrorId>) -> io::Result<()> {
    let title = if folder.is_empty() { "(top)" } else { folder };
    let Some(report) = report else {
        return writeln!(out, "<h3>{}</h3>", Text(title));
    };
    write!(out, "<h3 id=\"{}\">Crash or error", Text(&anchor(report)))?;
    if let Some(at) = report.timestamp() {
        let at = at.strftime("%-d %B %Y, %H:%M UTC").to_string();
        write!(out, " of {}", Text(&at))?;
    }
    writeln!(out, "<br><small>{}</small></h3>", Text(title))
}

fn row(out: &mut impl Write, file: &FileEntry, name: &str) -> io::Result<()> {
    write!(
        out,
        "<tr><td><a href=\"{}\"><bdi>{}</bdi></a>",
        Href(&file.path),
        Text(name)
    )?;
    // An ending alone needs no words.
    let ending = |original: &&String| {
        let base = file.path.rsplit('/').next().unwrap_or(&file.path);
        matches!(base.strip_prefix(original.as_str()), Some(".txt" | ".bin"))
    };
    if let Some(original) = file.original_name.as_ref().filter(|it| !ending(it)) {
        write!(
            out,
            "<br><small>sent as: <bdi>{}</bdi></small>",
            Text(original)
        )?;
    }
    write!(out, "</td><td>{}", Text(described(file.what).0))?;
    if let Some(records) = file.records {
        write!(out, "<br><small>{records} records</small>")?;
    }
    writeln!(
        out,
        "</td><td><small>{}</small></td><td class=\"n\">{}</td></tr>",
        Text(&file.source),
        size(file.size)
    )
}
