//! `dev/infra/kept.py` refuses a deployment that would lose what an earlier one was given.

use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::root;

/// Runs it with what `az` would say and these variables; gives its exit code and what it says.
fn kept(
    deployments: &Value,
    groups: &Value,
    variables: &[(&str, &str)],
    reset: &str,
) -> (Option<i32>, String) {
    let folder = TempDir::new().expect("a folder");
    let write = |name: &str, value: &Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, value.to_string()).expect("a file");
        path
    };
    let mut script = Command::new("python3");
    script.arg(root().join("dev/infra/kept.py"));
    script.arg(write("deployments.json", deployments));
    script.arg(write("groups.json", groups));
    script.args(["--reset", reset]);
    // Whoever runs the tests may have an environment of azd.
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DSR_")) {
        script.env_remove(name);
    }
    script.envs(variables.iter().copied());
    let output = script.output().expect("python3 runs");
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// A deployment as `az deployment group list` has it.
fn deployment(state: &str, time: &str, parameters: &Value) -> Value {
    json!({ "name": "dsr", "properties": {
        "provisioningState": state, "timestamp": time, "parameters": parameters,
    }})
}

fn given() -> Value {
    json!({
        "alertEmail": { "type": "String", "value": "privacy@contoso.com" },
        "appCenterToken": { "type": "SecureString" },
        "corsOrigins": { "type": "Array", "value": ["https://intranet.contoso.com"] },
        "exportType": { "type": "String", "value": "custom" },
        // As their defaults are.
        "archiveAccount": { "type": "String", "value": "" },
        "dailyGigabytes": { "type": "Int", "value": -1 },
        "ledger": { "type": "Bool", "value": true },
        "settings": { "type": "Object", "value": {} },
    })
}

const GIVEN: [(&str, &str); 3] = [
    ("DSR_ALERT_EMAIL", "dpo@contoso.com"),
    ("DSR_CORS_ORIGINS", "[]"),
    ("DSR_EXPORT_TYPE", "custom"),
];

#[test]
fn what_was_given_is_not_lost() {
    let deployments = json!([
        deployment("Succeeded", "2026-11-20T09:00:00.123456+00:00", &given()),
        // Older; not ended; a module of the deployment.
        deployment(
            "Succeeded",
            "2026-10-20T09:00:00+00:00",
            &json!({
                "alertEmail": { "value": "" }, "exportType": { "value": "none" }, "logDays": { "value": 400 },
            })
        ),
        deployment(
            "Failed",
            "2026-11-21T09:00:00+00:00",
            &json!({
                "alertEmail": { "value": "" }, "exportType": { "value": "none" },
            })
        ),
        deployment(
            "Succeeded",
            "2026-11-20T09:00:01+00:00",
            &json!({ "alertEmail": { "value": "" } })
        ),
    ]);
    let groups = json!([]);
    let (code, said) = kept(&deployments, &groups, &[], "");
    assert_eq!(code, Some(1), "{said}");
    let refused: Vec<&str> = said
        .lines()
        .filter_map(|line| line.split_once(" was given before"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(refused, ["exportType", "corsOrigins", "alertEmail"]);
    assert!(said.contains("DSR_EXPORT_TYPE is not set"), "{said}");
    // Logs may be public.
    assert!(!said.contains("privacy@"), "{said}");

    let (code, said) = kept(&deployments, &groups, &GIVEN, "");
    assert_eq!(code, Some(0), "another value is meant: {said}");
    let (code, said) = kept(&deployments, &groups, &GIVEN[1..], "alertEmail");
    assert_eq!(code, Some(0), "{said}");
    let empty = [("DSR_ALERT_EMAIL", ""), GIVEN[1], GIVEN[2]];
    let (code, said) = kept(&deployments, &groups, &empty, "");
    assert_eq!(code, Some(1), "a variable that is not set is empty: {said}");
    let (code, said) = kept(&deployments, &groups, &GIVEN, "alertMail");
    assert_eq!(code, Some(2), "{said}");
}

/// The address is a secret: the history has no value for it.
#[test]
fn the_webhook_is_not_lost() {
    let deployments = json!([deployment(
        "Succeeded",
        "2026-11-20T09:00:00+00:00",
        &given()
    )]);
    let groups = |application: &str, receivers: Value| {
        let tags = json!({ "application": application });
        json!([{ "tags": tags, "webhookReceivers": receivers }, { "tags": null }])
    };
    let receiver = json!([{ "name": "operator" }]);
    let ours = groups("appcenter-dsr", receiver.clone());
    let (code, said) = kept(&deployments, &ours, &GIVEN, "");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.starts_with("alertWebhook was given before"), "{said}");
    let address = [("DSR_ALERT_WEBHOOK", "https://contoso.com/hook")];
    let (code, said) = kept(&deployments, &ours, &[&GIVEN[..], &address].concat(), "");
    assert_eq!(code, Some(0), "{said}");
    for others in [
        groups("appcenter-dsr", json!([])),
        groups("other", receiver),
    ] {
        let (code, said) = kept(&deployments, &others, &GIVEN, "");
        assert_eq!(code, Some(0), "{said}");
    }
}

#[test]
fn a_first_deployment_is_told_from_a_lost_history() {
    let (code, said) = kept(&json!([]), &json!([]), &[], "");
    assert_eq!(code, Some(0), "{said}");
    let groups = json!([{ "tags": { "application": "appcenter-dsr" }, "webhookReceivers": [] }]);
    let (code, said) = kept(&json!([]), &groups, &[], "");
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = kept(&json!([]), &groups, &[], "history");
    assert_eq!(code, Some(0), "{said}");
}
