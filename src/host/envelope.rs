//! The host's JSON around a trigger, read leniently: what the documentation shows, the host's code and its captured
//! bytes differ in quoting.

use serde_json::{Map, Value};

/// An invocation as the host posts it for triggers that are not forwarded: `{"Data": …, "Metadata": …}`.
#[derive(Debug, Clone, Default)]
pub struct Invocation {
    /// By binding name.
    data: Map<String, Value>,
    /// Facts on the trigger, among which the message's own properties leak and overwrite: nothing that decides
    /// anything is read from here.
    metadata: Map<String, Value>,
}

/// What is wrong with an invocation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvocationError {
    /// The body is not the host's JSON.
    #[error("the invocation is not the host's JSON")]
    NotJson,
    /// It has no data of a trigger.
    #[error("the invocation holds no trigger data")]
    NoData,
}

impl Invocation {
    /// Reads an invocation's body.
    ///
    /// # Errors
    /// When it is not the host's JSON.
    pub fn parse(body: &[u8]) -> Result<Self, InvocationError> {
        // Not by `derive`, which takes an array for a struct whose fields have defaults.
        let mut parts: Map<String, Value> =
            serde_json::from_slice(body).map_err(|_error| InvocationError::NotJson)?;
        let mut part = |name: &str| match parts.remove(name) {
            None => Ok(Map::new()),
            Some(Value::Object(part)) => Ok(part),
            Some(_) => Err(InvocationError::NotJson),
        };
        Ok(Self {
            data: part("Data")?,
            metadata: part("Metadata")?,
        })
    }

    /// The text of the queue message.
    ///
    /// The host serialises a string value once more, so the text comes as a JSON string that holds a JSON string; one
    /// that is not quoted a second time is taken as it is. A message that is JSON stays text here.
    ///
    /// # Errors
    /// When there is not exactly one binding, or its value is no text.
    pub fn queue_text(&self) -> Result<String, InvocationError> {
        let mut values = self.data.values();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(InvocationError::NoData);
        };
        match value {
            Value::String(text) => Ok(unquote(text)),
            // Newer hosts may pass a JSON message on as an object.
            Value::Object(_) | Value::Array(_) => Ok(value.to_string()),
            _ => Err(InvocationError::NoData),
        }
    }

    /// A metadata value as text, whether it is a number, a string, or a string that holds a quoted one.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<String> {
        match self.metadata.get(name)? {
            Value::String(text) => Some(unquote(text)),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

fn unquote(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(Value::String(inner)) => inner,
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_texts_in_every_quoting() {
        for (body, expected) in [
            (
                r#"{"Data":{"queue":"\"hello!!\""},"Metadata":{}}"#,
                "hello!!",
            ),
            (r#"{"Data":{"queue":"\"{\\\"a\\\":1}\""}}"#, r#"{"a":1}"#),
            (r#"{"Data":{"msg":"{\"a\":1}"}}"#, r#"{"a":1}"#),
            (r#"{"Data":{"msg":{"a":1}}}"#, r#"{"a":1}"#),
            (r#"{"Data":{"msg":"plain"},"Extra":1}"#, "plain"),
        ] {
            let invocation = Invocation::parse(body.as_bytes()).expect("the host's JSON");
            assert_eq!(invocation.queue_text().as_deref(), Ok(expected), "{body}");
        }
    }

    #[test]
    fn a_captured_invocation_is_read() {
        let body = include_bytes!("../../tests/fixtures/host/queue.json");
        let invocation = Invocation::parse(body).expect("the host's JSON");
        assert_eq!(invocation.queue_text().as_deref(), Ok("hello!!"));
        assert_eq!(invocation.metadata("DequeueCount").as_deref(), Some("1"));
        assert_eq!(
            invocation.metadata("Id").as_deref(),
            Some("52d53c5f-e212-487e-998b-abbe3b9d51e4")
        );
        assert_eq!(invocation.metadata("sys"), None);
    }

    #[test]
    fn what_is_no_invocation_is_refused() {
        for body in ["", "[]", "null", "{\"Data\":3}"] {
            assert_eq!(
                Invocation::parse(body.as_bytes()).err(),
                Some(InvocationError::NotJson),
                "{body}"
            );
        }
        for body in [
            "{}",
            r#"{"Data":{}}"#,
            r#"{"Data":{"a":"1","b":"2"}}"#,
            r#"{"Data":{"a":null}}"#,
        ] {
            let invocation = Invocation::parse(body.as_bytes()).expect("JSON");
            assert_eq!(
                invocation.queue_text(),
                Err(InvocationError::NoData),
                "{body}"
            );
        }
    }
}
