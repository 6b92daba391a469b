//! Faults, limits, retirement.

use std::time::{Duration, Instant};

use appcenter_sim::{Fault, FaultKind, Options, Retirement, World};

use crate::client::Client;

#[tokio::test]
async fn every_fault_shows_in_the_reply_and_says_whether_the_call_was_done() -> anyhow::Result<()> {
    let client = Client::demo().await?;
    let path = client.report_path("near-1");
    for (kind, status, is_done) in [
        (
            FaultKind::TooManyRequests {
                retry_after: Some(7),
            },
            Some(429),
            false,
        ),
        (FaultKind::Status { status: 500 }, Some(500), false),
        (FaultKind::Status { status: 503 }, Some(503), false),
        (FaultKind::NotFoundForBadToken, Some(404), false),
        (FaultKind::Reset, None, false),
        (FaultKind::BlobsFailed { count: 2 }, Some(200), false),
        (
            FaultKind::Redirect {
                to: "http://example.org/".to_owned(),
            },
            Some(302),
            false,
        ),
        (FaultKind::StatusAfter { status: 404 }, Some(404), true),
        (FaultKind::StatusAfter { status: 500 }, Some(500), true),
        (FaultKind::ResetAfter, None, true),
        (FaultKind::TruncatedBody, None, true),
        (FaultKind::TruncatedPage, Some(200), true),
        (FaultKind::WrongContentType, Some(200), true),
        (FaultKind::HugeBody { bytes: 100_000 }, Some(200), true),
        (FaultKind::SlowBody { millis: 40 }, Some(200), true),
        (FaultKind::Delay { millis: 20 }, Some(200), true),
    ] {
        let client = if is_done {
            &Client::demo().await?
        } else {
            &client
        };
        client.sim.faults().clear();
        client
            .sim
            .faults()
            .add(Fault::once("Errors_DeleteError", kind.clone()));
        let answer = client
            .call("DELETE", &client.report_path("near-1"), "")
            .await;
        match (status, answer) {
            (Some(status), Ok(answer)) => {
                assert_eq!(answer.status, status, "{kind:?}");
                let wanted =
                    matches!(kind, FaultKind::TooManyRequests { .. }).then(|| "7".to_owned());
                assert_eq!(answer.retry_after, wanted, "{kind:?}");
                if kind == FaultKind::TruncatedPage {
                    assert!(answer.json().is_null());
                }
            }
            (None, Err(_)) => {}
            (status, answer) => panic!("{kind:?}: {status:?} {answer:?}"),
        }
        assert_eq!(
            client.sim.audit().deleted.len(),
            usize::from(is_done),
            "{kind:?}"
        );
        assert_eq!(client.sim.faults().hits(), 1, "{kind:?}");
    }
    assert_eq!(client.sim.audit().half_deleted.len(), 1);
    assert_eq!(client.call("DELETE", &path, "").await?.status, 200);
    assert!(client.sim.audit().half_deleted.is_empty());
    Ok(())
}

#[tokio::test]
async fn addresses_in_replies_can_be_replaced() -> anyhow::Result<()> {
    let client = Client::demo().await?;
    let uri = "http://169.254.169.254/metadata".to_owned();
    client.sim.faults().add(Fault::once(
        "Errors_ErrorLocation",
        FaultKind::Location { uri: uri.clone() },
    ));
    client
        .sim
        .faults()
        .add(Fault::once("apps_get", FaultKind::Accepted));
    let path = format!("{}/location", client.report_path("near-1"));
    assert_eq!(
        client.get(&path).await?.json()["uri"],
        serde_json::json!(uri)
    );
    let accepted = client.get("").await?;
    assert_eq!(
        (accepted.status.as_u16(), accepted.text.as_str()),
        (202, "")
    );
    assert_eq!(client.get("").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn the_rate_limit_is_a_sliding_window_on_the_simulators_clock() -> anyhow::Result<()> {
    let options = Options {
        rate_limit: Some((5, Duration::from_secs(300))),
        ..Options::default()
    };
    let client = Client::start(World::demo()?, options).await?;
    for n in 0..8 {
        let expected = if n < 5 { 200 } else { 429 };
        assert_eq!(client.get("").await?.status, expected, "call {n}");
    }
    client.sim.clock().advance(Duration::from_secs(301));
    let answer = client.get("").await?;
    assert_eq!(answer.status, 200);
    let audit = client.sim.audit();
    assert_eq!((audit.over_rate(), audit.calls.len()), (3, 9));
    assert_eq!(audit.max_calls_in_window(Duration::from_secs(300)), 8);
    Ok(())
}

#[tokio::test]
async fn a_retired_service_answers_nothing_else() -> anyhow::Result<()> {
    let client = Client::demo().await?;
    client.sim.set_retired(true);
    assert_eq!(client.call_path("GET", "/v0.1/user", "").await?.status, 410);
    client.sim.set_retirement(Some(Retirement::NotFound));
    assert_eq!(client.get("").await?.status, 404);
    client.sim.set_retirement(Some(Retirement::Silent));
    assert!(client.get("").await.is_err());
    client.sim.set_retired(false);
    client.sim.set_test_retired(true);
    assert_eq!(client.get("/test_runs").await?.status, 404);
    assert_eq!(client.get("").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn a_simulator_ends_when_it_is_dropped() -> anyhow::Result<()> {
    let client = Client::demo().await?;
    let url = client.sim.url();
    drop(client);
    let begin = Instant::now();
    let address = url.trim_start_matches("http://").to_owned();
    while tokio::net::TcpStream::connect(&address).await.is_ok() {
        assert!(begin.elapsed() < Duration::from_secs(5), "it still listens");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}
