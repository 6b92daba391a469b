//! Safe names for what strangers named: app users and devices choose the names of attachments.
//!
//! A package is unpacked on machines we do not know, so a name must be harmless on Windows, macOS and Linux alike, and
//! opening a file from `index.html` must not run anything.

use std::collections::HashMap;
use std::collections::HashSet;

use unicode_normalization::UnicodeNormalization as _;

/// Most characters of a name.
const MAX_CHARS: usize = 100;
/// Most bytes of a name: file systems take 255, and a number may be appended.
const MAX_BYTES: usize = 200;
/// Most characters of an extension that is kept when a name is shortened, its dot included.
const MAX_EXTENSION: usize = 17;

/// Names that are devices on Windows, whatever their extension.
const DEVICES: [&str; 7] = ["con", "prn", "aux", "nul", "conin$", "conout$", "clock$"];

/// Extensions that viewers show and nothing runs. Missing on purpose: everything that a browser or an office program
/// renders with scripts, macros or remote parts (`html`, `svg`, `xml`, `pdf`, `csv`, …).
const INERT: [&str; 20] = [
    "txt", "log", "json", "jsonl", "md", "png", "jpg", "jpeg", "gif", "bmp", "webp", "heic", "mp4",
    "mov", "wav", "m4a", "bin", "dat", "dmp", "gz",
];
/// Extensions of texts that are shown as text instead.
const TEXTS: [&str; 14] = [
    "htm", "html", "xhtml", "shtml", "mht", "svg", "xml", "csv", "tsv", "js", "mjs", "css",
    "plist", "crash",
];

/// A name that is harmless as one part of a path.
///
/// It is never empty and has no separators, no `..`, no device names, no control, invisible or direction-changing
/// characters, and at most 100 characters. The extension stays.
#[must_use]
pub fn safe_name(untrusted: &str) -> String {
    // Normalising first: a character must not turn into a separator after the check. The input is cut before, so that a
    // name of megabytes costs nothing; what is cut off is not looked at for an extension.
    let mut name = String::new();
    for c in untrusted.chars().take(16 * MAX_CHARS).nfc() {
        match c {
            _ if is_invisible(c) => {}
            _ if is_unsafe(c) => name.push('_'),
            // Two dots climb; more than one never tells more than one does.
            '.' if name.ends_with('.') => {}
            c => name.push(c),
        }
    }
    // Windows drops dots and spaces at the end, so two names would be one; a space in front hides what follows.
    let name = name.trim_matches(|c: char| c.is_whitespace());
    let name = name.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    let mut name = match name.chars().next() {
        None => "file".to_owned(),
        // Hidden on Unix, or an option to a command.
        Some('.' | '-') => format!("_{name}"),
        Some(_) => name.to_owned(),
    };
    if is_device(&name) {
        name.insert(0, '_');
    }
    shorten(&name, "")
}

/// A safe name whose opening runs nothing: an extension that is not known to be inert gets `.txt` or `.bin` behind it.
#[must_use]
pub fn inert_name(untrusted: &str) -> String {
    let name = safe_name(untrusted);
    let extension = match name.rsplit_once('.') {
        Some((_stem, extension)) => extension.to_lowercase(),
        None => String::new(),
    };
    if INERT.contains(&extension.as_str()) {
        name
    } else if TEXTS.contains(&extension.as_str()) {
        shorten_stem(&name, ".txt")
    } else {
        shorten_stem(&name, ".bin")
    }
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' |
            // Separators' doubles, which some programs fold to the real ones.
            '\u{2044}' | '\u{2215}' | '\u{2216}' | '\u{29F5}' | '\u{29F8}' | '\u{29F9}' | '\u{FE68}' | '\u{FF0F}' | '\u{FF3C}' |
            '\u{FF1A}' | '\u{2236}' | '\u{A789}' |
            // Dots that are several, or fold to one.
            '\u{2024}' | '\u{2025}' | '\u{2026}' | '\u{FE52}' | '\u{FF0E}' |
            // Line and paragraph ends.
            '\u{2028}' | '\u{2029}' |
            // Private use, and what stands for broken text.
            '\u{E000}'..='\u{F8FF}' | '\u{FFF9}'..='\u{FFFF}'
        )
}

/// Characters that show nothing, or turn the direction in which a name is read (`exe.txt` that is `txt.exe`).
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' |
        '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' |
        '\u{FEFF}' | '\u{FFA0}' | '\u{E0000}'..='\u{E0FFF}'
    )
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    let stem = stem.trim_end().to_lowercase();
    if DEVICES.contains(&stem.as_str()) {
        return true;
    }
    let mut rest = stem.chars();
    let port: String = rest.by_ref().take(3).collect();
    matches!(port.as_str(), "com" | "lpt")
        && matches!(
            (rest.next(), rest.next()),
            (Some('0'..='9' | '\u{B9}' | '\u{B2}' | '\u{B3}'), None)
        )
}

/// Puts `suffix` between the stem and the extension, and shortens the stem as needed.
fn shorten(name: &str, suffix: &str) -> String {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.get(dot..).is_some_and(is_extension) => {
            let (stem, extension) = name.split_at(dot);
            shorten_stem(stem, &format!("{suffix}{extension}"))
        }
        _ => shorten_stem(name, suffix),
    }
}

fn is_extension(text: &str) -> bool {
    text.chars().count() <= MAX_EXTENSION && text.chars().skip(1).all(char::is_alphanumeric)
}

/// As much of the stem as fits before `end`.
fn shorten_stem(stem: &str, end: &str) -> String {
    let chars = MAX_CHARS.saturating_sub(end.chars().count());
    let bytes = MAX_BYTES.saturating_sub(end.len());
    let mut kept = String::new();
    for c in stem.chars().take(chars) {
        if kept.len() + c.len_utf8() > bytes {
            break;
        }
        kept.push(c);
    }
    let kept = kept.trim_end_matches(|c: char| c == '.' || c.is_whitespace());
    format!("{kept}{end}")
}

/// The paths of a package: no two are the same to any file system, and no file is another's folder.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// Every file and folder, as the least exact file system sees it.
    taken: HashSet<String>,
    /// The folder that stands for an untrusted one, by its parent's path and its own name.
    folders: HashMap<(String, String), String>,
}

impl Paths {
    /// The path of a folder, with `/` at its end; empty for the root. The same names give the same folder.
    pub(super) fn folder(&mut self, untrusted: &[&str]) -> String {
        let mut path = String::new();
        for name in untrusted {
            let key = (path.clone(), (*name).to_owned());
            path = match self.folders.get(&key) {
                Some(known) => known.clone(),
                None => {
                    let made = format!("{}/", self.take(&path, &safe_name(name)));
                    self.folders.insert(key, made.clone());
                    made
                }
            };
        }
        path
    }

    /// Makes a path known that was given out before, with its folders.
    pub(super) fn note(&mut self, path: &str) {
        for (at, _) in path.match_indices('/') {
            self.taken.extend(path.get(..at).map(folded));
        }
        self.taken.insert(folded(path));
    }

    /// The path of a new file in a folder: `name` if it is free, else with `-2`, `-3`, … before its extension.
    pub(super) fn take(&mut self, folder: &str, name: &str) -> String {
        let mut candidate = format!("{folder}{name}");
        let mut n = 2_u64;
        while !self.taken.insert(folded(&candidate)) {
            candidate = format!("{folder}{}", shorten(name, &format!("-{n}")));
            n += 1;
        }
        candidate
    }
}

/// macOS and Windows take names that differ only in case for one; macOS also those that differ only in composition.
fn folded(path: &str) -> String {
    path.chars().flat_map(char::to_lowercase).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_cannot_climb_or_lie() {
        for (untrusted, expected) in [
            ("photo.png", "photo.png"),
            ("../../etc/passwd", "_._._etc_passwd"),
            ("..\\..\\boot.ini", "_._._boot.ini"),
            ("/etc/passwd", "_etc_passwd"),
            ("C:\\autoexec.bat", "C__autoexec.bat"),
            ("", "file"),
            (".", "file"),
            ("..", "file"),
            ("...", "file"),
            ("   ", "file"),
            (" a .txt ", "a.txt"),
            ("a.txt...", "a.txt"),
            (".bashrc", "_.bashrc"),
            ("-rf", "_-rf"),
            ("CON", "_CON"),
            ("con.txt", "_con.txt"),
            ("nul .txt", "_nul.txt"),
            ("LPT9.log", "_LPT9.log"),
            ("com\u{b9}", "_com\u{b9}"),
            ("COM10", "COM10"),
            ("console.txt", "console.txt"),
            ("a\0b\nc\u{7f}.txt", "a_b_c_.txt"),
            ("txt.\u{202e}gpj.exe", "txt.gpj.exe"),
            ("a\u{200b}b.txt", "ab.txt"),
            ("a\u{ff0f}b", "a_b"),
            ("a\u{2026}b", "a_b"),
            ("<img src=x>.png", "_img src=x_.png"),
            ("A\u{301}.txt", "\u{c1}.txt"),
            ("日本語.txt", "日本語.txt"),
        ] {
            assert_eq!(safe_name(untrusted), expected, "{untrusted:?}");
        }
    }

    #[test]
    fn long_names_keep_their_extension() {
        let long = format!("{}.json", "é".repeat(500));
        let name = safe_name(&long);
        assert!(name.ends_with("é.json"), "{name}");
        assert!(name.chars().count() <= MAX_CHARS && name.len() <= MAX_BYTES);
        assert_eq!(safe_name(&"x".repeat(1000)).len(), MAX_CHARS);
        // What looks like an extension and is half the name is none.
        assert_eq!(
            safe_name(&format!("a.{}", "b".repeat(1000))).len(),
            MAX_CHARS
        );
    }

    #[test]
    fn opening_a_file_runs_nothing() {
        for (untrusted, expected) in [
            ("shot.PNG", "shot.PNG"),
            ("minidump.dmp", "minidump.dmp"),
            ("evil.html", "evil.html.txt"),
            ("evil.SVG", "evil.SVG.txt"),
            ("setup.exe", "setup.exe.bin"),
            ("link.lnk", "link.lnk.bin"),
            ("none", "none.bin"),
            ("evil.html.", "evil.html.txt"),
            ("evil.htm\u{200d}l", "evil.html.txt"),
            ("", "file.bin"),
        ] {
            assert_eq!(inert_name(untrusted), expected, "{untrusted:?}");
        }
        let long = inert_name(&format!("{}.html", "x".repeat(500)));
        assert!(long.ends_with(".txt") && long.len() <= MAX_CHARS, "{long}");
    }

    #[test]
    fn no_two_paths_are_the_same_to_any_file_system() {
        let mut paths = Paths::default();
        let folder = paths.folder(&["contoso/shop", "a"]);
        assert_eq!(folder, "contoso_shop/a/");
        assert_eq!(paths.folder(&["contoso/shop", "a"]), folder);
        // Other names that come to the same are other folders.
        assert_eq!(paths.folder(&["contoso_shop"]), "contoso_shop-2/");
        let mut take = |name: &str| paths.take(&folder, &safe_name(name));
        assert_eq!(take("Log.txt"), "contoso_shop/a/Log.txt");
        assert_eq!(take("log.txt"), "contoso_shop/a/log-2.txt");
        assert_eq!(take("LOG.TXT"), "contoso_shop/a/LOG-3.TXT");
        assert_eq!(take("E\u{301}"), "contoso_shop/a/\u{c9}");
        assert_eq!(take("\u{e9}"), "contoso_shop/a/\u{e9}-2");
        // A file of a folder's name.
        assert_eq!(paths.take("contoso_shop/", "A"), "contoso_shop/A-2");
    }

    proptest! {
        #[test]
        fn any_text_gives_a_safe_name(untrusted in "\\PC*|[./\\\\:\\x00-\\x20a-z]{0,40}|(?s).{0,300}") {
            for name in [safe_name(&untrusted), inert_name(&untrusted)] {
                prop_assert!(!name.is_empty() && name.chars().count() <= MAX_CHARS && name.len() <= MAX_BYTES);
                prop_assert!(!name.contains("..") && !name.starts_with(['.', ' ', '-']) && !name.ends_with(['.', ' ']));
                let harmless = name.chars().all(|c| !is_unsafe(c) && !is_invisible(c));
                prop_assert!(harmless, "{name:?}");
                prop_assert!(!is_device(&name));
                prop_assert_eq!(&safe_name(&name), &name, "a safe name stays as it is");
            }
        }
    }
}
