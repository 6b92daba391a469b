//! Session logs: the events of a crash's install before the crash. The one place of the API that shows install IDs.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::errors::report;
use super::legacy::report_by_crash_id;
use super::{Call, Failure, Operation, Reply, operation};
use crate::ids::iso;
use crate::render;
use crate::state::State;
use crate::world::{EventKind, is_apple};

pub(super) const OPERATIONS: &[Operation] = &[
    operation!(
        "Errors_ListSessionLogs",
        "GET",
        "/errors/{errorId}/sessionLogs",
        Nested,
        by_error
    ),
    operation!(
        "Crashes_ListSessionLogs",
        "GET",
        "/crashes/{crash_id}/session_logs",
        Nested,
        by_crash
    ),
];

/// Logs of one reply, at most.
const MAX_LOGS: usize = 100;
/// How long before a crash events belong to it.
const REACH: SignedDuration = SignedDuration::from_hours(48);

fn by_error(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let report = report(state, call)?;
    logs(state, call, report)
}

/// By either ID: this path is no part of the legacy crash API, and the last of three places for a current one.
fn by_crash(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let by_current = state.world.by_error_id.get(call.param("crash_id"));
    let report = match by_current.copied() {
        Some(report) if state.is_visible(report) => report,
        _ => report_by_crash_id(state, call)?,
    };
    let group = &state.world.groups[state.world.reports[report].group];
    if group.app != call.app {
        return Err(Failure::not_found("The crash was not found."));
    }
    logs(state, call, report)
}

fn logs(state: &State, call: &Call, report: usize) -> Result<Reply, Failure> {
    let it = &state.world.reports[report];
    let from = call.time("date")?.unwrap_or(Timestamp::MIN);
    // Handled errors have none.
    let is_crash = state.world.groups[it.group].is_crash;
    let mut events: Vec<usize> = (0..state.world.events.len())
        .filter(|_| is_crash)
        .filter(|index| {
            let event = &state.world.events[*index];
            event.install == it.install
                && event.ingress <= state.now
                && event.at <= it.at
                && event.at >= it.at - REACH
                && event.at > from
        })
        .collect();
    events.sort_by_key(|index| state.world.events[*index].at);
    let exceeded = events.len() > MAX_LOGS;
    events.truncate(MAX_LOGS);
    let mut body = json!({ "exceeded_max_limit": exceeded });
    if let Some(last) = events.last() {
        body["last_received_log_timestamp"] = json!(iso(state.world.events[*last].at));
    }
    let logs: Vec<Value> = events.iter().map(|index| log(state, *index)).collect();
    body["logs"] = json!(logs);
    Ok(Reply::json(&body))
}

fn log(state: &State, event: usize) -> Value {
    let event = &state.world.events[event];
    let install = &state.world.installs[event.install];
    let device = install
        .devices
        .get(event.device)
        .unwrap_or(&install.devices[0]);
    let os = &state.world.apps[install.app].os;
    let mut log = Map::new();
    let kind = match event.kind {
        EventKind::StartService => "start_service",
        EventKind::StartSession => "start_session",
        EventKind::Event => "event",
    };
    log.insert("type".to_owned(), json!(kind));
    log.insert("timestamp".to_owned(), json!(iso(event.at)));
    log.insert(
        "install_id".to_owned(),
        json!(render::install_id(state, install)),
    );
    log.insert("session_id".to_owned(), json!(event.session));
    log.insert("message_id".to_owned(), json!(event.id));
    if event.kind == EventKind::Event {
        log.insert("event_id".to_owned(), json!(event.id));
        log.insert("event_name".to_owned(), json!(&*event.name));
        log.insert(
            "properties".to_owned(),
            render::properties(&event.properties),
        );
    }
    log.insert(
        "device".to_owned(),
        json!({
            "sdk_name": if is_apple(os) { "appcenter.ios" } else { "appcenter.android" },
            "sdk_version": "5.0.4",
            "model": device.model,
            "oem_name": device.oem,
            "os_name": os,
            "os_version": device.os_version,
            "locale": device.locale,
            "time_zone_offset": 60,
            "screen_size": "1080x2400",
            "app_version": install.version,
            "app_build": "1",
            "app_namespace": "com.contoso.shop",
            "carrier_country": device.country,
        }),
    );
    Value::Object(log)
}
