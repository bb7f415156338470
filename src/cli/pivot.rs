//! A metric over two axes: rows by one, columns by the other.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::results::{Row, cell, header, over, plain};
use crate::report::{Align, Estimate, Grid};

/// What a pivot shows.
pub struct Pivot<'a> {
    /// The axis whose values are the rows.
    pub rows: &'a str,
    /// The axis whose values are the columns.
    pub columns: &'a str,
    /// The metric in the cells.
    pub metric: &'a str,
}

/// One cell, for scripts.
#[derive(Serialize)]
pub struct Cell {
    row: Value,
    column: Value,
    mean: f64,
    low: Option<f64>,
    high: Option<f64>,
    n: usize,
}

/// A pivot as a table, and the axes that its cells are means over.
pub struct Pivoted {
    /// The cells that have results.
    pub cells: Vec<Cell>,
    /// The table.
    pub grid: Grid,
    /// Other axes with several values in one cell.
    pub over: Vec<String>,
}

impl Pivot<'_> {
    /// The table of some results. A cell with several of them is their mean, with half the width of its interval.
    pub fn of(&self, results: &[Row<'_>]) -> Result<Pivoted, String> {
        let rows: Vec<&Row<'_>> = results
            .iter()
            .filter(|row| row.axes.contains_key(self.rows) && row.axes.contains_key(self.columns))
            .filter(|row| row.metrics.contains_key(self.metric))
            .collect();
        let Some(first) = rows.first() else {
            let Self { rows, columns, metric } = self;
            return Err(format!("no result has the metric `{metric}` and both axes, `{rows}` and `{columns}`"));
        };
        if let Some(other) = rows.iter().find(|row| row.stage != first.stage) {
            let (a, b) = (first.stage, other.stage);
            return Err(format!("`{a}` and `{b}` both have such results; name one of them as TARGET"));
        }
        let values = |axis: &str| {
            let mut values: Vec<String> = Vec::new();
            for value in rows.iter().filter_map(|row| row.axes.get(axis)).map(plain) {
                if !values.contains(&value) {
                    values.push(value);
                }
            }
            values
        };
        let (down, across) = (values(self.rows), values(self.columns));
        let mut cells: BTreeMap<(String, String), Vec<&Row<'_>>> = BTreeMap::new();
        for row in &rows {
            let value = |axis: &str| row.axes.get(axis).map(plain).unwrap_or_default();
            cells.entry((value(self.rows), value(self.columns))).or_default().push(row);
        }
        let estimate = |rows: &Vec<&Row<'_>>| over(rows, |row| row.metrics.get(self.metric));
        let corner = format!("{}: {} \\ {}", header(self.metric), self.rows, self.columns);
        let headers = across.iter().map(|value| (value.clone(), Align::Right));
        let mut grid = Grid::new([(corner, Align::Left)].into_iter().chain(headers));
        for down in &down {
            let found = |across: &String| cells.get(&(down.clone(), across.clone())).and_then(estimate);
            let line = across.iter().map(|across| cell(self.metric, found(across)));
            grid.push([down.clone()].into_iter().chain(line).collect());
        }
        let for_scripts = |rows: &Vec<&Row<'_>>| {
            let axis = |axis: &str| rows[0].axes.get(axis).cloned().unwrap_or_default();
            let Estimate { mean, interval, n } = estimate(rows)?;
            let (low, high) = interval.unzip();
            Some(Cell { row: axis(self.rows), column: axis(self.columns), mean, low, high, n })
        };
        let all = cells.values().filter_map(for_scripts).collect();
        let others = first.axes.iter().map(|(axis, _)| axis).filter(|axis| *axis != self.rows && *axis != self.columns);
        let several = |axis: &&str| {
            let differ = |rows: &Vec<&Row<'_>>| rows.iter().any(|row| row.axes.get(axis) != rows[0].axes.get(axis));
            cells.values().any(differ)
        };
        Ok(Pivoted { cells: all, grid, over: others.filter(several).map(str::to_owned).collect() })
    }
}
