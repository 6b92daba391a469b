//! `index.html`: for a person without training, offline. It has no script, loads nothing, and says so to the browser.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::html::{Href, Text, count, size, table};
use super::manifest::{FileEntry, LeftOut, Meta, Summary, What, by_reason};
use crate::domain::plan::Coverage;
use crate::domain::{Include, Jurisdiction};

/// The first page's name.
pub(super) const NAME: &str = "index.html";
/// Files that a page lists; browsers do not like longer tables.
pub(super) const FILES_PER_PAGE: usize = 5_000;

const STYLE: &str = include_str!("page.css");
/// Nothing runs, nothing is loaded, nothing is sent.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The order in which files are listed: by path, so that each folder's stand together.
pub(super) fn order(files: &[FileEntry]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..files.len()).collect();
    let key = |n: &usize| {
        let path = files.get(*n).map_or("", |file| file.path.as_str());
        path.rsplit_once('/')
            .map_or(("", path), |(folder, name)| (folder, name))
    };
    order.sort_by_key(key);
    order
}

/// Writes the first page; `part` holds what it lists, `more` the pages with the rest.
pub(super) fn index(
    out: &mut impl Write,
    meta: &Meta,
    summary: &Summary,
    files: &[FileEntry],
    part: &[usize],
    more: &[String],
) -> io::Result<()> {
    head(out, "Copy of personal data")?;
    confirmation(out, meta, summary, files)?;
    contents(out, summary, files)?;
    background(out, meta, summary)?;
    searched(out, summary)?;
    missing(out, summary)?;
    writeln!(out, "<h2 id=\"files\">All files</h2>")?;
    if files.is_empty() {
        writeln!(out, "<p>This package holds no files of data.</p>")?;
    }
    listing(out, files, part)?;
    if !more.is_empty() {
        writeln!(out, "<p>The list goes on:</p>\n<ul>")?;
        for page in more {
            writeln!(
                out,
                "<li><a href=\"{}\">{}</a></li>",
                Href(page),
                Text(page)
            )?;
        }
        writeln!(out, "</ul>")?;
    }
    checking(out)?;
    foot(out)
}

/// Writes a page with more of the file list.
pub(super) fn continuation(
    out: &mut impl Write,
    number: usize,
    of: usize,
    files: &[FileEntry],
    part: &[usize],
) -> io::Result<()> {
    head(out, &format!("All files, page {number} of {of}"))?;
    writeln!(out, "<p><a href=\"{NAME}\">Back to the first page</a></p>")?;
    listing(out, files, part)?;
    foot(out)
}

fn head(out: &mut impl Write, title: &str) -> io::Result<()> {
    writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{0}</h1>",
        Text(title)
    )
}

fn foot(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "</body>\n</html>")
}

fn confirmation(
    out: &mut impl Write,
    meta: &Meta,
    summary: &Summary,
    files: &[FileEntry],
) -> io::Result<()> {
    let apps: Vec<String> = meta.apps.iter().map(ToString::to_string).collect();
    if files.is_empty() {
        writeln!(
            out,
            "<p class=\"lead\">We searched for data about you in the apps named below and put no data into this package. \
             Below you find what was searched, and what could not be searched or is left out.</p>"
        )?;
    } else {
        writeln!(
            out,
            "<p class=\"lead\">Yes, data about you was found in the apps named below. This package is your copy of it.</p>"
        )?;
    }
    let include: Vec<&str> = summary
        .include
        .iter()
        .map(|include| match include {
            Include::Diagnostics => "crashes and errors",
            Include::Analytics => "usage records",
            Include::Test => "App Center Test",
        })
        .collect();
    let period = match summary.window {
        None => "everything that is kept".to_owned(),
        Some(window) => format!("{} to {} (UTC)", window.from, window.to),
    };
    let made = meta.created_at.strftime("%Y-%m-%d %H:%M UTC").to_string();
    table(
        out,
        &["", ""],
        [
            ["Request".to_owned(), meta.reference.clone()],
            ["Number".to_owned(), meta.request.to_string()],
            ["Made".to_owned(), made],
            ["Apps".to_owned(), apps.join(", ")],
            ["Kinds of data".to_owned(), include.join(", ")],
            ["Period".to_owned(), period],
        ],
    )
}

fn contents(out: &mut impl Write, summary: &Summary, files: &[FileEntry]) -> io::Result<()> {
    writeln!(out, "<h2>What is held about you</h2>")?;
    writeln!(
        out,
        "<p>{}; {}; {}.</p>",
        count(
            summary.counts.installs,
            "installation of an app",
            "installations of an app"
        ),
        count(
            summary.counts.reports,
            "crash or error report",
            "crash or error reports"
        ),
        count(summary.counts.rows, "usage record", "usage records"),
    )?;
    let mut kinds: BTreeMap<What, (u64, u64)> = BTreeMap::new();
    for file in files {
        let (n, bytes) = kinds.entry(file.what).or_default();
        *n += 1;
        *bytes += file.size;
    }
    if kinds.is_empty() {
        return Ok(());
    }
    table(
        out,
        &["Kind", "What it tells", "#Files", "#Size"],
        kinds.into_iter().map(|(what, (n, bytes))| {
            let (label, meaning) = described(what);
            [
                label.to_owned(),
                meaning.to_owned(),
                n.to_string(),
                size(bytes),
            ]
        }),
    )
}

/// A kind of file in words.
fn described(what: What) -> (&'static str, &'static str) {
    match what {
        What::LogRows => (
            "Usage records",
            "What the app reported of its use: when it started, which events happened, on which device and system. One record a line.",
        ),
        What::Report => (
            "Crash or error report",
            "What the app sent when it crashed or met an error, with the device and the place in the program.",
        ),
        What::ReportDetails => (
            "Details of a report",
            "What App Center shows of a crash or error: time, device, country, language.",
        ),
        What::StackTrace => (
            "Stack trace",
            "Where in the program a crash or error happened. It is about the program, not about you.",
        ),
        What::RawLog => ("Original crash log", "The log as the device sent it."),
        What::SessionLogs => (
            "Session log",
            "What the app did in the session before a crash.",
        ),
        What::Attachment => (
            "Attachment",
            "A file that the app sent along with a crash or error.",
        ),
        What::TestFile => ("Test file", "A result of an automatic test of the app."),
        What::Other => ("Other data", "Other data in which you were found."),
        What::Index => ("Page", "A page of this package."),
    }
}

fn background(out: &mut impl Write, meta: &Meta, summary: &Summary) -> io::Result<()> {
    writeln!(
        out,
        "<h2>Why it is held</h2>\n\
         <p>The apps report crashes, errors and usage so that their developers can find and repair faults and see how the \
         apps are used. The privacy notice of the app's operator says more.</p>\n\
         <h2>Where it came from</h2>\n\
         <p>From the app on your device. It sent the data to Visual Studio App Center, a service of Microsoft; from there it \
         was exported to the operator's own archive in Azure Storage. The list of files says for each file which place in \
         the archive, or which question to App Center, it came from. An installation is known by a random number (install \
         ID), not by your name.</p>\n\
         <h2>Who received it</h2>\n<ul>\n\
         <li>Microsoft, as the operator of Visual Studio App Center</li>\n\
         <li>Microsoft, as the operator of Azure Storage, where the operator of the app keeps the exported archive and this \
         package</li>"
    )?;
    for recipient in &summary.recipients {
        writeln!(out, "<li>{}</li>", Text(recipient))?;
    }
    writeln!(
        out,
        "</ul>\n<h2>How long it is kept</h2>\n<ul>\n\
         <li>Usage records in App Center: 28 days</li>"
    )?;
    if summary.diagnostics_days.is_empty() {
        writeln!(
            out,
            "<li>Crashes and errors in App Center: 28 or 90 days, as the app is set</li>"
        )?;
    }
    for (app, days) in &summary.diagnostics_days {
        writeln!(
            out,
            "<li>Crashes and errors of {} in App Center: {days} days</li>",
            Text(app)
        )?;
    }
    writeln!(
        out,
        "<li>The exported archive: until the operator of the app deletes it</li>"
    )?;
    if let Some(days) = summary.package_days {
        writeln!(
            out,
            "<li>This package, where it was made for you: {days} days after your request was completed</li>"
        )?;
    }
    let authority = match meta.jurisdiction {
        Jurisdiction::Eu => "the data protection authority of your country",
        Jurisdiction::Uk => "the Information Commissioner's Office (ICO)",
        Jurisdiction::UsCa => "the California Privacy Protection Agency or the Attorney General",
    };
    writeln!(
        out,
        "</ul>\n<h2>What you can do</h2>\n\
         <p>You can ask the operator of the app to correct or erase this data, or to restrict or stop its use. You can also \
         complain to {authority}.</p>"
    )
}

fn searched(out: &mut impl Write, summary: &Summary) -> io::Result<()> {
    if summary.coverage.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2>What was searched</h2>")?;
    table(
        out,
        &[
            "App",
            "Period with data",
            "#Days",
            "Files of the archive",
            "#Records",
        ],
        summary.coverage.iter().map(|(app, coverage)| {
            let period = match (coverage.first_day, coverage.last_day) {
                (Some(first), Some(last)) => format!("{first} to {last}"),
                _ => "no data in the archive".to_owned(),
            };
            let streams: Vec<String> = coverage
                .blobs
                .iter()
                .map(|(stream, n)| format!("{stream}: {n}"))
                .collect();
            [
                app.clone(),
                period,
                coverage.days.to_string(),
                streams.join(", "),
                coverage.records.to_string(),
            ]
        }),
    )
}

fn missing(out: &mut impl Write, summary: &Summary) -> io::Result<()> {
    let mut rows: Vec<[String; 3]> = Vec::new();
    for (reason, n) in &summary.held {
        rows.push([
            "Found, and left out because it may be about somebody else".to_owned(),
            reason.clone(),
            n.to_string(),
        ]);
    }
    let left_out = |left: &LeftOut| {
        [
            left.what.clone(),
            left.reason.clone(),
            left.count.to_string(),
        ]
    };
    rows.extend(summary.unavailable.iter().map(left_out));
    rows.extend(summary.excluded.iter().map(left_out));
    for (app, coverage) in &summary.coverage {
        rows.extend(not_read(app, coverage));
    }
    writeln!(out, "<h2>What is not in this package</h2>")?;
    if rows.is_empty() {
        return writeln!(
            out,
            "<p>Nothing that was found was left out, and all of it could be read.</p>"
        );
    }
    table(out, &["What", "Why", "#How many"], rows)
}

/// Gaps in the archive, and parts of it that were not read.
fn not_read(app: &str, coverage: &Coverage) -> Vec<[String; 3]> {
    let gaps = coverage.gaps.iter().map(|gap| {
        let days = gap.to.since(gap.from).map_or(0, |span| span.get_days()) + 1;
        [
            format!(
                "{app}: {} to {} is missing in the archive",
                gap.from, gap.to
            ),
            gap.evidence.clone(),
            format!("{days} d"),
        ]
    });
    // Where nothing was read, "nothing was left out" would be a lie.
    let is_absent = coverage.blobs.values().sum::<u64>() == 0;
    let absent = is_absent.then(|| {
        [
            format!("{app}: everything"),
            "the archive holds nothing of this app for the time asked for, so nothing could be searched"
                .to_owned(),
            "?".to_owned(),
        ]
    });
    let parts = |what: &str, parts: BTreeMap<&str, u64>| -> Vec<[String; 3]> {
        let row =
            |(reason, n): (&str, u64)| [format!("{app}: {what}"), reason.to_owned(), n.to_string()];
        parts.into_iter().map(row).collect()
    };
    absent
        .into_iter()
        .chain(gaps)
        .chain(parts(
            "files of the archive that could not be read",
            by_reason(&coverage.unreadable),
        ))
        .chain(parts(
            "parts of files that were not searched",
            by_reason(&coverage.not_searched),
        ))
        .collect()
}

fn listing(out: &mut impl Write, files: &[FileEntry], part: &[usize]) -> io::Result<()> {
    let mut folder = None;
    for file in part.iter().filter_map(|n| files.get(*n)) {
        let (this, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
        if folder != Some(this) {
            if folder.is_some() {
                writeln!(out, "</tbody></table>")?;
            }
            folder = Some(this);
            let title = if this.is_empty() { "(top)" } else { this };
            writeln!(
                out,
                "<h3>{}</h3>\n<table><thead><tr><th>File</th><th>What</th><th>From</th><th class=\"n\">Size</th></tr></thead><tbody>",
                Text(title)
            )?;
        }
        write!(
            out,
            "<tr><td><a href=\"{}\">{}</a>",
            Href(&file.path),
            Text(name)
        )?;
        if let Some(original) = &file.original_name {
            write!(
                out,
                "<br><small>sent as: <bdi>{}</bdi></small>",
                Text(original)
            )?;
        }
        writeln!(
            out,
            "</td><td>{}</td><td>{}</td><td class=\"n\">{}</td></tr>",
            Text(described(file.what).0),
            Text(&file.source),
            size(file.size)
        )?;
    }
    if folder.is_some() {
        writeln!(out, "</tbody></table>")?;
    }
    Ok(())
}

fn checking(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "<h2>For the technically minded</h2>\n\
         <p class=\"note\"><a href=\"manifest.json\">manifest.json</a> says the same for programs, with size and SHA-256 of \
         every file. Files ending in .jsonl hold one JSON object a line, in UTF-8. Names that were not safe were changed; \
         files that could have run something when opened got an ending that runs nothing. This page needs no network.</p>"
    )
}
