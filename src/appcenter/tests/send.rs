//! Statuses, retries, budget and limits, on the simplest call.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Answer, Exchange, TestBudget, app, json, status};
use crate::appcenter::{Client, Error, Reason, Why};

const USER: &str =
    r#"{"id":"u","email":"canary@example.com","name":"n","display_name":"d","origin":"appcenter"}"#;

/// The error of `GET /v0.1/user` and the number of calls, when the server always says the same.
async fn error_of(answer: Answer) -> (Error, usize) {
    let exchange = Exchange::start(vec![answer; 10]).await;
    let error = exchange.client().user().await.expect_err("an error");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert_eq!(
        exchange.budget.taken.load(Ordering::Relaxed),
        exchange.asked().len(),
        "every attempt is paid for"
    );
    (error, exchange.asked().len())
}

#[tokio::test]
async fn a_call_carries_the_token_and_no_double_slash() {
    let exchange = Exchange::start([json(200, USER)]).await;
    let user = exchange.client().user().await.expect("a user");
    assert!(!format!("{user:?}").contains("canary"));
    let asked = exchange.asked().remove(0);
    assert_eq!(asked.line, "GET /v0.1/user");
    assert_eq!(asked.headers["x-api-token"], "canary-token");
    assert!(asked.body.is_empty());
}

#[tokio::test]
async fn every_status_has_its_variant() {
    let body = r#"{"message":"canary@example.com","statusCode":1,"code":"Forbidden"}"#;
    type Is = fn(&Error) -> bool;
    let cases: [(u16, usize, Is); 19] = [
        (301, 1, |it| matches!(it, Error::Protocol { .. })),
        (307, 1, |it| matches!(it, Error::Protocol { .. })),
        (400, 1, |it| {
            matches!(it, Error::Rejected { status: 400, .. })
        }),
        (
            401,
            1,
            |it| matches!(it, Error::Unauthorized(refusal) if refusal.code.is_some()),
        ),
        (403, 1, |it| matches!(it, Error::Forbidden(_))),
        (404, 1, |it| matches!(it, Error::NotFound(_))),
        (408, 3, |it| {
            matches!(
                it,
                Error::Transient {
                    why: Why::Status(408),
                    ..
                }
            )
        }),
        (409, 1, |it| {
            matches!(it, Error::Rejected { status: 409, .. })
        }),
        (410, 1, |it| matches!(it, Error::Gone)),
        (411, 1, |it| {
            matches!(it, Error::Rejected { status: 411, .. })
        }),
        (413, 1, |it| matches!(it, Error::Rejected { .. })),
        (422, 1, |it| matches!(it, Error::Rejected { .. })),
        (429, 1, |it| matches!(it, Error::RateLimited { .. })),
        (500, 3, |it| {
            matches!(
                it,
                Error::Transient {
                    why: Why::Status(500),
                    ..
                }
            )
        }),
        (501, 1, |it| {
            matches!(it, Error::Rejected { status: 501, .. })
        }),
        (502, 3, |it| matches!(it, Error::Transient { .. })),
        (503, 3, |it| matches!(it, Error::Transient { .. })),
        (504, 3, |it| matches!(it, Error::Transient { .. })),
        (599, 3, |it| matches!(it, Error::Transient { .. })),
    ];
    for (status, calls, is) in cases {
        let (error, asked) = error_of(json(status, body)).await;
        assert!(is(&error), "{status}: {error:?}");
        assert_eq!(asked, calls, "{status}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Exchange::start([json(200, USER)]).await;
    let target = format!("http://127.0.0.1:{}/v0.1/user", elsewhere.port);
    for status in [301, 302, 303, 307, 308] {
        let (error, _asked) = error_of(json(status, USER).header("location", &target)).await;
        assert!(matches!(error, Error::Protocol { .. }));
    }
    assert!(elsewhere.asked().is_empty(), "the token went elsewhere");
}

#[tokio::test]
async fn a_rate_limit_holds_the_budget() {
    let now = || crate::clock::Clock::now(&crate::clock::SystemClock);
    // In the header, as a date, in milliseconds, in words, by code alone, and not at all.
    let words =
        r#"{"statusCode":429,"message":"Rate limit is exceeded. Try again in 40 seconds."}"#;
    let code = r#"{"error":{"code":"TooManyRequests","message":"x"}}"#;
    let cases = [
        (json(429, "{}").header("retry-after", "50"), 50),
        (status(429).header("x-ms-retry-after-ms", "45000"), 45),
        (json(429, words), 40),
        (json(403, code), 30),
        (status(429), 30),
    ];
    for (answer, seconds) in cases {
        let exchange = Exchange::start([answer.clone()]).await;
        let error = exchange.client().user().await.expect_err("limited");
        let held = exchange.budget.held.lock().expect("no panic").clone();
        let [held] = held.as_slice() else {
            panic!("held once: {answer:?}");
        };
        assert_eq!(error.retry_at(), Some(*held));
        let wait = held.duration_since(now()).as_secs_f64();
        let expected = f64::from(seconds);
        assert!(
            (expected - 5.0..=expected).contains(&wait),
            "{answer:?}: {wait}"
        );
        assert!(error.is_transient() && !error.needs_person());
    }
}

#[tokio::test]
async fn a_short_rate_limit_is_waited_for() {
    let limited = status(429).header("retry-after", "1");
    let exchange = Exchange::start([limited, json(200, USER)]).await;
    exchange.client().user().await.expect("a user");
    assert_eq!(exchange.asked().len(), 2);
    // Refused or not, both were answered, and so have arrived.
    assert_eq!(*exchange.budget.answered.lock().expect("no panic"), [0, 1]);
    assert_eq!(exchange.budget.held.lock().expect("no panic").len(), 1);
}

#[tokio::test]
async fn an_exhausted_budget_sends_nothing() {
    let exchange = Exchange::start([status(500), status(500)]).await;
    *exchange.budget.most.lock().expect("no panic") = Some(0);
    let error = exchange.client().user().await.expect_err("no budget");
    assert!(matches!(error, Error::BudgetExhausted { until } if until == TestBudget::until()));
    assert!(exchange.asked().is_empty());
    // A retry needs the budget as well.
    *exchange.budget.most.lock().expect("no panic") = Some(1);
    let error = exchange.client().user().await.expect_err("no budget");
    assert!(matches!(error, Error::BudgetExhausted { .. }));
    assert_eq!(exchange.asked().len(), 1);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again() {
    for lost in [
        Answer::Reset,
        Answer::CutOff { body: USER },
        Answer::Stall,
        status(500),
        json(202, "{}"),
        json(200, "{\"id\":"),
        json(200, ""),
        json(200, "<html>").header("content-type", "text/html"),
        json(200, USER).header("content-type", "text/html"),
        json(200, USER).header("content-encoding", "gzip"),
        json(
            200,
            r#"{"error":{"code":"InternalServerError","message":"x"}}"#,
        ),
    ] {
        let shown = format!("{lost:?}");
        // Of a call without a status nobody knows whether it has arrived yet.
        let is_silent = matches!(lost, Answer::Reset | Answer::Stall);
        let exchange = Exchange::start([lost, json(200, USER)]).await;
        let user = exchange.client().user().await;
        assert!(user.is_ok(), "{shown}: {user:?}");
        let answered = exchange.budget.answered.lock().expect("no panic").clone();
        let arrived: &[i64] = if is_silent { &[1] } else { &[0, 1] };
        assert_eq!(answered, arrived, "{shown}");
        assert_eq!(exchange.asked().len(), 2, "{shown}");
    }
}

#[tokio::test]
async fn what_stays_lost_is_told_apart() {
    type Is = fn(&Error) -> bool;
    let cases: [(Answer, usize, Is); 6] = [
        (Answer::Reset, 3, |it| {
            matches!(
                it,
                Error::Transient {
                    why: Why::ConnectionLost,
                    source: Some(_),
                    ..
                }
            )
        }),
        (Answer::CutOff { body: "{" }, 3, |it| {
            matches!(
                it,
                Error::Transient {
                    why: Why::ConnectionLost,
                    ..
                }
            )
        }),
        (Answer::Stall, 3, |it| {
            matches!(
                it,
                Error::Transient {
                    why: Why::TimedOut,
                    ..
                }
            )
        }),
        (json(202, "{}"), 4, |it| {
            matches!(
                it,
                Error::Transient {
                    why: Why::StillPending,
                    ..
                }
            )
        }),
        (json(200, "{\"canary\":"), 3, |it| {
            matches!(it, Error::Protocol { .. })
        }),
        (status(204), 3, |it| matches!(it, Error::Protocol { .. })),
    ];
    for (answer, calls, is) in cases {
        let (error, asked) = error_of(answer.clone()).await;
        assert!(is(&error), "{answer:?}: {error:?}");
        assert_eq!(asked, calls, "{answer:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_transient_and_names_no_address() {
    let exchange = Exchange::start([]).await;
    let mut options = exchange.options();
    options.base_url.set_port(Some(1)).expect("has a host");
    let client = Client::new(options).expect("options are right");
    let error = client.app(&app()).await.expect_err("nobody there");
    assert!(matches!(
        error,
        Error::Transient {
            why: Why::Unreachable,
            ..
        }
    ));
    assert!(!format!("{error:?}").contains("contoso"), "{error:?}");
}

#[tokio::test]
async fn answers_have_a_length_limit() {
    let exchange = Exchange::start([json(200, USER)]).await;
    let mut options = exchange.options();
    options.limits.answer_bytes = 10;
    let client = Client::new(options).expect("options are right");
    let error = client.user().await.expect_err("too long");
    assert!(matches!(error, Error::TooLarge { limit: 10 }));
    assert_eq!(exchange.asked().len(), 1);
}

#[tokio::test]
async fn a_total_time_bounds_the_retries() {
    let exchange = Exchange::start(vec![status(500); 5]).await;
    let mut options = exchange.options();
    options.limits.retry.total = Duration::ZERO;
    let client = Client::new(options).expect("options are right");
    client.user().await.expect_err("500");
    assert_eq!(exchange.asked().len(), 1);
}

#[tokio::test]
async fn apps_and_retention() {
    let id = "11c1a6f1-0cf9-4a32-8f3e-0b5f6f8b2c11";
    let body = format!(
        r#"{{"id":"{id}","name":"shop-android","os":"ANDROID","platform":"Java","app_secret":"canary","new":1,"member_permissions":["viewer"],"owner":{{"email":"canary"}}}}"#
    );
    let exchange = Exchange::start([
        json(200, &body),
        json(200, r#"{"name":"without-id"}"#),
        json(200, r#"{"retention_in_days":28}"#),
        json(200, r#"{"retention_in_days":"90"}"#),
        json(200, r#"{"retention_in_days":null}"#),
        json(
            403,
            r#"{"message":"API token does not belong to the requested app.","code":"Forbidden"}"#,
        ),
    ])
    .await;
    let client = exchange.client();
    let found = client.app(&app()).await.expect("an app");
    assert_eq!(found.id.to_string(), id);
    assert_eq!(found.os, Some(crate::appcenter::Os::Android));
    assert!(!format!("{found:?}").contains("canary"));
    let without = client.app(&app()).await;
    assert!(matches!(without, Err(Error::Protocol { .. })));
    assert_eq!(client.retention(&app()).await.expect("days"), 28);
    assert_eq!(client.retention(&app()).await.expect("days"), 90);
    let none = client.retention(&app()).await;
    assert!(matches!(none, Err(Error::Protocol { .. })));
    let error = client.app(&app()).await.expect_err("forbidden");
    assert!(error.needs_person());
    assert!(matches!(error, Error::Forbidden(refusal) if refusal.reason == Some(Reason::WrongApp)));
    assert_eq!(exchange.lines()[0], "GET /v0.1/apps/contoso/shop-android");
}

#[tokio::test]
async fn logs_name_the_operation_and_nothing_of_the_call() {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        // Fields are looked for as they are; another dependency of tests brings colours.
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // With one subscriber only, `tracing` lets whichever thread comes first decide for all whether a line is of interest,
    // and the threads of other tests have none.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);
    let exchange = Exchange::start([
        json(500, r#"{"message":"canary"}"#),
        json(404, r#"{"message":"canary","code":"canary@example.com"}"#),
        Answer::Reset,
        json(200, USER),
    ])
    .await;
    let client = exchange.client();
    let group = "424242u".parse().expect("a group");
    let error = "1-424242".parse().expect("an error ID");
    client
        .error_details(&app(), &group, &error)
        .await
        .expect_err("404");
    client.user().await.expect("a user");
    drop(guard);
    let logs = sink.0.lock().expect("no panic").clone();
    // Other crates log the host they connect to; only our own lines are looked at for what they must have.
    let logs = String::from_utf8(logs).expect("UTF-8");
    for word in [
        "Errors_GetErrorDetails",
        "users_get",
        "status=500",
        "status=404",
        "attempt=2",
        "duration_ms=",
    ] {
        assert!(logs.contains(word), "{word}: {logs}");
    }
    for secret in ["canary", "424242", "contoso"] {
        assert!(!logs.contains(secret), "{secret}: {logs}");
    }
}

/// The handler runs on several threads, so every call must be able to move between them.
#[test]
fn every_call_is_send() {
    fn is_send<T: Send>(_call: T) {}
    let inspect = |client: &Client, location: &crate::appcenter::Location| {
        let (app, group, error) = (app(), super::group(), super::error_id());
        is_send(client.fetch_bytes(location, 1));
        is_send(client.raw_log(&app, &group, &error, 1));
        is_send(client.crash_raw_log(&app, &group, &error, 1));
        is_send(client.all_session_logs(&app, &error));
        is_send(client.delete_error(&app, &group, &error, &crate::appcenter::Open));
        is_send(client.confirm_gone(&app, &group, &error));
        is_send(client.error_search(&app, ""));
        is_send(client.export_configurations(&app));
    };
    let _ = inspect;
}
