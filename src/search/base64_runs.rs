//! Runs of base64 inside of a text, and the bytes they stand for when those are a text or a container.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::texts::may_be_opened;

/// The shortest run that is looked at: twelve bytes.
const MIN_RUN: usize = 16;

/// Accepts padding or none, and bits left over in the last character.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether each byte is a digit, of either alphabet.
const DIGITS: [bool; 256] = {
    let mut digits = [false; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        digits[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
        byte += 1;
    }
    digits
};

fn is_digit(byte: u8) -> bool {
    DIGITS.get(usize::from(byte)) == Some(&true)
}

/// Whether the digits of a run are a UUID with hyphens, as most are in a log: it is no base64 then.
fn is_uuid(digits: &[u8]) -> bool {
    let is_right = |(at, digit): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *digit == b'-',
        _ => digit.is_ascii_hexdigit(),
    };
    digits.len() == 36 && digits.iter().enumerate().all(is_right)
}

/// Lines of base64 that follow each other: all as long as the first one, only the last may be shorter.
struct Run {
    first: Range<usize>,
    /// The lines after the first one; most runs have none, and then nothing is allocated.
    more: Vec<Range<usize>>,
}

impl Run {
    fn lines(&self) -> impl Iterator<Item = &Range<usize>> {
        std::iter::once(&self.first).chain(&self.more)
    }
}

/// The next run at or after the position.
fn next_run(bytes: &[u8], from: usize) -> Option<Run> {
    let mut at = from;
    let first = loop {
        at += bytes.get(at..)?.iter().position(|byte| is_digit(*byte))?;
        let line = line_at(bytes, at);
        if line.len() >= MIN_RUN {
            break line;
        }
        at = line.end;
    };
    let mut run = Run {
        first: first.clone(),
        more: Vec::new(),
    };
    let mut last = first.clone();
    loop {
        let Some(gap) = line_gap(bytes.get(last.end..).unwrap_or_default()) else {
            return Some(run);
        };
        let next = line_at(bytes, last.end + gap);
        if next.is_empty() || next.len() > first.len() || last.len() < first.len() {
            return Some(run);
        }
        run.more.push(next.clone());
        last = next;
    }
}

/// How many bytes lie between a line and the next one: a line break, and the indentation of property lists and XML.
fn line_gap(rest: &[u8]) -> Option<usize> {
    let line_break = match rest {
        [b'\r', b'\n', ..] => 2,
        [b'\n' | b'\r', ..] => 1,
        _ => return None,
    };
    let indentation = rest
        .iter()
        .skip(line_break)
        .take(64)
        .take_while(|byte| matches!(byte, b' ' | b'\t'))
        .count();
    Some(line_break + indentation)
}

fn line_at(bytes: &[u8], at: usize) -> Range<usize> {
    let rest = bytes.get(at..).unwrap_or_default();
    let length = rest
        .iter()
        .position(|byte| !is_digit(*byte))
        .unwrap_or(rest.len());
    at..at + length
}

/// Calls back with the range of each run of base64 and the bytes it stands for.
pub(super) fn decode_runs(
    text: &[u8],
    scratch: &mut Vec<u8>,
    mut found: impl FnMut(Range<usize>, &[u8]),
) {
    let mut at = 0;
    while let Some(run) = next_run(text, at) {
        at = run.more.last().unwrap_or(&run.first).end;
        let joined = |count: usize, scratch: &mut Vec<u8>| {
            scratch.clear();
            for line in run.lines().take(count) {
                scratch.extend_from_slice(text.get(line.clone()).unwrap_or_default());
            }
            decode(scratch)
        };
        if let Some(bytes) = joined(usize::MAX, scratch) {
            found(run.first.start..at, &bytes);
            continue;
        }
        // The line after the last one may be a word of the text around it.
        if !run.more.is_empty()
            && let Some(bytes) = joined(run.more.len(), scratch)
        {
            at = run.more.iter().rev().nth(1).unwrap_or(&run.first).end;
            found(run.first.start..at, &bytes);
            continue;
        }
        for line in run.lines() {
            pieces(text, line.clone(), scratch, &mut found);
        }
    }
}

/// A run that is none as a whole may be several, joined by characters that base64 uses too: a path, a list of words.
fn pieces(
    text: &[u8],
    line: Range<usize>,
    scratch: &mut Vec<u8>,
    found: &mut impl FnMut(Range<usize>, &[u8]),
) {
    let bytes = text.get(line.clone()).unwrap_or_default();
    // Of a word, and of a UUID, no piece is one that was not tried, or long enough.
    if bytes.iter().all(u8::is_ascii_alphanumeric) || is_uuid(bytes) {
        return;
    }
    let mut done: Vec<Range<usize>> = Vec::new();
    for separators in [&b"-_"[..], b"+/", b"/", b"-", b"_", b"+", b"+/-_"] {
        if !bytes.iter().any(|byte| separators.contains(byte)) {
            continue;
        }
        let mut start = line.start;
        for piece in bytes.split(|byte| separators.contains(byte)) {
            let range = start..start + piece.len();
            start = range.end + 1;
            if piece.len() < MIN_RUN || done.contains(&range) {
                continue;
            }
            scratch.clear();
            scratch.extend_from_slice(piece);
            if let Some(decoded) = decode(scratch) {
                found(range.clone(), &decoded);
                done.push(range);
            }
        }
    }
}

/// The bytes of a run, when they are a text or a container. The run is changed on the way.
fn decode(run: &mut Vec<u8>) -> Option<Vec<u8>> {
    if is_uuid(run) {
        return None;
    }
    let is_standard = run.iter().any(|byte| matches!(byte, b'+' | b'/'));
    let is_url = run.iter().any(|byte| matches!(byte, b'-' | b'_'));
    if is_standard && is_url {
        return None;
    }
    for byte in run.iter_mut() {
        match byte {
            b'-' => *byte = b'+',
            b'_' => *byte = b'/',
            _ => {}
        }
    }
    // One character left over holds no byte: the run was cut off.
    if run.len() % 4 == 1 {
        run.pop();
    }
    // Most runs are words, paths and IDs. Their first bytes show it.
    let mut head = [0; 24];
    let probe = run.get(..run.len().min(32) / 4 * 4)?;
    let length = ENGINE.decode_slice(probe, &mut head).ok()?;
    let head = head.get(..length)?;
    if !may_be_opened(head) {
        return None;
    }
    let bytes = ENGINE.decode(&run).ok()?;
    may_be_opened(&bytes).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut found = Vec::new();
        decode_runs(text.as_bytes(), &mut Vec::new(), |_range, bytes| {
            found.push(String::from_utf8_lossy(bytes).into_owned());
        });
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn runs() {
        check("", &[]);
        check("short d29yZA== and words_that_are_none", &[]);
        check("e589a371-ea0c-4479-9a7b-9f834adec040", &[]);
        check("x=YW5hQGV4YW1wbGUuY29t;", &["ana@example.com"]);
        check("YW5hQGV4YW1wbGUuY29tLg==", &["ana@example.com."]);
        check("YW5hQGV4YW1wbGUuY29tLg", &["ana@example.com."]);
        check("/path/YW5hQGV4YW1wbGUuY29t/x", &["ana@example.com"]);
        check("Pz8_Pj4-YW5hQGV4YW1wbGUuY29t", &["???>>>ana@example.com"]);
        check("Pz8/Pj4+YW5hQGV4YW1wbGUuY29t", &["???>>>ana@example.com"]);
    }

    #[test]
    fn wrapped_lines() {
        let text = "The quick brown fox jumps over ana@example.com, the lazy dog. ".repeat(4);
        let encoded = base64::prelude::BASE64_STANDARD.encode(&text);
        for newline in ["\n", "\r\n", "\n\t  "] {
            let wrapped: Vec<&str> = encoded
                .as_bytes()
                .chunks(76)
                .map(|line| std::str::from_utf8(line).expect("ASCII"))
                .collect();
            check(&wrapped.join(newline), &[&text]);
            let whole = encoded.len() / 76 * 76;
            let cut = &wrapped[..whole / 76].join(newline);
            check(&format!("{cut}{newline}Done"), &[&text[..whole / 4 * 3]]);
        }
    }
}
