//! What is true of SQLite files alone.

use super::{app, file, key, nth};
use crate::ledger::{Cause, Counts, Error, Key};

#[tokio::test]
async fn what_was_answered_is_there_after_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let first = file(&path);
    first
        .insert(app(), &[nth(1), nth(2)])
        .await
        .expect("it writes");
    first
        .mark_retrieved(app(), &[nth(2)])
        .await
        .expect("it writes");
    // Not closed, as after a kill.
    let second = file(&path);
    let found = second.counts(app()).await;
    let expected = Counts {
        total: 2,
        retrieved: 1,
    };
    assert_eq!(found, Ok(expected));
    drop(first);
}

#[tokio::test]
async fn a_place_that_cannot_be_used_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = file(&folder.path().join("no/such/folder/ledger.db"));
    let error = missing.counts(app()).await.expect_err("no folder");
    assert!(
        matches!(error, Error::Denied(Cause::Sqlite(_))),
        "{error:?}"
    );
    let path = folder.path().join("text.db");
    let text = "This is no database, though it is long enough to be taken for one. ".repeat(20);
    std::fs::write(&path, text).expect("it is written");
    let error = file(&path).insert(app(), &[nth(1)]).await;
    assert!(
        matches!(error, Err(Error::Refused(Cause::Sqlite(_)))),
        "{error:?}"
    );
}

/// A person may have put something into the table by hand.
#[tokio::test]
async fn rows_that_are_no_keys_are_passed_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let ledger = file(&path);
    let keys = ["1u/a", "2u/a", "3u/a"].map(key);
    ledger.insert(app(), &keys).await.expect("it writes");
    let table = format!("[dsr.Crashes_{}]", app());
    let values = "('1u/a b'), ('2'), ('2u/'), ('9 '), ('~')";
    let connection = rusqlite::Connection::open(&path).expect("it opens");
    connection
        .execute_batch(&format!(
            "INSERT INTO {table} ([Crash-Guid]) VALUES {values}"
        ))
        .expect("it writes");
    for limit in 1..=5 {
        let (mut after, mut found) = (None::<Key>, Vec::new());
        loop {
            let page = ledger
                .unretrieved(app(), after.as_ref(), limit)
                .await
                .expect("it reads");
            let Some(last) = page.last() else { break };
            after = Some(last.clone());
            found.extend(page);
        }
        assert_eq!(found, keys, "{limit}");
    }
}

/// A statement goes on when its caller stops waiting; the next one waits for it.
#[tokio::test(flavor = "multi_thread")]
async fn callers_may_stop_waiting() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = file(&folder.path().join("ledger.db"));
    let keys: Vec<Key> = (0..50).map(nth).collect();
    for n in 0..20 {
        let limit = std::time::Duration::from_micros(n * 100);
        drop(tokio::time::timeout(limit, ledger.insert(app(), &keys)).await);
    }
    ledger.insert(app(), &keys).await.expect("it writes");
    let counts = ledger.counts(app()).await.expect("it reads");
    assert_eq!(counts.total, 50);
}
