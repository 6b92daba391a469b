//! Single reports in the current API: list, details, delete, raw log, stack trace.

use serde_json::{Value, json};

use super::groups::group;
use super::{Call, Failure, Operation, Reply, next_link, operation};
use crate::ids::iso;
use crate::render::{self, Parts};
use crate::state::State;

pub(super) const OPERATIONS: &[Operation] = &[
    operation!(
        "Errors_ListForGroup",
        "GET",
        "/errors/errorGroups/{errorGroupId}/errors",
        Nested,
        list
    ),
    operation!(
        "Errors_LatestErrorDetails",
        "GET",
        "/errors/errorGroups/{errorGroupId}/errors/latest",
        Nested,
        latest
    ),
    operation!(
        "Errors_GetErrorDetails",
        "GET",
        "/errors/errorGroups/{errorGroupId}/errors/{errorId}",
        Nested,
        details
    ),
    operation!(
        "Errors_DeleteError",
        "DELETE",
        "/errors/errorGroups/{errorGroupId}/errors/{errorId}",
        Nested,
        delete
    ),
    operation!(
        "Errors_ErrorDownload",
        "GET",
        "/errors/errorGroups/{errorGroupId}/errors/{errorId}/download",
        Nested,
        download_report
    ),
    operation!(
        "Errors_ErrorLocation",
        "GET",
        "/errors/errorGroups/{errorGroupId}/errors/{errorId}/location",
        Nested,
        location
    ),
    operation!(
        "Errors_ErrorStackTrace",
        "GET",
        "/errors/errorGroups/{errorGroupId}/errors/{errorId}/stacktrace",
        Nested,
        stack_trace
    ),
];

/// The visible report of the path's app with the path's `errorId`.
pub(super) fn report(state: &State, call: &Call) -> Result<usize, Failure> {
    let found = state.world.by_error_id.get(call.param("errorId")).copied();
    found
        .filter(|it| {
            let group = &state.world.groups[state.world.reports[*it].group];
            group.app == call.app && !group.is_legacy_only && state.is_visible(*it)
        })
        .ok_or_else(|| Failure::not_found("The error was not found."))
}

/// As [`report`], and the path names its group.
fn report_of_group(state: &State, call: &Call) -> Result<usize, Failure> {
    let group = group(state, call)?;
    let report = report(state, call)?;
    if state.world.reports[report].group != group {
        return Err(Failure::not_found("The error was not found."));
    }
    Ok(report)
}

fn list(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let group = group(state, call)?;
    let start = call.required_time("start")?;
    let end = call.time("end")?.unwrap_or(state.now);
    let top = call.top(30, 0, 2000)?.clamp(1, state.quirks.page_limit);
    let after = call.query("$token").unwrap_or("");
    let mut page: Vec<usize> = state
        .reports_of(group)
        .filter(|it| state.world.reports[*it].error_id.as_str() > after)
        .filter(|it| {
            let at = state.world.reports[*it].at;
            state.quirks.lists_ignore_window || (start..=end).contains(&at)
        })
        .filter(|it| {
            let Parts { device, os, .. } = render::parts(state, *it);
            let os = format!("{os} {}", device.os_version);
            call.query("model").is_none_or(|it| it == device.model)
                && call.query("os").is_none_or(|it| it == os)
        })
        .take(top + 1)
        .collect();
    let has_more = page.len() > top;
    page.truncate(top);
    let errors: Vec<Value> = page.iter().map(|it| item(state, *it)).collect();
    let mut body = json!({ "errors": errors });
    if has_more && let Some(last) = page.last() {
        let key = state.world.reports[*last].error_id.clone();
        body["nextLink"] = json!(next_link(state, call, &key));
    }
    Ok(Reply::json(&body))
}

fn latest(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let group = group(state, call)?;
    let latest = state.reports_of(group).next();
    let latest = latest.ok_or_else(|| Failure::not_found("The error was not found."))?;
    Ok(Reply::json(&full(state, latest)))
}

fn details(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report_of_group(state, call)?;
    Ok(Reply::json(&full(state, report)))
}

fn delete(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report_of_group(state, call)?;
    let attachments = remove(state, call, report);
    let it = &state.world.reports[report];
    let failed = call.blobs_failed;
    Ok(Reply::json(&json!({
        "appId": state.world.apps[call.app].id,
        "errorGroupId": state.world.groups[it.group].id,
        "errorId": it.error_id,
        "errorsDeleted": u32::from(failed == 0),
        "attachmentsDeleted": if failed == 0 { attachments } else { 0 },
        "blobsSucceeded": if failed == 0 { attachments + 1 } else { 0 },
        "blobsFailed": failed,
    })))
}

/// Deletes a report unless blobs shall fail; returns how many attachments it has. Exported blobs stay as they are.
pub(super) fn remove(state: &mut State, call: &Call, report: usize) -> usize {
    let it = &state.world.reports[report];
    let attachments = it.attachments.len();
    let entry = state.world.app_report(it);
    if call.blobs_failed > 0 {
        state.audit.half_deleted.insert(entry);
    } else {
        state.deleted.insert(report);
        state.audit.half_deleted.remove(&entry);
        state.audit.deleted.insert(entry);
    }
    attachments
}

fn download_report(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report_of_group(state, call)?;
    match call.query("format") {
        None | Some("json") => Ok(Reply::json(&render::download_json(state, report))),
        // The API description says `txt`, the migration guide `text`.
        Some("txt" | "text") => Ok(Reply::file(
            "text/plain; charset=utf-8",
            render::raw_text(state, report).into_bytes(),
        )),
        Some(_) => Err(Failure::bad_request("The format is not valid.")),
    }
}

fn location(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report_of_group(state, call)?;
    let guid = state.world.reports[report].guid;
    let uri = render::signed_url(state, &format!("/crashes/{guid}.json"));
    Ok(Reply::json(&json!({ "uri": uri })))
}

fn stack_trace(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report_of_group(state, call)?;
    let Parts {
        group, os, message, ..
    } = render::parts(state, report);
    Ok(Reply::json(&render::stack_trace(group, os, message)))
}

/// What the storage host gives for a path: a raw log or an attachment of a report that still exists, or a file of a test.
pub(crate) fn download(state: &State, path: &str) -> Option<Reply> {
    let mut segments = path.trim_start_matches('/').split('/');
    let visible = |it: &usize| state.is_visible(*it);
    match (segments.next()?, segments.next()?, segments.next()) {
        ("crashes", name, None) => {
            let guid: uuid::Uuid = name.strip_suffix(".json")?.parse().ok()?;
            let found = state.world.by_guid.get(&guid).copied();
            let report = found.filter(visible)?;
            let raw = render::raw_log(state, report).to_string();
            Some(Reply::file("application/octet-stream", raw.into_bytes()))
        }
        ("attachments", guid, Some(id)) => {
            let guid: uuid::Uuid = guid.parse().ok()?;
            let id: uuid::Uuid = id.parse().ok()?;
            let found = state.world.by_guid.get(&guid).copied();
            let report = &state.world.reports[found.filter(visible)?];
            let attachment = report.attachments.iter().find(|it| it.id == id)?;
            Some(Reply::file(
                &attachment.content_type,
                attachment.bytes.to_vec(),
            ))
        }
        ("test-files", folder, Some(name)) => super::test::file(state, folder, name),
        _ => None,
    }
}

/// A report as lists show it: no install ID.
pub(super) fn item(state: &State, report: usize) -> Value {
    let Parts {
        report: it,
        group,
        device,
        os,
        ..
    } = render::parts(state, report);
    let mut item = json!({
        "errorId": it.error_id,
        "timestamp": iso(it.at),
        "deviceName": device.model,
        "osVersion": device.os_version,
        "osType": os,
        "country": device.country,
        "language": device.locale.split('_').next().unwrap_or("en"),
        "hasBreadcrumbs": group.is_crash,
        "hasAttachments": !it.attachments.is_empty(),
    });
    if let Some(user) = &it.user {
        item["userId"] = json!(&**user);
    }
    item
}

/// A report as its details show it.
fn full(state: &State, report: usize) -> Value {
    let mut body = item(state, report);
    let Parts {
        report: it,
        group,
        message,
        ..
    } = render::parts(state, report);
    body["name"] = json!(format!("{}: {message}", group.exception));
    body["reasonFrames"] = json!([]);
    body["appLaunchTimestamp"] = json!(iso(it.at - jiff::SignedDuration::from_secs(90)));
    body["carrierName"] = json!("");
    body["jailbreak"] = json!(false);
    body["properties"] = render::properties(&it.properties);
    body
}
