//! The states of all instances during a run, and the moves between them.
//!
//! ```text
//!            inputs known, decide()                 room for it
//! Pending ────────────────────────► Ready ─────────────────────────► Running
//!    │  ▲                           │   ▲                             │   │
//!    │  │                  its lock │   │ decide() again              │   │ executor: done
//!    │  │              is another's ▼   │                             │   │
//!    │  │                        Elsewhere                            │   │
//!    │  └───────── reopen: retry, damaged input, changed source ──────┘   │
//!    │                                                                    │
//!    └── cached; or blocked by what it depends on ───────► Finished ◄─────┘ ran, resumed, failed
//! ```
//!
//! A finished instance is reopened as well if its output was evicted or damaged and other work needs the bytes.

use std::{collections::BTreeSet, sync::Arc};

use typed_index_collections::TiVec;

use super::summary::Outcome;
use crate::{
    digest::StageKey,
    graph::InstanceId,
    plan::{Reason, Verdict, decide::Decision, recipe::Witnesses},
    stage::DeviceId,
    store::Recipe,
};

/// Work that must be done.
#[derive(Clone, Debug)]
pub(super) struct Work {
    pub recipe: Recipe,
    pub key: StageKey,
    pub trajectory: StageKey,
    /// Why it must run.
    pub reason: Reason,
    /// Whether it runs even if its results are in the cache.
    pub forced: bool,
    /// Whether it saves states that it can continue from.
    pub saves: bool,
    /// The state of the source files in the recipe when they were hashed.
    pub witnesses: Arc<Witnesses>,
}

impl Work {
    /// Returns the work of a decision, if it must run and its recipe is known.
    pub(super) fn of(decision: Decision) -> Option<Self> {
        let (key, trajectory) = (decision.key()?, decision.trajectory()?);
        let Decision { verdict: Verdict::Run(reasons), recipe: Some(recipe), extent, forced, witnesses, .. } = decision
        else {
            return None;
        };
        let reason = reasons.into_iter().next()?;
        Some(Self { recipe, key, trajectory, reason, forced, saves: extent.is_some(), witnesses })
    }
}

/// The state of an instance.
#[derive(Debug)]
pub(super) enum State {
    /// Not decided yet, since its inputs may not be known.
    Pending,
    /// It must run, and waits for room.
    Ready(Box<Work>),
    /// Another process does the work; `holder` says which one.
    Elsewhere { work: Box<Work>, holder: String },
    /// It is running.
    Running { work: Box<Work>, devices: Vec<DeviceId>, resumed: bool },
    /// It is finished, whatever its status.
    Finished(Box<Outcome>),
}

/// The states of all instances of a graph.
#[derive(Debug)]
pub(super) struct States {
    all: TiVec<InstanceId, State>,
    /// The instances that are `Ready` or `Elsewhere`.
    waiting: BTreeSet<InstanceId>,
}

impl States {
    /// Makes the states of `count` instances, all pending.
    pub(super) fn new(count: usize) -> Self {
        Self { all: (0..count).map(|_| State::Pending).collect(), waiting: BTreeSet::new() }
    }

    pub(super) fn is_pending(&self, index: InstanceId) -> bool {
        matches!(self.all[index], State::Pending)
    }

    /// Returns the outcome of an instance, if it is finished.
    pub(super) fn outcome(&self, index: InstanceId) -> Option<&Outcome> {
        if let State::Finished(outcome) = &self.all[index] { Some(outcome) } else { None }
    }

    /// Iterates over the outcomes of finished instances.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.all.iter().filter_map(|state| if let State::Finished(outcome) = state { Some(&**outcome) } else { None })
    }

    /// Iterates over the instances that could start if there were room.
    pub(super) fn waiting(&self) -> impl Iterator<Item = InstanceId> {
        self.waiting.iter().copied()
    }

    pub(super) fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Returns the work of an instance that could start.
    pub(super) fn work(&self, index: InstanceId) -> Option<&Work> {
        match &self.all[index] {
            State::Ready(work) | State::Elsewhere { work, .. } => Some(work),
            _ => None,
        }
    }

    /// Returns the other process that does the work of an instance.
    pub(super) fn holder(&self, index: InstanceId) -> Option<&str> {
        if let State::Elsewhere { holder, .. } = &self.all[index] { Some(holder) } else { None }
    }

    /// Moves an instance from Pending to Ready.
    pub(super) fn ready(&mut self, index: InstanceId, work: Work) {
        debug_assert!(self.is_pending(index), "{:?}", self.all[index]);
        self.set(index, State::Ready(Box::new(work)));
    }

    /// Moves an instance from Ready to Elsewhere.
    pub(super) fn elsewhere(&mut self, index: InstanceId, holder: String) {
        if let State::Ready(work) = self.take(index) {
            self.set(index, State::Elsewhere { work, holder });
        }
    }

    /// Moves an instance from Ready to Running.
    pub(super) fn start(&mut self, index: InstanceId, devices: Vec<DeviceId>) {
        if let State::Ready(work) = self.take(index) {
            self.set(index, State::Running { work, devices, resumed: false });
        }
    }

    /// Records that a running instance continues from a saved state.
    pub(super) fn resume(&mut self, index: InstanceId) {
        if let State::Running { resumed, .. } = &mut self.all[index] {
            *resumed = true;
        }
    }

    /// Moves an instance from any state to Pending, and returns the state that it had.
    pub(super) fn reopen(&mut self, index: InstanceId) -> State {
        self.take(index)
    }

    /// Moves an instance from any state to Finished.
    pub(super) fn finish(&mut self, outcome: Outcome) {
        self.set(outcome.index, State::Finished(Box::new(outcome)));
    }

    /// Returns every outcome, in the order of the graph.
    pub(super) fn into_outcomes(self) -> Vec<Outcome> {
        let outcome = |state| if let State::Finished(outcome) = state { Some(*outcome) } else { None };
        self.all.into_iter().filter_map(outcome).collect()
    }

    fn take(&mut self, index: InstanceId) -> State {
        self.waiting.remove(&index);
        std::mem::replace(&mut self.all[index], State::Pending)
    }

    fn set(&mut self, index: InstanceId, state: State) {
        if matches!(state, State::Ready(_) | State::Elsewhere { .. }) {
            self.waiting.insert(index);
        } else {
            self.waiting.remove(&index);
        }
        self.all[index] = state;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::run::Status;

    fn work() -> Work {
        let recipe = Recipe {
            kind: "map".to_owned(),
            version: 1,
            params: json!({}).into(),
            program: None,
            inputs: BTreeMap::new(),
            sources: BTreeMap::new(),
        };
        let (key, trajectory) = (recipe.key(), recipe.trajectory(&[]));
        Work { recipe, key, trajectory, reason: Reason::New, forced: false, saves: false, witnesses: Arc::default() }
    }

    #[test]
    fn an_instance_goes_from_pending_to_finished_and_back() {
        let mut states = States::new(2);
        let [first, second] = [0, 1].map(InstanceId::from);
        states.ready(second, work());
        assert_eq!((states.waiting().collect::<Vec<_>>(), states.is_pending(first)), (vec![second], true));
        states.elsewhere(second, "another".to_owned());
        assert_eq!((states.holder(second), states.has_waiting()), (Some("another"), true));
        assert!(matches!(states.reopen(second), State::Elsewhere { .. }));
        assert!(states.is_pending(second) && !states.has_waiting());
        states.ready(second, work());
        states.start(second, vec![DeviceId::Cpu]);
        states.resume(second);
        assert!(states.work(second).is_none(), "what runs does not wait");
        assert!(matches!(states.reopen(second), State::Running { resumed: true, .. }));
        states.finish(Outcome::new(second, Status::Ran));
        assert_eq!(states.outcome(second).map(|outcome| outcome.status), Some(Status::Ran));
        assert_eq!(states.outcomes().count(), 1);
        assert!(matches!(states.reopen(second), State::Finished(_)), "its output is needed again");
        assert_eq!(states.into_outcomes().len(), 0);
    }
}
