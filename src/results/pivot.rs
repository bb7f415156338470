//! A metric over two axes: rows by one, columns by the other.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{
    error::ResultsError,
    grid::{Align, Grid},
    metric::Metrics,
    rows::{Row, over},
    statistics::Estimate,
};
use crate::{
    pipeline::{plain, quoted},
    store::real,
};

/// The request for a pivot.
pub struct Pivot<'a> {
    /// The axis whose values are the rows.
    pub rows: &'a str,
    /// The axis whose values are the columns.
    pub columns: &'a str,
    /// The metric in the cells: `METRIC`, or `STAGE.METRIC` where several stages have it.
    pub metric: &'a str,
    /// The axis over seeds, if there is one. Only seeds make an interval.
    pub repeats: Option<&'a str>,
    /// The descriptions of the metrics.
    pub metrics: &'a Metrics,
}

/// One cell, as scripts read it.
#[derive(Serialize)]
pub struct Cell {
    row: Value,
    column: Value,
    #[serde(serialize_with = "real")]
    mean: f64,
    low: Option<f64>,
    high: Option<f64>,
    n: usize,
}

/// A pivot as a table, with the axes that its cells are means over.
pub struct Pivoted {
    /// The cells that have results.
    pub cells: Vec<Cell>,
    /// The table.
    pub grid: Grid,
    /// Other axes that have several values within one cell.
    pub over: Vec<String>,
}

impl Pivot<'_> {
    /// Makes the table of some results. A cell with several results has their mean, and half the width of its interval
    /// if they differ only in their seed.
    ///
    /// # Errors
    /// If no result has the metric and both axes, or results of several stages have them.
    pub fn of(&self, results: &[Row<'_>]) -> Result<Pivoted, ResultsError> {
        if self.rows == self.columns {
            return Err(ResultsError::Ask(format!("`--rows` and `--columns` are one axis, `{}`", self.rows)));
        }
        let (stage, metric) =
            self.metric.split_once('.').map_or((None, self.metric), |(stage, metric)| (Some(stage), metric));
        let rows: Vec<&Row<'_>> = results
            .iter()
            .filter(|row| stage.is_none_or(|stage| row.stage == stage))
            .filter(|row| row.axes.contains_key(self.rows) && row.axes.contains_key(self.columns))
            .filter(|row| row.metrics.contains_key(metric))
            .collect();
        let Some(first) = rows.first() else {
            let Self { rows, columns, metric, .. } = self;
            let message = format!("no result has the metric `{metric}` and both axes, `{rows}` and `{columns}`");
            return Err(ResultsError::Ask(format!("{message}\n{}", known(results))));
        };
        if let Some(other) = rows.iter().find(|row| row.stage != first.stage) {
            let (a, b) = (first.stage, other.stage);
            return Err(ResultsError::Ask(format!(
                "`{a}` and `{b}` both have such results; `--value {a}.{metric}` takes those of one"
            )));
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
        let free = |axis: &str| axis != self.rows && axis != self.columns && Some(axis) != self.repeats;
        let differs =
            |rows: &[&Row<'_>], axis: &str| rows.iter().any(|row| row.axes.get(axis) != rows[0].axes.get(axis));
        let others: Vec<&str> = first.axes.iter().map(|(axis, _)| axis).filter(|axis| free(axis)).collect();
        let estimate = |rows: &Vec<&Row<'_>>| {
            let estimate = over(rows, |row| row.metrics.get(metric))?;
            let repeated = self.repeats.is_some() && !others.iter().any(|axis| differs(rows, axis));
            Some(Estimate { interval: estimate.interval.filter(|_| repeated), ..estimate })
        };
        let corner = format!("{}: {} \\ {}", self.metrics.header(metric), self.rows, self.columns);
        let headers = across.iter().map(|value| (value.clone(), Align::Right));
        let mut grid = Grid::new([(corner, Align::Left)].into_iter().chain(headers));
        for down in &down {
            let found = |across: &String| cells.get(&(down.clone(), across.clone())).and_then(estimate);
            let line = across.iter().map(|across| self.metrics.cell(metric, found(across)));
            grid.push([down.clone()].into_iter().chain(line).collect());
        }
        let for_scripts = |rows: &Vec<&Row<'_>>| {
            let axis = |axis: &str| rows[0].axes.get(axis).cloned().unwrap_or_default();
            let Estimate { mean, interval, n } = estimate(rows)?;
            let (low, high) = interval.unzip();
            Some(Cell { row: axis(self.rows), column: axis(self.columns), mean, low, high, n })
        };
        let places = down.iter().flat_map(|down| across.iter().map(|across| (down.clone(), across.clone())));
        let all = places.filter_map(|place| cells.get(&place)).filter_map(for_scripts).collect();
        let several = |axis: &&&str| cells.values().any(|rows| differs(rows, axis));
        let over = others.iter().chain(&self.repeats).filter(several).map(|axis| (*axis).to_owned()).collect();
        Ok(Pivoted { cells: all, grid, over })
    }
}

/// Lists the axes and metrics that results have.
fn known(results: &[Row<'_>]) -> String {
    let axes: BTreeSet<&str> = results.iter().flat_map(|row| row.axes.iter().map(|(axis, _)| axis)).collect();
    let metrics: BTreeSet<&str> = results.iter().flat_map(|row| row.metrics.keys().map(String::as_str)).collect();
    let listed = |names: BTreeSet<&str>| match names.is_empty() {
        true => "none".to_owned(),
        false => quoted(&names.into_iter().collect::<Vec<_>>()),
    };
    format!("axes with results are {}; metrics are {}", listed(axes), listed(metrics))
}
