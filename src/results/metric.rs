//! How the metrics of a pipeline are shown, according to the descriptions of its kinds.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{error::ResultsError, statistics::Estimate};
use crate::{
    amount::{number, percent},
    graph::{Graph, InstanceId},
    stage::{Better, Metric, Role, Unit},
};

/// A metric, as scripts read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Described<'a> {
    /// `fraction` or `number`.
    unit: &'static str,
    /// `higher` or `lower`, if one of them is better.
    better: Option<&'static str>,
    /// The description of the metric.
    doc: &'a str,
}

/// The metrics that the kinds of a pipeline describe, each once, in the order of the graph. Any other metric is a plain
/// number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    all: Vec<Metric>,
    /// The scores of each kind: the kind, and the number of the metric. Those of kinds that nothing depends on come
    /// first: they are what the pipeline asks.
    scores: Vec<(&'static str, usize)>,
    /// How many of the scores are of such kinds.
    asked: usize,
}

impl Metrics {
    /// Collects the metrics of the kinds of a graph.
    #[must_use]
    pub fn of(graph: &Graph<'_>) -> Self {
        let links = graph.instances.iter().flat_map(|instance| &instance.inputs);
        let inner: BTreeSet<InstanceId> = links.map(|link| link.from).collect();
        let answers: BTreeSet<&str> = graph
            .instances
            .iter_enumerated()
            .filter(|(index, _)| !inner.contains(index))
            .map(|(_, instance)| instance.kind.name)
            .collect();
        let (mut kinds, mut found) = (Vec::new(), <Self as Default>::default());
        for kind in graph.instances.iter().map(|instance| &instance.kind) {
            if kinds.contains(&kind.name) {
                continue;
            }
            kinds.push(kind.name);
            for metric in &kind.metrics {
                let known = found.all.iter().position(|known| known.name == metric.name);
                let at = known.unwrap_or_else(|| {
                    found.all.push(metric.clone());
                    found.all.len() - 1
                });
                if matches!(metric.role, Role::Score { .. }) {
                    found.scores.push((kind.name, at));
                }
            }
        }
        found.scores.sort_by_key(|(kind, _)| !answers.contains(kind));
        found.asked = found.scores.iter().filter(|(kind, _)| answers.contains(kind)).count();
        found
    }

    /// Returns the description of a metric.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Metric> {
        self.all.iter().find(|metric| metric.name == name)
    }

    /// Iterates over every metric that a kind describes.
    pub fn iter(&self) -> impl Iterator<Item = &Metric> {
        self.all.iter()
    }

    /// Iterates over the metrics that are scores of a kind, each once.
    pub fn scores(&self) -> impl Iterator<Item = &Metric> {
        let is_first = |at: &usize| self.scores[..*at].iter().all(|(_, other)| *other != self.scores[*at].1);
        (0..self.scores.len()).filter(is_first).map(|at| &self.all[self.scores[at].1])
    }

    /// Iterates over the scores of the kinds that nothing depends on, which are what the pipeline asks.
    pub fn asked(&self) -> impl Iterator<Item = &Metric> {
        let names: BTreeSet<&str> = self.scores[..self.asked].iter().map(|(_, at)| &*self.all[*at].name).collect();
        self.scores().filter(move |score| names.contains(&*score.name))
    }

    /// Returns whether a metric is a score of a kind. Another kind may have a metric of that name that is none.
    pub(super) fn is_score_of(&self, kind: &str, metric: &Metric) -> bool {
        self.scores.iter().any(|(of, at)| *of == kind && self.all[*at].name == metric.name)
    }

    /// Returns the first score, which is the default metric of verbs.
    ///
    /// # Errors
    /// If no kind of the pipeline has a score.
    pub fn default(&self) -> Result<String, ResultsError> {
        let score = self.scores().next().map(|score| score.name.clone().into_owned());
        score.ok_or_else(|| ResultsError::Ask("no stage of this pipeline has a score; name a metric".to_owned()))
    }

    /// Iterates over the metrics that explain the scores of stages that depend on theirs.
    pub fn explaining(&self) -> impl Iterator<Item = &Metric> {
        self.all.iter().filter(|metric| metric.role == Role::Explains)
    }

    /// Returns whether a metric is always shown beside the score.
    #[must_use]
    pub fn is_beside_score(&self, name: &str) -> bool {
        self.get(name).is_some_and(|metric| metric.role == Role::BesideScore)
    }

    /// Returns the sort position of a metric: the order of the kinds, then the metrics that no kind describes.
    #[must_use]
    pub fn rank(&self, name: &str) -> usize {
        self.all.iter().position(|metric| metric.name == name).unwrap_or(self.all.len())
    }

    /// Returns the factor from a value to the unit in the header of its metric: 100 for a fraction.
    #[must_use]
    pub fn factor(&self, name: &str) -> f64 {
        if self.is_fraction(name) { 100.0 } else { 1.0 }
    }

    fn is_fraction(&self, name: &str) -> bool {
        self.get(name).is_some_and(|metric| metric.unit == Unit::Fraction)
    }

    /// Returns the name of a metric in words, with the unit that [`Metrics::shown`] uses.
    #[must_use]
    pub fn header(&self, name: &str) -> String {
        let words = name.replace('_', " ");
        if self.is_fraction(name) { format!("{words} %") } else { words }
    }

    /// Returns the header with an arrow if higher or lower values are better: `nmi ↑`.
    pub(super) fn directed_header(&self, name: &str) -> String {
        let arrow = match self.get(name).and_then(|metric| metric.better) {
            Some(Better::Higher) => " ↑",
            Some(Better::Lower) => " ↓",
            None => "",
        };
        format!("{}{arrow}", self.header(name))
    }

    /// Returns the descriptions of some metrics, for scripts.
    pub(super) fn described<'n>(&self, names: impl Iterator<Item = &'n str>) -> BTreeMap<&'n str, Described<'_>> {
        let described = |name: &'n str| {
            let metric = self.get(name)?;
            let unit = if metric.unit == Unit::Fraction { "fraction" } else { "number" };
            let better = metric.better.map(|better| match better {
                Better::Higher => "higher",
                Better::Lower => "lower",
            });
            Some((name, Described { unit, better, doc: &metric.doc }))
        };
        names.filter_map(described).collect()
    }

    /// Formats a value for people; a fraction as a percentage.
    #[must_use]
    pub fn shown(&self, name: &str, value: f64) -> String {
        if self.is_fraction(name) { percent(value) } else { number(value) }
    }

    /// Formats a mean, with half the width of its interval if there are several values.
    pub(super) fn cell(&self, name: &str, estimate: Option<Estimate>) -> String {
        let Some(estimate) = estimate else { return String::new() };
        let half = estimate.half_width().map(|half| format!(" ± {}", self.shown(name, half)));
        format!("{}{}", self.shown(name, estimate.mean), half.unwrap_or_default())
    }

    /// Formats a difference with its sign, and half the width of its interval if there are several values.
    pub(super) fn signed(&self, name: &str, estimate: Option<Estimate>) -> String {
        let sign = if estimate.is_some_and(|estimate| estimate.mean >= 0.0) { "+" } else { "" };
        let cell = self.cell(name, estimate);
        if cell.is_empty() { cell } else { format!("{sign}{cell}") }
    }
}
