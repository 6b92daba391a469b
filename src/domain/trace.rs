//! Where in a trace something belongs: W3C's `traceparent`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::ids::InvalidId;

/// A `traceparent` of version 00: IDs of a trace and of a span in it, made at random. It says nothing of anybody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct TraceParent(String);

impl TraceParent {
    /// As it travels: `00-<trace>-<span>-<flags>`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both belong to the same trace.
    #[must_use]
    pub fn is_with(&self, other: &Self) -> bool {
        self.0.get(3..35) == other.0.get(3..35)
    }

    /// Reads one as a field of something else, of which it must not be the fault: what is none is left out.
    ///
    /// # Errors
    /// When the field cannot be read as a value at all.
    pub fn lenient<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Self>, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        Ok(value.as_str().and_then(|text| text.parse().ok()))
    }
}

impl FromStr for TraceParent {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_hex = |part: &str| {
            part.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        let is_some = |part: &str| is_hex(part) && part.bytes().any(|byte| byte != b'0');
        let parts: Vec<&str> = text.split('-').collect();
        let is_valid = match parts.as_slice() {
            ["00", trace, span, flags] => {
                (trace.len(), span.len(), flags.len()) == (32, 16, 2)
                    && is_some(trace)
                    && is_some(span)
                    && is_hex(flags)
            }
            _ => false,
        };
        if is_valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId {
                kind: "traceparent",
                reason: "`00-`, 32 hex digits, 16 and 2, none of the IDs zero",
            })
        }
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::TraceParent;

    const ONE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_what_is_one_is_taken() {
        let parse = |text: &str| text.parse::<TraceParent>();
        let one = parse(ONE).expect("valid");
        assert_eq!(one.as_str(), ONE);
        let sibling = ONE.replace("00f067aa0ba902b7", "00f067aa0ba902b8");
        assert!(one.is_with(&parse(&sibling).expect("valid")));
        let other = ONE.replace("4bf92f", "5bf92f");
        assert!(!one.is_with(&parse(&other).expect("valid")));
        for bad in [
            "",
            "00",
            &ONE.replace("00-", "01-"),
            &ONE.to_uppercase(),
            &format!("{ONE}-x"),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47é-00f067aa0ba902b7-01",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
