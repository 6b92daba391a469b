use super::transport::Way;
use super::{Settings, Start, Telemetry, Trigger, continue_trace, event, traceparent, values};

#[test]
fn nothing_is_built_without_a_destination() {
    let telemetry = Telemetry::new(Settings::default());
    let start = Start {
        function: "delete",
        trigger: Trigger::Queue,
        id: String::new(),
        parent: String::new(),
    };
    assert!(telemetry.begin(start).is_none());
    assert_eq!(traceparent(), None);
    // Outside of an invocation nothing happens.
    event(super::Event::InvocationFailed {
        function: "delete",
        reason: "",
    });
}

#[tokio::test]
async fn an_invocation_is_in_the_trace_that_it_goes_on_with() {
    let telemetry = Telemetry::new(Settings {
        otlp: "http://127.0.0.1:9".parse().ok(),
        ..Settings::default()
    });
    let begin = |parent: &str| {
        telemetry.begin(Start {
            function: "delete",
            trigger: Trigger::Queue,
            id: "1".to_owned(),
            parent: parent.to_owned(),
        })
    };
    let host = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    let message = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (goes_on, expected) in [
        (Some(message), "5bf92f"),
        (None, "4bf92f"),
        (Some("x"), "4bf92f"),
    ] {
        let invocation = begin(host).expect("telemetry is on");
        let found = invocation.run(async {
            continue_trace(goes_on);
            // Once it has begun it stays where it is.
            continue_trace(Some(
                "00-6bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            ));
            traceparent()
        });
        let found = found.await.expect("telemetry is on");
        assert!(
            found[3..].starts_with(expected) && found.ends_with("-01"),
            "{found}"
        );
        assert!(
            !found.contains("00f067aa0ba902b7"),
            "a span of its own: {found}"
        );
        invocation.end(200);
    }
    let invocation = begin("someone@example.com").expect("telemetry is on");
    let found = invocation.run(async { traceparent() }).await;
    assert_eq!(found.map(|it| it.len()), Some(55), "a trace of its own");
    invocation.end(500);
}

#[test]
fn values_are_taken_in_their_form_only() {
    let id = "0123456789abcdef0123456789abcdef";
    assert!(values::request(id).is_some());
    for bad in ["", "someone@example.com", &id.replace('0', "g"), &id[1..]] {
        assert!(values::request(bad).is_none(), "{bad}");
    }
    assert!(values::app("contoso/shop").is_some());
    for bad in [
        "",
        "contoso",
        "contoso/",
        "a b/c",
        "someone@example.com/x",
        "a/b/c",
    ] {
        assert!(values::app(bad).is_none(), "{bad}");
    }
    assert!(values::day("2026-11-20").is_some());
    for bad in ["", "2026-11-2", "2026-11-200", "someonexxx"] {
        assert!(values::day(bad).is_none(), "{bad}");
    }
    assert!(values::host_id("52d53c5f-e212-487e-998b-abbe3b9d51e4").is_some());
    for bad in ["", "someone@example.com", "a b"] {
        assert!(values::host_id(bad).is_none(), "{bad}");
    }
    assert_eq!(values::reason("a\nb").as_str(), "a b");
    assert_eq!(values::reason(&"x".repeat(999)).as_str().len(), 300);
}

#[test]
fn places_in_traces_are_read_and_written() {
    let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let context = values::context(text).expect("valid");
    assert_eq!(values::traceparent(&context), text);
    for bad in [
        "",
        "00-x",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-4bf92f3577b34da6a3ce929d0e0e47é-00f067aa0ba902b7-01",
    ] {
        assert!(values::context(bad).is_none(), "{bad}");
    }
}

#[test]
fn plain_http_is_for_this_machine() {
    let key = "InstrumentationKey=00000000-0000-0000-0000-000000000001";
    for (endpoint, expected) in [
        ("", Way::default()),
        (
            ";IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/",
            Way::default(),
        ),
        (";IngestionEndpoint=http://10.0.0.1/", Way::default()),
        (";IngestionEndpoint=nonsense", Way::default()),
        (
            ";IngestionEndpoint=http://127.0.0.1:4318/",
            Way::to(&"http://localhost".parse().expect("an address")),
        ),
    ] {
        assert_eq!(
            Way::of_connection(&format!("{key}{endpoint}")),
            expected,
            "{endpoint}"
        );
    }
}
