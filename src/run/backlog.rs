//! The work that is left in a run: its order, whether there is room for it, and how long it may take.

use typed_index_collections::TiVec;

use super::schedule::{Limits, Load, Schedule};
use crate::{
    graph::{Graph, Instance, InstanceId},
    plan::estimate,
    store::{History, Store, StoreError},
};

/// The work that is left. It is created when the first instance must run, since a fully cached run needs none.
pub(super) struct Backlog {
    schedule: Schedule,
    /// Seconds that each instance is expected to take.
    expected: TiVec<InstanceId, Option<f64>>,
    /// Seconds of work that is left, and the number of instances with no recorded duration.
    left: (f64, usize),
}

impl Backlog {
    /// Schedules the instances of a graph, of which those in `open` are left. Work with no recorded duration counts as
    /// short.
    ///
    /// # Errors
    /// If the cache cannot be read.
    pub(super) fn new(
        graph: &Graph<'_>,
        store: &Store,
        history: &History,
        limits: Limits,
        threads: usize,
        open: impl Iterator<Item = InstanceId>,
    ) -> Result<Self, StoreError> {
        let load = |instance: &Instance<'_>| {
            let needs = instance.needs;
            let has_gpus = instance.work.takes_files() || !limits.gpus_are_for_programs;
            let gpus = if has_gpus { needs.gpus } else { 0 };
            Load { threads: needs.threads.unwrap_or(threads), memory: needs.memory, gpus }
        };
        let loads: TiVec<_, Load> = graph.instances.iter().map(load).collect();
        let prices = estimate::expected(graph, &estimate::last(graph, store, history)?);
        let expected: TiVec<_, Option<f64>> =
            prices.into_iter().map(|price| price.map(|price| price.seconds)).collect();
        let seconds: TiVec<_, f64> = expected.iter().map(|seconds| seconds.unwrap_or_default()).collect();
        let links = |instance: &Instance<'_>| instance.inputs.iter().map(|link| link.from).collect();
        let links: TiVec<_, Vec<InstanceId>> = graph.instances.iter().map(links).collect();
        let mut left = (0.0, 0);
        for index in open {
            match expected[index] {
                Some(expected) => left.0 += expected,
                None => left.1 += 1,
            }
        }
        Ok(Self { schedule: Schedule::new(limits, &loads, &seconds, &links), expected, left })
    }

    /// Returns the schedule: the order in which instances should start, and what is running.
    pub(super) fn schedule(&mut self) -> &mut Schedule {
        &mut self.schedule
    }

    /// Returns the expected seconds of the work that is left, and the number of instances with no recorded duration.
    pub(super) fn left(&self) -> (f64, usize) {
        self.left
    }

    /// Removes a finished instance from the work that is left.
    pub(super) fn done(&mut self, index: InstanceId) {
        match self.expected[index] {
            Some(expected) => self.left.0 = (self.left.0 - expected).max(0.0),
            None => self.left.1 = self.left.1.saturating_sub(1),
        }
    }
}
