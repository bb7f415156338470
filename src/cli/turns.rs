//! A run in several turns: each one stands on the results of those before, which it finds in the cache.

use std::collections::{BTreeMap, BTreeSet};

use super::{Console, Failure, precision::Precision, results::plain};
use crate::{
    digest::StageKey,
    graph::{Graph, Selection},
    plan::Reason,
    run::{self, Counts, Event, Options, Outcome, Reporter, Status, Summary},
    search::{Climb, Ladder, Point},
    store::Store,
};

/// The most points that a message names.
const MOST_NAMED: usize = 5;

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
    /// Whether a search ended without an answer.
    pub in_vain: bool,
}

impl<'a> Turns<'a> {
    /// A run that has not begun.
    pub fn new(options: Options, reporters: Vec<Box<dyn Reporter>>, console: &'a Console) -> Self {
        Self { options, reporters, console, told: BTreeSet::new(), done: BTreeMap::new(), seconds: 0.0, in_vain: false }
    }

    /// Runs what is wanted of a graph, rung by rung where its sweep is halved.
    pub fn run(&mut self, graph: &Graph<'_>, wanted: &Selection, store: &Store) -> Result<Summary, Failure> {
        let ladder = graph.pipeline.halving.as_ref().map(|halving| (halving, Ladder::new(graph, halving)));
        let Some((halving, mut ladder)) = ladder.filter(|(_, ladder)| ladder.concerns(wanted)) else {
            return self.turn(graph, wanted, store);
        };
        ladder.note().iter().for_each(|note| self.say(note));
        loop {
            self.say(&rung(&ladder, &halving.over));
            let report = self.turn(graph, &ladder.select(wanted), store)?;
            if !self.is_fine(&report) || !ladder.goes_on(wanted) {
                return Ok(report);
            }
            let made: BTreeMap<usize, &BTreeMap<String, f64>> = metrics(&report).collect();
            let of = |index| made.get(&index).copied();
            let lost = ladder.without_score(of).map_err(Failure::Usage)?;
            if !lost.is_empty() {
                self.say(&format!("{}: {}", place(&ladder), without_score(&lost, "counts", "count")));
            }
            match ladder.climb(of).map_err(Failure::Usage)? {
                Climb::Up => {}
                Climb::Top(point) => {
                    self.say(&found(&point));
                    return Ok(report);
                }
                Climb::Nothing => {
                    self.in_vain = true;
                    self.say(&format!("{}: the search ends, as no point has a score", place(&ladder)));
                    return Ok(report);
                }
            }
        }
    }

    /// Nothing more is told: what was drawn is cleared away. Says how to get past a failure that stopped the run, or the
    /// search that it is a part of.
    pub fn end(&mut self, graph: &Graph<'_>, report: &Summary, searches: bool) {
        self.reporters.clear();
        if report.interrupted || report.counts.failed == 0 || self.options.keep_going {
            return;
        }
        let lost = report.lost(graph);
        let left = |outcome: &Outcome| outcome.status == Status::Blocked && !lost.contains(&outcome.index);
        if searches {
            self.say(
                "the search stopped at a failure; with `-k` it goes on, and a point that fails counts as the worst",
            );
        } else if report.outcomes.iter().any(left) {
            self.say("the run stopped at a failure; with `-k` it goes on with what does not depend on what failed");
        }
    }

    /// The number of seeds to go on with, if intervals are wanted that are narrower than those of a report.
    pub fn more_seeds(
        &mut self,
        precision: &Precision,
        graph: &Graph<'_>,
        report: &Summary,
    ) -> Result<Option<usize>, Failure> {
        let verdict = precision.judge(graph, report)?;
        verdict.words.iter().for_each(|words| self.say(words));
        self.in_vain |= verdict.in_vain;
        Ok(verdict.seeds.filter(|_| self.is_fine(report)))
    }

    /// True if nothing stands in the way of a further turn.
    fn is_fine(&self, report: &Summary) -> bool {
        !report.interrupted && (report.counts.failed == 0 || self.options.keep_going)
    }

    fn say(&self, words: &str) {
        if !self.console.quiet {
            self.console.note(words);
        }
    }

    fn turn(&mut self, graph: &Graph<'_>, wanted: &Selection, store: &Store) -> Result<Summary, Failure> {
        let known = wanted.all.iter().filter(|&&index| self.told.contains(&graph.instances[index].name)).count();
        let mut filter = Untold { told: &mut self.told, known, inner: &mut self.reporters };
        let mut report = run::run(graph, wanted, store, &self.options, &mut filter)?;
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
        let failed = report.outcomes.iter().filter(|outcome| outcome.status == Status::Failed);
        self.options.failed.extend(failed.filter_map(|outcome| outcome.key.zip(outcome.message.clone())));
        Ok(report)
    }
}

/// The instances of a report that have metrics.
fn metrics(report: &Summary) -> impl Iterator<Item = (usize, &BTreeMap<String, f64>)> {
    report.outcomes.iter().filter_map(|outcome| Some((outcome.index, &outcome.manifest.as_ref()?.metrics)))
}

/// `rung 2 of 3: 4 points at simclr.epochs=5`.
pub fn rung(ladder: &Ladder<'_, '_>, over: &str) -> String {
    let ((_, value), points) = (ladder.rung(), ladder.alive().count());
    let noun = if points == 1 { "point" } else { "points" };
    format!("{}: {points} {noun} at {over}={value}", place(ladder))
}

/// `rung 2 of 3`.
pub fn place(ladder: &Ladder<'_, '_>) -> String {
    format!("rung {} of {}", ladder.rung().0 + 1, ladder.sizes().len())
}

/// The answer of a search.
pub fn found(point: &Point<'_>) -> String {
    format!("found {}", words(point, " "))
}

/// `2 points have no score and count as the worst (simclr.optimizer.lr=10; simclr.optimizer.lr=100)`, with `verb` for one
/// point and `verbs` for several.
pub fn without_score(points: &[Point<'_>], verb: &str, verbs: &str) -> String {
    let named: Vec<String> = points.iter().take(MOST_NAMED).map(|point| words(point, ",")).collect();
    let more = if points.len() > MOST_NAMED { "; …" } else { "" };
    let (count, named) = (points.len(), named.join("; "));
    let (points, have, verb) = if count == 1 { ("point", "has", verb) } else { ("points", "have", verbs) };
    format!("{count} {points} {have} no score and {verb} as the worst ({named}{more})")
}

/// Each axis of a point with its value.
pub fn words(point: &Point<'_>, between: &str) -> String {
    point.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect::<Vec<_>>().join(between)
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
            // What failed is not tried again, and what was blocked by it still is.
            Event::StageFinished { instance, status: Status::Cached | Status::Failed | Status::Blocked, .. }
                if self.told.contains(instance) => {}
            Event::Warning { instance, .. } if self.told.contains(instance) => {}
            event => self.inner.event(event),
        }
    }

    fn tick(&mut self) {
        self.inner.tick();
    }
}
