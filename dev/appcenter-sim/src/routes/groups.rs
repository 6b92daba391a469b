//! Error groups: list, details, state, stack trace.

use serde_json::{Value, json};

use super::{Call, Failure, Operation, Reply, next_link, operation};
use crate::ids::iso;
use crate::render;
use crate::state::{GroupState, State};

pub(super) const OPERATIONS: &[Operation] = &[
    operation!(
        "Errors_GroupList",
        "GET",
        "/errors/errorGroups",
        Nested,
        list
    ),
    operation!(
        "Errors_GroupDetails",
        "GET",
        "/errors/errorGroups/{errorGroupId}",
        Nested,
        details
    ),
    operation!(
        "Errors_UpdateState",
        "PATCH",
        "/errors/errorGroups/{errorGroupId}",
        Nested,
        update
    ),
    operation!(
        "Errors_GroupErrorStackTrace",
        "GET",
        "/errors/errorGroups/{errorGroupId}/stacktrace",
        Nested,
        stack_trace
    ),
];

/// The group that the path names.
pub(super) fn group(state: &State, call: &Call) -> Result<usize, Failure> {
    let id = call.param("errorGroupId");
    state
        .world
        .groups
        .iter()
        .position(|it| it.app == call.app && it.id == id && !it.is_legacy_only)
        .ok_or_else(|| Failure::not_found("The error group was not found."))
}

/// Whether `errorType` wants a group of this kind.
pub(super) fn is_wanted(call: &Call, is_crash: bool) -> Result<bool, Failure> {
    match call.query("errorType") {
        None | Some("all") => Ok(true),
        Some("unhandledError") => Ok(is_crash),
        Some("handledError") => Ok(!is_crash),
        Some(_) => Err(Failure::bad_request("The errorType is not valid.")),
    }
}

fn list(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let start = call.required_time("start")?;
    let end = call.time("end")?.unwrap_or(state.now);
    let top = call.top(30, 0, 2000)?.clamp(1, state.quirks.page_limit);
    let mut found = Vec::new();
    for (index, group) in state.world.groups.iter().enumerate() {
        if group.app != call.app || group.is_legacy_only || !is_wanted(call, group.is_crash)? {
            continue;
        }
        if call.query("version").is_some_and(|it| it != group.version) {
            continue;
        }
        let current = state
            .group_states
            .get(&index)
            .cloned()
            .unwrap_or_default()
            .state;
        if call
            .query("groupState")
            .is_some_and(|it| !it.eq_ignore_ascii_case(&current))
        {
            continue;
        }
        let count = state
            .counted(index)
            .filter(|it| (start..=end).contains(&state.world.reports[*it].at))
            .count();
        if count > 0 {
            found.push((std::cmp::Reverse(count), index));
        }
    }
    found.sort_unstable();
    let after = match call.query("$token") {
        None => 0,
        Some(id) => found
            .iter()
            .position(|(_, index)| state.world.groups[*index].id == id)
            .map(|it| it + 1)
            .ok_or_else(|| Failure::bad_request("The continuation token is not valid."))?,
    };
    let page: Vec<usize> = found.iter().skip(after).take(top).map(|it| it.1).collect();
    let groups: Vec<Value> = page.iter().map(|it| group_json(state, *it)).collect();
    let mut body = json!({ "errorGroups": groups });
    if found.len() > after + top
        && let Some(last) = page.last()
    {
        body["nextLink"] = json!(next_link(state, call, &state.world.groups[*last].id));
    }
    Ok(Reply::json(&body))
}

fn details(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let group = group(state, call)?;
    Ok(Reply::json(&group_json(state, group)))
}

fn update(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let group = group(state, call)?;
    let wanted = call.body["state"].as_str().unwrap_or("").to_lowercase();
    if !matches!(wanted.as_str(), "open" | "closed" | "ignored") {
        return Err(Failure::bad_request("The state is not valid."));
    }
    let entry = state.group_states.entry(group).or_default();
    entry.state = wanted;
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

/// A group as the current API shows it. Its counters keep what was deleted.
pub(super) fn group_json(state: &State, index: usize) -> Value {
    let group = &state.world.groups[index];
    let reports = &state.world.reports;
    let counted: Vec<usize> = state.counted(index).collect();
    let installs: std::collections::HashSet<usize> =
        counted.iter().map(|it| reports[*it].install).collect();
    let fallback = state.world.epoch;
    let first = counted.last().map_or(fallback, |it| reports[*it].at);
    let last = counted.first().map_or(fallback, |it| reports[*it].at);
    let GroupState {
        state: current,
        annotation,
    } = state.group_states.get(&index).cloned().unwrap_or_default();
    let described = state.world.apps[group.app].has_described_states;
    let current = if state.quirks.capital_states.unwrap_or(!described) {
        current[..1].to_uppercase() + &current[1..]
    } else {
        current
    };
    let code = format!(
        "{}.{} ({}:{})",
        group.class, group.method, group.file, group.line
    );
    json!({
        "state": current,
        "annotation": annotation,
        "errorGroupId": group.id,
        "appVersion": group.version,
        "appBuild": "1",
        "count": counted.len(),
        "deviceCount": installs.len(),
        "firstOccurrence": iso(first),
        "lastOccurrence": iso(last),
        "exceptionType": group.exception,
        "exceptionMessage": state.group_message(index),
        "exceptionClassName": group.class,
        "exceptionClassMethod": false,
        "exceptionMethod": group.method,
        "exceptionAppCode": true,
        "exceptionFile": group.file,
        "exceptionLine": group.line.to_string(),
        "codeRaw": code,
        "reasonFrames": [{
            "className": group.class,
            "method": group.method,
            "classMethod": false,
            "file": group.file,
            "line": group.line,
            "appCode": true,
            "frameworkName": "",
            "codeFormatted": code,
            "codeRaw": code,
            "methodParams": "",
            "language": "Unknown",
        }],
        "hidden": false,
    })
}
