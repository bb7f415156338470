//! Tables of results: a row for each point, columns by metric.

use std::collections::BTreeSet;

use super::{
    grid::{Align, Grid},
    metric::{cell, header, signed},
    rows::{Results, Row, SCORE, distinct, over, score},
};
use crate::{amount::percent, pipeline::plain, run::Status};

/// The same on the training images.
const TRAIN_SCORE: &str = "train_accuracy";
/// Metrics that come first where there are many columns; the others follow by name.
const FIRST: [&str; 6] =
    ["train_accuracy", "val_accuracy", "nmi", "false_negative_rate", "false_negative_rate_expected", "loss"];
/// Metrics of what an instance stands on, worth showing beside its own.
const BENEATH: [&str; 4] = ["nmi", "false_negative_rate", "same_cluster_rate", "contrastive_top1"];

/// What a table shows in place of a number that there is not, because of a failure.
const FAILED: &str = Status::Failed.word();

impl<'a> Results<'a> {
    /// Every row with every metric, as plain numbers in one table.
    pub fn flat(&self) -> Grid {
        let names: BTreeSet<&str> = self.rows.iter().flat_map(|row| row.metrics.keys().map(String::as_str)).collect();
        let left = ["stage", "instance"].into_iter().chain(self.axes.iter().map(|(key, _)| key.as_str()));
        let right = names.iter().map(|name| (*name).to_owned());
        let against = names.iter().filter(|_| self.baseline.is_some()).map(|name| format!("difference_{name}"));
        let right = right.chain(against).map(|header| (header, Align::Right));
        let mut grid = Grid::new(left.map(|header| (header.to_owned(), Align::Left)).chain(right));
        for row in self.with_gaps(&self.rows.iter().collect::<Vec<_>>()) {
            let start = [row.stage.to_owned(), row.instance.to_owned()].into_iter().chain(self.axes_of(row));
            let number = |value: Option<&f64>| value.map(f64::to_string).unwrap_or_default();
            let numbers = names.iter().map(|name| number(row.metrics.get(*name)));
            let against = names.iter().filter(|_| self.baseline.is_some());
            let differences = against.map(|name| number(row.differences.get(*name)));
            grid.push(start.chain(numbers).chain(differences).collect());
        }
        grid
    }

    /// The tables that people read, each with a title: that of test accuracies; without one (or with `all`) one for
    /// each other kind with metrics.
    pub fn tables(&self, all: bool) -> Vec<(&'static str, Grid)> {
        let scored: Vec<&Row<'_>> = self.rows.iter().filter(|row| row.metrics.contains_key(SCORE)).collect();
        let mut tables = Vec::new();
        if !scored.is_empty() {
            tables.push(("", self.scores(&scored, all)));
        }
        if all || scored.is_empty() {
            let mut kinds: Vec<&'static str> = Vec::new();
            for row in self.rows.iter().filter(|row| !row.metrics.contains_key(SCORE)) {
                if !kinds.contains(&row.kind) {
                    kinds.push(row.kind);
                }
            }
            for kind in kinds {
                let rows: Vec<&Row<'_>> = self.rows.iter().filter(|row| row.kind == kind).collect();
                tables.push((kind, self.metrics(&rows)));
            }
        }
        tables
    }

    /// Columns that say which instance a row is: never dropped.
    pub fn fixed(&self) -> usize {
        self.axes.len() + 2 + usize::from(self.repeats.is_some())
    }

    fn scores(&self, rows: &[&Row<'_>], all: bool) -> Grid {
        // A network that does not know its training images is no fair baseline, so that is always shown.
        let own = |name: &str| if all { !name.starts_with(SCORE) } else { name == TRAIN_SCORE };
        let names = names(rows.iter().map(|row| row.metrics.keys().map(String::as_str)), own);
        let below = if all { names_of(&BENEATH, rows) } else { vec![] };
        let (axes, kept) = self.reaching(rows);
        let from = self.baseline.as_ref().map(|baseline| (format!("less {baseline}"), Align::Right));
        let scored = [("test accuracy % [95 %]".to_owned(), Align::Right)].into_iter().chain(from);
        let others = names.iter().chain(&below).map(|name| (header(name), Align::Right));
        let mut grid = Grid::new(axes.into_iter().chain(self.seeds()).chain(scored).chain(others));
        for group in self.groups(&self.with_gaps(rows)) {
            let mut cells = self.start(&group, &kept);
            let found = score(&group);
            let interval = found.and_then(|(_, interval)| interval);
            let interval = interval.map(|(low, high)| format!(" [{:>4}, {:>4}]", percent(low), percent(high)));
            let mean = found.map_or_else(|| FAILED.to_owned(), |(mean, _)| percent(mean));
            cells.push(format!("{mean}{}", interval.unwrap_or_default()));
            if self.baseline.is_some() {
                cells.push(signed(SCORE, over(&group, |row| row.differences.get(SCORE))));
            }
            cells.extend(names.iter().map(|name| cell(name, over(&group, |row| row.metrics.get(*name)))));
            cells.extend(below.iter().map(|name| cell(name, over(&group, |row| row.beneath.get(*name)))));
            grid.push(cells);
        }
        grid
    }

    fn metrics(&self, rows: &[&Row<'_>]) -> Grid {
        let names = names(rows.iter().map(|row| row.metrics.keys().map(String::as_str)), |_| true);
        let (axes, kept) = self.reaching(rows);
        let headers = names.iter().map(|name| (header(name), Align::Right));
        let mut grid = Grid::new(axes.into_iter().chain(self.seeds()).chain(headers));
        for group in self.groups(&self.with_gaps(rows)) {
            let mut cells = self.start(&group, &kept);
            if group.iter().all(|row| row.is_lost()) {
                cells.push(FAILED.to_owned());
                cells.resize(grid.columns().len(), String::new());
                grid.push(cells);
                continue;
            }
            cells.extend(names.iter().map(|name| {
                let difference = signed(name, over(&group, |row| row.differences.get(*name)));
                let value = cell(name, over(&group, |row| row.metrics.get(*name)));
                if difference.is_empty() { value } else { format!("{value} ({difference})") }
            }));
            grid.push(cells);
        }
        grid
    }

    /// The column of the number of seeds, where there are any.
    fn seeds(&self) -> Option<(String, Align)> {
        self.repeats.map(|_| ("seeds".to_owned(), Align::Right))
    }

    /// The headers of the stage and of the axes that reach one of these rows, and those axes.
    fn reaching(&self, rows: &[&Row<'_>]) -> (Vec<(String, Align)>, Vec<&str>) {
        let reached = |key: &str| rows.iter().any(|row| row.axes.contains_key(key));
        let shown = |key: &str| reached(key) && Some(key) != self.repeats;
        let axes: Vec<&(String, String)> = self.axes.iter().filter(|(key, _)| shown(key)).collect();
        let headers = axes.iter().map(|(_, header)| (header.clone(), Align::Left));
        (
            [("stage".to_owned(), Align::Left)].into_iter().chain(headers).collect(),
            axes.iter().map(|(key, _)| key.as_str()).collect(),
        )
    }

    fn start(&self, group: &[&Row<'_>], axes: &[&str]) -> Vec<String> {
        let values = axes.iter().map(|key| group[0].axes.get(key).map(plain).unwrap_or_default());
        let lost = group.iter().filter(|row| row.is_lost()).count();
        let failed = if lost > 0 { format!(" ({lost} {FAILED})") } else { String::new() };
        let seeds = self.repeats.map(|_| format!("{}{failed}", distinct(group).len() - lost));
        [group[0].stage.to_owned()].into_iter().chain(values).chain(seeds).collect()
    }

    fn axes_of(&self, row: &Row<'_>) -> impl Iterator<Item = String> {
        self.axes.iter().map(|(key, _)| row.axes.get(key).map(plain).unwrap_or_default())
    }
}

fn names<'r>(rows: impl Iterator<Item = impl Iterator<Item = &'r str>>, wanted: impl Fn(&str) -> bool) -> Vec<&'r str> {
    let names: BTreeSet<&str> = rows.flatten().filter(|name| wanted(name)).collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    names
}

fn names_of(of: &[&'static str], rows: &[&Row<'_>]) -> Vec<&'static str> {
    of.iter().copied().filter(|name| rows.iter().any(|row| row.beneath.contains_key(name))).collect()
}
