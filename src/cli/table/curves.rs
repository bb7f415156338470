//! `table --curves`: the series, a row for each epoch.

use std::{collections::BTreeMap, process::ExitCode};

use serde::Serialize;

use super::Args;
use crate::{
    amount::number,
    cli::{Console, Failure, args::Format},
    digest::StageKey,
    results::{Align, Grid},
    store::{Series, real},
};

/// An instance with its series; with its key, if the table is of the history.
pub(super) type Curves<'a> = (&'a str, Option<StageKey>, &'a BTreeMap<String, Series>);

#[derive(Serialize)]
struct Document<'a> {
    rows: Vec<Point<'a>>,
}

#[derive(Serialize)]
struct Point<'a> {
    instance: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<StageKey>,
    series: &'a str,
    epoch: u64,
    #[serde(serialize_with = "real")]
    value: f64,
}

impl Args {
    /// Prints the points of all series.
    pub(super) fn show_curves(&self, curves: Vec<Curves<'_>>, console: &Console) -> Result<ExitCode, Failure> {
        let points = curves.iter().flat_map(|&(instance, key, series)| {
            series.iter().flat_map(move |(name, points)| {
                points.iter().map(move |&(epoch, value)| Point { instance, key, series: name, epoch, value })
            })
        });
        let rows: Vec<Point<'_>> = points.collect();
        if self.output == Format::Json {
            console.json(&Document { rows })?;
            return Ok(ExitCode::SUCCESS);
        }
        let keyed = rows.iter().any(|row| row.key.is_some());
        let people = self.output != Format::Csv;
        let left = ["instance"].into_iter().chain(keyed.then_some("key")).chain(["series"]);
        let right = ["epoch", "value"].map(|header| (header, Align::Right));
        let mut grid = Grid::new(left.map(|header| (header, Align::Left)).chain(right));
        for row in &rows {
            let key = row.key.map(|key| if people { key.short() } else { key.hex() });
            let value = if people { number(row.value) } else { row.value.to_string() };
            let start = [row.instance.to_owned()].into_iter().chain(key);
            grid.push(start.chain([row.series.to_owned(), row.epoch.to_string(), value]).collect());
        }
        if grid.is_empty() && self.output == Format::Text {
            console.note("no result that is shown has a curve");
        } else {
            console.grid(&grid, self.output)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
