//! The host's JSON around a trigger, read leniently: what the documentation shows, the host's code and its captured
//! bytes differ in quoting.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

/// An invocation as the host posts it for triggers that are not forwarded: `{"Data": …, "Metadata": …}`.
///
/// Only what is asked for is decoded: the rest is passed over.
#[derive(Debug, Clone, Default)]
pub struct Invocation<'a> {
    /// By binding name.
    data: Option<&'a RawValue>,
    /// Facts on the trigger, among which the message's own properties leak and overwrite: nothing that decides
    /// anything is read from here.
    metadata: Option<&'a RawValue>,
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

impl<'a> Invocation<'a> {
    /// Reads an invocation's body.
    ///
    /// # Errors
    /// When it is not the host's JSON.
    pub fn parse(body: &'a [u8]) -> Result<Self, InvocationError> {
        serde_json::from_slice(body).map_err(|_error| InvocationError::NotJson)
    }

    /// The text of the queue message.
    ///
    /// The host serialises a string value once more, so the text comes as a JSON string that holds a JSON string; one
    /// that is not quoted a second time is taken as it is. A message that is JSON stays text here.
    ///
    /// # Errors
    /// When there is not exactly one binding, or its value is no text.
    pub fn queue_text(&self) -> Result<String, InvocationError> {
        let data = self.data.and_then(members).unwrap_or_default();
        let &[(_, value)] = data.as_slice() else {
            return Err(InvocationError::NoData);
        };
        match value.get().as_bytes().first() {
            Some(b'"') => text(value).ok_or(InvocationError::NoData),
            // Newer hosts may pass a JSON message on as an object.
            Some(b'{' | b'[') => Ok(value.get().to_owned()),
            _ => Err(InvocationError::NoData),
        }
    }

    /// A metadata value as text, whether it is a number, a string, or a string that holds a quoted one.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<String> {
        let all = self.metadata.and_then(members)?;
        let (_, value) = all.into_iter().rev().find(|(key, _)| key == name)?;
        match value.get().as_bytes().first()? {
            b'"' => text(value),
            b'-' | b'0'..=b'9' => Some(value.get().to_owned()),
            _ => None,
        }
    }
}

fn members(object: &RawValue) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    let members: Members<'_> = serde_json::from_str(object.get()).ok()?;
    Some(members.0)
}

/// A string, or the one that it quotes.
fn text(value: &RawValue) -> Option<String> {
    let text: String = serde_json::from_str(value.get()).ok()?;
    Some(serde_json::from_str(&text).unwrap_or(text))
}

/// An object's members, undecoded.
struct Members<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = Vec::new();
        deserializer.deserialize_map(Each(|name, value| members.push((name, value))))?;
        Ok(Self(members))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Invocation<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (mut data, mut metadata) = (None, None);
        deserializer.deserialize_map(Each(|name: Cow<'de, str>, value| match &*name {
            "Data" => data = Some(value),
            "Metadata" => metadata = Some(value),
            _ => {}
        }))?;
        let is_object = |value: &RawValue| value.get().starts_with('{');
        if !data.into_iter().chain(metadata).all(is_object) {
            return Err(D::Error::custom("not an object"));
        }
        Ok(Self { data, metadata })
    }
}

/// Takes an object's members one by one. What is derived would take an array for an object.
struct Each<F>(F);

impl<'de, F: FnMut(Cow<'de, str>, &'de RawValue)> Visitor<'de> for Each<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(Name(name)) = map.next_key()? {
            (self.0)(name, map.next_value()?);
        }
        Ok(())
    }
}

/// A member's name, borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

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
