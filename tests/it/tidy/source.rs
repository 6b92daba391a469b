//! Rust source without what a rule must not see.

/// Source with comments taken out and strings left as they are.
pub(super) fn code(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            rest = &rest[end..];
            continue;
        } else if rest.starts_with("/*") {
            let end = rest.find("*/").map_or(rest.len(), |at| at + 2);
            rest = &rest[end..];
            continue;
        } else if let Some(length) = raw_string(rest) {
            length
        } else if first == '"' {
            string(rest)
        } else if first == '\'' {
            character(rest)
        } else if first.is_alphanumeric() || first == '_' {
            // A whole word at once, so that the `r` of `for"` is not taken for the beginning of a raw string.
            rest.find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        code.push_str(token);
        rest = after;
    }
    code
}

/// The same without any white space outside of words: patterns need not know how lines are broken.
pub(super) fn squeezed(source: &str) -> String {
    code(source).split_whitespace().collect()
}

/// Length of a raw string that begins here.
fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.bytes().take_while(|byte| *byte == b'#').count();
    let body = after.get(hashes..)?.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let before = text.len() - body.len();
    Some(
        body.find(&close)
            .map_or(text.len(), |at| before + at + close.len()),
    )
}

/// Length of a string that begins here.
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Length of a character that begins here, or of the quote of a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => text[2..]
            .char_indices()
            .skip(1)
            .find(|(_, c)| *c == '\'')
            .map_or(text.len(), |(at, _)| at + 3),
        _ => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 1,
        },
    }
}

#[test]
fn comments_go_and_strings_stay() {
    for (source, expected) in [
        ("a // b\nc", "a \nc"),
        ("a /* b\n */ c", "a  c"),
        (r#"f("// no") // yes"#, r#"f("// no") "#),
        (r##"f(r#"a " // b"#) // c"##, r##"f(r#"a " // b"#) "##),
        (r"g('\'', '/', '\u{2f}') // c", r"g('\'', '/', '\u{2f}') "),
        ("h('\"') // c", "h('\"') "),
        ("fn f<'a>(x: &'a str) {} // c", "fn f<'a>(x: &'a str) {} "),
        (r#"b"\"//" // c"#, r#"b"\"//" "#),
        (r#"let for_ = br"\"; // c"#, r#"let for_ = br"\"; "#),
        ("/// doc `crate::x`", ""),
    ] {
        assert_eq!(code(source), expected, "{source}");
    }
    assert_eq!(squeezed("a\n    .b(c) // d\n"), "a.b(c)");
}
