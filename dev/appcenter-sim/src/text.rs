//! Texts of a world file, and the forms in which they are hidden in records.

use std::io::Write as _;

use anyhow::{Context as _, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

/// A text, or a text with the forms it takes before it is written (first form first).
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Text {
    /// Written as it stands.
    Plain(String),
    /// Written in another form.
    Encoded {
        /// The text.
        text: String,
        /// `base64`, `percent`, `json`, `json-escaped`, `gzip`, `utf16le`, `utf16be`; in this order.
        #[serde(rename = "as")]
        forms: Vec<String>,
    },
}

impl Text {
    /// The text's bytes in their last form.
    ///
    /// # Errors
    /// When a form is unknown, or a text form stands behind a binary one.
    pub(crate) fn bytes(&self) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Plain(text) => Ok(text.clone().into_bytes()),
            Self::Encoded { text, forms } => {
                let mut bytes = text.clone().into_bytes();
                for form in forms {
                    bytes = encode(&bytes, form)?;
                }
                Ok(bytes)
            }
        }
    }

    /// The text in its last form, which must be text.
    ///
    /// # Errors
    /// As [`Text::bytes`], and when the last form is binary.
    pub(crate) fn string(&self) -> anyhow::Result<String> {
        String::from_utf8(self.bytes()?).context("the last form of a text here must be text")
    }
}

fn encode(bytes: &[u8], form: &str) -> anyhow::Result<Vec<u8>> {
    let text = || std::str::from_utf8(bytes).context("this form needs text before it");
    Ok(match form {
        "base64" => STANDARD.encode(bytes).into_bytes(),
        "percent" => utf8_percent_encode(text()?, NON_ALPHANUMERIC)
            .to_string()
            .into_bytes(),
        "json" => serde_json::to_vec(&serde_json::json!({ "note": text()? }))?,
        "json-escaped" => {
            let escaped: String = text()?
                .encode_utf16()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect();
            format!("{{\"note\":\"{escaped}\"}}").into_bytes()
        }
        "gzip" => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(bytes)?;
            gzip.finish()?
        }
        "utf16le" => [0xff, 0xfe]
            .into_iter()
            .chain(text()?.encode_utf16().flat_map(u16::to_le_bytes))
            .collect(),
        "utf16be" => [0xfe, 0xff]
            .into_iter()
            .chain(text()?.encode_utf16().flat_map(u16::to_be_bytes))
            .collect(),
        other => bail!("`{other}` is no form of a text"),
    })
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn forms_are_applied_in_order() {
        for (text, forms, expected) in [
            ("a@b.example", vec!["percent"], "a%40b%2Eexample"),
            ("hi", vec!["json"], r#"{"note":"hi"}"#),
            ("hi", vec!["json-escaped"], r#"{"note":"\u0068\u0069"}"#),
            ("hi", vec!["json", "base64"], "eyJub3RlIjoiaGkifQ=="),
        ] {
            let forms = forms.into_iter().map(str::to_owned).collect();
            let text = Text::Encoded {
                text: text.to_owned(),
                forms,
            };
            assert_eq!(text.string().expect("it is text"), expected);
        }
    }

    #[test]
    fn binary_forms_are_no_strings() {
        for form in ["gzip", "utf16le", "rot13"] {
            let text = Text::Encoded {
                text: "hi".to_owned(),
                forms: vec![form.to_owned()],
            };
            assert!(text.string().is_err(), "{form}");
        }
    }
}
