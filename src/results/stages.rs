//! A metric with the stages as columns: rows by point of the sweep.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::{
    error::ResultsError,
    grid::{Align, Grid},
    rows::{Results, Row, over},
    sort::Sort,
    statistics::Estimate,
};
use crate::{pipeline::plain, store::real};

/// A metric of several stages, by point.
pub struct ByStage {
    /// The points with their values, as scripts read them.
    pub rows: Vec<StagePoint>,
    /// The table.
    pub grid: Grid,
}

/// A point of the sweep.
#[derive(Serialize)]
pub struct StagePoint {
    axes: BTreeMap<String, Value>,
    stages: BTreeMap<String, StageCell>,
}

#[derive(Serialize)]
struct StageCell {
    #[serde(serialize_with = "real")]
    mean: f64,
    low: Option<f64>,
    high: Option<f64>,
    n: usize,
}

/// The axes of a point, without that over seeds.
type Point<'r> = Vec<(&'r str, &'r Value)>;

impl ByStage {
    /// Makes the table. A stage that fewer axes reach has the same value at every point that it belongs to.
    ///
    /// # Errors
    /// If no result has the metric.
    pub fn of(results: &Results<'_>, metric: &str) -> Result<Self, ResultsError> {
        let all = results.rows();
        Sort { stage: None, metric: metric.to_owned() }
            .check(all.iter().flat_map(|row| row.metrics.keys().map(|name| (row.stage, name.as_str()))))?;
        let rows: Vec<&Row<'_>> = all.iter().filter(|row| row.metrics.contains_key(metric)).collect();
        let mut points: Vec<Point<'_>> = Vec::new();
        for row in &rows {
            let axes = axes(row, results);
            if !points.contains(&axes) {
                points.push(axes);
            }
        }
        let is_within = |few: &Point<'_>, many: &Point<'_>| few.iter().all(|axis| many.contains(axis));
        let is_part = |few: &Point<'_>| points.iter().any(|many| many.len() > few.len() && is_within(few, many));
        let whole: Vec<&Point<'_>> = points.iter().filter(|point| !is_part(point)).collect();
        let mut stages: Vec<&str> = Vec::new();
        for row in &rows {
            if !stages.contains(&row.stage) {
                stages.push(row.stage);
            }
        }
        let cell = |point: &Point<'_>, stage: &str| {
            let own: Vec<&Row<'_>> = rows
                .iter()
                .copied()
                .filter(|row| row.stage == stage && is_within(&axes(row, results), point))
                .collect();
            over(&own, |row| row.metrics.get(metric))
        };
        let mut names: Vec<&str> = Vec::new();
        for (axis, _) in whole.iter().copied().flatten() {
            if !names.contains(axis) {
                names.push(axis);
            }
        }
        let varying: Vec<&str> = names
            .into_iter()
            .filter(|axis| {
                let values: BTreeSet<Option<String>> =
                    whole.iter().map(|point| value(point, axis).map(plain)).collect();
                values.len() > 1
            })
            .collect();
        let about = results.metrics();
        let left = varying.iter().map(|axis| ((*axis).to_owned(), Align::Left));
        let right = stages.iter().map(|stage| (format!("{stage}: {}", about.header(metric)), Align::Right));
        let mut grid = Grid::new(left.chain(right));
        for point in &whole {
            let start = varying.iter().map(|axis| value(point, axis).map(plain).unwrap_or_default());
            grid.push(start.chain(stages.iter().map(|stage| about.cell(metric, cell(point, stage)))).collect());
        }
        let for_scripts = |point: &&Point<'_>| StagePoint {
            axes: point.iter().map(|(axis, value)| ((*axis).to_owned(), (*value).clone())).collect(),
            stages: stages
                .iter()
                .filter_map(|stage| Some(((*stage).to_owned(), StageCell::of(cell(point, stage)?))))
                .collect(),
        };
        Ok(Self { rows: whole.iter().map(for_scripts).collect(), grid })
    }
}

impl StageCell {
    fn of(estimate: Estimate) -> Self {
        let (low, high) = estimate.interval.unzip();
        Self { mean: estimate.mean, low, high, n: estimate.n }
    }
}

/// The axes of a row, without that over seeds.
fn axes<'r>(row: &'r Row<'_>, results: &Results<'_>) -> Point<'r> {
    row.axes.iter().filter(|(axis, _)| Some(*axis) != results.repeats()).collect()
}

fn value<'r>(point: &Point<'r>, axis: &str) -> Option<&'r Value> {
    point.iter().find(|(name, _)| *name == axis).map(|(_, value)| *value)
}
