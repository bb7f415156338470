//! Tables as text, CSV or Markdown.

use comfy_table::{Cell, CellAlignment, Table, presets};
use console::measure_text_width as width_of;

use super::Styles;

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Names.
    Left,
    /// Numbers.
    Right,
}

/// A table: headers and rows of the same length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Grid {
    /// A table with these columns and no rows.
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

    /// Headers, and where the text of their columns stands.
    #[must_use]
    pub fn columns(&self) -> &[(String, Align)] {
        &self.columns
    }

    /// The rows.
    #[must_use]
    pub fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// True without rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table with the last columns dropped, but not the first `keep`, so that it fits `width`; and what was dropped.
    #[must_use]
    pub fn fitting(mut self, width: usize, keep: usize) -> (Self, Vec<String>) {
        let mut dropped = Vec::new();
        while self.width() > width && self.columns.len() > keep {
            dropped.extend(self.columns.pop().map(|(header, _)| header));
            for row in &mut self.rows {
                row.pop();
            }
        }
        dropped.reverse();
        (self, dropped)
    }

    fn width(&self) -> usize {
        let column = |at: usize| {
            let cells = self.rows.iter().map(|row| width_of(&row[at]));
            cells.max().unwrap_or_default().max(width_of(&self.columns[at].0)) + 3
        };
        (0..self.columns.len()).map(column).sum::<usize>().saturating_sub(1)
    }

    /// For terminals: a rule under the headers, a name in the first column said only once.
    #[must_use]
    pub fn text(&self, styles: &Styles) -> String {
        let mut last: Option<&str> = None;
        let mut rows = Vec::new();
        for row in &self.rows {
            let mut cells: Vec<&str> = row.iter().map(String::as_str).collect();
            if let Some(first) = cells.first_mut() {
                if last == Some(*first) {
                    *first = "";
                } else {
                    last = Some(*first);
                }
            }
            rows.push(cells);
        }
        let drawn = self.drawn(presets::UTF8_HORIZONTAL_ONLY, &rows);
        let mut text = String::new();
        for line in drawn.lines().filter(|line| !line.is_empty()) {
            let rule = line.chars().all(|c| "─═━╌".contains(c));
            // Only the rule below the headers is kept, and no blanks at the ends of lines.
            if rule {
                if text.lines().count() == 1 {
                    let line = Styles::paint(styles.faint, &"─".repeat(width_of(line)));
                    text.push_str(&format!("{line}\n"));
                }
                continue;
            }
            let line = line.trim_end();
            let line = if text.is_empty() { Styles::paint(styles.strong, line) } else { line.to_owned() };
            text.push_str(&format!("{line}\n"));
        }
        text
    }

    /// For papers and issues.
    #[must_use]
    pub fn markdown(&self) -> String {
        let rows: Vec<Vec<&str>> = self.rows.iter().map(|row| row.iter().map(String::as_str).collect()).collect();
        format!("{}\n", self.drawn(presets::ASCII_MARKDOWN, &rows))
    }

    /// For papers: a `tabular` with the rules of the package `booktabs`.
    #[must_use]
    pub fn latex(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = &String>| {
            let cells: Vec<String> = cells.map(|cell| for_latex(cell)).collect();
            format!("{} \\\\\n", cells.join(" & "))
        };
        let columns: String =
            self.columns.iter().map(|(_, align)| if *align == Align::Left { 'l' } else { 'r' }).collect();
        let headers = line(&mut self.columns.iter().map(|(header, _)| header));
        let rows: String = self.rows.iter().map(|row| line(&mut row.iter())).collect();
        format!(
            "\\begin{{tabular}}{{{columns}}}\n\\toprule\n{headers}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n"
        )
    }

    /// For other programs.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let headers = self.columns.iter().map(|(header, _)| header.as_str());
        let written = writer.write_record(headers).and_then(|()| {
            self.rows.iter().try_for_each(|row| writer.write_record(row))?;
            Ok(writer.flush()?)
        });
        written.expect("rows are as long as the headers, and memory does not refuse");
        let bytes = writer.into_inner().expect("it was flushed");
        String::from_utf8(bytes).expect("text goes in and comes out")
    }

    fn drawn(&self, style: comfy_table::TableStyle, rows: &[Vec<&str>]) -> String {
        let mut table = Table::new();
        table.load_style(style);
        table.set_header(self.columns.iter().map(|(header, _)| Cell::new(header)));
        for row in rows {
            table.add_row(row.iter().map(Cell::new).collect::<Vec<_>>());
        }
        for (column, (_, align)) in table.column_iter_mut().zip(&self.columns) {
            column.set_cell_alignment(match align {
                Align::Left => CellAlignment::Left,
                Align::Right => CellAlignment::Right,
            });
        }
        table.to_string()
    }
}

/// A text in which nothing has a meaning to LaTeX.
fn for_latex(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => safe.push_str("\\textbackslash{}"),
            '~' => safe.push_str("\\textasciitilde{}"),
            '^' => safe.push_str("\\textasciicircum{}"),
            '±' => safe.push_str("$\\pm$"),
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => {
                safe.push('\\');
                safe.push(c);
            }
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new([("stage", Align::Left), ("at", Align::Left), ("accuracy", Align::Right)]);
        for (at, accuracy) in [("p1", "41.3"), ("p3", "9.2")] {
            grid.push(vec!["probe".into(), at.into(), accuracy.into()]);
        }
        grid
    }

    #[test]
    fn text_says_a_name_once() {
        let lines = [
            " stage   at   accuracy",
            "───────────────────────",
            " probe   p1       41.3",
            "         p3        9.2",
            "",
        ];
        assert_eq!(grid().text(&Styles::default()), lines.join("\n"));
    }

    #[test]
    fn markdown_and_csv_say_it_each_time() {
        let lines = [
            "| stage | at | accuracy |",
            "|-------|----|----------|",
            "| probe | p1 |     41.3 |",
            "| probe | p3 |      9.2 |",
            "",
        ];
        assert_eq!(grid().markdown(), lines.join("\n"));
        assert_eq!(grid().csv(), "stage,at,accuracy\nprobe,p1,41.3\nprobe,p3,9.2\n");
    }

    #[test]
    fn latex_has_no_character_with_a_meaning() {
        let mut grid = Grid::new([("a_b", Align::Left), ("50 % \\ c", Align::Right)]);
        grid.push(vec!["x & y".into(), "1.5 ± 0.1".into()]);
        let lines = [
            r"\begin{tabular}{lr}",
            r"\toprule",
            r"a\_b & 50 \% \textbackslash{} c \\",
            r"\midrule",
            r"x \& y & 1.5 $\pm$ 0.1 \\",
            r"\bottomrule",
            r"\end{tabular}",
            "",
        ];
        assert_eq!(grid.latex(), lines.join("\n"));
    }

    #[test]
    fn columns_that_do_not_fit_are_named() {
        let (narrow, dropped) = grid().fitting(15, 1);
        assert_eq!((narrow.csv().lines().next(), dropped), (Some("stage,at"), vec!["accuracy".to_owned()]));
    }
}
