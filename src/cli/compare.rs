//! `strata compare`: whether arms of an experiment differ.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use serde::Serialize;

use super::{
    Console, Failure,
    args::Format,
    look::{Look, LookArgs},
};
use crate::{
    amount::listed,
    graph::{Graph, InstanceId},
    plan,
    report::Styles,
    results::{Align, Arm, Comparison, Grid, Metrics, Results, ResultsError, cells, compare, grid},
    search,
    stage::Registry,
    store::{Manifest, Store, real},
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
    look: LookArgs,
    /// The arm to compare with: `STAGE@axis=value,…`, all instances of the stage with these values
    #[arg(value_name = "A")]
    baseline: Option<String>,
    /// Other arms; without any, the arms that there are are listed
    #[arg(value_name = "B")]
    others: Vec<String>,
    /// The metric to compare; may be given several times [default: the score of the stage, such as test_accuracy]
    #[arg(long, value_name = "NAME")]
    metric: Vec<String>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Serialize)]
struct Document<'a> {
    baseline: &'a str,
    comparisons: Vec<Comparison<'a>>,
}

/// The arms that there are.
#[derive(Serialize)]
struct Arms {
    arms: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    arm: String,
    metric: String,
    seeds: usize,
    #[serde(serialize_with = "real")]
    mean: f64,
}

impl Args {
    /// Prints the comparisons.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let Look { experiment, pipeline, .. } = self.look.open(registry, console)?;
        let graph = experiment.graph()?;
        let store = experiment.store();
        let metrics = Metrics::of(&graph);
        let wanted = if self.metric.is_empty() { vec![metrics.default()?] } else { self.metric.clone() };
        let Some(baseline) = self.baseline.as_ref().filter(|_| !self.others.is_empty()) else {
            return self.list(&graph, &store, &wanted, console);
        };
        let baseline = Arm::find(&graph, baseline)?;
        let arms = self.others.iter().map(|text| Arm::find(&graph, text)).collect::<Result<Vec<_>, _>>()?;
        let all: BTreeSet<InstanceId> =
            arms.iter().chain([&baseline]).flat_map(|arm| &arm.instances).copied().collect();
        let plan = plan::plan(&graph, &graph.with_needs(all.clone()), &store, false)?;
        console.warnings(plan.warnings(&graph));
        let made: BTreeMap<InstanceId, &Manifest> = plan.cached().filter(|(index, _)| all.contains(index)).collect();
        let comparisons = compare(&graph, &made, &baseline, &arms, &wanted).map_err(|error| match &error {
            ResultsError::Missing { arm, .. } => {
                let run = pipeline.run(&[arm]);
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
            Format::Text => {
                let whole = grid(&metrics, baseline.text, &comparisons);
                let width = console.width();
                console.print(&match whole.width() <= width {
                    true => whole.text(&console.results),
                    false => lettered(&metrics, baseline.text, &comparisons, console),
                })?;
            }
            format => console.grid(&grid(&metrics, baseline.text, &comparisons), format)?,
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Prints the arms that have results: each point of each stage with the metric. One arm alone cannot be compared.
    fn list(
        &self,
        graph: &Graph<'_>,
        store: &Store,
        wanted: &[String],
        console: &Console,
    ) -> Result<ExitCode, Failure> {
        let plan = search::plan(graph, &graph.select(&[])?, store, false, &mut console.remarks())?;
        let results = Results::new(graph, plan.cached());
        let arms: Vec<Listed> = wanted
            .iter()
            .flat_map(|metric| {
                let listed = |(arm, seeds, mean)| Listed { arm, metric: metric.clone(), seeds, mean };
                results.arms(metric).into_iter().map(listed).collect::<Vec<_>>()
            })
            .collect();
        if let Some(one) = &self.baseline {
            let others: Vec<&str> = arms.iter().map(|arm| arm.arm.as_str()).filter(|arm| arm != one).collect();
            let there = if others.is_empty() {
                "none has results".to_owned()
            } else {
                format!("there are {}", listed(&others))
            };
            return Err(Failure::Usage(format!("`{one}` needs at least one other arm to be compared with; {there}")));
        }
        let about = results.metrics();
        match self.output {
            Format::Json => console.json(&Arms { arms })?,
            format => {
                let columns =
                    [("arm", Align::Left), ("metric", Align::Left), ("seeds", Align::Right), ("mean", Align::Right)];
                let mut grid = Grid::new(columns);
                for Listed { arm, metric, seeds, mean } in &arms {
                    grid.push(vec![arm.clone(), about.header(metric), seeds.to_string(), about.shown(metric, *mean)]);
                }
                console.grid(&grid, format)?;
                let hint =
                    "name two arms or more to compare them; `STAGE@axis=value` is all of the stage with that value";
                console.remark(hint);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Formats the comparisons for a narrow terminal: arms are called by letters, and verdicts follow the table of each
/// metric.
fn lettered(about: &Metrics, baseline: &str, comparisons: &[Comparison<'_>], console: &Console) -> String {
    let lines = console.lines();
    let mut arms = vec![baseline];
    for one in comparisons {
        if !arms[1..].contains(&one.arm) {
            arms.push(one.arm);
        }
    }
    let mut text = String::new();
    for (at, arm) in arms.iter().enumerate() {
        text.push_str(&format!("{}\n", lines.listed(&lines.word(&letters(at), console.results.strong), arm, "", "")));
    }
    let mut metrics: Vec<&str> = comparisons.iter().map(|one| one.metric).collect();
    metrics.dedup();
    let mut seen: Vec<&str> = Vec::new();
    for metric in metrics {
        if seen.contains(&metric) {
            continue;
        }
        seen.push(metric);
        let right = ["pairs", "seeds", "A", "mean", "difference", "95 % interval", "p (Holm)"];
        let mut grid = Grid::new([("", Align::Left)].into_iter().chain(right.map(|header| (header, Align::Right))));
        let mut verdicts = String::new();
        for one in comparisons.iter().filter(|one| one.metric == metric) {
            let at = 1 + arms[1..].iter().position(|arm| *arm == one.arm).unwrap_or_default();
            grid.push([letters(at)].into_iter().chain(cells(about, one)).collect());
            verdicts.push_str(&format!(" {}: {}\n", letters(at), one.verdict));
        }
        let header = Styles::paint(console.results.strong, &about.header(metric));
        text.push_str(&format!("\n {header}\n{}{verdicts}", grid.text(&console.results)));
    }
    text
}

/// Names the arms A, B, …, Z, AA, AB, …
fn letters(at: usize) -> String {
    let last = char::from(b'A' + (at % 26) as u8);
    if at < 26 { last.to_string() } else { format!("{}{last}", letters(at / 26 - 1)) }
}
