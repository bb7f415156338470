//! Successive halving: decides which points of a sweep continue to the next rung, and selects the instances of the
//! rungs.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::SearchError;
use crate::{
    graph::{Graph, Instance, InstanceId, Selection},
    pipeline::{Halving, document, quoted},
};

/// A point of a search: each axis that is searched, with its value.
pub type Point<'a> = Vec<(&'a str, Value)>;

/// The outcome of a rung.
pub enum Climb<'a> {
    /// There is one more rung, and its points are known.
    Up,
    /// This was the last rung, and this is its best point.
    Top(Point<'a>),
    /// No point has a score.
    Nothing,
}

/// The rungs of a search whose points are known so far.
#[derive(Clone)]
pub struct Ladder<'a, 't> {
    graph: &'a Graph<'t>,
    halving: &'a Halving,
    points: Vec<Point<'a>>,
    /// The points of each known rung. From the second rung on, the best point is first.
    rungs: Vec<Vec<usize>>,
}

impl<'a, 't> Ladder<'a, 't> {
    /// Starts the search of a graph, with all points in the first rung.
    #[must_use]
    pub fn new(graph: &'a Graph<'t>, halving: &'a Halving) -> Self {
        let block = &graph.pipeline.space.blocks[halving.block];
        let axes: Vec<_> = block.axes.iter().map(|&axis| &graph.pipeline.axes[axis]).collect();
        let point = |row: usize| {
            let values = axes.iter().zip(block.row(row));
            values
                .map(|(axis, &value)| {
                    (axis.key.get_ref().as_str(), document::to_json(axis.values[value as usize].get_ref()))
                })
                .collect()
        };
        let points: Vec<_> = (0..block.len()).map(point).collect();
        let all = (0..points.len()).collect();
        Self { graph, halving, points, rungs: vec![all] }
    }

    /// Returns the number of points in each rung.
    #[must_use]
    pub fn sizes(&self) -> Vec<usize> {
        self.halving.sizes(self.points.len())
    }

    /// Returns the last known rung, counted from 0, and its value.
    #[must_use]
    pub fn rung(&self) -> (usize, u64) {
        let rung = self.rungs.len() - 1;
        (rung, self.halving.rungs[rung])
    }

    /// Returns a note if survivors start anew at each rung instead of continuing.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let stage = self.halving.over.split('.').next().unwrap_or_default();
        let mut of_stage = self.graph.instances.iter().filter(|instance| instance.stage == stage);
        let anew = of_stage.any(|instance| instance.work.extent().is_none_or(|extent| !extent.extends));
        let most = self.halving.rungs.last()?;
        anew.then(|| {
            format!(
                "note: each rung starts `{stage}` anew, as its learning rate falls over all epochs; with \
                 `schedule.horizon = {most}` survivors continue where they are"
            )
        })
    }

    /// Returns whether any of the wanted instances belongs to a rung.
    #[must_use]
    pub fn concerns(&self, wanted: &Selection) -> bool {
        wanted.targets.iter().any(|&index| self.graph.instances[index].axes.contains_key(&self.halving.over))
    }

    /// Selects the wanted instances that belong to known rungs, and the scores that decide a further rung.
    #[must_use]
    pub fn select(&self, wanted: &Selection) -> Selection {
        let alive = |instance: &Instance<'_>| {
            let mut rungs = self.rungs.iter().zip(&self.halving.rungs);
            rungs.any(|(points, &rung)| {
                self.is_on(instance, rung) && points.iter().any(|&point| self.is_of(instance, point))
            })
        };
        let top = self.top(wanted);
        let below = &self.halving.rungs[..top];
        let decides = |instance: &Instance<'_>| {
            instance.stage == self.halving.stage && below.iter().any(|&rung| self.is_on(instance, rung))
        };
        let meant = |&index: &InstanceId| wanted.targets.contains(&index) || decides(&self.graph.instances[index]);
        let all = self.graph.instances.keys();
        let targets = all.filter(meant).filter(|&index| alive(&self.graph.instances[index])).collect();
        self.graph.with_needs(targets)
    }

    /// Returns whether the scores of the last known rung decide more of the wanted instances: the points of a further
    /// rung, or the best point of all.
    #[must_use]
    pub fn goes_on(&self, wanted: &Selection) -> bool {
        let (rung, _) = self.rung();
        let is_last = rung + 1 == self.halving.rungs.len();
        rung < self.top(wanted) || is_last && self.deciding().iter().any(|index| wanted.targets.contains(index))
    }

    /// Returns the highest rung that a wanted instance belongs to.
    fn top(&self, wanted: &Selection) -> usize {
        let values =
            wanted.targets.iter().filter_map(|&index| self.graph.instances[index].axes.get(&self.halving.over));
        let most = values.filter_map(Value::as_u64).max();
        self.halving.rungs.iter().rposition(|&rung| Some(rung) <= most).unwrap_or_default()
    }

    /// Climbs one rung by the scores of the last one, if there is one more. `made` returns the metrics of instances
    /// that have results.
    ///
    /// # Errors
    /// If results of the rung lack the metric.
    pub fn climb<'m>(
        &mut self,
        made: impl Fn(InstanceId) -> Option<&'m BTreeMap<String, f64>>,
    ) -> Result<Climb<'a>, SearchError> {
        let ranked = self.ranked(&made)?;
        if ranked.is_empty() {
            return Ok(Climb::Nothing);
        }
        let Some(&size) = self.sizes().get(self.rungs.len()) else {
            return Ok(Climb::Top(self.points[ranked[0]].clone()));
        };
        self.rungs.push(ranked.into_iter().take(size).collect());
        Ok(Climb::Up)
    }

    /// Returns the points of the last known rung that have a score, the best first, and the earlier of equals first. A
    /// point that failed, or whose score is not finite, counts as the worst and never continues.
    fn ranked<'m>(
        &self,
        made: &impl Fn(InstanceId) -> Option<&'m BTreeMap<String, f64>>,
    ) -> Result<Vec<usize>, SearchError> {
        let scored = self.deciding();
        let Halving { stage, metric, .. } = self.halving;
        let found: Vec<&BTreeMap<String, f64>> = scored.iter().filter_map(|&index| made(index)).collect();
        if !found.is_empty() && !found.iter().any(|metrics| metrics.contains_key(metric)) {
            let names: BTreeSet<&str> =
                found.into_iter().flat_map(|metrics| metrics.keys().map(String::as_str)).collect();
            let names = quoted(&names.into_iter().collect::<Vec<_>>());
            let message = format!("no instance of `{stage}` has the metric `{metric}`; there are {names}");
            return Err(SearchError::NoMetric(message));
        }
        let score = |&point: &usize| {
            let of_point = scored.iter().filter(|&&index| self.is_of(&self.graph.instances[index], point));
            // The score is a mean over seeds and every other axis that is not searched.
            let values: Option<Vec<f64>> = of_point.map(|&index| made(index)?.get(metric).copied()).collect();
            let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
            values.map(mean).filter(|mean| mean.is_finite())
        };
        let alive = self.rungs.last().into_iter().flatten();
        let mut ranked: Vec<(usize, f64)> = alive.filter_map(|point| Some((*point, score(point)?))).collect();
        let sign = if self.halving.lowest { 1.0 } else { -1.0 };
        ranked.sort_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)));
        Ok(ranked.into_iter().map(|(point, _)| point).collect())
    }

    /// Returns the instances whose scores decide the last known rung.
    fn deciding(&self) -> Vec<InstanceId> {
        let (_, rung) = self.rung();
        let alive = self.rungs.last().map_or(&[][..], Vec::as_slice);
        let decides = |instance: &Instance<'_>| {
            instance.stage == self.halving.stage
                && self.is_on(instance, rung)
                && alive.iter().any(|&point| self.is_of(instance, point))
        };
        self.graph.instances.keys().filter(|&index| decides(&self.graph.instances[index])).collect()
    }

    /// Returns the points of the last known rung that have no score in the results so far.
    ///
    /// # Errors
    /// If results of the rung lack the metric.
    pub fn without_score<'m>(
        &self,
        made: impl Fn(InstanceId) -> Option<&'m BTreeMap<String, f64>>,
    ) -> Result<Vec<Point<'a>>, SearchError> {
        let ranked = self.ranked(&made)?;
        let alive = self.rungs.last().into_iter().flatten();
        Ok(alive.filter(|point| !ranked.contains(point)).map(|&point| self.points[point].clone()).collect())
    }

    /// Returns the points of the last known rung that lack a result which their score depends on.
    pub fn without_result<'m>(&self, made: impl Fn(InstanceId) -> Option<&'m BTreeMap<String, f64>>) -> Vec<Point<'a>> {
        let missing: Vec<InstanceId> = self.deciding().into_iter().filter(|&index| made(index).is_none()).collect();
        let is_missing =
            |point: &&usize| missing.iter().any(|&index| self.is_of(&self.graph.instances[index], **point));
        self.rungs.last().into_iter().flatten().filter(is_missing).map(|&point| self.points[point].clone()).collect()
    }

    /// Returns whether an instance belongs to the last known rung.
    #[must_use]
    pub fn is_of_last(&self, index: InstanceId) -> bool {
        let value = self.graph.instances[index].axes.get(&self.halving.over);
        value.is_some_and(|value| value.as_u64() == Some(self.rung().1))
    }

    /// Iterates over the points of the last known rung: key and value of each axis.
    pub fn alive(&self) -> impl Iterator<Item = &[(&'a str, Value)]> {
        self.rungs.last().into_iter().flatten().map(|&point| self.points[point].as_slice())
    }

    fn is_on(&self, instance: &Instance<'_>, rung: u64) -> bool {
        instance.axes.get(&self.halving.over).is_none_or(|value| value.as_u64() == Some(rung))
    }

    fn is_of(&self, instance: &Instance<'_>, point: usize) -> bool {
        self.points[point].iter().all(|(key, value)| instance.axes.get(key).is_none_or(|found| found == value))
    }
}
