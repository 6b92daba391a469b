//! Small pieces of HTML, with everything escaped.

use std::io::{self, Write};

/// Writes a table; a heading that begins with `#` is over numbers.
pub(super) fn table<const N: usize>(
    out: &mut impl Write,
    headings: &[&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> io::Result<()> {
    write!(out, "<table>")?;
    if headings.iter().any(|heading| !heading.is_empty()) {
        write!(out, "<thead><tr>")?;
        for heading in headings {
            match heading.strip_prefix('#') {
                Some(heading) => write!(out, "<th class=\"n\">{}</th>", Text(heading))?,
                None => write!(out, "<th>{}</th>", Text(heading))?,
            }
        }
        write!(out, "</tr></thead>")?;
    }
    writeln!(out, "<tbody>")?;
    for row in rows {
        write!(out, "<tr>")?;
        for (cell, heading) in row.iter().zip(headings) {
            let class = if heading.starts_with('#') {
                " class=\"n\""
            } else {
                ""
            };
            write!(out, "<td{class}>{}</td>", Text(cell))?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</tbody></table>")
}

pub(super) fn count(n: u64, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    }
}

/// Bytes as people say them.
pub(super) fn size(bytes: u64) -> String {
    let mut unit = 1_u64;
    for name in ["bytes", "KiB", "MiB", "GiB"] {
        if bytes < unit.saturating_mul(1024) {
            return match name {
                "bytes" => format!("{bytes} bytes"),
                name => {
                    let tenths = bytes.saturating_mul(10) / unit;
                    format!("{}.{} {name}", tenths / 10, tenths % 10)
                }
            };
        }
        unit = unit.saturating_mul(1024);
    }
    format!("{} TiB", bytes / unit)
}

/// Text, escaped for HTML content and attribute values. What shows nothing or turns the reading direction becomes
/// visible: a hostile text must not look like another.
pub(super) struct Text<'a>(pub(super) &'a str);

impl std::fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write as _;
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\u{061C}'
                | '\u{200E}'
                | '\u{200F}'
                | '\u{202A}'..='\u{202E}'
                | '\u{2066}'..='\u{2069}' => {
                    f.write_char('\u{FFFD}')?;
                }
                c if c.is_control() && c != '\n' && c != '\t' => f.write_char('\u{FFFD}')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// A path of the package as a relative link.
pub(super) struct Href<'a>(pub(super) &'a str);

impl std::fmt::Display for Href<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // `./` in front: else a first part with a colon would be read as a scheme. (Safe names have none; twice is safe.)
        f.write_str("./")?;
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_readable() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1_600_000, "1.5 MiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16777215 TiB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn hostile_text_stays_text() {
        for (text, expected) in [
            (
                "<script>alert(1)</script>",
                "&lt;script&gt;alert(1)&lt;/script&gt;",
            ),
            (
                "a\" onclick='x' &amp;",
                "a&quot; onclick=&#39;x&#39; &amp;amp;",
            ),
            ("a\u{202e}b\0c", "a\u{fffd}b\u{fffd}c"),
        ] {
            assert_eq!(Text(text).to_string(), expected);
        }
        assert_eq!(Href("a b/ü#?.txt").to_string(), "./a%20b/%C3%BC%23%3F.txt");
        assert_eq!(Href("javascript:x").to_string(), "./javascript%3Ax");
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_place(text in "(?s).{0,80}|[<>\"'&/a-z ]{0,40}") {
            let escaped = Text(&text).to_string();
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
            let link = Href(&text).to_string();
            prop_assert!(link.starts_with("./") && link.is_ascii() && !link.contains(['<', '>', '"', '\'', ':', ' ']));
        }
    }
}
