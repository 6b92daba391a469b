//! The summary: every question in a sentence or two, with a link to the details.

use std::io::{self, Write};

use super::words;
use crate::domain::Include;
use crate::package::html::{Text, count, size, table};
use crate::package::manifest::{FileEntry, Meta, ROW_DAYS, Summary};

pub(super) fn write(
    out: &mut impl Write,
    meta: &Meta,
    summary: &Summary,
    files: &[FileEntry],
) -> io::Result<()> {
    let apps = count(meta.apps.len() as u64, "app", "apps");
    if files.is_empty() {
        writeln!(
            out,
            "<p class=\"lead\">We searched for data about you in {apps} and put no data into this package. Below you \
             find what was searched, and what could not be searched or is left out.</p>"
        )?;
    } else {
        writeln!(
            out,
            "<p class=\"lead\">Yes, data about you was found in the {apps} named below. This package is your copy of \
             it.</p>"
        )?;
    }
    let counts = &summary.counts;
    let bytes = files.iter().map(|file| file.size).sum();
    writeln!(out, "<ul class=\"cards\">")?;
    for (number, what) in [
        (counts.installs.to_string(), "installations of apps"),
        (counts.reports.to_string(), "crash and error reports"),
        (counts.rows.to_string(), "usage records"),
        (files.len().to_string(), "files"),
        (size(bytes), "in all"),
    ] {
        writeln!(out, "<li><b>{}</b> {what}</li>", Text(&number))?;
    }
    writeln!(out, "</ul>\n<h2 id=\"short\">In short</h2>\n<dl>")?;
    let missing = if super::details::missing_rows(summary).is_empty() {
        "Nothing that was found was left out, and all of it could be read."
    } else {
        "Some of it could not be had or is left out. <a href=\"#missing\">The list says what, why and how much.</a>"
    };
    let missing = missing.to_owned();
    let found = words::found(counts.installs, counts.reports, counts.rows);
    for (question, answer) in [
        ("What is held about you?", format!("{} <a href=\"#apps\">App by app</a>", Text(&found))),
        (
            "Where did it come from?",
            "From the apps on your devices. They sent it to Visual Studio App Center, a service of Microsoft; from there \
             it was exported to the archive of the apps' operator. <a href=\"#origin\">More</a>"
                .to_owned(),
        ),
        (
            "Who received it?",
            "Microsoft, which runs App Center and the archive's storage, and the operator of the apps. \
             <a href=\"#recipients\">More</a>"
                .to_owned(),
        ),
        (
            "How long is it kept?",
            format!(
                "Usage records {ROW_DAYS} days in App Center, crashes and errors for a time that the operator sets. The \
                 archive keeps both until the operator deletes them. <a href=\"#kept\">More</a>"
            ),
        ),
        ("What is missing?", missing),
        (
            "What can you do?",
            "Ask the operator of the apps to correct or erase it, or complain to an authority. \
             <a href=\"#rights\">More</a>"
                .to_owned(),
        ),
    ] {
        // The answers are ours, with their links; what is not is escaped above.
        writeln!(out, "<dt>{}</dt><dd>{answer}</dd>", Text(question))?;
    }
    writeln!(out, "</dl>\n<h2 id=\"request\">The request</h2>")?;
    request(out, meta, summary)
}

fn request(out: &mut impl Write, meta: &Meta, summary: &Summary) -> io::Result<()> {
    let apps: Vec<String> = meta.apps.iter().map(ToString::to_string).collect();
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
    let made = meta.created_at.strftime("%-d %B %Y, %H:%M UTC").to_string();
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
