//! Runs what a plan says must run.
//!
//! Reading order: `options` and `summary`, the input and the output of a run; `state`, the states of an instance;
//! `dispatcher`, the loop that owns all states, with `finish` for the updates of jobs; `backlog`, `schedule` and
//! `devices`, which decide what starts next and where; `executor`, the interface to whatever runs the work, `local`,
//! which runs it on threads, `worker`, one job, and `origin`, where it is done; [`event`], what a run reports, and `line`,
//! how that is written; `recompute`, which runs finished
//! work again to compare the bytes.

mod backlog;
mod devices;
mod dispatcher;
pub mod event;
pub mod executor;
mod finish;
mod line;
mod local;
mod options;
mod origin;
mod recompute;
pub mod schedule;
pub mod signals;
mod state;
mod status;
mod summary;
mod worker;

use std::time::Instant;

use self::{
    dispatcher::{Dispatcher, Given},
    executor::Executor,
};
pub use self::{
    event::{Event, Reporter},
    line::line,
    local::LocalThreads,
    options::Options,
    recompute::{Recomputed, recompute, trajectory},
    status::{Counts, Status},
    summary::{Outcome, Summary},
};
use crate::{
    graph::{Graph, Selection},
    store::{Store, StoreError},
};

/// Runs the selected instances whose results are not in the cache, on threads of this process.
///
/// # Errors
/// If the cache cannot be read or written. A stage that fails is not an error of the run: its outcome has the failure.
pub fn run(
    graph: &Graph<'_>,
    selection: &Selection,
    store: &Store,
    options: &Options,
    reporter: &mut dyn Reporter,
) -> Result<Summary, StoreError> {
    let mut threads = LocalThreads::new(store, graph.kinds(), options);
    run_on(&mut threads, graph, selection, store, options, reporter)
}

/// Runs the selected instances on any executor, like [`run`].
///
/// # Errors
/// The same as for [`run`].
pub fn run_on(
    executor: &mut dyn Executor,
    graph: &Graph<'_>,
    selection: &Selection,
    store: &Store,
    options: &Options,
    reporter: &mut dyn Reporter,
) -> Result<Summary, StoreError> {
    let start = Instant::now();
    let mut history = store.history(&graph.pipeline.file);
    reporter.event(&Event::RunStarted { pipeline: graph.pipeline.name.clone(), stages: selection.all.len() });
    let given = Given { graph, selection, store, options, history: &history };
    let mut dispatcher = Dispatcher::new(given, executor, &mut *reporter);
    let result = dispatcher.run();
    let interrupted = dispatcher.interrupted;
    let outcomes = dispatcher.states.into_outcomes();
    for outcome in outcomes.iter().filter(|outcome| outcome.manifest.is_some()) {
        if let Some(key) = outcome.key {
            history.note(&graph.instances[outcome.index].name, key);
        }
    }
    // Only explanations need the history, so a run that wrote nothing does not fail if the cache is read-only.
    let _ = store.save(&history);
    result?;
    let counts = Counts::of(outcomes.iter().map(|outcome| outcome.status));
    let seconds = start.elapsed().as_secs_f64();
    reporter.event(&Event::RunFinished { counts, seconds });
    Ok(Summary { outcomes, counts, seconds, interrupted })
}
