//! Ways to encode a text, as programs do that write logs.

use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::{
    BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD,
};

/// One way to encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoder {
    /// A string of JSON, alone.
    JsonString,
    /// A string of JSON whose slashes are escaped.
    JsonSlashes,
    /// A string of JSON with every character as `\uXXXX`.
    JsonUnicode,
    /// A member of an object in JSON.
    JsonObject,
    /// Percent-encoding of what needs it.
    Percent,
    /// Percent-encoding of everything.
    PercentAll,
    /// Base64, padded.
    Base64,
    /// Base64 without padding.
    Base64Unpadded,
    /// Base64 for URLs.
    Base64Url,
    /// Base64 for URLs without padding.
    Base64UrlUnpadded,
    /// Base64 in lines of 76 characters.
    Base64Wrapped,
    /// Base64 in lines of 64 characters.
    Base64Pem,
    /// Base64 in short lines that are indented.
    Base64Indented,
    /// Entities of HTML.
    Entities,
    /// Latin-1, of texts that are ASCII for the most part.
    Latin1,
    /// gzip.
    Gzip,
    /// zlib.
    Zlib,
    /// An entry of a zip archive.
    Zip,
    /// UTF-16 with a mark.
    Utf16Le,
    /// UTF-16 with a mark.
    Utf16Be,
    /// UTF-16 without a mark.
    Utf16LeUnmarked,
    /// UTF-16 without a mark.
    Utf16BeUnmarked,
}

impl Encoder {
    pub(super) const ALL: [Self; 22] = [
        Self::JsonString,
        Self::JsonSlashes,
        Self::JsonUnicode,
        Self::JsonObject,
        Self::Percent,
        Self::PercentAll,
        Self::Base64,
        Self::Base64Unpadded,
        Self::Base64Url,
        Self::Base64UrlUnpadded,
        Self::Base64Wrapped,
        Self::Base64Pem,
        Self::Base64Indented,
        Self::Entities,
        Self::Latin1,
        Self::Gzip,
        Self::Zlib,
        Self::Zip,
        Self::Utf16Le,
        Self::Utf16Be,
        Self::Utf16LeUnmarked,
        Self::Utf16BeUnmarked,
    ];

    /// Encodes bytes; `None` where this way needs a text and the bytes are none.
    pub(super) fn encode(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let text = || std::str::from_utf8(bytes).ok();
        let utf16 = |little: bool, mark: &str| -> Option<Vec<u8>> {
            // UTF-16 of what is UTF-16 already is nothing that a program writes.
            let plain = text().filter(|text| !text.contains('\0'))?;
            let marked = format!("{mark}{plain}");
            let pair = |unit: u16| {
                if little {
                    unit.to_le_bytes()
                } else {
                    unit.to_be_bytes()
                }
            };
            Some(marked.encode_utf16().flat_map(pair).collect())
        };
        let encoded = match self {
            Self::JsonString => serde_json::to_vec(text()?).ok()?,
            Self::JsonSlashes => serde_json::to_string(text()?)
                .ok()?
                .replace('/', "\\/")
                .into_bytes(),
            Self::JsonUnicode => {
                let units: String = text()?
                    .encode_utf16()
                    .map(|unit| format!("\\u{unit:04X}"))
                    .collect();
                format!("\"{units}\"").into_bytes()
            }
            Self::JsonObject => {
                serde_json::to_vec(&serde_json::json!({ "key": text()?, "other": 1 })).ok()?
            }
            Self::Percent => {
                percent_encoding::percent_encode(bytes, percent_encoding::NON_ALPHANUMERIC)
                    .to_string()
                    .into_bytes()
            }
            Self::PercentAll => bytes
                .iter()
                .flat_map(|byte| format!("%{byte:02x}").into_bytes())
                .collect(),
            Self::Base64 => BASE64_STANDARD.encode(bytes).into_bytes(),
            Self::Base64Unpadded => BASE64_STANDARD_NO_PAD.encode(bytes).into_bytes(),
            Self::Base64Url => BASE64_URL_SAFE.encode(bytes).into_bytes(),
            Self::Base64UrlUnpadded => BASE64_URL_SAFE_NO_PAD.encode(bytes).into_bytes(),
            Self::Base64Wrapped => lines(bytes, 76, b"\r\n"),
            Self::Base64Pem => lines(bytes, 64, b"\n"),
            Self::Base64Indented => lines(bytes, 20, b"\n\t"),
            Self::Latin1 => {
                let is_letter = |c: char| c.is_ascii() || matches!(c, '\u{a0}'..='\u{ff}');
                let high = text()?.chars().filter(|c| !c.is_ascii()).count();
                let plain =
                    text().filter(|text| text.chars().all(is_letter) && high * 5 <= text.len())?;
                plain.chars().filter_map(|c| u8::try_from(c).ok()).collect()
            }
            Self::Entities => text()?
                .chars()
                .map(|c| match c {
                    '&' => "&amp;".to_owned(),
                    'í' => "&iacute;".to_owned(),
                    c if c.is_ascii_alphanumeric() => c.to_string(),
                    c => format!("&#x{:X};", u32::from(c)),
                })
                .collect::<String>()
                .into_bytes(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                encoder.write_all(bytes).ok()?;
                encoder.finish().ok()?
            }
            Self::Zlib => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), Default::default());
                encoder.write_all(bytes).ok()?;
                encoder.finish().ok()?
            }
            Self::Zip => zip(&[("folder/notes.txt", bytes)]),
            Self::Utf16Le => utf16(true, "\u{feff}")?,
            Self::Utf16Be => utf16(false, "\u{feff}")?,
            Self::Utf16LeUnmarked => utf16(true, "")?,
            Self::Utf16BeUnmarked => utf16(false, "")?,
        };
        Some(encoded)
    }
}

/// Base64 in lines of so many characters.
fn lines(bytes: &[u8], length: usize, line_break: &[u8]) -> Vec<u8> {
    let encoded = BASE64_STANDARD.encode(bytes);
    let lines: Vec<&[u8]> = encoded.as_bytes().chunks(length).collect();
    lines.join(line_break)
}

/// A zip archive with these entries.
pub(super) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer
            .start_file(*name, zip::write::SimpleFileOptions::default())
            .expect("a new entry");
        writer.write_all(bytes).expect("in memory");
    }
    writer.finish().expect("in memory").into_inner()
}

/// Encodes a text by several ways, the first one first.
pub(super) fn chain(text: &str, encoders: &[Encoder]) -> Option<Vec<u8>> {
    encoders
        .iter()
        .try_fold(text.as_bytes().to_vec(), |bytes, encoder| {
            encoder.encode(&bytes)
        })
}
