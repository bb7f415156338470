//! `strata watch`: at each save of the file, what is cheap runs, and the rest is priced.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::ExitCode,
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use notify::{RecursiveMode, Watcher};

use super::{
    Console, Failure,
    args::Format,
    args::{CacheArgs, PipelineArgs, WorkArgs, time},
    open,
    plan::plan,
    results::Results,
    run::{options, reporters},
    table,
};
use crate::{
    engine::{self, Graph, Plan, Selection, plan::PlanStatus},
    report::{Align, Grid, duration},
    stage::Registry,
};

/// Editors write a file in several steps; this long nothing must have happened.
const SETTLED: Duration = Duration::from_millis(150);
/// How often to look whether somebody wants to stop.
const TICK: Duration = Duration::from_millis(250);

/// Run what is cheap at each save of the file, and show what the rest would take
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// The longest that a stage, with everything above it that must run, may be expected to take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = time)]
    cheap: Duration,
    #[command(flatten)]
    work: WorkArgs,
    #[command(flatten)]
    cache: CacheArgs,
}

impl Args {
    /// Runs until it is interrupted.
    pub fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let file = std::path::absolute(&self.pipeline.file).unwrap_or_else(|_| self.pipeline.file.clone());
        let refused = |error: notify::Error| Failure::Failed(format!("failed to watch {}: {error}", file.display()));
        let (sender, changes) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(sender).map_err(refused)?;
        // Editors put a new file in the old one's place, so it is the folder that is watched.
        watcher.watch(file.parent().unwrap_or(Path::new(".")), RecursiveMode::NonRecursive).map_err(refused)?;
        let options = options(&self.work, false)?;
        loop {
            // A mistake in the file is shown, and the next save may mend it.
            if let Err(failure) = self.turn(registry, &options, console) {
                let _ = failure.report(console);
            }
            if options.cancel.load(std::sync::atomic::Ordering::Relaxed) {
                return Ok(ExitCode::SUCCESS);
            }
            if !console.quiet {
                console.note(&format!("watching {}; Ctrl-C ends", self.pipeline.file.display()));
            }
            let mut changed = false;
            loop {
                if options.cancel.load(std::sync::atomic::Ordering::Relaxed) {
                    return Ok(ExitCode::SUCCESS);
                }
                match changes.recv_timeout(if changed { SETTLED } else { TICK }) {
                    Ok(Ok(event)) => {
                        let is_read = event.kind.is_access();
                        changed |= !is_read && event.paths.iter().any(|path| path.file_name() == file.file_name());
                    }
                    Ok(Err(error)) => return Err(refused(error)),
                    Err(RecvTimeoutError::Timeout) if changed => break,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return Ok(ExitCode::SUCCESS),
                }
            }
        }
    }

    fn turn(&self, registry: &Registry, options: &engine::Options, console: &Console) -> Result<(), Failure> {
        let texts = open::texts(&self.pipeline)?;
        let graph = texts.graph(registry, console)?;
        let store = self.cache.open(&graph.pipeline.root);
        let all = graph.select(&[]).map_err(Failure::Usage)?;
        let planned = plan(&graph, &all, &store, false, &|words| console.remark(words))?;
        let cheap = cheap(&graph, &planned, self.cheap.as_secs_f64());
        let mut reporters = reporters(console, self.work.jobs);
        let report = engine::run(&graph, &cheap, &store, options, &mut reporters)?;
        drop(reporters);
        let made = report.outcomes.iter().filter_map(|outcome| Some((outcome.index, outcome.manifest.as_deref()?)));
        table::show(&Results::new(&graph, made), Format::Text, console)?;
        let rest = plan(&graph, &all, &store, false, &|_| {})?;
        let grid = waiting(&graph, &rest);
        if !grid.is_empty() {
            console.print(&grid.text(&console.results))?;
        }
        Ok(())
    }
}

/// What is expected to take no longer than `limit` with all that it needs, and what is cached.
fn cheap(graph: &Graph<'_>, plan: &Plan, limit: f64) -> Selection {
    // What never ran has no price; nothing of it is known to be cheap.
    let price = |planned: &engine::Planned| match planned.status() {
        PlanStatus::Cached => 0.0,
        _ => planned.price.map_or(f64::INFINITY, |price| price.seconds),
    };
    let prices: BTreeMap<usize, f64> = plan.stages.iter().map(|planned| (planned.index, price(planned))).collect();
    let mut chosen = BTreeSet::new();
    for &index in prices.keys() {
        let needs = graph.with_needs(BTreeSet::from([index]));
        if needs.all.iter().map(|need| prices.get(need).copied().unwrap_or(f64::INFINITY)).sum::<f64>() <= limit {
            chosen.insert(index);
        }
    }
    graph.with_needs(chosen)
}

/// What was left, stage by stage, with its price.
fn waiting(graph: &Graph<'_>, plan: &Plan) -> Grid {
    let mut stages: Vec<(&str, usize, f64, usize)> = Vec::new();
    for planned in plan.stages.iter().filter(|planned| planned.status() != PlanStatus::Cached) {
        let stage = graph.instances[planned.index].stage.as_str();
        let at = stages.iter().position(|known| known.0 == stage).unwrap_or_else(|| {
            stages.push((stage, 0, 0.0, 0));
            stages.len() - 1
        });
        stages[at].1 += 1;
        match planned.price {
            Some(price) => stages[at].2 += price.seconds,
            None => stages[at].3 += 1,
        }
    }
    let columns = [("left to `strata run`", Align::Left), ("instances", Align::Right), ("expected", Align::Right)];
    let mut grid = Grid::new(columns);
    for (stage, count, seconds, unknown) in stages {
        let expected = if unknown == count { "not known before it ran once".to_owned() } else { duration(seconds) };
        grid.push(vec![stage.to_owned(), count.to_string(), expected]);
    }
    grid
}
