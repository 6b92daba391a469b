//! `README.txt`: what the files of a package are, for who does not begin with the page.

use std::io::{self, Write};

use super::manifest::Meta;

/// The file's name.
pub(super) const NAME: &str = "README.txt";

/// Writes it.
pub(super) fn write(out: &mut impl Write, meta: &Meta) -> io::Result<()> {
    writeln!(out, "Copy of personal data")?;
    writeln!(out, "Request {} ({})\n", meta.reference, meta.request)?;
    out.write_all(TEXT.as_bytes())
}

const TEXT: &str = "\
Begin with index.html: open it in any browser. It needs no network, and nothing in it runs.

index.html        what is held about you, where it came from, who received it,
                  how long it is kept, and what could not be had
manifest.json     the same for programs: every file with its size, its SHA-256 and its source

Each app has a folder, and in it each installation of the app (by its install ID) a folder:

OWNER/APP/INSTALL ID/log-rows.jsonl    usage records, one JSON object a line, as they were exported
OWNER/APP/INSTALL ID/log-rows.csv      the same as a table for spreadsheet programs
OWNER/APP/INSTALL ID/reports/REPORT/   a crash or error: what the app sent (archive), details,
                                       stack trace, session logs, attachments

Records of no installation are in the folder no-install. Many records are divided into
log-rows.jsonl, log-rows-2.jsonl and so on, and the tables likewise.

About the tables (.csv): they are UTF-8 with commas. The first line names the columns; what has no
column of its own is in the last one, OtherFields, as JSON. A cell that begins with = + - @, a tab or
a carriage return has an apostrophe (') put in front, so that a spreadsheet program does not take it
for a formula. The .jsonl file has every value unchanged.

Attachments were named by whoever sent them. Names that were not safe were changed, and files that
could have run something when opened have an ending that runs nothing (.txt or .bin). The manifest
tells the original names. Attachments can hold anything: open them with the same care as files from
an e-mail.
";
