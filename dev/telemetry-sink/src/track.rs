//! Application Insights' envelopes as rows of the workspace's tables, by Microsoft's documentation of both.

use anyhow::{Context as _, bail};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

/// A row, with the table that it goes to.
pub(crate) type Row = (&'static str, Map<String, Value>);

/// The rows of a body: a JSON array of envelopes.
pub(crate) fn rows(body: &[u8]) -> anyhow::Result<Vec<Row>> {
    let envelopes: Vec<Value> = serde_json::from_slice(body)?;
    envelopes.iter().map(row).collect()
}

fn row(envelope: &Value) -> anyhow::Result<Row> {
    let time: Timestamp = text(&envelope["time"]).parse().context("no time")?;
    let tags = &envelope["tags"];
    let data = &envelope["data"]["baseData"];
    let mut columns = Map::new();
    let mut set = |name: &str, value: Value| columns.insert(name.to_owned(), value);
    set("TimeGenerated", json!(time.to_string()));
    for (column, tag) in [
        ("OperationId", "ai.operation.id"),
        ("ParentId", "ai.operation.parentId"),
        ("OperationName", "ai.operation.name"),
        ("AppRoleName", "ai.cloud.role"),
        ("AppRoleInstance", "ai.cloud.roleInstance"),
        ("AppVersion", "ai.application.ver"),
    ] {
        set(column, json!(text(&tags[tag])));
    }
    let properties = data["properties"].as_object().cloned().unwrap_or_default();
    set("Properties", Value::Object(properties));
    let table = match text(&envelope["data"]["baseType"]) {
        "RequestData" => {
            set("Id", data["id"].clone());
            set("Name", data["name"].clone());
            set("Success", data["success"].clone());
            set("ResultCode", data["responseCode"].clone());
            set("Url", json!(text(&data["url"])));
            set("Source", json!(text(&data["source"])));
            set("DurationMs", json!(milliseconds(text(&data["duration"]))?));
            set("ItemCount", json!(1));
            "AppRequests"
        }
        "RemoteDependencyData" => {
            set("Id", data["id"].clone());
            set("Name", data["name"].clone());
            set("Success", data["success"].clone());
            set("ResultCode", data["resultCode"].clone());
            set("Target", json!(text(&data["target"])));
            set("Data", json!(text(&data["data"])));
            set("DurationMs", json!(milliseconds(text(&data["duration"]))?));
            set("ItemCount", json!(1));
            "AppDependencies"
        }
        "MessageData" => {
            set("Message", data["message"].clone());
            let level = match &data["severityLevel"] {
                Value::Number(number) => number.as_i64(),
                Value::String(name) => {
                    let names = ["Verbose", "Information", "Warning", "Error", "Critical"];
                    let at = names.iter().position(|it| it == name);
                    at.and_then(|at| i64::try_from(at).ok())
                }
                _ => None,
            };
            set("SeverityLevel", json!(level));
            set("ItemCount", json!(1));
            "AppTraces"
        }
        "MetricData" => {
            let [metric] = data["metrics"].as_array().context("no metrics")?.as_slice() else {
                bail!("not one metric an envelope");
            };
            set("Name", metric["name"].clone());
            set("Sum", metric["value"].clone());
            set(
                "ItemCount",
                metric.get("count").cloned().unwrap_or(json!(1)),
            );
            for (column, key) in [("Min", "min"), ("Max", "max")] {
                let value = metric.get(key).unwrap_or(&metric["value"]);
                set(column, value.clone());
            }
            "AppMetrics"
        }
        other => bail!("an envelope of `{other}`, which is not expected"),
    };
    Ok((table, columns))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A duration, `d.hh:mm:ss.ffffff`.
fn milliseconds(text: &str) -> anyhow::Result<f64> {
    let malformed = || format!("a duration of {text}");
    let (days, rest) = text.split_once('.').with_context(malformed)?;
    let parts: Vec<f64> = rest
        .split(':')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(malformed)?;
    let [hours, minutes, seconds] = parts[..] else {
        bail!(malformed());
    };
    let days: f64 = days.parse().with_context(malformed)?;
    Ok((((days * 24.0 + hours) * 60.0 + minutes) * 60.0 + seconds) * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn durations_are_read() {
        for (text, expected) in [
            ("0.00:00:00.000000", 0.0),
            ("0.00:00:01.500000", 1500.0),
            ("1.01:01:01.000000", 90_061_000.0),
        ] {
            assert_eq!(milliseconds(text).ok(), Some(expected), "{text}");
        }
        assert!(milliseconds("1:2").is_err());
    }
}
