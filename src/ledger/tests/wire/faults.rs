//! A server that is out of order.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use mssql_mock_tds::MockTdsServer;

use super::{Act, Lab};
use crate::ledger::statement::Statement;
use crate::ledger::tests::{app, nth};
use crate::ledger::{Cause, Counts, Error, Key};

#[tokio::test]
async fn a_connection_is_used_again() {
    let lab = Lab::start().await;
    let ledger = lab.ledger();
    for n in 0..5 {
        assert_eq!(ledger.insert(app(), &[nth(n)]).await, Ok(1));
    }
    // The first one ended with the error that there is no table.
    assert_eq!(lab.connections(), 2);
    let store = lab.store.lock().await;
    let login = store.all().values().next().expect("a login");
    assert!(login.authenticated);
    assert_eq!(login.received_database.as_deref(), Some("ledgers"));
}

/// Requests of as many rows as one may set go out in packets, which the mock could not take and the gateway puts together.
#[tokio::test]
async fn long_requests_are_cut_into_packets() {
    let lab = Lab::start().await;
    let ledger = lab.with_rows(1000);
    let keys: Vec<Key> = (0..1500).map(nth).collect();
    assert_eq!(ledger.insert(app(), &keys).await, Ok(1500));
    assert_eq!(ledger.mark_retrieved(app(), &keys[..1200]).await, Ok(1200));
    assert_eq!(ledger.reset(app(), &keys[..1100]).await, Ok(1100));
    let expected = Counts {
        total: 1500,
        retrieved: 100,
    };
    assert_eq!(ledger.counts(app()).await, Ok(expected));
    let packets = lab.most_packets().expect("requests");
    assert!(packets > 30, "{packets}");
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    for number in [40613, 40197, 40501, 10928, 49918, 1205, 233, 4060] {
        let lab = Lab::start().await;
        let ledger = lab.ledger();
        lab.will(&[Act::Error(number), Act::Error(number)]);
        assert_eq!(
            ledger.counts(app()).await,
            Ok(Counts::default()),
            "{number}"
        );
        assert_eq!(lab.requests().len(), 3, "{number}");
        assert_eq!(lab.connections(), 3, "each on a connection of its own");
    }
}

#[tokio::test]
async fn what_does_not_pass_ends() {
    let lab = Lab::start().await;
    let ledger = lab.ledger();
    lab.will(&[Act::Error(40613); 6]);
    let error = ledger.counts(app()).await.expect_err("it stays away");
    assert_eq!(error, Error::Transient(Cause::SqlServer(40613)));
    assert_eq!(lab.requests().len(), 6);
    assert_eq!(ledger.counts(app()).await, Ok(Counts::default()));
}

#[tokio::test]
async fn what_a_person_has_to_mend_is_not_tried_again() {
    for (number, expected) in [
        (229, Error::Denied(Cause::SqlServer(229))),
        (18456, Error::Denied(Cause::SqlServer(18456))),
        (102, Error::Refused(Cause::SqlServer(102))),
    ] {
        let lab = Lab::start().await;
        lab.will(&[Act::Error(number)]);
        let error = lab
            .ledger()
            .insert(app(), &[nth(1)])
            .await
            .expect_err("refused");
        assert_eq!(error, expected);
        assert_eq!(lab.requests().len(), 1);
        let text = format!("{error:?} {error}");
        assert!(!text.contains("nobody repeats"), "{text}");
    }
}

#[tokio::test]
async fn instances_that_write_the_same_find_it_there() {
    let lab = Lab::start().await;
    let ledger = lab.ledger();
    // No table; another instance makes the schema, then the table, at the same time; then it inserts the same.
    lab.will(&[
        Act::Error(208),
        Act::Error(2759),
        Act::Error(2714),
        Act::Error(208),
    ]);
    // The fourth comes to `CreateTable` again and is passed on as "no table", which ends this call, to be made again.
    assert_eq!(
        ledger.insert(app(), &[nth(1)]).await,
        Err(Error::Transient(Cause::NoTable))
    );
    lab.will(&[Act::Error(208), Act::Error(2714)]);
    assert_eq!(ledger.insert(app(), &[nth(1)]).await, Ok(1));
    lab.will(&[Act::Error(2627), Act::Error(2601)]);
    assert_eq!(ledger.insert(app(), &[nth(1), nth(2)]).await, Ok(1));
    lab.will(&[Act::Error(2627); 5]);
    assert_eq!(
        ledger.insert(app(), &[nth(3)]).await,
        Err(Error::Transient(Cause::SqlServer(2627)))
    );
}

#[tokio::test]
async fn a_broken_connection_loses_and_doubles_nothing() {
    let lab = Lab::start().await;
    let ledger = lab.ledger();
    let keys: Vec<Key> = (0..40).map(nth).collect();
    assert_eq!(ledger.insert(app(), &keys[..5]).await, Ok(5));
    lab.will(&[Act::BreakBefore]);
    let before = lab.connections();
    assert_eq!(ledger.insert(app(), &keys[5..10]).await, Ok(5));
    assert_eq!(lab.connections(), before + 1);
    // The answer was lost: what was new then is not new any more, and is there.
    lab.will(&[Act::BreakAfter]);
    assert_eq!(ledger.insert(app(), &keys[10..15]).await, Ok(0));
    lab.will(&[Act::BreakAfter, Act::BreakBefore]);
    assert_eq!(ledger.mark_retrieved(app(), &keys[..15]).await, Ok(0));
    let expected = Counts {
        total: 15,
        retrieved: 15,
    };
    assert_eq!(ledger.counts(app()).await, Ok(expected));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for() {
    let lab = Lab::start().await;
    let ledger = lab.changed(|server| server.statement_timeout = Duration::from_millis(200));
    lab.will(&[Act::Stall]);
    assert_eq!(ledger.insert(app(), &[nth(1)]).await, Ok(1));
    lab.will(&[Act::Stall; 6]);
    let error = ledger.counts(app()).await;
    assert_eq!(error, Err(Error::Transient(Cause::TimedOut)));
}

/// What a caller gave up is never taken for the answer to the next question.
#[tokio::test]
async fn callers_may_stop_waiting() {
    let lab = Lab::start().await;
    let ledger = lab.ledger();
    ledger
        .insert(app(), &[nth(1), nth(2)])
        .await
        .expect("it writes");
    let before = lab.connections();
    lab.will(&[Act::Stall]);
    let limit = Duration::from_millis(100);
    let given_up = tokio::time::timeout(limit, ledger.unretrieved(app(), None, 10)).await;
    assert!(given_up.is_err());
    assert_eq!(ledger.counts(app()).await.expect("it reads").total, 2);
    assert_eq!(lab.connections(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_few() {
    let lab = Lab::start().await;
    let ledger = lab.ledger();
    ledger.insert(app(), &[nth(1)]).await.expect("it writes");
    let before = lab.connections();
    let calls = (0..40).map(|_| ledger.counts(app()));
    for counts in futures::future::join_all(calls).await {
        assert_eq!(counts.expect("it reads").total, 1);
    }
    // One is there already, and three more may be made.
    let made = lab.connections() - before;
    assert!(made <= 3, "{made}");
}

#[tokio::test]
async fn nobody_listens() {
    let lab = Lab::start().await;
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("it listens");
    let port = unused.local_addr().expect("an address").port();
    drop(unused);
    let ledger = lab.changed(|server| server.port = port);
    let error = ledger.counts(app()).await.expect_err("nobody is there");
    assert!(
        matches!(error, Error::Transient(Cause::Connection(_))),
        "{error:?}"
    );
}

#[derive(Debug)]
struct Token;

#[async_trait::async_trait]
impl TokenCredential for Token {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        assert_eq!(scopes, ["https://database.windows.net/.default"]);
        #[expect(
            clippy::disallowed_methods,
            reason = "a token's end is in the real future"
        )]
        let end = SystemTime::now() + Duration::from_secs(3600);
        Ok(AccessToken::new("a-token-of-the-identity", end.into()))
    }
}

#[tokio::test]
async fn an_identity_logs_in_with_a_token() {
    let lab = Lab::start().await;
    let ledger = lab.with_token(Arc::new(Token));
    assert_eq!(ledger.insert(app(), &[nth(1)]).await, Ok(1));
    assert_eq!(lab.requests().last(), Some(&Statement::Insert));
    let store = lab.store.lock().await;
    let login = store.all().values().next().expect("a login");
    assert_eq!(
        login.received_token_as_string().as_deref(),
        Some("a-token-of-the-identity")
    );
}

/// A gateway of Azure SQL may send a client to the node that has the database.
#[tokio::test]
async fn a_gateway_may_send_us_on() {
    let lab = Lab::start().await;
    let (host, port) = (lab.address.ip().to_string(), lab.address.port());
    for (host, is_followed) in [(host.as_str(), true), ("localhost", false)] {
        let gateway = MockTdsServer::new_with_redirection("127.0.0.1:0", host, port).await;
        let gateway = gateway.expect("it listens");
        let at = gateway.local_addr().port();
        tokio::spawn(gateway.run());
        let ledger = lab.changed(|server| server.port = at);
        let found = ledger.counts(app()).await;
        assert_eq!(found.is_ok(), is_followed, "{host}: {found:?}");
    }
}
