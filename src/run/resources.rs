//! The schedule of a run: what its instances take, and what the machine has.

use super::{
    Options,
    schedule::{Limits, Load, Schedule},
};
use crate::{
    graph::{Graph, Instance},
    plan::estimate,
    store::{History, Store, StoreError},
};

/// The schedule of a run, and what each instance is expected to take. What never ran is taken to be short.
pub(super) fn schedule(
    graph: &Graph<'_>,
    store: &Store,
    options: &Options,
    history: &History,
) -> Result<(Schedule, Vec<Option<f64>>), StoreError> {
    let Options { jobs, threads, memory, ref device, .. } = *options;
    let load = Load { threads: jobs * threads, memory, gpus: usize::from(!device.is_cpu()) };
    let loads: Vec<Load> = graph
        .instances
        .iter()
        .map(|instance| {
            let needs = instance.needs;
            Load { threads: needs.threads.unwrap_or(threads), memory: needs.memory, gpus: needs.gpus }
        })
        .collect();
    let prices = estimate::expected(graph, &estimate::last(graph, store, history)?);
    let expected: Vec<Option<f64>> = prices.into_iter().map(|price| price.map(|price| price.seconds)).collect();
    let seconds: Vec<f64> = expected.iter().map(|seconds| seconds.unwrap_or_default()).collect();
    let links = |instance: &Instance<'_>| instance.inputs.iter().map(|link| link.from).collect();
    let links: Vec<Vec<usize>> = graph.instances.iter().map(links).collect();
    Ok((Schedule::new(Limits { jobs, load }, &loads, &seconds, &links), expected))
}
