//! Successive halving: which points of a sweep go on to the next rung, and which instances that makes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::SearchError;
use crate::{
    graph::{Graph, Instance, Selection},
    pipeline::{Halving, document, quoted},
};

/// A point of a search: for each axis that is searched, its value.
pub type Point<'a> = Vec<(&'a str, Value)>;

/// What the results of a rung lead to.
pub enum Climb<'a> {
    /// One more rung is known.
    Up,
    /// This was the last rung, and this is its best point.
    Top(Point<'a>),
    /// No point has a score.
    Nothing,
}

/// The rungs of a search, as far as results decide them.
#[derive(Clone)]
pub struct Ladder<'a, 't> {
    graph: &'a Graph<'t>,
    halving: &'a Halving,
    points: Vec<Point<'a>>,
    /// The points of each rung that is known, the best first from the second on.
    rungs: Vec<Vec<usize>>,
}

impl<'a, 't> Ladder<'a, 't> {
    /// The search of a graph, with all points in the first rung.
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

    /// The number of rungs, and the number of points in each.
    #[must_use]
    pub fn sizes(&self) -> Vec<usize> {
        self.halving.sizes(self.points.len())
    }

    /// The rung that is known last, from 0, and its value.
    #[must_use]
    pub fn rung(&self) -> (usize, u64) {
        let rung = self.rungs.len() - 1;
        (rung, self.halving.rungs[rung])
    }

    /// What is worth knowing: whether survivors go on where they are, or start anew at each rung.
    #[must_use]
    pub fn note(&self) -> Option<String> {
        let stage = self.halving.over.split('.').next().unwrap_or_default();
        let mut of_stage = self.graph.instances.iter().filter(|instance| instance.stage == stage);
        let anew = of_stage.any(|instance| instance.work.extent().is_none_or(|extent| !extent.extends));
        let most = self.halving.rungs.last()?;
        anew.then(|| {
            format!(
                "note: each rung starts `{stage}` anew, as its learning rate falls over all epochs; with \
                 `schedule.horizon = {most}` survivors go on where they are"
            )
        })
    }

    /// Whether what is wanted comes from a rung at all.
    #[must_use]
    pub fn concerns(&self, wanted: &Selection) -> bool {
        wanted.targets.iter().any(|&index| self.graph.instances[index].axes.contains_key(&self.halving.over))
    }

    /// Of `wanted`, what the rungs that are known make; and the scores that a further rung depends on.
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
        let meant = |&index: &usize| wanted.targets.contains(&index) || decides(&self.graph.instances[index]);
        let all = 0..self.graph.instances.len();
        let targets = all.filter(meant).filter(|&index| alive(&self.graph.instances[index])).collect();
        self.graph.with_needs(targets)
    }

    /// Whether the scores of the last rung that is known say more of what is wanted: which points are on a further rung, or
    /// which one is the best of all.
    #[must_use]
    pub fn goes_on(&self, wanted: &Selection) -> bool {
        let (rung, _) = self.rung();
        let is_last = rung + 1 == self.halving.rungs.len();
        rung < self.top(wanted) || is_last && self.deciding().iter().any(|index| wanted.targets.contains(index))
    }

    /// The highest rung that something wanted comes from.
    fn top(&self, wanted: &Selection) -> usize {
        let values =
            wanted.targets.iter().filter_map(|&index| self.graph.instances[index].axes.get(&self.halving.over));
        let most = values.filter_map(Value::as_u64).max();
        self.halving.rungs.iter().rposition(|&rung| Some(rung) <= most).unwrap_or_default()
    }

    /// Goes up one rung by the scores of the last one, if there is one more. `made` are the metrics of instances that have
    /// results.
    ///
    /// # Errors
    /// If results of the rung lack the metric.
    pub fn climb<'m>(
        &mut self,
        made: impl Fn(usize) -> Option<&'m BTreeMap<String, f64>>,
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

    /// The points of the last rung that have a score, the best first; of equals the earlier. A point that failed, or whose
    /// score is not finite, counts as the worst: it never goes on.
    fn ranked<'m>(
        &self,
        made: &impl Fn(usize) -> Option<&'m BTreeMap<String, f64>>,
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
            // Over seeds, and all else that is not searched: the mean.
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

    /// The instances whose scores decide on the last rung that is known.
    fn deciding(&self) -> Vec<usize> {
        let (_, rung) = self.rung();
        let alive = self.rungs.last().map_or(&[][..], Vec::as_slice);
        let decides = |instance: &Instance<'_>| {
            instance.stage == self.halving.stage
                && self.is_on(instance, rung)
                && alive.iter().any(|&point| self.is_of(instance, point))
        };
        (0..self.graph.instances.len()).filter(|&index| decides(&self.graph.instances[index])).collect()
    }

    /// The points of the last rung that is known which have no score, by what results there are.
    ///
    /// # Errors
    /// If results of the rung lack the metric.
    pub fn without_score<'m>(
        &self,
        made: impl Fn(usize) -> Option<&'m BTreeMap<String, f64>>,
    ) -> Result<Vec<Point<'a>>, SearchError> {
        let ranked = self.ranked(&made)?;
        let alive = self.rungs.last().into_iter().flatten();
        Ok(alive.filter(|point| !ranked.contains(point)).map(|&point| self.points[point].clone()).collect())
    }

    /// The points of the last rung that is known of which a result is missing that its score depends on.
    pub fn without_result<'m>(&self, made: impl Fn(usize) -> Option<&'m BTreeMap<String, f64>>) -> Vec<Point<'a>> {
        let missing: Vec<usize> = self.deciding().into_iter().filter(|&index| made(index).is_none()).collect();
        let is_missing =
            |point: &&usize| missing.iter().any(|&index| self.is_of(&self.graph.instances[index], **point));
        self.rungs.last().into_iter().flatten().filter(is_missing).map(|&point| self.points[point].clone()).collect()
    }

    /// Whether an instance belongs to the last rung that is known and to no earlier one.
    #[must_use]
    pub fn is_of_last(&self, index: usize) -> bool {
        let value = self.graph.instances[index].axes.get(&self.halving.over);
        value.is_some_and(|value| value.as_u64() == Some(self.rung().1))
    }

    /// The points of the last rung that is known: key and value of each axis.
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
