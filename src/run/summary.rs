//! What a run gives: what became of each instance.

use std::collections::BTreeSet;

use super::status::{Counts, Status};
use crate::{digest::StageKey, graph::Graph, plan::Reason, store::Manifest};

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

impl Outcome {
    /// An instance that is finished, with nothing else known of it.
    pub(super) fn new(index: usize, status: Status) -> Self {
        Self { index, status, key: None, reason: None, manifest: None, message: None }
    }

    /// The same with the message of a failure, or of what blocked it.
    pub(super) fn because(self, message: impl Into<String>) -> Self {
        Self { message: Some(message.into()), ..self }
    }
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Summary {
    /// One for each selected instance, in the order of the graph.
    pub outcomes: Vec<Outcome>,
    /// Instances by status.
    pub counts: Counts,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// True if it was stopped from outside before its end.
    pub interrupted: bool,
}

impl Summary {
    /// The instances that have no results because they, or a dependency, failed.
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
