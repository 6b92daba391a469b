//! Legacy crashes: the same reports under GUIDs of their own, with the current IDs beside them.

use serde_json::{Value, json};

use super::attachments::{attachment, attachment_url};
use super::errors::remove;
use super::legacy::{group, report_by_crash_id};
use super::{Call, Failure, Operation, Reply, operation};
use crate::ids::iso;
use crate::render::{self, Parts};
use crate::state::State;

pub(super) const OPERATIONS: &[Operation] = &[
    operation!(
        "crashes_list",
        "GET",
        "/crash_groups/{crash_group_id}/crashes",
        Message,
        list
    ),
    operation!(
        "crashes_get",
        "GET",
        "/crash_groups/{crash_group_id}/crashes/{crash_id}",
        Message,
        get
    ),
    operation!(
        "crashes_delete",
        "DELETE",
        "/crash_groups/{crash_group_id}/crashes/{crash_id}",
        Message,
        delete
    ),
    operation!(
        "crashes_getNativeCrash",
        "GET",
        "/crash_groups/{crash_group_id}/crashes/{crash_id}/native",
        Message,
        native
    ),
    operation!(
        "crashes_getNativeCrashDownload",
        "GET",
        "/crash_groups/{crash_group_id}/crashes/{crash_id}/native/download",
        Message,
        native
    ),
    operation!(
        "crashes_getRawCrashLocation",
        "GET",
        "/crash_groups/{crash_group_id}/crashes/{crash_id}/raw/location",
        Message,
        raw_location
    ),
    operation!(
        "crashes_getStacktrace",
        "GET",
        "/crash_groups/{crash_group_id}/crashes/{crash_id}/stacktrace",
        Message,
        stack_trace
    ),
    operation!(
        "crashes_listAttachments",
        "GET",
        "/crashes/{crash_id}/attachments",
        Message,
        list_attachments
    ),
    operation!(
        "crashes_getCrashAttachmentLocation",
        "GET",
        "/crashes/{crash_id}/attachments/{attachment_id}/location",
        Message,
        attachment_location
    ),
    operation!(
        "crashes_getCrashTextAttachmentContent",
        "GET",
        "/crashes/{crash_id}/attachments/{attachment_id}/text",
        Message,
        attachment_text
    ),
];

fn report(state: &State, call: &Call) -> Result<usize, Failure> {
    let group = group(state, call)?;
    let report = report_by_crash_id(state, call)?;
    if state.world.reports[report].group != group {
        return Err(Failure::not_found("The crash was not found."));
    }
    Ok(report)
}

/// A bare array, whole: this list has no pages.
fn list(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let index = group(state, call)?;
    let (from, to) = (call.time("date_from")?, call.time("date_to")?);
    let group = &state.world.groups[index];
    let is_wanted = match call.query("error_type") {
        None => true,
        Some("CrashingErrors") => group.is_crash,
        Some("HandledErrors") => !group.is_crash,
        Some(_) => return Err(Failure::bad_request("The error_type is not valid.")),
    };
    let version_fits = call
        .query("app_version")
        .is_none_or(|it| it == group.version);
    let crashes: Vec<Value> = state
        .reports_of(index)
        .filter(|_| is_wanted && version_fits)
        .filter(|it| {
            let at = state.world.reports[*it].at;
            from.is_none_or(|from| at >= from) && to.is_none_or(|to| at <= to)
        })
        .map(|it| crash(state, it, false))
        .collect();
    Ok(Reply::json(&json!(crashes)))
}

/// 201 to a GET: so it is described, and so it was seen.
fn get(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report(state, call)?;
    let with_stack = call.query("include_stacktrace") == Some("true");
    Ok(Reply::with_status(201, &crash(state, report, with_stack)))
}

fn delete(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report(state, call)?;
    let attachments = remove(state, call, report);
    let it = &state.world.reports[report];
    let failed = call.blobs_failed;
    Ok(Reply::json(&json!({
        "app_id": state.world.apps[call.app].id,
        "crash_group_id": state.world.groups[it.group].legacy_id,
        "crash_id": it.legacy_id,
        "crashes_deleted": u32::from(failed == 0),
        "attachments_deleted": if failed == 0 { attachments } else { 0 },
        "blobs_succeeded": if failed == 0 { attachments + 1 } else { 0 },
        "blobs_failed": failed,
    })))
}

fn native(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report(state, call)?;
    Ok(Reply::json(&json!(render::raw_text(state, report))))
}

fn raw_location(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report(state, call)?;
    let guid = state.world.reports[report].guid;
    let uri = render::signed_url(state, &format!("/crashes/{guid}.json"));
    Ok(Reply::json(&json!({ "uri": uri })))
}

fn stack_trace(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report(state, call)?;
    let Parts {
        group, os, message, ..
    } = render::parts(state, report);
    Ok(Reply::json(&render::stack_trace(group, os, message)))
}

fn list_attachments(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report_by_crash_id(state, call)?;
    let it = &state.world.reports[report];
    let list: Vec<Value> = it
        .attachments
        .iter()
        .map(|attachment| {
            json!({
                "app_id": state.world.apps[call.app].id,
                "attachment_id": attachment.id,
                "crash_id": it.legacy_id,
                "blob_location": format!("attachments/{}/{}", it.guid, attachment.id),
                "content_type": attachment.content_type,
                "file_name": attachment.file_name,
                "created_time": iso(it.ingress),
                "size": attachment.bytes.len(),
            })
        })
        .collect();
    Ok(Reply::json(&json!(list)))
}

fn attachment_location(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report_by_crash_id(state, call)?;
    let attachment = attachment(state, report, call.param("attachment_id"))?;
    let uri = attachment_url(state, report, attachment);
    Ok(Reply::json(&json!({ "uri": uri })))
}

/// A bare string, where the current API has an object.
fn attachment_text(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report_by_crash_id(state, call)?;
    let attachment = attachment(state, report, call.param("attachment_id"))?;
    let text = String::from_utf8_lossy(&attachment.bytes);
    Ok(Reply::json(&json!(text)))
}

fn crash(state: &State, report: usize, with_stack: bool) -> Value {
    let Parts {
        report: it,
        group,
        device,
        os,
        message,
        ..
    } = render::parts(state, report);
    let mut crash = json!({
        "new_crash_group_id": group.id,
        "crash_id": it.legacy_id,
        "new_crash_id": it.error_id,
        "display_id": (report + 1).to_string(),
        "timestamp": iso(it.at),
        "version": group.version,
        "build": "1",
        "device": device.model,
        "device_name": device.model,
        "os_version": device.os_version,
        "os_type": os,
        "user_name": it.user.as_deref().unwrap_or(""),
        "user_email": "",
        "details": {
            "carrier_country": device.country,
            "carrier_name": "",
            "locale": device.locale,
            "os_build": "",
            "rooted": false,
            "screen_size": "1080x2400",
            "app_start_timestamp": iso(it.at - jiff::SignedDuration::from_secs(90)),
        },
    });
    if !state.quirks.legacy_bridges
        && let Some(fields) = crash.as_object_mut()
    {
        fields.retain(|name, _value| !name.starts_with("new_"));
    }
    if with_stack {
        crash["stacktrace"] = render::stack_trace(group, os, message);
    }
    crash
}
