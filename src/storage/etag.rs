//! The version mark of a blob.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The version of a blob as storage named it, quotes included; equal marks mean equal content.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ETag(String);

impl ETag {
    /// The mark as it stands in the HTTP header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn to_azure(&self) -> azure_core::http::Etag {
        self.0.as_str().into()
    }

    /// Listings leave the quotes out, headers have them: here every mark has them, so that marks can be compared.
    pub(super) fn from_azure(etag: &azure_core::http::Etag) -> Self {
        let text = etag.as_ref();
        if text.ends_with('"') {
            Self(text.to_owned())
        } else {
            Self(format!("\"{text}\""))
        }
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for ETag {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::ETag;

    #[test]
    fn marks_of_listings_and_headers_compare() {
        for (given, expected) in [("0x8D", "\"0x8D\""), ("\"0x8D\"", "\"0x8D\"")] {
            assert_eq!(ETag::from_azure(&given.into()).as_str(), expected);
        }
    }
}
