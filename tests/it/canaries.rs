//! Words that stand for the person in every identifier and record: they appear where they belong and nowhere else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use appcenter_dsr::app::App;
use appcenter_dsr::clock::SystemClock;
use appcenter_dsr::config::Config;
use appcenter_sim::{Fault, FaultKind, World};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use stack::Stack;

use crate::harness::{LIMIT, settings, start};

const CANARIES: &str = include_str!("../scenarios/canaries.toml");
/// What the request names.
const IDENTIFIERS: [&str; 3] = [
    "canary-user-4f7d1",
    "canary.mail.8812@example.com",
    "Canaria Zwölfender",
];
/// An install ID may stand in a plan and in a full report.
const INSTALL: &str = "7c0ffee1-5eed-4bad-9f00-d15ea5e0c0de";
/// What only her records hold.
const CONTENTS: [&str; 4] = [
    "canaryproperty5521",
    "canarymessage9917",
    "canaryfile3377",
    "canaryattachment6641",
];

/// A word in the forms in which it could be written down somewhere.
fn forms(word: &str) -> BTreeSet<String> {
    let percent = |text: &str| {
        percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    let mut forms = BTreeSet::from([
        word.to_owned(),
        word.to_lowercase(),
        word.to_uppercase(),
        word.replace('-', ""),
        percent(word),
        percent(word).to_lowercase(),
        serde_json::to_string(word)
            .unwrap_or_default()
            .replace('"', ""),
    ]);
    // Base64 of a text that holds the word, at each of the three places where it can begin.
    for before in 0..3 {
        let text = format!("{}{word}", "x".repeat(before));
        let encoded = STANDARD.encode(&text);
        let first = (before * 8).div_ceil(6);
        let last = text.len() * 8 / 6;
        forms.insert(encoded[first..last].to_owned());
    }
    forms
}

/// Which of the words a text holds, in any form.
fn leaks<'a>(text: &str, words: &[&'a str]) -> Vec<&'a str> {
    let holds = |word: &&str| forms(word).iter().any(|form| text.contains(form.as_str()));
    words.iter().filter(|word| holds(word)).copied().collect()
}

#[test]
fn every_form_is_found() {
    for text in [
        "see canary-user-4f7d1!",
        "CANARY-USER-4F7D1",
        "canary%2Duser%2D4f7d1",
        &STANDARD.encode("{\"user\":\"canary-user-4f7d1\"}"),
        &STANDARD.encode("{\"users\":\"canary-user-4f7d1\"}"),
        &STANDARD.encode("{\"a user\":\"canary-user-4f7d1\"}"),
    ] {
        assert_eq!(leaks(text, &IDENTIFIERS), ["canary-user-4f7d1"], "{text}");
    }
    assert_eq!(leaks("canary", &IDENTIFIERS), [""; 0]);
}

fn everything() -> Vec<&'static str> {
    let mut words = IDENTIFIERS.to_vec();
    words.push(INSTALL);
    words.extend(CONTENTS);
    words
}

/// What the names of blobs are noted under.
const NAMES: &str = "the names of blobs";

/// Messages that were seen in the product's queues, as they lie there, and names of its blobs.
type Seen = Arc<Mutex<BTreeSet<(String, String)>>>;

/// Looks into every queue and at every blob's name until it is stopped.
fn watch(stack: &Stack) -> anyhow::Result<(Seen, tokio::task::AbortHandle)> {
    let seen = Seen::default();
    let mut queues = Vec::new();
    for function in stack.host().functions() {
        for name in [function.to_owned(), format!("{function}-poison")] {
            queues.push((name.clone(), stack.account.queue(&name)?));
        }
    }
    let noted = Arc::clone(&seen);
    let app = product(stack)?;
    let task = tokio::spawn(async move {
        loop {
            // Names of what is there only while a request runs, too.
            let mut listing = app.store.container().list("");
            while let Ok(Some(page)) = listing.next_page().await {
                let mut noted = noted.lock().expect("no panic");
                noted.extend(page.into_iter().map(|it| (NAMES.to_owned(), it.name)));
            }
            for (name, queue) in &queues {
                let options = azure_storage_queue::models::QueueClientPeekMessagesOptions {
                    number_of_messages: Some(32),
                    ..Default::default()
                };
                let Ok(peeked) = queue.peek_messages(Some(options)).await else {
                    continue;
                };
                let items = peeked.into_model().ok().and_then(|it| it.items);
                let mut noted = noted.lock().expect("no panic");
                for item in items.unwrap_or_default() {
                    noted.insert((name.clone(), item.message_text.unwrap_or_default()));
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    Ok((seen, task.abort_handle()))
}

/// What the product sees of its storage.
fn product(stack: &Stack) -> anyhow::Result<App> {
    let connection = stack.account.connection_string();
    let lookup = |name: &str| (name == "AzureWebJobsStorage").then(|| connection.clone());
    let config = Config::from_lookup(&lookup)?;
    Ok(App::new(config, Arc::new(SystemClock))?)
}

/// Names and contents of the product's own blobs.
async fn blobs(stack: &Stack) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let app = product(stack)?;
    let container = app.store.container();
    let mut blobs = Vec::new();
    let mut listing = container.list("");
    while let Some(page) = listing.next_page().await? {
        for entry in page {
            if let Some(stored) = container.read(&entry.name, 1 << 26).await? {
                blobs.push((entry.name, stored.bytes.to_vec()));
            }
        }
    }
    Ok(blobs)
}

/// Everything the HTTP API says of a request, but plan, full report and package, which are about the person.
async fn answers(stack: &Stack, id: &str) -> anyhow::Result<Vec<(String, String)>> {
    let mut answers = Vec::new();
    for path in [
        format!("/api/requests/{id}"),
        "/api/requests".to_owned(),
        "/api/requests?status=refused".to_owned(),
    ] {
        let reply = stack.api.send(Method::GET, &path, None).await?;
        answers.push((path, reply.text().await?));
    }
    Ok(answers)
}

/// Blobs of the archive that hold her data and cannot be read: half a log, and what is gzip by its first bytes only.
async fn spoil_archive(stack: &Stack) -> anyhow::Result<Vec<String>> {
    let archive = stack.account.container("archive")?;
    let day = stack.sim.clock().now().strftime("%Y/%m/%d").to_string();
    let text = format!("{{\"userId\":\"{}\",\"Properties\":", IDENTIFIERS[0]);
    let mut no_gzip = vec![0x1f, 0x8b, 8, 0];
    no_gzip.extend_from_slice(text.as_bytes());
    let mut names = Vec::new();
    for (name, content) in [
        ("logs.v1.data", text.into_bytes()),
        ("crashes/00000000-0000-4000-8000-000000000001", no_gzip),
    ] {
        let name = format!("{day}/00/01/{name}");
        let content = bytes::Bytes::from(content);
        archive
            .blob_client(&name)
            .upload(content.into(), None)
            .await?;
        names.push(name);
    }
    Ok(names)
}

/// Answers that send us to addresses with her data, or are cut off.
fn spoil_answers(stack: &Stack, operations: &[&str]) {
    let address = format!(
        "https://example.com/{}/{INSTALL}?of={}&at={}",
        CONTENTS[2], IDENTIFIERS[0], IDENTIFIERS[1]
    );
    for operation in operations {
        let kind = match *operation {
            "Errors_ErrorLocation" => FaultKind::Location {
                uri: address.clone(),
            },
            "Errors_ErrorAttachmentLocation" => FaultKind::Location {
                uri: format!("{} {}", IDENTIFIERS[2], CONTENTS[1]),
            },
            "Errors_DeleteError" => FaultKind::TruncatedBody,
            "Errors_ErrorStackTrace" => FaultKind::TruncatedPage,
            _ => FaultKind::Redirect {
                to: address.clone(),
            },
        };
        stack.sim.faults().add(Fault::once(operation, kind));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_person_is_where_it_does_not_belong() -> anyhow::Result<()> {
    let world = World::parse(CANARIES)?;
    let delete = world
        .request("delete")
        .expect("it is there")
        .document
        .clone();
    let export = world
        .request("export")
        .expect("it is there")
        .document
        .clone();
    let loud = settings().with("DSR_LOG", "debug,appcenter_dsr=trace");
    let stack = start(world, loud).await?;
    let spoilt = spoil_archive(&stack).await?;
    let of_an_export = [
        "apps_get",
        "Errors_ErrorLocation",
        "Errors_ErrorAttachmentLocation",
        "Errors_ErrorDownload",
        "Errors_ErrorStackTrace",
    ];
    spoil_answers(&stack, &of_an_export);
    let (seen, watching) = watch(&stack)?;
    let mut texts: Vec<(String, String)> = Vec::new();
    // Refused by HTTP: nothing of it comes back.
    let mut bad = delete.clone();
    bad["reference"] = json!(IDENTIFIERS[0]);
    bad["subject"]["emails"] = json!([IDENTIFIERS[1], format!("{} {}", IDENTIFIERS[2], INSTALL)]);
    bad["subject"]["user_ids"] = json!([IDENTIFIERS[0], "None"]);
    let (status, problem) = stack
        .api
        .json(Method::POST, "/api/requests", Some(&bad))
        .await?;
    assert_eq!(status, 400, "{problem}");
    texts.push(("a refusal".to_owned(), problem.to_string()));
    // Refused from the queue, and accepted from it.
    let intake = stack.account.queue("intake-queue")?;
    drop(intake.create(None).await);
    for document in [&bad, &export] {
        let message = azure_storage_queue::models::QueueMessage {
            message_text: Some(STANDARD.encode(document.to_string())),
        };
        intake.send_message(message.try_into()?, None).await?;
    }
    let exported = wait_listed(&stack, "CANARY-2").await?;
    stack.api.wait_ended(&exported, LIMIT).await?;
    texts.extend(answers(&stack, &exported).await?);
    // What cannot be read keeps an erasure from being complete, and her identifiers in its record.
    for name in spoilt {
        let archive = stack.account.container("archive")?;
        archive.blob_client(&name).delete(None).await?;
    }
    let of_an_erasure = ["apps_get", "Devices_BlockLogs", "Errors_DeleteError"];
    spoil_answers(&stack, &of_an_erasure);
    // By HTTP, decided, and again with other content.
    let id = stack.api.submit(&delete).await?;
    stack.api.wait_planned(&id, LIMIT).await?;
    texts.extend(answers(&stack, &id).await?);
    stack.api.approve(&id, &[]).await?;
    let mut other = delete.clone();
    other["subject"]["user_ids"] = json!([IDENTIFIERS[0], "canary-user-4f7d2"]);
    let (status, problem) = stack
        .api
        .json(Method::POST, "/api/requests", Some(&other))
        .await?;
    assert_eq!(status, 409, "{problem}");
    texts.push(("a conflict".to_owned(), problem.to_string()));
    stack.api.wait_ended(&id, LIMIT).await?;
    texts.extend(answers(&stack, &id).await?);
    watching.abort();

    let all = everything();
    let mut leaked = Vec::new();
    for (what, text) in &texts {
        leaked.extend(leaks(text, &all).iter().map(|it| format!("{it} in {what}")));
    }
    // The log is as loud as it gets: an empty one would prove nothing.
    let log = stack.host().log();
    assert!(
        log.count("TRACE") + log.count("DEBUG") > 20,
        "the log is quiet"
    );
    for line in log.lines() {
        leaked.extend(
            leaks(&line, &all)
                .iter()
                .map(|it| format!("{it} in the log: {line}")),
        );
    }
    let seen = seen.lock().expect("no panic").clone();
    let of_names = |of: &str| {
        seen.iter()
            .any(|(what, it)| what == NAMES && it.starts_with(of))
    };
    assert!(of_names("work/") && of_names("open/"), "no names were seen");
    assert!(
        seen.iter()
            .any(|(queue, _)| queue != "intake-queue" && queue != NAMES),
        "nothing was watched"
    );
    for (queue, text) in seen.iter().filter(|(queue, _)| queue != "intake-queue") {
        leaked.extend(
            leaks(text, &all)
                .iter()
                .map(|it| format!("{it} in {queue}: {text}")),
        );
    }
    check_blobs(&blobs(&stack).await?, &exported, &id, &mut leaked);
    assert!(leaked.is_empty(), "{leaked:#?}");
    Ok(())
}

/// What may be in which blob, once the export has ended and the erasure is complete.
fn check_blobs(
    blobs: &[(String, Vec<u8>)],
    exported: &str,
    erased: &str,
    leaked: &mut Vec<String>,
) {
    assert!(blobs.len() > 5, "the blobs are listed");
    let all = everything();
    for (name, bytes) in blobs {
        leaked.extend(
            leaks(name, &all)
                .iter()
                .map(|it| format!("{it} in the name {name}")),
        );
        if name.starts_with("work/") || name.starts_with("open/") {
            leaked.push(format!("{name} is left"));
        }
        // The content of an export: what it is for.
        let is_hers = name.starts_with("packages/") || name.starts_with("collected/");
        // An export's record keeps what can be exported again, until retention.
        let is_open = name.contains(exported) && name.starts_with("records/");
        if is_hers || is_open {
            continue;
        }
        let text = String::from_utf8_lossy(bytes);
        let words: Vec<&str> = match name.split('/').next().unwrap_or_default() {
            // Plan and full report name install IDs and report IDs.
            "plans" | "reports" => all.iter().copied().filter(|it| *it != INSTALL).collect(),
            _ => all.clone(),
        };
        leaked.extend(
            leaks(&text, &words)
                .iter()
                .map(|it| format!("{it} in {name}")),
        );
    }
    let names_of = |id: &str| blobs.iter().filter(|(name, _)| name.contains(id)).count();
    assert!(names_of(exported) > 0 && names_of(erased) > 0);
}

/// The ID of a request that came from the queue, once it is listed.
async fn wait_listed(stack: &Stack, reference: &str) -> anyhow::Result<String> {
    let end = tokio::time::Instant::now() + LIMIT;
    loop {
        let (_, listed) = stack.api.json(Method::GET, "/api/requests", None).await?;
        let items = listed["values"].as_array().cloned().unwrap_or_default();
        let found = items.iter().find(|it| it["reference"] == reference);
        if let Some(id) = found.and_then(|it: &Value| it["id"].as_str()) {
            return Ok(id.to_owned());
        }
        anyhow::ensure!(tokio::time::Instant::now() < end, "not listed: {listed:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
