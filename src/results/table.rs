//! Tables of results: a row for each point, with a column for each metric.

use std::collections::BTreeSet;

use super::{
    grid::{Align, Grid},
    metric::Metrics,
    rows::{Results, Row, distinct, over, score},
};
use crate::{
    pipeline::plain,
    run::Status,
    stage::{Metric, Role},
};

/// The text of a cell whose number is missing because of a failure.
const FAILED: &str = Status::Failed.word();

impl<'a> Results<'a> {
    /// Makes one table of every row with every metric, as plain numbers.
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

    /// Makes the tables that people read, each with a title: one for each score. If there is no score, or with `all`,
    /// each other kind with metrics has a table too.
    pub fn tables(&self, all: bool) -> Vec<(&str, Grid)> {
        let mut rest: Vec<&Row<'_>> = self.rows.iter().collect();
        let mut tables: Vec<(&str, Grid)> = Vec::new();
        for metric in self.metrics.scores() {
            let (scored, others): (Vec<&Row<'_>>, Vec<&Row<'_>>) =
                rest.into_iter().partition(|row| row.is_judged_by(metric, &self.metrics));
            rest = others;
            if !scored.is_empty() {
                tables.push((if tables.is_empty() { "" } else { &metric.name }, self.scores(metric, &scored, all)));
            }
        }
        if all || tables.is_empty() {
            let mut kinds: Vec<&str> = Vec::new();
            for row in rest {
                if !kinds.contains(&row.kind) {
                    kinds.push(row.kind);
                }
            }
            for kind in kinds {
                let rows: Vec<&Row<'_>> = self.rows.iter().filter(|row| row.kind == kind).collect();
                tables.push((kind, self.details(&rows)));
            }
        }
        tables
    }

    /// Returns the number of columns that identify a row. These are never dropped.
    pub fn fixed(&self) -> usize {
        self.axes.len() + 2 + usize::from(self.repeats.is_some())
    }

    fn scores(&self, metric: &Metric, rows: &[&Row<'_>], all: bool) -> Grid {
        let about = &self.metrics;
        let is_of_score = |name: &str| match &metric.role {
            Role::Score { interval: Some(ends) } => name == metric.name || ends.iter().any(|end| end == name),
            _ => name == metric.name,
        };
        let is_asked = |name: &str| self.sorted_by.as_deref() == Some(name) && name != metric.name;
        let own = |name: &str| is_asked(name) || if all { !is_of_score(name) } else { about.is_beside_score(name) };
        let names = names(about, rows.iter().map(|row| row.metrics.keys().map(String::as_str)), own);
        let has = |name: &str| rows.iter().any(|row| row.beneath.contains_key(name));
        let below: Vec<&str> = about.explaining().map(|metric| &*metric.name).filter(|name| all && has(name)).collect();
        let (axes, kept) = self.reaching(rows);
        let from = self.baseline.as_ref().map(|baseline| (format!("less {baseline}"), Align::Right));
        let scored = [(format!("{} [95 %]", about.header(&metric.name)), Align::Right)].into_iter().chain(from);
        let header = |name: &str| if all { about.directed_header(name) } else { about.header(name) };
        let others = names.iter().chain(&below).map(|name| (header(name), Align::Right));
        let mut grid = Grid::new(axes.into_iter().chain(self.seeds()).chain(scored).chain(others));
        let shown = |value: f64| about.shown(&metric.name, value);
        for group in self.groups(&self.with_gaps(rows)) {
            let mut cells = self.start(&group, &kept);
            let found = score(metric, &group);
            let interval = found.and_then(|(_, interval)| interval);
            let interval = interval.map(|(low, high)| format!(" [{:>4}, {:>4}]", shown(low), shown(high)));
            let mean = found.map_or_else(|| FAILED.to_owned(), |(mean, _)| shown(mean));
            cells.push(format!("{mean}{}", interval.unwrap_or_default()));
            if self.baseline.is_some() {
                cells.push(about.signed(&metric.name, over(&group, |row| row.differences.get(&*metric.name))));
            }
            cells.extend(names.iter().map(|name| about.cell(name, over(&group, |row| row.metrics.get(*name)))));
            cells.extend(below.iter().map(|name| about.cell(name, over(&group, |row| row.beneath.get(*name)))));
            grid.push(cells);
        }
        grid
    }

    fn details(&self, rows: &[&Row<'_>]) -> Grid {
        let about = &self.metrics;
        let names = names(about, rows.iter().map(|row| row.metrics.keys().map(String::as_str)), |_| true);
        let (axes, kept) = self.reaching(rows);
        let headers = names.iter().map(|name| (about.directed_header(name), Align::Right));
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
                let difference = about.signed(name, over(&group, |row| row.differences.get(*name)));
                let value = about.cell(name, over(&group, |row| row.metrics.get(*name)));
                if difference.is_empty() { value } else { format!("{value} ({difference})") }
            }));
            grid.push(cells);
        }
        grid
    }

    /// Returns the column with the number of seeds, if there is an axis over seeds.
    fn seeds(&self) -> Option<(String, Align)> {
        self.repeats.map(|_| ("seeds".to_owned(), Align::Right))
    }

    /// Returns the headers of the stage and of the axes that reach any of these rows, and these axes.
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

/// Returns the selected names of metrics, in the order of the kinds, then by name.
fn names<'r>(
    about: &Metrics,
    rows: impl Iterator<Item = impl Iterator<Item = &'r str>>,
    wanted: impl Fn(&str) -> bool,
) -> Vec<&'r str> {
    let names: BTreeSet<&str> = rows.flatten().filter(|name| wanted(name)).collect();
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_by_key(|name| about.rank(name));
    names
}
