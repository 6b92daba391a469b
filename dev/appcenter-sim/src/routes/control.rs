//! `/_sim/…`: the simulator's own controls, for those who run it as a program.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Failure, Reply};
use crate::exporter;
use crate::faults::Fault;
use crate::options::Retirement;
use crate::server::Shared;

/// Answers one control call.
pub(crate) async fn control(shared: &Shared, method: &str, path: &str, body: &[u8]) -> Reply {
    let body = serde_json::from_slice(body).unwrap_or(Value::Null);
    match run(shared, method, path, &body).await {
        Ok(value) => Reply::json(&value),
        Err(failure) => failure.reply(super::ErrorShape::Message),
    }
}

async fn run(shared: &Shared, method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
    let bad = |what: &str| Failure::bad_request(what);
    match (method, path) {
        ("GET", "audit") => {
            let state = shared.state();
            let audit = &state.audit;
            let mut value = json!(audit);
            value["max_calls_in_300s"] = json!(audit.max_calls_in_window(Duration::from_secs(300)));
            Ok(value)
        }
        ("GET", "world") => {
            let state = shared.state();
            let world = &state.world;
            Ok(json!({
                "name": world.name,
                "owner": world.owner,
                "apps": world.apps(),
                "requests": world.requests,
            }))
        }
        ("GET", "faults") => Ok(json!({
            "hits": shared.faults.hits(),
            "waiting": shared.faults.waiting(),
        })),
        ("POST", "faults") => {
            let list = match body {
                Value::Array(list) => list.clone(),
                one => vec![one.clone()],
            };
            for it in list {
                let fault: Fault = serde_json::from_value(it).map_err(|it| bad(&it.to_string()))?;
                shared.faults.add(fault);
            }
            Ok(json!({}))
        }
        ("DELETE", "faults") => {
            shared.faults.clear();
            Ok(json!({}))
        }
        ("GET", "clock") => Ok(json!({ "now": shared.clock.now() })),
        ("POST", "clock") => {
            if let Some(seconds) = body["advance_seconds"].as_u64() {
                shared.clock.advance(Duration::from_secs(seconds));
            } else if let Some(at) = body["set"].as_str() {
                let at = at.parse().map_err(|_| bad("`set` is a date-time"))?;
                shared.clock.set(at);
            } else {
                return Err(bad("`advance_seconds` or `set` is needed"));
            }
            Ok(json!({ "now": shared.clock.now() }))
        }
        ("POST", "tick") => {
            let exported = exporter::tick(shared).await;
            Ok(json!({ "blobs": exported.blobs, "rows": exported.rows }))
        }
        ("POST", "archive") => {
            let destination = body["connection_string"]
                .as_str()
                .ok_or_else(|| bad("`connection_string` is needed"))?;
            let exported = exporter::write_archive(shared, destination)
                .await
                .map_err(|_| bad("the archive could not be written"))?;
            Ok(json!({ "blobs": exported.blobs, "rows": exported.rows }))
        }
        ("POST", "subscriptions") => {
            let text = |name: &str| body[name].as_str().map(str::to_owned);
            let (Some(id), Some(place)) = (text("id"), text("connection_string")) else {
                return Err(bad("`id` and `connection_string` are needed"));
            };
            shared.state().subscriptions.insert(id, place);
            Ok(json!({}))
        }
        ("POST", "retired") => {
            let kind: Option<Retirement> = serde_json::from_value(body["kind"].clone())
                .map_err(|_| bad("`kind` is gone, not_found, silent or null"))?;
            shared.state().retirement = kind;
            Ok(json!({}))
        }
        _ => Err(Failure::not_found("There is no such control.")),
    }
}
