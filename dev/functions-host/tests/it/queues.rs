//! Queue triggers: what is sent, retries, poison, leases, outputs.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{App, until};

#[tokio::test]
async fn a_message_reaches_the_handler_as_the_real_host_sends_it() {
    let app = App::new(&json!({})).queue_function("jobs");
    let host = app.start().await;
    let text = r#"{"request":"r1","Id":"mine"}"#;
    app.send("jobs", text).await;
    until("the message ran", async || host.succeeded() == 1).await;
    until("the message is gone", async || app.count("jobs").await == 0).await;
    let record = app.record();
    let entry = record
        .iter()
        .find(|entry| entry["uri"] == "/jobs")
        .expect("it was posted");
    assert_eq!(entry["method"], "POST");
    let headers: Vec<(String, String)> =
        serde_json::from_value(entry["headers"].clone()).expect("headers");
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "host",
        "x-azure-functions-hostversion",
        "x-azure-functions-invocationid",
        "user-agent",
        "transfer-encoding",
        "traceparent",
        "content-type",
    ];
    assert_eq!(names, expected);
    let header = |name: &str| {
        let found = headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
    };
    assert_eq!(header("content-type"), "application/json; charset=utf-8");
    assert_eq!(header("transfer-encoding"), "chunked");
    assert!(header("user-agent").starts_with("Azure-Functions-Host/4."));
    let body: Value = serde_json::from_str(entry["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(
        body["Data"]["msg"],
        json!(serde_json::to_string(text).expect("JSON"))
    );
    let metadata = &body["Metadata"];
    assert_eq!(metadata["DequeueCount"], "1");
    assert_eq!(metadata["ExpirationTime"], "9999-12-31T23:59:59+00:00");
    assert_eq!(metadata["Id"], "\"mine\"");
    assert_eq!(metadata["request"], "\"r1\"");
    assert!(metadata.get("QueueTrigger").is_none());
    assert_eq!(metadata["sys"]["MethodName"], "jobs");
    assert_eq!(metadata["InsertionTime"].as_str().map(str::len), Some(25));
    // What the log says, and what it must not say.
    let id = header("x-azure-functions-invocationid");
    let log = host.log();
    let begun = format!(
        "Executing 'Functions.jobs' (Reason='New queue message detected on 'jobs'.', Id={id})"
    );
    assert_eq!(log.count(&begun), 1);
    assert_eq!(
        log.count(&format!(
            "Executed 'Functions.jobs' (Succeeded, Id={id}, Duration="
        )),
        1
    );
    assert_eq!(log.count("a line of the handler"), 1);
    assert_eq!(log.count("r1"), 0);
    host.stop().await;
}

#[tokio::test]
async fn binary_messages_come_as_base64() {
    let app = App::new(&json!({})).function(
        "raw",
        &json!([{"name": "m", "type": "queueTrigger", "queueName": "raw", "dataType": "binary"}]),
    );
    let host = app.start().await;
    app.send("raw", r#"{"do":"ok"}"#).await;
    until("it ran", async || host.succeeded() == 1).await;
    let body = &app.bodies("raw")[0];
    assert_eq!(body["Data"]["m"], "eyJkbyI6Im9rIn0=");
    assert!(body["Metadata"].get("do").is_none());
}

#[tokio::test]
async fn a_failing_message_is_tried_five_times_and_then_poison() {
    let app = App::new(&json!({})).queue_function("jobs");
    let host = app.start().await;
    for command in ["fail", "text", "output:{"] {
        app.send("jobs", &json!({ "do": command }).to_string())
            .await;
    }
    until("all are poison", async || {
        app.peek("jobs-poison").await.len() == 3
    })
    .await;
    until("the queue is empty", async || app.count("jobs").await == 0).await;
    let counts: Vec<String> = app
        .bodies("jobs")
        .iter()
        .filter(|body| body["Metadata"]["do"] == "\"fail\"")
        .map(|body| body["Metadata"]["DequeueCount"].to_string())
        .collect();
    assert_eq!(counts, ["\"1\"", "\"2\"", "\"3\"", "\"4\"", "\"5\""]);
    assert_eq!((host.failed(), host.poisoned()), (15, 3));
    let log = host.log();
    assert_eq!(log.count("Moving message to queue 'jobs-poison'."), 3);
    assert!(log.count("does not indicate success: 500 (Internal Server Error).") >= 5);
    assert_eq!(log.count("lost"), 0);
}

#[tokio::test]
async fn what_is_not_base64_is_poison_at_once() {
    let app = App::new(&json!({})).queue_function("jobs");
    let host = app.start().await;
    app.send_raw("jobs", "{\"plain\": true}").await;
    until("it is poison", async || {
        app.peek("jobs-poison").await.len() == 1
    })
    .await;
    assert_eq!(app.peek("jobs-poison").await, ["{\"plain\": true}"]);
    assert_eq!(host.log().count("Message decoding has failed!"), 1);
    assert!(app.bodies("jobs").is_empty());
}

#[tokio::test]
async fn without_encoding_texts_are_taken_as_they_are() {
    let queues = json!({"extensions": {"queues": {"messageEncoding": "none"}}});
    let app = App::new(&queues).queue_function("jobs");
    let host = app.start().await;
    app.send_raw("jobs", "plain & <text>").await;
    until("it ran", async || host.succeeded() == 1).await;
    assert_eq!(app.bodies("jobs")[0]["Data"]["msg"], "\"plain & <text>\"");
}

#[tokio::test]
async fn failures_wait_for_the_visibility_timeout() {
    let queues =
        json!({"extensions": {"queues": {"visibilityTimeout": "00:00:02", "maxDequeueCount": 2}}});
    let app = App::new(&queues).queue_function("jobs");
    let host = app.start().await;
    app.send("jobs", r#"{"do":"fail"}"#).await;
    until("it failed once", async || host.failed() == 1).await;
    let first = Instant::now();
    until("it failed twice", async || host.failed() == 2).await;
    assert!(
        first.elapsed() > Duration::from_millis(900),
        "{:?}",
        first.elapsed()
    );
    until("it is poison", async || host.poisoned() == 1).await;
}

#[tokio::test]
async fn an_empty_answer_is_a_loud_failure() {
    let queues = json!({"extensions": {"queues": {"maxDequeueCount": 1}}});
    let app = App::new(&queues).queue_function("jobs");
    let host = app.start().await;
    for command in ["empty", "null"] {
        app.send("jobs", &json!({ "do": command }).to_string())
            .await;
    }
    until("both are poison", async || host.poisoned() == 2).await;
    assert_eq!(host.hung_invocations(), 2);
    assert_eq!(
        host.log()
            .count("the real host would hang until functionTimeout"),
        2
    );
}

#[tokio::test]
async fn outputs_are_sent_with_the_hosts_conversions() {
    let app = App::new(&json!({})).queue_function("jobs");
    let host = app.start().await;
    let output = r#"output:{"Outputs":{"out":["one",{"b":2}]}}"#;
    app.send("jobs", &json!({ "do": output }).to_string()).await;
    until("both are sent", async || {
        app.peek("jobs-out").await.len() == 2
    })
    .await;
    let mut sent = app.peek("jobs-out").await;
    sent.sort();
    assert_eq!(sent, ["b25l", "ewogICJiIjogMgp9"]);
    until("it succeeded", async || host.succeeded() == 1).await;
}

#[tokio::test]
async fn no_more_run_at_once_than_the_options_say() {
    let app = App::new(&json!({})).queue_function("jobs");
    for _ in 0..20 {
        app.send("jobs", r#"{"do":"sleep:300"}"#).await;
    }
    let host = app.start().await;
    until("all ran", async || host.succeeded() == 20).await;
    // Counted from the log: the lines tell how many were begun and not ended.
    let (mut running, mut most) = (0_i32, 0);
    for line in host.log().lines() {
        running += i32::from(line.contains("Executing 'Functions.jobs'"));
        running -= i32::from(line.contains("Executed 'Functions.jobs'"));
        most = most.max(running);
    }
    assert!((4..=6).contains(&most), "{most}");
}

#[tokio::test]
async fn a_lease_is_renewed_while_the_message_runs() {
    let mut app = App::new(&json!({})).queue_function("jobs");
    app.options.lease = Duration::from_secs(2);
    let host = app.start().await;
    app.send("jobs", r#"{"do":"sleep:5000"}"#).await;
    until("it ran", async || host.succeeded() == 1).await;
    until("it is gone", async || app.count("jobs").await == 0).await;
    assert_eq!(app.bodies("jobs").len(), 1);
}

#[tokio::test]
async fn a_message_of_a_host_that_died_comes_back_after_its_lease() {
    let mut app = App::new(&json!({})).queue_function("jobs");
    app.options.lease = Duration::from_secs(2);
    let host = app.start().await;
    app.send("jobs", r#"{"do":"sleep:1500"}"#).await;
    until("it runs", async || app.bodies("jobs").len() == 1).await;
    let died = Instant::now();
    drop(host);
    let host = app.start().await;
    until("it ran again", async || host.succeeded() == 1).await;
    assert!(died.elapsed() > Duration::from_millis(1500));
    assert_eq!(app.bodies("jobs")[1]["Metadata"]["DequeueCount"], "2");
}

#[tokio::test]
async fn a_poison_queue_has_no_poison_queue() {
    let mut app = App::new(&json!({})).queue_function("jobs-poison");
    app.options.lease = Duration::from_secs(1);
    let host = app.start().await;
    app.send("jobs-poison", r#"{"do":"fail"}"#).await;
    until("it comes back for ever", async || host.failed() >= 6).await;
    assert_eq!(host.poisoned(), 0);
}
