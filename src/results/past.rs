//! Every result that a cache holds of a pipeline, whatever run made it: one row for each key.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use serde_json::Value;

use super::{
    error::ResultsError,
    grid::{Align, Grid},
    lineage::{Lineage, differing, pipeline_and_instance, stage_of},
    metric::{Described, Metrics},
    sort::Sort,
};
use crate::{
    digest::StageKey,
    graph::Graph,
    pipeline::{plain, quoted},
    stage::Metric,
    store::{Manifest, Run, RunId, RunOutcome, Series, Store, StoreError, reals},
};

/// The results of a pipeline, the latest first unless they are sorted.
#[derive(Clone)]
pub struct PastResults {
    rows: Vec<PastRow>,
    metrics: Metrics,
}

/// One result.
#[derive(Clone, Debug, Serialize)]
pub struct PastRow {
    stage: String,
    /// Its name in the latest run that has it.
    instance: String,
    kind: String,
    key: StageKey,
    /// When it was made: RFC 3339, UTC.
    finished: String,
    /// Seconds that its code took.
    seconds: f64,
    /// The latest run that has it; `None` if it is older than the records.
    run: Option<RunId>,
    /// The parameters in which the rows differ.
    parameters: BTreeMap<String, Value>,
    #[serde(serialize_with = "reals::serialize")]
    metrics: BTreeMap<String, f64>,
    #[serde(skip)]
    series: BTreeMap<String, Series>,
}

/// A run with what became of its instances.
pub type Past = (Run, BTreeMap<String, RunOutcome>);

impl PastResults {
    /// Collects the results of the pipeline of a graph. `runs` are all runs of the cache, newest first; `is_own` says which
    /// are of this pipeline; `current` has the instances that are cached now, with their keys.
    ///
    /// A result belongs to the pipeline if a run of its file has it, if its history has it, or if an instance of a
    /// pipeline of this name made it first and no run of another file has it.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub fn of(
        graph: &Graph<'_>,
        store: &Store,
        runs: &[Past],
        is_own: impl Fn(&Run) -> bool,
        current: &BTreeMap<StageKey, String>,
    ) -> Result<Self, StoreError> {
        let all = store.manifests()?;
        let mut found: HashMap<StageKey, (String, Option<usize>)> = HashMap::new();
        let mut elsewhere: BTreeSet<StageKey> = BTreeSet::new();
        for (at, (run, outcomes)) in runs.iter().enumerate() {
            let own = is_own(run);
            for (instance, key) in outcomes.iter().filter_map(|(name, outcome)| Some((name, outcome.made()?))) {
                if own {
                    found.entry(key).or_insert_with(|| (instance.clone(), Some(at)));
                } else {
                    elsewhere.insert(key);
                }
            }
        }
        for (key, instance) in current {
            found.entry(*key).or_insert_with(|| (instance.clone(), None));
        }
        for (instance, key) in store.history(&graph.pipeline.file).instances() {
            found.entry(key).or_insert_with(|| (instance.to_owned(), None));
        }
        for (key, manifest) in &all {
            let (pipeline, instance) = pipeline_and_instance(&manifest.provenance.instance);
            if pipeline == graph.pipeline.name && !elsewhere.contains(key) {
                found.entry(*key).or_insert_with(|| (instance.to_owned(), None));
            }
        }
        let lineage = Lineage::new(&all, |key| found.get(key).map(|(name, _)| name.as_str()));
        let keys = |at: usize| -> BTreeSet<StageKey> { runs[at].1.values().filter_map(RunOutcome::made).collect() };
        let mut of_run: HashMap<usize, BTreeSet<StageKey>> = HashMap::new();
        let mut rows = Vec::new();
        for (at, (key, manifest)) in all.iter().enumerate() {
            let Some((_, run)) = found.get(key) else { continue };
            if manifest.metrics.is_empty() && manifest.series.is_empty() {
                continue;
            }
            let near = run.map(|run| &*of_run.entry(run).or_insert_with(|| keys(run)));
            let is_near = |key: &StageKey| near.is_some_and(|near| near.contains(key));
            let run = run.map(|run| runs[run].0.record.id.clone());
            rows.push(PastRow::new(lineage.name(at), (key, manifest), run, lineage.parameters(at, &is_near)));
        }
        rows.sort_by(|a, b| b.finished.cmp(&a.finished).then_with(|| a.instance.cmp(&b.instance)));
        Ok(Self { rows, metrics: Metrics::of(graph) }.with_what_differs())
    }

    /// Keeps the results of these stages or instances; all if there are none.
    ///
    /// # Errors
    /// If a target has no result.
    pub fn only(mut self, targets: &[String]) -> Result<Self, ResultsError> {
        let is = |row: &PastRow, target: &String| row.stage == *target || row.instance == *target;
        if let Some(target) = targets.iter().find(|target| !self.rows.iter().any(|row| is(row, target))) {
            let stages: BTreeSet<&str> = self.rows.iter().map(|row| row.stage.as_str()).collect();
            let stages = quoted(&stages.into_iter().collect::<Vec<_>>());
            return Err(ResultsError::Ask(format!("no result in the cache is of `{target}`; there are {stages}")));
        }
        self.rows.retain(|row| targets.is_empty() || targets.iter().any(|target| is(row, target)));
        Ok(self.with_what_differs())
    }

    /// Sorts the results, the best first; those without the metric come last.
    ///
    /// # Errors
    /// If no result has the metric.
    pub fn sorted(mut self, sort: &Sort) -> Result<Self, ResultsError> {
        let known = self.rows.iter().flat_map(|row| row.metrics.keys().map(|name| (row.stage.as_str(), name.as_str())));
        sort.check(known)?;
        let value = |row: &PastRow| sort.value(&row.stage, &row.metrics);
        self.rows.sort_by(|a, b| sort.compare(value(a), value(b), &self.metrics));
        Ok(self)
    }

    /// Keeps the first results.
    #[must_use]
    pub fn top(mut self, most: usize) -> Self {
        self.rows.truncate(most);
        self.with_what_differs()
    }

    /// Leaves out the results that have only curves.
    #[must_use]
    pub fn with_numbers(mut self) -> Self {
        self.rows.retain(|row| !row.metrics.is_empty());
        self.with_what_differs()
    }

    /// Returns the results.
    #[must_use]
    pub fn rows(&self) -> &[PastRow] {
        &self.rows
    }

    /// Iterates over the names of the parameters in which the results differ.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        let names: BTreeSet<&str> =
            self.rows.iter().flat_map(|row| row.parameters.keys()).map(String::as_str).collect();
        names.into_iter()
    }

    /// Iterates over the names of the metrics.
    pub fn metrics(&self) -> impl Iterator<Item = &str> {
        let names: BTreeSet<&str> = self.rows.iter().flat_map(|row| row.metrics.keys()).map(String::as_str).collect();
        names.into_iter()
    }

    /// Returns the descriptions of the metrics, for scripts.
    #[must_use]
    pub fn described(&self) -> BTreeMap<&str, Described<'_>> {
        self.metrics.described(self.metrics())
    }

    /// Iterates over the curves: an instance, its key, and its series.
    pub fn curves(&self) -> impl Iterator<Item = (&str, StageKey, &BTreeMap<String, Series>)> {
        self.rows.iter().map(|row| (row.instance.as_str(), row.key, &row.series))
    }

    /// Makes one table of every result with every parameter and metric, as plain values.
    #[must_use]
    pub fn flat(&self) -> Grid {
        let parameters: Vec<&str> = self.parameters().collect();
        let metrics: Vec<&str> = self.metrics().collect();
        let left = ["stage", "instance", "key", "finished", "run"].into_iter().chain(parameters.iter().copied());
        let left = left.map(|header| (header, Align::Left));
        let mut grid = Grid::new(left.chain(metrics.iter().map(|header| (*header, Align::Right))));
        for row in &self.rows {
            let run = row.run.as_ref().map(ToString::to_string).unwrap_or_default();
            let start = [row.stage.clone(), row.instance.clone(), row.key.hex(), row.finished.clone(), run];
            let parameters = parameters.iter().map(|name| row.parameters.get(*name).map(plain).unwrap_or_default());
            let metrics = metrics.iter().map(|name| row.metrics.get(*name).map(f64::to_string).unwrap_or_default());
            grid.push(start.into_iter().chain(parameters).chain(metrics).collect());
        }
        grid
    }

    /// Makes the tables that people read, each with a title and the number of columns that must stay: one for each score.
    /// If there is no score, or with `all`, one for each other stage.
    #[must_use]
    pub fn tables(&self, sort: Option<&Sort>, all: bool) -> Vec<(String, Grid, usize)> {
        if let Some(sort) = sort {
            let rows: Vec<&PastRow> =
                self.rows.iter().filter(|row| sort.value(&row.stage, &row.metrics).is_some()).collect();
            return vec![self.table(String::new(), &rows, Some(&sort.metric), all)];
        }
        let mut rest: Vec<&PastRow> = self.rows.iter().collect();
        let mut tables = Vec::new();
        for score in self.metrics.scores() {
            let is_judged = |row: &&PastRow| self.is_judged_by(row, score);
            let (scored, others): (Vec<&PastRow>, Vec<&PastRow>) = rest.into_iter().partition(is_judged);
            rest = others;
            if !scored.is_empty() {
                let title = if tables.is_empty() { String::new() } else { score.name.to_string() };
                tables.push(self.table(title, &scored, Some(&score.name), all));
            }
        }
        if all || tables.is_empty() {
            let stages: BTreeSet<&str> = rest.iter().map(|row| row.stage.as_str()).collect();
            for stage in stages {
                let rows: Vec<&PastRow> = rest.iter().copied().filter(|row| row.stage == stage).collect();
                tables.push(self.table(stage.to_owned(), &rows, None, true));
            }
        }
        tables
    }

    fn is_judged_by(&self, row: &PastRow, score: &Metric) -> bool {
        row.metrics.contains_key(&*score.name) && self.metrics.is_score_of(&row.kind, score)
    }

    fn table(&self, title: String, rows: &[&PastRow], first: Option<&str>, all: bool) -> (String, Grid, usize) {
        let about = &self.metrics;
        let of_rows: Vec<&BTreeMap<String, Value>> = rows.iter().map(|row| &row.parameters).collect();
        let parameters = differing(&of_rows);
        let has: BTreeSet<&str> = rows.iter().flat_map(|row| row.metrics.keys()).map(String::as_str).collect();
        let wanted = |name: &&str| Some(*name) != first && (all || about.is_beside_score(name));
        let mut others: Vec<&str> = has.into_iter().filter(wanted).collect();
        others.sort_by_key(|name| about.rank(name));
        let metrics: Vec<&str> = first.into_iter().chain(others).collect();
        // The run comes before what may be dropped for want of room: it leads to everything else.
        let left =
            ["stage"].into_iter().chain(parameters.iter().copied()).map(|header| (header.to_owned(), Align::Left));
        let score = first.map(|first| (about.header(first), Align::Right));
        let rest = metrics.iter().skip(usize::from(first.is_some())).map(|name| (about.header(name), Align::Right));
        let run = [("run".to_owned(), Align::Left)];
        let mut grid = Grid::new(left.chain(score).chain(run).chain(rest));
        let fixed = parameters.len() + 2 + usize::from(first.is_some());
        for row in rows {
            let cell = |name: &&str| row.metrics.get(*name).map(|value| about.shown(name, *value)).unwrap_or_default();
            let start = [row.stage.clone()].into_iter();
            let values = parameters.iter().map(|name| row.parameters.get(*name).map(plain).unwrap_or_default());
            let run = row
                .run
                .as_ref()
                .map_or_else(|| row.finished.split('T').next().unwrap_or_default().to_owned(), ToString::to_string);
            let (score, rest) = metrics.split_at(usize::from(first.is_some()));
            grid.push(
                start.chain(values).chain(score.iter().map(cell)).chain([run]).chain(rest.iter().map(cell)).collect(),
            );
        }
        (title, grid, fixed)
    }

    /// Leaves only the parameters in which the results differ.
    fn with_what_differs(mut self) -> Self {
        let all: Vec<&BTreeMap<String, Value>> = self.rows.iter().map(|row| &row.parameters).collect();
        let names: BTreeSet<String> = differing(&all).into_iter().map(str::to_owned).collect();
        for row in &mut self.rows {
            row.parameters.retain(|name, _| names.contains(name));
        }
        self
    }
}

impl PastRow {
    /// Returns whether it has the value that results are sorted by.
    #[must_use]
    pub fn has(&self, sort: &Sort) -> bool {
        sort.value(&self.stage, &self.metrics).is_some()
    }

    fn new(
        instance: &str,
        (key, manifest): (&StageKey, &Manifest),
        run: Option<RunId>,
        parameters: BTreeMap<String, Value>,
    ) -> Self {
        Self {
            stage: stage_of(instance).to_owned(),
            instance: instance.to_owned(),
            kind: manifest.recipe.kind.clone(),
            key: *key,
            finished: manifest.provenance.finished.clone(),
            seconds: manifest.seconds,
            run,
            parameters,
            metrics: manifest.metrics.clone(),
            series: manifest.series.clone(),
        }
    }
}
