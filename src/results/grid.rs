//! A table as data: headers and rows of text. `report` decides how it looks.

/// The alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// For names.
    Left,
    /// For numbers.
    Right,
}

/// A table: headers and rows of the same length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// Makes a table with these columns and no rows.
    #[must_use]
    pub fn new<S: Into<String>>(columns: impl IntoIterator<Item = (S, Align)>) -> Self {
        let columns = columns.into_iter().map(|(header, align)| (header.into(), align)).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Adds a row, with a cell for each column.
    pub fn push(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// Returns the headers and the alignments of the columns.
    #[must_use]
    pub fn columns(&self) -> &[(String, Align)] {
        &self.columns
    }

    /// Returns the rows.
    #[must_use]
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Returns true if there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Removes the last column and returns its header.
    pub fn pop_column(&mut self) -> Option<String> {
        let (header, _) = self.columns.pop()?;
        for row in &mut self.rows {
            row.pop();
        }
        Some(header)
    }
}
