//! The handler's process: its environment, its ends, and what the host does then.

use std::time::Duration;

use functions_host::{Ended, Host};
use serde_json::json;

use crate::harness::{App, until};

#[tokio::test]
async fn the_handler_gets_its_environment() {
    let arguments =
        json!({"customHandler": {"description": {"arguments": ["serve", "--x=%SETTING%", "a b"]}}});
    let app = App::new(&arguments)
        .queue_function("jobs")
        .setting("SETTING", "s1");
    let host = app.start().await;
    host.wait_ready().await.expect("it comes up");
    let start = &app.record()[0];
    assert_eq!(start["arguments"], json!(["serve", "--x=s1", "a", "b"]));
    assert_eq!(start["setting"], "s1");
    assert_eq!(start["port"], start["old_port"]);
    assert_eq!(start["folder"], start["root"]);
    assert_eq!(start["worker"].as_str().map(str::len), Some(36));
    assert_eq!(start["started"], json!(host.handler_pid()));
    // The ping carries none of the host's headers.
    let ping = app
        .record()
        .into_iter()
        .find(|entry| entry["uri"] == "/")
        .expect("a ping");
    assert_eq!(ping["method"], "GET");
    assert!(!ping["headers"].to_string().contains("azure"));
    assert!(!ping["headers"].to_string().contains("accept"));
    assert_eq!(host.stop().await, Ended::Stopped);
}

#[tokio::test]
async fn a_killed_handler_is_started_again_and_its_message_tried_again() {
    let app = App::new(&json!({})).queue_function("jobs");
    let host = app.start().await;
    app.send("jobs", r#"{"do":"sleep:1000"}"#).await;
    until("it runs", async || app.bodies("jobs").len() == 1).await;
    let killed = host.kill_handler().await;
    assert!(killed.is_some());
    until("it ran again", async || host.succeeded() == 1).await;
    assert_eq!(app.bodies("jobs")[1]["Metadata"]["DequeueCount"], "2");
    assert_eq!((host.restarts(), host.host_restarts()), (1, 0));
    assert_ne!(host.handler_pid(), killed);
    assert_eq!(host.log().count("exited with code 137 (0x89)"), 1);
}

#[tokio::test]
async fn the_third_failure_ends_the_host() {
    let app = App::new(&json!({}))
        .queue_function("jobs")
        .setting("START", "exit:3");
    let host = app.start().await;
    assert_eq!(host.wait_ended().await, Ended::GaveUp);
    assert_eq!(app.starts(), 3);
    assert_eq!(host.log().count("exited with code 3 (0x3)"), 3);
    assert_eq!(
        host.log().count("Exceeded http worker restart retry count"),
        1
    );
    assert_eq!(host.handler_pid(), None);
    assert!(host.wait_ready().await.is_err());
}

#[tokio::test]
async fn a_supervisor_starts_the_host_again() {
    let mut app = App::new(&json!({})).queue_function("jobs");
    app.options.supervise = true;
    let host = app.start().await;
    for _ in 0..4 {
        host.wait_ready().await.expect("it comes up");
        let before = host.handler_pid();
        host.kill_handler().await;
        until("another one runs", async || {
            host.handler_pid().is_some_and(|pid| Some(pid) != before)
        })
        .await;
    }
    assert_eq!(host.host_restarts(), 1);
    app.send("jobs", "{}").await;
    until("it works", async || host.succeeded() == 1).await;
    assert_eq!(host.stop().await, Ended::Stopped);
}

#[tokio::test]
async fn code_200_is_a_wanted_restart() {
    let app = App::new(&json!({})).queue_function("jobs");
    let host = app.start().await;
    for n in 1..=4 {
        app.send("jobs", r#"{"do":"exit:200"}"#).await;
        until("it restarted", async || app.starts() > n).await;
        // The message that made it exit would do so again.
        app.account
            .queue("jobs")
            .expect("a client")
            .clear(None)
            .await
            .expect("cleared");
    }
    assert_eq!(host.log().count("Exceeded"), 0);
    assert_eq!(host.host_restarts(), 0);
}

#[tokio::test]
async fn code_0_is_not_noticed() {
    let app = App::new(&json!({}))
        .queue_function("jobs")
        .setting("START", "once-exit:0");
    let host = app.start().await;
    until("it ended", async || {
        host.handler_pid().is_none() && app.starts() == 1
    })
    .await;
    app.send("jobs", "{}").await;
    until("calls fail", async || host.poisoned() == 1).await;
    assert_eq!(app.starts(), 1);
    assert!(host.log().count("Connection refused") >= 5);
}

#[tokio::test]
async fn early_messages_wait_for_a_slow_handler() {
    let app = App::new(&json!({}))
        .queue_function("jobs")
        .setting("START", "slow:700");
    app.send("jobs", "{}").await;
    let host = app.start().await;
    until("it ran", async || host.succeeded() == 1).await;
    assert_eq!(host.failed(), 0);
    assert_eq!(
        host.log().count("Worker process started and initialized."),
        1
    );
}

#[tokio::test]
async fn a_handler_that_does_not_answer_in_time_counts_as_failed() {
    let timeout = json!({"customHandler": {"initializationTimeout": "00:00:00.3"}});
    let app = App::new(&timeout)
        .queue_function("jobs")
        .setting("START", "slow:60000");
    let host = app.start().await;
    assert_eq!(host.wait_ended().await, Ended::GaveUp);
    assert_eq!(app.starts(), 3);
    assert_eq!(
        host.log()
            .count("did not answer within initializationTimeout"),
        3
    );
}

#[tokio::test]
async fn a_timeout_kills_everything_in_the_handler_and_is_not_counted() {
    let changes =
        json!({"functionTimeout": "00:00:01", "extensions": {"queues": {"maxDequeueCount": 1}}});
    let app = App::new(&changes).queue_function("jobs");
    let host = app.start().await;
    host.wait_ready().await.expect("it comes up");
    for round in 1..=3 {
        app.send("jobs", r#"{"do":"hang"}"#).await;
        until("it was killed", async || app.starts() == round + 1).await;
        host.wait_ready().await.expect("it comes up again");
    }
    until("all are poison", async || host.poisoned() == 3).await;
    assert_eq!(
        host.log()
            .count("Timeout value of 00:00:01 exceeded by function 'Functions.jobs'"),
        3
    );
    app.send("jobs", "{}").await;
    until("it works", async || host.succeeded() == 1).await;
}

#[tokio::test]
async fn a_crash_fails_what_runs_beside_it() {
    let app = App::new(&json!({})).queue_function("jobs");
    let host = app.start().await;
    app.send("jobs", r#"{"do":"sleep:2500"}"#).await;
    until("it runs", async || app.bodies("jobs").len() == 1).await;
    app.send("jobs", r#"{"do":"die"}"#).await;
    until("both failed", async || host.failed() >= 2).await;
    // SIGABRT.
    until("it is said", async || {
        host.log().count("exited with code 134 (0x86)") >= 1
    })
    .await;
}

#[tokio::test]
async fn a_stopped_host_leaves_no_handler() {
    let app = App::new(&json!({})).queue_function("jobs");
    let host = app.start().await;
    host.wait_ready().await.expect("it comes up");
    let pid = host.handler_pid().expect("a process");
    host.stop().await;
    until("it is gone", async || !is_running(pid)).await;
    let host = app.start().await;
    host.wait_ready().await.expect("it comes up");
    let pid = host.handler_pid().expect("a process");
    drop(host);
    until("it is gone", async || !is_running(pid)).await;
}

fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A process that has ended and is not yet collected is a zombie.
    !stat.is_empty() && !stat.contains(") Z ")
}

#[tokio::test]
async fn a_running_handler_can_be_used() {
    let other = App::new(&json!({})).queue_function("jobs");
    let owner = other.start().await;
    owner.wait_ready().await.expect("it comes up");
    let port = other.record()[0]["port"]
        .as_str()
        .and_then(|port| port.parse().ok());
    let mut app = App::new(&json!({})).queue_function("jobs");
    app.options.running_handler = port;
    let host = app.start().await;
    app.send("jobs", "{}").await;
    until("it ran", async || host.succeeded() == 1).await;
    assert_eq!(app.starts(), 0);
    assert_eq!(other.bodies("jobs").len(), 1);
    tokio::time::timeout(Duration::from_secs(5), host.stop())
        .await
        .expect("it stops");
}

#[tokio::test]
async fn folders_that_the_real_host_refuses_are_refused() {
    async fn check(app: App, said: &str) {
        let error = Host::start(app.options.clone()).await.expect_err(said);
        let chain = format!("{error:#}");
        assert!(chain.contains(said), "{chain}");
        assert!(!chain.contains("AccountKey"), "{chain}");
    }
    check(App::new(&json!({"version": "1.0"})), "'version' must be").await;
    check(
        App::new(&json!({"customHandler": null})),
        "no customHandler",
    )
    .await;
    check(
        App::new(&json!({"customHandler": {"description": null}})),
        "Missing worker Description",
    )
    .await;
    check(
        App::new(&json!({"extensionBundle": null})).queue_function("jobs"),
        "extensionBundle",
    )
    .await;
    let mut app = App::new(&json!({})).queue_function("jobs");
    app.options.env.clear();
    check(app, "does not exist").await;
    let app = App::new(&json!({}))
        .queue_function("jobs")
        .setting("AzureWebJobsStorage", "Account=x;y");
    check(app, "is not valid").await;
}
