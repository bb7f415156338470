//! The result of a run: what became of each instance.

use std::collections::BTreeSet;

use super::status::{Counts, Status};
use crate::{
    digest::StageKey,
    graph::{Graph, InstanceId},
    plan::Reason,
    store::Manifest,
};

/// What became of one instance.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The instance.
    pub index: InstanceId,
    /// What became of it.
    pub status: Status,
    /// Its key, if it was known.
    pub key: Option<StageKey>,
    /// The first reason why it ran.
    pub reason: Option<Reason>,
    /// Its manifest, if it has results.
    pub manifest: Option<Box<Manifest>>,
    /// Why it failed, or what blocked it.
    pub message: Option<String>,
}

impl Outcome {
    /// Makes the outcome of a finished instance of which nothing else is known.
    pub(super) fn new(index: InstanceId, status: Status) -> Self {
        Self { index, status, key: None, reason: None, manifest: None, message: None }
    }

    /// Adds the message of a failure, or the reason why the instance was blocked.
    pub(super) fn because(self, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..self }
    }
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Summary {
    /// One outcome for each selected instance, in the order of the graph.
    pub outcomes: Vec<Outcome>,
    /// The number of instances for each status.
    pub counts: Counts,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// True if the run was stopped before its end.
    pub interrupted: bool,
}

impl Summary {
    /// Returns the instances that have no results because they, or a dependency, failed.
    #[must_use]
    pub fn lost(&self, graph: &Graph<'_>) -> BTreeSet<InstanceId> {
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
