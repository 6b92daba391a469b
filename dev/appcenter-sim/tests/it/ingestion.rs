//! Ingestion, and what a block does to it.

use serde_json::{Value, json};

use crate::client::Client;

fn logs(client: &Client, n: usize) -> Value {
    let at = client.sim.clock().now().to_string();
    let device = json!({ "model": "Pixel 7", "osName": "Android", "osVersion": "14", "appVersion": "4.2.0", "locale": "de_DE" });
    let errors: Vec<Value> = (0..n)
        .map(|_| {
            json!({
                "type": "managedError",
                "id": uuid::Uuid::new_v4(),
                "timestamp": at,
                "userId": "u-new",
                "device": device,
                "exception": {
                    "type": "java.lang.Error",
                    "message": "new",
                    "frames": [{ "className": "com.contoso.A", "methodName": "b", "fileName": "A.kt", "lineNumber": 3 }],
                },
            })
        })
        .collect();
    json!(errors)
}

#[tokio::test]
async fn a_blocked_install_is_told_success_and_nothing_is_kept() -> anyhow::Result<()> {
    let client = Client::demo().await?;
    let app = client.get("").await?.json();
    let secret = app["app_secret"].as_str().unwrap_or("").to_owned();
    let install = uuid::Uuid::new_v4().to_string();
    let sent = logs(&client, 2);
    let answer = client.send_logs(&secret, &install, &sent).await?.json();
    assert_eq!(answer["status"], "Success");
    assert_eq!(
        answer["validDiagnosticsIds"].as_array().map(Vec::len),
        Some(2)
    );
    let found = client.get("/errors/search?q=u-new").await?.json();
    assert_eq!(found["errors"].as_array().map(Vec::len), Some(2));
    client
        .call("PUT", &format!("/devices/block_logs/{install}"), "{}")
        .await?;
    let answer = client
        .send_logs(&secret, &install, &logs(&client, 3))
        .await?
        .json();
    assert_eq!(answer["status"], "Success");
    let found = client.get("/errors/search?q=u-new").await?.json();
    assert_eq!(
        found["errors"].as_array().map(Vec::len),
        Some(2),
        "what was there before stays"
    );
    let other = uuid::Uuid::new_v4().to_string();
    client.send_logs(&secret, &other, &logs(&client, 1)).await?;
    let audit = client.sim.audit();
    assert_eq!((audit.logs_accepted, audit.logs_dropped), (3, 3));
    Ok(())
}

#[tokio::test]
async fn an_app_may_send_sixty_crashes_and_sixty_errors_a_minute() -> anyhow::Result<()> {
    let client = Client::demo().await?;
    // A fixed second, so that no minute ends in between.
    let now = client.sim.clock().now();
    let start_of_minute = now.as_second().div_euclid(60) * 60 + 60;
    client
        .sim
        .clock()
        .set(jiff::Timestamp::from_second(start_of_minute)?);
    let app = client.get("").await?.json();
    let secret = app["app_secret"].as_str().unwrap_or("").to_owned();
    // The limit is the app's: whoever sends what is over it is turned away.
    let (first, second) = (uuid::Uuid::new_v4(), uuid::Uuid::new_v4());
    for (install, kind, n, valid) in [
        (first, "managedError", 50, 50),
        (second, "managedError", 20, 10),
        (second, "handledError", 70, 60),
        (first, "handledError", 1, 0),
    ] {
        let mut sent = logs(&client, n);
        for log in sent.as_array_mut().into_iter().flatten() {
            log["type"] = kind.into();
        }
        let install = install.to_string();
        let answer = client.send_logs(&secret, &install, &sent).await?.json();
        let count = |ids: &str| answer[ids].as_array().map(Vec::len);
        assert_eq!(count("validDiagnosticsIds"), Some(valid), "{n} {kind}");
        assert_eq!(count("throttledDiagnosticsIds"), Some(n - valid));
    }
    assert_eq!(
        client
            .send_logs("nonsense", &first.to_string(), &json!([]))
            .await?
            .status,
        400
    );
    Ok(())
}
