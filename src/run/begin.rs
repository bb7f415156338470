//! What the coordinator starts: decisions on what is ready, and the most urgent of it as far as there is room.

use std::{collections::BTreeMap, sync::mpsc, thread, time::Instant};

use serde_json::Value;

use super::{
    Event, Status,
    dispatcher::Coordinator,
    executor::{Message, Start},
    resources,
    schedule::Schedule,
};
use crate::{
    digest::ArtifactHash,
    plan::{
        Reason,
        decide::{Surroundings, Verdict, decide},
    },
    store::{History, StoreError},
};

impl<'a> Coordinator<'a, '_> {
    pub(super) fn decide(
        &mut self,
        index: usize,
        inputs: BTreeMap<String, ArtifactHash>,
        history: &History,
    ) -> Result<(), StoreError> {
        let (graph, store) = (self.graph, self.store);
        let around = Surroundings::new(store, history, &graph.pipeline.root, true);
        let instance = &graph.instances[index];
        let force = self.options.force && self.selection.targets.contains(&index) && instance.same_as.is_none();
        let mut decision = decide(instance, inputs, force, &around)?;
        if let (Some(port), Verdict::Cached(manifest)) = (self.wanted.get(&index), &decision.verdict)
            && !store.has_all(manifest)?
        {
            decision.verdict = Verdict::Run(vec![Reason::Evicted { port: port.clone() }]);
        }
        let key = decision.key();
        match decision.verdict {
            Verdict::Cached(manifest) => {
                self.finish(index, Status::Cached, key, None, Some(manifest), None);
            }
            Verdict::Waiting(_) => {}
            Verdict::Run(ref reasons) if decision.recipe.is_none() => {
                let reason = reasons.first().cloned();
                let place = graph.place(&instance.span("path"));
                let set = place.map(|place| format!("; `path` is set at {}:{}", place.file, place.line));
                let message = reason.as_ref().map(|reason| format!("{reason}{}", set.unwrap_or_default()));
                self.finish(index, Status::Failed, None, reason, None, message);
            }
            Verdict::Run(ref reasons) => match key.and_then(|key| self.failed.get(&key)).cloned() {
                Some(message) => {
                    let reason = reasons.first().cloned();
                    self.finish(index, Status::Failed, key, reason, None, Some(message));
                }
                None => drop(self.ready.insert(index, decision)),
            },
        }
        Ok(())
    }

    /// Starts what is ready, while there is room. What was decided earlier is decided again: it may be done by now.
    /// True if something must be settled anew.
    pub(super) fn start<'scope>(
        &mut self,
        scope: &'scope thread::Scope<'scope, '_>,
        sender: &mpsc::Sender<Message>,
        history: &History,
    ) -> Result<bool, StoreError>
    where
        'a: 'scope,
    {
        let now = Instant::now();
        let mut unsettled = false;
        for index in self.by_urgency(history)? {
            if self.stopping || self.schedule().is_full() {
                break;
            }
            if !self.schedule().fits(index) {
                continue;
            }
            let paused = self.tries.get(&index).and_then(|tries| tries.pause).is_some_and(|pause| pause > now);
            let Some(decision) = self.ready.get(&index) else { continue };
            if paused || self.crew.is_on(decision.trajectory()) {
                continue;
            }
            let inputs = self.ready.remove(&index).and_then(|old| old.recipe).map(|recipe| recipe.inputs);
            self.decide(index, inputs.unwrap_or_default(), history)?;
            let Some(decision) = self.ready.get(&index).cloned() else {
                // Done by another process: what stands below can be decided now.
                unsettled = true;
                continue;
            };
            if let Some(port) = self.gone(&decision)? {
                let inputs = self.ready.remove(&index).and_then(|old| old.recipe).map(|recipe| recipe.inputs);
                self.remake(index, &port, &inputs.unwrap_or_default())?;
                unsettled = true;
                continue;
            }
            let (key, reason) = (decision.key(), decision.reason());
            let parameters = decision.recipe.as_ref().map(|recipe| Value::clone(&recipe.params)).unwrap_or_default();
            let threads = self.schedule().load(index).threads;
            let instance = &self.graph.instances[index];
            match self.crew.start(scope, sender, self.graph, (index, threads), decision)? {
                Start::Started => {
                    self.ready.remove(&index);
                    self.schedule().start(index);
                    self.elsewhere.remove(&index);
                    let (instance, kind) = (instance.name.clone(), instance.kind.name.to_owned());
                    self.reporter.event(&Event::StageStarted { instance, kind, key, parameters, reason });
                }
                Start::Done => unsettled = true,
                Start::Refused(message) => {
                    let key = self.ready.remove(&index).and_then(|decision| decision.key());
                    self.finish(index, Status::Failed, key, Some(reason), None, Some(message));
                    unsettled = true;
                }
                Start::Elsewhere(holder) => {
                    let holder = holder.to_string();
                    if self.elsewhere.insert(index, holder.clone()).as_ref() != Some(&holder) {
                        self.reporter.event(&Event::Waiting { instance: instance.name.clone(), holder });
                    }
                }
            }
        }
        Ok(unsettled)
    }

    /// What is ready, the most urgent first.
    fn by_urgency(&mut self, history: &History) -> Result<Vec<usize>, StoreError> {
        let ready: Vec<usize> = self.ready.keys().copied().collect();
        if self.schedule.is_none() && !ready.is_empty() {
            let (schedule, expected) = resources::schedule(self.graph, self.store, self.options, history)?;
            self.schedule = Some(schedule);
            self.expected = expected;
            let open = self.selection.all.iter().filter(|index| !self.states.contains_key(index));
            let once = open.filter(|index| self.graph.instances[**index].same_as.is_none());
            let (mut seconds, mut unknown) = (0.0, 0);
            for index in once {
                match self.expected[*index] {
                    Some(expected) => seconds += expected,
                    None => unknown += 1,
                }
            }
            self.outlook = Some((seconds, unknown));
            self.reporter.event(&Event::Outlook { seconds, unknown });
        }
        Ok(self.schedule.as_ref().map(|schedule| schedule.by_urgency(ready)).unwrap_or_default())
    }

    pub(super) fn schedule(&mut self) -> &mut Schedule {
        self.schedule.as_mut().expect("made when the first instance was ready")
    }
}
