//! What a plan comes to: all of it, for each stage, and for each value of each axis.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Plan, PlanStatus, Planned, estimate::Price};
use crate::{graph::Graph, pipeline::plain};

/// The totals of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Total {
    /// The number of instances.
    pub instances: usize,
    /// The number of those that do not repeat the work of an earlier one.
    pub distinct: usize,
    /// The expected seconds of what must run.
    pub seconds: f64,
    /// The expected bytes of what must run.
    pub bytes: f64,
    /// The number of instances that must run but have no earlier run to estimate from.
    pub unknown: usize,
}

/// What a plan comes to for the instances of one stage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StageTotal {
    /// The stage.
    pub stage: String,
    /// Its kind.
    pub kind: &'static str,
    /// The number of its instances.
    pub instances: usize,
    /// The number of instances whose results are in the cache, or will be because an earlier one does the same work.
    pub cached: usize,
    /// The number of instances that will run.
    pub run: usize,
    /// The number of instances that wait for others.
    pub waiting: usize,
    /// The expected seconds of what must run.
    pub seconds: f64,
    /// The expected bytes of what must run.
    pub bytes: f64,
    /// The number of instances that must run but have no earlier run to estimate from.
    pub unknown: usize,
}

/// What must run for one value of an axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AxisTotal {
    /// The axis.
    pub axis: String,
    /// Its value.
    pub value: Value,
    /// The number of instances that must run.
    pub run: usize,
    /// Their expected seconds.
    pub seconds: f64,
}

impl Total {
    /// Sums up a plan.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let open: Vec<&Planned> = open(plan).collect();
        let sum = |part: fn(Price) -> f64| {
            open.iter().filter_map(|stage| stage.price).map(part).fold(0.0, |sum, one| sum + one)
        };
        Self {
            instances: plan.stages.len(),
            distinct: plan.stages.iter().filter(|stage| stage.same_as.is_none()).count(),
            seconds: sum(|price| price.seconds),
            bytes: sum(|price| price.bytes),
            unknown: open.iter().filter(|stage| stage.price.is_none()).count(),
        }
    }
}

/// Returns the instances that must run, without those that repeat the work of an earlier one.
fn open(plan: &Plan) -> impl Iterator<Item = &Planned> {
    plan.stages.iter().filter(|stage| is_open(stage))
}

fn is_open(stage: &Planned) -> bool {
    stage.status() != PlanStatus::Cached && stage.same_as.is_none()
}

/// Sums up the instances of each stage, in the order of the graph.
#[must_use]
pub fn by_stage(graph: &Graph<'_>, plan: &Plan) -> Vec<StageTotal> {
    let mut found: Vec<StageTotal> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for planned in &plan.stages {
        let instance = &graph.instances[planned.index];
        let at = *places.entry(&instance.stage).or_insert(found.len());
        if at == found.len() {
            let (stage, kind) = (instance.stage.clone(), instance.kind.name);
            let (instances, cached, run, waiting, unknown) = (0, 0, 0, 0, 0);
            found.push(StageTotal { stage, kind, instances, cached, run, waiting, seconds: 0.0, bytes: 0.0, unknown });
        }
        let total = &mut found[at];
        total.instances += 1;
        match planned.status() {
            PlanStatus::Cached => total.cached += 1,
            PlanStatus::Run => total.run += 1,
            PlanStatus::Waiting => total.waiting += 1,
        }
        if is_open(planned) {
            let price = planned.price.unwrap_or_default();
            total.seconds += price.seconds;
            total.bytes += price.bytes;
            total.unknown += usize::from(planned.price.is_none());
        }
    }
    found
}

/// Sums up what must run for each value of each axis, in the order of the graph. An instance counts once for each of
/// its axes.
#[must_use]
pub fn by_axis(graph: &Graph<'_>, plan: &Plan) -> Vec<AxisTotal> {
    let mut found: Vec<AxisTotal> = Vec::new();
    let mut places: BTreeMap<(&str, String), usize> = BTreeMap::new();
    for stage in open(plan) {
        for (axis, value) in graph.instances[stage.index].axes.iter() {
            let at = *places.entry((axis, plain(value))).or_insert(found.len());
            if at == found.len() {
                found.push(AxisTotal { axis: axis.to_owned(), value: value.clone(), run: 0, seconds: 0.0 });
            }
            found[at].run += 1;
            found[at].seconds += stage.price.unwrap_or_default().seconds;
        }
    }
    let order: Vec<&str> = graph.pipeline.axes.iter().map(|axis| axis.key.get_ref().as_str()).collect();
    found.sort_by_key(|one| order.iter().position(|axis| *axis == one.axis));
    found
}
