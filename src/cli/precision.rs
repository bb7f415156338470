//! `--until-ci`: more seeds until means are known well enough.

use std::collections::BTreeSet;

use super::{
    Failure,
    results::{Results, header, shown},
};
use crate::{
    engine::{Graph, Report},
    pipeline::quoted,
};

/// How narrow the 95 % intervals of a metric must be.
pub struct Precision {
    /// The most that both ends of an interval may be apart.
    pub width: f64,
    /// The metric.
    pub metric: String,
}

impl Precision {
    /// The number of seeds to go on with, none if every interval is narrow enough; and that in words.
    pub fn judge(&self, graph: &Graph<'_>, report: &Report) -> Result<(Option<usize>, String), Failure> {
        let made = report.outcomes.iter().filter_map(|outcome| Some((outcome.index, outcome.manifest.as_deref()?)));
        let results = Results::new(graph, made);
        let estimates = results.estimates(&self.metric);
        let metric = &self.metric;
        let repeats = graph.pipeline.repeats.as_ref();
        let axis = graph.pipeline.axes.iter().find(|axis| Some(axis.key.get_ref()) == repeats);
        let seeds = axis.map_or(0, |axis| axis.values.len());
        // Without an interval yet, there is no end of it.
        let width = |(low, high): (f64, f64)| high - low;
        let widest = estimates
            .iter()
            .map(|(name, estimate)| (name, estimate.interval.map_or(f64::INFINITY, width)))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let Some((name, widest)) = widest else {
            let names: BTreeSet<&str> =
                results.rows().iter().flat_map(|row| row.metrics.keys().map(String::as_str)).collect();
            let names = quoted(&names.into_iter().collect::<Vec<_>>());
            let message = format!("no result that is repeated over seeds has the metric `{metric}`");
            return Err(Failure::Usage(format!("{message}; there are {names}")));
        };
        let header = header(metric);
        let wide =
            if widest.is_finite() { format!("{} wide", shown(metric, widest)) } else { "not known yet".to_owned() };
        let words = format!("{seeds} seeds: the 95 % interval of {header} is at most {wide} ({name})");
        if widest <= self.width {
            return Ok((None, words));
        }
        // The width falls with the root of the number; it is not known well from few, so at most twice as many at once.
        let needed = (seeds as f64 * (widest / self.width).powi(2)).ceil();
        let next = (needed.min(2.0 * seeds as f64) as usize).max(seeds + 1);
        Ok((Some(next), words))
    }
}
