//! Results as rows: the cached instances that have numbers, and the columns that they are shown in.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    error::ResultsError,
    metric::{Described, Metrics},
    sort::Sort,
    statistics::Estimate,
};
use crate::{
    graph::{Axes, Graph, InstanceId},
    pipeline::plain,
    run::Summary,
    stage::{Metric, Role, Unit},
    store::{Manifest, Recipe, reals},
};

/// The instances that have metrics, in the order of the graph.
pub struct Results<'a> {
    /// The axes that have more than one value in the sweep, in its order, whether or not they are cached: key and
    /// column header.
    pub(super) axes: Vec<(String, String)>,
    pub(super) rows: Vec<Row<'a>>,
    /// The instances that have no results because they, or a dependency, failed.
    lost: Vec<Row<'a>>,
    /// The axis over seeds. Tables for people have means over it.
    pub(super) repeats: Option<&'a str>,
    /// The parameter that this axis sets, `STAGE.seed`.
    seed: Option<String>,
    /// The descriptions of the metrics.
    pub(super) metrics: Metrics,
    /// The baseline of the differences.
    pub(super) baseline: Option<String>,
    /// The metric that the rows are sorted by; else they are in the order of the graph.
    pub(super) sorted_by: Option<String>,
}

/// An instance with its metrics.
pub struct Row<'a> {
    /// Its index in the graph.
    pub(super) index: InstanceId,
    /// Its stage.
    pub stage: &'a str,
    /// Its name.
    pub(super) instance: &'a str,
    pub(super) kind: &'static str,
    /// Its axes with their values.
    pub axes: &'a Axes,
    /// The axis over seeds.
    seeds: Option<&'a str>,
    /// Its final numbers, by name.
    pub metrics: &'a BTreeMap<String, f64>,
    /// The recipe of its result; `None` if it failed.
    recipe: Option<&'a Recipe>,
    /// Metrics of its dependencies, by name; each from the nearest dependency that has it.
    pub beneath: BTreeMap<&'a str, f64>,
    /// The differences of its metrics from those of the baseline, if there is one.
    pub differences: BTreeMap<String, f64>,
}

/// A row, as scripts read it.
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
impl<'a> Row<'a> {
    fn new(
        graph: &'a Graph<'_>,
        index: InstanceId,
        made: Option<&'a Manifest>,
        beneath: BTreeMap<&'a str, f64>,
    ) -> Self {
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

    /// Returns true if the row is the same work as another row and differs from it only in its seed.
    fn repeats_nothing_of(&self, other: &Self) -> bool {
        let without_seed = |axes: &'a Axes| axes.iter().filter(|(axis, _)| Some(*axis) != self.seeds);
        // Metrics are compared first, since that is faster than comparing recipes.
        let is_same_work = self.recipe.is_some() && self.metrics == other.metrics && self.recipe == other.recipe;
        is_same_work && without_seed(self.axes).eq(without_seed(other.axes))
    }

    /// Returns true if the row has a metric that is a score of its kind.
    pub(super) fn is_judged_by(&self, score: &Metric, metrics: &Metrics) -> bool {
        self.metrics.contains_key(&*score.name) && metrics.is_score_of(self.kind, score)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.metrics.is_empty()
    }
}

impl<'a> Results<'a> {
    /// Makes rows of the instances in `made`, from their manifests.
    pub fn new(graph: &'a Graph<'_>, made: impl IntoIterator<Item = (InstanceId, &'a Manifest)>) -> Self {
        let made: BTreeMap<InstanceId, &Manifest> = made.into_iter().collect();
        let scored = made.iter().filter(|(_, manifest)| !manifest.metrics.is_empty());
        let rows =
            scored.map(|(&index, manifest)| Row::new(graph, index, Some(manifest), beneath(graph, &made, index)));
        let rows = rows.collect();
        // The order is that of names: variants and rounds first, then the sweep in the order of the file.
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
            seed: seed_parameter(graph),
            metrics: Metrics::of(graph),
            baseline: None,
            sorted_by: None,
        }
    }

    /// Returns the results of a run, with a row for each instance that failed.
    pub fn of(graph: &'a Graph<'_>, report: &'a Summary) -> Self {
        let made = report.outcomes.iter().filter_map(|outcome| Some((outcome.index, outcome.manifest.as_deref()?)));
        let lost = report.lost(graph).into_iter().map(|index| Row::new(graph, index, None, BTreeMap::new()));
        Self { lost: lost.collect(), ..Self::new(graph, made) }
    }

    /// Returns the names of the points that have no results because of a failure, in stages that have the metric.
    pub fn lost_points(&self, metric: &str) -> BTreeSet<String> {
        let has_it = |stage: &str| self.rows.iter().any(|row| row.stage == stage && row.metrics.contains_key(metric));
        self.lost.iter().filter(|row| has_it(row.stage)).map(|row| self.point(row)).collect()
    }

    /// Adds the failed instances of the same stages to some rows, in the order of the graph.
    pub(super) fn with_gaps<'r>(&'r self, rows: &[&'r Row<'a>]) -> Vec<&'r Row<'a>> {
        let of_stage = |lost: &&Row<'_>| rows.iter().any(|row| row.stage == lost.stage);
        let mut all: Vec<&Row<'_>> = rows.iter().copied().chain(self.lost.iter().filter(of_stage)).collect();
        if self.sorted_by.is_none() {
            all.sort_by_key(|row| row.index);
        }
        all
    }

    /// Sets the differences of each row from a baseline. `baseline` is its text.
    #[must_use]
    pub fn with_differences(mut self, baseline: &str, differences: Vec<BTreeMap<String, f64>>) -> Self {
        for (row, differences) in self.rows.iter_mut().zip(differences) {
            row.differences = differences;
        }
        self.baseline = Some(baseline.to_owned());
        self
    }

    /// Sorts the points, the best first by the mean over seeds, and keeps the first so many of them.
    ///
    /// # Errors
    /// If no result has the metric.
    pub fn sorted(mut self, sort: Option<&Sort>, most: Option<usize>) -> Result<Self, ResultsError> {
        let rows: Vec<&Row<'_>> = self.rows.iter().collect();
        let mut groups = self.groups(&rows);
        if let Some(sort) = sort {
            sort.check(self.rows.iter().flat_map(|row| row.metrics.keys().map(|name| (row.stage, name.as_str()))))?;
            let counts = |row: &Row<'_>| sort.stage.as_ref().is_none_or(|stage| stage == row.stage);
            let mean = |group: &[&Row<'_>]| {
                let value = over(group, |row| row.metrics.get(&sort.metric).filter(|_| counts(row)));
                value.map(|value| value.mean)
            };
            groups.sort_by(|a, b| sort.compare(mean(a), mean(b), &self.metrics));
        }
        groups.truncate(most.unwrap_or(usize::MAX));
        let order: Vec<InstanceId> = groups.into_iter().flatten().map(|row| row.index).collect();
        let mut rows: BTreeMap<InstanceId, Row<'a>> = self.rows.into_iter().map(|row| (row.index, row)).collect();
        self.rows = order.iter().filter_map(|index| rows.remove(index)).collect();
        if most.is_some() {
            self.lost.clear();
        }
        self.sorted_by = sort.map(|sort| sort.metric.clone());
        Ok(self)
    }

    /// Returns the axis that a name means: its key, the header of its column, or for the axis over seeds the parameter that
    /// it sets.
    pub fn axis<'n>(&'n self, name: &'n str) -> &'n str {
        if let (Some(repeats), true) = (self.repeats, self.seed.as_deref() == Some(name)) {
            return repeats;
        }
        self.axes.iter().find(|(_, header)| header == name).map_or(name, |(key, _)| key)
    }

    /// Returns the axis over seeds.
    pub fn repeats(&self) -> Option<&'a str> {
        self.repeats
    }

    /// Returns the descriptions of the metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Returns the first score that has results, with the rows that have it.
    pub fn scored(&self) -> Option<(&Metric, Vec<&Row<'a>>)> {
        self.metrics.scores().find_map(|score| {
            let rows: Vec<&Row<'a>> = self.rows.iter().filter(|row| row.is_judged_by(score, &self.metrics)).collect();
            (!rows.is_empty()).then_some((score, rows))
        })
    }

    /// Returns what the pipeline asks: each score of its final stages that has results, with the rows that have it. If
    /// there is none, the first score of any other stage.
    pub fn answers(&self) -> Vec<(&Metric, Vec<&Row<'a>>)> {
        let judged = |score: &Metric| -> Vec<&Row<'a>> {
            self.rows.iter().filter(|row| row.is_judged_by(score, &self.metrics)).collect()
        };
        let asked = self.metrics.asked().map(|score| (score, judged(score)));
        let answers: Vec<_> = asked.filter(|(_, rows)| !rows.is_empty()).collect();
        if answers.is_empty() { self.scored().into_iter().collect() } else { answers }
    }

    /// Returns every row.
    pub fn rows(&self) -> &[Row<'a>] {
        &self.rows
    }

    /// Returns every row, for scripts.
    pub fn json(&self) -> Vec<JsonRow<'a>> {
        let row = |row: &Row<'a>| {
            let &Row { stage, instance, axes, metrics, .. } = row;
            JsonRow { stage, instance, axes, metrics, differences: row.differences.clone() }
        };
        self.rows.iter().map(row).collect()
    }

    /// Returns the descriptions of the rows' metrics, for scripts.
    pub fn described(&self) -> BTreeMap<&str, Described<'_>> {
        let names: BTreeSet<&str> = self.rows.iter().flat_map(|row| row.metrics.keys().map(String::as_str)).collect();
        self.metrics.described(names.into_iter())
    }

    /// Returns the means of a metric over seeds, each with the name of its point.
    pub fn estimates(&self, metric: &str) -> Vec<(String, Estimate)> {
        let seeded = |row: &&Row<'a>| self.repeats.is_some_and(|seeds| row.axes.contains_key(seeds));
        let rows: Vec<&Row<'_>> = self.rows.iter().filter(seeded).collect();
        let groups = self.groups(&rows).into_iter();
        groups.filter_map(|group| Some((self.point(group[0]), over(&group, |row| row.metrics.get(metric))?))).collect()
    }

    /// Returns every point that has a metric, with the number of its seeds and the mean over them.
    pub fn arms(&self, metric: &str) -> Vec<(String, usize, f64)> {
        let rows: Vec<&Row<'_>> = self.rows.iter().filter(|row| row.metrics.contains_key(metric)).collect();
        let groups = self.groups(&rows).into_iter();
        let arm = |group: Vec<&Row<'a>>| {
            let estimate = over(&group, |row| row.metrics.get(metric))?;
            Some((self.point(group[0]), estimate.n, estimate.mean))
        };
        groups.filter_map(arm).collect()
    }

    /// Returns the name of an instance without its seed.
    fn point(&self, row: &Row<'a>) -> String {
        let axes = row.axes.iter().filter(|(axis, _)| Some(*axis) != self.repeats);
        let words: Vec<String> = axes.map(|(axis, value)| format!("{axis}={}", plain(value))).collect();
        if words.is_empty() { row.stage.to_owned() } else { format!("{}@{}", row.stage, words.join(",")) }
    }

    /// Groups the rows that differ only in their seed, in the order of the first row of each group.
    pub(super) fn groups<'r>(&self, rows: &[&'r Row<'a>]) -> Vec<Vec<&'r Row<'a>>> {
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
}

/// Removes rows whose seed changes nothing, since they are not repeats.
pub(super) fn distinct<'r, 'a>(group: &[&'r Row<'a>]) -> Vec<&'r Row<'a>> {
    let mut distinct: Vec<&Row<'_>> = Vec::new();
    for &row in group {
        if !distinct.iter().any(|other| row.repeats_nothing_of(other)) {
            distinct.push(row);
        }
    }
    distinct
}

/// Returns the mean of a metric over the rows of a group that have it, without seeds that change nothing.
pub(super) fn over<'r>(group: &[&'r Row<'_>], value: impl Fn(&'r Row<'_>) -> Option<&'r f64>) -> Option<Estimate> {
    Estimate::of(&distinct(group).into_iter().filter_map(value).copied().collect::<Vec<_>>())
}

/// Returns the mean score of a group with its 95 % interval: over the seeds, or, for a single run, over its test
/// images.
pub fn score(metric: &Metric, group: &[&Row<'_>]) -> Option<(f64, Option<(f64, f64)>)> {
    let estimate = over(group, |row| row.metrics.get(&*metric.name))?;
    let end = |name: &str| group.iter().find_map(|row| row.metrics.get(name)).copied().filter(|end| end.is_finite());
    let over_images = || {
        let Role::Score { interval: Some([low, high]) } = &metric.role else { return None };
        end(low).zip(end(high))
    };
    // Student's t interval is unbounded, so that of a fraction is cut to its range.
    let bounded = |(low, high): (f64, f64)| match metric.unit {
        Unit::Fraction => (low.max(0.0), high.min(1.0)),
        Unit::Number => (low, high),
    };
    Some((estimate.mean, if estimate.n > 1 { estimate.interval.map(bounded) } else { over_images() }))
}

/// Returns metrics of an instance's dependencies, each from the nearest one that has it. If several at the same
/// distance have the metric, it is ambiguous and omitted.
fn beneath<'a>(
    graph: &Graph<'_>,
    made: &BTreeMap<InstanceId, &'a Manifest>,
    index: InstanceId,
) -> BTreeMap<&'a str, f64> {
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

/// Returns the parameter that the axis over seeds sets.
fn seed_parameter(graph: &Graph<'_>) -> Option<String> {
    let repeats = graph.pipeline.repeats.as_deref()?;
    let axis = graph.pipeline.axes.iter().find(|axis| axis.name() == repeats)?;
    Some(format!("{}.{}", axis.stage, axis.path.join(".")))
}

fn varies(graph: &Graph<'_>, key: &str) -> bool {
    let mut values = graph.instances.iter().filter_map(|instance| instance.axes.get(key));
    let first = values.next();
    values.any(|value| Some(value) != first)
}

/// Returns the headers of the axes: the parameter alone, unless two axes share it.
fn headers(keys: Vec<String>) -> Vec<(String, String)> {
    let short = |key: &str| key.rsplit('.').next().unwrap_or(key).to_owned();
    let shorts: Vec<String> = keys.iter().map(|key| short(key)).collect();
    let unique = |name: &String| shorts.iter().filter(|other| *other == name).count() == 1;
    let name = |key: &String, short: &String| if unique(short) { short.clone() } else { key.clone() };
    keys.iter().zip(&shorts).map(|(key, short)| (key.clone(), name(key, short))).collect()
}
