//! Handles the updates of running jobs, and finishes, retries or reopens their instances.

use std::time::{Duration, Instant};

use super::{dispatcher::Dispatcher, event::Event, executor::Failure, state::Work, status::Status, summary::Outcome};
use crate::{
    graph::InstanceId,
    stage::Note,
    store::{Manifest, StoreError},
};

/// The pause before the first retry. It doubles with each further retry.
const BACKOFF: Duration = Duration::from_millis(500);
/// The most tries of an instance whose inputs are damaged or whose source files change.
const MOST_TRIES: u32 = 3;

impl Dispatcher<'_, '_> {
    /// Reports what a running job says as an event.
    pub(super) fn note(&mut self, index: InstanceId, note: Note) {
        let instance = self.instance(index).name.to_string();
        self.reporter.event(&match note {
            Note::Log(_) => return,
            Note::Progress(p) => Event::Progress {
                instance,
                done: p.done,
                total: p.total,
                unit: p.unit,
                epoch: p.epoch.map(|(epoch, _)| epoch),
                epochs: p.epoch.map(|(_, epochs)| epochs),
                loss: p.loss,
            },
            Note::Metric { name, value } => Event::Metric { instance, name, value, epoch: None },
            Note::Point { series, epoch, value } => Event::Metric { instance, name: series, value, epoch: Some(epoch) },
            Note::Warning(message) => Event::Warning { instance, message },
            Note::Resumed(at) => {
                self.states.resume(index);
                Event::Resumed { instance, epoch: at.epoch, step: at.step }
            }
            Note::Saved(at) => Event::Checkpoint { instance, epoch: at.epoch, step: at.step },
        });
    }

    /// Handles the end of a job: its instance becomes finished, or pending again.
    pub(super) fn done(&mut self, index: InstanceId, result: Result<Manifest, Failure>) -> Result<(), StoreError> {
        let Some((work, resumed)) = self.release(index) else { return Ok(()) };
        let outcome =
            |status| Outcome { key: Some(work.key), reason: Some(work.reason.clone()), ..Outcome::new(index, status) };
        let (name, retries) = (&self.instance(index).name, self.instance(index).retries);
        let tries = self.tries.entry(index).or_default();
        match result {
            Ok(manifest) => {
                let status = if resumed { Status::Resumed } else { Status::Ran };
                self.finish(Outcome { manifest: Some(Box::new(manifest)), ..outcome(status) });
            }
            Err(Failure::Cancelled) => {
                self.interrupted = true;
                self.finish(outcome(Status::Blocked).because("interrupted"));
            }
            Err(Failure::Failed(message)) => {
                tries.failed += 1;
                let again = tries.failed;
                if again > retries {
                    self.finish(outcome(Status::Failed).because(message));
                } else {
                    tries.pause = Some(Instant::now() + BACKOFF * 2u32.saturating_pow(again - 1));
                    self.open.insert(index);
                    self.reporter.event(&Event::Retrying { instance: name.to_string(), again, message });
                }
            }
            Err(Failure::Changed(file)) => {
                tries.changed += 1;
                if tries.changed > MOST_TRIES {
                    let message = format!(
                        "{} changes again and again while it is read; run again when it no longer changes",
                        file.display()
                    );
                    self.finish(outcome(Status::Failed).because(message));
                } else {
                    self.open.insert(index);
                    self.reporter.event(&Event::SourceChanged { instance: name.to_string(), file });
                }
            }
            Err(Failure::Damaged { port, message }) => {
                tries.damaged += 1;
                if tries.damaged > MOST_TRIES {
                    self.finish(outcome(Status::Failed).because(message));
                } else {
                    self.reporter.event(&Event::Damaged { instance: name.to_string(), port: port.clone(), message });
                    self.rebuild(index, &port, &work)?;
                }
            }
        }
        Ok(())
    }

    /// Moves an instance from any state to Finished.
    pub(super) fn finish(&mut self, outcome: Outcome) {
        let Outcome { index, status, key, ref manifest, ref message, .. } = outcome;
        let instance = self.instance(index);
        if status == Status::Failed {
            self.stopping |= !self.given.options.keep_going;
            self.failed.extend(key.zip(message.clone()));
        }
        if status == Status::Cached && instance.same_as.is_none() {
            for message in manifest.iter().flat_map(|manifest| &manifest.warnings) {
                let (instance, message) = (instance.name.to_string(), message.clone());
                self.reporter.event(&Event::Warning { instance, message });
            }
        }
        self.reporter.event(&Event::StageFinished {
            instance: instance.name.to_string(),
            kind: instance.kind.name.to_owned(),
            status,
            key,
            seconds: manifest.as_ref().map(|manifest| manifest.seconds),
            outputs: manifest.as_ref().map(|manifest| manifest.outputs.clone()).unwrap_or_default(),
            message: message.clone(),
        });
        self.states.finish(outcome);
        self.open.extend(self.below.get(&index).into_iter().flatten());
        if let Some(backlog) = &mut self.backlog {
            if instance.same_as.is_none() {
                backlog.done(index);
            }
            if status != Status::Cached {
                self.tell_what_is_left();
            }
        }
    }

    /// Handles an input port whose bytes were evicted or lost before the work could start: they are made again, but not
    /// for ever.
    pub(super) fn make_again(&mut self, index: InstanceId, port: &str, work: &Work) -> Result<(), StoreError> {
        let tries = self.tries.entry(index).or_default();
        tries.missing += 1;
        if tries.missing <= MOST_TRIES {
            self.states.reopen(index);
            return self.rebuild(index, port, work);
        }
        let message = format!(
            "the artifact at its input `{port}` was made {MOST_TRIES} times and was gone again each time; find out what deletes \
             or changes files in the cache, then run again"
        );
        let (key, reason) = (Some(work.key), Some(work.reason.clone()));
        self.finish(Outcome { key, reason, ..Outcome::new(index, Status::Failed) }.because(message));
        Ok(())
    }

    /// Returns an input port of ready work whose bytes were evicted or lost.
    pub(super) fn gone(&self, work: &Work) -> Result<Option<String>, StoreError> {
        for (port, hash) in &work.recipe.inputs {
            if !self.given.store.has(hash)? {
                return Ok(Some(port.clone()));
            }
        }
        Ok(None)
    }

    /// Reopens the instance that made the bytes at an input port. A damaged object is deleted; an evicted one is made
    /// again.
    pub(super) fn rebuild(&mut self, index: InstanceId, port: &str, work: &Work) -> Result<(), StoreError> {
        let store = self.given.store;
        let mut evicted = false;
        if let Some(hash) = work.recipe.inputs.get(port) {
            evicted = store.is_evicted(hash)?;
            if !evicted {
                store.discard(hash)?;
            }
        }
        for link in self.instance(index).inputs.iter().filter(|link| link.port == port) {
            let maker = self.instance(link.from).same_as.unwrap_or(link.from);
            for again in [link.from, maker] {
                self.states.reopen(again);
                self.open.insert(again);
            }
            if evicted {
                self.wanted.insert(maker, link.output.to_string());
            }
        }
        Ok(())
    }
}
