//! `strata plan`: what would run, why, and its price.

use std::process::ExitCode;

use serde::Serialize;

use super::{
    Console, Failure,
    args::{CacheArgs, Format, PipelineArgs, SelectArgs},
    failure, open,
};
use crate::{
    digest::StageKey,
    engine::{self, Graph, Plan, Reason, plan::PlanStatus},
    report::{Align, Grid, duration},
    stage::Registry,
    store::Position,
};

/// Show what would run, why, and how long it took last time; write nothing
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    cache: CacheArgs,
    /// The form of the plan
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// Exit with 3 if there is work to do
    #[arg(long)]
    exit_code: bool,
}

impl Args {
    /// Prints the plan.
    pub fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let texts = open::texts(&self.pipeline)?;
        let graph = texts.graph(registry, console)?;
        open::Texts::notes(&graph, console);
        let store = self.cache.open(&graph.pipeline.root);
        let plan = engine::plan(&graph, &self.select.select(&graph)?, &store, self.select.force)?;
        show(&graph, &plan, self.output, console)?;
        let work = plan.counts()["cached"] < plan.stages.len();
        Ok(if self.exit_code && work { ExitCode::from(failure::WORK) } else { ExitCode::SUCCESS })
    }
}

#[derive(Serialize)]
struct Document<'a> {
    pipeline: &'a str,
    stages: Vec<Line<'a>>,
    counts: std::collections::BTreeMap<&'static str, usize>,
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
    /// The saved state that it would go on from.
    resumes: Option<Position>,
    /// Whether more epochs would go on from its end; null for what has no epochs.
    extends: Option<bool>,
}

fn word(status: PlanStatus) -> &'static str {
    match status {
        PlanStatus::Cached => "cached",
        PlanStatus::Run => "run",
        PlanStatus::Waiting => "waiting",
    }
}

/// Prints a plan.
pub fn show(graph: &Graph<'_>, plan: &Plan, format: Format, console: &Console) -> Result<(), Failure> {
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
                seconds: planned.seconds,
                resumes: planned.resumes,
                extends: instance.work.extent().map(|extent| extent.extends()),
            }
        })
        .collect();
    match format {
        Format::Json => {
            console.json(&Document { pipeline: &graph.pipeline.name, stages: lines, counts: plan.counts() })
        }
        Format::Text => console.print(&text(&lines, plan, console)),
        Format::Csv => console.print(&grid(&lines).csv()),
        Format::Markdown => console.print(&grid(&lines).markdown()),
    }
}

fn text(lines: &[Line<'_>], plan: &Plan, console: &Console) -> String {
    let lines_of = console.lines();
    let styles = lines_of.styles;
    let mut text = String::new();
    for line in lines {
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
            Some(Position { epoch, .. }) => reason.push_str(&format!("; goes on after epoch {epoch}")),
            None if line.extends == Some(false) && reason.starts_with("epochs: ") => {
                reason.push_str("; starts anew, as its schedule spans all epochs");
            }
            None => {}
        }
        text.push_str(&format!("{}\n", lines_of.remarked(&word, line.instance, &reason, &time)));
    }
    text.push_str(&format!("{}\n", price(plan)));
    text
}

/// `3 cached, 2 run, 4 waiting; these took 1 min 20 s last time`.
fn price(plan: &Plan) -> String {
    let counts = plan.counts();
    let mut text = format!("{} cached, {} run, {} waiting", counts["cached"], counts["run"], counts["waiting"]);
    let open: Vec<_> = plan.stages.iter().filter(|stage| stage.status() != PlanStatus::Cached).collect();
    let known: Vec<f64> = open.iter().filter_map(|stage| stage.seconds).collect();
    if !known.is_empty() {
        let whose = if known.len() == open.len() { "these".to_owned() } else { format!("{} of these", known.len()) };
        text.push_str(&format!("; {whose} took {} last time", duration(known.iter().sum())));
    }
    text
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
