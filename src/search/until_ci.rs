//! `--until-ci`: adds seeds until means are known well enough.

use std::collections::BTreeSet;

use super::error::SearchError;
use crate::{amount::listed, graph::Graph, pipeline::quoted, results::Results, run::Summary};

/// How narrow the 95 % intervals of a metric must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Precision {
    /// The largest allowed distance between the ends of an interval.
    pub width: f64,
    /// The metric. The default is the first metric that is a score.
    pub metric: Option<String>,
}

/// The judgement of a run.
pub struct Verdict {
    /// The number of seeds of the next pass; `None` if every interval is narrow enough, or if more seeds would not
    /// help.
    pub seeds: Option<usize>,
    /// The judgement in words.
    pub words: Vec<String>,
    /// Whether no point can have an interval.
    pub in_vain: bool,
}

impl Precision {
    /// Judges the intervals of a run. A point has no interval if one of its seeds failed or has no finite value of the
    /// metric. Such points are named, and more seeds are added for the others.
    ///
    /// # Errors
    /// If no result that is repeated over seeds has the metric.
    pub fn judge(&self, graph: &Graph<'_>, summary: &Summary) -> Result<Verdict, SearchError> {
        let results = Results::of(graph, summary);
        let metrics = results.metrics();
        let metric = match &self.metric {
            Some(metric) => metric.clone(),
            None => metrics.default().map_err(|error| SearchError::NoMetric(error.to_string()))?,
        };
        let metric = &metric;
        let mut broken = results.lost_points(metric);
        let (finite, others): (Vec<_>, Vec<_>) =
            results.estimates(metric).into_iter().partition(|(_, estimate)| estimate.mean.is_finite());
        broken.extend(others.into_iter().map(|(name, _)| name));
        let estimates: Vec<_> = finite.into_iter().filter(|(name, _)| !broken.contains(name)).collect();
        let mut words = Vec::new();
        if !broken.is_empty() {
            let (metric, names) = (metrics.header(metric), broken.iter().collect::<Vec<_>>());
            let which = listed(&names);
            words.push(format!("no interval of {metric} where a seed failed or has no finite value: {which}"));
        }
        let repeats = graph.pipeline.repeats.as_ref();
        let axis = graph.pipeline.axes.iter().find(|axis| Some(axis.key.get_ref()) == repeats);
        let seeds = axis.map_or(0, |axis| axis.values.len());
        // A point without an interval yet counts as infinitely wide.
        let width = |(low, high): (f64, f64)| high - low;
        let widest = estimates
            .iter()
            .map(|(name, estimate)| (name, estimate.interval.map_or(f64::INFINITY, width)))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((name, widest)) = widest else {
            if summary.counts.failed > 0 || !broken.is_empty() || summary.interrupted {
                words.push("no point has results of all its seeds, so no more are added".to_owned());
                return Ok(Verdict { seeds: None, words, in_vain: !summary.interrupted });
            }
            let names: BTreeSet<&str> =
                results.rows().iter().flat_map(|row| row.metrics.keys().map(String::as_str)).collect();
            let names = quoted(&names.into_iter().collect::<Vec<_>>());
            let message = format!("no result that is repeated over seeds has the metric `{metric}`");
            return Err(SearchError::NoMetric(format!("{message}; there are {names}")));
        };
        let header = metrics.header(metric);
        let wide = match widest.is_finite() {
            true => format!("at most {} wide", metrics.shown(metric, widest)),
            false => "not known yet".to_owned(),
        };
        let count = if seeds == 1 { "1 seed".to_owned() } else { format!("{seeds} seeds") };
        words.push(format!("{count}: the 95 % interval of {header} is {wide} ({name})"));
        if widest <= self.width {
            return Ok(Verdict { seeds: None, words, in_vain: false });
        }
        // The width falls with the square root of the number of seeds. It is estimated from few, so their number
        // doubles at most.
        let needed = (seeds as f64 * (widest / self.width).powi(2)).ceil();
        let next = (needed.min(2.0 * seeds as f64) as usize).max(seeds + 1);
        Ok(Verdict { seeds: Some(next), words, in_vain: false })
    }
}
