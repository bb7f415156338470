//! `strata table`: show the results of the cached instances.

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
    amount::listed,
    graph::{Graph, InstanceId, Selection},
    plan::Plan,
    report::Styles,
    results::{Baseline, Described, Grid, JsonRow, Pivot, Results},
    search,
    stage::Registry,
};

/// Show the results of the cached instances: rows by stage and axes, columns by metric
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Stages or instances to show [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    #[command(flatten)]
    cache: CacheArgs,
    /// The axis whose values are the rows; with `--columns`, the table shows one metric over two axes
    #[arg(long, value_name = "AXIS", requires = "columns")]
    rows: Option<String>,
    /// The axis whose values are the columns
    #[arg(long, value_name = "AXIS", requires = "rows")]
    columns: Option<String>,
    /// The metric in the cells, of the given stage or of the only one that has it [default: the score of stages]
    #[arg(long, value_name = "[STAGE.]METRIC", requires = "rows")]
    value: Option<String>,
    /// Also show differences from this: `axis=value` (the same instance with that value) or `STAGE@axis=value`
    #[arg(long, value_name = "ARM", conflicts_with = "rows")]
    baseline: Option<String>,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
}

#[derive(Serialize)]
struct Document<'a> {
    rows: Vec<JsonRow<'a>>,
    /// The descriptions of the metrics by their kinds.
    metrics: BTreeMap<&'a str, Described<'a>>,
}

impl Args {
    /// Prints the table.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let experiment = self.cache.experiment(&self.pipeline, registry)?;
        let graph = experiment.graph()?;
        let store = experiment.store();
        let selection = graph.select(&self.targets)?;
        let plan = search::plan(&graph, &selection, &store, false, &mut console.remarks())?;
        let made: Vec<_> = plan.cached().filter(|(index, _)| selection.targets.contains(index)).collect();
        let cached = made.len();
        let results = Results::new(&graph, made);
        let missing = missing(&graph, &plan, &selection, &results);
        console.warnings(plan.warnings(&graph));
        if let (Some(rows), Some(columns)) = (&self.rows, &self.columns) {
            let (rows, columns) = (results.axis(rows), results.axis(columns));
            let metric = match &self.value {
                Some(metric) => metric.clone(),
                None => results.metrics().default()?,
            };
            let pivot =
                Pivot { rows, columns, metric: &metric, repeats: results.repeats(), metrics: results.metrics() };
            let pivoted = pivot.of(results.rows())?;
            match self.output {
                Format::Json => console.json(&pivoted.cells)?,
                format => console.grid(&pivoted.grid, format)?,
            }
            if !pivoted.over.is_empty() {
                console.note(&format!("cells are means over `{}`", pivoted.over.join("`, `")));
            }
            if !missing.is_empty() {
                console.remark(&format!("without a result, and so in no cell: {}", listed(&missing)));
            }
            return Ok(ExitCode::SUCCESS);
        }
        let baseline = self.baseline.as_ref().map(|text| Baseline::find(&graph, text)).transpose()?;
        let results = match &baseline {
            Some(baseline) => {
                let differences = baseline.differences(results.rows());
                results.with_differences(&baseline.text, differences)
            }
            None => results,
        };
        show(&results, self.output, console)?;
        let whole = cached == selection.targets.len();
        let targets: Vec<&str> = self.targets.iter().map(String::as_str).collect();
        let run = self.pipeline.run(&targets);
        let mut note = match (cached, results.rows().len()) {
            (0, _) => format!("no results are cached; `{run}` makes them"),
            (1, 0) => "the cached instance has no metrics".to_owned(),
            (n, 0) => format!("none of the {n} cached instances has metrics"),
            // A search does not run every instance.
            (n, _) if !whole && graph.pipeline.halving.is_none() => {
                format!("{n} of {} instances are cached; `{run}` makes the others", selection.targets.len())
            }
            _ => String::new(),
        };
        if !missing.is_empty() && cached > 0 {
            let mark = if note.is_empty() { "" } else { "; " };
            note.push_str(&format!("{mark}without a result, and so without a row: {}", listed(&missing)));
        }
        if note.is_empty() {
            return Ok(ExitCode::SUCCESS);
        }
        let is_read = self.output != Format::Json || !results.rows().is_empty();
        if is_read && !console.quiet {
            console.note(&note);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The selected instances that would have a row, as others of their stages do, but are not cached.
fn missing<'g>(graph: &'g Graph<'_>, plan: &Plan, selection: &Selection, results: &Results<'_>) -> Vec<&'g str> {
    let stages: BTreeSet<&str> = results.rows().iter().map(|row| row.stage).collect();
    let cached: BTreeSet<InstanceId> = plan.cached().map(|(index, _)| index).collect();
    let meant = plan.stages.iter().map(|planned| planned.index).filter(|index| selection.targets.contains(index));
    let open = meant.filter(|index| !cached.contains(index)).map(|index| &graph.instances[index]);
    // If there are no rows at all, every stage counts as one that would have rows.
    let has_row = |stage: &str| stages.is_empty() || stages.contains(stage);
    open.filter(|instance| has_row(&instance.stage)).map(|instance| instance.name.as_ref()).collect()
}

/// Prints results.
pub(super) fn show(results: &Results<'_>, format: Format, console: &Console) -> Result<(), Failure> {
    match format {
        Format::Json => console.json(&Document { rows: results.json(), metrics: results.described() }),
        Format::Csv => console.print(&results.flat().csv()),
        Format::Markdown | Format::Latex => {
            let tables = results.tables(console.verbose);
            let titled = |(title, grid): &(&str, Grid)| match (*title, format) {
                (_, Format::Latex) => grid.latex(),
                ("", _) => grid.markdown(),
                (title, _) => format!("**{title}**\n\n{}", grid.markdown()),
            };
            console.print(&tables.iter().map(titled).collect::<Vec<_>>().join("\n"))
        }
        Format::Text => console.print(&text(results, console)),
    }
}

fn text(results: &Results<'_>, console: &Console) -> String {
    let mut text = String::new();
    for (title, grid) in results.tables(console.verbose) {
        let (grid, dropped) = grid.fitting(console.columns(), results.fixed());
        text.push('\n');
        if !title.is_empty() {
            text.push_str(&format!(" {}\n", Styles::paint(console.results.faint, title)));
        }
        text.push_str(&grid.text(&console.results));
        if !dropped.is_empty() {
            let hint = format!(" too wide to show: {} (--output csv has all)", dropped.join(", "));
            text.push_str(&format!("{}\n", Styles::paint(console.results.faint, &hint)));
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}
