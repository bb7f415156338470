//! `strata watch`: at each save of the file, what is cheap runs, and the rest is priced.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    process::ExitCode,
    sync::atomic::Ordering,
    thread,
    time::{Duration, Instant},
};

use super::{
    Console, Failure,
    args::{CacheArgs, Format, PipelineArgs, WorkArgs, time},
    run::{options, reporters},
    table,
};
use crate::{
    amount::duration,
    graph::{Graph, Selection},
    plan::{self, Plan, PlanStatus},
    results::{Align, Grid, Results},
    run, search,
    stage::Registry,
};

/// Editors write a file in several steps; this long nothing must have happened.
const SETTLED: Duration = Duration::from_millis(150);
/// How often to look at the file, and whether somebody wants to stop.
const TICK: Duration = Duration::from_millis(50);

/// Run what is cheap at each save of the file, and show what the rest would take
#[derive(clap::Args)]
pub(super) struct Args {
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
    pub(super) fn execute(&self, registry: &Registry, console: &Console) -> Result<ExitCode, Failure> {
        let options = options(&self.work, false)?;
        let stops = || options.cancel.load(Ordering::Relaxed);
        loop {
            // Before it is read: a save during the turn makes another turn.
            let seen = Stamp::of(&self.pipeline.file);
            // A mistake in the file is shown, and the next save may mend it.
            if let Err(failure) = self.turn(registry, &options, console) {
                let _ = failure.report(console);
            }
            if !stops() {
                console.remark(&format!("watching {}; Ctrl-C ends", self.pipeline.file.display()));
            }
            self.wait_for_a_save(seen, stops);
            if stops() {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }

    /// Returns when the file is no longer what was seen and has settled, or when it is time to stop.
    fn wait_for_a_save(&self, seen: Option<Stamp>, stops: impl Fn() -> bool) {
        let (mut last, mut changed) = (seen, None);
        while !stops() && changed.is_none_or(|changed: Instant| changed.elapsed() < SETTLED) {
            thread::sleep(TICK);
            let now = Stamp::of(&self.pipeline.file);
            if now != last {
                (last, changed) = (now, Some(Instant::now()));
            }
        }
    }

    fn turn(&self, registry: &Registry, options: &run::Options, console: &Console) -> Result<(), Failure> {
        let experiment = self.cache.experiment(&self.pipeline, registry)?;
        let graph = experiment.graph()?;
        let store = experiment.store();
        let all = graph.select(&[])?;
        let planned = search::plan(&graph, &all, &store, false, &mut console.remarks())?;
        let cheap = cheap(&graph, &planned, self.cheap.as_secs_f64());
        let mut reporters = reporters(console, self.work.jobs);
        let report = run::run(&graph, &cheap, &store, options, &mut reporters)?;
        drop(reporters);
        table::show(&Results::of(&graph, &report), Format::Text, console)?;
        let rest = search::plan(&graph, &all, &store, false, &mut |_| {})?;
        let grid = waiting(&graph, &rest);
        if !grid.is_empty() {
            console.print(&grid.text(&console.results))?;
        }
        Ok(())
    }
}

/// What tells two saves of a file apart: device, inode, size, and times of change in seconds and nanoseconds.
///
/// It is read through the path each time. So every way to a new file is seen alike: an edit in place, a file put in its
/// place, another link or folder on the way to it, a file system without notifications.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp([i128; 7]);

impl Stamp {
    /// That of the file at this path now; none if there is none.
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let whole = [found.dev(), found.ino(), found.len()].map(i128::from);
        let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()].map(i128::from);
        let mut stamp = [0; 7];
        stamp.iter_mut().zip(whole.into_iter().chain(times)).for_each(|(to, from)| *to = from);
        Some(Self(stamp))
    }
}

/// What is expected to take no longer than `limit` with all that it needs, and what is cached.
fn cheap(graph: &Graph<'_>, plan: &Plan, limit: f64) -> Selection {
    // What never ran has no price; nothing of it is known to be cheap.
    let price = |planned: &plan::Planned| match planned.status() {
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
