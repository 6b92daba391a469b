//! The program `functions-host`.

use serde_json::json;
use tokio::process::Command;

use crate::harness::{App, until};

#[tokio::test]
async fn the_program_reads_local_settings_and_ends_when_told() {
    let app = App::new(&json!({})).queue_function("jobs");
    let values: serde_json::Map<String, serde_json::Value> = app
        .options
        .env
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let folder = app.folder.path();
    let settings = json!({"IsEncrypted": false, "Values": values}).to_string();
    std::fs::write(folder.join("local.settings.json"), settings).expect("settings");
    let (log, keys) = (folder.join("log"), folder.join("keys"));
    let mut program = Command::new(env!("CARGO_BIN_EXE_functions-host"))
        .args([
            "--port",
            "0",
            "--lease",
            "5s",
            "--supervise",
            "--enable-auth",
        ])
        .arg("--app-root")
        .arg(folder)
        .arg("--log-file")
        .arg(&log)
        .arg("--keys-file")
        .arg(&keys)
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let says = |text: &str| std::fs::read_to_string(&log).is_ok_and(|log| log.contains(text));
    app.send("jobs", "{}").await;
    until("the message ran", async || {
        says("Executed 'Functions.jobs' (Succeeded")
    })
    .await;
    assert!(says("Now listening on: http://127.0.0.1:"));
    let keys = std::fs::read_to_string(keys).expect("keys");
    let keys: serde_json::Value = serde_json::from_str(&keys).expect("JSON");
    assert_eq!(keys["functions"]["jobs"].as_str().map(str::len), Some(64));
    let pid = program.id().expect("it runs").to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().await;
    assert!(told.expect("kill runs").success());
    let ended = program.wait().await.expect("it ends");
    assert!(ended.success());
    assert!(says("Job host stopped"));
}
