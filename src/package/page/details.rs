//! The details behind the summary: origin, recipients, time, what is missing, what was searched.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::words::{described, held, limit, nothing_read};
use crate::domain::Jurisdiction;
use crate::domain::plan::Coverage;
use crate::package::html::{Text, size, table};
use crate::package::manifest::{
    FileEntry, LeftOut, Meta, RECIPIENTS, ROW_DAYS, Summary, What, by_reason,
};

pub(super) fn background(out: &mut impl Write, meta: &Meta, summary: &Summary) -> io::Result<()> {
    writeln!(
        out,
        "<h2 id=\"purpose\">Why it is held</h2>\n\
         <p>The apps report crashes, errors and usage so that their developers can find and repair faults and see how the \
         apps are used. The privacy notice of the apps' operator says more.</p>\n\
         <h2 id=\"origin\">Where it came from</h2>\n\
         <p>From the app on your device. It sent the data to Visual Studio App Center, a service of Microsoft; from there it \
         was exported to the operator's own archive in Azure Storage. The list of files says for each file which place in \
         the archive, or which question to App Center, it came from.</p>\n\
         <p>An installation is an app on one device. It is known by a random number (install ID), not by your name; \
         installing the app again makes a new one.</p>\n\
         <h2 id=\"recipients\">Who received it</h2>\n<ul>\n<li>The operator of the apps</li>"
    )?;
    for recipient in RECIPIENTS {
        writeln!(out, "<li>{}</li>", Text(recipient))?;
    }
    for recipient in &summary.recipients {
        writeln!(out, "<li>{}</li>", Text(recipient))?;
    }
    writeln!(
        out,
        "</ul>\n<h2 id=\"kept\">How long it is kept</h2>\n<ul>\n\
         <li>Usage records in App Center: {ROW_DAYS} days</li>"
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
        "<li>The exported archive: until the operator of the apps deletes it</li>"
    )?;
    if let Some(days) = summary.collected_days {
        writeln!(
            out,
            "<li>Copies that were fetched from App Center to answer requests: {days} days after the last open request about the app</li>"
        )?;
    }
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
        "</ul>\n<h2 id=\"rights\">What you can do</h2>\n\
         <p>You can ask the operator of the apps to correct or erase this data, or to restrict or stop its use. You can \
         also complain to {authority}.</p>"
    )
}

pub(super) fn searched(out: &mut impl Write, summary: &Summary) -> io::Result<()> {
    if summary.coverage.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2 id=\"searched\">What was searched</h2>")?;
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

pub(super) fn missing(out: &mut impl Write, summary: &Summary) -> io::Result<()> {
    let rows = missing_rows(summary);
    writeln!(out, "<h2 id=\"missing\">What is not in this package</h2>")?;
    if rows.is_empty() {
        return writeln!(
            out,
            "<p>Nothing that was found was left out, and all of it could be read.</p>"
        );
    }
    table(out, &["What", "Why", "#How many"], rows)
}

/// What is left out or could not be had, why, and how much of it.
pub(super) fn missing_rows(summary: &Summary) -> Vec<[String; 3]> {
    // Reasons that differ for the operator can be one for the person.
    let mut held_for: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, n) in &summary.held {
        *held_for.entry(held(reason)).or_default() += n;
    }
    let left_to_others = |(reason, n): (&str, u64)| {
        [
            "Found, and left out because it may be about somebody else".to_owned(),
            reason.to_owned(),
            n.to_string(),
        ]
    };
    let mut rows: Vec<[String; 3]> = held_for.into_iter().map(left_to_others).collect();
    let left_out = |left: &LeftOut| {
        [
            sentence(&left.what),
            limit(&left.reason).to_owned(),
            left.count.to_string(),
        ]
    };
    rows.extend(summary.unavailable.iter().map(left_out));
    rows.extend(summary.excluded.iter().map(left_out));
    for (app, coverage) in &summary.coverage {
        rows.extend(not_read(app, coverage));
    }
    rows
}

/// With a capital letter in front.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
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
            match coverage.api {
                Some(_) => format!("{app}: usage records"),
                None => format!("{app}: everything"),
            },
            nothing_read(coverage),
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

/// The kinds of files, and what each tells.
pub(super) fn kinds(out: &mut impl Write, files: &[FileEntry]) -> io::Result<()> {
    let mut kinds: BTreeMap<What, (u64, u64)> = BTreeMap::new();
    for file in files {
        let (n, bytes) = kinds.entry(file.what).or_default();
        *n += 1;
        *bytes += file.size;
    }
    if kinds.is_empty() {
        return Ok(());
    }
    writeln!(out, "<h2 id=\"kinds\">What kinds of files there are</h2>")?;
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

pub(super) fn checking(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "<h2 id=\"technical\">For the technically minded</h2>\n\
         <p class=\"note\"><a href=\"./manifest.json\">manifest.json</a> says the same for programs, with size and SHA-256 \
         of every file. <a href=\"./README.txt\">README.txt</a> explains the files. Files ending in .jsonl hold one JSON \
         object a line, in UTF-8; the .csv files beside them are the same as tables, in which a cell that looks like a \
         formula has an apostrophe in front. Names that were not safe were changed; files that could have run something \
         when opened got an ending that runs nothing. This page needs no network.</p>"
    )
}
