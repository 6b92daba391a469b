//! Tables on the terminal.

use std::fmt;

/// Rows under a head, in columns as wide as they need to be.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with this head.
    pub(crate) fn new(head: &[&str]) -> Self {
        Self {
            rows: vec![head.iter().map(|it| (*it).to_owned()).collect()],
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: &[&dyn fmt::Display]) {
        self.rows
            .push(cells.iter().map(ToString::to_string).collect());
    }

    /// Adds a row that says whether a figure keeps its goal; gives whether it does.
    pub(crate) fn goal(
        &mut self,
        what: &str,
        goal: &str,
        found: &dyn fmt::Display,
        is_met: bool,
    ) -> bool {
        self.row(&[&what, &goal, found, &if is_met { "ok" } else { "MISSED" }]);
        is_met
    }

    /// Adds a row that compares; gives whether both are equal.
    pub(crate) fn compare<T: fmt::Display + PartialEq>(
        &mut self,
        what: &str,
        expected: &T,
        found: &T,
    ) -> bool {
        let is_equal = expected == found;
        self.row(&[
            &what,
            expected,
            found,
            &if is_equal { "ok" } else { "DIFFERENT" },
        ]);
        is_equal
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (n, row) in self.rows.iter().enumerate() {
            let cells: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            writeln!(f, "  {}", cells.join("   ").trim_end())?;
            if n == 0 {
                let rule: usize = widths.iter().sum::<usize>() + 3 * columns.saturating_sub(1);
                writeln!(f, "  {}", "-".repeat(rule))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let mut table = Table::new(&["what", "expected", "actual", ""]);
        assert!(table.compare("reports", &12, &12));
        assert!(!table.compare("é", &1, &2));
        assert!(table.goal("memory", "< 30 MiB", &"12 MiB", true));
        let expected = "  what      expected   actual
  ---------------------------------------
  reports   12         12       ok
  é         1          2        DIFFERENT
  memory    < 30 MiB   12 MiB   ok
";
        assert_eq!(table.to_string(), expected);
    }
}
