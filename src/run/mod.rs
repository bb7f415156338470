//! Doing what a plan says: the run loop, its workers, and what it tells.
//!
//! The states of an instance during a run:
//!
//! ```text
//!             inputs known, decide()
//!   Pending ───────────────────────────► Finished(Cached)      its results are in the cache
//!      │  │
//!      │  └────────────► Running ──────► Finished(Ran)         committed: objects, then the manifest
//!      │    decide()        │  │
//!      │                    │  └───────► Finished(Failed)      after its retries
//!      │                    ▼
//!      │                 Pending          an input was damaged: its maker runs first, then this again
//!      ▼
//!   Finished(Blocked)                     something that it needs failed, or the run was stopped
//! ```
//!
//! Reading order: this file, `dispatcher` (one thread owns all state; `begin` and `end` are parts of it, `rebuild` makes
//! evicted inputs again), `executor` and `worker` (threads that run one instance each), `schedule` and `resources` (what starts
//! next), [`event`] (what a run tells), `recompute` (finished work, run again to compare).

mod begin;
mod dispatcher;
mod end;
pub mod event;
mod executor;
mod rebuild;
mod recompute;
mod resources;
pub mod schedule;
mod worker;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::AtomicBool, mpsc},
    thread,
    time::{Duration, Instant},
};

use candle_core::Device;
use serde::Serialize;

use self::dispatcher::Coordinator;
pub use self::{
    event::{Event, Reporter, Status},
    recompute::{Recomputed, recompute, trajectory},
};
use crate::{
    digest::StageKey,
    graph::{Graph, Selection},
    plan::Reason,
    store::{Manifest, Store, StoreError},
};

/// How to run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Instances that may run at one time, at least 1.
    pub jobs: usize,
    /// Threads of each of them, at least 1, unless a stage needs another number.
    pub threads: usize,
    /// Bytes of memory for all of them together, by what the stages say that they need.
    pub memory: u64,
    /// Where tensors are computed.
    pub device: Device,
    /// Run the targets whatever the cache holds.
    pub force: bool,
    /// After a failure, go on with what does not depend on it.
    pub keep_going: bool,
    /// Time between two saved states of a stage that saves its state.
    pub save_every: Duration,
    /// When to stop as if asked to.
    pub until: Option<Instant>,
    /// Work that failed in an earlier turn of the same run, with the message. It is not tried again.
    pub failed: BTreeMap<StageKey, String>,
    /// Set from outside to stop at the next good moment.
    pub cancel: Arc<AtomicBool>,
}

/// Instances by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Found in the cache.
    pub cached: usize,
    /// Ran to the end.
    pub ran: usize,
    /// Went on from a checkpoint to the end.
    pub resumed: usize,
    /// Failed.
    pub failed: usize,
    /// Not reached, since something above failed or the run was stopped.
    pub blocked: usize,
}

impl Counts {
    /// The counts of some instances.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut counts = Self::default();
        for outcome in outcomes {
            *match outcome.status {
                Status::Cached => &mut counts.cached,
                Status::Ran => &mut counts.ran,
                Status::Resumed => &mut counts.resumed,
                Status::Failed => &mut counts.failed,
                Status::Blocked => &mut counts.blocked,
            } += 1;
        }
        counts
    }
}

/// What became of one instance.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The instance, an index into the graph.
    pub index: usize,
    /// What became of it.
    pub status: Status,
    /// Its key, where it was known.
    pub key: Option<StageKey>,
    /// The first reason that it ran.
    pub reason: Option<Reason>,
    /// Its record, if it has results.
    pub manifest: Option<Box<Manifest>>,
    /// Why it failed, or what blocked it.
    pub message: Option<String>,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// One for each selected instance, in the order of the graph.
    pub outcomes: Vec<Outcome>,
    /// Instances by status.
    pub counts: Counts,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// True if it was stopped from outside before its end.
    pub interrupted: bool,
}

impl Report {
    /// The instances that have no results because they failed, or something that they need did.
    #[must_use]
    pub fn lost(&self, graph: &Graph<'_>) -> BTreeSet<usize> {
        let mut lost = BTreeSet::new();
        for outcome in &self.outcomes {
            let mut above = graph.instances[outcome.index].above();
            let is_lost = match outcome.status {
                Status::Failed => true,
                Status::Blocked => above.any(|above| lost.contains(&above)),
                _ => false,
            };
            if is_lost {
                lost.insert(outcome.index);
            }
        }
        lost
    }
}

/// Runs the selected instances, as far as the cache does not hold their results.
///
/// # Errors
/// If the cache cannot be read or written. A stage that fails is no error of the run: its outcome says so.
pub fn run(
    graph: &Graph<'_>,
    selection: &Selection,
    store: &Store,
    options: &Options,
    reporter: &mut dyn Reporter,
) -> Result<Report, StoreError> {
    let start = Instant::now();
    let mut history = store.history(&graph.pipeline.file);
    reporter.event(&Event::RunStarted { pipeline: graph.pipeline.name.clone(), stages: selection.all.len() });
    let (sender, receiver) = mpsc::channel();
    let mut coordinator = Coordinator::new(graph, selection, store, options, &mut *reporter);
    let result = thread::scope(|scope| coordinator.drive(scope, &sender, &receiver, &history));
    let outcomes = coordinator.outcomes();
    let interrupted = coordinator.interrupted;
    for outcome in outcomes.iter().filter(|outcome| outcome.manifest.is_some()) {
        if let Some(key) = outcome.key {
            history.note(&graph.instances[outcome.index].name, key);
        }
    }
    // Only explanations need the history, so a cache that cannot be written does not fail a run that wrote nothing.
    let _ = store.save(&history);
    result?;
    let counts = Counts::of(&outcomes);
    let seconds = start.elapsed().as_secs_f64();
    reporter.event(&Event::RunFinished { counts, seconds });
    Ok(Report { outcomes, counts, seconds, interrupted })
}
