//! `strata watch`: at each save of the file, run what is cheap and estimate the rest.

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
    args::{CacheArgs, Format, PipelineArgs, WorkArgs, time, typed},
    run::{options, reporters},
    table,
};
use crate::{
    amount::duration,
    experiment::{Listener, Request},
    graph::{Graph, InstanceId, Selection},
    plan::{self, Plan, PlanStatus},
    results::{Align, Grid, Results},
    run::{self, Event, Reporter},
    search,
    stage::Registry,
};

/// A save counts as finished after this time without a change, because editors write a file in several steps.
const SETTLED: Duration = Duration::from_millis(150);
/// How often to check for a save, and for a request to stop.
const TICK: Duration = Duration::from_millis(50);

/// Run what is cheap at each save of the file, and show what the rest would take
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Run a stage only if it is expected to take no longer than this, with everything above it that must run
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
            // Taken before the file is read, so that a save during this turn leads to another turn.
            let seen = Stamp::of(&self.pipeline.file);
            // A mistake in the file is printed; the next save may fix it.
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

    /// Returns when the file has changed since `seen` and its save is finished, or when it is time to stop.
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
        let request = Request { chosen: Some(cheap), arguments: typed("watch"), ..Request::default() };
        let mut watching = Watching { reporters: Some(reporters(console, self.work.jobs)), console };
        experiment.run_with(&request, options.clone(), &mut watching, |ended| {
            table::show(&Results::of(ended.graph, ended.summary), Format::Text, console)
        })??;
        let rest = search::plan(&graph, &all, &store, false, &mut |_| {})?;
        let grid = waiting(&graph, &rest);
        if !grid.is_empty() {
            console.print(&grid.text(&console.results))?;
        }
        Ok(())
    }
}

/// Shows the run of a turn.
struct Watching<'a> {
    reporters: Option<Vec<Box<dyn Reporter>>>,
    console: &'a Console,
}

impl Listener for Watching<'_> {
    fn remark(&mut self, words: &str) {
        self.console.remark(words);
    }

    fn event(&mut self, event: &Event) {
        self.reporters.iter_mut().for_each(|reporters| reporters.event(event));
    }

    fn tick(&mut self) {
        self.reporters.iter_mut().for_each(Reporter::tick);
    }

    fn end(&mut self) {
        self.reporters = None;
    }
}

/// What distinguishes two saves of a file: device, inode, size, and times of change in seconds and nanoseconds.
///
/// It is read through the path each time, so it does not matter how a new file gets there: an edit in place, a replaced
/// file, a changed link or folder on its path, or a file system without notifications.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp([i128; 7]);

impl Stamp {
    /// The stamp of the file that is at this path now, or `None` if there is no file.
    fn of(path: &Path) -> Option<Self> {
        let found = fs::metadata(path).ok()?;
        let whole = [found.dev(), found.ino(), found.len()].map(i128::from);
        let times = [found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()].map(i128::from);
        let mut stamp = [0; 7];
        stamp.iter_mut().zip(whole.into_iter().chain(times)).for_each(|(to, from)| *to = from);
        Some(Self(stamp))
    }
}

/// The instances that are cached, or expected to take no longer than `limit` together with everything that they depend
/// on.
fn cheap(graph: &Graph<'_>, plan: &Plan, limit: f64) -> Selection {
    // An instance without an earlier run to estimate from does not count as cheap.
    let price = |planned: &plan::Planned| match planned.status() {
        PlanStatus::Cached => 0.0,
        _ => planned.price.map_or(f64::INFINITY, |price| price.seconds),
    };
    let prices: BTreeMap<InstanceId, f64> = plan.stages.iter().map(|planned| (planned.index, price(planned))).collect();
    let mut chosen = BTreeSet::new();
    for &index in prices.keys() {
        let needs = graph.with_needs(BTreeSet::from([index]));
        if needs.all.iter().map(|need| prices.get(need).copied().unwrap_or(f64::INFINITY)).sum::<f64>() <= limit {
            chosen.insert(index);
        }
    }
    graph.with_needs(chosen)
}

/// The work that is left, by stage, with its expected time.
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
