//! `strata plan`: show what would run, why, and what it is expected to take.

use std::{collections::BTreeMap, process::ExitCode};

use serde::Serialize;
use serde_json::Value;

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
    plan::{Plan, PlanStatus, Planned, Reason, estimate::Price},
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
        show(&graph, &plan, self.output, console)?;
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
    axes: Vec<AxisPrice>,
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

/// Prints a plan.
pub(super) fn show(graph: &Graph<'_>, plan: &Plan, format: Format, console: &Console) -> Result<(), Failure> {
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
            console.json(&Document { pipeline: &graph.pipeline.name, stages: lines, counts, price, axes })
        }
        Format::Text => console.print(&text(graph, &lines, plan, console)),
        format => console.grid(&grid(&lines), format),
    }
}

fn text(graph: &Graph<'_>, lines: &[Line<'_>], plan: &Plan, console: &Console) -> String {
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
        text.push_str(&format!("{}\n", lines_of.remarked(&word, line.instance, &reason, &time)));
    }
    let total = Total::of(plan);
    text.push_str(&format!("{}\n", total.line(plan)));
    let axes = by_axis(graph, plan);
    if !axes.is_empty() {
        text.push_str(&format!("\n{}", axes_grid(&axes).text(&console.results)));
    }
    text
}

/// The totals of a plan.
#[derive(Serialize)]
struct Total {
    /// The number of instances, and of those that do not repeat the work of an earlier one.
    instances: usize,
    distinct: usize,
    /// The expected seconds and bytes of what must run.
    seconds: f64,
    bytes: f64,
    /// The number of instances that must run but have no earlier run to estimate from.
    unknown: usize,
}

impl Total {
    fn of(plan: &Plan) -> Self {
        let open: Vec<&Planned> = open(plan).collect();
        let sum = |part: fn(Price) -> f64| {
            open.iter().filter_map(|stage| stage.price).map(part).fold(0.0, |sum, one| sum + one)
        };
        Self {
            instances: plan.stages.len(),
            distinct: plan.stages.iter().filter(|stage| stage.same_as.is_none()).count(),
            seconds: sum(|price| price.seconds),
            bytes: sum(|price| price.bytes),
            unknown: open.iter().filter(|stage| stage.price.is_none()).count(),
        }
    }

    /// `3 cached, 2 run, 4 waiting; expected to take 1 min 20 s and 12 MiB, 1 unknown`.
    fn line(&self, plan: &Plan) -> String {
        let counts = plan.counts();
        let mut text = format!("{} cached, {} run, {} waiting", counts["cached"], counts["run"], counts["waiting"]);
        if self.distinct < self.instances {
            text.push_str(&format!("; {} of {} are distinct", self.distinct, self.instances));
        }
        if self.seconds > 0.0 {
            let (time, size) = (duration(self.seconds), bytes(self.bytes as u64));
            text.push_str(&format!("; expected to take {time} and {size}"));
            if self.unknown > 0 {
                text.push_str(&format!(" without {} of which nothing is known", self.unknown));
            }
        } else if self.unknown > 0 {
            text.push_str("; how long is not known before the first run");
        }
        text
    }
}

/// The instances that must run, without those that repeat the work of an earlier one.
fn open(plan: &Plan) -> impl Iterator<Item = &Planned> {
    plan.stages.iter().filter(|stage| stage.status() != PlanStatus::Cached && stage.same_as.is_none())
}

/// What must run for one value of an axis.
#[derive(Serialize)]
struct AxisPrice {
    axis: String,
    value: Value,
    run: usize,
    seconds: f64,
}

/// What must run for each value of each axis, in the order of the graph. An instance counts once for each of its axes.
fn by_axis(graph: &Graph<'_>, plan: &Plan) -> Vec<AxisPrice> {
    let mut found: Vec<AxisPrice> = Vec::new();
    let mut places: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for stage in open(plan) {
        for (axis, value) in graph.instances[stage.index].axes.iter() {
            let at = *places.entry((axis, plain(value))).or_insert(found.len());
            if at == found.len() {
                found.push(AxisPrice { axis: axis.to_owned(), value: value.clone(), run: 0, seconds: 0.0 });
            }
            found[at].run += 1;
            found[at].seconds += stage.price.unwrap_or_default().seconds;
        }
    }
    let order: Vec<&str> = graph.pipeline.axes.iter().map(|axis| axis.key.get_ref().as_str()).collect();
    found.sort_by_key(|one| order.iter().position(|axis| *axis == one.axis));
    found
}

fn axes_grid(axes: &[AxisPrice]) -> Grid {
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
