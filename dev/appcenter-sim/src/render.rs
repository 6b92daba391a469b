//! Frames, stack traces and raw logs: what a report looks like in full, by its platform.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::ids::iso;
use crate::state::State;
use crate::world::{Device, Group, Install, Report, is_apple};

/// Frames of the system below the app's own.
const ANDROID_FRAMES: [(&str, &str, &str, u32); 3] = [
    ("android.os.Handler", "dispatchMessage", "Handler.java", 106),
    ("android.os.Looper", "loop", "Looper.java", 288),
    (
        "android.app.ActivityThread",
        "main",
        "ActivityThread.java",
        7918,
    ),
];
const APPLE_FRAMES: [(&str, &str, &str, u32); 3] = [
    (
        "UIApplication",
        "sendAction:to:from:forEvent:",
        "UIKitCore",
        96,
    ),
    ("CFRunLoop", "CFRunLoopRunSpecific", "CoreFoundation", 608),
    ("dyld", "start", "dyld", 2544),
];

struct Frame<'a> {
    class: &'a str,
    method: &'a str,
    file: &'a str,
    line: u32,
    is_app: bool,
}

fn frames<'a>(group: &'a Group, os: &str) -> Vec<Frame<'a>> {
    let system = if is_apple(os) {
        &APPLE_FRAMES
    } else {
        &ANDROID_FRAMES
    };
    let mut frames = vec![Frame {
        class: &group.class,
        method: &group.method,
        file: &group.file,
        line: group.line,
        is_app: true,
    }];
    frames.extend(system.iter().map(|(class, method, file, line)| Frame {
        class,
        method,
        file,
        line: *line,
        is_app: false,
    }));
    frames
}

fn code(frame: &Frame<'_>) -> String {
    let Frame {
        class,
        method,
        file,
        line,
        ..
    } = frame;
    format!("{class}.{method} ({file}:{line})")
}

fn language(os: &str) -> &'static str {
    if is_apple(os) { "Swift" } else { "Java" }
}

fn platform(os: &str) -> &'static str {
    match os {
        "iOS" | "macOS" | "tvOS" => "ios",
        "Android" => "android",
        _ => "other",
    }
}

/// A frame as the stack trace operations show it.
pub(crate) fn frame_json(group: &Group, os: &str) -> Vec<Value> {
    frames(group, os)
        .iter()
        .map(|it| {
            json!({
                "address": format!("0x{:016x}", 0x1_0000_0000_u64 + u64::from(it.line) * 64),
                "class_name": it.class,
                "method": it.method,
                "class_method": false,
                "file": it.file,
                "line": it.line,
                "app_code": it.is_app,
                "framework_name": if it.is_app { "" } else { it.class },
                "code_raw": code(it),
                "code_formatted": code(it),
                "language": language(os),
                "relevant": it.is_app,
                "method_params": "",
            })
        })
        .collect()
}

/// A whole stack trace; both APIs write it alike.
pub(crate) fn stack_trace(group: &Group, os: &str, message: &str) -> Value {
    let frames = frame_json(group, os);
    let exception = json!({
        "reason": message,
        "type": group.exception,
        "frames": frames,
        "relevant": true,
        "platform": platform(os),
    });
    json!({
        "title": format!("{}: {message}", group.exception),
        "reason": message,
        "threads": [{
            "title": "Thread 0",
            "frames": frames,
            "exception": exception,
            "relevant": true,
            "platform": platform(os),
            "crashed": group.is_crash,
        }],
        "exception": exception,
    })
}

/// The stack trace as text.
pub(crate) fn stack_text(group: &Group, os: &str, message: &str) -> String {
    let mut text = format!("{}: {message}\n", group.exception);
    for frame in frames(group, os) {
        text.push_str("\tat ");
        text.push_str(&code(&frame));
        text.push('\n');
    }
    text
}

/// An install ID as its SDK writes it.
pub(crate) fn install_id(state: &State, install: &Install) -> String {
    let text = install.id.to_string();
    match state.world.apps[install.app].style.upper_install_ids {
        Some(true) => text.to_uppercase(),
        _ => text,
    }
}

/// The parts of a report that every view needs.
pub(crate) struct Parts<'a> {
    pub(crate) report: &'a Report,
    pub(crate) group: &'a Group,
    pub(crate) install: &'a Install,
    pub(crate) device: &'a Device,
    pub(crate) os: &'a str,
    pub(crate) message: &'a str,
}

/// Looks a report's parts up.
pub(crate) fn parts(state: &State, report: usize) -> Parts<'_> {
    let world = &state.world;
    let it = &world.reports[report];
    let group = &world.groups[it.group];
    let install = &world.installs[it.install];
    Parts {
        report: it,
        group,
        install,
        device: install
            .devices
            .get(it.device)
            .unwrap_or(&install.devices[0]),
        os: &world.apps[group.app].os,
        message: state.report_message(report),
    }
}

/// Property lists as an object.
pub(crate) fn properties(list: &[(String, String)]) -> Value {
    let map: Map<String, Value> = list
        .iter()
        .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
        .collect();
    Value::Object(map)
}

/// A device as the SDK's log JSON shows it.
pub(crate) fn sdk_device(parts: &Parts<'_>) -> Value {
    let device = parts.device;
    json!({
        "sdkName": if is_apple(parts.os) { "appcenter.ios" } else { "appcenter.android" },
        "sdkVersion": "5.0.4",
        "model": device.model,
        "oemName": device.oem,
        "osName": parts.os,
        "osVersion": device.os_version,
        "locale": device.locale,
        "timeZoneOffset": 60,
        "screenSize": "1080x2400",
        "appVersion": parts.group.version,
        "appBuild": "1",
        "appNamespace": "com.contoso.shop",
        "carrierCountry": device.country,
    })
}

/// The raw log: the SDK's JSON as it was sent, with the install ID that the service adds.
pub(crate) fn raw_log(state: &State, report: usize) -> Value {
    let parts = parts(state, report);
    let Parts { report: it, .. } = &parts;
    let frames: Vec<Value> = frames(parts.group, parts.os)
        .iter()
        .map(|frame| {
            json!({
                "className": frame.class,
                "methodName": frame.method,
                "lineNumber": frame.line,
                "fileName": frame.file,
            })
        })
        .collect();
    let exception = json!({
        "type": parts.group.exception,
        "message": parts.message,
        "stackTrace": stack_text(parts.group, parts.os, parts.message),
        "frames": frames,
    });
    let kind = match (parts.group.is_crash, is_apple(parts.os)) {
        (true, true) => "appleError",
        (true, false) => "managedError",
        (false, _) => "handledError",
    };
    let mut raw = json!({
        "type": kind,
        "timestamp": iso(it.at),
        "id": it.guid,
        "fatal": parts.group.is_crash,
        "appLaunchTimestamp": iso(it.at - jiff::SignedDuration::from_secs(90)),
        "device": sdk_device(&parts),
        "exception": exception,
        "properties": properties(&it.properties),
    });
    if let Some(user) = &it.user {
        raw["userId"] = json!(&**user);
    }
    if let Some(key) = &state.quirks.raw_install_key {
        raw[key.as_str()] = json!(install_id(state, parts.install));
    }
    raw
}

/// What the `download` operation gives as JSON: the raw log and where its blob lies.
pub(crate) fn download_json(state: &State, report: usize) -> Value {
    let mut raw = raw_log(state, report);
    let it = &state.world.reports[report];
    raw["blobReference"] = json!(format!("crashes/{}", it.guid));
    raw["errorId"] = json!(it.error_id);
    raw["errorGroupId"] = json!(state.world.groups[it.group].id);
    raw
}

/// The raw log as text: Apple's form, or a stack trace.
pub(crate) fn raw_text(state: &State, report: usize) -> String {
    let parts = parts(state, report);
    let stack = stack_text(parts.group, parts.os, parts.message);
    let Parts { report: it, .. } = &parts;
    if !is_apple(parts.os) {
        return stack;
    }
    format!(
        "Incident Identifier: {}\nCrashReporter Key:   {}\nHardware Model:      {}\nProcess:         Shop [417]\nVersion:         {} (1)\nOS Version:      {} {}\nDate/Time:       {}\n\nException Type:  {}\n{}\n{stack}",
        it.guid.to_string().to_uppercase(),
        install_id(state, parts.install),
        parts.device.model,
        parts.group.version,
        parts.os,
        parts.device.os_version,
        iso(it.at),
        parts.group.exception,
        parts.message,
    )
}

/// The signature of an address that reads one blob.
pub(crate) fn signature(state: &State, path: &str) -> String {
    STANDARD.encode(crate::ids::digest(&state.world.seed, "signature", path))
}

/// An address on the storage host, good without the API token.
pub(crate) fn signed_url(state: &State, path: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("sv", "2019-07-07")
        .append_pair("sr", "b")
        .append_pair("sig", &signature(state, path))
        .append_pair("sp", "r")
        .finish();
    format!("{}{path}?{query}", state.downloads_url)
}
