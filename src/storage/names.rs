//! Which blob names can be addressed, and how they stand in an address.

use std::fmt::Write as _;

use super::Error;

/// Longest blob name that storage takes, in characters.
const MAX_CHARS: usize = 1024;

/// Checks that a blob of this name can be addressed by the URL rules that all HTTP clients share.
///
/// Storage would take more: tabs and line breaks are dropped by every URL parser, and a name that is one or two dots
/// would be the folder. Calls for such a name would go to another blob, so they are refused.
pub(super) fn check_blob(name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::Invalid("a blob name is not empty"));
    }
    if name.chars().count() > MAX_CHARS {
        return Err(Error::Invalid("a blob name has at most 1024 characters"));
    }
    if name
        .bytes()
        .any(|byte| matches!(byte, b'\t' | b'\n' | b'\r'))
    {
        return Err(Error::Invalid("a blob name holds no tab or line break"));
    }
    if name == "." || name == ".." {
        return Err(Error::Invalid("a blob name is not one or two dots"));
    }
    Ok(())
}

/// The path of a blob in an address, percent-encoded; slashes stay readable where URL rules leave them alone.
pub(super) fn encode_blob(name: &str) -> String {
    // A URL parser resolves dot segments; an encoded slash keeps them from being segments.
    let has_dots = name.split('/').any(|part| part == "." || part == "..");
    let mut path = String::with_capacity(name.len() + 16);
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                path.push(char::from(byte));
            }
            b'/' if !has_dots => path.push('/'),
            _ => {
                let _written = write!(path, "%{byte:02X}");
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::{check_blob, encode_blob};
    use proptest::prelude::*;
    use url::Url;

    #[test]
    fn some_names_cannot_be_addressed() {
        let long = "x".repeat(1025);
        for name in ["", ".", "..", "a\tb", "a\nb", "\r", &long] {
            assert!(check_blob(name).is_err(), "{name:?}");
        }
        let longest = "ä".repeat(1024);
        for name in ["a", "a/b", "...", "a/../b", " ", "a\u{1}b", &longest] {
            assert!(check_blob(name).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn addresses_are_readable() {
        for (name, expected) in [
            ("a/b.json", "a/b.json"),
            ("a b+c%.json", "a%20b%2Bc%25.json"),
            ("a/../b", "a%2F..%2Fb"),
            ("ä?#", "%C3%A4%3F%23"),
            ("a//b", "a//b"),
            ("a\\b", "a%5Cb"),
        ] {
            assert_eq!(encode_blob(name), expected);
        }
    }

    proptest! {
        #[test]
        fn addresses_survive_a_url_parser(name in "[ -~äß漢/.]{1,40}") {
            prop_assume!(check_blob(&name).is_ok());
            let url = Url::parse(&format!("https://x.example/c/{}", encode_blob(&name))).expect("a URL");
            let path = percent_encoding::percent_decode_str(url.path()).decode_utf8().expect("UTF-8");
            prop_assert_eq!(path.strip_prefix("/c/"), Some(name.as_str()));
        }
    }
}
