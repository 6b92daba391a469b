//! From an answer's `Outputs` and `ReturnValue` to queue messages, with the host's conversions.

use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, Engine as _};
use serde_json::Value;

use crate::manifest::{Function, MessageEncoding, QueueRef, Target};
use crate::wire::Reply;

/// .NET's decoder: padding is required, left-over bits may be anything.
const DOT_NET: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Decodes base64 as `Convert.FromBase64String` does, which skips white space.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let packed: Vec<u8> = text
        .bytes()
        .filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | b'\n'))
        .collect();
    DOT_NET.decode(packed).ok()
}

/// A message's text on the wire.
pub(crate) fn encode(message: &[u8], encoding: MessageEncoding) -> String {
    match encoding {
        MessageEncoding::Base64 => STANDARD.encode(message),
        MessageEncoding::None => String::from_utf8_lossy(message).into_owned(),
    }
}

/// The value that an answer gives to an output binding.
pub(crate) fn value_of<'a>(reply: &'a Reply, binding: &str, has_return: bool) -> Option<&'a Value> {
    let value = if binding == "$return" {
        reply.return_value.as_ref()
    } else {
        // Without a binding for the return value, an object there is more outputs.
        let returned = || match &reply.return_value {
            Some(Value::Object(more)) if !has_return => more.get(binding),
            _ => None,
        };
        reply.outputs.get(binding).or_else(returned)
    };
    value.filter(|value| !value.is_null())
}

/// The messages that an answer sends, each with its queue.
pub(crate) fn queue_messages<'a>(
    function: &'a Function,
    reply: &Reply,
) -> Vec<(&'a QueueRef, Vec<u8>)> {
    let has_return = has_return(function);
    let mut messages = Vec::new();
    for output in &function.outputs {
        let Target::Queue(queue) = &output.target else {
            continue;
        };
        if let Some(value) = value_of(reply, &output.name, has_return) {
            messages.extend(
                converted(value, queue.binary)
                    .into_iter()
                    .map(|message| (queue, message)),
            );
        }
    }
    messages
}

/// Whether a binding takes the return value.
pub(crate) fn has_return(function: &Function) -> bool {
    function
        .outputs
        .iter()
        .any(|output| output.name == "$return")
}

/// The messages of one value.
fn converted(value: &Value, binary: bool) -> Vec<Vec<u8>> {
    match value {
        Value::String(text) => {
            // Whatever happens to be valid base64 is taken for bytes.
            if !binary && let Some(bytes) = decode_base64(text) {
                return vec![bytes];
            }
            match serde_json::from_str(text) {
                Ok(value @ Value::Object(_)) => vec![indented(&value)],
                Ok(Value::Array(items)) => items.iter().filter_map(element).collect(),
                _ => vec![text.clone().into_bytes()],
            }
        }
        Value::Array(items) => items.iter().filter_map(element).collect(),
        value => element(value).into_iter().collect(),
    }
}

/// An element of an array: texts as they are.
fn element(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone().into_bytes()),
        Value::Bool(true) => Some(b"True".to_vec()),
        Value::Bool(false) => Some(b"False".to_vec()),
        Value::Number(number) => Some(number.to_string().into_bytes()),
        Value::Array(_) | Value::Object(_) => Some(indented(value)),
    }
}

/// `JToken.ToString()`: two spaces, and .NET's line ends on Linux.
fn indented(value: &Value) -> Vec<u8> {
    serde_json::to_vec_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{converted, decode_base64};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    #[test]
    fn base64_as_dot_net_reads_it() {
        fn check(text: &str, expected: Option<&str>) {
            let got = decode_base64(text);
            assert_eq!(got.as_deref(), expected.map(str::as_bytes), "{text}");
        }
        check("aGk=", Some("hi"));
        check(" aG\r\nk=", Some("hi"));
        check("", Some(""));
        check("aGl=", Some("hi"));
        check("aGk", None);
        check("aGk==", None);
        check("{}", None);
        check("a-_=", None);
    }

    #[test]
    fn values_become_messages_as_in_the_host() {
        fn check(value: &Value, expected: &[&str]) {
            let got: Vec<String> = converted(value, false)
                .into_iter()
                .map(|message| String::from_utf8_lossy(&message).into_owned())
                .collect();
            assert_eq!(got, expected, "{value}");
        }
        check(&json!("hello!"), &["hello!"]);
        check(&json!("aGk="), &["hi"]);
        check(&json!(["aGk=", "x"]), &["aGk=", "x"]);
        check(&json!({"a": 1}), &["{\n  \"a\": 1\n}"]);
        check(&json!("{\"a\":1}"), &["{\n  \"a\": 1\n}"]);
        check(&json!("[\"one\",{\"b\":2}]"), &["one", "{\n  \"b\": 2\n}"]);
        check(&json!([null, 1.5, true]), &["1.5", "True"]);
        check(&json!([]), &[]);
        // A word that is valid base64 is not kept.
        assert_ne!(converted(&json!("test"), false), [b"test".to_vec()]);
        assert_eq!(converted(&json!("test"), true), [b"test".to_vec()]);
    }

    proptest! {
        #[test]
        fn base64_of_a_message_is_that_message(message in proptest::collection::vec(any::<u8>(), 0..64)) {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(&message);
            prop_assert_eq!(converted(&json!(text), false), [message]);
        }
    }
}
