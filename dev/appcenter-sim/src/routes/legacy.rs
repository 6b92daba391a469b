//! Legacy crash groups: the same groups under 40-digit IDs, with the current IDs beside them.

use serde_json::{Value, json};

use super::{Call, Failure, Operation, Reply, operation};
use crate::ids::iso;
use crate::render;
use crate::state::{GroupState, State};

pub(super) const OPERATIONS: &[Operation] = &[
    operation!("crashGroups_list", "GET", "/crash_groups", Message, list),
    operation!(
        "crashGroups_get",
        "GET",
        "/crash_groups/{crash_group_id}",
        Message,
        get
    ),
    operation!(
        "crashGroups_update",
        "PATCH",
        "/crash_groups/{crash_group_id}",
        Message,
        update
    ),
    operation!(
        "crashGroups_getStacktrace",
        "GET",
        "/crash_groups/{crash_group_id}/stacktrace",
        Message,
        stack_trace
    ),
    operation!(
        "crashes_getAppCrashesInfo",
        "GET",
        "/crashes_info",
        Message,
        info
    ),
];

/// Groups of one reply.
const PAGE: usize = 30;

/// The group of the path, by its legacy ID: a current one is none of this API's.
pub(super) fn group(state: &State, call: &Call) -> Result<usize, Failure> {
    let id = call.param("crash_group_id");
    state
        .world
        .groups
        .iter()
        .position(|it| it.app == call.app && it.legacy_id == id)
        .ok_or_else(|| Failure::not_found("The crash group was not found."))
}

/// The visible report of the path's `crash_id`, by its legacy ID: a current one is none of this API's.
pub(super) fn report_by_crash_id(state: &State, call: &Call) -> Result<usize, Failure> {
    call.param("crash_id")
        .parse()
        .ok()
        .and_then(|id: uuid::Uuid| {
            let found = state.world.by_guid.get(&id).copied();
            found.filter(|it| state.world.reports[*it].legacy_id == id)
        })
        .filter(|it| {
            let group = state.world.reports[*it].group;
            state.world.groups[group].app == call.app && state.is_visible(*it)
        })
        .ok_or_else(|| Failure::not_found("The crash was not found."))
}

fn list(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let from = call.time("last_occurrence_from")?;
    let to = call.time("last_occurrence_to")?;
    let text = call.query("group_text_search").map(str::to_lowercase);
    let mut found: Vec<usize> = (0..state.world.groups.len())
        .filter(|index| {
            let group = &state.world.groups[*index];
            let Some(last) = state.counted(*index).next() else {
                return false;
            };
            let last = state.world.reports[last].at;
            let current = state.group_states.get(index).cloned().unwrap_or_default();
            group.app == call.app
                && from.is_none_or(|it| last >= it)
                && to.is_none_or(|it| last <= it)
                && call
                    .query("app_version")
                    .is_none_or(|it| it == group.version)
                && call
                    .query("group_status")
                    .is_none_or(|it| it == current.state)
                && text.as_ref().is_none_or(|it| {
                    let message = state.group_message(*index).to_lowercase();
                    message.contains(it) || group.exception.to_lowercase().contains(it)
                })
        })
        .collect();
    found.sort_by_key(|index| {
        let last = state.counted(*index).next();
        std::cmp::Reverse(last.map(|it| state.world.reports[it].at))
    });
    let after = match call.query("continuation_token") {
        None => 0,
        Some(id) => found
            .iter()
            .position(|it| state.world.groups[*it].legacy_id == id)
            .map(|it| it + 1)
            .ok_or_else(|| Failure::bad_request("The continuation_token is not valid."))?,
    };
    let page: Vec<usize> = found.iter().skip(after).take(PAGE).copied().collect();
    let groups: Vec<Value> = page.iter().map(|it| group_json(state, *it)).collect();
    let is_limited = state.quirks.limited_results;
    let mut body = json!({ "limited_result_set": is_limited, "crash_groups": groups });
    if found.len() > after + PAGE
        && let Some(last) = page.last()
    {
        body["continuation_token"] = json!(state.world.groups[*last].legacy_id);
    }
    Ok(Reply::json(&body))
}

fn get(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let group = group(state, call)?;
    Ok(Reply::json(&group_json(state, group)))
}

fn update(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let group = group(state, call)?;
    let entry = state.group_states.entry(group).or_default();
    if let Some(status) = call.body["status"].as_str() {
        let status = status.to_lowercase();
        if !matches!(status.as_str(), "open" | "closed" | "ignored") {
            return Err(Failure::bad_request("The status is not valid."));
        }
        entry.state = status;
    }
    if let Some(annotation) = call.body["annotation"].as_str() {
        annotation.clone_into(&mut entry.annotation);
    }
    state
        .audit
        .settings_changed
        .push((call.operation_id.to_owned(), call.path.clone()));
    Ok(Reply::json(&group_json(state, group)))
}

fn stack_trace(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let index = group(state, call)?;
    let group = &state.world.groups[index];
    let os = &state.world.apps[group.app].os;
    let trace = render::stack_trace(group, os, state.group_message(index));
    Ok(Reply::json(&trace))
}

fn info(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let groups = &state.world.groups;
    let has_crashes = (0..groups.len())
        .any(|it| groups[it].app == call.app && state.counted(it).next().is_some());
    Ok(Reply::json(&json!({
        "has_crashes": has_crashes,
        "features": {
            "crashgroup_modify_status": true,
            "crashgroup_modify_annotation": true,
            "search": true,
            "crashgroup_analytics_crashfreeusers": true,
            "crashgroup_analytics_impactedusers": true,
            "crash_download_raw": true,
        },
    })))
}

fn group_json(state: &State, index: usize) -> Value {
    let group = &state.world.groups[index];
    let reports = &state.world.reports;
    let counted: Vec<usize> = state.counted(index).collect();
    let installs: std::collections::HashSet<usize> =
        counted.iter().map(|it| reports[*it].install).collect();
    let fallback = state.world.epoch;
    let first = counted.last().map_or(fallback, |it| reports[*it].at);
    let last = counted.first().map_or(fallback, |it| reports[*it].at);
    let GroupState {
        state: status,
        annotation,
    } = state.group_states.get(&index).cloned().unwrap_or_default();
    let code = format!(
        "{}.{} ({}:{})",
        group.class, group.method, group.file, group.line
    );
    let mut shown = json!({
        "crash_group_id": group.legacy_id,
        "new_crash_group_id": group.id,
        "display_id": (index + 1).to_string(),
        "app_version": group.version,
        "build": "1",
        "status": status,
        "count": counted.len(),
        "impacted_users": installs.len(),
        "first_occurrence": iso(first),
        "last_occurrence": iso(last),
        "exception": group.exception,
        "crash_reason": state.group_message(index),
        "reason_frame": {
            "class_name": group.class,
            "method": group.method,
            "class_method": false,
            "file": group.file,
            "line": group.line,
            "app_code": true,
            "framework_name": "",
            "code_formatted": code,
            "code_raw": code,
            "language": "Unknown",
            "method_params": "",
            "exception_type": group.exception,
            "os_exception_type": "",
        },
        "fatal": group.is_crash,
        "annotation": annotation,
    });
    if !state.quirks.legacy_bridges
        && let Some(fields) = shown.as_object_mut()
    {
        fields.remove("new_crash_group_id");
    }
    shown
}
