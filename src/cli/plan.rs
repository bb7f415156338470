//! `strata plan`: show what would run, why, and what it is expected to take.

use std::{collections::BTreeMap, process::ExitCode};

use serde::Serialize;

use super::{
    Console, Failure,
    args::{Format, SelectArgs},
    failure,
    look::{Look, LookArgs},
};
use crate::{
    amount::{bytes, duration},
    digest::StageKey,
    graph::Graph,
    pipeline::plain,
    plan::{
        Plan, PlanStatus, Reason,
        totals::{AxisTotal, StageTotal, Total, by_axis, by_stage},
    },
    report::after,
    results::{Align, Grid},
    search,
    stage::Registry,
    store::Position,
};

/// Show what would run, why, and what it is expected to take; write nothing
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    look: LookArgs,
    #[command(flatten)]
    select: SelectArgs,
    /// The output format
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// Show a line for each stage instead of each instance: how many there are, and what they are expected to take
    #[arg(long)]
    summary: bool,
    /// Exit with 3 if there is work to do
    #[arg(long)]
    exit_code: bool,
}

impl Args {
    /// Prints the plan.
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let Look { experiment, .. } = self.look.open(registry, console)?;
        let graph = experiment.graph()?;
        console.notes(&graph);
        let store = experiment.store();
        let wanted = self.select.request().select(&graph)?;
        let plan = search::plan(&graph, &wanted, &store, self.select.force, &mut console.remarks())?;
        show(&graph, &plan, self.output, self.summary, console)?;
        let work = plan.counts()["cached"] < plan.stages.len();
        Ok(if self.exit_code && work { ExitCode::from(failure::WORK) } else { ExitCode::SUCCESS })
    }
}

#[derive(Serialize)]
struct Document<'a> {
    pipeline: &'a str,
    stages: Vec<Line<'a>>,
    counts: BTreeMap<&'static str, usize>,
    price: Total,
    axes: Vec<AxisTotal>,
    by_stage: Vec<StageTotal>,
}

#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    instance: &'a str,
    kind: &'a str,
    status: PlanStatus,
    key: Option<StageKey>,
    reason: Option<Reason>,
    seconds: Option<f64>,
    /// The saved state that it would resume from.
    resumes: Option<Position>,
    /// Whether a training with more epochs would continue from its end; null if it has no epochs.
    extends: Option<bool>,
}

fn word(status: PlanStatus) -> &'static str {
    match status {
        PlanStatus::Cached => "cached",
        PlanStatus::Run => "run",
        PlanStatus::Waiting => "waiting",
    }
}

/// Prints a plan: a line for each instance, or with `summary` for each stage.
pub(super) fn show(
    graph: &Graph<'_>,
    plan: &Plan,
    format: Format,
    summary: bool,
    console: &Console,
) -> Result<(), Failure> {
    let lines: Vec<Line<'_>> = plan
        .stages
        .iter()
        .map(|planned| {
            let instance = &graph.instances[planned.index];
            Line {
                name: &instance.stage,
                instance: &instance.name,
                kind: instance.kind.name,
                status: planned.status(),
                key: planned.decision.key(),
                reason: planned.reason(graph),
                seconds: planned.price.map(|price| price.seconds),
                resumes: planned.resumes,
                extends: instance.work.extent().map(|extent| extent.extends),
            }
        })
        .collect();
    match format {
        Format::Json => {
            let (counts, price, axes) = (plan.counts(), Total::of(plan), by_axis(graph, plan));
            let by_stage = by_stage(graph, plan);
            console.json(&Document { pipeline: &graph.pipeline.name, stages: lines, counts, price, axes, by_stage })
        }
        Format::Text => console.print(&text(graph, &lines, plan, summary, console)),
        format if summary => console.grid(&stages_grid(&by_stage(graph, plan)), format),
        format => console.grid(&grid(&lines), format),
    }
}

fn text(graph: &Graph<'_>, lines: &[Line<'_>], plan: &Plan, summary: bool, console: &Console) -> String {
    let lines_of = console.lines();
    let styles = lines_of.styles;
    let mut text = String::new();
    if summary {
        text.push_str(&format!("{}\n", stages_grid(&by_stage(graph, plan)).text(&styles)));
    }
    for line in lines.iter().filter(|_| !summary) {
        let style = match line.status {
            PlanStatus::Cached => styles.cached,
            PlanStatus::Run => styles.work,
            PlanStatus::Waiting => styles.held,
        };
        let time = line.seconds.filter(|_| line.status != PlanStatus::Cached).map(duration).unwrap_or_default();
        let word = lines_of.word(word(line.status), style);
        let reason = line.reason.as_ref().filter(|_| line.status != PlanStatus::Cached || console.verbose);
        let mut reason = reason.map(ToString::to_string).unwrap_or_default();
        match line.resumes {
            Some(Position { epoch, step }) => {
                if line.reason == Some(Reason::New) {
                    "interrupted".clone_into(&mut reason);
                }
                reason.push_str(&format!("; goes on {}", after(epoch, step)));
            }
            None if line.extends == Some(false) && reason.starts_with("epochs: ") => {
                reason.push_str("; starts anew, as its schedule spans all epochs");
            }
            None => {}
        }
        text.push_str(&format!("{}\n", lines_of.listed(&word, line.instance, &reason, &time)));
    }
    let total = Total::of(plan);
    text.push_str(&format!("{}\n", lines_of.paragraph(&summed_up(&total, plan))));
    let axes = by_axis(graph, plan);
    if !axes.is_empty() {
        text.push_str(&format!("\n{}", axes_grid(&axes).text(&console.results)));
    }
    text
}

/// Formats the totals: `3 cached, 2 run, 4 waiting; expected to take 1 min 20 s and 12 MiB, 1 unknown`.
fn summed_up(total: &Total, plan: &Plan) -> String {
    let counts = plan.counts();
    let mut text = format!("{} cached, {} run, {} waiting", counts["cached"], counts["run"], counts["waiting"]);
    if total.distinct < total.instances {
        text.push_str(&format!("; {} of {} are distinct", total.distinct, total.instances));
    }
    if total.seconds > 0.0 {
        let (time, size) = (duration(total.seconds), bytes(total.bytes as u64));
        text.push_str(&format!("; expected to take {time} and {size}"));
        if total.unknown > 0 {
            text.push_str(&format!(" without {} of which nothing is known", total.unknown));
        }
    } else if total.unknown > 0 {
        text.push_str("; how long is not known before the first run");
    }
    text
}

/// The table of the stages. Of work without an estimate, `unknown` is said where nothing else is known.
fn stages_grid(stages: &[StageTotal]) -> Grid {
    let counts = ["all", "cached", "run", "waiting", "expected", "size"].map(|header| (header, Align::Right));
    let mut grid = Grid::new([("stage", Align::Left)].into_iter().chain(counts));
    for one in stages {
        let expected = match (one.seconds > 0.0, one.unknown) {
            (true, 0) => duration(one.seconds),
            (true, _) => format!("over {}", duration(one.seconds)),
            (false, 0) => String::new(),
            (false, _) => "unknown".to_owned(),
        };
        let size = if one.bytes > 0.0 { bytes(one.bytes as u64) } else { String::new() };
        let count = |count: usize| if count > 0 { count.to_string() } else { String::new() };
        let counts = [one.instances, one.cached, one.run, one.waiting].map(count);
        grid.push([one.stage.clone()].into_iter().chain(counts).chain([expected, size]).collect());
    }
    grid
}

fn axes_grid(axes: &[AxisTotal]) -> Grid {
    let columns =
        [("axis", Align::Left), ("value", Align::Right), ("to run", Align::Right), ("expected", Align::Right)];
    let mut grid = Grid::new(columns);
    for one in axes {
        let expected = if one.seconds > 0.0 { duration(one.seconds) } else { String::new() };
        grid.push(vec![one.axis.clone(), plain(&one.value), one.run.to_string(), expected]);
    }
    grid
}

fn grid(lines: &[Line<'_>]) -> Grid {
    let left = ["name", "instance", "kind", "status", "key", "reason"].map(|header| (header, Align::Left));
    let mut grid = Grid::new(left.into_iter().chain([("seconds", Align::Right)]));
    for line in lines {
        grid.push(vec![
            line.name.to_owned(),
            line.instance.to_owned(),
            line.kind.to_owned(),
            word(line.status).to_owned(),
            line.key.map(|key| key.short()).unwrap_or_default(),
            line.reason.as_ref().map(ToString::to_string).unwrap_or_default(),
            line.seconds.map(|seconds| format!("{seconds:.3}")).unwrap_or_default(),
        ]);
    }
    grid
}
