//! A run in several turns: each one stands on the results of those before, which it finds in the cache.

use std::collections::{BTreeMap, BTreeSet};

use super::{Console, Failure, precision::Precision, results::plain};
use crate::{
    digest::StageKey,
    engine::{self, Counts, Event, Graph, Ladder, Options, Reason, Report, Reporter, Selection, Status},
    store::Store,
};

/// The turns of one run. What an earlier turn did is not told again, and not forgotten.
pub struct Turns<'a> {
    options: Options,
    reporters: Vec<Box<dyn Reporter>>,
    console: &'a Console,
    /// The instances that an earlier turn was done with.
    told: BTreeSet<String>,
    /// The work that an earlier turn did.
    done: BTreeMap<StageKey, (Status, Option<Reason>)>,
    seconds: f64,
}

impl<'a> Turns<'a> {
    /// A run that has not begun.
    pub fn new(options: Options, reporters: Vec<Box<dyn Reporter>>, console: &'a Console) -> Self {
        Self { options, reporters, console, told: BTreeSet::new(), done: BTreeMap::new(), seconds: 0.0 }
    }

    /// Runs what is wanted of a graph, rung by rung where its sweep is halved.
    pub fn run(&mut self, graph: &Graph<'_>, wanted: &Selection, store: &Store) -> Result<Report, Failure> {
        let Some(halving) = &graph.pipeline.halving else { return self.turn(graph, wanted, store) };
        let mut ladder = Ladder::new(graph, halving).map_err(Failure::Usage)?;
        ladder.note().iter().for_each(|note| self.say(note));
        loop {
            self.say(&rung(&ladder, &halving.over));
            let report = self.turn(graph, &ladder.select(wanted), store)?;
            if !self.is_fine(&report) {
                return Ok(report);
            }
            let made: BTreeMap<usize, &BTreeMap<String, f64>> = metrics(&report).collect();
            if !ladder.climb(|index| made.get(&index).copied()).map_err(Failure::Usage)? {
                for point in ladder.alive() {
                    let point = point.iter().map(|(key, value)| format!("{key}={}", plain(value)));
                    self.say(&format!("found {}", point.collect::<Vec<_>>().join(" ")));
                }
                return Ok(report);
            }
        }
    }

    /// Nothing more is told: what was drawn is cleared away.
    pub fn end(&mut self) {
        self.reporters.clear();
    }

    /// The number of seeds to go on with, if intervals are wanted that are narrower than those of a report.
    pub fn more_seeds(
        &self,
        precision: &Precision,
        graph: &Graph<'_>,
        report: &Report,
    ) -> Result<Option<usize>, Failure> {
        let (seeds, words) = precision.judge(graph, report)?;
        self.say(&words);
        Ok(seeds.filter(|_| self.is_fine(report)))
    }

    /// True if nothing stands in the way of a further turn.
    fn is_fine(&self, report: &Report) -> bool {
        !report.interrupted && (report.counts.failed == 0 || self.options.keep_going)
    }

    fn say(&self, words: &str) {
        if !self.console.quiet {
            self.console.note(words);
        }
    }

    fn turn(&mut self, graph: &Graph<'_>, wanted: &Selection, store: &Store) -> Result<Report, Failure> {
        let known = wanted.all.iter().filter(|&&index| self.told.contains(&graph.instances[index].name)).count();
        let mut filter = Untold { told: &mut self.told, known, inner: &mut self.reporters };
        let mut report = engine::run(graph, wanted, store, &self.options, &mut filter)?;
        self.told.extend(report.outcomes.iter().map(|outcome| graph.instances[outcome.index].name.clone()));
        // What was forced has run.
        self.options.force = false;
        self.seconds += report.seconds;
        report.seconds = self.seconds;
        for outcome in &mut report.outcomes {
            let Some(key) = outcome.key else { continue };
            match outcome.status {
                Status::Ran | Status::Resumed => {
                    self.done.insert(key, (outcome.status, outcome.reason.clone()));
                }
                Status::Cached if graph.instances[outcome.index].same_as.is_none() => {
                    if let Some((status, reason)) = self.done.get(&key) {
                        (outcome.status, outcome.reason) = (*status, reason.clone());
                    }
                }
                _ => {}
            }
        }
        report.counts = Counts::of(&report.outcomes);
        Ok(report)
    }
}

/// The instances of a report that have metrics.
fn metrics(report: &Report) -> impl Iterator<Item = (usize, &BTreeMap<String, f64>)> {
    report.outcomes.iter().filter_map(|outcome| Some((outcome.index, &outcome.manifest.as_ref()?.metrics)))
}

/// `rung 2 of 3: 4 points at simclr.epochs=5`.
pub fn rung(ladder: &Ladder<'_, '_>, over: &str) -> String {
    let ((at, value), points) = (ladder.rung(), ladder.alive().count());
    let noun = if points == 1 { "point" } else { "points" };
    format!("rung {} of {}: {points} {noun} at {over}={value}", at + 1, ladder.sizes().len())
}

/// Passes on what is new.
struct Untold<'a> {
    told: &'a mut BTreeSet<String>,
    known: usize,
    inner: &'a mut dyn Reporter,
}

impl Reporter for Untold<'_> {
    fn event(&mut self, event: &Event) {
        match event {
            Event::RunStarted { pipeline, stages } => {
                self.inner.event(&Event::RunStarted { pipeline: pipeline.clone(), stages: stages - self.known });
            }
            Event::StageFinished { instance, status: Status::Cached, .. } if self.told.contains(instance) => {}
            event => self.inner.event(event),
        }
    }
}
