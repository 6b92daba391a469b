//! Export configurations.

use serde_json::{Value, json};

use super::{Call, Failure, Operation, Reply, operation};
use crate::exporter::{Configuration, ExportState, first_minute};
use crate::ids;
use crate::state::State;

pub(super) const OPERATIONS: &[Operation] = &[
    operation!(
        "ExportConfigurations_List",
        "GET",
        "/export_configurations",
        Nested,
        list
    ),
    operation!(
        "ExportConfigurations_Create",
        "POST",
        "/export_configurations",
        Nested,
        create
    ),
    operation!(
        "ExportConfigurations_Get",
        "GET",
        "/export_configurations/{export_configuration_id}",
        Nested,
        get
    ),
    operation!(
        "ExportConfigurations_PartialUpdate",
        "PATCH",
        "/export_configurations/{export_configuration_id}",
        Nested,
        update
    ),
    operation!(
        "ExportConfigurations_Delete",
        "DELETE",
        "/export_configurations/{export_configuration_id}",
        Nested,
        delete
    ),
    operation!(
        "ExportConfigurations_Enable",
        "POST",
        "/export_configurations/{export_configuration_id}/enable",
        Nested,
        enable
    ),
    operation!(
        "ExportConfigurations_Disable",
        "POST",
        "/export_configurations/{export_configuration_id}/disable",
        Nested,
        disable
    ),
];

const TYPES: [&str; 4] = [
    "blob_storage_connection_string",
    "blob_storage_linked_subscription",
    "application_insights_instrumentation_key",
    "application_insights_linked_subscription",
];
const ENTITIES: [&str; 4] = ["crashes", "errors", "attachments", "no_logs"];

fn configuration(state: &State, call: &Call) -> Result<usize, Failure> {
    let id = call.param("export_configuration_id");
    state
        .configurations
        .iter()
        .position(|it| it.app == call.app && it.id.to_string().eq_ignore_ascii_case(id))
        .ok_or_else(|| Failure::not_found("The export configuration was not found."))
}

fn note(state: &mut State, call: &Call) {
    state
        .audit
        .configurations_changed
        .push((call.operation_id.to_owned(), call.path.clone()));
}

fn list(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let values: Vec<Value> = state
        .configurations
        .iter()
        .filter(|it| it.app == call.app)
        .map(Configuration::json)
        .collect();
    Ok(Reply::json(
        &json!({ "total": values.len(), "values": values }),
    ))
}

/// Where a body says to write; the check of the connection itself happens before the operation runs.
pub(crate) fn destination(state: &State, body: &Value) -> Option<String> {
    match body["type"].as_str()? {
        "blob_storage_connection_string" => body["connection_string"].as_str().map(str::to_owned),
        "blob_storage_linked_subscription" => {
            let id = body["subscription_id"].as_str()?;
            state.subscriptions.get(id).cloned()
        }
        _ => None,
    }
}

/// What a body asks for, checked. Unknown fields are ignored, as `exportEntities` of the published how-to is.
fn read(state: &State, call: &Call) -> Result<Wanted, Failure> {
    let body = &call.body;
    let kind = body["type"]
        .as_str()
        .ok_or_else(|| Failure::bad_request("The type field is required."))?;
    if !TYPES.contains(&kind) {
        return Err(Failure::bad_request("The type is not valid."));
    }
    let mut entities = Vec::new();
    for entity in body["export_entities"].as_array().into_iter().flatten() {
        let entity = entity.as_str().unwrap_or("");
        if !ENTITIES.contains(&entity) {
            return Err(Failure::bad_request("The export_entities are not valid."));
        }
        entities.push(entity.to_owned());
    }
    if kind.starts_with("application_insights") && entities.iter().any(|it| it != "no_logs") {
        // The service's own spelling.
        return Err(Failure::bad_request(
            "Exporting diagnostics entitires is not supported for Application Insight.",
        ));
    }
    let field = |name: &str| body[name].as_str().filter(|it| !it.is_empty());
    match kind {
        "blob_storage_connection_string" if field("connection_string").is_none() => {
            return Err(Failure::bad_request(
                "The connection_string field is required.",
            ));
        }
        "application_insights_instrumentation_key" if field("instrumentation_key").is_none() => {
            return Err(Failure::bad_request(
                "The instrumentation_key field is required.",
            ));
        }
        "blob_storage_linked_subscription"
            if field("subscription_id").is_none_or(|it| !state.subscriptions.contains_key(it)) =>
        {
            return Err(Failure::bad_request(
                "Subscription ID is in invalid format.",
            ));
        }
        "application_insights_linked_subscription" if field("subscription_id").is_none() => {
            return Err(Failure::bad_request(
                "Subscription ID is in invalid format.",
            ));
        }
        _ => {}
    }
    let path_format = field("blob_path_format_kind");
    if path_format.is_some_and(|it| it != "WithAppId" && it != "WithoutAppId") {
        return Err(Failure::bad_request(
            "The blob_path_format_kind is not valid.",
        ));
    }
    Ok(Wanted {
        kind: kind.to_owned(),
        entities,
        path_format: path_format.map(str::to_owned),
        subscription_id: field("subscription_id").map(str::to_owned),
        destination: destination(state, body).unwrap_or_default(),
    })
}

struct Wanted {
    kind: String,
    entities: Vec<String>,
    path_format: Option<String>,
    subscription_id: Option<String>,
    destination: String,
}

fn create(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let mut wanted = read(state, call)?;
    let is_standard = wanted.kind == "blob_storage_linked_subscription";
    let own_account = state.standard_accounts.get(&call.app);
    let own_account = own_account.filter(|_| is_standard).cloned();
    if let Some(account) = &own_account {
        wanted.destination.clone_from(account);
    }
    let backfill = call.body["backfill"].as_bool().unwrap_or(true);
    let text = |name: &str| call.body[name].as_str().map(str::to_owned);
    let key = format!("{} {}", call.app, state.fresh());
    let app = &state.world.apps[call.app];
    let resource = ids::hex(&ids::digest(&state.world.seed, "resource", &key)[..11]);
    let configuration = Configuration {
        id: ids::uuid(&state.world.seed, "export configuration", &key),
        app: call.app,
        kind: wanted.kind,
        entities: wanted.entities,
        path_format: wanted.path_format,
        subscription_id: wanted.subscription_id,
        destination: wanted.destination,
        resource_name: own_account
            .as_deref()
            .and_then(account_name)
            .or_else(|| text("resource_name"))
            .unwrap_or_else(|| format!("ex{resource}")),
        resource_group: text("resource_group")
            .unwrap_or_else(|| format!("appcenter-export-{}", app.name)),
        backfill,
        state: ExportState::Pending,
        state_info: String::new(),
        created: state.now,
        last_run: None,
        exported_until: first_minute(state, backfill),
        ticks_pending: 0,
        failing_since: None,
    };
    let body = configuration.json();
    state.configurations.push(configuration);
    note(state, call);
    Ok(Reply::with_status(202, &body))
}

/// The account that a connection string is of.
fn account_name(connection_string: &str) -> Option<String> {
    let mut parts = connection_string.split(';');
    parts
        .find_map(|part| part.strip_prefix("AccountName="))
        .map(str::to_owned)
}

fn get(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let index = configuration(state, call)?;
    Ok(Reply::json(&state.configurations[index].json()))
}

/// Changes entities, path format and secret; the resource group of a body is ignored, as seen in practice.
fn update(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let index = configuration(state, call)?;
    let wanted = read(state, call)?;
    let it = &mut state.configurations[index];
    let was = it.clone();
    if it.kind != wanted.kind {
        return Err(Failure::bad_request("The type cannot be changed."));
    }
    if call.body["export_entities"].is_array() {
        it.entities = wanted.entities;
    }
    if wanted.path_format.is_some() {
        it.path_format = wanted.path_format;
    }
    if !wanted.destination.is_empty() {
        it.destination = wanted.destination;
    }
    let body = it.json();
    let has_changed = (&it.entities, &it.path_format, &it.destination)
        != (&was.entities, &was.path_format, &was.destination);
    if has_changed {
        note(state, call);
    }
    Ok(Reply::json(&body))
}

fn delete(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let index = configuration(state, call)?;
    state.configurations.remove(index);
    note(state, call);
    Ok(Reply::empty(200))
}

/// What arrived while it was off is not made up for. Of one that is on nothing changes.
fn enable(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let index = configuration(state, call)?;
    let from = first_minute(state, false);
    let it = &mut state.configurations[index];
    if matches!(it.state, ExportState::Disabled | ExportState::Invalid) {
        it.state = ExportState::Enabled;
        it.state_info.clear();
        it.exported_until = from;
        it.failing_since = None;
        note(state, call);
    }
    Ok(Reply::empty(200))
}

fn disable(state: &mut State, call: &Call) -> Result<Reply, Failure> {
    let index = configuration(state, call)?;
    state.configurations[index].state = ExportState::Disabled;
    note(state, call);
    Ok(Reply::empty(200))
}
