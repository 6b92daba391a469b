use serde_json::{Value, json};

use super::*;

const NOW: &str = "2026-11-20T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

fn valid() -> Value {
    json!({
        "kind": "delete",
        "reference": "CRM-1042",
        "apps": [{ "owner": "contoso", "name": "shop-android" }],
        "subject": { "emails": ["Ana@Example.com"] }
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut document = valid();
    match pointer.rsplit_once('/') {
        Some((parent, key)) => {
            let parent = document.pointer_mut(parent).expect("it is there");
            parent[key] = value;
        }
        None => document = value,
    }
    document
}

fn faults(document: &Value) -> Vec<String> {
    match Document::parse(document.to_string().as_bytes(), now()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults.into_iter().map(|fault| fault.pointer).collect(),
    }
}

#[test]
fn defaults_are_filled_in() {
    let document = Document::parse(valid().to_string().as_bytes(), now()).expect("it is valid");
    assert_eq!(document.jurisdiction, Jurisdiction::Eu);
    assert_eq!(document.received_at, now());
    assert_eq!(document.include, [Include::Diagnostics, Include::Analytics]);
    assert_eq!(document.subject.emails, ["ana@example.com"]);
    assert_eq!(document.window, None);
}

#[test]
fn each_fault_has_its_pointer() {
    for (pointer, value, expected) in [
        ("/kind", json!("erase"), "/kind"),
        ("/kind", json!(3), "/kind"),
        ("/reference", json!(""), "/reference"),
        ("/reference", json!("a b"), "/reference"),
        ("/reference", json!("x".repeat(65)), "/reference"),
        ("/reference", json!("ticket-ANA@example.com"), "/reference"),
        ("/jurisdiction", json!("de"), "/jurisdiction"),
        ("/received_at", json!("yesterday"), "/received_at"),
        (
            "/received_at",
            json!("2026-11-20T13:00:00Z"),
            "/received_at",
        ),
        (
            "/received_at",
            json!("2026-08-01T00:00:00Z"),
            "/received_at",
        ),
        ("/apps", json!([]), "/apps"),
        ("/apps", json!("contoso/shop"), "/apps"),
        ("/apps/0/name", json!(".."), "/apps/0"),
        ("/apps/0/extra", json!(1), "/apps/0/extra"),
        ("/subject", json!({}), "/subject"),
        ("/subject", json!({ "emails": [] }), "/subject"),
        ("/subject/emails", json!(["ana"]), "/subject/emails/0"),
        ("/subject/emails", json!("a@b.c"), "/subject/emails"),
        (
            "/subject/user_ids",
            json!(["u-1", "Null"]),
            "/subject/user_ids/1",
        ),
        ("/subject/user_ids", json!(["-1"]), "/subject/user_ids/0"),
        ("/subject/user_ids", json!([7]), "/subject/user_ids/0"),
        ("/subject/terms", json!(["Ana"]), "/subject/terms/0"),
        ("/subject/terms", json!(["userid"]), "/subject/terms/0"),
        (
            "/subject/install_ids",
            json!(["00000000-0000-0000-0000-000000000000"]),
            "/subject/install_ids/0",
        ),
        ("/subject/phones", json!([]), "/subject/phones"),
        ("/include", json!([]), "/include"),
        ("/include", json!(["all"]), "/include/0"),
        ("/window", json!({ "from": "2026-11-20" }), "/window/to"),
        (
            "/window",
            json!({ "from": "2026-11-20", "to": "2026-11-19" }),
            "/window",
        ),
        ("/nonsense", json!(1), "/nonsense"),
    ] {
        assert_eq!(
            faults(&with(pointer, value.clone())),
            [expected],
            "{pointer} {value}"
        );
    }
}

#[test]
fn all_faults_come_at_once_and_none_quotes_a_value() {
    let document = json!({
        "kind": "erase", "reference": "ana@example.com secret",
        "apps": [{ "owner": "secret/x", "name": "a" }],
        "subject": { "emails": ["secret"], "user_ids": ["guest"], "terms": ["sec"] }
    });
    let found = Document::parse(document.to_string().as_bytes(), now()).expect_err("six faults");
    assert_eq!(found.len(), 6, "{found:?}");
    assert!(!format!("{found:?}").contains("secret"));
}

#[test]
fn equal_content_is_equal_whatever_the_order() {
    let one = json!({
        "kind": "export", "reference": "R", "apps": [{"owner":"a","name":"b"},{"owner":"a","name":"c"}],
        "subject": { "install_ids": ["E589A371EA0C44799A7B9F834ADEC040"], "user_ids": ["u-2", "u-1"] },
        "received_at": "2026-11-20T09:00:00Z"
    });
    let two = json!({
        "kind": "export", "reference": "R", "jurisdiction": "eu", "include": ["analytics", "diagnostics"],
        "apps": [{"owner":"a","name":"c"},{"owner":"a","name":"b"}],
        "subject": { "user_ids": ["u-1", "u-2", "u-1"], "install_ids": ["e589a371-ea0c-4479-9a7b-9f834adec040"] }
    });
    let canonical = |document: &Value| {
        Document::parse(document.to_string().as_bytes(), now())
            .expect("valid")
            .canonical()
    };
    assert_eq!(canonical(&one), canonical(&two));
    let mut other = two;
    other["subject"]["user_ids"] = json!(["u-1"]);
    assert_ne!(canonical(&one), canonical(&other));
}

#[test]
fn what_is_no_json_says_where() {
    let found = Document::parse(b"{\"kind\":", now()).expect_err("it is cut off");
    assert_eq!(found.len(), 1);
    assert!(found.iter().all(|fault| fault.detail.contains("line 1")));
    for text in ["", "[]", "null", "3", "\"x\""] {
        assert!(Document::parse(text.as_bytes(), now()).is_err(), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn nothing_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
        drop(Document::parse(&bytes, now()));
    }
}

#[test]
fn a_document_that_contradicts_itself_is_refused() {
    let valid = valid().to_string();
    let inner = valid.strip_suffix('}').expect("an object");
    for (more, pointer) in [
        (r#""kind":"export""#, "/kind"),
        (r#""subject":{"user_ids":["u-20417"]}"#, "/subject"),
        (
            r#""window":{"from":"2026-11-01","to":"2026-11-02","to":"2026-11-03"}"#,
            "/window/to",
        ),
    ] {
        let text = format!("{inner},{more}}}");
        let faults = Document::parse(text.as_bytes(), now()).expect_err("it is refused");
        let pointers: Vec<_> = faults.into_iter().map(|it| it.pointer).collect();
        assert_eq!(pointers, [pointer]);
    }
}
