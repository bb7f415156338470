//! The differences between arms, in words.

use std::collections::{BTreeMap, BTreeSet};

use super::answers::{Arm, Split};
use crate::{
    pipeline::plain,
    results::{Estimate, Row, by_seed, differs, holm, paired_p},
    stage::Unit,
};

impl<'a> Split<'a> {
    /// Describes, for each axis of words, the differences of its other values from the first, paired by all other axes.
    pub(super) fn differences(&self, rows: &[&Row<'a>]) -> Vec<String> {
        let mut found = Vec::new();
        let axes: BTreeSet<&str> = rows.iter().flat_map(|row| self.arm(row)).map(|(axis, _)| axis).collect();
        for axis in axes {
            let mut values: Vec<String> = Vec::new();
            for value in rows.iter().filter_map(|row| row.axes.get(axis)) {
                let is_word = value.is_string() || value.is_boolean();
                let value = plain(value);
                if is_word && !values.contains(&value) {
                    values.push(value);
                }
            }
            let Some((first, others)) = values.split_first() else { continue };
            let columns: BTreeSet<String> =
                rows.iter().filter(|row| row.axes.contains_key(axis)).map(|row| self.column(row)).collect();
            for column in columns {
                let of = |value: &str| -> BTreeMap<Arm<'_>, f64> {
                    let is_one = |row: &&&Row<'_>| {
                        self.column(row) == column && row.axes.get(axis).map(plain).as_deref() == Some(value)
                    };
                    let pairing = |row: &Row<'a>| {
                        row.axes
                            .iter()
                            .filter(|(own, _)| *own != axis)
                            .map(|(own, value)| (own, plain(value)))
                            .collect()
                    };
                    rows.iter().filter(is_one).map(|row| (pairing(row), row.metrics[&*self.metric.name])).collect()
                };
                let base = of(first);
                for other in others {
                    let seed = |key: &Arm<'_>| {
                        key.iter().find(|(axis, _)| Some(*axis) == self.seeds).map(|(_, seed)| seed.clone())
                    };
                    let pairs = of(other);
                    let pairs = pairs.iter().filter_map(|(key, value)| Some((seed(key), value - base.get(key)?)));
                    let differences = by_seed(pairs);
                    if !differences.is_empty() {
                        found.push((format!("{column}: {axis}={other} against {first}"), differences));
                    }
                }
            }
        }
        let (tested, p): (Vec<usize>, Vec<f64>) =
            found.iter().enumerate().filter_map(|(at, (_, values))| Some((at, paired_p(values)?))).unzip();
        let adjusted: BTreeMap<usize, f64> = tested.into_iter().zip(holm(&p)).collect();
        found
            .iter()
            .enumerate()
            .filter_map(|(at, (what, values))| self.said(what, values, adjusted.get(&at).copied()))
            .collect()
    }

    /// Describes a difference in words.
    fn said(&self, what: &str, differences: &[f64], p: Option<f64>) -> Option<String> {
        let Estimate { mean, interval, n } = Estimate::of(differences)?;
        if !mean.is_finite() {
            return Some(format!("{what}: not comparable, as a value is not a finite number."));
        }
        let side = if mean < 0.0 { "lower" } else { "higher" };
        let unit = if self.metric.unit == Unit::Fraction { " points" } else { "" };
        let shown = |value: f64| self.metrics.shown(&self.metric.name, value);
        let size = shown(mean.abs());
        let Some(((low, high), p)) = interval.zip(p) else {
            return Some(format!("{what}: {size}{unit} {side}; one seed: the spread over seeds is unknown."));
        };
        let verdict = if differs(p) { "a difference" } else { "no difference shown" };
        let (low, high) = (shown(low), shown(high));
        Some(format!(
            "{what}: {size}{unit} {side} (95 % interval {low} to {high} over {n} seeds; p = {p:.3}, corrected for all of these): {verdict}."
        ))
    }
}
