//! What the product says of items, in words for the person.

use crate::domain::plan::Coverage;
use crate::package::manifest::What;

/// A kind of file in words.
pub(super) fn described(what: What) -> (&'static str, &'static str) {
    match what {
        What::LogRows => (
            "Usage records",
            "What the app reported of its use: when it started, which events happened, on which device and system. One record a line.",
        ),
        What::LogRowsCsv => (
            "Usage records as a table",
            "The same records for a spreadsheet program.",
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
        What::TestFile => (
            "Test file",
            "Data of App Center Test. It belongs to the app, not to one person.",
        ),
        What::Other => ("Other data", "Other data in which you were found."),
        What::Index => ("Page", "A page of this package."),
    }
}

/// Why an installation counts as the person's.
pub(super) fn reason(reason: &str) -> &str {
    match reason {
        "install ID given in the request" => "its number was named in the request",
        "a given user ID or e-mail was found on this install" => {
            "your user ID or e-mail address was found in its data"
        }
        other => other,
    }
}

/// In what it was seen.
pub(super) fn found_in(provenance: &str) -> &str {
    match provenance {
        "given in the request" => "the request",
        "InstallId of a log row" => "usage records",
        "InstallId of a report" | "InstallId of a report got by API" | "a report of it" => {
            "crash or error reports"
        }
        "CrashReporter Key of a report" | "install ID in a report's raw log" => {
            "original crash logs"
        }
        "install ID in a report's session logs" => "session logs",
        "a log row that names a report of it" => "usage records about a crash or error",
        other => other,
    }
}

/// What kept the search from being whole, or a thing from being had.
pub(super) fn limit(reason: &str) -> &str {
    if reason.contains("retired") {
        "App Center has been shut down, or did not answer any more: only what the operator's archive holds could be searched"
    } else if reason.starts_with("the app has no export") {
        "App Center copies nothing of this app to the operator's archive: usage records that are not in the archive could not be searched"
    } else if reason.starts_with("the export") {
        "App Center did not copy everything to the operator's archive: some of the newer data may be missing"
    } else {
        reason
    }
}

/// What is said of an app of which the archive holds nothing.
pub(super) fn nothing_read(coverage: &Coverage) -> String {
    match &coverage.api {
        Some(api) => format!(
            "The archive holds nothing of this app for the time asked for. The lists of crashes and errors in App Center \
             were read ({} in all); usage records could not be searched",
            api.listed
        ),
        None => "The archive holds nothing of this app for the time asked for, so nothing could be searched".to_owned(),
    }
}

/// Why something is left out.
pub(super) fn held(reason: &str) -> &str {
    if reason.starts_with("shared") || reason.contains("(shared)") {
        "It is from an installation that several people use, and does not name you"
    } else if reason.starts_with("cloned") || reason.contains("(cloned)") {
        "It is from an installation whose number appears on several devices, and does not name you"
    } else if reason.contains("found only by a term") && !reason.starts_with("rows without") {
        "It holds a name or a number like yours, which may be somebody else's"
    } else if reason.starts_with("rows without an install") {
        "It holds a name or a number like yours, which may be somebody else's, and no installation is known"
    } else {
        reason
    }
}

/// Counts of rows and reports as a sentence.
pub(super) fn found(installs: u64, reports: u64, rows: u64) -> String {
    use crate::package::html::count;
    format!(
        "{}; {}; {}.",
        count(
            installs,
            "installation of an app",
            "installations of an app"
        ),
        count(reports, "crash or error report", "crash or error reports"),
        count(rows, "usage record", "usage records"),
    )
}
