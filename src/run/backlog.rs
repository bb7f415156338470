//! The work that is left in a run: its order, whether there is room for it, and how long it may take.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};

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
    /// The instances that are left, by the length of the chain that begins with each: the bits of its seconds, which
    /// have the order of the numbers.
    chains: BTreeSet<(u64, InstanceId)>,
    /// When each running instance started.
    started: BTreeMap<InstanceId, Instant>,
}

/// The work that is left.
pub(super) struct Left {
    /// Expected seconds of all instances, summed.
    pub seconds: f64,
    /// The number of instances with no recorded duration.
    pub unknown: usize,
    /// Expected seconds of the longest chain of instances that depend on each other.
    pub chain: f64,
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
        let schedule = Schedule::new(limits, &loads, &seconds, &links);
        let (mut left, mut chains) = ((0.0, 0), BTreeSet::new());
        for index in open {
            chains.insert((schedule.urgency(index).to_bits(), index));
            match expected[index] {
                Some(expected) => left.0 += expected,
                None => left.1 += 1,
            }
        }
        Ok(Self { schedule, expected, left, chains, started: BTreeMap::new() })
    }

    /// Returns the schedule: the order in which instances should start, and what is running.
    pub(super) fn schedule(&mut self) -> &mut Schedule {
        &mut self.schedule
    }

    /// Takes the resources of an instance that starts.
    pub(super) fn start(&mut self, index: InstanceId) {
        self.schedule.start(index);
        self.started.insert(index, Instant::now());
    }

    /// Frees the resources of an instance that ended.
    pub(super) fn end(&mut self, index: InstanceId) {
        self.schedule.end(index);
        self.started.remove(&index);
    }

    /// Returns the work that is left.
    pub(super) fn left(&self) -> Left {
        let (seconds, unknown) = self.left;
        let rest = self.chains.iter().rev().find(|(_, index)| !self.started.contains_key(index));
        let rest = rest.map_or(0.0, |(bits, _)| f64::from_bits(*bits));
        let running = self.started.iter().map(|(&index, start)| {
            let own = self.expected[index].unwrap_or_default();
            self.schedule.urgency(index) - start.elapsed().as_secs_f64().min(own)
        });
        Left { seconds, unknown, chain: running.fold(rest, f64::max) }
    }

    /// Removes a finished instance from the work that is left.
    pub(super) fn done(&mut self, index: InstanceId) {
        self.chains.remove(&(self.schedule.urgency(index).to_bits(), index));
        match self.expected[index] {
            Some(expected) => self.left.0 = (self.left.0 - expected).max(0.0),
            None => self.left.1 = self.left.1.saturating_sub(1),
        }
    }
}
