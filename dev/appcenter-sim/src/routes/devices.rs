//! Blocking an install, blocking a whole app, and the retention setting.

use serde_json::json;
use uuid::Uuid;

use super::{Call, Failure, Operation, Reply, operation};
use crate::state::State;
use crate::world::AppInstall;

pub(super) const OPERATIONS: &[Operation] = &[
    operation!(
        "App_BlockLogs",
        "PUT",
        "/devices/block_logs",
        Gateway,
        block_app
    ),
    operation!(
        "Devices_BlockLogs",
        "PUT",
        "/devices/block_logs/{install_id}",
        Gateway,
        block_install
    ),
    operation!(
        "errors_getRetentionSettings",
        "GET",
        "/errors/retention_settings",
        Nested,
        retention
    ),
    operation!(
        "errors_putRetentionSettings",
        "PUT",
        "/errors/retention_settings",
        Nested,
        set_retention
    ),
];

/// Irreversible, for everybody who uses the app.
fn block_app(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    state.blocked_apps.entry(call.app).or_insert(state.now);
    let path = state.world.app_path(call.app);
    state.audit.app_blocked.insert(path);
    Ok(Reply::json(&json!("")))
}

/// Irreversible; an install that was never seen is blocked as well; a second time changes nothing.
fn block_install(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let install: Uuid = call
        .param("install_id")
        .parse()
        .map_err(|_| Failure::bad_request("The install_id is not valid."))?;
    state
        .blocked
        .entry((call.app, install))
        .or_insert(state.now);
    state.audit.blocked.insert(AppInstall {
        app: state.world.app_path(call.app),
        install: install.to_string(),
    });
    Ok(Reply::json(&json!("")))
}

fn retention(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let days = state.retention[call.app];
    Ok(Reply::json(&json!({ "retention_in_days": days })))
}

fn set_retention(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let days = call.body["retention_in_days"]
        .as_u64()
        .and_then(|it| u16::try_from(it).ok())
        .filter(|it| matches!(it, 28 | 90))
        .ok_or_else(|| Failure::bad_request("The retention_in_days must be 28 or 90."))?;
    state.retention[call.app] = days;
    state
        .audit
        .settings_changed
        .push((call.operation_id.to_owned(), call.path.clone()));
    Ok(Reply::json(&json!({ "retention_in_days": days })))
}
