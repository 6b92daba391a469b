//! Invocation bodies: `{"Data":{…},"Metadata":{…}}`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::newtonsoft::{doubly_encoded, to_text};

/// The body of one invocation, while it is put together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Envelope {
    data: Map<String, Value>,
    metadata: Map<String, Value>,
}

/// What a queue trigger passes on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Payload<'a> {
    /// `"dataType":"binary"`.
    Binary(&'a [u8]),
    Text(&'a str),
}

/// What the queue says about a message.
#[derive(Debug, Clone, Default)]
pub(crate) struct MessageFacts {
    pub(crate) id: Option<String>,
    pub(crate) pop_receipt: Option<String>,
    pub(crate) dequeue_count: u32,
    pub(crate) inserted: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) next_visible: Option<Timestamp>,
}

impl Envelope {
    /// The invocation of a queue function.
    pub(crate) fn queue(
        function: &str,
        binding: &str,
        payload: Payload<'_>,
        facts: &MessageFacts,
        now: Timestamp,
    ) -> Self {
        let mut envelope = Self::default();
        envelope.put_metadata("DequeueCount", doubly_encoded(&json!(facts.dequeue_count)));
        // `DateTimeOffset.MaxValue` stands for "never".
        let never = || "9999-12-31T23:59:59+00:00".to_owned();
        let expires = facts.expires.map_or_else(never, date_time);
        envelope.put_metadata("ExpirationTime", Value::String(expires));
        if let Some(id) = &facts.id {
            envelope.put_metadata("Id", doubly_encoded(&json!(id)));
        }
        let inserted = date_time(facts.inserted.unwrap_or(now));
        envelope.put_metadata("InsertionTime", Value::String(inserted));
        let next_visible = facts.next_visible.map_or_else(never, date_time);
        envelope.put_metadata("NextVisibleTime", Value::String(next_visible));
        if let Some(receipt) = &facts.pop_receipt {
            envelope.put_metadata("PopReceipt", doubly_encoded(&json!(receipt)));
        }
        let mut leaked_sys = false;
        let value = match payload {
            Payload::Binary(bytes) => Value::String(STANDARD.encode(bytes)),
            Payload::Text(text) => {
                leaked_sys = envelope.leak(text);
                doubly_encoded(&json!(text))
            }
        };
        envelope.put_data(binding, value);
        // System data makes way for a property of the message that has its name.
        let key = if leaked_sys { "$sys" } else { "sys" };
        envelope.put_metadata(key, sys(function, now));
        envelope
    }

    pub(crate) fn put_data(&mut self, name: &str, value: Value) {
        self.data.insert(name.to_owned(), value);
    }

    /// Sets a value of the metadata; the host compares the names without regard to case, and leaves out what ends in
    /// "trigger".
    pub(crate) fn put_metadata(&mut self, name: &str, value: Value) {
        if name.to_ascii_lowercase().ends_with("trigger") {
            return;
        }
        let known = self
            .metadata
            .keys()
            .find(|known| known.eq_ignore_ascii_case(name));
        let name = known.cloned().unwrap_or_else(|| name.to_owned());
        self.metadata.insert(name, value);
    }

    /// The top-level properties of a message (or body) that is a JSON object become metadata, over what is there.
    /// Says whether one of them was `sys`.
    pub(crate) fn leak(&mut self, text: &str) -> bool {
        let trimmed = text.trim();
        if !(trimmed.starts_with('{') && trimmed.ends_with('}')) {
            return false;
        }
        let Ok(Value::Object(properties)) = serde_json::from_str(trimmed) else {
            return false;
        };
        let mut leaked_sys = false;
        for (name, value) in properties {
            if let Some(value) = leaked(value) {
                leaked_sys |= name.eq_ignore_ascii_case("sys");
                self.put_metadata(&name, value);
            }
        }
        leaked_sys
    }

    /// The body as it is sent.
    pub(crate) fn to_body(&self) -> String {
        to_text(&json!({ "Data": self.data, "Metadata": self.metadata }))
    }
}

/// What a property of a message turns into: objects stay, arrays and nulls do not come, the rest becomes a text first
/// and is then quoted like every text.
fn leaked(value: Value) -> Option<Value> {
    let text = match value {
        Value::Object(_) => return Some(value),
        Value::Array(_) | Value::Null => return None,
        // `Convert.ToString` writes .NET's `True` and `False`.
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => invariant_date(&text).unwrap_or(text),
    };
    Some(doubly_encoded(&json!(text)))
}

/// Newtonsoft reads texts that look like ISO times as times; turned back into text they have .NET's invariant form.
fn invariant_date(text: &str) -> Option<String> {
    let looks_like = text.len() >= 19 && text.as_bytes().get(10) == Some(&b'T');
    if !looks_like {
        return None;
    }
    let time = text
        .parse::<Timestamp>()
        .map(|time| time.strftime("%m/%d/%Y %H:%M:%S").to_string());
    let local = || {
        let time = text.parse::<jiff::civil::DateTime>();
        time.map(|time| time.strftime("%m/%d/%Y %H:%M:%S").to_string())
    };
    time.or_else(|_| local()).ok()
}

/// A `DateTimeOffset` as it arrives: whole seconds, with an offset.
pub(crate) fn date_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// The `sys` object.
pub(crate) fn sys(function: &str, now: Timestamp) -> Value {
    json!({
        "MethodName": function,
        "RandGuid": Uuid::new_v4().to_string(),
        "UtcNow": utc_ticks(now),
    })
}

/// A UTC `DateTime` as Newtonsoft writes it: up to seven digits after the point, without zeros at the end.
fn utc_ticks(time: Timestamp) -> String {
    let ticks = time.subsec_nanosecond() / 100;
    let fraction = format!("{ticks:07}");
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{}{point}{fraction}Z", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::{Envelope, MessageFacts, Payload};
    use jiff::Timestamp;
    use serde_json::{Value, json};

    fn time(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn facts() -> MessageFacts {
        MessageFacts {
            id: Some("52d53c5f-e212-487e-998b-abbe3b9d51e4".to_owned()),
            pop_receipt: Some("MThGZWIyMDI1MDM6MDY6MjA3NjM1".to_owned()),
            dequeue_count: 1,
            inserted: Some(time("2025-02-18T03:06:19Z")),
            expires: Some(time("2025-02-25T03:06:19Z")),
            next_visible: Some(time("2025-02-18T03:16:20Z")),
        }
    }

    fn body(payload: Payload<'_>) -> String {
        let now = time("2025-02-18T03:06:20.7562691Z");
        let body = Envelope::queue("queue", "queue", payload, &facts(), now).to_body();
        let value: Value = serde_json::from_str(&body).expect("JSON");
        let guid = value["Metadata"]["sys"]["RandGuid"].as_str();
        let guid = guid.or(value["Metadata"]["$sys"]["RandGuid"].as_str());
        body.replace(guid.expect("a GUID"), "e59556b5-…")
    }

    /// Bytes that a handler logged under host 4.1036.1, the GUID shortened.
    #[test]
    fn a_queue_message_reads_as_the_real_host_sends_it() {
        let captured = r#"{"Data":{"queue":"\"hello!!\""},"Metadata":{"DequeueCount":"1","ExpirationTime":"2025-02-25T03:06:19+00:00","Id":"\"52d53c5f-e212-487e-998b-abbe3b9d51e4\"","InsertionTime":"2025-02-18T03:06:19+00:00","NextVisibleTime":"2025-02-18T03:16:20+00:00","PopReceipt":"\"MThGZWIyMDI1MDM6MDY6MjA3NjM1\"","sys":{"MethodName":"queue","RandGuid":"e59556b5-…","UtcNow":"2025-02-18T03:06:20.7562691Z"}}}"#;
        assert_eq!(body(Payload::Text("hello!!")), captured);
    }

    #[test]
    fn message_properties_leak_into_the_metadata() {
        fn check(message: &Value, expected: &[(&str, Value)]) {
            let value: Value =
                serde_json::from_str(&body(Payload::Text(&message.to_string()))).expect("JSON");
            for (name, expected) in expected {
                assert_eq!(
                    value["Metadata"].get(*name),
                    Some(expected),
                    "{name} of {message}"
                );
            }
        }
        check(
            &json!({"heyoooo": "hello"}),
            &[("heyoooo", json!("\"hello\""))],
        );
        check(&json!({"Id": "mine"}), &[("Id", json!("\"mine\""))]);
        check(&json!({"id": "mine"}), &[("Id", json!("\"mine\""))]);
        check(
            &json!({"n": 1, "b": true}),
            &[("n", json!("\"1\"")), ("b", json!("\"True\""))],
        );
        check(&json!({"o": {"x": [1]}}), &[("o", json!({"x": [1]}))]);
        check(
            &json!({"t": "2026-11-20T09:00:00Z"}),
            &[("t", json!("\"11/20/2026 09:00:00\""))],
        );
        check(
            &json!({"sys": "x"}),
            &[
                ("sys", json!("\"x\"")),
                (
                    "$sys",
                    json!({"MethodName": "queue", "RandGuid": "e59556b5-…",
                    "UtcNow": "2025-02-18T03:06:20.7562691Z"}),
                ),
            ],
        );
        let value = body(Payload::Text(r#" {"a":[1],"z":null,"myTrigger":"x"} "#));
        let value: Value = serde_json::from_str(&value).expect("JSON");
        assert_eq!(value["Metadata"].as_object().expect("an object").len(), 7);
    }

    #[test]
    fn binary_messages_are_one_base64_text_and_do_not_leak() {
        let value: Value =
            serde_json::from_str(&body(Payload::Binary(b"{\"Id\":1}"))).expect("JSON");
        assert_eq!(value["Data"]["queue"], "eyJJZCI6MX0=");
        assert_eq!(
            value["Metadata"]["Id"],
            "\"52d53c5f-e212-487e-998b-abbe3b9d51e4\""
        );
    }
}
