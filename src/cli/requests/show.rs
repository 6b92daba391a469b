//! Printing requests for people: short, and without control characters.

use std::collections::BTreeMap;
use std::io::Write;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::Part;
use super::api::Api;
use super::failure::{Failure, plain};
use crate::domain::RequestId;

/// Pages of a list that are followed.
const MAX_PAGES: usize = 10_000;

/// What is printed of a status; everything may be missing.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Status {
    pub(super) id: String,
    kind: String,
    reference: String,
    pub(super) status: String,
    pub(super) step: Option<String>,
    due: Option<String>,
    days_left: Option<i64>,
    pub(super) stages: BTreeMap<String, Stage>,
    pub(super) next_action: String,
    plan: Option<Plan>,
    has_report: bool,
    package_sha256: Option<String>,
    exceptions: Vec<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Stage {
    function: Option<String>,
    planned: u64,
    done: u64,
    failed: u64,
    waiting: u64,
    waiting_until: Option<String>,
    waiting_for: Option<String>,
    started_at: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Plan {
    plan_sha256: String,
    counts: BTreeMap<String, Value>,
    large: Option<Large>,
}

#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Large {
    confirm_large: u64,
    reasons: Vec<String>,
}

impl Status {
    pub(super) fn read(value: &Value) -> Result<Self, Failure> {
        let status = Self::deserialize(value);
        match status {
            Ok(status) if !status.status.is_empty() => Ok(status),
            _ => Err(Failure::Answer("it is not a request")),
        }
    }
}

impl Stage {
    /// `12 of 40 done, 1 failed, 3 waiting until …: export pending`
    pub(super) fn line(&self) -> String {
        let mut line = match (self.planned, self.done) {
            (0, 0) => "nothing counted yet".to_owned(),
            (planned, done) if planned >= done => format!("{done} of {planned} done"),
            (_, done) => format!("{done} done"),
        };
        if self.failed > 0 {
            line.push_str(&format!(", {} failed", self.failed));
        }
        if self.waiting > 0 {
            line.push_str(&format!(", {} waiting", self.waiting));
            if let Some(until) = &self.waiting_until {
                line.push_str(&format!(" until {}", plain(until)));
            }
            if let Some(reason) = &self.waiting_for {
                line.push_str(&format!(": {}", plain(reason)));
            }
        }
        line
    }
}

/// Prints a status.
pub(super) fn status(value: &Value, json: bool, out: &mut dyn Write) -> Result<(), Failure> {
    if json {
        writeln!(out, "{value}")?;
        return Ok(());
    }
    let it = Status::read(value)?;
    let mut line = |name: &str, text: &str| writeln!(out, "{name:<12}{}", plain(text));
    line("request", &it.id)?;
    line("reference", &format!("{} ({})", it.reference, it.kind))?;
    line("status", &it.status)?;
    if let Some(due) = &it.due {
        let left = it
            .days_left
            .map_or(String::new(), |days| format!(" ({})", days_left(days)));
        line("due", &format!("{due}{left}"))?;
    }
    let mut stages: Vec<_> = it.stages.iter().collect();
    stages.sort_by_key(|(_step, stage)| &stage.started_at);
    for (step, stage) in stages {
        let name = stage.function.as_deref().unwrap_or(step);
        line("", &format!("{name}: {}", stage.line()))?;
    }
    if let Some(plan) = &it.plan {
        let counts: Vec<String> = plan
            .counts
            .iter()
            .map(|(what, count)| format!("{count} {what}"))
            .collect();
        line("plan", &counts.join(", "))?;
        line("plan_sha256", &plan.plan_sha256)?;
        if let Some(large) = &plan.large {
            let reasons = large.reasons.join("; ");
            line(
                "large",
                &format!(
                    "{reasons}; approve with --confirm-large {}",
                    large.confirm_large
                ),
            )?;
        }
    }
    if it.has_report {
        line(
            "report",
            &format!("appcenter-dsr requests show {} report.md", it.id),
        )?;
    }
    if let Some(sha256) = &it.package_sha256 {
        line("package", &format!("SHA-256 {sha256}"))?;
    }
    for exception in &it.exceptions {
        line("exception", exception)?;
    }
    line("next", &it.next_action)?;
    Ok(())
}

fn days_left(days: i64) -> String {
    match days {
        ..=-1 => "OVERDUE".to_owned(),
        0 => "today".to_owned(),
        1 => "1 day left".to_owned(),
        days => format!("{days} days left"),
    }
}

/// Prints the list, a line a request.
pub(super) async fn list(
    api: &Api,
    wanted: Option<&str>,
    json: bool,
    out: &mut dyn Write,
) -> Result<u8, Failure> {
    let mut after: Option<String> = None;
    for _page in 0..MAX_PAGES {
        let mut query = Vec::new();
        query.extend(wanted.map(|status| ("status", status)));
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page = api.get(&["requests"], &query).await?;
        let values = page["values"]
            .as_array()
            .ok_or(Failure::Answer("it is not a list"))?;
        for value in values {
            if json {
                writeln!(out, "{value}")?;
            } else {
                writeln!(out, "{}", list_line(value))?;
            }
        }
        let next = page["next"].as_str().map(str::to_owned);
        if next.is_none() || next == after {
            return Ok(0);
        }
        after = next;
    }
    Err(Failure::Answer("its list does not end"))
}

fn list_line(value: &Value) -> String {
    let text = |key: &str| plain(value[key].as_str().unwrap_or("-"));
    // A refused queue message has faults and no status.
    if let Some(faults) = value["faults"].as_array() {
        let faults: Vec<String> = faults
            .iter()
            .map(|fault| {
                let part = |key: &str| plain(fault[key].as_str().unwrap_or_default());
                format!("{} {}", part("pointer"), part("detail"))
            })
            .collect();
        return format!(
            "{}  refused  {}  {}",
            text("at"),
            text("reference"),
            faults.join("; ")
        );
    }
    let left = value["days_left"].as_i64().map_or(String::new(), days_left);
    format!(
        "{:<32}  {:<6}  {:<25}  {:<10}  {:<12}  {}",
        text("id"),
        text("kind"),
        text("status"),
        text("due"),
        left,
        text("reference")
    )
}

/// Prints a status, plan or report.
pub(super) async fn part(
    api: &Api,
    id: &RequestId,
    part: Part,
    json: bool,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<u8, Failure> {
    let id = id.as_str();
    match part {
        Part::Status => {
            let value = api.get(&["requests", id], &[]).await?;
            status(&value, json, out)?;
        }
        Part::Plan => {
            let (said, bytes) = api.get_bytes(&["requests", id, "plan"], &[]).await?;
            let sha256 = hex(&Sha256::digest(&bytes));
            if said.is_some_and(|said| !said.eq_ignore_ascii_case(&sha256)) {
                return Err(Failure::Answer("the plan does not fit its SHA-256"));
            }
            // Exactly its bytes: whoever keeps them can prove what was approved.
            out.write_all(&bytes)?;
            writeln!(err, "plan_sha256 {sha256}")?;
        }
        Part::Report | Part::ReportText => {
            let format = if part == Part::Report { "json" } else { "md" };
            let segments = ["requests", id, "report"];
            let (_sha256, bytes) = api.get_bytes(&segments, &[("format", format)]).await?;
            out.write_all(&bytes)?;
        }
    }
    out.flush()?;
    Ok(0)
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
