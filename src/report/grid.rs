//! Formats tables as text, CSV, Markdown or LaTeX. Each row is one line, whatever its cells contain.

use console::measure_text_width as width_of;

use super::{
    escape::{for_latex, for_markdown, one_line},
    style::Styles,
};
use crate::results::{Align, Grid};

impl Grid {
    /// Drops the last columns, except the first `keep`, until the table fits `width`. Returns the headers of the
    /// dropped columns too.
    #[must_use]
    pub fn fitting(mut self, width: usize, keep: usize) -> (Self, Vec<String>) {
        let mut dropped = Vec::new();
        while self.width() > width && self.columns().len() > keep {
            dropped.extend(self.pop_column());
        }
        dropped.reverse();
        (self, dropped)
    }

    /// Returns the width of the table as text, in columns.
    #[must_use]
    pub fn width(&self) -> usize {
        let column = |at: usize| {
            let shown = |cell: &String| width_of(&one_line(cell));
            let cells = self.rows().iter().map(|row| shown(&row[at]));
            cells.max().unwrap_or_default().max(shown(&self.columns()[at].0)) + 3
        };
        (0..self.columns().len()).map(column).sum::<usize>().saturating_sub(1)
    }

    /// Formats the table for terminals, with a rule under the headers. A name that repeats in the first column is shown
    /// once.
    #[must_use]
    pub fn text(&self, styles: &Styles) -> String {
        let shown = Shown::of(self, |cell| one_line(cell).into_owned());
        let line = |cells: &[String], first: &str| format!(" {}", shown.line(cells, first, "   ").trim_end());
        let first_of = |cells: &[String]| cells.first().cloned().unwrap_or_default();
        let rule = "─".repeat(shown.widths.iter().map(|width| width + 3).sum::<usize>().saturating_sub(1));
        let header = line(&shown.headers, &first_of(&shown.headers));
        let (header, rule) = (Styles::paint(styles.strong, &header), Styles::paint(styles.faint, &rule));
        let mut text = format!("{header}\n{rule}\n");
        let mut last = None;
        for row in &shown.rows {
            let first = Some(first_of(row));
            let said = if last == first { "" } else { first.as_deref().unwrap_or_default() };
            text.push_str(&format!("{}\n", line(row, said).trim_end()));
            last = first;
        }
        text
    }

    /// Formats the table as Markdown, for papers and issues.
    #[must_use]
    pub fn markdown(&self) -> String {
        let shown = Shown::of(self, for_markdown);
        let first_of = |cells: &[String]| cells.first().cloned().unwrap_or_default();
        let line = |cells: &[String]| format!("| {} |\n", shown.line(cells, &first_of(cells), " | "));
        let rules: Vec<String> = shown.widths.iter().map(|width| "-".repeat(width + 2)).collect();
        let rows: String = shown.rows.iter().map(|row| line(row)).collect();
        format!("{}|{}|\n{rows}", line(&shown.headers), rules.join("|"))
    }

    /// Formats the table as a LaTeX `tabular` with the rules of the package `booktabs`.
    #[must_use]
    pub fn latex(&self) -> String {
        let line = |cells: &mut dyn Iterator<Item = &String>| {
            let cells: Vec<String> = cells.map(|cell| for_latex(cell)).collect();
            format!("{} \\\\\n", cells.join(" & "))
        };
        let columns: String =
            self.columns().iter().map(|(_, align)| if *align == Align::Left { 'l' } else { 'r' }).collect();
        let headers = line(&mut self.columns().iter().map(|(header, _)| header));
        let rows: String = self.rows().iter().map(|row| line(&mut row.iter())).collect();
        format!(
            "\\begin{{tabular}}{{{columns}}}\n\\toprule\n{headers}\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}\n"
        )
    }

    /// Formats the table as CSV, for other programs.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let headers = self.columns().iter().map(|(header, _)| header.as_str());
        let written = writer.write_record(headers).and_then(|()| {
            self.rows().iter().try_for_each(|row| writer.write_record(row))?;
            Ok(writer.flush()?)
        });
        written.expect("rows are as long as the headers, and memory does not refuse");
        let bytes = writer.into_inner().expect("it was flushed");
        String::from_utf8(bytes).expect("text goes in and comes out")
    }
}

/// A table with its cells escaped, and the width of each column.
struct Shown {
    headers: Vec<String>,
    rows: Vec<Vec<String>>,
    aligns: Vec<Align>,
    widths: Vec<usize>,
}

impl Shown {
    fn of(grid: &Grid, write: impl Fn(&str) -> String) -> Self {
        let headers: Vec<String> = grid.columns().iter().map(|(header, _)| write(header)).collect();
        let rows: Vec<Vec<String>> =
            grid.rows().iter().map(|row| row.iter().map(|cell| write(cell)).collect()).collect();
        let mut widths: Vec<usize> = headers.iter().map(|header| width_of(header).max(1)).collect();
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(width_of(cell));
            }
        }
        Self { headers, rows, aligns: grid.columns().iter().map(|(_, align)| *align).collect(), widths }
    }

    /// Formats one row, padded to the widths of the columns, with `first` in place of the first cell.
    fn line(&self, cells: &[String], first: &str, between: &str) -> String {
        let mut line = String::new();
        for (at, cell) in cells.iter().enumerate() {
            let cell = if at == 0 { first } else { cell };
            let pad = self.widths[at].saturating_sub(width_of(cell));
            line.push_str(if at == 0 { "" } else { between });
            match self.aligns[at] {
                Align::Left => line.push_str(&format!("{cell}{:pad$}", "")),
                Align::Right => line.push_str(&format!("{:pad$}{cell}", "")),
            }
        }
        line
    }
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
    fn a_row_is_a_line_whatever_is_in_it() {
        let mut grid = Grid::new([("a\tb", Align::Left), ("x|y", Align::Right)]);
        grid.push(vec!["one\ntwo\u{202e}".into(), r"p\|q".into()]);
        grid.push(vec!["שלום\u{200b}".into(), "|".into()]);
        assert_eq!(grid.text(&Styles::default()).lines().count(), 4);
        let markdown = grid.markdown();
        let lines: Vec<&str> = markdown.lines().collect();
        assert_eq!((lines.len(), lines[2]), (4, r"| one\\ntwo\\u{202e} | p\\\|q |"));
        // Apart from escaped characters, each row has the bars of two cells.
        for line in lines {
            assert_eq!(line.replace(r"\\", "").replace(r"\|", "").matches('|').count(), 3, "{line}");
        }
        assert_eq!(grid.latex().lines().count(), 8);
        let csv = grid.csv();
        let rows: Vec<csv::StringRecord> =
            csv::Reader::from_reader(csv.as_bytes()).records().map(Result::unwrap).collect();
        assert_eq!((&rows[0][0], &rows[0][1]), ("one\ntwo\u{202e}", r"p\|q"));
    }

    #[test]
    fn a_hundred_thousand_rows_are_a_matter_of_a_moment() {
        let mut grid = Grid::new([("stage", Align::Left), ("seed", Align::Right)]);
        (0..100_000).for_each(|seed| grid.push(vec!["probe".into(), seed.to_string()]));
        let text = grid.text(&Styles::default());
        // The time is linear: no line is compared with all lines before it.
        assert_eq!(text.lines().count(), 100_002);
        assert_eq!(text.lines().last(), Some("         99999"));
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
