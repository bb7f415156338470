//! A run in several passes. Each pass finds the results of earlier passes in the cache.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    drive::{Remark, Step, drive},
    error::SearchError,
    until_ci::{Precision, Verdict},
};
use crate::{
    digest::StageKey,
    graph::{Graph, InstanceId, Selection},
    plan::Reason,
    run::{self, Counts, Event, Options, Reporter, Status, Summary},
    store::{Store, StoreError},
};

/// The passes of one run. Events that an earlier pass reported are suppressed; its outcomes are merged into the final
/// summary.
pub struct Passes {
    options: Options,
    /// The instances that an earlier pass finished and reported.
    told: BTreeSet<String>,
    /// The work that an earlier pass did, with its status and reason.
    done: BTreeMap<StageKey, (Status, Option<Reason>)>,
    seconds: f64,
    /// Whether a search ended without an answer.
    in_vain: bool,
}

impl Passes {
    /// Prepares a run.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options, told: BTreeSet::new(), done: BTreeMap::new(), seconds: 0.0, in_vain: false }
    }

    /// Runs the wanted instances of a graph, rung by rung if its sweep has a halving search.
    ///
    /// # Errors
    /// If the cache cannot be read or written, or no result has the score.
    pub fn run(
        &mut self,
        graph: &Graph<'_>,
        wanted: &Selection,
        store: &Store,
        reporter: &mut dyn Reporter,
    ) -> Result<Summary, SearchError> {
        let mut running = Running { passes: self, graph, store, reporter };
        let (summary, in_vain) = drive(graph, wanted, &mut running)?;
        self.in_vain |= in_vain;
        Ok(summary)
    }

    /// Runs the wanted instances of a graph and nothing else, whatever search its sweep has.
    ///
    /// # Errors
    /// If the cache cannot be read or written.
    pub fn run_once(
        &mut self,
        graph: &Graph<'_>,
        wanted: &Selection,
        store: &Store,
        reporter: &mut dyn Reporter,
    ) -> Result<Summary, SearchError> {
        Ok(self.pass(graph, wanted, store, reporter)?)
    }

    /// Judges the intervals of a run. Asks for more seeds only if nothing prevents a further pass.
    ///
    /// # Errors
    /// If no result that is repeated over seeds has the metric.
    pub fn judge(
        &mut self,
        precision: &Precision,
        graph: &Graph<'_>,
        summary: &Summary,
    ) -> Result<Verdict, SearchError> {
        let mut verdict = precision.judge(graph, summary)?;
        self.in_vain |= verdict.in_vain;
        verdict.seeds = verdict.seeds.filter(|_| self.may_go_on(summary));
        Ok(verdict)
    }

    /// Returns whether a search ended without an answer.
    #[must_use]
    pub fn were_in_vain(&self) -> bool {
        self.in_vain
    }

    /// Returns true if nothing prevents a further pass.
    fn may_go_on(&self, summary: &Summary) -> bool {
        !summary.interrupted && (summary.counts.failed == 0 || self.options.keep_going)
    }

    fn pass(
        &mut self,
        graph: &Graph<'_>,
        wanted: &Selection,
        store: &Store,
        reporter: &mut dyn Reporter,
    ) -> Result<Summary, StoreError> {
        let known = wanted.all.iter().filter(|&&index| self.told.contains(&*graph.instances[index].name)).count();
        let mut filter = Untold { told: &self.told, known, inner: reporter };
        let mut summary = run::run(graph, wanted, store, &self.options, &mut filter)?;
        self.told.extend(summary.outcomes.iter().map(|outcome| graph.instances[outcome.index].name.to_string()));
        // Forced targets run once, in the first pass.
        self.options.force = false;
        self.seconds += summary.seconds;
        summary.seconds = self.seconds;
        for outcome in &mut summary.outcomes {
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
        summary.counts = Counts::of(summary.outcomes.iter().map(|outcome| outcome.status));
        let failed = summary.outcomes.iter().filter(|outcome| outcome.status == Status::Failed);
        self.options.failed.extend(failed.filter_map(|outcome| outcome.key.zip(outcome.message.clone())));
        Ok(summary)
    }
}

struct Running<'a, 't> {
    passes: &'a mut Passes,
    graph: &'a Graph<'t>,
    store: &'a Store,
    reporter: &'a mut dyn Reporter,
}

impl Step for Running<'_, '_> {
    type Output = Summary;
    const TRIES: bool = true;

    fn step(&mut self, selection: &Selection) -> Result<Summary, StoreError> {
        self.passes.pass(self.graph, selection, self.store, self.reporter)
    }

    fn metrics(summary: &Summary, index: InstanceId) -> Option<&BTreeMap<String, f64>> {
        let outcome = summary.outcomes.binary_search_by_key(&index, |outcome| outcome.index).ok()?;
        summary.outcomes[outcome].manifest.as_ref().map(|manifest| &manifest.metrics)
    }

    fn must_end(&self, summary: &Summary) -> bool {
        !self.passes.may_go_on(summary)
    }

    fn say(&mut self, remark: Remark) {
        self.reporter.remark(&remark.to_string());
    }
}

/// A reporter that passes on only what no earlier pass reported.
struct Untold<'a> {
    told: &'a BTreeSet<String>,
    known: usize,
    inner: &'a mut dyn Reporter,
}

impl Reporter for Untold<'_> {
    fn event(&mut self, event: &Event) {
        match event {
            Event::RunStarted { pipeline, stages } => {
                self.inner.event(&Event::RunStarted { pipeline: pipeline.clone(), stages: stages - self.known });
            }
            // Failed work is not tried again, and instances that it blocked stay blocked.
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
