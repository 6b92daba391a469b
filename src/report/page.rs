//! Pieces of Markdown, bounded, with everything escaped.

use std::fmt::{self, Write as _};

/// Most lines of a list; the JSON has all.
pub const MAX_LISTED: usize = 200;
/// Longest text in a cell, in characters.
const MAX_CELL: usize = 300;

/// A page that is being written.
pub(super) struct Page(pub(super) String);

impl Page {
    /// A heading and a table of at most [`MAX_LISTED`] rows; nothing at all without rows.
    pub(super) fn section<const N: usize>(
        &mut self,
        title: &str,
        headings: &[&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> fmt::Result {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        writeln!(self.0, "\n## {title}\n")?;
        self.table(headings, rows.by_ref().take(MAX_LISTED))?;
        match rows.count() {
            0 => Ok(()),
            more => writeln!(self.0, "\n… and {more} more: see the JSON."),
        }
    }

    pub(super) fn table<const N: usize>(
        &mut self,
        headings: &[&str; N],
        rows: impl IntoIterator<Item = [String; N]>,
    ) -> fmt::Result {
        writeln!(self.0, "| {} |", headings.join(" | "))?;
        writeln!(self.0, "|{}", "---|".repeat(N))?;
        for row in rows {
            let cells = row.map(|text| cell(&text));
            writeln!(self.0, "| {} |", cells.join(" | "))?;
        }
        Ok(())
    }

    pub(super) fn list(&mut self, title: &str, lines: &[String]) -> fmt::Result {
        if lines.is_empty() {
            return Ok(());
        }
        writeln!(self.0, "\n## {title}\n")?;
        for line in lines.iter().take(MAX_LISTED) {
            writeln!(self.0, "- {}", cell_of(line, 1_000))?;
        }
        Ok(())
    }
}

pub(super) fn cell(text: &str) -> String {
    cell_of(text, MAX_CELL)
}

/// Text that stays in its place: one line, of bounded length, with nothing that Markdown or HTML would act on.
pub(super) fn cell_of(text: &str, max: usize) -> String {
    let mut cell = String::new();
    let mut rest = text.chars().take(max).peekable();
    while let Some(c) = rest.next() {
        match c {
            // Else readers make a link of an address.
            ':' if rest.peek() == Some(&'/') => cell.push_str("&#58;"),
            // By their numbers, since readers of Markdown differ in what a backslash before them does.
            '|' | '\\' | '<' | '>' | '&' | '`' | '*' | '[' | ']' | '~' => {
                let _: fmt::Result = write!(cell, "&#{};", u32::from(c));
            }
            '\u{061C}'
            | '\u{200B}'..='\u{200F}'
            | '\u{2028}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FEFF}' => {}
            c if c.is_control() => cell.push(' '),
            c => cell.push(c),
        }
    }
    if text.chars().nth(max).is_some() {
        cell.push('…');
    }
    cell
}
