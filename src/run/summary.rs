//! What a run gives: what became of each instance.

use std::collections::BTreeSet;

use serde::Serialize;

use super::event::Status;
use crate::{digest::StageKey, graph::Graph, plan::Reason, store::Manifest};

/// Instances by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Found in the cache.
    pub cached: usize,
    /// Ran to the end.
    pub ran: usize,
    /// Continued from a saved state to the end.
    pub resumed: usize,
    /// Failed.
    pub failed: usize,
    /// Not reached, because a dependency failed or the run was stopped.
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
