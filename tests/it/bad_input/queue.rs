//! Messages of other systems, and messages that are none of ours.

use std::collections::BTreeMap;

use appcenter_sim::World;
use azure_storage_queue::models::QueueMessage;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use stack::{Settings, Stack};

use super::until;
use crate::api::{SMALL, call, document, get};
use crate::harness::{settings, start};

/// Stands in every message that is refused: nothing may repeat it.
const CANARY: &str = "zq7canary";

async fn send(stack: &Stack, queue: &str, text: String) -> anyhow::Result<()> {
    let queue = stack.account.queue(queue)?;
    if !queue.exists().await? {
        queue.create(None).await?;
    }
    let message = QueueMessage {
        message_text: Some(text),
    };
    queue.send_message(message.try_into()?, None).await?;
    Ok(())
}

async fn refused(stack: &Stack) -> anyhow::Result<Vec<Value>> {
    let listed = get(&stack.api, "/api/requests?status=refused").await?;
    assert_eq!(listed.status, 200, "{}", listed.text);
    assert!(!listed.text.contains(CANARY), "{}", listed.text);
    assert!(!listed.text.contains("20417"), "{}", listed.text);
    Ok(listed.body["values"]
        .as_array()
        .cloned()
        .unwrap_or_default())
}

fn pointers(refused: &Value) -> Vec<&str> {
    let faults = refused["faults"].as_array();
    let pointers = faults.into_iter().flatten();
    pointers.filter_map(|it| it["pointer"].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_taken_or_refused_by_name() -> anyhow::Result<()> {
    let settings = Settings {
        is_exported: false,
        ..settings()
    };
    let stack = start(World::parse(SMALL)?, settings).await?;
    let base64 = |text: &str| STANDARD.encode(text);

    // Taken: the same document twice is one request; one that is known over HTTP as well.
    let known = document("export", "QUEUE-HTTP")?;
    let by_http = stack.api.submit(&known).await?;
    let taken = document("export", "QUEUE-1")?;
    for document in [&taken, &taken, &known] {
        send(&stack, "intake-queue", base64(&document.to_string())).await?;
    }
    // Refused: reference and faults, no values.
    let mut faulty = document("export", "QUEUE-2")?;
    faulty["kind"] = json!(CANARY);
    faulty["apps"] = json!([]);
    let mut weak = document("export", "QUEUE-3")?;
    weak["subject"] = json!({ "emails": [CANARY] });
    let mut telling = document("export", "QUEUE-u-20417")?;
    telling["note"] = json!(CANARY);
    let mut other = known.clone();
    other["subject"]["emails"] = json!(["zq7canary@example.com"]);
    for text in [
        faulty.to_string(),
        weak.to_string(),
        telling.to_string(),
        other.to_string(),
        format!("{{\"kind\":\"{CANARY}"),
        "[".repeat(20_000),
        String::new(),
    ] {
        send(&stack, "intake-queue", base64(&text)).await?;
    }
    until("seven are refused", || async {
        Ok(refused(&stack).await?.len() == 7)
    })
    .await?;
    let mut by_reference: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for it in refused(&stack).await? {
        let reference = it["reference"].as_str().unwrap_or("-").to_owned();
        let pointers = pointers(&it).into_iter().map(str::to_owned).collect();
        by_reference.entry(reference).or_default().push(pointers);
        assert!(it["at"].is_string() && it["id"].is_string(), "{it}");
    }
    assert_eq!(by_reference["QUEUE-2"], [["/kind", "/apps"]]);
    assert_eq!(by_reference["QUEUE-HTTP"], [["/reference"]]);
    assert_eq!(by_reference.len(), 3, "{by_reference:?}");
    let mut nameless = by_reference["-"].clone();
    nameless.sort();
    assert_eq!(
        nameless,
        [
            vec![""],
            vec![""],
            vec![""],
            vec!["/note", "/reference"],
            vec!["/subject/emails/0"],
        ]
    );
    let listed = get(&stack.api, "/api/requests").await?;
    let filed: BTreeMap<&str, &str> = listed.body["values"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|it| Some((it["reference"].as_str()?, it["id"].as_str()?)))
        .collect();
    assert_eq!(filed.len(), 2, "{filed:?}");
    assert_eq!(filed["QUEUE-HTTP"], by_http);
    until("what was taken has started", || async {
        Ok(stack.api.status(filed["QUEUE-1"]).await?["step"].is_string())
    })
    .await?;

    poison(&stack).await?;
    let log = stack.host().log().lines().join("\n");
    assert!(!log.contains(CANARY), "{log}");
    Ok(())
}

/// What the host cannot even give us comes by the poison queues, which `sweep` empties.
async fn poison(stack: &Stack) -> anyhow::Result<()> {
    send(stack, "intake-queue", format!("{CANARY} is not base64!")).await?;
    let late = document("export", "QUEUE-POISON")?;
    send(
        stack,
        "intake-queue-poison",
        STANDARD.encode(late.to_string()),
    )
    .await?;
    for queue in ["block-poison", "aggregate-poison"] {
        send(
            stack,
            queue,
            STANDARD.encode(format!("{{\"a\":\"{CANARY}\"}}")),
        )
        .await?;
    }
    let void = json!({ "v": 1, "request": "0".repeat(32), "run": 1, "step": "block" });
    send(stack, "block-poison", STANDARD.encode(void.to_string())).await?;
    until("the host moves what is not base64", || async {
        let queued = stack.queued().await?;
        let count = |name| {
            queued
                .iter()
                .find(|(queue, _)| queue == name)
                .map(|it| it.1)
        };
        Ok(count("intake-queue-poison") == Some(2) && count("intake-queue").is_none())
    })
    .await?;
    let before = refused(stack).await?.len();
    let swept = call(&stack.api, Method::POST, "/admin/functions/sweep", None).await?;
    assert_eq!(swept.status, 202);
    until("the poison queues are empty", || async {
        let queued = stack.queued().await?;
        Ok(queued.iter().all(|(queue, _)| !queue.ends_with("-poison")))
    })
    .await?;
    until("three more are refused", || async {
        Ok(refused(stack).await?.len() == before + 3)
    })
    .await?;
    let told: Vec<String> = refused(stack)
        .await?
        .iter()
        .filter_map(|it| it["faults"][0]["detail"].as_str().map(str::to_owned))
        .collect();
    for (queue, reason) in [
        ("intake-queue", "base64"),
        ("block", "message"),
        ("aggregate", "message"),
    ] {
        let is_told = |it: &String| it.contains(&format!("queue {queue}:")) && it.contains(reason);
        assert!(told.iter().any(is_told), "{queue}: {told:?}");
    }
    until("the document among them is filed", || async {
        let listed = get(&stack.api, "/api/requests").await?;
        Ok(listed.text.contains("QUEUE-POISON"))
    })
    .await
}
