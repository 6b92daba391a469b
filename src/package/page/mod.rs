//! `index.html`: for a person without training, offline. It has no script, loads nothing, and says so to the browser.
//!
//! First a summary that answers the questions in a sentence each, then a section for each app, then the details.

mod apps;
mod details;
mod listing;
mod summary;
mod words;

use std::io::{self, Write};

use super::html::{Href, Text};
use super::manifest::{FileEntry, Meta, Summary};

pub(super) use self::listing::order;

/// The first page's name.
pub(super) const NAME: &str = "index.html";
/// Files that a page lists; browsers do not like longer tables.
pub(super) const FILES_PER_PAGE: usize = 5_000;

const STYLE: &str = include_str!("page.css");
/// Nothing runs, nothing is loaded, nothing is sent.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Writes the first page; `part` holds what it lists, `more` the pages with the rest.
pub(super) fn index(
    out: &mut impl Write,
    meta: &Meta,
    summary: &Summary,
    files: &[FileEntry],
    part: &[usize],
    more: &[String],
) -> io::Result<()> {
    head(out, "Copy of your personal data")?;
    summary::write(out, meta, summary, files)?;
    apps::write(out, meta, summary, files)?;
    details::background(out, meta, summary)?;
    details::missing(out, summary)?;
    details::searched(out, summary)?;
    details::kinds(out, files)?;
    writeln!(out, "<h2 id=\"files\">All files</h2>")?;
    if files.is_empty() {
        writeln!(out, "<p>This package holds no files of data.</p>")?;
    }
    listing::write(out, files, part)?;
    if !more.is_empty() {
        writeln!(out, "<p>The list goes on:</p>\n<ul>")?;
        for page in more {
            let (link, name) = (Href(page), Text(page));
            writeln!(out, "<li><a href=\"{link}\">{name}</a></li>")?;
        }
        writeln!(out, "</ul>")?;
    }
    details::checking(out)?;
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
    listing::write(out, files, part)?;
    foot(out)
}

fn head(out: &mut impl Write, title: &str) -> io::Result<()> {
    writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{0}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>",
        Text(title)
    )
}

fn foot(out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "</main>\n</body>\n</html>")
}
