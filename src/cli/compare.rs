//! `strata compare`: whether arms of an experiment differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use serde::Serialize;

use super::{
    Console, Failure,
    args::{CacheArgs, Format, PipelineArgs},
};
use crate::{
    graph::InstanceId,
    plan,
    results::{Arm, Comparison, Metrics, ResultsError, compare, grid},
    stage::Registry,
    store::Manifest,
};

/// Show whether arms of an experiment differ: paired differences over seeds and other axes, with intervals and a verdict
///
/// Instances are paired by the axes that reach both arms and that neither arm fixes; an arm is averaged over axes that
/// reach it alone. Pairs are averaged within each seed, because only seeds are independent repeats. Each further arm is
/// compared with the first by Student's paired t-test. Each interval is for its own comparison; p and the verdicts are
/// corrected for all arms and metrics together (Holm), so that they are wrong in at most 5 % of cases.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// The arm to compare with: `STAGE@axis=value,…`, all instances of the stage with these values
    #[arg(value_name = "A")]
    baseline: String,
    /// Other arms
    #[arg(value_name = "B", required = true)]
    others: Vec<String>,
    /// The metric to compare; may be given several times [default: the score of the stage, such as test_accuracy]
    #[arg(long, value_name = "NAME")]
    metric: Vec<String>,
    #[command(flatten)]
    cache: CacheArgs,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Serialize)]
struct Document<'a> {
    baseline: &'a str,
    comparisons: Vec<Comparison<'a>>,
}

impl Args {
    /// Prints the comparisons.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let experiment = self.cache.experiment(&self.pipeline, registry)?;
        let graph = experiment.graph()?;
        let store = experiment.store();
        let baseline = Arm::find(&graph, &self.baseline)?;
        let arms = self.others.iter().map(|text| Arm::find(&graph, text)).collect::<Result<Vec<_>, _>>()?;
        let all: BTreeSet<InstanceId> =
            arms.iter().chain([&baseline]).flat_map(|arm| &arm.instances).copied().collect();
        let plan = plan::plan(&graph, &graph.with_needs(all.clone()), &store, false)?;
        console.warnings(plan.warnings(&graph));
        let made: BTreeMap<InstanceId, &Manifest> = plan.cached().filter(|(index, _)| all.contains(index)).collect();
        let metrics = Metrics::of(&graph);
        let wanted = if self.metric.is_empty() { vec![metrics.default()?] } else { self.metric.clone() };
        let comparisons = compare(&graph, &made, &baseline, &arms, &wanted).map_err(|error| match &error {
            ResultsError::Missing { arm, .. } => {
                let run = self.pipeline.run(&[arm]);
                let help = format!("`{run}` runs what has not run; what failed must be mended, or left out of the arm");
                Failure::Failed(format!("{error}\n{help}"))
            }
            _ => error.into(),
        })?;
        if comparisons.iter().all(|one| one.pairs == 0) {
            console.note("nothing can be paired: the arms have no value in common of an axis that reaches both");
        }
        match self.output {
            Format::Json => console.json(&Document { baseline: baseline.text, comparisons })?,
            format => console.grid(&grid(&metrics, baseline.text, &comparisons), format)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
