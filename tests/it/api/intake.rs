//! `POST /api/requests`: what is taken, what is known again, what is refused and how.

use appcenter_sim::World;
use reqwest::Method;
use serde_json::{Value, json};
use stack::{Api, Settings};

use super::{SMALL, call, document, get, post};
use crate::harness::{settings, start};

/// Stands in every faulty value: no answer may repeat it.
const CANARY: &str = "zq7canary";

fn without_archive() -> Settings {
    Settings {
        is_exported: false,
        ..settings()
    }
}

/// A whole document with one part replaced.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = json!({
        "kind": "export",
        "reference": "FAULTY-1",
        "jurisdiction": "eu",
        "apps": [{ "owner": "contoso", "name": "shop" }],
        "subject": { "user_ids": ["u-20417"] },
        "include": ["diagnostics"],
        "window": { "from": "2026-01-01", "to": "2026-01-31" },
    });
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = document.pointer_mut(parent).expect("it is there");
    parent[key] = value;
    document
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_at_once_and_never_repeated() -> anyhow::Result<()> {
    let stack = start(World::parse(SMALL)?, without_archive()).await?;
    not_a_document(&stack.api).await?;
    faults(&stack.api).await?;
    every_fault_at_once(&stack.api).await?;
    let listed = get(&stack.api, "/api/requests").await?;
    assert_eq!(listed.body["values"], json!([]), "nothing was stored");
    let blobs = stack.account.container("dsr")?;
    assert!(
        !blobs.exists().await? || listed.body["next"].is_null(),
        "{}",
        listed.text
    );
    Ok(())
}

async fn not_a_document(api: &Api) -> anyhow::Result<()> {
    let valid = document("export", "TYPES-1")?.to_string().into_bytes();
    for (kind, status) in [
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("application/jsonx", 415),
        ("text/json", 415),
        ("", 415),
    ] {
        let body = Some((kind, valid.clone()));
        let answer = call(api, Method::POST, "/api/requests", body).await?;
        answer.expect(status, kind);
    }
    let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut deep = r#"{"kind":"#.to_owned();
    deep.push_str(&r#"{"a":"#.repeat(30_000));
    let large = format!("{}{CANARY}", " ".repeat(256 * 1024));
    for (what, body, status) in [
        ("nothing", &b""[..], 400),
        ("half a document", br#"{"kind":"export""#, 400),
        ("an array", b"[]", 400),
        ("a text", b"\"zq7canary\"", 400),
        ("not UTF-8", b"{\"kind\":\"\xff\xfezq7canary\"}", 400),
        ("deeply nested", nested.as_bytes(), 400),
        ("deeply nested, cut off", deep.as_bytes(), 400),
        ("over 256 KiB", large.as_bytes(), 413),
    ] {
        let body = Some(("application/json", body.to_vec()));
        let answer = call(api, Method::POST, "/api/requests", body).await?;
        answer.expect(status, what);
        if status == 400 {
            assert_eq!(answer.pointers(), [""], "{what}: {}", answer.text);
        }
        assert!(!answer.text.contains(CANARY), "{what}: {}", answer.text);
    }
    Ok(())
}

async fn faults(api: &Api) -> anyhow::Result<()> {
    let id = "e589a371-ea0c-4479-9a7b-9f834adec040";
    let weak = |list: &str, value: &str| {
        let mut document = with("/subject", json!({ "user_ids": ["u-20417"] }));
        document["subject"][list] = json!(["harmless-1@example.com", value]);
        if list == "install_ids" {
            document["subject"][list][0] = json!(id);
        }
        (document, format!("/subject/{list}/1"))
    };
    let mut cases: Vec<(Value, String)> = [
        ("/kind", json!("wipe")),
        ("/kind", json!(null)),
        ("/reference", json!("")),
        ("/reference", json!("a b")),
        ("/reference", json!("é")),
        ("/reference", json!("x".repeat(65))),
        ("/reference", json!("CRM-u-20417")),
        ("/reference", json!("CRM-U-20417")),
        ("/reference", json!(7)),
        ("/jurisdiction", json!("fr")),
        ("/received_at", json!("2099-01-01T00:00:00Z")),
        ("/received_at", json!("2020-01-01T00:00:00Z")),
        ("/received_at", json!("yesterday")),
        ("/apps", json!([])),
        ("/apps", json!({})),
        ("/apps/0", json!({ "owner": "contoso" })),
        ("/apps/0", json!({ "owner": "..", "name": "shop" })),
        ("/apps/0", json!({ "owner": "contoso", "name": "a/b" })),
        (
            "/apps/0",
            json!({ "owner": "contoso", "name": "x".repeat(101) }),
        ),
        ("/subject", json!({})),
        ("/subject", json!({ "user_ids": [], "emails": [] })),
        ("/subject", json!(["u-20417"])),
        ("/subject/user_ids", json!("u-20417")),
        ("/subject/user_ids/0", json!(20417)),
        ("/subject/user_ids/0", json!("x".repeat(513))),
        ("/include", json!([])),
        ("/include/0", json!("everything")),
        (
            "/window",
            json!({ "from": "2026-02-01", "to": "2026-01-01" }),
        ),
        ("/window/from", json!("2026-02-30")),
        ("/window/to", json!(null)),
        ("/note", json!(CANARY)),
        ("/apps/0/id", json!(CANARY)),
        ("/subject/phones", json!([CANARY])),
        ("/window/zone", json!(CANARY)),
    ]
    .into_iter()
    .map(|(pointer, value)| {
        let mut document = with("/kind", json!("export"));
        if let Some(part) = document.pointer_mut(pointer) {
            *part = value;
        } else {
            document = with(pointer, value);
        }
        (document, pointer.to_owned())
    })
    .collect();
    cases.extend(
        [
            "None",
            "null",
            "undefined",
            "Unknown",
            "ANONYMOUS",
            "guest",
            "test",
            "0",
            "-1",
            " ",
            "",
        ]
        .map(|value| weak("user_ids", value)),
    );
    cases.extend(
        [
            "00000000-0000-0000-0000-000000000000",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
            "{11111111-1111-1111-1111-111111111111}",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "e589a371-ea0c-4479-9a7b",
            "",
        ]
        .map(|value| weak("install_ids", value)),
    );
    cases.extend(["abc", " ab ", "UserId", "appbuild", ""].map(|value| weak("terms", value)));
    cases.extend(
        ["zq7canary", "@example.com", "a@", "a b@example.com", ""]
            .map(|value| weak("emails", value)),
    );
    for reference in [id.to_owned(), id.replace('-', ""), id.to_uppercase()] {
        let mut document = with("/reference", json!(format!("X-{reference}")));
        document["subject"] = json!({ "install_ids": [id] });
        cases.push((document, "/reference".to_owned()));
    }
    for (document, pointer) in cases {
        let answer = post(api, "/api/requests", &document).await?;
        answer.expect(400, &document.to_string());
        assert_eq!(answer.pointers(), [pointer], "{document}: {}", answer.text);
        assert!(!answer.text.contains(CANARY), "{}", answer.text);
        assert!(!answer.text.contains("20417"), "{}", answer.text);
    }
    Ok(())
}

async fn every_fault_at_once(api: &Api) -> anyhow::Result<()> {
    let document = json!({
        "kind": CANARY,
        "reference": format!("{CANARY} {CANARY}"),
        "jurisdiction": CANARY,
        "received_at": CANARY,
        "apps": [{ "owner": CANARY, "name": "shop" }, { "owner": "a/zq7canary", "name": CANARY }],
        "subject": {
            "install_ids": [CANARY],
            "user_ids": [[CANARY]],
            "emails": [CANARY],
            "terms": ["abc"],
        },
        "include": [CANARY],
        "window": { "from": CANARY, "to": CANARY },
        "priority": CANARY,
    });
    let answer = post(api, "/api/requests", &document).await?;
    answer.expect(400, "all faults");
    let mut pointers = answer.pointers();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/apps/1",
            "/include/0",
            "/jurisdiction",
            "/kind",
            "/priority",
            "/received_at",
            "/reference",
            "/subject/emails/0",
            "/subject/install_ids/0",
            "/subject/terms/0",
            "/subject/user_ids/0",
            "/window/from",
            "/window/to",
        ]
    );
    assert!(!answer.text.contains(CANARY), "{}", answer.text);
    // A document of nothing but faults is not answered with all of them: the answer has a limit.
    let many: Vec<Value> = (0..5000).map(|_| json!(CANARY)).collect();
    let answer = post(
        api,
        "/api/requests",
        &with("/subject", json!({ "emails": many })),
    )
    .await?;
    answer.expect(400, "many faults");
    assert!((10..=200).contains(&answer.pointers().len()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_one_request() -> anyhow::Result<()> {
    let stack = start(World::parse(SMALL)?, without_archive()).await?;
    let api = &stack.api;
    let mut first = document("export", "SAME-1")?;
    let shop = first["apps"][0].clone();
    let id = "e589a371-ea0c-4479-9a7b-9f834adec040";
    let other = "0b7cf1a2-5bd0-4c2c-8f36-0d6a3bd4a9f1";
    first["apps"] = json!([shop, { "owner": "contoso", "name": "other" }]);
    first["subject"] = json!({
        "install_ids": [id, other],
        "user_ids": ["u-20417"],
        "emails": ["ana@example.com"],
        "terms": ["Ana D\u{ed}az"],
    });
    let answer = post(api, "/api/requests", &first).await?;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let request = answer.body["id"].as_str().expect("an ID").to_owned();
    let location = format!("/api/requests/{request}");
    assert_eq!(answer.location.as_deref(), Some(location.as_str()));
    assert_eq!(answer.kind, "application/json");
    let found = get(api, &location).await?;
    assert_eq!((found.status, &found.body["id"]), (200, &json!(request)));
    for shown in [&answer.text, &found.text] {
        for value in ["u-20417", "ana@", "Ana D", id, other] {
            assert!(!shown.contains(value), "{value}: {shown}");
        }
    }

    // Equal after defaults, lists as sets, identifiers normalised; when it was received is no part of it.
    let mut same = first.clone();
    same["jurisdiction"] = json!("eu");
    same["include"] = json!(["analytics", "diagnostics", "analytics"]);
    same["received_at"] = json!("2026-11-01T09:00:00+02:00");
    same["apps"] = json!([first["apps"][1], first["apps"][0], first["apps"][1]]);
    same["subject"]["install_ids"] = json!([
        format!("{{{}}}", other.to_uppercase()),
        id.replace('-', ""),
        other
    ]);
    same["subject"]["emails"] = json!(["Ana@Example.COM"]);
    same["subject"]["terms"] = json!([" Ana Di\u{301}az "]);
    for document in [&same, &first] {
        let answer = post(api, "/api/requests", document).await?;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.body["id"], json!(request));
        assert_eq!(answer.location.as_deref(), Some(location.as_str()));
    }
    let received = get(api, &location).await?.body["received_at"].clone();
    assert_eq!(received, answer.body["received_at"], "the first one counts");

    for (pointer, value) in [
        ("/jurisdiction", json!("uk")),
        ("/include", json!(["diagnostics"])),
        ("/subject/user_ids/0", json!("U-20417")),
        ("/subject/emails/0", json!("anna@example.com")),
        ("/apps/1/name", json!("another")),
        (
            "/window",
            json!({ "from": "2026-10-24", "to": "2026-11-20" }),
        ),
    ] {
        let mut changed = first.clone();
        match changed.pointer_mut(pointer) {
            Some(part) => *part = value,
            None => changed[&pointer[1..]] = value,
        }
        let answer = post(api, "/api/requests", &changed).await?;
        answer.expect(409, pointer);
        for value in ["20417", "anna", "ana@"] {
            assert!(!answer.text.contains(value), "{}", answer.text);
        }
    }

    // The kind is part of the name, the case of the reference too.
    let mut erasure = first.clone();
    erasure["kind"] = json!("delete");
    let mut cased = first.clone();
    cased["reference"] = json!("same-1");
    for document in [&erasure, &cased] {
        let answer = post(api, "/api/requests", document).await?;
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert_ne!(answer.body["id"], json!(request));
    }

    // Exactly 256 KiB are taken; the type may carry parameters.
    let mut largest = document("export", "LARGE-1")?.to_string().into_bytes();
    largest.resize(256 * 1024, b' ');
    let body = Some(("Application/JSON; charset=utf-8", largest));
    let answer = call(api, Method::POST, "/api/requests", body).await?;
    assert_eq!(answer.status, 202, "{}", answer.text);

    // Ended or not: the same document still names it, and another one is still refused.
    let cancel = json!({ "by": "a tester", "reason": "enough" });
    api.decide(&request, "cancel", &cancel).await?;
    let answer = post(api, "/api/requests", &same).await?;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (200, &json!("cancelled"))
    );
    assert_eq!(answer.body["run"], 1, "it is not started again");
    let mut changed = first.clone();
    changed["subject"]["user_ids"] = json!(["u-1"]);
    let answer = post(api, "/api/requests", &changed).await?;
    answer.expect(409, "after the end");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_callers_at_once_file_one_request() -> anyhow::Result<()> {
    let stack = start(World::parse(SMALL)?, without_archive()).await?;
    let document = document("export", "RACE-1")?;
    let calls = (0..20).map(|_| post(&stack.api, "/api/requests", &document));
    let mut accepted = 0;
    for answer in futures::future::join_all(calls).await {
        let answer = answer?;
        assert!([200, 202].contains(&answer.status), "{}", answer.text);
        accepted += usize::from(answer.status == 202);
    }
    assert_eq!(accepted, 1);
    let listed = get(&stack.api, "/api/requests").await?;
    assert_eq!(listed.body["values"].as_array().map(Vec::len), Some(1));
    Ok(())
}
