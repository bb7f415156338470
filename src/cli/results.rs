//! Results as rows: which cached instances have numbers, and in which columns they are shown.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::baseline::Baseline;
pub use crate::pipeline::plain;
use crate::{
    graph::{Axes, Graph},
    report::{self, Align, Estimate, Grid, percent},
    run::{Status, Summary},
    store::{Manifest, Recipe, reals},
};

/// The metric that makes an instance a line of the main table.
pub const SCORE: &str = "test_accuracy";
/// The same on the training images.
const TRAIN_SCORE: &str = "train_accuracy";
/// Metrics that come first where there are many columns; the others follow by name.
const FIRST: [&str; 6] =
    ["train_accuracy", "val_accuracy", "nmi", "false_negative_rate", "false_negative_rate_expected", "loss"];
/// Metrics of what an instance stands on, worth showing beside its own.
const BENEATH: [&str; 4] = ["nmi", "false_negative_rate", "same_cluster_rate", "contrastive_top1"];

/// The instances that have metrics, in the order of the graph.
pub struct Results<'a> {
    /// The axes with more than one value in the sweep, in its order, whatever of it is cached: key, and header of the
    /// column.
    axes: Vec<(String, String)>,
    rows: Vec<Row<'a>>,
    /// Instances that have no results because they failed, or something that they need did.
    lost: Vec<Row<'a>>,
    /// The axis over seeds: people see means over it.
    repeats: Option<&'a str>,
    /// What differences are from.
    baseline: Option<String>,
}

/// An instance with its metrics.
pub struct Row<'a> {
    /// Its place in the graph.
    index: usize,
    pub stage: &'a str,
    instance: &'a str,
    kind: &'static str,
    pub axes: &'a Axes,
    /// The axis over seeds.
    seeds: Option<&'a str>,
    pub metrics: &'a BTreeMap<String, f64>,
    /// How it was made; nothing for a lost one.
    recipe: Option<&'a Recipe>,
    /// Metrics of instances above, by name; each of the nearest that has it.
    pub beneath: BTreeMap<&'a str, f64>,
    /// By how much its metrics exceed those of the baseline, if there is one.
    pub differences: BTreeMap<String, f64>,
}

/// A row as scripts read it.
#[derive(Serialize)]
pub struct JsonRow<'a> {
    stage: &'a str,
    instance: &'a str,
    axes: &'a Axes,
    #[serde(serialize_with = "reals::serialize")]
    metrics: &'a BTreeMap<String, f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", serialize_with = "reals::serialize")]
    differences: BTreeMap<String, f64>,
}

/// The metrics of an instance without results.
static NONE: BTreeMap<String, f64> = BTreeMap::new();
/// What a table shows in place of a number that there is not, because of a failure.
const FAILED: &str = Status::Failed.word();

impl<'a> Row<'a> {
    fn new(graph: &'a Graph<'_>, index: usize, made: Option<&'a Manifest>, beneath: BTreeMap<&'a str, f64>) -> Self {
        let instance = &graph.instances[index];
        Self {
            index,
            stage: &instance.stage,
            instance: &instance.name,
            kind: instance.kind.name,
            axes: &instance.axes,
            seeds: graph.pipeline.repeats.as_deref(),
            metrics: made.map_or(&NONE, |made| &made.metrics),
            recipe: made.map(|made| &made.recipe),
            beneath,
            differences: BTreeMap::new(),
        }
    }

    /// True if it is the same work as another row and differs from it in nothing but its seed.
    fn repeats_nothing_of(&self, other: &Self) -> bool {
        let without_seed = |axes: &'a Axes| axes.iter().filter(|(axis, _)| Some(*axis) != self.seeds);
        // Metrics that differ are other work, and quicker to compare.
        let is_same_work = self.recipe.is_some() && self.metrics == other.metrics && self.recipe == other.recipe;
        is_same_work && without_seed(self.axes).eq(without_seed(other.axes))
    }

    fn is_lost(&self) -> bool {
        self.metrics.is_empty()
    }
}

impl<'a> Results<'a> {
    /// The rows of the instances in `made`: indices into the graph, and what is known of each.
    pub fn new(graph: &'a Graph<'_>, made: impl IntoIterator<Item = (usize, &'a Manifest)>) -> Self {
        let made: BTreeMap<usize, &Manifest> = made.into_iter().collect();
        let scored = made.iter().filter(|(_, manifest)| !manifest.metrics.is_empty());
        let rows =
            scored.map(|(&index, manifest)| Row::new(graph, index, Some(manifest), beneath(graph, &made, index)));
        let rows = rows.collect();
        // Variants and rounds first, as in the names, then the sweep in the order of the file.
        let mut keys: Vec<String> = Vec::new();
        let rounds = graph.pipeline.loops.iter().map(|around| around.name.get_ref());
        let (variant, sweep): (Vec<_>, Vec<_>) = graph.pipeline.axes.iter().partition(|axis| axis.is_variant());
        keys.extend(variant.iter().map(|axis| axis.key.get_ref()).chain(rounds).cloned());
        keys.extend(sweep.iter().map(|axis| axis.key.get_ref().clone()));
        let varying = keys.into_iter().filter(|key| varies(graph, key)).collect();
        Self {
            axes: headers(varying),
            rows,
            lost: Vec::new(),
            repeats: graph.pipeline.repeats.as_deref(),
            baseline: None,
        }
    }

    /// The results of a run, with a row for each instance that failed.
    pub fn of(graph: &'a Graph<'_>, report: &'a Summary) -> Self {
        let made = report.outcomes.iter().filter_map(|outcome| Some((outcome.index, outcome.manifest.as_deref()?)));
        let lost = report.lost(graph).into_iter().map(|index| Row::new(graph, index, None, BTreeMap::new()));
        Self { lost: lost.collect(), ..Self::new(graph, made) }
    }

    /// The names of the points that have an instance without results because of a failure, in stages that have a metric.
    pub fn lost_points(&self, metric: &str) -> BTreeSet<String> {
        let has_it = |stage: &str| self.rows.iter().any(|row| row.stage == stage && row.metrics.contains_key(metric));
        self.lost.iter().filter(|row| has_it(row.stage)).map(|row| self.point(row)).collect()
    }

    /// Rows together with the lost instances of their stages, in the order of the graph.
    fn with_gaps<'r>(&'r self, rows: &[&'r Row<'a>]) -> Vec<&'r Row<'a>> {
        let of_stage = |lost: &&Row<'_>| rows.iter().any(|row| row.stage == lost.stage);
        let mut all: Vec<&Row<'_>> = rows.iter().copied().chain(self.lost.iter().filter(of_stage)).collect();
        all.sort_by_key(|row| row.index);
        all
    }

    /// The same with differences from a baseline.
    pub fn against(mut self, baseline: &Baseline) -> Self {
        baseline.put_differences(&mut self.rows);
        self.baseline = Some(baseline.text.clone());
        self
    }

    /// The axis that a name means: its key, or the header of its column.
    pub fn axis<'n>(&'n self, name: &'n str) -> &'n str {
        self.axes.iter().find(|(_, header)| header == name).map_or(name, |(key, _)| key)
    }

    /// The axis over seeds.
    pub fn repeats(&self) -> Option<&'a str> {
        self.repeats
    }

    /// Every row.
    pub fn rows(&self) -> &[Row<'a>] {
        &self.rows
    }

    /// Every row, for scripts.
    pub fn json(&self) -> Vec<JsonRow<'a>> {
        let row = |row: &Row<'a>| {
            let &Row { stage, instance, axes, metrics, .. } = row;
            JsonRow { stage, instance, axes, metrics, differences: row.differences.clone() }
        };
        self.rows.iter().map(row).collect()
    }

    /// The means of a metric over seeds, each with the name of its point.
    pub fn estimates(&self, metric: &str) -> Vec<(String, Estimate)> {
        let seeded = |row: &&Row<'a>| self.repeats.is_some_and(|seeds| row.axes.contains_key(seeds));
        let rows: Vec<&Row<'_>> = self.rows.iter().filter(seeded).collect();
        let groups = self.groups(&rows).into_iter();
        groups.filter_map(|group| Some((self.point(group[0]), over(&group, |row| row.metrics.get(metric))?))).collect()
    }

    /// The name of an instance without its seed.
    fn point(&self, row: &Row<'a>) -> String {
        let axes = row.axes.iter().filter(|(axis, _)| Some(*axis) != self.repeats);
        let words: Vec<String> = axes.map(|(axis, value)| format!("{axis}={}", plain(value))).collect();
        if words.is_empty() { row.stage.to_owned() } else { format!("{}@{}", row.stage, words.join(",")) }
    }

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

    /// The rows in groups that differ only in their seed, in the order of the first of each.
    fn groups<'r>(&self, rows: &[&'r Row<'a>]) -> Vec<Vec<&'r Row<'a>>> {
        let mut groups: Vec<Vec<&Row<'a>>> = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for row in rows {
            let at = *known.entry(self.point(row)).or_insert(groups.len());
            if at == groups.len() {
                groups.push(Vec::new());
            }
            groups[at].push(row);
        }
        groups
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

/// The rows without those whose seed changes nothing: they are no repeats.
fn distinct<'r, 'a>(group: &[&'r Row<'a>]) -> Vec<&'r Row<'a>> {
    let mut distinct: Vec<&Row<'_>> = Vec::new();
    for &row in group {
        if !distinct.iter().any(|other| row.repeats_nothing_of(other)) {
            distinct.push(row);
        }
    }
    distinct
}

/// The mean of a metric over a group, of those that have it, without seeds that change nothing.
pub fn over<'r>(group: &[&'r Row<'_>], value: impl Fn(&'r Row<'_>) -> Option<&'r f64>) -> Option<Estimate> {
    Estimate::of(&distinct(group).into_iter().filter_map(value).copied().collect::<Vec<_>>())
}

/// The mean test accuracy of a group with its 95 % interval: over the seeds, or of a single run over its test images.
pub fn score(group: &[&Row<'_>]) -> Option<(f64, Option<(f64, f64)>)> {
    let estimate = over(group, |row| row.metrics.get(SCORE))?;
    let end = |name: &str| group.iter().find_map(|row| row.metrics.get(name)).copied().filter(|end| end.is_finite());
    let over_images = || end("test_accuracy_low").zip(end("test_accuracy_high"));
    // Student's t knows no bounds; an accuracy has some.
    let over_seeds = || estimate.interval.map(|(low, high)| (low.max(0.0), high.min(1.0)));
    Some((estimate.mean, if estimate.n > 1 { over_seeds() } else { over_images() }))
}

/// A mean, with half the width of its interval where there are several values.
pub fn cell(name: &str, estimate: Option<Estimate>) -> String {
    let Some(estimate) = estimate else { return String::new() };
    let half = estimate.half_width().map(|half| format!(" ± {}", shown(name, half)));
    format!("{}{}", shown(name, estimate.mean), half.unwrap_or_default())
}

/// A difference with its sign, and half the width of its interval where there are several.
fn signed(name: &str, estimate: Option<Estimate>) -> String {
    let sign = if estimate.is_some_and(|estimate| estimate.mean >= 0.0) { "+" } else { "" };
    let cell = cell(name, estimate);
    if cell.is_empty() { cell } else { format!("{sign}{cell}") }
}

/// Metrics of what an instance stands on, each of the nearest above that has it. A name that several have at the same
/// distance is left out: which would it be?
fn beneath<'a>(graph: &Graph<'_>, made: &BTreeMap<usize, &'a Manifest>, index: usize) -> BTreeMap<&'a str, f64> {
    let mut seen = BTreeSet::from([index]);
    let mut level = vec![index];
    let mut found: BTreeMap<&str, Option<f64>> = BTreeMap::new();
    while !level.is_empty() {
        let links = level.iter().flat_map(|at| &graph.instances[*at].inputs);
        level = links.map(|link| link.from).filter(|from| seen.insert(*from)).collect();
        let mut here: BTreeMap<&str, Option<f64>> = BTreeMap::new();
        for (name, value) in level.iter().filter_map(|at| made.get(at)).flat_map(|manifest| &manifest.metrics) {
            here.entry(name).and_modify(|one| *one = None).or_insert(Some(*value));
        }
        for (name, value) in here {
            found.entry(name).or_insert(value);
        }
    }
    found.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn varies(graph: &Graph<'_>, key: &str) -> bool {
    let mut values = graph.instances.iter().filter_map(|instance| instance.axes.get(key));
    let first = values.next();
    values.any(|value| Some(value) != first)
}

/// A column is called by the parameter alone, unless two axes share it.
fn headers(keys: Vec<String>) -> Vec<(String, String)> {
    let short = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let shorts: Vec<String> = keys.iter().map(|key| short(key)).collect();
    let unique = |name: &String| shorts.iter().filter(|other| *other == name).count() == 1;
    let name = |key: &String, short: &String| if unique(short) { short.clone() } else { key.clone() };
    keys.iter().zip(&shorts).map(|(key, short)| (key.clone(), name(key, short))).collect()
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

/// True for metrics that are fractions of something and read better in percent.
fn is_fraction(name: &str) -> bool {
    ["accuracy", "accuracy_low", "accuracy_high", "rate", "rate_expected", "top1", "purity"]
        .iter()
        .any(|end| name.ends_with(end))
}

/// The name of a metric in words, with the unit in which [`shown`] gives it.
pub fn header(name: &str) -> String {
    let words = name.replace('_', " ");
    if is_fraction(name) { format!("{words} %") } else { words }
}

/// A metric as people read it; fractions in percent.
pub fn shown(name: &str, value: f64) -> String {
    if is_fraction(name) { percent(value) } else { report::number(value) }
}
