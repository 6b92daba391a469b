//! Whether an answer is what it should be, and what is in it.

use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::error::Error;

/// What a good answer looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    /// A JSON document.
    Json,
    /// Nothing, a JSON document, or plain text: of calls where the status is the answer.
    Acknowledgement,
    /// Any bytes but a page; what is said to be JSON is whole.
    File,
}

/// Decides whether a success is one. A proxy's page or an error dressed as a success must not pass for an empty list.
pub(super) fn check_body(
    expect: Expect,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), &'static str> {
    let header = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_ascii_lowercase()
    };
    let encoding = header(CONTENT_ENCODING);
    if !encoding.is_empty() && encoding != "identity" {
        return Err("compressed, which was not asked for");
    }
    let content_type = header(CONTENT_TYPE);
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let is_json =
        media_type.is_empty() || media_type.ends_with("/json") || media_type.ends_with("+json");
    if expect == Expect::File {
        if media_type == "text/html" {
            return Err("a page instead of a file");
        }
        // A text may begin with JSON and go on otherwise; one that only ends too early was cut off.
        let begins = body.trim_ascii_start().first();
        let is_cut = || {
            let read = serde_json::from_slice::<IgnoredAny>(body);
            read.is_err_and(|error| error.is_eof())
        };
        if !media_type.is_empty()
            && is_json
            && matches!(begins, Some(b'{' | b'[' | b'"'))
            && is_cut()
        {
            return Err("it was cut off");
        }
        return Ok(());
    }
    if expect == Expect::Acknowledgement {
        if body.trim_ascii().is_empty() {
            return Ok(());
        }
        if media_type == "text/plain" && !body.trim_ascii_start().starts_with(b"<") {
            return Ok(());
        }
    }
    if !is_json {
        return Err("its content type is not JSON");
    }
    serde_json::from_slice::<IgnoredAny>(body)
        .map_err(|_error| "it is not JSON, or was cut off")?;
    if is_error(body) {
        return Err("an error with the status of a success");
    }
    Ok(())
}

/// Whether a JSON text is one of the known error bodies: an object with `error`, or with `message` and a code of some kind.
fn is_error(body: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Envelope {
        error: Option<IgnoredAny>,
        message: Option<IgnoredAny>,
        code: Option<IgnoredAny>,
        status_code: Option<IgnoredAny>,
    }
    is_object(body)
        && serde_json::from_slice::<Envelope>(body).is_ok_and(|it| {
            it.error.is_some()
                || (it.message.is_some() && (it.code.is_some() || it.status_code.is_some()))
        })
}

fn is_object(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"{")
}

/// Decodes an answer that is a JSON object. serde would fill its fields from an array as well.
pub(super) fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    if is_object(body) {
        decode_any(body)
    } else {
        Err(Error::protocol("it is not a JSON object"))
    }
}

/// Decodes a JSON answer of any form. serde's message quotes what it read, so it goes no further.
pub(super) fn decode_any<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    let what = "a field that must be there is missing or has a wrong type";
    serde_json::from_slice(body).map_err(|_error| Error::protocol(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_good(expect: Expect, content_type: &str, body: &str) -> bool {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            let value = content_type.parse().expect("a header value");
            headers.insert(CONTENT_TYPE, value);
        }
        check_body(expect, &headers, body.as_bytes()).is_ok()
    }

    #[test]
    fn what_passes_for_a_success() {
        use Expect::{Acknowledgement, File, Json};
        let json = "application/json; charset=utf-8";
        let cases = [
            (Json, json, "{}", true),
            (Json, "APPLICATION/JSON", "[]", true),
            (Json, "application/problem+json", "{}", true),
            (Json, "text/json", "\"x\"", true),
            (Json, "", "{}", true),
            (Json, json, "", false),
            (Json, json, "{", false),
            (Json, json, "{} {}", false),
            (Json, json, "<html>", false),
            (Json, "text/html", "{}", false),
            (Json, "text/plain", "{}", false),
            (Json, json, r#"{"error":{"code":"x","message":"y"}}"#, false),
            (Json, json, r#"{"error":"x"}"#, false),
            (Json, json, r#"{"error":null,"id":1}"#, true),
            (Json, json, r#"{"message":"x","code":"y"}"#, false),
            (Json, json, r#"{"message":"x","statusCode":401}"#, false),
            (Json, json, r#"{"message":"x"}"#, true),
            (Json, json, r#"[{"error":1}]"#, true),
            (Acknowledgement, "", "", true),
            (Acknowledgement, json, " ", true),
            (Acknowledgement, "text/html", "", true),
            (Acknowledgement, "text/plain", "ok", true),
            (Acknowledgement, "text/plain", " <html>", false),
            (Acknowledgement, "text/html", "ok", false),
            (Acknowledgement, json, "ok", false),
            (Acknowledgement, json, r#"{"error":{"code":"x"}}"#, false),
            (File, "text/html", "<html>", false),
            (File, "", "", true),
            (File, "", "{", true),
            (File, json, "", true),
            (File, json, "text", true),
            (File, json, r#"{"content":"x"}"#, true),
            (File, json, r#"{"content":"x"#, false),
            (File, json, "\"x", false),
            (File, json, "{\"a\":1}\nIncident Identifier: x", true),
            (File, "text/plain", "{", true),
        ];
        for (expect, content_type, body, expected) in cases {
            let is_good = is_good(expect, content_type, body);
            assert_eq!(is_good, expected, "{expect:?} {content_type} {body}");
        }
    }
}
