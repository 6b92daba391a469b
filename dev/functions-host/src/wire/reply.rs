//! The handler's answer to an invocation: when it counts as success, and what it holds.

use axum::http::StatusCode;
use serde_json::{Map, Value};

/// What a handler answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Reply {
    pub(crate) outputs: Map<String, Value>,
    pub(crate) logs: Vec<String>,
    pub(crate) return_value: Option<Value>,
}

/// Why an answer fails its invocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("Response status code does not indicate success: {} ({}).", .0.as_u16(), .0.canonical_reason().unwrap_or_default())]
    Status(StatusCode),
    /// The real host would wait for ever.
    #[error(
        "the handler answered with an empty body or null: the real host would hang until functionTimeout and then kill the handler; answer at least {{}}"
    )]
    Hang,
    #[error("Invalid HttpResponseMessage: {0}")]
    Invalid(&'static str),
}

/// Reads an answer. The body never enters an error: it may hold what the message held.
pub(crate) fn read(
    status: StatusCode,
    content_type: Option<&str>,
    has_zero_length: bool,
    body: &[u8],
) -> Result<Reply, Fault> {
    if !status.is_success() {
        return Err(Fault::Status(status));
    }
    // An empty body of known length is never looked at.
    if body.is_empty() && (has_zero_length || status == StatusCode::NO_CONTENT) {
        return Err(Fault::Hang);
    }
    let media = content_type.unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") && !media.eq_ignore_ascii_case("text/json") {
        return Err(Fault::Invalid(
            "no media type formatter is available to read content of this Content-Type",
        ));
    }
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    if body.trim_ascii().is_empty() {
        return Err(Fault::Hang);
    }
    match serde_json::from_slice(body) {
        Ok(Value::Null) => Err(Fault::Hang),
        Ok(Value::Object(members)) => from_members(members),
        Ok(_) => Err(Fault::Invalid("the JSON is no object")),
        Err(_) => Err(Fault::Invalid("the body is not JSON")),
    }
}

fn from_members(members: Map<String, Value>) -> Result<Reply, Fault> {
    let mut reply = Reply::default();
    for (name, value) in members {
        match (name.to_ascii_lowercase().as_str(), value) {
            ("outputs", Value::Object(outputs)) => reply.outputs = outputs,
            ("outputs" | "logs", Value::Null) => {}
            ("outputs", _) => return Err(Fault::Invalid("Outputs is no object")),
            ("logs", Value::Array(lines)) => {
                for line in lines {
                    match line {
                        Value::String(line) => reply.logs.push(line),
                        Value::Number(_) | Value::Bool(_) => reply.logs.push(line.to_string()),
                        Value::Null => {}
                        Value::Array(_) | Value::Object(_) => {
                            return Err(Fault::Invalid("Logs holds something that is no text"));
                        }
                    }
                }
            }
            ("logs", _) => return Err(Fault::Invalid("Logs is no array")),
            ("returnvalue", value) if !value.is_null() => reply.return_value = Some(value),
            _ => {}
        }
    }
    Ok(reply)
}

#[cfg(test)]
mod tests {
    use super::{Fault, Reply, read};
    use axum::http::StatusCode;
    use proptest::prelude::*;

    const JSON: Option<&str> = Some("application/json; charset=utf-8");

    #[test]
    fn answers_count_as_the_real_host_counts_them() {
        fn check(status: u16, content_type: Option<&str>, body: &str, expected: &str) {
            let status = StatusCode::from_u16(status).expect("a status");
            let got = match read(status, content_type, body.is_empty(), body.as_bytes()) {
                Ok(_) => "success",
                Err(Fault::Hang) => "hang",
                Err(Fault::Status(_)) => "status",
                Err(Fault::Invalid(_)) => "invalid",
            };
            assert_eq!(got, expected, "{status} {content_type:?} {body}");
        }
        check(200, JSON, "{}", "success");
        check(201, Some("TEXT/JSON"), "{}", "success");
        check(
            200,
            JSON,
            r#"{"outputs":null,"logs":null,"x":1}"#,
            "success",
        );
        check(200, JSON, "", "hang");
        check(200, None, "", "hang");
        check(204, None, "", "hang");
        check(200, JSON, "null", "hang");
        check(200, JSON, "  ", "hang");
        check(200, None, "{}", "invalid");
        check(200, Some("text/plain"), "{}", "invalid");
        check(200, JSON, "[]", "invalid");
        check(200, JSON, "\"{}\"", "invalid");
        check(200, JSON, "{", "invalid");
        check(200, JSON, r#"{"Outputs":[]}"#, "invalid");
        check(200, JSON, r#"{"Logs":"x"}"#, "invalid");
        check(500, JSON, "{}", "status");
        check(302, JSON, "{}", "status");
        check(404, None, "", "status");
        // A chunked empty body has no length that says so, and then the type decides.
        assert_eq!(read(StatusCode::OK, JSON, false, b""), Err(Fault::Hang));
        assert!(matches!(
            read(StatusCode::OK, None, false, b""),
            Err(Fault::Invalid(_))
        ));
    }

    #[test]
    fn names_are_read_in_any_case() {
        let body = br#"{"OUTPUTS":{"a":1},"logs":["x",2],"returnValue":"r"}"#;
        let reply: Reply = read(StatusCode::OK, JSON, false, body).expect("whole");
        assert_eq!(reply.outputs["a"], 1);
        assert_eq!(reply.logs, ["x", "2"]);
        assert_eq!(reply.return_value, Some("r".into()));
    }

    #[test]
    fn the_status_line_reads_as_in_dot_net() {
        let text = Fault::Status(StatusCode::INTERNAL_SERVER_ERROR).to_string();
        assert_eq!(
            text,
            "Response status code does not indicate success: 500 (Internal Server Error)."
        );
    }

    proptest! {
        #[test]
        fn any_body_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = read(StatusCode::OK, JSON, false, &body);
        }
    }
}
