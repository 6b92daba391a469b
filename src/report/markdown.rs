//! The report as Markdown: for people, bounded, and with nothing in it that a text could break.

use std::fmt::{self, Write as _};

use super::item::{Item, Outcome};
use super::page::{Page, cell, cell_of};
use super::{Form, Report, Tally};
use crate::domain::document::Include;
use crate::domain::plan::Action;
use crate::domain::{Jurisdiction, Kind};
use crate::workflow::record::Status;

/// Writes a report as Markdown (GitHub's, for its tables).
#[must_use]
pub fn to_markdown(report: &Report) -> String {
    let mut page = Page(String::new());
    // Writing to a string cannot fail.
    let _: fmt::Result = whole(&mut page, report);
    page.0
}

fn whole(page: &mut Page, report: &Report) -> fmt::Result {
    let kind = match (report.kind, report.partial) {
        (Kind::Export, _) => "export",
        (Kind::Delete, false) => "erasure",
        (Kind::Delete, true) => "partial erasure",
    };
    writeln!(page.0, "# Report on {kind} {}\n", cell(&report.reference))?;
    writeln!(page.0, "**{}**\n", verdict(report))?;
    head(page, report)?;
    if let Some(nothing) = &report.nothing_found {
        writeln!(page.0, "\n## Nothing found\n\n{}", cell_of(nothing, 2_000))?;
    }
    result(page, report)?;
    let exceptions = report.exceptions.iter().map(|it| {
        [
            it.code.name().to_owned(),
            it.app.clone().unwrap_or_default(),
            it.text.clone(),
            it.count.to_string(),
            it.what_to_do.clone(),
        ]
    });
    let headings = ["Code", "App", "What", "How many", "What you can do"];
    page.section("Exceptions", &headings, exceptions)?;
    page.list("Notes", &report.notes)?;
    searched(page, report)?;
    items(page, "Installations", &report.installs)?;
    items(page, "Reports", &report.reports)?;
    items(page, "Log rows", &report.rows)?;
    items(page, "Test runs", &report.test_runs)?;
    rest(page, report)?;
    if report.form == Form::Archive {
        writeln!(
            page.0,
            "\nThis is the archive form: install IDs, report IDs and blob names have been removed."
        )?;
    }
    Ok(())
}

fn verdict(report: &Report) -> String {
    match report.status {
        Status::Completed if report.nothing_found.is_some() => {
            "Completed: nothing was found in what was searched.".to_owned()
        }
        Status::Completed => "Completed.".to_owned(),
        Status::CompletedWithExceptions => format!(
            "Completed with exceptions: {} below.",
            report.exceptions.len()
        ),
        Status::Failed => "Failed: nothing of what was planned could be done.".to_owned(),
        Status::Rejected => "Rejected: a person rejected the plan.".to_owned(),
        Status::Cancelled => "Cancelled by a person.".to_owned(),
        Status::Received | Status::Running | Status::AwaitingApproval => "Not ended.".to_owned(),
    }
}

fn head(page: &mut Page, report: &Report) -> fmt::Result {
    let apps: Vec<String> = report.apps.iter().map(ToString::to_string).collect();
    let include: Vec<&str> = report
        .include
        .iter()
        .map(|it| match it {
            Include::Diagnostics => "diagnostics",
            Include::Analytics => "analytics",
            Include::Test => "test",
        })
        .collect();
    let jurisdiction = match report.jurisdiction {
        Jurisdiction::Eu => "eu",
        Jurisdiction::Uk => "uk",
        Jurisdiction::UsCa => "us-ca",
    };
    let window = match report.window {
        None => "everything".to_owned(),
        Some(window) => format!("{} to {} (UTC)", window.from, window.to),
    };
    let due = match report.late {
        false => report.due.to_string(),
        true => format!("{} (late)", report.due),
    };
    let mut rows = vec![
        ["Request".to_owned(), report.request.to_string()],
        ["Status".to_owned(), report.status.name().to_owned()],
        ["Run".to_owned(), report.run.to_string()],
        ["Jurisdiction".to_owned(), jurisdiction.to_owned()],
        ["Received".to_owned(), report.received_at.to_string()],
        ["Due".to_owned(), due],
        ["Concluded".to_owned(), report.concluded_at.to_string()],
        ["Apps".to_owned(), apps.join(", ")],
        ["Data".to_owned(), include.join(", ")],
        ["Window".to_owned(), window],
    ];
    if let Some(sha256) = &report.plan_sha256 {
        rows.push(["Plan (SHA-256)".to_owned(), sha256.clone()]);
    }
    if let Some(approval) = &report.approval {
        let by = format!("{} at {}", approval.approver, approval.at);
        rows.push(["Approved by".to_owned(), by]);
        rows.push([
            "Approved plan (SHA-256)".to_owned(),
            approval.plan_sha256.clone(),
        ]);
        if !approval.also.is_empty() {
            rows.push([
                "Released held items".to_owned(),
                approval.also.len().to_string(),
            ]);
        }
    }
    if let Some(package) = &report.package {
        rows.push(["Package (SHA-256)".to_owned(), package.sha256.clone()]);
        rows.push(["Package size".to_owned(), format!("{} bytes", package.size)]);
    }
    page.table(&["", ""], rows)
}

fn result(page: &mut Page, report: &Report) -> fmt::Result {
    let rows = |what: &str, tally: &Tally| -> Vec<[String; 3]> {
        let row = |(outcome, n): (&String, &u64)| [what.to_owned(), outcome.clone(), n.to_string()];
        tally.iter().map(row).collect()
    };
    let all = rows("installations", &report.tallies.installs)
        .into_iter()
        .chain(rows("reports", &report.tallies.reports))
        .chain(rows("log rows", &report.tallies.rows))
        .chain(rows("test runs", &report.tallies.test_runs));
    page.section("Result", &["What", "Outcome", "How many"], all)
}

fn searched(page: &mut Page, report: &Report) -> fmt::Result {
    let rows = report.searched.iter().map(|(app, it)| {
        let days = match (it.first_day, it.last_day) {
            (Some(first), Some(last)) => format!("{first} to {last} ({} with data)", it.days),
            _ => "no data".to_owned(),
        };
        let blobs: Vec<String> = it
            .blobs
            .iter()
            .map(|(stream, n)| format!("{stream} {n}"))
            .collect();
        [
            app.clone(),
            days,
            blobs.join(", "),
            it.records.to_string(),
            it.bytes.to_string(),
            it.unreadable.len().to_string(),
            it.not_searched.len().to_string(),
            it.gaps.len().to_string(),
            it.hits_of_other_apps.to_string(),
        ]
    });
    page.section(
        "Searched",
        &[
            "App",
            "Days",
            "Blobs",
            "Records",
            "Bytes",
            "Unreadable",
            "Not searched",
            "Gaps",
            "Hits of other apps",
        ],
        rows,
    )?;
    let parts = report.searched.iter().flat_map(|(app, it)| {
        let row = |what: &str, blob: &str, why: &str| {
            [
                app.clone(),
                what.to_owned(),
                blob.to_owned(),
                why.to_owned(),
            ]
        };
        let gaps = it
            .gaps
            .iter()
            .map(|gap| row("gap", &format!("{} to {}", gap.from, gap.to), &gap.evidence));
        let unreadable = it
            .unreadable
            .iter()
            .map(|at| row("unreadable", &at.blob, &at.reason));
        let skipped = it
            .not_searched
            .iter()
            .map(|at| row("not searched", &at.blob, &at.reason));
        let notes = it.notes.iter().map(|note| row("note", "", note));
        let all: Vec<[String; 4]> = gaps.chain(unreadable).chain(skipped).chain(notes).collect();
        all
    });
    page.section(
        "Limits of the search",
        &["App", "What", "Where", "Why"],
        parts,
    )
}

fn items(page: &mut Page, title: &str, items: &[Item]) -> fmt::Result {
    let rows = items.iter().map(|item| {
        let what = match (&item.error_id, &item.install_id, &item.test_run_id) {
            (Some(error), ..) => error.to_string(),
            (None, Some(install), _) => install.to_string(),
            (None, None, Some(run)) => run.to_string(),
            (None, None, None) => String::new(),
        };
        let planned = match (item.planned, item.released) {
            (Action::Act, _) => "act",
            (Action::Hold, false) => "hold",
            (Action::Hold, true) => "hold, released",
        };
        let because = match &item.outcome {
            Outcome::Failed { reason } | Outcome::NotAttempted { reason } => reason.as_str(),
            Outcome::Blocked
            | Outcome::Deleted
            | Outcome::AlreadyGone
            | Outcome::Exported
            | Outcome::AgesOut
            | Outcome::Held => item.detail.as_deref().unwrap_or_default(),
        };
        [
            item.id.clone(),
            item.app.to_string(),
            what,
            item.rows.map(|rows| rows.to_string()).unwrap_or_default(),
            planned.to_owned(),
            item.reason.clone(),
            item.outcome.name().to_owned(),
            because.to_owned(),
        ]
    });
    page.section(
        title,
        &[
            "Item", "App", "ID", "Rows", "Planned", "Why", "Outcome", "Because",
        ],
        rows,
    )
}

fn rest(page: &mut Page, report: &Report) -> fmt::Result {
    let held = report
        .held
        .iter()
        .map(|(reason, n)| [reason.clone(), n.to_string()]);
    page.section("Held, by reason", &["Why", "How many"], held)?;
    let unattributed = report.unattributed.iter().map(|it| {
        [
            it.id.clone(),
            it.app.to_string(),
            it.blob.clone().unwrap_or_default(),
            it.reason.clone(),
        ]
    });
    page.section(
        "Unattributed",
        &["Item", "App", "Blob", "Why"],
        unattributed,
    )?;
    let arrived = &report.arrived_after_approval;
    if arrived.total > 0 {
        writeln!(
            page.0,
            "\n{} installs or reports arrived after the approval.",
            arrived.total
        )?;
    }
    let listed = arrived.items.iter().map(|it| {
        [
            it.app.to_string(),
            it.install_id.map(|id| id.to_string()).unwrap_or_default(),
            it.error_id
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            it.blobs.join(", "),
        ]
    });
    page.section(
        "Arrived after approval",
        &["App", "Install", "Report", "Blobs"],
        listed,
    )?;
    let unavailable = report
        .unavailable
        .iter()
        .map(|it| [it.what.clone(), it.reason.clone(), it.count.to_string()]);
    page.section(
        "Could not be had",
        &["What", "Why", "How many"],
        unavailable,
    )?;
    if let Some(ageing) = &report.ageing_rows {
        let from = match ageing.from_last_row {
            true => "the last of them",
            false => "this report",
        };
        writeln!(
            page.0,
            "\n## Log rows in App Center\n\n{} log rows cannot be deleted by API. App Center keeps none of them after \
             **{}** (28 days after {from}).",
            ageing.rows, ageing.gone_by
        )?;
    }
    let residual = report.residual_copies.iter().map(|it| {
        let stream = serde_json::to_value(it.stream).unwrap_or_default();
        let stream = stream.as_str().unwrap_or_default();
        [
            it.app.to_string(),
            stream.to_owned(),
            match (&it.blob, it.blobs) {
                (Some(blob), _) => blob.clone(),
                (None, 0) => "(not known)".to_owned(),
                (None, n) => format!("({n} blobs)"),
            },
            it.records.to_string(),
        ]
    });
    page.section(
        "Residual copies in the archive",
        &["App", "Stream", "Blob", "Records"],
        residual,
    )?;
    let recipients = report
        .recipients
        .iter()
        .map(|it| [it.name.clone(), it.outcome.clone()]);
    page.section(
        "Who has the data",
        &["Recipient", "What was done there"],
        recipients,
    )
}
