//! `--baseline`: what each result is above or below another one.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Failure,
    arm::Arm,
    results::{Row, plain},
};
use crate::graph::{Graph, Values};

/// Axes with their values, as people write them.
type Point<'a> = Vec<(&'a str, String)>;

/// What results are compared with: `axis=value,…` (the same instance with these values) or `STAGE@axis=value,…`.
pub struct Baseline {
    /// As written.
    pub text: String,
    stage: Option<String>,
    fixed: Values,
}

impl Baseline {
    /// Reads and checks the text.
    pub fn find(graph: &Graph<'_>, text: &str) -> Result<Self, Failure> {
        if text.contains('@') || !text.contains('=') {
            let arm = Arm::find(graph, text)?;
            let stage = text.split('@').next().map(str::to_owned);
            return Ok(Self { text: text.to_owned(), stage, fixed: arm.fixed });
        }
        let fixed = graph.values(text).map_err(Failure::Usage)?;
        Ok(Self { text: text.to_owned(), stage: None, fixed })
    }

    /// Gives each row that has a partner its differences from it: equal in every axis that the partner has and the
    /// baseline does not fix.
    pub fn put_differences(&self, rows: &mut [Row<'_>]) {
        let partners = self.partners(rows);
        let differences: Vec<BTreeMap<String, f64>> = rows
            .iter()
            .zip(&partners)
            .map(|(row, partner)| {
                let from = partner.map(|partner| rows[partner].metrics);
                let both = row.metrics.iter().filter_map(|(name, value)| Some((name, value - from?.get(name)?)));
                both.map(|(name, difference)| (name.clone(), difference)).collect()
            })
            .collect();
        for (row, differences) in rows.iter_mut().zip(differences) {
            row.differences = differences;
        }
    }

    /// The index of each row's partner.
    fn partners(&self, rows: &[Row<'_>]) -> Vec<Option<usize>> {
        let is_fixed = |axis: &str| self.fixed.contains_key(axis);
        let is_one = |row: &Row<'_>| {
            let agrees = |(axis, value): (&String, &Value)| row.axes.get(axis) == Some(value);
            self.stage.as_ref().is_none_or(|stage| stage == row.stage) && self.fixed.iter().all(agrees)
        };
        // By stage and free axes; two that these do not tell apart are no partners.
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
