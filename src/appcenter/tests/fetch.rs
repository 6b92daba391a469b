//! Downloads: what is sent, what is refused, what is tried again.

use std::time::Duration;

use super::{Answer, Exchange, json, status};
use crate::appcenter::{Client, Error, Location, Why};

fn at(exchange: &Exchange) -> Location {
    let text = format!("http://127.0.0.1:{}/c/b?sig=canary", exchange.port);
    Location::parse(&text).expect("an address")
}

#[tokio::test]
async fn a_download_carries_no_token_and_costs_no_call() {
    let exchange = Exchange::start([json(200, "content").header("content-encoding", "gzip")]).await;
    let mut download = exchange
        .client()
        .fetch(&at(&exchange), 100)
        .await
        .expect("a download");
    assert_eq!(download.length(), Some(7));
    assert_eq!(download.content_encoding.as_deref(), Some("gzip"));
    let mut bytes = Vec::new();
    while let Some(chunk) = download.chunk().await.expect("a piece") {
        bytes.extend_from_slice(&chunk);
    }
    assert_eq!(bytes, b"content");
    let asked = exchange.asked().remove(0);
    assert!(!format!("{asked:?}").contains("canary-token"));
    assert_eq!(
        exchange
            .budget
            .taken
            .load(std::sync::atomic::Ordering::Relaxed),
        0
    );
}

#[tokio::test]
async fn only_listed_hosts_are_connected_to() {
    let exchange = Exchange::start([json(200, "x")]).await;
    let mut options = exchange.options();
    options.download_hosts.clear();
    let client = Client::new(options).expect("options are right");
    let error = client
        .fetch_bytes(&at(&exchange), 100)
        .await
        .expect_err("refused");
    assert!(matches!(error, Error::Address { .. }));
    assert!(!error.is_transient());
    assert!(exchange.asked().is_empty());
}

#[tokio::test]
async fn a_redirect_of_an_allowed_place_is_refused() {
    let other = Exchange::start([json(200, "x")]).await;
    let target = format!("http://127.0.0.1:{}/", other.port);
    let exchange = Exchange::start([status(302).header("location", &target)]).await;
    let error = exchange
        .client()
        .fetch_bytes(&at(&exchange), 100)
        .await
        .expect_err("refused");
    assert!(matches!(error, Error::Download { status: 302 }));
    assert!(other.asked().is_empty());
}

#[tokio::test]
async fn refusals_of_the_place_are_not_those_of_the_service() {
    for code in [400, 401, 403, 404, 410, 206, 204] {
        let exchange = Exchange::start([status(code)]).await;
        let error = exchange
            .client()
            .fetch_bytes(&at(&exchange), 100)
            .await
            .expect_err("refused");
        assert!(
            matches!(error, Error::Download { status } if status == code),
            "{code}"
        );
        assert!(!error.needs_person());
    }
}

#[tokio::test]
async fn lost_downloads_are_begun_again() {
    let limited = status(429).header("retry-after", "1");
    for lost in [
        Answer::Reset,
        Answer::Stall,
        Answer::CutOff { body: "x" },
        status(503),
        limited,
    ] {
        let shown = format!("{lost:?}");
        let exchange = Exchange::start([lost.clone(), json(200, "content")]).await;
        let bytes = exchange
            .client()
            .fetch_bytes(&at(&exchange), 100)
            .await
            .expect(&shown);
        assert_eq!(bytes.expose().as_ref(), b"content");
    }
    let exchange = Exchange::start(vec![Answer::CutOff { body: "x" }; 5]).await;
    let error = exchange
        .client()
        .fetch_bytes(&at(&exchange), 100)
        .await
        .expect_err("lost");
    assert!(matches!(
        error,
        Error::Transient {
            why: Why::ConnectionLost,
            ..
        }
    ));
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    assert_eq!(exchange.asked().len(), 3);
}

#[tokio::test]
async fn a_download_has_a_limit_announced_or_not() {
    let exchange = Exchange::start([json(200, "12345"), json(200, "12345")]).await;
    let client = exchange.client();
    let error = client
        .fetch_bytes(&at(&exchange), 4)
        .await
        .expect_err("too long");
    assert!(matches!(error, Error::TooLarge { limit: 4 }));
    let exact = client.fetch_bytes(&at(&exchange), 5).await.expect("fits");
    assert_eq!(exact.expose().len(), 5);
    // Without an announced length it ends at the limit.
    let head = "HTTP/1.1 200 OK\r\n\r\n".to_owned() + &"x".repeat(1000);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _peer) = listener.accept().await.expect("a connection");
        let _asked = stream.read(&mut [0; 4096]).await;
        let _sent = stream.write_all(head.as_bytes()).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    });
    let location = Location::parse(&format!("http://127.0.0.1:{port}/")).expect("an address");
    let error = client
        .fetch_bytes(&location, 10)
        .await
        .expect_err("too long");
    assert!(matches!(error, Error::TooLarge { limit: 10 }));
    server.abort();
}
