//! Blobs of crashes and handled errors. Their schema is settled by no public source, hence the variants of
//! [`crate::ExportStyle`]; the reader must depend on none of them.

use serde_json::{Map, Value, json};

use crate::ids::iso;
use crate::render::{self, Parts};
use crate::state::State;
use crate::world::{BlobIds, KeyCase, Shape};

/// A report as an object.
pub(crate) fn report(state: &State, report: usize) -> Value {
    let Parts {
        report: it,
        group,
        install,
        device,
        os,
        message,
    } = render::parts(state, report);
    let app = &state.world.apps[group.app];
    let style = &app.style;
    let mut fields: Vec<(&str, Value)> = Vec::new();
    if style.blob_ids != BlobIds::None {
        if style.blob_ids != BlobIds::NoApp {
            fields.push(("AppId", json!(app.id)));
        }
        if style.blob_ids != BlobIds::NoInstall {
            let id = render::install_id(state, install);
            fields.push(("InstallId", json!(id)));
        }
        fields.push(("MessageId", json!(it.guid)));
        let (id_key, group_key) = if group.is_crash {
            ("CrashId", "CrashGroupId")
        } else {
            ("ErrorId", "ErrorGroupId")
        };
        fields.push((id_key, json!(it.error_id)));
        fields.push((group_key, json!(group.id)));
    }
    let kind = if group.is_crash {
        "ErrorLog"
    } else {
        "HandledErrorLog"
    };
    let user = it.user.as_deref().unwrap_or("None");
    let exception = json!({
        cased(style.key_case, "Type"): group.exception,
        cased(style.key_case, "Message"): message,
        cased(style.key_case, "Frames"): render::frame_json(group, os),
    });
    fields.extend([
        ("MessageType", json!(kind)),
        ("Timestamp", json!(iso(it.at))),
        ("IngressTimestamp", json!(iso(it.ingress))),
        ("UserId", json!(user)),
        ("Model", json!(device.model)),
        ("OemName", json!(device.oem)),
        ("OsName", json!(os)),
        ("OsVersion", json!(device.os_version)),
        ("Locale", json!(device.locale)),
        ("CountryCode", json!(device.country)),
        ("AppVersion", json!(group.version)),
        ("AppBuild", json!("1")),
        ("AppNamespace", json!("com.contoso.shop")),
        ("StackTrace", json!(render::stack_text(group, os, message))),
        ("Exception", exception),
        (
            "Properties",
            json!(render::properties(&it.properties).to_string()),
        ),
    ]);
    let map: Map<String, Value> = fields
        .into_iter()
        .map(|(key, value)| (cased(style.key_case, key), value))
        .collect();
    Value::Object(map)
}

fn cased(case: KeyCase, key: &str) -> String {
    match case {
        KeyCase::Pascal => key.to_owned(),
        KeyCase::Camel => key[..1].to_lowercase() + &key[1..],
        KeyCase::Lower => key.to_lowercase(),
        KeyCase::Upper => key.to_uppercase(),
    }
}

/// Reports as the text of one blob.
pub(crate) fn text(shape: Shape, values: &[Value]) -> String {
    match (shape, values) {
        (Shape::Object, [value]) => value.to_string(),
        (Shape::Lines, values) => values.iter().map(|it| format!("{it}\n")).collect(),
        (_, values) => Value::Array(values.to_vec()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{cased, text};
    use crate::world::{KeyCase, Shape};
    use serde_json::json;

    #[test]
    fn keys_and_shapes_follow_the_style() {
        for (case, expected) in [
            (KeyCase::Pascal, "InstallId"),
            (KeyCase::Camel, "installId"),
            (KeyCase::Lower, "installid"),
            (KeyCase::Upper, "INSTALLID"),
        ] {
            assert_eq!(cased(case, "InstallId"), expected);
        }
        let values = [json!({"a": 1}), json!({"a": 2})];
        for (shape, values, expected) in [
            (Shape::Object, &values[..1], r#"{"a":1}"#),
            (Shape::Array, &values[..1], r#"[{"a":1}]"#),
            (Shape::Lines, &values[..], "{\"a\":1}\n{\"a\":2}\n"),
            (Shape::Bundle, &values[..], r#"[{"a":1},{"a":2}]"#),
        ] {
            assert_eq!(text(shape, values), expected);
        }
    }
}
