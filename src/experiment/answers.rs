//! What comes of a plan, a run, or a look into the cache.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    digest::StageKey,
    graph::Graph,
    plan::{PlanStatus, Reason},
    run::{Counts, Outcome, Status, Summary},
    store::RunId,
};

/// One line of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanLine {
    /// The instance.
    pub instance: String,
    /// What a run would do with it.
    pub status: PlanStatus,
    /// The reason, unless it is cached.
    pub reason: Option<Reason>,
    /// Expected seconds, if earlier runs allow an estimate.
    pub seconds: Option<f64>,
}

/// What became of one instance.
#[derive(Clone, Debug, PartialEq)]
pub struct Finished {
    /// The instance.
    pub instance: String,
    /// What became of it.
    pub status: Status,
    /// Its key, if it was known.
    pub key: Option<StageKey>,
    /// Its final numbers.
    pub metrics: BTreeMap<String, f64>,
    /// Why it failed, or what blocked it.
    pub message: Option<String>,
}

/// What became of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Ran {
    /// The outcome of each instance, in the order of the graph.
    pub instances: Vec<Finished>,
    /// The number of instances for each status.
    pub counts: Counts,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// True if the run was stopped before its end.
    pub interrupted: bool,
    /// True if a search ended without an answer.
    pub in_vain: bool,
    /// The id of the run.
    pub run: Option<RunId>,
}

/// How a run ended, as [`Experiment::run_with`](super::Experiment::run_with) hands it to its caller.
pub struct Ended<'a, 't> {
    /// The last graph that ran.
    pub graph: &'a Graph<'t>,
    /// What became of its instances.
    pub summary: &'a Summary,
    /// True if a search ended without an answer.
    pub in_vain: bool,
    /// The id of the run.
    pub run: Option<&'a RunId>,
}

/// The cached result of one instance.
#[derive(Clone, Debug, PartialEq)]
pub struct ResultRow {
    /// The stage.
    pub stage: String,
    /// The instance.
    pub instance: String,
    /// The axes that reach it, with their values.
    pub axes: BTreeMap<String, Value>,
    /// Its final numbers.
    pub metrics: BTreeMap<String, f64>,
}

impl Ran {
    pub(super) fn of(ended: &Ended<'_, '_>) -> Self {
        let &Ended { graph, summary, in_vain, run } = ended;
        let finished = |outcome: &Outcome| Finished {
            instance: graph.instances[outcome.index].name.to_string(),
            status: outcome.status,
            key: outcome.key,
            metrics: outcome.manifest.as_ref().map(|manifest| manifest.metrics.clone()).unwrap_or_default(),
            message: outcome.message.clone(),
        };
        let &Summary { counts, seconds, interrupted, .. } = summary;
        Self {
            instances: summary.outcomes.iter().map(finished).collect(),
            counts,
            seconds,
            interrupted,
            in_vain,
            run: run.cloned(),
        }
    }
}
