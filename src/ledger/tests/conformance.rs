//! What a ledger does, whatever it is kept in.

use std::collections::BTreeSet;

use super::{OTHER_APP, app, file, key, nth, wire};
use crate::config;
use crate::ledger::{Counts, Error, Key, Ledger};

fn counts(total: u64, retrieved: u64) -> Counts {
    Counts { total, retrieved }
}

async fn texts(ledger: &Ledger, after: Option<&Key>, limit: usize) -> Vec<String> {
    let keys = ledger.unretrieved(app(), after, limit).await;
    keys.expect("it reads")
        .iter()
        .map(ToString::to_string)
        .collect()
}

async fn suite(ledger: &Ledger, second: &Ledger) -> Result<(), Error> {
    without_a_table(ledger).await?;
    what_is_known_stays(ledger).await?;
    order_is_that_of_bytes(ledger).await?;
    pages_cover_all(ledger).await?;
    apps_are_apart(ledger).await?;
    two_at_a_time(ledger, second).await?;
    Ok(())
}

async fn without_a_table(ledger: &Ledger) -> Result<(), Error> {
    assert_eq!(ledger.counts(app()).await?, counts(0, 0));
    assert!(ledger.unretrieved(app(), None, 10).await?.is_empty());
    assert!(ledger.all(app(), None, 10).await?.is_empty());
    assert_eq!(ledger.mark_retrieved(app(), &[nth(1)]).await?, 0);
    assert_eq!(ledger.reset(app(), &[nth(1)]).await?, 0);
    ledger.drop_app(app()).await?;
    assert_eq!(ledger.insert(app(), &[]).await?, 0);
    Ok(())
}

async fn what_is_known_stays(ledger: &Ledger) -> Result<(), Error> {
    let keys: Vec<Key> = (0..20).map(nth).collect();
    assert_eq!(ledger.insert(app(), &keys).await?, 20);
    assert_eq!(ledger.insert(app(), &keys).await?, 0, "nothing new");
    assert_eq!(ledger.mark_retrieved(app(), &keys[..9]).await?, 9);
    assert_eq!(ledger.mark_retrieved(app(), &keys[..10]).await?, 1);
    let more: Vec<Key> = (5..30).chain(5..30).map(nth).collect();
    assert_eq!(ledger.insert(app(), &more).await?, 10, "each counts once");
    assert_eq!(ledger.counts(app()).await?, counts(30, 10));
    // A report that nobody inserted is not made by a mark.
    assert_eq!(ledger.mark_retrieved(app(), &[nth(99)]).await?, 0);
    assert_eq!(ledger.counts(app()).await?, counts(30, 10));
    assert_eq!(ledger.reset(app(), &keys[..3]).await?, 3);
    assert_eq!(ledger.reset(app(), &keys[..3]).await?, 0);
    assert_eq!(ledger.counts(app()).await?, counts(30, 7));
    ledger.drop_app(app()).await?;
    assert_eq!(ledger.counts(app()).await?, counts(0, 0));
    // The table comes back when it is needed.
    assert_eq!(ledger.insert(app(), &keys[..2]).await?, 2);
    assert_eq!(ledger.counts(app()).await?, counts(2, 0));
    ledger.drop_app(app()).await
}

async fn order_is_that_of_bytes(ledger: &Ledger) -> Result<(), Error> {
    let ordered = [
        "1-a/b", "1/a", "1/a-b", "1/b", "10/a", "1U/a", "1u/A", "1u/a", "A/1", "a/1",
    ];
    let mut given: Vec<Key> = ordered.map(key).to_vec();
    given.reverse();
    assert_eq!(ledger.insert(app(), &given).await?, 10);
    assert_eq!(texts(ledger, None, 100).await, ordered);
    // Every key, and every text between two of them, continues where it should.
    for (n, text) in ordered.iter().enumerate() {
        assert_eq!(texts(ledger, Some(&key(text)), 100).await, ordered[n + 1..]);
    }
    assert_eq!(texts(ledger, Some(&key("1/aa")), 2).await, ["1/b", "10/a"]);
    ledger.drop_app(app()).await
}

async fn pages_cover_all(ledger: &Ledger) -> Result<(), Error> {
    let keys: Vec<Key> = (0..57).map(nth).collect();
    ledger.insert(app(), &keys).await?;
    let marked: Vec<Key> = keys.iter().step_by(3).cloned().collect();
    ledger.mark_retrieved(app(), &marked).await?;
    assert!(ledger.unretrieved(app(), None, 0).await?.is_empty());
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = ledger.all(app(), after.as_ref(), 10).await?;
        assert!(page.len() <= 10);
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        found.extend(page);
    }
    let expected: BTreeSet<&Key> = keys.iter().collect();
    assert!(
        found
            .iter()
            .map(|entry| &entry.key)
            .eq(expected.iter().copied())
    );
    let is_marked = |key: &Key| marked.contains(key);
    assert!(
        found
            .iter()
            .all(|entry| entry.is_retrieved == is_marked(&entry.key))
    );
    let (mut after, mut left) = (None, Vec::new());
    loop {
        let page = ledger.unretrieved(app(), after.as_ref(), 7).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.clone());
        // Marking behind the reader changes nothing before it.
        ledger.mark_retrieved(app(), &page).await?;
        left.extend(page);
    }
    assert!(
        left.iter()
            .eq(expected.into_iter().filter(|key| !is_marked(key)))
    );
    assert_eq!(ledger.counts(app()).await?, counts(57, 57));
    ledger.drop_app(app()).await
}

async fn apps_are_apart(ledger: &Ledger) -> Result<(), Error> {
    let other = OTHER_APP.parse().expect("a UUID");
    ledger.insert(app(), &[nth(1), nth(2)]).await?;
    ledger.insert(other, &[nth(2), nth(3), nth(4)]).await?;
    ledger.mark_retrieved(other, &[nth(2), nth(1)]).await?;
    assert_eq!(ledger.counts(app()).await?, counts(2, 0));
    assert_eq!(ledger.counts(other).await?, counts(3, 1));
    ledger.drop_app(app()).await?;
    assert_eq!(ledger.counts(other).await?, counts(3, 1));
    ledger.drop_app(other).await
}

async fn two_at_a_time(ledger: &Ledger, second: &Ledger) -> Result<(), Error> {
    let one: Vec<Key> = (0..40).map(nth).collect();
    let two: Vec<Key> = (20..60).map(nth).collect();
    let (first, then) = tokio::join!(ledger.insert(app(), &one), second.insert(app(), &two));
    assert_eq!(first? + then?, 60, "each report was new to one of them");
    let (first, then) = tokio::join!(
        ledger.mark_retrieved(app(), &one),
        second.mark_retrieved(app(), &two)
    );
    assert_eq!(first? + then?, 60);
    assert_eq!(second.counts(app()).await?, counts(60, 60));
    ledger.drop_app(app()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_conforms() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    // Two connections to one file, as two processes have them.
    suite(&file(&path), &file(&path))
        .await
        .expect("it conforms");
}

/// A file that is not there yet, and many that make it.
#[tokio::test(flavor = "multi_thread")]
async fn many_begin_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.db");
    let ledgers: Vec<Ledger> = (0..12).map(|_| file(&path)).collect();
    let keys: Vec<Key> = (0..30).map(nth).collect();
    let inserts = ledgers.iter().map(|ledger| ledger.insert(app(), &keys));
    let new = futures::future::join_all(inserts).await;
    let new: Result<Vec<u64>, Error> = new.into_iter().collect();
    assert_eq!(new.expect("all of them write").iter().sum::<u64>(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_conforms() {
    let lab = wire::Lab::start().await;
    suite(&lab.ledger(), &lab.ledger())
        .await
        .expect("it conforms");
    lab.check_requests();
}

#[tokio::test]
async fn no_ledger_is_an_error_when_it_is_used() {
    let ledger = Ledger::open(&config::Ledger {
        database: config::LedgerDatabase::None,
        statement_rows: 1,
    });
    let error = ledger.counts(app()).await.expect_err("there is none");
    assert_eq!(error, Error::Unavailable);
    assert!(error.to_string().contains("LEDGER_DATABASE"));
    assert_eq!(
        ledger.insert(app(), &[nth(1)]).await,
        Err(Error::Unavailable)
    );
}
