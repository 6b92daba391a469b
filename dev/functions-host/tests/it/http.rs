//! HTTP functions and the admin API.

use functions_host::Host;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::harness::{App, until};

fn http(methods: &[&str], route: &str) -> Value {
    json!([
        {"name": "req", "type": "httpTrigger", "direction": "in", "authLevel": "function", "methods": methods, "route": route},
        {"name": "res", "type": "http", "direction": "out"},
    ])
}

fn product(changes: &Value) -> App {
    App::new(changes)
        .function("intake", &http(&["post"], "requests"))
        .function("requests", &http(&["get"], "requests/{id?}/{part?}"))
        .function("decide", &http(&["post"], "requests/{id}/{action}"))
}

fn request(host: &Host, method: Method, path: &str) -> RequestBuilder {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()
        .expect("a client");
    client.request(method, format!("{}{path}", host.url()))
}

#[tokio::test]
async fn forwarding_keeps_method_path_and_headers() {
    let app = product(&json!({}));
    let host = app.start().await;
    let response = request(&host, Method::POST, "/api/requests?x=1&x=2&y=a%20b")
        .header("cookie", "c=1")
        .header("user-agent", "test/1")
        .header("content-type", "application/json")
        .body("{\"a\":1}")
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::ACCEPTED);
    assert_eq!(response.headers()["x-handler"], "yes");
    assert_eq!(response.text().await.expect("text"), "{\"a\":1}");
    let record = app.record();
    let entry = record
        .iter()
        .find(|entry| entry["method"] == "POST")
        .expect("forwarded");
    assert_eq!(entry["uri"], "/api/requests?x=1,2&y=a%20b");
    let headers: Vec<(String, String)> =
        serde_json::from_value(entry["headers"].clone()).expect("headers");
    let header = |name: &str| {
        headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    assert_eq!(header("cookie"), Some("c=1"));
    assert_eq!(
        header("user-agent"),
        Some("test/1 Azure-Functions-Host/4.1037.0.0")
    );
    assert_eq!(header("content-length"), Some("7"));
    assert_eq!(header("host"), host.url().strip_prefix("http://"));
    assert!(header("x-azure-functions-invocationid").is_some());
    assert_eq!(
        host.log().count("Executed 'Functions.intake' (Succeeded"),
        1
    );
}

#[tokio::test]
async fn answers_pass_through() {
    let app = product(&json!({}));
    let host = app.start().await;
    let check = async |method: Method, path: &str, status: u16| {
        let response = request(&host, method, path)
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.status(), status, "{path}");
        response
    };
    let missing = check(Method::GET, "/api/requests/missing", 404).await;
    assert_eq!(
        missing.headers()["content-type"],
        "application/problem+json"
    );
    assert_eq!(missing.text().await.expect("text"), r#"{"status":404}"#);
    let moved = check(Method::GET, "/api/requests/moved", 302).await;
    assert_eq!(moved.headers()["location"], "/api/elsewhere");
    check(Method::POST, "/api/requests/r1/approve", 202).await;
    check(Method::GET, "/API/Requests/r1/plan", 202).await;
    check(Method::GET, "/", 200).await;
    // No such route, or not with that method: the handler is not asked.
    let asked = app.record().len();
    for (method, path) in [
        (Method::GET, "/requests"),
        (Method::DELETE, "/api/requests"),
        (Method::GET, "/api/requests/a/b/c"),
        (Method::GET, "/api/intake"),
    ] {
        let answer = check(method, path, 404).await;
        assert!(answer.headers().get("x-handler").is_none(), "{path}");
    }
    assert_eq!(app.record().len(), asked);
}

#[tokio::test]
async fn chunked_bodies_are_lost_in_forwarding_and_kept_by_the_proxy() {
    for (proxying, expected) in [(false, ""), (true, "hello")] {
        let app = product(&json!({"customHandler": {"enableProxyingHttpRequest": proxying}}));
        let host = app.start().await;
        let stream = futures::stream::iter([Ok::<_, std::io::Error>("hel"), Ok("lo")]);
        let response = request(&host, Method::POST, "/api/requests")
            .body(reqwest::Body::wrap_stream(stream))
            .send()
            .await
            .expect("an answer");
        assert_eq!(response.text().await.expect("text"), expected, "{proxying}");
        let sized = request(&host, Method::POST, "/api/requests?a=1&a=2")
            .body("hello")
            .send()
            .await;
        assert_eq!(
            sized.expect("an answer").text().await.expect("text"),
            "hello"
        );
    }
}

#[tokio::test]
async fn large_bodies_are_refused() {
    let app = product(&json!({})).setting("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "1000");
    let host = app.start().await;
    for (size, status) in [(1000, 202), (1001, 413)] {
        let sent = request(&host, Method::POST, "/api/requests")
            .body("x".repeat(size))
            .send();
        assert_eq!(sent.await.expect("an answer").status(), status);
    }
}

#[tokio::test]
async fn keys_open_their_own_function() {
    let mut app = product(&json!({})).queue_function("jobs");
    app.options.enable_auth = true;
    let host = app.start().await;
    let own = |name: &str| host.function_key(name).expect("a key").to_owned();
    let (intake, requests, master) = (
        own("intake"),
        own("requests"),
        host.master_key().expect("a key").to_owned(),
    );
    let check = async |method: Method, path: &str, key: &str, status: u16| {
        let by_header = request(&host, method.clone(), path).header("x-functions-key", key);
        assert_eq!(
            by_header.send().await.expect("an answer").status(),
            status,
            "{path}"
        );
        let by_query = request(&host, method, &format!("{path}?code={key}"));
        assert_eq!(
            by_query.send().await.expect("an answer").status(),
            status,
            "{path}"
        );
    };
    check(Method::POST, "/api/requests", &intake, 202).await;
    check(Method::GET, "/api/requests", &intake, 401).await;
    check(Method::POST, "/api/requests/r1/approve", &intake, 401).await;
    check(Method::GET, "/api/requests", &requests, 202).await;
    check(Method::GET, "/api/requests", &master, 202).await;
    check(Method::GET, "/api/requests", "", 401).await;
    check(Method::POST, "/admin/functions/jobs", &intake, 401).await;
    check(Method::POST, "/admin/functions/jobs", &master, 202).await;
    assert!(!format!("{host:?}").contains(&intake));
    assert_eq!(host.log().count(&intake), 0);
}

#[tokio::test]
async fn json_mode_wraps_the_request() {
    let forwarding = json!({"customHandler": {"enableForwardingHttpRequest": false}});
    let app = App::new(&forwarding).function("show", &http(&[], "show/{name}"));
    let host = app.start().await;
    let response = request(&host, Method::PUT, "/api/show/test?q=1")
        .header("content-type", "application/json")
        .body(r#"{"leak":"x"}"#)
        .send()
        .await
        .expect("an answer");
    assert_eq!(response.status(), StatusCode::OK);
    let body = &app.bodies("show")[0];
    let req = &body["Data"]["req"];
    assert_eq!(req["Url"], format!("{}/api/show/test?q=1", host.url()));
    assert_eq!(req["Method"], "PUT");
    assert_eq!(req["Query"], json!({"q": "1"}));
    assert_eq!(req["Params"], json!({"name": "test"}));
    assert_eq!(req["Headers"]["Content-Type"], json!(["application/json"]));
    assert_eq!(req["Body"], r#"{"leak":"x"}"#);
    assert_eq!(req["Identities"][0]["IsAuthenticated"], false);
    assert_eq!(body["Metadata"]["name"], "\"test\"");
    assert_eq!(body["Metadata"]["leak"], "\"x\"");
}

#[tokio::test]
async fn functions_run_by_hand() {
    let app = product(&json!({})).queue_function("jobs");
    let host = app.start().await;
    let run = |name: &str, body: &'static str| {
        request(&host, Method::POST, &format!("/admin/functions/{name}"))
            .header("content-type", "application/json")
            .body(body)
            .send()
    };
    let status = async |name: &str, body: &'static str| {
        run(name, body).await.expect("an answer").status().as_u16()
    };
    assert_eq!(status("jobs", r#"{"input":"hello"}"#).await, 202);
    assert_eq!(status("nowhere", "{}").await, 404);
    assert_eq!(status("intake", "{}").await, 400);
    assert_eq!(status("jobs", "[").await, 400);
    until("it ran", async || host.succeeded() == 1).await;
    assert_eq!(app.bodies("jobs")[0]["Data"]["msg"], "\"hello\"");
    let state = request(&host, Method::GET, "/admin/host/status")
        .send()
        .await
        .expect("an answer");
    assert!(state.text().await.expect("text").contains("Running"));
}

#[tokio::test]
async fn a_dead_handler_is_a_500() {
    let app = product(&json!({})).setting("START", "once-exit:0");
    let host = app.start().await;
    until("it ended", async || {
        host.handler_pid().is_none() && app.starts() == 1
    })
    .await;
    let answer = request(&host, Method::GET, "/api/requests")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
