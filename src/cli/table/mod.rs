//! `strata table`: show the results of the cached instances. `history` shows all that the cache holds of the pipeline, and
//! `curves` the series.

mod curves;
mod history;

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
};

use serde::Serialize;

use super::{
    Console, Failure,
    args::{Format, at_least_one},
    look::{Look, LookArgs},
};
use crate::{
    amount::listed,
    graph::{Graph, InstanceId, Selection},
    plan::Plan,
    report::Styles,
    results::{Baseline, ByStage, Described, Grid, JsonRow, Pivot, Results, Sort, StagePoint},
    search,
    stage::Registry,
};

/// Show the results of the cached instances: rows by stage and axes, columns by metric
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    look: LookArgs,
    /// Stages or instances to show [default: all]
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// Show every result that the cache holds of the pipeline, whatever run made it; columns are the parameters in which
    /// they differ, of the stage and of what it depends on
    #[arg(long, conflicts_with_all = ["rows", "columns", "baseline"])]
    history: bool,
    /// The best first, by this metric
    #[arg(long, value_name = "[STAGE.]METRIC")]
    sort: Option<String>,
    /// Show only so many: the first, or with `--sort` the best
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    top: Option<usize>,
    /// Show the curves instead: a row for each epoch of each series
    #[arg(long, conflicts_with_all = ["rows", "columns", "baseline", "sort", "top"])]
    curves: bool,
    /// The axis whose values are the rows; with `--columns`, the table shows one metric over two axes
    #[arg(long, value_name = "AXIS", requires = "columns")]
    rows: Option<String>,
    /// The axis whose values are the columns; `stage` without `--rows` makes the stages the columns
    #[arg(long, value_name = "AXIS")]
    columns: Option<String>,
    /// The metric in the cells, of the given stage or of the only one that has it [default: the score of stages]
    #[arg(long, value_name = "[STAGE.]METRIC", requires = "columns")]
    value: Option<String>,
    /// Also show differences from this: `axis=value` (the same instance with that value) or `STAGE@axis=value`
    #[arg(long, value_name = "ARM", conflicts_with = "columns")]
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

#[derive(Serialize)]
struct Cells<'a, T> {
    cells: &'a [T],
}

#[derive(Serialize)]
struct Points<'a> {
    metric: &'a str,
    rows: &'a [StagePoint],
}

impl Args {
    /// Prints the table.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let look = self.look.open(registry, console)?;
        let graph = look.experiment.graph()?;
        if self.history {
            return self.show_history(&look, &graph, console);
        }
        let Look { experiment, pipeline, run: seen } = &look;
        let store = experiment.store();
        let selection = graph.select(&self.targets)?;
        let plan = search::plan(&graph, &selection, &store, false, &mut console.remarks())?;
        let made: Vec<_> = plan.cached().filter(|(index, _)| selection.targets.contains(index)).collect();
        if self.curves {
            let curves = made.iter().map(|(index, manifest)| (&*graph.instances[*index].name, None, &manifest.series));
            return self.show_curves(curves.collect(), console);
        }
        let cached = made.len();
        let results = Results::new(&graph, made);
        let missing = missing(&graph, &plan, &selection, &results);
        console.warnings(plan.warnings(&graph));
        if let Some(columns) = &self.columns {
            self.pivot(&results, columns, console)?;
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
        let sort = self.sort(&graph);
        let results = match (&sort, self.top) {
            (None, None) => results,
            (sort, top) => results.sorted(sort.as_ref(), top)?,
        };
        show(&results, self.output, console)?;
        let whole = cached == selection.targets.len();
        let targets: Vec<&str> = self.targets.iter().map(String::as_str).collect();
        let run = pipeline.run(&targets);
        let mut note = match (cached, results.rows().len()) {
            (0, _) if seen.is_some() => "the run has no result that is still in the cache".to_owned(),
            (0, _) => format!("no results are cached; `{run}` makes them"),
            (1, 0) => "the cached instance has no metrics".to_owned(),
            (n, 0) => format!("none of the {n} cached instances has metrics"),
            (n, _) if !whole && seen.is_some() => {
                format!("the run has results of {n} of {} instances in the cache", selection.targets.len())
            }
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

    /// What the results are sorted by.
    fn sort(&self, graph: &Graph<'_>) -> Option<Sort> {
        let stages = || graph.instances.iter().map(|instance| instance.stage.as_str());
        self.sort.as_ref().map(|text| Sort::parse(text, stages()))
    }

    /// Prints one metric over two axes, or over the points and the stages.
    fn pivot(&self, results: &Results<'_>, columns: &str, console: &Console) -> Result<(), Failure> {
        let refused = [("--sort", self.sort.is_some()), ("--top", self.top.is_some())];
        if let Some((flag, _)) = refused.iter().find(|(_, given)| *given) {
            let why = "`--columns` makes rows of points, in the order of the sweep";
            return Err(Failure::Usage(format!("{why}; `{flag}` cannot be given too")));
        }
        let metric = match &self.value {
            Some(metric) => metric.clone(),
            None => results.metrics().default()?,
        };
        let Some(rows) = &self.rows else {
            if columns != "stage" {
                let all = format!("`--rows AXIS --columns {columns}` shows one metric over two axes");
                return Err(Failure::Usage(format!("{all}, and `--columns stage` one metric over the stages")));
            }
            let ByStage { rows, grid } = ByStage::of(results, &metric)?;
            return match self.output {
                Format::Json => console.json(&Points { metric: &metric, rows: &rows }),
                format => console.grid(&grid, format),
            };
        };
        let (rows, columns) = (results.axis(rows), results.axis(columns));
        let pivot = Pivot { rows, columns, metric: &metric, repeats: results.repeats(), metrics: results.metrics() };
        let pivoted = pivot.of(results.rows())?;
        match self.output {
            Format::Json => console.json(&Cells { cells: &pivoted.cells })?,
            format => console.grid(&pivoted.grid, format)?,
        }
        if !pivoted.over.is_empty() {
            console.note(&format!("cells are means over `{}`", pivoted.over.join("`, `")));
        }
        Ok(())
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
        Format::Text | Format::Markdown | Format::Latex => {
            let tables = results.tables(console.verbose);
            let fixed = results.fixed();
            let titled = tables.into_iter().map(|(title, grid)| (title.to_owned(), grid, fixed));
            show_tables(titled.collect(), format, console)
        }
    }
}

/// Prints tables, each with a title and the number of columns that must stay.
fn show_tables(tables: Vec<(String, Grid, usize)>, format: Format, console: &Console) -> Result<(), Failure> {
    let titled = |(title, grid, _): &(String, Grid, usize)| match (title.as_str(), format) {
        (_, Format::Latex) => grid.latex(),
        ("", _) => grid.markdown(),
        (title, _) => format!("**{title}**\n\n{}", grid.markdown()),
    };
    console.print(&match format {
        Format::Text => text(tables, console),
        _ => tables.iter().map(titled).collect::<Vec<_>>().join("\n"),
    })
}

fn text(tables: Vec<(String, Grid, usize)>, console: &Console) -> String {
    let mut text = String::new();
    for (title, grid, fixed) in tables {
        let (grid, dropped) = grid.fitting(console.columns(), fixed);
        text.push('\n');
        if !title.is_empty() {
            text.push_str(&format!(" {}\n", Styles::paint(console.results.faint, &title)));
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
