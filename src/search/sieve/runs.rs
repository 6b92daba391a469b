//! Runs of base64, read as the exact search may read them: over `\/` and line breaks, whole or up to a sign that separates words.

use super::base64::{MIN_RUN, NONE, PROBE, decode, value};
use crate::search::texts::{is_container, is_text};

/// A run, as the exact search may read it.
#[derive(Debug, Default)]
pub(super) struct Run {
    /// Its digits, `\/` and line breaks left out.
    digits: Vec<u8>,
    /// Where a line or a piece of it may end, in digits.
    ends: Vec<usize>,
    /// Its first digits with those of the lines after it, if there are any.
    lines: Vec<u8>,
}

/// The most digits of a run that are looked at as a whole.
const MAX_RUN: usize = 64 * 1024;

impl Run {
    /// Reads the run at the position. `false` when it is too long to be looked at here.
    pub(super) fn read(&mut self, view: &[u8], start: usize) -> bool {
        self.digits.clear();
        self.ends.clear();
        self.lines.clear();
        let mut seen = 0_u64;
        let mut at = start;
        while self.digits.len() <= MAX_RUN {
            let rest = view.get(at..).unwrap_or_default();
            let skip = rest.iter().take_while(|byte| **byte == b'\\').count();
            match rest.get(skip) {
                Some(digit) if value(*digit) != NONE && (skip == 0 || *digit == b'/') => {
                    let sign = 1 << (*digit & 63);
                    if !digit.is_ascii_alphanumeric() && seen & sign == 0 {
                        seen |= sign;
                        self.ends.push(self.digits.len());
                    }
                    self.digits.push(*digit);
                    at += skip + 1;
                }
                _ => break,
            }
        }
        self.ends.push(self.digits.len());
        self.ends.retain(|end| *end >= MIN_RUN);
        self.read_lines(view.get(at..).unwrap_or_default());
        self.digits.len() <= MAX_RUN
    }

    /// Reads on over line breaks and what indents a line, as far as it matters for the beginning.
    fn read_lines(&mut self, rest: &[u8]) {
        if self.digits.len() >= PROBE {
            return;
        }
        let mut is_line = false;
        let mut is_escaped = false;
        for byte in rest {
            match byte {
                b'n' | b'r' | b't' if is_escaped => is_escaped = false,
                b'\n' | b'\r' | b'\\' | b' ' | b'\t' => {
                    is_line |= !matches!(byte, b' ' | b'\t');
                    is_escaped = *byte == b'\\';
                    if !is_line {
                        return;
                    }
                    if self.lines.is_empty() {
                        self.lines.extend_from_slice(&self.digits);
                    }
                }
                digit if value(*digit) != NONE && !self.lines.is_empty() => {
                    is_escaped = false;
                    self.lines.push(*digit);
                    if self.lines.len() >= PROBE {
                        return;
                    }
                }
                _ => return,
            }
        }
    }

    /// Whether several lines together may be a text.
    pub(super) fn lines_may_be_text(&self) -> bool {
        (MIN_RUN..=self.lines.len()).step_by(4).any(|end| {
            let mut bytes = [0; PROBE / 4 * 3];
            let (Some(digits), Some(head)) = (self.lines.get(..end), bytes.get_mut(..end / 4 * 3))
            else {
                return true;
            };
            decode(digits, head);
            is_container(head) || is_text(head, true)
        })
    }

    /// What the run and its beginnings stand for, where that is a text or a container.
    pub(super) fn texts(&self) -> impl Iterator<Item = Vec<u8>> {
        let is_good = |bytes: &[u8]| is_container(bytes) || is_text(bytes, true);
        self.ends.iter().filter_map(move |end| {
            let digits = self.digits.get(..*end)?;
            let whole = digits.len() / 4 * 4;
            let probe = whole.min(PROBE);
            let mut head = [0; PROBE / 4 * 3];
            let head = head.get_mut(..probe / 4 * 3)?;
            decode(digits.get(..probe)?, head);
            if !is_good(head) {
                return None;
            }
            let mut bytes = vec![0; whole / 4 * 3];
            decode(digits, &mut bytes);
            // One digit left over holds no byte, two hold one, three hold two.
            let mut rest = [b'A'; 4];
            let left = digits.get(whole..)?;
            rest.get_mut(..left.len())?.copy_from_slice(left);
            let mut last = [0; 3];
            decode(&rest, &mut last);
            bytes.extend(last.iter().take(left.len().saturating_sub(1)));
            is_good(&bytes).then_some(bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(view: &str) -> Vec<String> {
        let mut run = Run::default();
        assert!(run.read(view.as_bytes(), 0));
        run.texts()
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }

    #[test]
    fn what_runs_stand_for() {
        for (view, expected) in [
            ("YW5hQGV4YW1wbGUuY29t", &["ana@example.com"][..]),
            ("YW5hQGV4YW1wbGUuY29tLg==", &["ana@example.com."]),
            ("YW5hQGV4YW1wbGUuY29t-path-/-x-", &["ana@example.com"]),
            (r"Pz8\/Pj4+YW5hQGV4YW1wbGUuY29t", &["???>>>ana@example.com"]),
            ("e589a371-ea0c-4479-9a7b-9f834adec040", &[]),
            ("WrapperRuntimeVersion", &[]),
        ] {
            let texts = texts(view);
            assert_eq!(texts.is_empty(), expected.is_empty(), "{view} {texts:?}");
            assert!(
                expected
                    .iter()
                    .all(|text| texts.iter().any(|it| it == text)),
                "{texts:?}"
            );
        }
    }
}
