//! Texts that came from elsewhere, such as reasons of failures: without what is, or resembles, an identifier.

/// Longest text that is kept, in characters.
const MAX_TEXT: usize = 500;
/// What stands in place of what was taken out.
const REMOVED: &str = "[removed]";

/// Takes out words that resemble an e-mail address, a UUID, a hash, or an App Center error ID, and what is too long.
///
/// Our own reasons hold none of these. This is for what an answer of App Center may have brought into one.
pub(super) fn scrub(text: &str) -> String {
    let is_part = |c: char| c.is_alphanumeric() || "-_.@+%".contains(c);
    let mut clean = String::new();
    let mut word = String::new();
    for c in text.chars().take(MAX_TEXT) {
        if is_part(c) {
            word.push(c);
        } else {
            push_word(&mut clean, &word);
            word.clear();
            clean.push(if c.is_control() { ' ' } else { c });
        }
    }
    if text.chars().nth(MAX_TEXT).is_some() {
        // The last word is not whole: it may be a part of an identifier, which nothing tells.
        clean.push('…');
    } else {
        push_word(&mut clean, &word);
    }
    clean
}

/// A number of things.
pub(super) fn many(n: u64, one: &str, several: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{n} {several}"),
    }
}

fn push_word(clean: &mut String, word: &str) {
    if is_identifier(word) {
        clean.push_str(REMOVED);
    } else {
        clean.push_str(word);
    }
}

fn is_identifier(word: &str) -> bool {
    let word = word.replace("%40", "@");
    if let Some((local, domain)) = word.rsplit_once('@')
        && !local.is_empty()
        && domain.contains('.')
    {
        return true;
    }
    // A run of 24 hex digits or more (hyphens aside) is a UUID, a hash, an error ID; 19 digits are its ticks.
    let mut run = 0;
    let mut digits = 0;
    for c in word.chars() {
        match c {
            '-' => continue,
            c if c.is_ascii_hexdigit() => run += 1,
            _ => run = 0,
        }
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        if run >= 24 || digits >= 19 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn identifiers_are_taken_out() {
        for (text, expected) in [
            (
                "App Center answered 403 (Forbidden)",
                "App Center answered 403 (Forbidden)",
            ),
            (
                "the day 2026-11-20 could not be read",
                "the day 2026-11-20 could not be read",
            ),
            ("no user ana@example.com here", "no user [removed] here"),
            ("user <ana.diaz+x@mail.example.com>.", "user <[removed]>."),
            (
                "install e589a371-ea0c-4479-9a7b-9f834adec040: 404",
                "install [removed]: 404",
            ),
            ("E589A371EA0C44799A7B9F834ADEC040", "[removed]"),
            (
                "2518291138564839999-00000000-0000-0000-0000-000000000000",
                "[removed]",
            ),
            ("crashes/2518291138564839999.json", "crashes/[removed]"),
            ("?q=ana%40example.com&x", "?q=[removed]&x"),
            ("line\nbreak", "line break"),
            ("contoso/shop-android", "contoso/shop-android"),
        ] {
            assert_eq!(scrub(text), expected);
        }
        let cut = scrub(&format!("{} e589a371-ea0c-4479", "x".repeat(490)));
        assert_eq!(cut, format!("{} …", "x".repeat(490)));
    }

    proptest! {
        #[test]
        fn no_uuid_passes(before in "[ -~]{0,20}", bytes in any::<[u8; 16]>(), after in "[ -~]{0,20}") {
            let id = uuid::Uuid::from_bytes(bytes);
            let text = scrub(&format!("{before}{id}{after}"));
            prop_assert!(!text.contains(&id.to_string()));
        }
    }
}
