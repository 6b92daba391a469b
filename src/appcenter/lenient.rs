//! Decoding what App Center sends rather than what it documents: optional fields, numbers as texts, one thing for a list of one.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::Value;

use super::personal::Personal;

/// A text; numbers and booleans become one. Anything else is absent.
pub(super) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    Ok(to_text(Value::deserialize(from)?))
}

/// A personal text.
pub(super) fn personal<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Personal<String>>, D::Error> {
    Ok(text(from)?.map(Personal::new))
}

/// A text that parses as `T`; one that does not is absent.
pub(super) fn parsed<'de, D: Deserializer<'de>, T: FromStr>(
    from: D,
) -> Result<Option<T>, D::Error> {
    Ok(text(from)?.and_then(|text| text.parse().ok()))
}

/// A time in one of the forms of [`date`]; anything else is absent.
pub(super) fn time<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(text(from)?.and_then(|text| date(&text)))
}

/// A number, or a text with one; anything else is absent.
pub(super) fn count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    Ok(to_count(&Value::deserialize(from)?))
}

/// A number, or a text with one, or null. Anything else is an error: a count that decides something must not be guessed.
pub(super) fn strict_count<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(None),
        value => to_count(&value)
            .map(Some)
            .ok_or_else(|| D::Error::custom("not a count")),
    }
}

/// A boolean, or a text with one in any case; anything else is absent.
pub(super) fn flag<'de, D: Deserializer<'de>>(from: D) -> Result<Option<bool>, D::Error> {
    Ok(match Value::deserialize(from)? {
        Value::Bool(flag) => Some(flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    })
}

/// A list; null is an empty one, and a single object a list of one.
pub(super) fn list<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    from: D,
) -> Result<Vec<T>, D::Error> {
    match Value::deserialize(from)? {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items
            .into_iter()
            .map(|item| T::deserialize(item).map_err(D::Error::custom))
            .collect(),
        single => Ok(vec![T::deserialize(single).map_err(D::Error::custom)?]),
    }
}

fn to_text(value: Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn to_count(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Reads an ISO 8601 time with 0 to 7 digits of fraction, as .NET writes it with trailing zeros cut off.
///
/// Without an offset it is UTC. .NET's greatest time is past the last one that can be held, and gives that one.
#[must_use]
pub fn date(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if text.len() > 40 {
        return None;
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(at);
    }
    if let Ok(civil) = text.parse::<DateTime>() {
        return TimeZone::UTC.to_timestamp(civil).ok();
    }
    (text.starts_with("9999-12-3") && text.ends_with('Z')).then_some(Timestamp::MAX)
}

/// An enumeration that the service may extend: known texts in any case, others kept as they came.
macro_rules! open_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A text that is none of the known ones.
            Other(String),
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $(if text.eq_ignore_ascii_case($text) {
                    return Self::$variant;
                })+
                Self::Other(text.to_owned())
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(Self::from(text))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)+
                    Self::Other(text) => text,
                })
            }
        }
    };
}
pub(super) use open_enum;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn dates_as_they_were_seen() {
        let cases = [
            ("2022-09-23T16:41:00Z", Some("2022-09-23T16:41:00Z")),
            ("2022-09-23T16:41:00", Some("2022-09-23T16:41:00Z")),
            (
                "2018-09-28T16:20:15.931282Z",
                Some("2018-09-28T16:20:15.931282Z"),
            ),
            (
                "2018-10-03T14:12:02.7178124Z",
                Some("2018-10-03T14:12:02.7178124Z"),
            ),
            (
                "2022-09-23T17:06:14.5901576",
                Some("2022-09-23T17:06:14.5901576Z"),
            ),
            (
                "2022-09-23T17:06:14.5+02:00",
                Some("2022-09-23T15:06:14.5Z"),
            ),
            ("2022-09-23t17:06:14z", Some("2022-09-23T17:06:14Z")),
            ("2022-09-23 17:06:14Z", Some("2022-09-23T17:06:14Z")),
            ("0001-01-01T00:00:00", Some("0001-01-01T00:00:00Z")),
            ("2022-09-23", Some("2022-09-23T00:00:00Z")),
            ("", None),
            ("None", None),
            ("yesterday", None),
            ("2022-13-01T00:00:00Z", None),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|text| text.parse::<Timestamp>().expect("a time"));
            assert_eq!(date(text), expected, "{text}");
        }
        assert_eq!(date("9999-12-31T23:59:59.9999999Z"), Some(Timestamp::MAX));
    }

    proptest! {
        #[test]
        fn any_time_with_any_digits_is_read_to_the_tick(
            second in -2_000_000_000_i64..4_000_000_000,
            ticks in 0_i64..10_000_000,
            digits in 0_usize..=7,
        ) {
            let cut = 10_i64.pow(u32::try_from(7 - digits).expect("small"));
            let ticks = ticks / cut * cut;
            let at = Timestamp::new(second, i32::try_from(ticks * 100).expect("below a second"))
                .or_else(|_| Timestamp::new(second, 0)).expect("in range");
            prop_assume!(at.subsec_nanosecond() >= 0);
            let whole = at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
            let fraction = format!("{:07}", at.subsec_nanosecond() / 100);
            let dot = if digits == 0 { "" } else { "." };
            let text = format!("{whole}{dot}{}Z", &fraction[..digits]);
            prop_assert_eq!(date(&text), Some(at), "{}", text);
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = date(&text);
        }
    }

    #[test]
    fn odd_values_are_absent_not_errors() {
        #[derive(Deserialize)]
        struct Odd {
            #[serde(default, deserialize_with = "text")]
            text: Option<String>,
            #[serde(default, deserialize_with = "count")]
            count: Option<u64>,
            #[serde(default, deserialize_with = "flag")]
            flag: Option<bool>,
            #[serde(default, deserialize_with = "list")]
            list: Vec<BTreeMap<String, u8>>,
        }
        let check = |json: &str, expected: (Option<&str>, Option<u64>, Option<bool>, usize)| {
            let odd: Odd = serde_json::from_str(json).expect("decodes");
            let got = (odd.text.as_deref(), odd.count, odd.flag, odd.list.len());
            assert_eq!(got, expected, "{json}");
        };
        check("{}", (None, None, None, 0));
        check(
            r#"{"text":null,"count":null,"flag":null,"list":null}"#,
            (None, None, None, 0),
        );
        check(
            r#"{"text":7,"count":"7","flag":"True","list":{"a":1}}"#,
            (Some("7"), Some(7), Some(true), 1),
        );
        check(
            r#"{"text":{},"count":-1,"flag":1,"list":[{},{}],"more":0}"#,
            (None, None, None, 2),
        );
    }
}
