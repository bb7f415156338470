//! What results are compared with: an arm of the experiment, or, for each row, the row that a baseline selects.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::rows::Row;
use crate::{
    graph::{Graph, InstanceId, Target, TargetError, Values},
    pipeline::plain,
};

/// `STAGE` or `STAGE@axis=value,axis=value`: all instances of the stage with these values.
pub struct Arm<'a> {
    /// The text, as the user wrote it.
    pub text: &'a str,
    /// The instances.
    pub instances: Vec<InstanceId>,
    /// The axes that it fixes.
    pub fixed: Values,
}

impl<'a> Arm<'a> {
    /// Finds the instances of an arm.
    ///
    /// # Errors
    /// If the text names none.
    pub fn find(graph: &Graph<'_>, text: &'a str) -> Result<Self, TargetError> {
        let Target { instances, fixed } = Target::find(graph, text)?;
        Ok(Self { text, instances, fixed })
    }

    /// Returns the axes that reach the stage and that this arm does not fix.
    pub fn open<'g>(&self, graph: &'g Graph<'_>) -> BTreeSet<&'g str> {
        let axes = self.instances.iter().flat_map(|&index| graph.instances[index].axes.iter());
        axes.map(|(axis, _)| axis).filter(|axis| !self.fixed.contains_key(*axis)).collect()
    }
}

/// Axes with their values, as people write them.
type Point<'a> = Vec<(&'a str, String)>;

/// A baseline: `axis=value,…` (the same instance with these values) or `STAGE@axis=value,…`.
pub struct Baseline {
    /// The text, as the user wrote it.
    pub text: String,
    stage: Option<String>,
    fixed: Values,
}

impl Baseline {
    /// Parses and checks the text.
    ///
    /// # Errors
    /// If it names no instance, or an axis that does not exist.
    pub fn find(graph: &Graph<'_>, text: &str) -> Result<Self, TargetError> {
        if text.contains('@') || !text.contains('=') {
            let arm = Arm::find(graph, text)?;
            let stage = text.split('@').next().map(str::to_owned);
            return Ok(Self { text: text.to_owned(), stage, fixed: arm.fixed });
        }
        let fixed = graph.values(text)?;
        Ok(Self { text: text.to_owned(), stage: None, fixed })
    }

    /// Returns the differences of each row from its partner: the row that has equal values for every axis of the
    /// partner that the baseline does not fix. A row without a partner has no differences.
    #[must_use]
    pub fn differences(&self, rows: &[Row<'_>]) -> Vec<BTreeMap<String, f64>> {
        let difference = |(row, partner): (&Row<'_>, Option<usize>)| {
            let from = partner.map(|partner| rows[partner].metrics);
            let both = row.metrics.iter().filter_map(|(name, value)| Some((name, value - from?.get(name)?)));
            both.map(|(name, difference)| (name.clone(), difference)).collect()
        };
        rows.iter().zip(self.partners(rows)).map(difference).collect()
    }

    /// Returns the index of each row's partner.
    fn partners(&self, rows: &[Row<'_>]) -> Vec<Option<usize>> {
        let is_fixed = |axis: &str| self.fixed.contains_key(axis);
        let is_one = |row: &Row<'_>| {
            let agrees = |(axis, value): (&String, &Value)| row.axes.get(axis) == Some(value);
            self.stage.as_ref().is_none_or(|stage| stage == row.stage) && self.fixed.iter().all(agrees)
        };
        // The rows by stage and free axes. Rows that these do not distinguish cannot be partners.
        let mut known: BTreeMap<(&str, Point<'_>), Option<usize>> = BTreeMap::new();
        let mut forms: Vec<(&str, Vec<&str>)> = Vec::new();
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| is_one(row)) {
            let free = row.axes.iter().filter(|(axis, _)| !is_fixed(axis));
            let free: Point<'_> = free.map(|(axis, value)| (axis, plain(value))).collect();
            let form = (row.stage, free.iter().map(|(axis, _)| *axis).collect());
            if !forms.contains(&form) {
                forms.push(form);
            }
            known.entry((row.stage, free)).and_modify(|found| *found = None).or_insert(Some(at));
        }
        let partner = |(at, row): (usize, &Row<'_>)| {
            let mut fitting = forms.iter().filter(|(stage, _)| self.stage.is_some() || *stage == row.stage);
            let found = fitting.find_map(|(stage, axes)| {
                let free: Option<Point<'_>> =
                    axes.iter().map(|axis| Some((*axis, plain(row.axes.get(axis)?)))).collect();
                known.get(&(*stage, free?)).copied().flatten()
            });
            found.filter(|found| *found != at)
        };
        rows.iter().enumerate().map(partner).collect()
    }
}
