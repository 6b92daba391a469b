//! What cannot be taken back: the gate before each attempt, what counts as deleted, what counts as gone.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;

use super::{Answer, Exchange, app, error_id, group, json, status};
use crate::appcenter::{Deleted, Error, Gate, Gone, Open};
use crate::domain::InstallId;

const INSTALL: &str = "E589A371-EA0C-4479-9A7B-9F834ADEC040";

fn install() -> InstallId {
    INSTALL.parse().expect("an install ID")
}

/// Open for so many questions, then closed.
struct OpenFor(AtomicUsize);

#[async_trait]
impl Gate for OpenFor {
    async fn is_open(&self) -> bool {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok()
    }
}

#[tokio::test]
async fn a_block_names_the_install_and_has_a_body() {
    for answer in [
        status(200),
        json(200, "\"ok\""),
        json(200, "blocked").header("content-type", "text/plain"),
        json(200, "{}"),
        status(204),
        json(202, "{}"),
    ] {
        let shown = format!("{answer:?}");
        let exchange = Exchange::start([answer]).await;
        let blocked = exchange
            .client()
            .block_install(&app(), install(), &Open)
            .await;
        assert!(blocked.is_ok(), "{shown}: {blocked:?}");
        let asked = exchange.asked().remove(0);
        let id = INSTALL.to_ascii_lowercase();
        assert_eq!(
            asked.line,
            format!("PUT /v0.1/apps/contoso/shop-android/devices/block_logs/{id}")
        );
        assert_eq!(
            (
                asked.body.as_str(),
                asked.headers["content-length"].as_str()
            ),
            ("{}", "2")
        );
    }
}

#[tokio::test]
async fn a_page_of_a_proxy_is_no_block() {
    let page = json(200, "<html>Welcome</html>").header("content-type", "text/html");
    let text = json(200, "<html>Welcome</html>").header("content-type", "text/plain");
    let error = json(200, r#"{"error":{"code":"x","message":"y"}}"#);
    for answer in [page, text, error] {
        let exchange = Exchange::start(vec![answer; 3]).await;
        let blocked = exchange
            .client()
            .block_install(&app(), install(), &Open)
            .await;
        assert!(matches!(blocked, Err(Error::Protocol { .. })));
    }
}

#[tokio::test]
async fn a_closed_gate_sends_nothing_not_even_again() {
    let exchange = Exchange::start(vec![status(500); 5]).await;
    let client = exchange.client();
    let closed = OpenFor(AtomicUsize::new(0));
    let (a, g, e) = (app(), group(), error_id());
    let stopped = [
        client.block_install(&a, install(), &closed).await.err(),
        client.delete_error(&a, &g, &e, &closed).await.err(),
        client.delete_crash(&a, &g, &e, &closed).await.err(),
    ];
    assert!(
        stopped
            .iter()
            .all(|error| matches!(error, Some(Error::Stopped)))
    );
    assert!(exchange.asked().is_empty());
    // Cancelled between an attempt and its retry.
    let once = OpenFor(AtomicUsize::new(1));
    let error = client
        .delete_error(&a, &g, &e, &once)
        .await
        .expect_err("stopped");
    assert!(matches!(error, Error::Stopped));
    assert_eq!(exchange.asked().len(), 1);
}

#[tokio::test]
async fn deletions_in_both_spellings() {
    let done = Deleted {
        reports: Some(1),
        attachments: Some(2),
        blobs_succeeded: Some(3),
        blobs_failed: Some(0),
    };
    let new = r#"{"appId":"a","errorGroupId":"g","errorId":"e","errorsDeleted":1,"attachmentsDeleted":2,"blobsSucceeded":3,"blobsFailed":0}"#;
    let old = r#"{"app_id":"a","crash_group_id":"g","crash_id":"e","crashes_deleted":1,"attachments_deleted":2,"blobs_succeeded":3,"blobs_failed":0}"#;
    let cases = [
        (json(200, new), Some(done.clone()), true),
        (json(200, old), Some(done.clone()), true),
        (json(200, "{}"), Some(Deleted::default()), true),
        (json(202, "{}"), Some(Deleted::default()), true),
        (status(204), Some(Deleted::default()), true),
        (
            json(200, r#"{"blobsFailed":"2"}"#),
            Some(Deleted {
                blobs_failed: Some(2),
                ..Deleted::default()
            }),
            false,
        ),
        // What cannot be read must not pass for "none failed".
        (json(200, r#"{"blobsFailed":"some"}"#), None, false),
        (json(200, r#"{"blobsFailed":-1}"#), None, false),
        (
            json(200, "gone").header("content-type", "text/plain"),
            None,
            false,
        ),
    ];
    for (answer, expected, is_complete) in cases {
        let exchange = Exchange::start([answer.clone()]).await;
        let deleted = exchange
            .client()
            .delete_error(&app(), &group(), &error_id(), &Open)
            .await;
        if let Some(expected) = expected {
            let deleted = deleted.expect("an answer");
            assert_eq!(deleted, expected, "{answer:?}");
            assert_eq!(deleted.is_complete(), is_complete, "{answer:?}");
        } else {
            assert!(matches!(deleted, Err(Error::Protocol { .. })), "{answer:?}");
        }
        let line = exchange.lines().remove(0);
        let id = error_id();
        assert_eq!(
            line,
            format!(
                "DELETE /v0.1/apps/contoso/shop-android/errors/errorGroups/4107427461u/errors/{id}"
            )
        );
    }
}

#[tokio::test]
async fn a_deletion_is_repeated_and_its_404_is_left_to_the_evidence() {
    let exchange = Exchange::start([Answer::Reset, json(404, r#"{"message":"x"}"#)]).await;
    let deleted = exchange
        .client()
        .delete_crash(&app(), &group(), &error_id(), &Open)
        .await;
    assert!(matches!(deleted, Err(Error::NotFoundAgain(_))));
    assert_eq!(exchange.asked().len(), 2);
}

#[tokio::test]
async fn gone_needs_a_404_and_a_token_that_sees_the_app() {
    let found = json(200, r#"{"id":"11c1a6f1-0cf9-4a32-8f3e-0b5f6f8b2c11"}"#);
    let cases = [
        (vec![status(404), found.clone()], Some(Gone::Confirmed)),
        (vec![json(200, "{}")], Some(Gone::StillThere)),
        (vec![status(404), status(404)], Some(Gone::AppUnreachable)),
        (vec![status(404), status(401)], Some(Gone::AppUnreachable)),
        (vec![status(404), status(403)], Some(Gone::AppUnreachable)),
        (vec![status(404), status(410)], Some(Gone::AppUnreachable)),
        (vec![status(401)], Some(Gone::AppUnreachable)),
        (vec![status(403)], Some(Gone::AppUnreachable)),
        (vec![status(410)], None),
        (vec![status(429)], None),
        (vec![status(404), status(429)], None),
        (
            vec![status(404), status(500), status(500), status(500)],
            None,
        ),
        (vec![status(404), json(200, "{}")], None),
        (vec![status(400)], None),
    ];
    for (script, expected) in cases {
        let exchange = Exchange::start(script.clone()).await;
        let gone = exchange
            .client()
            .confirm_gone(&app(), &group(), &error_id())
            .await;
        assert_eq!(gone.ok(), expected, "{script:?}");
        assert_eq!(exchange.asked().len(), script.len(), "{script:?}");
        let exchange = Exchange::start(script.clone()).await;
        let gone = exchange
            .client()
            .confirm_crash_gone(&app(), &group(), &error_id())
            .await;
        assert_eq!(gone.ok(), expected, "{script:?}");
    }
}
