//! A section for each app: its installations, and where their data is in the package.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::words;
use crate::domain::{AppRef, ErrorId, InstallId};
use crate::package::html::{Href, Text, count};
use crate::package::manifest::{FileEntry, Meta, Summary, What};

/// Most installations that are listed of an app; the files of the others are in the list of files.
const MAX_LISTED: usize = 500;
/// Most files of log rows that are linked for one installation.
const MAX_LINKED: usize = 10;

/// What the package holds of one installation, or of none.
#[derive(Default)]
struct Held<'a> {
    rows: u64,
    row_files: Vec<&'a FileEntry>,
    reports: BTreeSet<&'a ErrorId>,
    /// Attachments as App Center gave them, and as the archive holds them: mostly the same ones.
    attachments: (u64, u64),
}

type ByInstall<'a> = BTreeMap<Option<InstallId>, Held<'a>>;

pub(super) fn write(
    out: &mut impl Write,
    meta: &Meta,
    summary: &Summary,
    files: &[FileEntry],
) -> io::Result<()> {
    let mut held: BTreeMap<&AppRef, ByInstall<'_>> = BTreeMap::new();
    for file in files {
        let Some(app) = &file.of.app else { continue };
        let of = held.entry(app).or_default();
        of.entry(file.of.install_id).or_default().add(file);
    }
    writeln!(out, "<h2 id=\"apps\">App by app</h2>")?;
    for app in &meta.apps {
        writeln!(
            out,
            "<section>\n<h3 class=\"app\">{}</h3>",
            Text(&app.to_string())
        )?;
        match held.get(app) {
            Some(of_app) => app_section(out, app, of_app, summary)?,
            None => writeln!(
                out,
                "<p>This package holds no data about you from this app.</p>"
            )?,
        }
        if let Some(coverage) = summary.coverage.get(&app.to_string()) {
            match (coverage.first_day, coverage.last_day) {
                (Some(first), Some(last)) => writeln!(
                    out,
                    "<p class=\"note\">Searched: {} records of {} days, from {first} to {last}.</p>",
                    coverage.records, coverage.days
                )?,
                _ => writeln!(
                    out,
                    "<p class=\"note\">{}.</p>",
                    Text(&words::nothing_read(coverage))
                )?,
            }
        }
        writeln!(out, "</section>")?;
    }
    Ok(())
}

impl<'a> Held<'a> {
    fn add(&mut self, file: &'a FileEntry) {
        match file.what {
            What::LogRows => self.rows += file.records.unwrap_or_default(),
            What::Attachment if file.path.contains("/archive/") => self.attachments.1 += 1,
            What::Attachment => self.attachments.0 += 1,
            _ => {}
        }
        if matches!(file.what, What::LogRows | What::LogRowsCsv) {
            self.row_files.push(file);
        }
        self.reports.extend(&file.of.report);
    }
}

fn app_section(
    out: &mut impl Write,
    app: &AppRef,
    of_app: &ByInstall<'_>,
    summary: &Summary,
) -> io::Result<()> {
    let rows = of_app.values().map(|it| it.rows).sum();
    let reports = of_app.values().map(|it| it.reports.len() as u64).sum();
    let installs = of_app.keys().flatten().count() as u64;
    writeln!(
        out,
        "<p>{}</p>",
        Text(&words::found(installs, reports, rows))
    )?;
    writeln!(
        out,
        "<table class=\"apps\"><thead><tr><th>Installation</th><th>Usage records</th><th>Crashes and errors</th></tr></thead><tbody>"
    )?;
    for (install, held) in of_app.iter().take(MAX_LISTED) {
        write!(out, "<tr><td>")?;
        installation(out, app, *install, summary)?;
        write!(out, "</td><td>{}", held.rows)?;
        // Tables first: they open by themselves.
        let is_table = |file: &&&FileEntry| file.what == What::LogRowsCsv;
        let tables = held.row_files.iter().filter(is_table);
        let lines = held.row_files.iter().filter(|file| !is_table(file));
        for file in tables.chain(lines).take(MAX_LINKED) {
            let name = file.path.rsplit('/').next().unwrap_or(&file.path);
            let form = match file.what {
                What::LogRowsCsv => "as a table",
                _ => "as exported",
            };
            let link = Href(&file.path);
            write!(out, "<br><a href=\"{link}\">{form}: {}</a>", Text(name))?;
        }
        if held.row_files.len() > MAX_LINKED {
            write!(out, "<br>and more, in the list of files")?;
        }
        write!(out, "</td><td>{}", held.reports.len())?;
        let attachments = held.attachments.0.max(held.attachments.1);
        if attachments > 0 {
            let attached = count(attachments, "attached file", "attached files");
            write!(out, "<br>with {attached}")?;
        }
        if let Some(report) = held.reports.first() {
            let target = super::listing::anchor(report);
            write!(
                out,
                "<br><a href=\"#{}\">in the list of files</a>",
                Text(&target)
            )?;
        }
        writeln!(out, "</td></tr>")?;
    }
    writeln!(out, "</tbody></table>")?;
    if of_app.len() > MAX_LISTED {
        writeln!(out, "<p>And more: see the list of files.</p>")?;
    }
    Ok(())
}

fn installation(
    out: &mut impl Write,
    app: &AppRef,
    install: Option<InstallId>,
    summary: &Summary,
) -> io::Result<()> {
    let Some(install) = install else {
        return write!(
            out,
            "Of no known installation<br><small>they name you themselves</small>"
        );
    };
    write!(out, "<code>{install}</code>")?;
    let known = summary
        .installations
        .iter()
        .find(|it| it.install_id == install && it.app == *app);
    let Some(known) = known else {
        return write!(
            out,
            "<br><small>Used by others too, or not surely yours: only what names you is here</small>"
        );
    };
    let seen: BTreeSet<&str> = known
        .found_in
        .iter()
        .map(|it| words::found_in(it))
        .collect();
    let seen: Vec<&str> = seen.into_iter().collect();
    write!(
        out,
        "<br><small>Yours because {}. Seen in: {}</small>",
        Text(words::reason(&known.reason)),
        Text(&seen.join(", "))
    )
}
