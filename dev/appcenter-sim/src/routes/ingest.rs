//! Ingestion, as `in.appcenter.ms` takes it from the SDKs: events, crashes, handled errors, attachments.

use std::sync::Arc;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Reply;
use crate::ids;
use crate::server::gateway;
use crate::state::State;
use crate::world::{Attachment, Device, Event, EventKind, Group, Install, Report};

/// Crashes that an app may send in a minute, and as many handled errors; the rest is dropped.
const PER_MINUTE: usize = 60;
/// How old and how far ahead a log may be.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24 * 25);
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(24 * 3);
/// The largest attachment.
const MAX_ATTACHMENT: usize = 7 * 1024 * 1024;

/// Takes logs of one install; returns the reply and how many were kept.
///
/// What the service answers to a blocked install is not known: it gets the usual success, and nothing is kept.
pub(crate) fn ingest(
    state: &mut State,
    secret: Uuid,
    install: Uuid,
    logs: &Value,
) -> (Reply, usize) {
    let Some(app) = state.world.apps.iter().position(|it| it.secret == secret) else {
        return (gateway(404, "Not Found"), 0);
    };
    let logs = logs.as_array().map_or(&[][..], Vec::as_slice);
    let (mut valid, mut throttled, mut accepted) = (Vec::new(), Vec::new(), 0);
    let is_dropped = state.is_dropped(app, install, state.now);
    for log in logs {
        let id = log["id"].as_str().unwrap_or("").to_owned();
        let is_report = matches!(
            log["type"].as_str(),
            Some("managedError" | "appleError" | "handledError")
        );
        if is_dropped {
            state.audit.logs_dropped += 1;
            if is_report {
                valid.push(id);
            }
            continue;
        }
        if is_report {
            let minute = state.now.as_second().div_euclid(60);
            let is_crash = log["type"] != "handledError";
            let sent = state.ingested.entry((app, minute, is_crash)).or_default();
            if *sent >= PER_MINUTE {
                throttled.push(id);
                continue;
            }
            *sent += 1;
        }
        if take(state, app, install, log).is_some() {
            accepted += 1;
            if is_report {
                valid.push(id);
            }
        }
    }
    state.audit.logs_accepted += accepted;
    let correlation = state.fresh().to_string();
    let reply = Reply::json(&json!({
        "status": "Success",
        "validDiagnosticsIds": valid,
        "throttledDiagnosticsIds": throttled,
        "correlationId": ids::uuid(&state.world.seed, "correlation", &correlation),
    }));
    (reply, accepted)
}

fn take(state: &mut State, app: usize, install: Uuid, log: &Value) -> Option<()> {
    let at: Timestamp = log["timestamp"].as_str()?.parse().ok()?;
    if at < state.now - MAX_AGE || at > state.now + MAX_AHEAD {
        return None;
    }
    let kind = log["type"].as_str()?;
    let (install, device) = known_install(state, app, install, log);
    match kind {
        "event" | "startSession" | "startService" => {
            let made = state.fresh().to_string();
            let kind = match kind {
                "event" => EventKind::Event,
                "startSession" => EventKind::StartSession,
                _ => EventKind::StartService,
            };
            let id = ids::uuid(&state.world.seed, "ingested", &made);
            state.world.events.push(Event {
                install,
                device,
                at,
                ingress: state.now,
                kind,
                name: Arc::from(log["name"].as_str().unwrap_or("")),
                properties: Arc::from(strings(&log["properties"])),
                session: log["sid"]
                    .as_str()
                    .and_then(|it| it.parse().ok())
                    .unwrap_or(id),
                id: log["id"]
                    .as_str()
                    .and_then(|it| it.parse().ok())
                    .unwrap_or(id),
            });
        }
        "managedError" | "appleError" | "handledError" => {
            let group = known_group(state, app, install, log, kind != "handledError");
            let guid: Uuid = log["id"].as_str()?.parse().ok()?;
            let message = exception_field(log, "message");
            let name = format!("ingested-{guid}");
            let legacy_id = ids::uuid(&state.world.seed, "legacy report", &name);
            let error_id = ids::error_id(at, guid);
            if state.world.by_error_id.contains_key(&error_id) {
                return None;
            }
            state.world.add_report(Report {
                name,
                group,
                install,
                device,
                at,
                ingress: state.now,
                guid,
                legacy_id,
                error_id,
                user: log["userId"].as_str().map(Arc::from),
                message: Some(Arc::from(message)),
                properties: strings(&log["properties"]),
                attachments: Vec::new(),
            });
        }
        "errorAttachment" => {
            let guid: Uuid = log["errorId"].as_str()?.parse().ok()?;
            let bytes = STANDARD.decode(log["data"].as_str()?).ok()?;
            if bytes.len() > MAX_ATTACHMENT {
                return None;
            }
            let id = log["id"].as_str()?.parse().ok()?;
            let report = *state.world.by_guid.get(&guid)?;
            let report = &mut state.world.reports[report];
            report.attachments.push(Attachment {
                id,
                file_name: log["fileName"].as_str().unwrap_or("").to_owned(),
                content_type: log["contentType"].as_str().unwrap_or("").to_owned(),
                bytes: Arc::from(bytes),
            });
        }
        _ => return None,
    }
    Some(())
}

fn exception_field<'a>(log: &'a Value, field: &str) -> &'a str {
    let apple = match field {
        "message" => "exceptionReason",
        _ => "exceptionType",
    };
    log["exception"][field]
        .as_str()
        .or_else(|| log[apple].as_str())
        .unwrap_or("")
}

fn strings(properties: &Value) -> Vec<(String, String)> {
    let Some(map) = properties.as_object() else {
        return Vec::new();
    };
    map.iter()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// The install, made when it was not seen before, and the index of the log's device.
fn known_install(state: &mut State, app: usize, id: Uuid, log: &Value) -> (usize, usize) {
    let text = |name: &str, other: &str| log["device"][name].as_str().unwrap_or(other).to_owned();
    let locale = text("locale", "en_US");
    let device = Device {
        model: text("model", "Unknown"),
        oem: text("oemName", "Unknown"),
        os_version: text("osVersion", "1"),
        country: locale.rsplit('_').next().unwrap_or("US").to_owned(),
        locale,
    };
    let installs = &mut state.world.installs;
    let found = installs.iter().position(|it| it.app == app && it.id == id);
    let Some(index) = found else {
        installs.push(Install {
            name: format!("ingested-{id}"),
            app,
            id,
            version: text("appVersion", "1.0.0"),
            devices: vec![device],
            user: None,
        });
        return (state.world.installs.len() - 1, 0);
    };
    let devices = &mut installs[index].devices;
    let same = devices.iter().position(|it| it.model == device.model);
    let device_index = same.unwrap_or_else(|| {
        devices.push(device);
        devices.len() - 1
    });
    (index, device_index)
}

/// The group of the same version, exception and place, made when there is none.
fn known_group(
    state: &mut State,
    app: usize,
    install: usize,
    log: &Value,
    is_crash: bool,
) -> usize {
    let version = log["device"]["appVersion"]
        .as_str()
        .unwrap_or(&state.world.installs[install].version)
        .to_owned();
    let exception = exception_field(log, "type").to_owned();
    let frame = &log["exception"]["frames"][0];
    let text = |name: &str| frame[name].as_str().unwrap_or("Unknown").to_owned();
    let (class, method) = (text("className"), text("methodName"));
    let found = state.world.groups.iter().position(|it| {
        it.app == app
            && it.is_crash == is_crash
            && it.version == version
            && it.exception == exception
            && it.class == class
            && it.method == method
    });
    if let Some(index) = found {
        return index;
    }
    let name = format!("ingested {app} {is_crash} {version} {exception} {class} {method}");
    state.world.groups.push(Group {
        app,
        id: ids::group_id(&state.world.seed, &name, is_crash),
        legacy_id: ids::legacy_group_id(&state.world.seed, &name),
        name,
        is_crash,
        version,
        exception,
        message: exception_field(log, "message").to_owned(),
        class,
        method,
        file: text("fileName"),
        line: u32::try_from(frame["lineNumber"].as_u64().unwrap_or(1)).unwrap_or(1),
        is_symbolicated: true,
        is_legacy_only: false,
        reports: Vec::new(),
    });
    state.world.groups.len() - 1
}
