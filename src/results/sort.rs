//! The order of results by a metric, the best first.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use super::{error::ResultsError, metric::Metrics};
use crate::{pipeline::quoted, stage::Better};

/// What results are sorted by: `METRIC`, or `STAGE.METRIC` for the results of one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The stage, if only its results count.
    pub stage: Option<String>,
    /// The metric.
    pub metric: String,
}

impl Sort {
    /// Reads `[STAGE.]METRIC`. What stands before the first dot is a stage if it is one of `stages`.
    pub fn parse<'s>(text: &str, mut stages: impl Iterator<Item = &'s str>) -> Self {
        match text.split_once('.') {
            Some((stage, metric)) if stages.any(|known| known == stage) => {
                Self { stage: Some(stage.to_owned()), metric: metric.to_owned() }
            }
            _ => Self { stage: None, metric: text.to_owned() },
        }
    }

    /// Returns the value that a result is sorted by.
    #[must_use]
    pub fn value(&self, stage: &str, metrics: &BTreeMap<String, f64>) -> Option<f64> {
        let counts = self.stage.as_ref().is_none_or(|wanted| wanted == stage);
        metrics.get(&self.metric).copied().filter(|_| counts)
    }

    /// Compares two values: the better first, then values that are not finite, then results without the metric. Where
    /// neither direction is better, the higher comes first.
    #[must_use]
    pub fn compare(&self, a: Option<f64>, b: Option<f64>, metrics: &Metrics) -> Ordering {
        let lower = metrics.get(&self.metric).and_then(|metric| metric.better) == Some(Better::Lower);
        let rank = |value: Option<f64>| match value {
            Some(value) if value.is_finite() => (0, if lower { value } else { -value }),
            Some(_) => (1, 0.0),
            None => (2, 0.0),
        };
        let (a, b) = (rank(a), rank(b));
        a.0.cmp(&b.0).then_with(|| a.1.total_cmp(&b.1))
    }

    /// Checks that some result has the metric. `known` has the stage and the metric of every number that there is.
    ///
    /// # Errors
    /// If none has it.
    pub fn check<'n>(&self, known: impl Iterator<Item = (&'n str, &'n str)>) -> Result<(), ResultsError> {
        let of_stage = known.filter(|(stage, _)| self.stage.as_ref().is_none_or(|wanted| wanted == stage));
        let names: BTreeSet<&str> = of_stage.map(|(_, name)| name).collect();
        if names.contains(self.metric.as_str()) || names.is_empty() {
            return Ok(());
        }
        let of = self.stage.as_ref().map(|stage| format!(" of `{stage}`")).unwrap_or_default();
        let names = quoted(&names.into_iter().collect::<Vec<_>>());
        Err(ResultsError::Ask(format!("no result{of} has the metric `{}`; there are {names}", self.metric)))
    }
}
