//! Finds where records end byte by byte: at the borders of chunks, and in what is no sound JSON.

use memchr::{memchr2, memchr3};

use super::{Layout, MAX_STACK, Open, Splitter};

impl Splitter {
    /// Reads on in a JSON text byte by byte: what [`Self::advance_blocks`] leaves.
    pub(super) fn advance_json(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            if self.in_string {
                let (used, is_end) = self.advance_string(bytes.get(at..).unwrap_or_default());
                at += used;
                if is_end {
                    return (at, true);
                }
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\r' => {
                    at += 1;
                    self.is_line_start = false;
                    continue;
                }
                b'\n' => {
                    at += 1;
                    self.is_line_start = true;
                    self.saw_newline = true;
                    continue;
                }
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    if byte == b'{' && self.is_torn() {
                        return (at, true);
                    }
                    self.depth += 1;
                    if self.stack.len() < MAX_STACK {
                        self.stack.push(byte == b'{');
                    }
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth < MAX_STACK as u64 {
                        self.stack.pop();
                    }
                    if self.depth == 0 {
                        return (at + 1, true);
                    }
                }
                _ => {}
            }
            self.previous = byte;
            self.is_line_start = false;
            at += 1;
        }
        (at, false)
    }

    /// Reads on inside of a string.
    fn advance_string(&mut self, bytes: &[u8]) -> (usize, bool) {
        if self.is_escaped {
            self.is_escaped = false;
            return (1, false);
        }
        let found = if self.layout == Layout::Values {
            memchr3(b'"', b'\\', b'\n', bytes)
        } else {
            memchr2(b'"', b'\\', bytes)
        };
        let Some(at) = found else {
            return (bytes.len(), false);
        };
        match bytes.get(at) {
            Some(b'"') => {
                self.in_string = false;
                (at + 1, self.open == Open::String)
            }
            Some(b'\\') => {
                self.is_escaped = true;
                (at + 1, false)
            }
            // No string of JSON holds a newline: the line was cut off, and the next one begins another record.
            _ => (at, true),
        }
    }

    /// Whether a brace cannot belong to the record at hand, because that one was cut off before.
    pub(super) fn is_torn(&self) -> bool {
        if self.depth == 0 {
            return false;
        }
        let in_object = self.stack.len() as u64 == self.depth && self.stack.last() == Some(&true);
        let is_next_line = self.layout == Layout::Values && self.has_lines && self.is_line_start;
        is_next_line || (in_object && self.previous != b':')
    }
}
