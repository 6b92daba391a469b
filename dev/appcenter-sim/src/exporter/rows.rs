//! Rows of `logs.v1.data`: every value is a string, an absent one is `None`, `Properties` is JSON text.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::ids::iso;
use crate::render;
use crate::state::State;
use crate::world::{Attachment, EventKind, is_apple};

/// What differs between rows.
struct Row<'a> {
    install: usize,
    device: usize,
    kind: &'a str,
    at: Timestamp,
    ingress: Timestamp,
    id: Uuid,
    session: Option<Uuid>,
    event_name: &'a str,
    version: &'a str,
    user: Option<&'a str>,
    properties: &'a str,
}

/// The row of an event.
pub(crate) fn event(state: &State, event: usize) -> Value {
    let it = &state.world.events[event];
    let properties = if it.properties.is_empty() {
        "None".to_owned()
    } else {
        render::properties(&it.properties).to_string()
    };
    let kind = match it.kind {
        EventKind::StartService => "StartServiceLog",
        EventKind::StartSession => "StartSessionLog",
        EventKind::Event => "EventLog",
    };
    row(
        state,
        &Row {
            install: it.install,
            device: it.device,
            kind,
            at: it.at,
            ingress: it.ingress,
            id: it.id,
            session: Some(it.session),
            event_name: &it.name,
            version: &state.world.installs[it.install].version,
            // The user ID of the SDK reaches crashes and errors only; analytics rows say `None`.
            user: None,
            properties: &properties,
        },
    )
}

/// The row of a crash or a handled error; `link` leads to its blob.
pub(crate) fn report(state: &State, report: usize, link: &str) -> Value {
    let it = &state.world.reports[report];
    let group = &state.world.groups[it.group];
    let style = &state.world.apps[group.app].style;
    row(
        state,
        &Row {
            install: it.install,
            device: it.device,
            kind: if group.is_crash {
                "ErrorLog"
            } else {
                "HandledErrorLog"
            },
            at: it.at,
            ingress: it.ingress,
            id: it.guid,
            session: None,
            event_name: "None",
            version: &group.version,
            user: it.user.as_deref().filter(|_| !style.rows_without_user),
            properties: link,
        },
    )
}

/// The row of an attachment; `link` leads to its blob.
pub(crate) fn attachment(
    state: &State,
    report: usize,
    attachment: &Attachment,
    link: &str,
) -> Value {
    let it = &state.world.reports[report];
    let group = &state.world.groups[it.group];
    let style = &state.world.apps[group.app].style;
    row(
        state,
        &Row {
            install: it.install,
            device: it.device,
            kind: "ErrorAttachmentLog",
            at: it.at,
            ingress: it.ingress,
            id: attachment.id,
            session: None,
            event_name: "None",
            version: &group.version,
            user: it.user.as_deref().filter(|_| !style.rows_without_user),
            properties: link,
        },
    )
}

fn row(state: &State, row: &Row<'_>) -> Value {
    let install = &state.world.installs[row.install];
    let app = &state.world.apps[install.app];
    let device = install
        .devices
        .get(row.device)
        .unwrap_or(&install.devices[0]);
    let none = || "None".to_owned();
    let event_name = if row.event_name.is_empty() {
        "None"
    } else {
        row.event_name
    };
    let is_apple = is_apple(&app.os);
    let fields: [(&str, String); 36] = [
        ("AppId", app.id.to_string()),
        ("Timestamp", iso(row.at)),
        ("InstallId", render::install_id(state, install)),
        ("MessageType", row.kind.to_owned()),
        ("IngressTimestamp", iso(row.ingress)),
        ("MessageId", row.id.to_string()),
        (
            "EventId",
            if row.kind == "EventLog" {
                row.id.to_string()
            } else {
                none()
            },
        ),
        ("EventName", event_name.to_owned()),
        ("CorrelationId", row.session.unwrap_or(row.id).to_string()),
        ("IsTestMessage", "False".to_owned()),
        ("SdkVersion", "5.0.4".to_owned()),
        ("Model", device.model.clone()),
        ("OemName", device.oem.clone()),
        ("OsName", app.os.clone()),
        ("OsVersion", device.os_version.clone()),
        (
            "OsApiLevel",
            if is_apple { none() } else { "34".to_owned() },
        ),
        ("Locale", device.locale.clone()),
        ("TimeZoneOffset", "PT1H".to_owned()),
        ("ScreenSize", "1080x2400".to_owned()),
        ("AppVersion", row.version.to_owned()),
        ("AppBuild", "1".to_owned()),
        ("AppNamespace", "com.contoso.shop".to_owned()),
        ("CarrierName", none()),
        ("CarrierCountry", device.country.clone()),
        ("CountryCode", device.country.clone()),
        ("WrapperSdkVersion", none()),
        ("WrapperSdkName", none()),
        ("Properties", row.properties.to_owned()),
        (
            "SessionId",
            row.session.map_or_else(none, |it| it.to_string()),
        ),
        (
            "SdkName",
            if is_apple {
                "appcenter.ios"
            } else {
                "appcenter.android"
            }
            .to_owned(),
        ),
        ("OsBuild", none()),
        ("WrapperRuntimeVersion", none()),
        ("LiveUpdateDeploymentKey", none()),
        ("LiveUpdatePackageHash", none()),
        ("LiveUpdateReleaseLabel", none()),
        ("UserId", row.user.map_or_else(none, str::to_owned)),
    ];
    let map: Map<String, Value> = fields
        .into_iter()
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect();
    Value::Object(map)
}
